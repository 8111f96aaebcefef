//! What a command is: a row of data and a function.
//!
//! The row says all that a user can be told without running anything; [`crate::arguments`] reads a command line
//! by it and [`crate::render`] turns it into text. A row holds no behaviour.

use crate::arguments::Arguments;
use crate::context::{Context, Failure};
use std::future::Future;
use std::pin::Pin;

/// One command.
pub struct Command {
    /// Its name, as it is typed.
    pub name: &'static str,
    /// Other names that mean the same, such as misprints that became habits.
    pub aliases: &'static [&'static str],
    /// The chapter it stands in.
    pub group: Group,
    /// One line for lists, without a full stop.
    pub summary: &'static str,
    /// One paragraph or several (parted by an empty line) for the manual.
    pub about: &'static str,
    /// The forms of the command line, without the name.
    pub usage: &'static [&'static str],
    /// Its own options; [`COMMON`] ones are understood by all.
    pub options: &'static [Opt],
    /// What stands beside the options, in order.
    pub words: &'static [Word],
    /// Worked examples; every command has at least one.
    pub examples: &'static [Example],
    /// What exit codes mean beyond [`EXITS`].
    pub exits: &'static [(u8, &'static str)],
    /// Where it runs.
    pub place: Place,
    /// The exit code where it could not even begin: the site cannot be opened, the daemon is lost.
    pub unavailable: Exit,
    /// How its command line is read.
    pub grammar: Grammar,
    /// Does it.
    pub run: Run,
}

/// The chapters of the reference, in their order there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Starting, stopping, looking at servers.
    Servers,
    /// The configuration tree.
    Configuration,
    /// Accounts, addresses, domains, classes of service.
    Directory,
    /// Mailboxes and messages.
    Mailboxes,
    /// The message store as a whole.
    Store,
    /// Backups of the site and of its mail.
    Backup,
    /// Handing in and queueing mail.
    Mail,
    /// Looking after the site.
    Monitoring,
    /// About the commands themselves.
    General,
}

impl Group {
    /// The heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Servers => "Server control",
            Self::Configuration => "Configuration",
            Self::Directory => "Directory and provisioning",
            Self::Mailboxes => "Mailboxes and messages",
            Self::Store => "Message store",
            Self::Backup => "Backup",
            Self::Mail => "Mail",
            Self::Monitoring => "Monitoring",
            Self::General => "General",
        }
    }
}

/// An option. Both `-name` and `--name` are understood; with a value also `-name=VALUE`.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    /// Without the dash.
    pub name: &'static str,
    /// What stands for the value in texts; `None`: the option has none.
    pub value: Option<&'static str>,
    /// One sentence without a full stop.
    pub help: &'static str,
}

/// An argument beside the options.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    /// What stands for it in texts, in capitals.
    pub name: &'static str,
    /// How many there may be.
    pub count: Count,
    /// One sentence without a full stop.
    pub help: &'static str,
}

/// How often an argument stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Exactly once.
    One,
    /// Once or not at all.
    Optional,
    /// Any number, also none. Only for the last argument.
    Any,
    /// At least once. Only for the last argument.
    Some,
}

/// A worked example.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// The whole command line.
    pub line: &'static str,
    /// What it does, one sentence without a full stop.
    pub does: &'static str,
}

/// Where a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the process that was started: it needs files of the site at most.
    Here,
    /// In the daemon; with none running, here and without the roles: for commands whose answer then is
    /// "the site is down".
    Daemon,
    /// In the daemon; with none running, here over a site that is opened for this one command.
    Site,
    /// As [`Place::Site`], but as [`Place::Here`] where one of these options is given, also where the site that is named
    /// cannot be opened.
    SiteUnless(&'static [&'static str]),
}

impl Place {
    /// Whether this command line runs in the process that was started, whatever else is there.
    pub fn is_here(self, arguments: &Arguments) -> bool {
        match self {
            Self::Here => true,
            Self::SiteUnless(options) => options.iter().any(|option| arguments.has(option)),
            Self::Daemon | Self::Site => false,
        }
    }
}

/// How a command line is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grammar {
    /// Options and arguments in any order; `--` ends the options.
    Mixed,
    /// Options end at the first argument, so that arguments may begin with a dash; only `--json` is still seen.
    OptionsFirst,
    /// The command reads the line itself: every text after `--site`, `--help` and `--version` is an argument.
    Own,
}

/// What `run` comes to: the exit code, or why there is none of its own.
pub type Outcome = Result<Exit, Failure>;

/// A command at work.
pub type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// The function behind a row.
pub type Run = for<'a> fn(&'a mut Context) -> Running<'a>;

/// An exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// Everything that was asked for was done.
    pub const OK: Self = Self(0);
    /// Something was not done; it has been said what.
    pub const FAILED: Self = Self(1);
    /// The command line was wrong; nothing was done.
    pub const USAGE: Self = Self(2);
    /// The reader of the output has gone away: what a shell shows for SIGPIPE.
    pub const GONE: Self = Self(141);
}

/// Options that every command understands.
pub const COMMON: &[Opt] = &[
    Opt { name: "site", value: Some("DIR"), help: "The folder of the site, instead of $INTERMAIL" },
    Opt { name: "json", value: None, help: "Print JSON instead of text" },
    Opt { name: "help", value: None, help: "Print this text" },
    Opt { name: "version", value: None, help: "Print the product's version" },
];

/// What exit codes mean for every command.
pub const EXITS: &[(u8, &str)] = &[
    (0, "everything that was asked for was done"),
    (1, "something could not be done; standard error says what"),
    (2, "the command line was wrong; nothing was done"),
];
