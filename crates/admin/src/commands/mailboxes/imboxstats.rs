//! `imboxstats`: what a mailbox holds and may hold, the limits being those of its class of service (ITS 19360).

use super::mailbox;
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::output::{Column, Format, Layout, Listing};
use roles::store::Folder;
use serde_json::json;

/// The row.
pub const COMMAND: Command = Command {
    name: "imboxstats",
    aliases: &[],
    group: Group::Mailboxes,
    summary: "Shows what a mailbox holds and may hold",
    about: "Prints the number of messages and bytes in the mailbox of an account, its quota as its class of service \
            has it, and the same for every folder.",
    usage: &["[-json] USER@DOMAIN"],
    options: &[],
    words: &[Word {
        name: "USER@DOMAIN",
        count: Count::One,
        help: "An address, alias or login name of the account",
    }],
    examples: &[Example { line: "imboxstats testman@software.com", does: "Shows the mailbox of testman" }],
    exits: &[],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

const COLUMNS: &[Column] = &[
    Column { title: "Folder", key: "folder" },
    Column { title: "Messages", key: "messages" },
    Column { title: "Unseen", key: "unseen" },
    Column { title: "Bytes", key: "bytes" },
];

async fn run(context: &mut Context) -> Outcome {
    let account = mailbox::account(context).await?;
    let usage = context.roles()?.store.mailbox_usage(&context.call(), account.mailbox).await;
    let usage = usage.map_err(Failure::because)?;
    let folders = mailbox::folders(context, account.mailbox, None).await?;
    let quota = account.quota;
    let console = &mut context.console;
    if console.format() == Format::Json {
        let folders: Vec<_> = folders.iter().map(as_json).collect();
        let value = json!({
            "login": account.login, "mailbox": account.mailbox.0, "host": account.home.as_str(),
            "messages": usage.messages, "bytes": usage.bytes,
            "quota_messages": quota.messages, "quota_bytes": quota.bytes, "folders": folders,
        });
        console.json(&value).await?;
        return Ok(Exit::OK);
    }
    console.line(format!("Mailbox: {} ({} on {})", account.login, account.mailbox, account.home)).await?;
    console.line(format!("Total Messages Stored: {}", usage.messages)).await?;
    console.line(format!("Total Bytes Stored: {}", usage.bytes)).await?;
    console.line(format!("Quota Messages: {}", share(usage.messages, quota.messages))).await?;
    console.line(format!("Quota Bytes: {}", share(usage.bytes, quota.bytes))).await?;
    console.line("").await?;
    let mut listing = Listing::new(COLUMNS, Layout::Table);
    for folder in folders {
        let cells = [folder.name.into(), folder.messages.into(), folder.unseen.into(), folder.bytes.into()];
        listing.row(console, cells).await?;
    }
    listing.end(console).await?;
    Ok(Exit::OK)
}

fn as_json(folder: &Folder) -> serde_json::Value {
    json!({
        "folder": folder.name, "messages": folder.messages, "unseen": folder.unseen, "bytes": folder.bytes,
    })
}

/// The limit, and how much of it is used; 0 is no limit.
fn share(used: u64, limit: u64) -> String {
    match limit {
        0 => "unlimited".to_owned(),
        limit => format!("{limit} ({} % used)", u128::from(used) * 100 / u128::from(limit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::roles::Double;
    use crate::testing::run;

    fn double() -> Double {
        Double::default()
            .with_folder("INBOX", &["Subject: a\r\n\r\nx", "y"])
            .with_folder("Sent\u{1b}", &["0123456789"])
    }

    #[tokio::test]
    async fn totals_quota_and_folders_are_shown() {
        let run = run("imboxstats user@example.org").with_roles(double()).done().await;
        assert_eq!((run.exit, run.errors().as_str()), (Exit::OK, ""));
        let text = run.output();
        assert!(text.contains("Total Messages Stored: 3\nTotal Bytes Stored: 26\n"), "{text}");
        assert!(text.contains("Quota Messages: unlimited\nQuota Bytes: 1000000 (0 % used)\n"), "{text}");
        assert!(text.contains("\nSent?          1       1     10\n"), "{text}");
    }

    #[tokio::test]
    async fn json_has_the_same_numbers() {
        let run = run("imboxstats user@example.org --json").with_roles(double()).done().await;
        let value: serde_json::Value = serde_json::from_str(&run.output()).unwrap();
        assert_eq!((&value["messages"], &value["folders"][1]["bytes"]), (&json!(3), &json!(10)));
    }

    #[tokio::test]
    async fn an_unknown_account_is_named() {
        let run = run("imboxstats nobody@example.org").with_roles(double()).done().await;
        assert_eq!(run.exit, Exit::FAILED);
        assert_eq!(run.errors(), "imboxstats: there is no account nobody@example.org\n");
    }

    #[test]
    fn shares_do_not_overflow() {
        assert_eq!(share(u64::MAX, u64::MAX), format!("{} (100 % used)", u64::MAX));
        assert_eq!(share(5, 0), "unlimited");
    }
}
