//! `imboxcreate`: makes the mailbox of an account before its first mail.

use super::mailbox;
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::output::Format;
use roles::store::StoreError;
use serde_json::json;

/// The row.
pub const COMMAND: Command = Command {
    name: "imboxcreate",
    aliases: &[],
    group: Group::Mailboxes,
    summary: "Makes the mailbox of an account",
    about: "Makes the mailbox of an account in the message store, with its Inbox and the welcome message. Usually the \
            first mail or login does that; with createMboxes off, this command does. A mailbox that is there already \
            is left as it is. How much it may hold is not said here: quotas come from the class of service \
            (imdbcontrol SetCosAttribute COS totalBytes N, or SetAccountCos for one account).",
    usage: &["[-json] USER@DOMAIN"],
    options: &[Opt {
        name: "totalBytes",
        value: Some("N"),
        help: "Refused: quotas come from the class of service",
    }],
    words: &[
        Word {
            name: "USER@DOMAIN",
            count: Count::One,
            help: "An address, alias or login name of the account",
        },
        Word {
            name: "QUOTA",
            count: Count::Optional,
            help: "Refused: quotas come from the class of service",
        },
    ],
    examples: &[Example { line: "imboxcreate testman@software.com", does: "Makes the mailbox of testman" }],
    exits: &[],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    if context.arguments.has("totalBytes") || context.arguments.word(1).is_some() {
        // ITS 15068: it was taken and meant nothing.
        let why = "a quota cannot be given here: it comes from the class of service (imdbcontrol sca or sac, totalBytes)";
        return Err(Failure::Usage(why.into()));
    }
    let account = mailbox::account(context).await?;
    let store = &context.roles()?.store;
    let there = match store.folder_list(&context.call(), account.mailbox).await {
        Ok(_) => true,
        Err(StoreError::NoMailbox) => false,
        Err(error) => return Err(Failure::because(error)),
    };
    store.mailbox_create(&context.call(), account.mailbox).await.map_err(Failure::because)?;
    let (login, mailbox) = (account.login, account.mailbox);
    match context.console.format() {
        Format::Json => {
            let value = json!({ "login": login, "mailbox": mailbox.0, "made": !there });
            context.console.json(&value).await?;
        }
        Format::Text if there => {
            context.console.line(format!("{login}: mailbox {mailbox} is there already")).await?
        }
        Format::Text => context.console.line(format!("{login}: mailbox {mailbox} is made")).await?,
    }
    Ok(Exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::house::House;

    #[tokio::test]
    async fn a_mailbox_is_made_once() {
        let house = House::new().await;
        let mailbox = house.account("anna").await;
        assert_eq!(
            house.ok("imboxcreate anna@example.org").await,
            format!("anna@example.org: mailbox {mailbox} is made\n")
        );
        house.deliver(mailbox, "x", mail::time::Timestamp::default()).await;
        assert!(house.ok("imboxcreate anna@example.org").await.contains("is there already"));
        assert_eq!(house.inbox(mailbox).await, ["x"]);
        let value: serde_json::Value =
            serde_json::from_str(&house.ok("imboxcreate -json anna").await).unwrap();
        assert_eq!(value["made"], false);
    }

    #[tokio::test]
    async fn its_15068_a_quota_is_refused_with_the_way_out() {
        let house = House::new().await;
        house.account("anna").await;
        for line in
            ["imboxcreate anna@example.org 1000000", "imboxcreate anna@example.org -totalBytes 1000000"]
        {
            let run = house.run(line).await;
            assert_eq!(run.exit, Exit::USAGE);
            assert!(run.errors().contains("comes from the class of service"), "{}", run.errors());
        }
        let none = house.run("imboxstats anna@example.org").await;
        assert!(none.errors().contains("no such mailbox"), "nothing was made: {}", none.errors());
    }
}
