//! `imimapboxcopy`: copies a mailbox with folders, flags and UIDs, and its autoreply (ITS 43454).

use super::imboxmove::print;
use super::mailbox;
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Outcome, Place, Word};
use crate::context::{Context, Failure};
use std::sync::Arc;

/// The row.
pub const COMMAND: Command = Command {
    name: "imimapboxcopy",
    aliases: &["imimapcopy"],
    group: Group::Mailboxes,
    summary: "Copies a mailbox to the mailbox of another account",
    about: "Makes the mailbox of the second account a copy of that of the first as it is at one moment: folders, \
            messages, flags, UIDs, subscriptions and autoreply. The second mailbox must have no messages; what else it \
            has goes. Both can be used meanwhile; changes to the first wait for a moment at the end. Quotas are those \
            of each account's class.",
    usage: &["[-json] FROM TO"],
    options: &[],
    words: &[
        Word { name: "FROM", count: Count::One, help: "The account whose mailbox is copied" },
        Word { name: "TO", count: Count::One, help: "The account whose mailbox becomes the copy" },
    ],
    examples: &[Example {
        line: "imimapboxcopy old@example.org new@example.org",
        does: "Gives new@example.org all that old@example.org has",
    }],
    exits: &[(1, "the mailbox was not copied")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    let hosts = Arc::clone(&context.roles()?.hosts);
    let from = mailbox::account(context).await?;
    let name = context.arguments.word(1).unwrap_or_default().to_owned();
    let to = mailbox::account_named(context, name).await?;
    if from.home != to.home && !(hosts.is_here(&from.home) && hosts.is_here(&to.home)) {
        let (one, other) = (from.home, to.home);
        return Err(Failure::because(format!("the mailboxes are on different hosts, {one} and {other}")));
    }
    let (from, to) = (from.mailbox, to.mailbox);
    if from == to {
        return Err(Failure::because("both names are the same mailbox"));
    }
    let copied = context.roles()?.maintenance.mailbox_copy(&context.call().for_long_work(), from, to).await;
    print(context, copied.map_err(Failure::because)?).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::roles::Double;
    use crate::testing::run;

    #[tokio::test]
    async fn a_mailbox_is_not_copied_over_itself() {
        let double = Double::default();
        let same =
            run("imimapboxcopy user@example.org user@example.org").with_roles(double.clone()).done().await;
        assert_eq!(same.exit, Exit::FAILED);
        assert!(same.errors().contains("the same mailbox"), "{}", same.errors());
        assert!(double.asked_of_whole().is_empty());
    }
}
