//! Commands of a POP3 client: one line each. RFC 1939 3 and 9.
//!
//! Works on a line without its CRLF, as [`crate::line::Lines`] finds it. Keywords in any case. A password
//! becomes a [`Secret`] before anything else sees it.

use crate::sasl::{self, BadResponse, Mechanism};
use mail::secret::Secret;

/// Octets of a line without its CRLF. RFC 2449 4 allows commands of 255; responses of SASL are longer.
pub const MAX_LINE: usize = 4096;
/// Octets of a user name.
pub const MAX_NAME: usize = 320;

/// The number of a message in the session's listing, from 1.
pub type Number = u32;

/// What a client asks for.
#[derive(Debug, Clone)]
pub enum Command {
    /// RFC 2449 5: what the server can do.
    Capa,
    /// RFC 2595 4: begin TLS.
    Stls,
    /// The name, for a password to follow.
    User(String),
    /// The password.
    Pass(Secret),
    /// RFC 5034 4: a SASL exchange, with an initial response where there is one.
    Auth(Mechanism, Option<Vec<u8>>),
    /// RFC 1734's successor in practice: `AUTH` alone lists the mechanisms.
    AuthList,
    /// Count and size.
    Stat,
    /// Sizes: of one, or of all.
    List(Option<Number>),
    /// Unique ids: of one, or of all.
    Uidl(Option<Number>),
    /// The message.
    Retr(Number),
    /// Its header and the first lines of its body.
    Top(Number, u64),
    /// Mark for removal.
    Dele(Number),
    /// Take all marks back.
    Rset,
    /// Nothing.
    Noop,
    /// The end.
    Quit,
}

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCommand {
    /// No such keyword.
    #[error("unknown command")]
    Unknown,
    /// The keyword takes other arguments.
    #[error("wrong arguments")]
    Arguments,
    /// A SASL mechanism that is not offered.
    #[error("unknown authentication mechanism")]
    Mechanism,
    /// The initial response is not base64 or too long.
    #[error("the initial response cannot be read: {0}")]
    Response(BadResponse),
}

impl Command {
    /// Reads a line.
    ///
    /// # Errors
    /// [`BadCommand`] says what to answer.
    pub fn parse(line: &[u8]) -> Result<Self, BadCommand> {
        let (keyword, arguments) = match memchr::memchr(b' ', line) {
            Some(at) => (&line[..at], Some(&line[at + 1..])),
            None => (line, None),
        };
        let mut upper = [0; 4];
        let upper = upper.get_mut(..keyword.len()).ok_or(BadCommand::Unknown)?;
        upper.copy_from_slice(keyword);
        upper.make_ascii_uppercase();
        match &*upper {
            b"PASS" => password(arguments),
            b"USER" => name(arguments),
            b"AUTH" => auth(arguments),
            b"RETR" => one_number(arguments).map(Self::Retr),
            b"DELE" => one_number(arguments).map(Self::Dele),
            b"LIST" => some_number(arguments).map(Self::List),
            b"UIDL" => some_number(arguments).map(Self::Uidl),
            b"TOP" => top(arguments),
            b"CAPA" => alone(arguments, Self::Capa),
            b"STLS" => alone(arguments, Self::Stls),
            b"STAT" => alone(arguments, Self::Stat),
            b"RSET" => alone(arguments, Self::Rset),
            b"NOOP" => alone(arguments, Self::Noop),
            b"QUIT" => alone(arguments, Self::Quit),
            _ => Err(BadCommand::Unknown),
        }
    }
}

type Arguments<'a> = Option<&'a [u8]>;

/// Clients leave a space behind their commands.
fn alone(arguments: Arguments<'_>, command: Command) -> Result<Command, BadCommand> {
    if arguments.unwrap_or_default().trim_ascii().is_empty() {
        Ok(command)
    } else {
        Err(BadCommand::Arguments)
    }
}

fn name(arguments: Arguments<'_>) -> Result<Command, BadCommand> {
    let name = std::str::from_utf8(arguments.unwrap_or_default()).map_err(|_| BadCommand::Arguments)?.trim();
    let fits = (1..=MAX_NAME).contains(&name.len()) && !name.chars().any(char::is_control);
    if fits { Ok(Command::User(name.to_owned())) } else { Err(BadCommand::Arguments) }
}

/// RFC 1939 7: PASS has one argument, so that spaces are part of the password.
fn password(arguments: Arguments<'_>) -> Result<Command, BadCommand> {
    let password = arguments.filter(|p| !p.is_empty()).ok_or(BadCommand::Arguments)?;
    Ok(Command::Pass(Secret::new(password)))
}

fn auth(arguments: Arguments<'_>) -> Result<Command, BadCommand> {
    let mut words = words(arguments);
    let Some(mechanism) = words.next() else { return Ok(Command::AuthList) };
    let mechanism = std::str::from_utf8(mechanism).ok().and_then(Mechanism::parse);
    let mechanism = mechanism.ok_or(BadCommand::Mechanism)?;
    let initial = words.next().map(|text| sasl::decode(text).map_err(BadCommand::Response)).transpose()?;
    match words.next() {
        None => Ok(Command::Auth(mechanism, initial)),
        Some(_) => Err(BadCommand::Arguments),
    }
}

fn top(arguments: Arguments<'_>) -> Result<Command, BadCommand> {
    let mut words = words(arguments);
    let (Some(message), Some(lines), None) = (words.next(), words.next(), words.next()) else {
        return Err(BadCommand::Arguments);
    };
    Ok(Command::Top(number(message)?, digits(lines)?))
}

fn one_number(arguments: Arguments<'_>) -> Result<Number, BadCommand> {
    some_number(arguments)?.ok_or(BadCommand::Arguments)
}

fn some_number(arguments: Arguments<'_>) -> Result<Option<Number>, BadCommand> {
    let mut words = words(arguments);
    match (words.next(), words.next()) {
        (None, _) => Ok(None),
        (Some(word), None) => number(word).map(Some),
        (Some(_), Some(_)) => Err(BadCommand::Arguments),
    }
}

fn words(arguments: Arguments<'_>) -> impl Iterator<Item = &[u8]> {
    arguments.unwrap_or_default().split(|b| *b == b' ').filter(|word| !word.is_empty())
}

/// A message number: zero is none (RFC 1939 3), and what is too great for a listing is just not there.
fn number(word: &[u8]) -> Result<Number, BadCommand> {
    match digits(word)? {
        0 => Err(BadCommand::Arguments),
        n => Ok(Number::try_from(n).unwrap_or(Number::MAX)),
    }
}

/// A number of at most 18 digits.
fn digits(word: &[u8]) -> Result<u64, BadCommand> {
    if word.is_empty() || word.len() > 18 || !word.iter().all(u8::is_ascii_digit) {
        return Err(BadCommand::Arguments);
    }
    Ok(word.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Debug output is enough to tell commands apart: a password shows as `(secret)`.
    fn read(line: &str) -> String {
        match Command::parse(line.as_bytes()) {
            Ok(command) => format!("{command:?}"),
            Err(why) => format!("! {why:?}"),
        }
    }

    #[test]
    fn commands_in_any_case_with_their_arguments() {
        let cases = [
            ("STAT", "Stat"),
            ("noop ", "Noop"),
            ("List", "List(None)"),
            ("LIST 12", "List(Some(12))"),
            ("uidl  3 ", "Uidl(Some(3))"),
            ("RETR 4294967296", "Retr(4294967295)"),
            ("TOP 1 0", "Top(1, 0)"),
            ("user joe@example.org ", "User(\"joe@example.org\")"),
            ("PASS a b ", "Pass((secret))"),
            ("AUTH", "AuthList"),
            ("AUTH PLAIN", "Auth(Plain, None)"),
            ("auth scram-sha-256 YQ==", "Auth(ScramSha256, Some([97]))"),
            ("AUTH PLAIN =", "Auth(Plain, Some([]))"),
        ];
        for (line, expected) in cases {
            assert_eq!(read(line), expected, "{line}");
        }
        let Ok(Command::Pass(secret)) = Command::parse(b"PASS  a b ") else { panic!("a password") };
        assert_eq!(secret.expose(), b" a b ");
    }

    #[test]
    fn bad_lines_say_why() {
        for line in ["", "STA", "STATS", "XTND", "\u{e9}", " STAT"] {
            assert_eq!(read(line), "! Unknown", "{line}");
        }
        for line in [
            "STAT 1",
            "RETR",
            "RETR 0",
            "RETR x",
            "RETR -1",
            "RETR 1 2",
            "TOP 1",
            "TOP 1 2 3",
            "DELE 1x",
            "USER",
            "USER a\u{7}",
            "PASS",
            "PASS ",
            "LIST 0",
            "RETR 1234567890123456789",
            "AUTH PLAIN YQ== x",
        ] {
            assert_eq!(read(line), "! Arguments", "{line}");
        }
        assert_eq!(read("AUTH CRAM-MD5"), "! Mechanism");
        assert_eq!(read("AUTH PLAIN YQ"), "! Response(Encoding)");
        assert_eq!(read(&format!("USER {}", "x".repeat(321))), "! Arguments");
    }

    proptest! {
        #[test]
        fn no_line_panics(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Command::parse(&line);
        }

        #[test]
        fn nor_one_that_looks_like_a_command(line in "(TOP|RETR|LIST|AUTH|USER|PASS|UIDL) ?[ -~]{0,30}") {
            let _ = Command::parse(line.as_bytes());
        }
    }
}
