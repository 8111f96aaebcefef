//! `imboxrestore`: a mailbox as it was some minutes ago, from what the running store has kept.

use super::mailbox;
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::output::{Column, Layout, Listing};
use env::clock::Clock;
use roles::whole::{Restore, RestoreInto};
use std::time::Duration;

/// The row.
pub const COMMAND: Command = Command {
    name: "imboxrestore",
    aliases: &[],
    group: Group::Mailboxes,
    summary: "Restores a mailbox as it was some time ago",
    about: "Brings back what was deleted from a mailbox since a moment that is not longer ago than \
            restoreWindowInMinutes, while mail comes in and sessions go on. Messages that are not in their folder any \
            more go back into it, with the flags that they had; what is there stays as it is. With -into, the whole \
            mailbox as it was at that moment is made below a folder, and nothing else changes. No backup is needed; for \
            what is longer ago see imdbmsgbackup.",
    usage: &["[-dry-run] [-json] -minutes N [-into FOLDER] USER@DOMAIN"],
    options: &[
        Opt {
            name: "minutes",
            value: Some("N"),
            help: "As it was this many minutes ago; 0.5 is half a minute",
        },
        Opt { name: "into", value: Some("FOLDER"), help: "Below this folder instead of where it was" },
        Opt { name: "dry-run", value: None, help: "Only count what would go back into its place" },
        Opt { name: "n", value: None, help: "The same as -dry-run" },
    ],
    words: &[Word {
        name: "USER@DOMAIN",
        count: Count::One,
        help: "An address, alias or login name of the account",
    }],
    examples: &[
        Example { line: "imboxrestore -minutes 20 -n user@example.org", does: "Says what has gone since" },
        Example {
            line: "imboxrestore -minutes 20 -into Restored user@example.org",
            does: "Puts the mailbox as it was below the folder Restored",
        },
    ],
    exits: &[(1, "it was not restored, or not all of it")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

const COLUMNS: &[Column] = &[
    Column { title: "Folders", key: "folders" },
    Column { title: "Messages", key: "messages" },
    Column { title: "Bytes", key: "bytes" },
    Column { title: "Unchanged", key: "unchanged" },
];

async fn run(context: &mut Context) -> Outcome {
    let ago = minutes(context.arguments.value("minutes").unwrap_or_default())?;
    let dry = context.arguments.has("dry-run") || context.arguments.has("n");
    let into = match (dry, context.arguments.value("into")) {
        (true, Some(_)) => return Err(Failure::Usage("-dry-run does not go with -into".into())),
        (true, None) => RestoreInto::Nowhere,
        (false, Some(folder)) => RestoreInto::Below(folder.to_owned()),
        (false, None) => RestoreInto::Place,
    };
    let mailbox = mailbox::account(context).await?.mailbox;
    let restore = Restore { mailbox, at: Clock::system().now().minus(ago), into };
    let done = context.roles()?.maintenance.mailbox_restore(&context.call().for_long_work(), restore).await;
    let done = done.map_err(Failure::because)?;
    let mut listing = Listing::new(COLUMNS, Layout::Table);
    let cells = [done.folders.into(), done.messages.into(), done.bytes.into(), done.unchanged.into()];
    listing.row(&mut context.console, cells).await?;
    listing.end(&mut context.console).await?;
    Ok(Exit::OK)
}

/// How long ago: more than nothing, in minutes or parts of them.
fn minutes(text: &str) -> Result<Duration, Failure> {
    let minutes = text.parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0 && *n < 1e6);
    let minutes = minutes.ok_or_else(|| Failure::Usage("give -minutes N, a number above 0".into()))?;
    Ok(Duration::from_secs_f64(minutes * 60.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::roles::Double;
    use crate::testing::run;

    #[tokio::test]
    async fn where_it_goes_is_what_was_asked() {
        for (line, expected) in [("-n ", "Nowhere"), ("-into Old ", "Below(\"Old\")"), ("", "Place")] {
            let double = Double::default();
            let line = format!("imboxrestore -minutes 0.5 {line}user@example.org");
            let done = run(&line).with_roles(double.clone()).done().await;
            assert_eq!(done.exit, Exit::OK, "{}", done.errors());
            assert!(double.asked_of_whole()[0].contains(expected), "{:?}", double.asked_of_whole());
        }
    }

    #[tokio::test]
    async fn a_moment_must_be_given() {
        let double = Double::default();
        for line in ["", "-minutes 0", "-minutes -3", "-minutes x", "-minutes inf", "-minutes 1 -n -into a"] {
            let done =
                run(&format!("imboxrestore {line} user@example.org")).with_roles(double.clone()).done().await;
            assert_eq!(done.exit, Exit::USAGE, "{line}");
        }
        assert!(double.asked_of_whole().is_empty());
    }
}
