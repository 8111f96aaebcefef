//! A command line, read by the row of its command. Pure: nothing is run and nothing is looked up.

use crate::command::{COMMON, Command, Count, Grammar, Opt};

/// Most bytes of a command line, all arguments together: what is more comes by standard input.
pub const MAX_COMMAND_LINE: usize = 256 * 1024;

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// The command's text.
    Help,
    /// The product's version.
    Version,
    /// The command itself.
    Run(Arguments),
}

/// The options and arguments of one run. Their names were checked when the line was read, so asking for one that
/// the row does not have is a fault of the command: it answers as if the option had not been given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments {
    options: Vec<(&'static str, String)>,
    words: Vec<String>,
}

/// Why a command line was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// More than [`MAX_COMMAND_LINE`].
    #[error("the command line is longer than 256 KB")]
    TooLong,
    /// No such option.
    #[error("unknown option {0}")]
    UnknownOption(String),
    /// The option needs a value.
    #[error("option -{0} needs a value: {1}")]
    NoValue(&'static str, &'static str),
    /// The option has no value.
    #[error("option -{0} takes no value")]
    Value(&'static str),
    /// An argument is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// One argument too many.
    #[error("unexpected argument {0}")]
    TooMany(String),
}

impl Arguments {
    /// Whether an option stands on the line.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|(name, _)| *name == option)
    }

    /// The value of an option; the last one, if it stands more than once.
    pub fn value(&self, option: &str) -> Option<&str> {
        self.options.iter().rev().find(|(name, _)| *name == option).map(|(_, value)| value.as_str())
    }

    /// All values of an option, in order.
    pub fn values<'a>(&'a self, option: &'a str) -> impl Iterator<Item = &'a str> {
        self.options.iter().filter(move |(name, _)| *name == option).map(|(_, value)| value.as_str())
    }

    /// The arguments beside the options.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The argument at this place.
    pub fn word(&self, at: usize) -> Option<&str> {
        self.words.get(at).map(String::as_str)
    }
}

/// Reads a command line, given without the name of the command.
///
/// # Errors
/// The first thing that the row does not allow.
pub fn read(row: &'static Command, line: &[String]) -> Result<Asked, BadLine> {
    if line.iter().map(|text| text.len() + 1).sum::<usize>() > MAX_COMMAND_LINE {
        return Err(BadLine::TooLong);
    }
    let mut reader = Reader { row, rest: line.iter(), found: Arguments::default(), options: true };
    while let Some(text) = reader.rest.next() {
        if let Some(asked) = reader.take(text)? {
            return Ok(asked);
        }
    }
    check_count(row, &reader.found.words)?;
    Ok(Asked::Run(reader.found))
}

struct Reader<'a> {
    row: &'static Command,
    rest: std::slice::Iter<'a, String>,
    found: Arguments,
    /// Whether a dash still begins an option.
    options: bool,
}

impl Reader<'_> {
    fn take(&mut self, text: &str) -> Result<Option<Asked>, BadLine> {
        let Some((name, value)) = self.as_option(text) else {
            let ends = text == "--" && self.options;
            if !ends || self.row.grammar == Grammar::Own {
                self.found.words.push(text.to_owned());
            }
            self.options &= !ends && self.row.grammar != Grammar::OptionsFirst;
            return Ok(None);
        };
        match self.find(name) {
            None if self.row.grammar == Grammar::Own => {
                self.found.words.push(text.to_owned());
                Ok(None)
            }
            None => Err(BadLine::UnknownOption(text.to_owned())),
            Some(opt) => self.option(opt, value),
        }
    }

    /// The name and the value behind `=`, where the text is an option at this place.
    fn as_option<'t>(&self, text: &'t str) -> Option<(&'t str, Option<&'t str>)> {
        if text == "--json" && !self.options && self.row.grammar == Grammar::OptionsFirst {
            return Some(("json", None));
        }
        let name = text.strip_prefix("--").or_else(|| text.strip_prefix('-'))?;
        if !self.options || name.is_empty() {
            return None;
        }
        Some(name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value))))
    }

    /// The command's own options come first: `-h` may be a host, and `-help` may take a key.
    fn find(&self, name: &str) -> Option<Opt> {
        let common = |name: &str| COMMON.iter().find(|opt| opt.name == name).copied();
        if self.row.grammar == Grammar::Own {
            return common(name).filter(|opt| opt.name != "json");
        }
        let own = self.row.options.iter().find(|opt| opt.name == name).copied();
        own.or_else(|| common(if name == "?" { "help" } else { name }))
    }

    fn option(&mut self, opt: Opt, value: Option<&str>) -> Result<Option<Asked>, BadLine> {
        let value = match (opt.value, value) {
            (None, None) => String::new(),
            (None, Some(_)) => return Err(BadLine::Value(opt.name)),
            (Some(_), Some(value)) => value.to_owned(),
            // An own `-help KEY` without its value is the common one.
            (Some(what), None) => match self.rest.next() {
                Some(value) => value.clone(),
                None if opt.name == "help" => return Ok(Some(Asked::Help)),
                None => return Err(BadLine::NoValue(opt.name, what)),
            },
        };
        match (opt.name, opt.value) {
            ("help", None) => return Ok(Some(Asked::Help)),
            ("version", None) => return Ok(Some(Asked::Version)),
            _ => self.found.options.push((opt.name, value)),
        }
        Ok(None)
    }
}

/// Whether the number of arguments is one that the row allows.
fn check_count(row: &Command, words: &[String]) -> Result<(), BadLine> {
    if row.grammar == Grammar::Own {
        return Ok(());
    }
    let mut given = words.iter();
    for word in row.words {
        match (word.count, given.next()) {
            (Count::One | Count::Some, None) => return Err(BadLine::Missing(word.name)),
            (Count::Any | Count::Some, _) => return Ok(()),
            (Count::One | Count::Optional, _) => {}
        }
    }
    given.next().map_or(Ok(()), |text| Err(BadLine::TooMany(text.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Exit, Group, Place, Word};

    const ROW: Command = Command {
        name: "imtest",
        aliases: &[],
        group: Group::General,
        summary: "Tests",
        about: "",
        usage: &["[-folder NAME] USER [ID...]"],
        options: &[
            Opt { name: "folder", value: Some("NAME"), help: "A folder" },
            Opt { name: "all", value: None, help: "All" },
        ],
        words: &[
            Word { name: "USER", count: Count::One, help: "Who" },
            Word { name: "ID", count: Count::Any, help: "Which" },
        ],
        examples: &[],
        exits: &[],
        place: Place::Here,
        unavailable: Exit::FAILED,
        grammar: Grammar::Mixed,
        run: |_| Box::pin(async { Ok(Exit::OK) }),
    };
    static MIXED: Command = ROW;
    static FIRST: Command = Command { grammar: Grammar::OptionsFirst, ..ROW };
    static OWN: Command = Command { grammar: Grammar::Own, ..ROW };
    static HELP: Command = Command {
        options: &[Opt { name: "help", value: Some("KEY"), help: "" }],
        words: &[Word { name: "KEY", count: Count::Optional, help: "" }],
        ..ROW
    };

    fn line(row: &'static Command, text: &str) -> Result<Asked, BadLine> {
        read(row, &text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn run(row: &'static Command, text: &str) -> Arguments {
        match line(row, text) {
            Ok(Asked::Run(arguments)) => arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_stand_anywhere_with_one_dash_or_two() {
        let found = run(&MIXED, "a@b -folder Sent x --folder=Drafts --json -all -- -y");
        assert_eq!(found.words(), ["a@b", "x", "-y"]);
        assert_eq!(found.values("folder").collect::<Vec<_>>(), ["Sent", "Drafts"]);
        assert_eq!(found.value("folder"), Some("Drafts"));
        assert!(found.has("all") && found.has("json") && !found.has("site"));
    }

    #[test]
    fn what_the_row_does_not_allow_is_named() {
        assert_eq!(line(&MIXED, "a -bogus"), Err(BadLine::UnknownOption("-bogus".into())));
        assert_eq!(line(&MIXED, "a -folder"), Err(BadLine::NoValue("folder", "NAME")));
        assert_eq!(line(&MIXED, "a -all=1"), Err(BadLine::Value("all")));
        assert_eq!(line(&MIXED, "-all"), Err(BadLine::Missing("USER")));
        assert_eq!(line(&HELP, "a b"), Err(BadLine::TooMany("b".into())));
        assert_eq!(read(&MIXED, &["x".repeat(MAX_COMMAND_LINE)]), Err(BadLine::TooLong));
    }

    #[test]
    fn help_and_version_win_over_what_is_missing() {
        for text in ["-help", "--help", "-?", "a -help -bogus"] {
            assert_eq!(line(&MIXED, text), Ok(Asked::Help), "{text}");
        }
        assert_eq!(line(&MIXED, "-version"), Ok(Asked::Version));
        assert_eq!(line(&OWN, "--help"), Ok(Asked::Help));
    }

    #[test]
    fn an_own_help_takes_its_value() {
        assert_eq!(line(&HELP, "-help"), Ok(Asked::Help));
        assert_eq!(run(&HELP, "-help maxMessageSize").value("help"), Some("maxMessageSize"));
    }

    #[test]
    fn arguments_may_begin_with_a_dash_where_options_come_first() {
        let found = run(&FIRST, "--json ca -432 - -all");
        assert_eq!(found.words(), ["ca", "-432", "-", "-all"]);
        assert!(found.has("json"));
        assert!(run(&FIRST, "la --json").has("json"));
        assert_eq!(run(&FIRST, "-").words(), ["-"]);
        assert_eq!(line(&FIRST, "-bogus la"), Err(BadLine::UnknownOption("-bogus".into())));
    }

    #[test]
    fn a_command_that_reads_its_line_itself_gets_all_of_it() {
        let found = run(&OWN, "--site /s -all -t -folder -fme@x -- a@b");
        assert_eq!(found.words(), ["-all", "-t", "-folder", "-fme@x", "--", "a@b"]);
        assert_eq!(found.value("site"), Some("/s"));
    }
}
