//! The command line of `sendmail`, as programs have used it for decades: options with their values behind them or
//! apart, several letters of no further meaning. Pure.

use mail::envelope::{Notify, Return};

/// Longest envelope id. RFC 3461 4.4.
const MAX_ENVELOPE_ID: usize = 100;

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Options {
    /// `-t`: recipients stand in the header, too.
    pub(super) from_header: bool,
    /// `-f`, `-r`: the envelope sender as given; empty: nobody.
    pub(super) sender: Option<String>,
    /// `-F`: the full name for a From field that is missing.
    pub(super) full_name: Option<String>,
    /// What a line with a single dot means.
    pub(super) dot: Dot,
    /// `-N`.
    pub(super) notify: Option<Notify>,
    /// `-R`.
    pub(super) ret: Option<Return>,
    /// `-V`.
    pub(super) envelope_id: Option<Box<str>>,
    /// The recipients, as given.
    pub(super) recipients: Vec<String>,
    /// What is to be done.
    pub(super) mode: Mode,
}

/// A line with a single dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Dot {
    /// Ends the message.
    #[default]
    Ends,
    /// Is text (`-i`, `-oi`).
    Text,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Mode {
    /// Read a message and hand it in (`-bm`).
    #[default]
    Deliver,
    /// Rebuild the alias table (`-bi`, `-I`): the directory has no such table, so there is nothing to do.
    Aliases,
}

/// Reads the command line.
///
/// # Errors
/// The first option that is not understood, in words.
pub(super) fn parse(words: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match word.strip_prefix('-') {
            _ if word == "--" => {
                options.recipients.extend(rest.by_ref().cloned());
            }
            None | Some("") => options.recipients.push(word.clone()),
            Some(letters) => letter(&mut options, letters, &mut rest)?,
        }
    }
    Ok(options)
}

/// One option: its letter and what is behind it.
fn letter(
    options: &mut Options,
    letters: &str,
    rest: &mut std::slice::Iter<'_, String>,
) -> Result<(), String> {
    let mut chars = letters.chars();
    let letter = chars.next().unwrap_or_default();
    let behind = chars.as_str();
    let mut value = || match behind {
        "" => rest.next().cloned().ok_or_else(|| format!("option -{letter} needs a value")),
        behind => Ok(behind.to_owned()),
    };
    match letter {
        'f' | 'r' => options.sender = Some(value()?),
        'F' => options.full_name = Some(value()?),
        'N' => options.notify = Some(notify(&value()?)?),
        'R' => options.ret = Some(ret(&value()?)?),
        'V' => options.envelope_id = Some(envelope_id(value()?)?),
        'o' => setting(options, &value()?),
        'b' => options.mode = mode(&value()?)?,
        'I' => options.mode = Mode::Aliases,
        // What these say (body type, configuration, hop count, label, trace file, protocol) is found out or
        // configured elsewhere.
        'B' | 'C' | 'h' | 'L' | 'X' | 'O' | 'p' | 'd' => {
            value()?;
        }
        // These may stand together, as in -it.
        't' | 'i' | 'v' | 'n' | 'm' | 'G' | 'U' | 'e' => return flags(options, letter, letters),
        _ => return Err(format!("unknown option -{letters}")),
    }
    Ok(())
}

fn flags(options: &mut Options, first: char, letters: &str) -> Result<(), String> {
    if first == 'e' {
        // -em, -ep, -eq: how errors are told. They are always told by text and exit code.
        return Ok(());
    }
    for letter in letters.chars() {
        match letter {
            't' => options.from_header = true,
            'i' => options.dot = Dot::Text,
            'v' | 'n' | 'm' | 'G' | 'U' => {}
            _ => return Err(format!("unknown option -{letters}")),
        }
    }
    Ok(())
}

/// `-oi`, `-oem`, `-odb`, ...: only the first says anything that matters here.
fn setting(options: &mut Options, text: &str) {
    if text == "i" {
        options.dot = Dot::Text;
    }
}

fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "m" => Ok(Mode::Deliver),
        "i" => Ok(Mode::Aliases),
        _ => Err(format!(
            "mode -b{text} is not supported; hand in a message, or speak SMTP to the port of the MTA"
        )),
    }
}

/// RFC 3461 4.1.
fn notify(text: &str) -> Result<Notify, String> {
    if text.eq_ignore_ascii_case("never") {
        return Ok(Notify::NEVER);
    }
    let mut notify = Notify::NEVER;
    for word in text.split(',') {
        match word.to_ascii_lowercase().as_str() {
            "success" => notify.success = true,
            "failure" => notify.failure = true,
            "delay" => notify.delay = true,
            _ => return Err(format!("-N {text} is none of never, success, failure, delay")),
        }
    }
    Ok(notify)
}

/// RFC 3461 4.3.
fn ret(text: &str) -> Result<Return, String> {
    match text.to_ascii_lowercase().as_str() {
        "full" => Ok(Return::Full),
        "hdrs" => Ok(Return::Headers),
        _ => Err(format!("-R {text} is neither full nor hdrs")),
    }
}

fn envelope_id(text: String) -> Result<Box<str>, String> {
    match !text.is_empty() && text.len() <= MAX_ENVELOPE_ID && !text.chars().any(char::is_control) {
        true => Ok(text.into_boxed_str()),
        false => Err(format!("-V takes 1 to {MAX_ENVELOPE_ID} characters")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_understood_glued_and_apart() {
        let options =
            read("-t -oi -fme@x -F Name -odb -em -N success,delay -R full -V id1 -v a@b -- -c@d").unwrap();
        let expected = Options {
            from_header: true,
            sender: Some("me@x".into()),
            full_name: Some("Name".into()),
            dot: Dot::Text,
            notify: Some(Notify { success: true, failure: false, delay: true }),
            ret: Some(Return::Full),
            envelope_id: Some("id1".into()),
            recipients: vec!["a@b".into(), "-c@d".into()],
            mode: Mode::Deliver,
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn flags_may_stand_together_and_senders_be_empty() {
        let options = read("-it -f <> x").unwrap();
        assert!(options.from_header && options.dot == Dot::Text);
        assert_eq!(options.sender.as_deref(), Some("<>"));
        assert_eq!(parse(&["-f".into(), String::new()]).unwrap().sender.as_deref(), Some(""));
        assert_eq!(read("-bi").unwrap().mode, Mode::Aliases);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (line, why) in [
            ("-Z", "unknown option -Z"),
            ("-tZ", "unknown option -tZ"),
            ("-f", "option -f needs a value"),
            ("-bs", "mode -bs is not supported"),
            ("-N sometimes", "-N sometimes is none of"),
            ("-R all", "-R all is neither"),
        ] {
            assert!(read(line).unwrap_err().starts_with(why), "{line}");
        }
        assert!(parse(&["-V".into(), "x".repeat(101)]).is_err());
    }
}
