//! `imboxdelete`: removes a mailbox with all that it holds, whoever has it open (ITS 2300).

use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::context::{Context, Failure, Roles};
use crate::output::{Column, Layout, Listing};
use mail::id::MailboxId;
use roles::store::{StoreError, Usage};

/// The row.
pub const COMMAND: Command = Command {
    name: "imboxdelete",
    aliases: &[],
    group: Group::Mailboxes,
    summary: "Removes a mailbox with all its mail",
    about: "Removes the mailbox of an account from the message store: its folders, its messages, its autoreply. The \
            account stays, and its next mail makes an empty mailbox. Sessions that have the mailbox open go on until \
            they next ask for it, and hear then that it is gone. A mailbox whose account is gone is named by its id \
            (-id). What was removed cannot be brought back.",
    usage: &["[-dry-run] [-json] USER@DOMAIN...", "[-dry-run] [-json] -id MAILBOX"],
    options: &[
        Opt {
            name: "id",
            value: Some("MAILBOX"),
            help: "The internal id of the mailbox, also a negative one",
        },
        Opt { name: "dry-run", value: None, help: "Only say what would be removed" },
        Opt { name: "n", value: None, help: "The same as -dry-run" },
    ],
    words: &[Word {
        name: "USER@DOMAIN",
        count: Count::Any,
        help: "Addresses, aliases or login names of accounts",
    }],
    examples: &[
        Example { line: "imboxdelete -dry-run testman@software.com", does: "Says what would be removed" },
        Example { line: "imboxdelete testman@software.com", does: "Removes the mailbox of testman" },
        Example { line: "imboxdelete -id 432234", does: "Removes a mailbox that no account has any more" },
    ],
    exits: &[(1, "a mailbox was not removed; the others were")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

const COLUMNS: &[Column] = &[
    Column { title: "Mailbox", key: "mailbox" },
    Column { title: "Login", key: "login" },
    Column { title: "Messages", key: "messages" },
    Column { title: "Bytes", key: "bytes" },
];

async fn run(context: &mut Context) -> Outcome {
    let dry = context.arguments.has("dry-run") || context.arguments.has("n");
    let names = context.arguments.words().to_vec();
    let id = context.arguments.value("id").map(str::parse).transpose();
    let id: Option<i64> = id.map_err(|_| Failure::Usage("-id takes the number of a mailbox".into()))?;
    if names.is_empty() == id.is_none() {
        return Err(Failure::Usage("give USER@DOMAIN or -id MAILBOX".into()));
    }
    let here = context.roles()?.clone();
    let mut wanted: Vec<_> = id.into_iter().map(|id| (here.clone(), MailboxId(id), None)).collect();
    let mut exit = Exit::OK;
    for name in names {
        let found = context.roles()?.directory.account_find(&context.call(), name).await;
        match found {
            Ok(account) => wanted.push((here.at(&account.home), account.mailbox, Some(account.login))),
            Err(error) => {
                exit = Exit::FAILED;
                context.console.error(error).await?;
            }
        }
    }
    let mut listing = Listing::new(COLUMNS, Layout::Table);
    for (roles, mailbox, login) in wanted {
        match remove(context, &roles, mailbox, dry).await {
            Ok(usage) => {
                let cells =
                    [mailbox.to_string().into(), login.into(), usage.messages.into(), usage.bytes.into()];
                listing.row(&mut context.console, cells).await?;
            }
            Err(error) => {
                exit = Exit::FAILED;
                let name = login.unwrap_or_else(|| mailbox.to_string());
                context.console.error(format!("{name}: {error}")).await?;
            }
        }
    }
    listing.end(&mut context.console).await?;
    Ok(exit)
}

async fn remove(context: &Context, roles: &Roles, mailbox: MailboxId, dry: bool) -> Result<Usage, Failure> {
    let store = &roles.store;
    let gone = |error: StoreError| Failure::because(error);
    store.folder_list(&context.call(), mailbox).await.map_err(gone)?;
    let usage = store.mailbox_usage(&context.call(), mailbox).await.map_err(gone)?;
    if !dry {
        store.mailbox_delete(&context.call(), mailbox).await.map_err(gone)?;
    }
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::call;
    use crate::testing::house::House;
    use mail::time::Timestamp;
    use roles::store::MessageStore as _;

    #[tokio::test]
    async fn its_2300_a_mailbox_goes_although_a_session_has_it() {
        let house = House::new().await;
        let mailbox = house.account("anna").await;
        house.deliver(mailbox, "12345", Timestamp::default()).await;
        house.store.mailbox_lock(&call(&house.random), mailbox).await.unwrap();
        let _watch = house.store.mailbox_watch(&call(&house.random), mailbox).await.unwrap();
        let said = house.ok("imboxdelete -n anna@example.org").await;
        assert!(said.contains("anna@example.org") && said.contains(" 5"), "{said}");
        assert_eq!(house.inbox(mailbox).await.len(), 1, "a dry run removes nothing");
        house.ok("imboxdelete anna@example.org").await;
        let again = house.run("imboxdelete anna@example.org").await;
        assert_eq!(
            (again.exit, again.errors().as_str()),
            (Exit::FAILED, "imboxdelete: anna@example.org: no such mailbox\n")
        );
    }

    #[tokio::test]
    async fn a_mailbox_without_an_account_is_named_by_its_id() {
        let house = House::new().await;
        house.store.mailbox_create(&call(&house.random), MailboxId(-17)).await.unwrap();
        let said = house.ok("imboxdelete -json -id -17").await;
        let rows: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(rows[0]["mailbox"], "-17");
        assert_eq!(house.run("imboxdelete -id -17").await.exit, Exit::FAILED);
    }

    #[tokio::test]
    async fn its_20497_a_wrong_line_removes_nothing_and_shows_the_usage() {
        let house = House::new().await;
        let mailbox = house.account("anna").await;
        house.deliver(mailbox, "x", Timestamp::default()).await;
        for line in ["imboxdelete -n", "imboxdelete -id 7 anna@example.org", "imboxdelete -id x"] {
            let run = house.run(line).await;
            assert_eq!(run.exit, Exit::USAGE, "{line}");
            assert!(
                run.errors().contains("usage: imboxdelete [-dry-run] [-json] USER@DOMAIN..."),
                "{}",
                run.errors()
            );
        }
        let unknown = house.run("imboxdelete nobody@example.org anna@example.org").await;
        assert_eq!(unknown.exit, Exit::FAILED);
        assert!(house.inbox(mailbox).await.is_empty(), "the one that is there is removed");
    }
}
