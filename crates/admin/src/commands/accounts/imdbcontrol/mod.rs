//! `imdbcontrol`: accounts, addresses, domains and classes of service, one command at a time or many.

mod answer;
mod batch;
mod parse;
mod print;
mod table;
mod words;

use crate::command::{Command, Count, Example, Exit, Grammar, Group, Outcome, Place, Word};
use crate::context::{Context, Failure};
use answer::Answers;
use table::ABOUT;

/// The row.
pub const COMMAND: Command = Command {
    name: "imdbcontrol",
    aliases: &[],
    group: Group::Directory,
    summary: "Creates, changes and lists accounts, domains and classes of service",
    about: ABOUT,
    usage: &["[--json] SUBCOMMAND [ARGUMENT...]", "[--json] -", "[--json] FILE", "help [SUBCOMMAND]"],
    options: &[],
    words: &[
        Word {
            name: "SUBCOMMAND",
            count: Count::One,
            help: "What to do; - reads standard input, FILE a file",
        },
        Word { name: "ARGUMENT", count: Count::Any, help: "What the sub-command takes" },
    ],
    examples: &[
        Example {
            line: "imdbcontrol ca testman venus 432234 testman testman clear software.com A S default",
            does: "Creates an account that logs in as testman with the password testman",
        },
        Example {
            line: "imdbcontrol ca anna - - anna secret clear example.org",
            does: "Lets the system choose",
        },
        Example {
            line: "imdbcontrol sca default pref_imapsslaccess none",
            does: "Sets a value for a whole class",
        },
        Example {
            line: "imdbcontrol --json gaf testman software.com",
            does: "Shows everything about an account",
        },
        Example { line: "imdbcontrol - <accounts", does: "Carries out every line of standard input" },
    ],
    exits: &[(1, "a command failed; the others were carried out")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::OptionsFirst,
    run: |context| Box::pin(run(context)),
};

/// The file that the command line names as a batch: it is read where the command was started.
pub fn batch_file(words: &[String]) -> Option<&str> {
    match words {
        [only] if only != "-" && table::find(only).is_none() => Some(only),
        _ => None,
    }
}

async fn run(context: &mut Context) -> Outcome {
    let words = context.arguments.words().to_vec();
    let Some((name, rest)) = words.split_first() else {
        return Err(Failure::Usage("SUBCOMMAND is missing".into()));
    };
    if name == "-" || batch_file(&words).is_some() {
        return batch::run(context).await;
    }
    let sub = table::find(name).ok_or_else(|| Failure::With(Exit::USAGE, unknown(name)))?;
    let act = sub.read(rest).map_err(|reason| {
        Failure::With(Exit::USAGE, format!("{reason}\nusage: imdbcontrol {} {}", sub.name, sub.takes))
    })?;
    let roles = context.roles()?.clone();
    let call = context.call();
    match Answers::alone(&mut context.console).act(&roles, &call, act).await? {
        Ok(()) => Ok(Exit::OK),
        Err(reason) => Err(Failure::because(format!("{}: {reason}", sub.name))),
    }
}

fn unknown(name: &str) -> String {
    format!("there is no sub-command {name}: imdbcontrol help lists them all")
}

#[cfg(test)]
mod tests;
