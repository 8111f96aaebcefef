//! `imboxmove`: moves a mailbox to another shard while it is used (ITS 8788, 19136, 22229, 25086, 43493).

use super::mailbox;
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::output::{Column, Layout, Listing};
use roles::whole::Moved;

/// The row.
pub const COMMAND: Command = Command {
    name: "imboxmove",
    aliases: &[],
    group: Group::Mailboxes,
    summary: "Moves a mailbox to another shard of the message store",
    about: "Moves the mailbox of an account with all that it has: folders, messages, flags, UIDs, subscriptions, \
            autoreply, and what restoreWindowInMinutes keeps. It works while mail comes in and sessions have the mailbox \
            open: they go on without noticing. Changes wait for a moment at the end, which is printed. The copy is \
            compared with the original before one commit decides; then the original is removed. Where it fails, the \
            mailbox is where it was.",
    usage: &["[-json] USER@DOMAIN SHARD"],
    options: &[],
    words: &[
        Word {
            name: "USER@DOMAIN",
            count: Count::One,
            help: "An address, alias or login name of the account",
        },
        Word { name: "SHARD", count: Count::One, help: "The number of the shard, from 0" },
    ],
    examples: &[Example { line: "imboxmove user@example.org 1", does: "Moves the mailbox to shard 1" }],
    exits: &[(1, "the mailbox was not moved")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

const COLUMNS: &[Column] = &[
    Column { title: "From", key: "from" },
    Column { title: "To", key: "to" },
    Column { title: "Bodies", key: "bodies" },
    Column { title: "Bytes", key: "bytes" },
    Column { title: "Pause in ms", key: "pause_ms" },
];

async fn run(context: &mut Context) -> Outcome {
    let shard = context.arguments.word(1).unwrap_or_default();
    let shard = shard.parse().map_err(|_| Failure::Usage(format!("{shard} is no number of a shard")))?;
    let account = mailbox::account(context).await?;
    let moved = context
        .roles()?
        .maintenance
        .mailbox_move(&context.call().for_long_work(), account.mailbox, shard)
        .await;
    print(context, moved.map_err(Failure::because)?).await
}

/// Says what a move or a copy did.
pub(super) async fn print(context: &mut Context, moved: Moved) -> Outcome {
    let mut listing = Listing::new(COLUMNS, Layout::Table);
    let pause = u64::try_from(moved.pause.as_millis()).unwrap_or(u64::MAX);
    let cells = [
        u64::from(moved.from).into(),
        u64::from(moved.to).into(),
        moved.bodies.into(),
        moved.bytes.into(),
        pause.into(),
    ];
    listing.row(&mut context.console, cells).await?;
    listing.end(&mut context.console).await?;
    Ok(Exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::roles::Double;
    use crate::testing::run;

    #[tokio::test]
    async fn the_mailbox_of_the_account_is_moved_and_the_pause_is_said() {
        let double = Double::default();
        let moved = run("imboxmove user@example.org 1").with_roles(double.clone()).done().await;
        assert_eq!(moved.exit, Exit::OK);
        assert!(
            moved.output().contains("Pause in ms") && moved.output().contains("12"),
            "{}",
            moved.output()
        );
        assert!(double.asked_of_whole()[0].ends_with("to 1"));
    }

    #[tokio::test]
    async fn what_is_refused_is_said_with_the_reason() {
        let double = Double::default();
        let refused = run("imboxmove user@example.org 9").with_roles(double.clone()).done().await;
        assert_eq!(
            (refused.exit, refused.errors().as_str()),
            (Exit::FAILED, "imboxmove: there are shards 0 to 1\n")
        );
        let wrong = run("imboxmove user@example.org one").with_roles(double.clone()).done().await;
        assert_eq!(wrong.exit, Exit::USAGE);
        assert_eq!(double.asked_of_whole().len(), 1);
    }
}
