//! `imfolderlist`: the folders of a mailbox, or the messages of one folder.

use super::mailbox::{self, Messages, message_id};
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::context::Context;
use crate::output::{Cell, Column, Format, Layout, Listing};
use mail::id::MailboxId;
use mail::sequence::NumberSet;
use roles::store::Folder;

/// The row.
pub const COMMAND: Command = Command {
    name: "imfolderlist",
    aliases: &[],
    group: Group::Mailboxes,
    summary: "Lists the folders of a mailbox, or the messages of a folder",
    about: "Without -folder, prints a table of the folders. With it, prints the Message-Id of each message of the \
            folder, one a line, in order of arrival; a message without one is shown as UID:NUMBER. Both forms are \
            understood by immsgdelete.",
    usage: &["[-json] USER@DOMAIN", "[-json] USER@DOMAIN -folder NAME"],
    options: &[Opt { name: "folder", value: Some("NAME"), help: "List the messages of this folder" }],
    words: &[Word {
        name: "USER@DOMAIN",
        count: Count::One,
        help: "An address, alias or login name of the account",
    }],
    examples: &[
        Example { line: "imfolderlist user@example.org", does: "Lists the folders" },
        Example {
            line: "imfolderlist user@example.org -folder INBOX",
            does: "Lists the messages of the Inbox",
        },
    ],
    exits: &[],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

const FOLDERS: &[Column] = &[
    Column { title: "Folder", key: "folder" },
    Column { title: "Messages", key: "messages" },
    Column { title: "Unseen", key: "unseen" },
    Column { title: "Deleted", key: "deleted" },
    Column { title: "Bytes", key: "bytes" },
    Column { title: "UidValidity", key: "uid_validity" },
    Column { title: "UidNext", key: "uid_next" },
];

const MESSAGES: &[Column] = &[
    Column { title: "Message-Id", key: "message_id" },
    Column { title: "Uid", key: "uid" },
    Column { title: "Bytes", key: "bytes" },
    Column { title: "Received", key: "received" },
];

async fn run(context: &mut Context) -> Outcome {
    let account = mailbox::account(context).await?;
    let name = context.arguments.value("folder").map(str::to_owned);
    let found = mailbox::folders(context, account.mailbox, name.as_deref()).await?;
    match (name, found.first()) {
        (Some(_), Some(folder)) => messages(context, account.mailbox, folder).await,
        _ => folders(context, found).await,
    }
}

async fn folders(context: &mut Context, folders: Vec<Folder>) -> Outcome {
    let mut listing = Listing::new(FOLDERS, Layout::Table);
    for folder in folders {
        let cells: [Cell; 7] = [
            folder.name.into(),
            folder.messages.into(),
            folder.unseen.into(),
            folder.deleted.into(),
            folder.bytes.into(),
            folder.uid_validity.0.into(),
            folder.uid_next.0.into(),
        ];
        listing.row(&mut context.console, cells).await?;
    }
    listing.end(&mut context.console).await?;
    Ok(Exit::OK)
}

async fn messages(context: &mut Context, mailbox: MailboxId, folder: &Folder) -> Outcome {
    let format = context.console.format();
    let mut listing = Listing::new(MESSAGES, Layout::Lines);
    let mut pages = Messages::new(mailbox, folder.id, NumberSet::all());
    while let Some(page) = pages.next(context).await? {
        for message in page {
            let id = message_id(&message);
            match format {
                Format::Text => {
                    let id = id.unwrap_or_else(|| format!("UID:{}", message.uid));
                    context.console.line(id.replace(char::is_control, "?")).await?;
                }
                Format::Json => {
                    let received = message.received.rfc3339().to_string();
                    let cells = [id.into(), message.uid.0.into(), message.size.into(), received.into()];
                    listing.row(&mut context.console, cells).await?;
                }
            }
        }
    }
    if format == Format::Json {
        listing.end(&mut context.console).await?;
    }
    Ok(Exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::roles::Double;
    use crate::testing::{Run, run};

    async fn list(line: &str) -> Run {
        let many: Vec<String> = (1..=1200).map(|n| format!("Message-ID:\r\n <{n}@x>\r\n\r\n")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let double = Double::default()
            .with_folder(
                "INBOX",
                &["Message-Id: <a@x>\r\n\r\n", "Subject: none\r\n\r\n", "message-id: <\u{1b}b@x>\r\n\r\n"],
            )
            .with_folder("Archive/2026", &many);
        run(&format!("imfolderlist {line}")).with_roles(double).done().await
    }

    #[tokio::test]
    async fn folders_are_a_table() {
        let text = list("user@example.org").await.output();
        assert!(text.starts_with("Folder        Messages"), "{text}");
        assert!(text.contains("\nArchive/2026      1200"), "{text}");
    }

    #[tokio::test]
    async fn messages_are_one_id_a_line() {
        let run = list("user@example.org -folder INBOX").await;
        assert_eq!((run.exit, run.output().as_str()), (Exit::OK, "<a@x>\nUID:2\n<?b@x>\n"));
        let text = list("user@example.org -folder Archive/2026").await.output();
        assert_eq!(text.lines().count(), 1200);
        assert!(text.ends_with("<1199@x>\n<1200@x>\n"));
    }

    #[tokio::test]
    async fn json_has_the_uids_too() {
        let text = list("user@example.org -folder INBOX -json").await.output();
        let all: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (all.len(), &all[1]["uid"], &all[1]["message_id"]),
            (3, &2.into(), &serde_json::Value::Null)
        );
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_named() {
        let run = list("user@example.org -folder Sent").await;
        assert_eq!((run.exit, run.errors().as_str()), (Exit::FAILED, "imfolderlist: Sent: no such folder\n"));
    }
}
