//! Commands of SMTP and LMTP, read from a line. RFC 5321 4.1, RFC 2033, and the parameters of RFC 1870
//! (SIZE), RFC 6152 (BODY), RFC 3461 (DSN), RFC 4954 (AUTH) and RFC 6531 (SMTPUTF8).
//!
//! Every parameter that is known is taken whether it was offered or not: that, and whether the command is
//! legal now, is judged by [`super::server_state`] and the server. Tolerated because it is common and cannot
//! be misread: spaces after the colon, a missing pair of angle brackets, spaces at the end.

use super::xtext;
use mail::address::{Address, BadAddress, Domain, MAX_LOCAL_PART};
use mail::envelope::{BodyKind, Notify, Return};

/// Octets of the name after HELO, EHLO and LHLO. RFC 5321 4.5.3.1.2.
const MAX_HELLO_NAME: usize = 255;
/// RFC 3461 4.4: octets of ENVID, decoded.
const MAX_ENVID: usize = 100;
/// RFC 3461 4.2: octets of ORCPT, decoded.
const MAX_ORCPT: usize = 500;

/// What a command is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// RFC 5321 4.1.1.1.
    Helo,
    /// RFC 5321 4.1.1.1.
    Ehlo,
    /// RFC 2033 4.1.
    Lhlo,
    /// RFC 5321 4.1.1.2.
    Mail,
    /// RFC 5321 4.1.1.3.
    Rcpt,
    /// RFC 5321 4.1.1.4.
    Data,
    /// RFC 3030 2.
    Bdat,
    /// RFC 5321 4.1.1.5.
    Rset,
    /// RFC 5321 4.1.1.9.
    Noop,
    /// RFC 5321 4.1.1.10.
    Quit,
    /// RFC 5321 4.1.1.6.
    Vrfy,
    /// RFC 5321 4.1.1.7.
    Expn,
    /// RFC 5321 4.1.1.8.
    Help,
    /// RFC 3207 4.
    StartTls,
    /// RFC 4954 4.
    Auth,
    /// RFC 1985 5.
    Etrn,
}

impl Verb {
    const NAMES: [(&'static str, Self); 16] = [
        ("MAIL", Self::Mail),
        ("RCPT", Self::Rcpt),
        ("DATA", Self::Data),
        ("BDAT", Self::Bdat),
        ("RSET", Self::Rset),
        ("QUIT", Self::Quit),
        ("EHLO", Self::Ehlo),
        ("HELO", Self::Helo),
        ("LHLO", Self::Lhlo),
        ("NOOP", Self::Noop),
        ("AUTH", Self::Auth),
        ("STARTTLS", Self::StartTls),
        ("VRFY", Self::Vrfy),
        ("EXPN", Self::Expn),
        ("HELP", Self::Help),
        ("ETRN", Self::Etrn),
    ];

    fn parse(word: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, verb)| *verb)
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, verb)| *verb == self).map_or("", |(name, _)| name)
    }
}

/// A command with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// HELO, EHLO or LHLO.
    Hello {
        /// Which of the three.
        verb: Verb,
        /// What the client calls itself: unverified, but printable and safe within a comment of a header.
        name: Box<str>,
    },
    /// MAIL FROM.
    Mail(Mail),
    /// RCPT TO.
    Rcpt(Rcpt),
    /// DATA.
    Data,
    /// BDAT; the chunk follows at once, whatever the answer will be.
    Bdat {
        /// Octets that follow the line.
        size: u64,
        /// Whether the message ends with them.
        last: bool,
    },
    /// RSET.
    Rset,
    /// NOOP, with or without words.
    Noop,
    /// QUIT.
    Quit,
    /// VRFY: a name or an address.
    Vrfy(Box<str>),
    /// EXPN: the name of a list.
    Expn(Box<str>),
    /// HELP, with or without a topic.
    Help,
    /// STARTTLS.
    StartTls,
    /// AUTH.
    Auth {
        /// The name of the mechanism, upper case.
        mechanism: Box<str>,
        /// The initial response, still in base64.
        initial: Option<Box<str>>,
    },
    /// ETRN.
    Etrn(Domain),
}

/// Between the angle brackets. A source route is read and dropped: RFC 5321 F.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// `<>`.
    Null,
    /// A local part alone, such as `<postmaster>`. RFC 5321 4.1.1.3.
    Local(Box<str>),
    /// An address.
    Address(Address),
}

/// MAIL FROM and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Who sends.
    pub from: Path,
    /// Octets that the client says the message has; the largest number where it has more digits than that.
    pub size: Option<u64>,
    /// What it says the content holds.
    pub body: BodyKind,
    /// Whether the message needs SMTPUTF8.
    pub utf8: bool,
    /// How much a report brings back.
    pub ret: Option<Return>,
    /// ENVID, decoded.
    pub envelope_id: Option<Box<str>>,
}

/// RCPT TO and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rcpt {
    /// Who receives; never [`Path::Null`].
    pub to: Path,
    /// When to report.
    pub notify: Notify,
    /// ORCPT with its address type, decoded.
    pub original: Option<Box<str>>,
}

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCommand {
    /// Not UTF-8, or with a control character.
    #[error("the line is not text")]
    NotText,
    /// A word that is no command.
    #[error("the command is not known")]
    UnknownVerb,
    /// Arguments are missing, or there are too many.
    #[error("{} has other arguments", .0.name())]
    Arguments(Verb),
    /// The address of MAIL or RCPT.
    #[error("{1}")]
    Path(Verb, BadAddress),
    /// A parameter that is not known. RFC 5321 4.1.1.11: 555.
    #[error("{} has no such parameter", .0.name())]
    UnknownParameter(Verb),
    /// A parameter that is known, with a value that is not, or twice.
    #[error("a parameter of {} has a bad value", .0.name())]
    BadParameter(Verb),
}

impl Command {
    /// Reads a line without its CRLF.
    ///
    /// # Errors
    /// [`BadCommand`], in the terms of the reply that it deserves.
    pub fn parse(line: &[u8]) -> Result<Self, BadCommand> {
        let line = std::str::from_utf8(line).map_err(|_| BadCommand::NotText)?;
        if line.bytes().any(|b| b < 0x20 && b != b'\t' || b == 0x7f) {
            return Err(BadCommand::NotText);
        }
        let line = line.trim_end_matches([' ', '\t']);
        let (word, arguments) = line.split_once(' ').unwrap_or((line, ""));
        let verb = Verb::parse(word).ok_or(BadCommand::UnknownVerb)?;
        let arguments = arguments.trim_start_matches([' ', '\t']);
        match verb {
            Verb::Mail => parse_mail(arguments).map(Self::Mail),
            Verb::Rcpt => parse_rcpt(arguments).map(Self::Rcpt),
            Verb::Data => none(verb, arguments, Self::Data),
            Verb::Rset => none(verb, arguments, Self::Rset),
            Verb::Quit => none(verb, arguments, Self::Quit),
            Verb::StartTls => none(verb, arguments, Self::StartTls),
            Verb::Noop => Ok(Self::Noop),
            Verb::Help => Ok(Self::Help),
            Verb::Vrfy => some(verb, arguments).map(|text| Self::Vrfy(text.into())),
            Verb::Expn => some(verb, arguments).map(|text| Self::Expn(text.into())),
            Verb::Helo | Verb::Ehlo | Verb::Lhlo => parse_hello(verb, arguments),
            Verb::Bdat => parse_bdat(arguments),
            Verb::Auth => parse_auth(arguments),
            Verb::Etrn => Domain::parse(arguments.trim_start_matches('@'))
                .map(Self::Etrn)
                .map_err(|_| BadCommand::Arguments(verb)),
        }
    }

    /// What it is called.
    pub const fn verb(&self) -> Verb {
        match self {
            Self::Hello { verb, .. } => *verb,
            Self::Mail(_) => Verb::Mail,
            Self::Rcpt(_) => Verb::Rcpt,
            Self::Data => Verb::Data,
            Self::Bdat { .. } => Verb::Bdat,
            Self::Rset => Verb::Rset,
            Self::Noop => Verb::Noop,
            Self::Quit => Verb::Quit,
            Self::Vrfy(_) => Verb::Vrfy,
            Self::Expn(_) => Verb::Expn,
            Self::Help => Verb::Help,
            Self::StartTls => Verb::StartTls,
            Self::Auth { .. } => Verb::Auth,
            Self::Etrn(_) => Verb::Etrn,
        }
    }
}

fn none(verb: Verb, arguments: &str, command: Command) -> Result<Command, BadCommand> {
    if arguments.is_empty() { Ok(command) } else { Err(BadCommand::Arguments(verb)) }
}

fn some(verb: Verb, arguments: &str) -> Result<&str, BadCommand> {
    if arguments.is_empty() { Err(BadCommand::Arguments(verb)) } else { Ok(arguments) }
}

/// RFC 5321 4.1.4: a wrong name is no reason to refuse; what could break a header is.
fn parse_hello(verb: Verb, name: &str) -> Result<Command, BadCommand> {
    let unsafe_char = |c: char| c.is_whitespace() || c.is_control() || "()<>@,;\\\"".contains(c);
    if name.is_empty() || name.len() > MAX_HELLO_NAME || name.contains(unsafe_char) {
        return Err(BadCommand::Arguments(verb));
    }
    Ok(Command::Hello { verb, name: name.into() })
}

/// RFC 3030 2: `BDAT 1000 LAST`.
fn parse_bdat(arguments: &str) -> Result<Command, BadCommand> {
    let bad = BadCommand::Arguments(Verb::Bdat);
    let (size, last) = match arguments.split_once(' ') {
        Some((size, word)) if word.trim().eq_ignore_ascii_case("LAST") => (size, true),
        Some(_) => return Err(bad),
        None => (arguments, false),
    };
    let size = digits(size).and_then(|d| d.parse().ok()).ok_or(bad)?;
    Ok(Command::Bdat { size, last })
}

/// RFC 4954 4: `AUTH PLAIN [initial-response]`; names of mechanisms: RFC 4422 3.1.
fn parse_auth(arguments: &str) -> Result<Command, BadCommand> {
    let bad = BadCommand::Arguments(Verb::Auth);
    let mut words = arguments.split_ascii_whitespace();
    let (Some(name), initial, None) = (words.next(), words.next(), words.next()) else { return Err(bad) };
    if name.len() > 20 || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
        return Err(bad);
    }
    Ok(Command::Auth { mechanism: name.to_ascii_uppercase().into(), initial: initial.map(Into::into) })
}

fn parse_mail(arguments: &str) -> Result<Mail, BadCommand> {
    let (from, parameters) = parse_path(Verb::Mail, "FROM:", arguments)?;
    let mut mail =
        Mail { from, size: None, body: BodyKind::SevenBit, utf8: false, ret: None, envelope_id: None };
    let mut seen = Vec::new();
    for parameter in parameters.split_ascii_whitespace() {
        let (name, value) = unseen(Verb::Mail, parameter, &mut seen)?;
        take_mail_parameter(&mut mail, name, value)?;
    }
    Ok(mail)
}

fn take_mail_parameter(mail: &mut Mail, name: &str, value: Option<&str>) -> Result<(), BadCommand> {
    let bad = BadCommand::BadParameter(Verb::Mail);
    let is = |word: &str| name.eq_ignore_ascii_case(word);
    match value {
        // RFC 1870 5: up to 20 digits.
        Some(size) if is("SIZE") => {
            let size = digits(size).filter(|d| d.len() <= 20).ok_or(bad)?;
            mail.size = Some(size.parse().unwrap_or(u64::MAX));
        }
        Some(body) if is("BODY") => mail.body = parse_body(body).ok_or(bad)?,
        None if is("SMTPUTF8") => mail.utf8 = true,
        Some(ret) if is("RET") => mail.ret = Some(parse_ret(ret).ok_or(bad)?),
        Some(id) if is("ENVID") => mail.envelope_id = Some(xtext::decode(id, MAX_ENVID).ok_or(bad)?),
        // RFC 4954 5: who submitted it somewhere else is of no consequence here.
        Some(who) if is("AUTH") => drop(xtext::decode(who, MAX_ORCPT).ok_or(bad)?),
        _ if ["SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH"].into_iter().any(is) => return Err(bad),
        _ => return Err(BadCommand::UnknownParameter(Verb::Mail)),
    }
    Ok(())
}

fn parse_rcpt(arguments: &str) -> Result<Rcpt, BadCommand> {
    let (to, parameters) = parse_path(Verb::Rcpt, "TO:", arguments)?;
    if to == Path::Null {
        return Err(BadCommand::Path(Verb::Rcpt, BadAddress::EmptyLocalPart));
    }
    let mut rcpt = Rcpt { to, notify: Notify::DEFAULT, original: None };
    let mut seen = Vec::new();
    for parameter in parameters.split_ascii_whitespace() {
        let bad = BadCommand::BadParameter(Verb::Rcpt);
        let (name, value) = unseen(Verb::Rcpt, parameter, &mut seen)?;
        if name.eq_ignore_ascii_case("NOTIFY") {
            rcpt.notify = value.and_then(parse_notify).ok_or(bad)?;
        } else if name.eq_ignore_ascii_case("ORCPT") {
            rcpt.original = Some(value.and_then(parse_original).ok_or(bad)?);
        } else {
            return Err(BadCommand::UnknownParameter(Verb::Rcpt));
        }
    }
    Ok(rcpt)
}

/// Name and value of a parameter that has not come before.
fn unseen<'a>(
    verb: Verb,
    parameter: &'a str,
    seen: &mut Vec<&'a str>,
) -> Result<(&'a str, Option<&'a str>), BadCommand> {
    let (name, value) = match parameter.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (parameter, None),
    };
    if seen.iter().any(|s| s.eq_ignore_ascii_case(name)) {
        return Err(BadCommand::BadParameter(verb));
    }
    seen.push(name);
    Ok((name, value))
}

fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then_some(text)
}

/// BINARYMIME is not offered: lines are what POP and IMAP clients expect.
fn parse_body(value: &str) -> Option<BodyKind> {
    match value {
        v if v.eq_ignore_ascii_case("7BIT") => Some(BodyKind::SevenBit),
        v if v.eq_ignore_ascii_case("8BITMIME") => Some(BodyKind::EightBitMime),
        _ => None,
    }
}

fn parse_ret(value: &str) -> Option<Return> {
    match value {
        v if v.eq_ignore_ascii_case("FULL") => Some(Return::Full),
        v if v.eq_ignore_ascii_case("HDRS") => Some(Return::Headers),
        _ => None,
    }
}

/// RFC 3461 4.1: NEVER stands alone.
fn parse_notify(value: &str) -> Option<Notify> {
    let mut notify = Notify::NEVER;
    if value.eq_ignore_ascii_case("NEVER") {
        return Some(notify);
    }
    for word in value.split(',') {
        match word {
            w if w.eq_ignore_ascii_case("SUCCESS") => notify.success = true,
            w if w.eq_ignore_ascii_case("FAILURE") => notify.failure = true,
            w if w.eq_ignore_ascii_case("DELAY") => notify.delay = true,
            _ => return None,
        }
    }
    Some(notify)
}

/// RFC 3461 4.2: `rfc822;joe@example.org`.
fn parse_original(value: &str) -> Option<Box<str>> {
    let (kind, _) = value.split_once(';')?;
    let is_atom = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if is_atom { xtext::decode(value, MAX_ORCPT) } else { None }
}

/// The path after `FROM:` or `TO:`, and the parameters behind it.
fn parse_path<'a>(verb: Verb, keyword: &str, arguments: &'a str) -> Result<(Path, &'a str), BadCommand> {
    let head = arguments.get(..keyword.len()).filter(|head| head.eq_ignore_ascii_case(keyword));
    let rest = head.and_then(|_| arguments.get(keyword.len()..)).ok_or(BadCommand::Arguments(verb))?;
    let rest = rest.trim_start_matches([' ', '\t']);
    let (inner, parameters) = match rest.strip_prefix('<') {
        Some(bracketed) => split_unquoted(bracketed, '>').ok_or(BadCommand::Arguments(verb))?,
        None if rest.is_empty() => return Err(BadCommand::Arguments(verb)),
        None => split_unquoted(rest, ' ').unwrap_or((rest, "")),
    };
    if rest.starts_with('<') && !parameters.is_empty() && !parameters.starts_with([' ', '\t']) {
        return Err(BadCommand::Arguments(verb));
    }
    let path = address_or_local(inner).map_err(|why| BadCommand::Path(verb, why))?;
    Ok((path, parameters))
}

/// Splits at the first `end` that is not within quotes.
fn split_unquoted(text: &str, end: char) -> Option<(&str, &str)> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == end && !quoted => {
                return text.split_at_checked(at).map(|(a, b)| (a, &b[end.len_utf8()..]));
            }
            _ => {}
        }
    }
    None
}

fn address_or_local(inner: &str) -> Result<Path, BadAddress> {
    if inner.is_empty() {
        return Ok(Path::Null);
    }
    let mailbox = match inner.strip_prefix('@') {
        Some(route) => after_route(route)?,
        None => inner,
    };
    let is_local = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c) || !c.is_ascii();
    if !mailbox.contains(['@', '"']) && mailbox.chars().all(is_local) {
        let fits = mailbox.len() <= MAX_LOCAL_PART;
        return if fits { Ok(Path::Local(mailbox.into())) } else { Err(BadAddress::LongLocalPart) };
    }
    Address::parse(mailbox).map(Path::Address)
}

/// RFC 5321 4.1.2 A-d-l: `a.example,@b.example:` before the mailbox.
fn after_route(route: &str) -> Result<&str, BadAddress> {
    let (hops, mailbox) = route.split_once(':').ok_or(BadAddress::BadLocalPart)?;
    for hop in hops.split(',') {
        Domain::parse(hop.strip_prefix('@').unwrap_or(hop))?;
    }
    if mailbox.is_empty() { Err(BadAddress::EmptyLocalPart) } else { Ok(mailbox) }
}

#[cfg(test)]
mod tests;
