//! `immsgdelete`: removes messages from a mailbox, in any folder (ITS 13038, 21792), read or not.

use super::mailbox::{self, Messages, message_id};
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::output::{Column, Layout, Listing};
use mail::id::MailboxId;
use mail::search::{Criterion, Needle, Place as Where};
use mail::sequence::NumberSet;
use roles::store::Folder;

/// The row.
pub const COMMAND: Command = Command {
    name: "immsgdelete",
    aliases: &[],
    group: Group::Mailboxes,
    summary: "Deletes messages from a mailbox",
    about: "Deletes all messages (-all), all of one folder (-folder NAME), or the named ones, which are looked for in \
            every folder or in the one that -folder names. A message is named by its Message-Id, with or without \
            angle brackets, or within a folder by UID:NUMBER, as imfolderlist prints them. Prints how many messages \
            went from each folder. What was deleted cannot be brought back.",
    usage: &[
        "[-dry-run] [-json] USER@DOMAIN -all",
        "[-dry-run] [-json] USER@DOMAIN -folder NAME",
        "[-dry-run] [-json] USER@DOMAIN [-folder NAME] MESSAGE-ID...",
    ],
    options: &[
        Opt { name: "all", value: None, help: "Delete every message of every folder" },
        Opt { name: "folder", value: Some("NAME"), help: "Delete in this folder only" },
        Opt { name: "dry-run", value: None, help: "Only say what would be deleted" },
        Opt { name: "n", value: None, help: "The same as -dry-run" },
    ],
    words: &[
        Word {
            name: "USER@DOMAIN",
            count: Count::One,
            help: "An address, alias or login name of the account",
        },
        Word { name: "MESSAGE-ID", count: Count::Any, help: "The messages to delete" },
    ],
    examples: &[
        Example {
            line: "immsgdelete user@example.org -all -dry-run",
            does: "Says what emptying the mailbox would do",
        },
        Example { line: "immsgdelete user@example.org -folder Trash", does: "Empties one folder" },
        Example { line: "immsgdelete user@example.org 123@mail.example.net", does: "Deletes one message" },
    ],
    exits: &[(1, "a message was not found, or the store failed; what was deleted until then is printed")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

const COLUMNS: &[Column] =
    &[Column { title: "Folder", key: "folder" }, Column { title: "Deleted", key: "deleted" }];

/// Which messages are to go.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Every,
    Named(Vec<Named>),
}

/// How one message is named.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    /// Its Message-Id without the angle brackets.
    Id(String),
    /// Its UID.
    Uid(u32),
}

impl Named {
    fn parse(text: &str, folder: Option<&str>) -> Result<Self, Failure> {
        let uid = text.get(..4).filter(|lead| lead.eq_ignore_ascii_case("UID:")).and(text.get(4..));
        match uid {
            Some(_) if folder.is_none() => Err(Failure::Usage(format!("{text} needs -folder"))),
            Some(uid) => uid.parse().map(Self::Uid).map_err(|_| Failure::Usage(format!("{text} is no UID"))),
            None => Ok(Self::Id(bare(text).to_owned())),
        }
    }
}

/// A Message-Id without its angle brackets.
fn bare(id: &str) -> &str {
    let id = id.trim();
    id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(id)
}

async fn run(context: &mut Context) -> Outcome {
    let arguments = &context.arguments;
    let name = arguments.value("folder").map(str::to_owned);
    let named: Vec<_> = arguments.words().iter().skip(1).cloned().collect();
    let wanted = match (arguments.has("all"), named.as_slice(), &name) {
        (true, [], None) | (false, [], Some(_)) => Wanted::Every,
        (true, _, _) => return Err(Failure::Usage("-all goes with nothing else".into())),
        (false, [], None) => return Err(Failure::Usage("give -all, -folder NAME or a MESSAGE-ID".into())),
        (false, named, name) => {
            let parse = |text: &String| Named::parse(text, name.as_deref());
            Wanted::Named(named.iter().map(parse).collect::<Result<_, _>>()?)
        }
    };
    let dry = arguments.has("dry-run") || arguments.has("n");
    let mailbox = mailbox::account(context).await?.mailbox;
    let folders = mailbox::folders(context, mailbox, name.as_deref()).await?;
    let mut missing = match &wanted {
        Wanted::Every => Vec::new(),
        Wanted::Named(named) => named.clone(),
    };
    let mut listing = Listing::new(COLUMNS, Layout::Table);
    for folder in folders {
        let uids = find(context, mailbox, &folder, &wanted, &mut missing).await?;
        let gone = match dry || uids.is_empty() {
            true => uids,
            false => {
                let store = &context.roles()?.store;
                let gone = store.message_delete(&context.call(), mailbox, folder.id, uids).await;
                gone.map_err(|error| Failure::because(format!("{}: {error}", folder.name)))?
            }
        };
        if !gone.is_empty() {
            listing.row(&mut context.console, [folder.name.into(), gone.len().into()]).await?;
        }
    }
    listing.end(&mut context.console).await?;
    for named in &missing {
        let name = match named {
            Named::Id(id) => format!("<{id}>"),
            Named::Uid(uid) => format!("UID:{uid}"),
        };
        context.console.error(format!("there is no message {name}")).await?;
    }
    Ok(if missing.is_empty() { Exit::OK } else { Exit::FAILED })
}

/// The UIDs of what is wanted in a folder. Names that were found are taken from `missing`.
async fn find(
    context: &Context,
    mailbox: MailboxId,
    folder: &Folder,
    wanted: &Wanted,
    missing: &mut Vec<Named>,
) -> Result<NumberSet, Failure> {
    let store = &context.roles()?.store;
    let Wanted::Named(names) = wanted else {
        let opened = store.folder_open(&context.call(), mailbox, folder.name.clone()).await;
        return Ok(opened.map_err(|error| Failure::because(format!("{}: {error}", folder.name)))?.uids);
    };
    let mut found = NumberSet::default();
    for name in names {
        let candidates = match name {
            Named::Uid(uid) => NumberSet::one(*uid),
            Named::Id(id) => {
                let needle = Needle::new(id).ok_or_else(|| Failure::because("a Message-Id is too long"))?;
                let criterion = Criterion::Text(Where::Header("message-id".into()), needle);
                let matching = store.message_search(&context.call(), mailbox, folder.id, criterion).await;
                matching.map_err(|error| Failure::because(format!("{}: {error}", folder.name)))?
            }
        };
        let before = found.len();
        let mut pages = Messages::new(mailbox, folder.id, candidates);
        while let Some(page) = pages.next(context).await? {
            // The search finds texts that contain the id: only the very same id is deleted.
            let is_it = |id: &Option<String>| match name {
                Named::Uid(_) => true,
                Named::Id(wanted) => id.as_deref().is_some_and(|id| bare(id) == wanted),
            };
            page.iter().filter(|m| is_it(&message_id(m))).for_each(|m| found.insert(m.uid.0));
        }
        if found.len() > before {
            missing.retain(|other| other != name);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::roles::Double;
    use crate::testing::{Run, run};

    fn double() -> Double {
        Double::default()
            .with_folder("INBOX", &["Message-Id: <a@x>\r\n\r\n", "Message-Id: <aa@x>\r\n\r\n", "\r\n"])
            .with_folder("Sent", &["Message-Id: <a@x>\r\n\r\n", "Message-Id: <b@x>\r\n\r\n"])
    }

    async fn delete(double: &Double, line: &str) -> Run {
        run(&format!("immsgdelete user@example.org {line}")).with_roles(double.clone()).done().await
    }

    #[tokio::test]
    async fn all_messages_go_from_all_folders() {
        let double = double();
        let run = delete(&double, "-all").await;
        assert_eq!(
            (run.exit, run.output().as_str()),
            (Exit::OK, "Folder  Deleted\nINBOX         3\nSent          2\n")
        );
        assert!(double.uids("INBOX").is_empty() && double.uids("Sent").is_empty());
        let run = delete(&double, "-all -json").await;
        assert_eq!((run.exit, run.output().as_str()), (Exit::OK, "[]\n"));
    }

    #[tokio::test]
    async fn only_the_very_same_id_goes_and_from_every_folder() {
        let double = double();
        assert_eq!(delete(&double, "<a@x>").await.exit, Exit::OK);
        assert_eq!((double.uids("INBOX"), double.uids("Sent")), (vec![2, 3], vec![2]));
        assert_eq!(delete(&double, "b@x -folder INBOX").await.exit, Exit::FAILED);
        assert_eq!(delete(&double, "-folder INBOX UID:3").await.exit, Exit::OK);
        assert_eq!((double.uids("INBOX"), double.uids("Sent")), (vec![2], vec![2]));
    }

    #[tokio::test]
    async fn what_is_not_there_is_named_and_the_rest_goes() {
        let double = double();
        let run = delete(&double, "b@x none@x").await;
        assert_eq!(
            (run.exit, run.errors().as_str()),
            (Exit::FAILED, "immsgdelete: there is no message <none@x>\n")
        );
        assert_eq!(double.uids("Sent"), [1]);
    }

    #[tokio::test]
    async fn a_dry_run_deletes_nothing() {
        let double = double();
        let run = delete(&double, "--dry-run -folder Sent").await;
        assert_eq!((run.exit, run.output().as_str()), (Exit::OK, "Folder  Deleted\nSent          2\n"));
        assert_eq!(double.uids("Sent"), [1, 2]);
    }

    #[tokio::test]
    async fn no_combination_of_arguments_deletes_by_accident() {
        let double = double();
        for line in ["-n", "-all x@y", "-all -folder INBOX", "UID:1", "-folder INBOX UID:x"] {
            let run = delete(&double, line).await;
            assert_eq!(run.exit, Exit::USAGE, "{line}");
            assert!(run.errors().contains("usage: immsgdelete"), "{line}");
        }
        assert_eq!(double.uids("INBOX").len(), 3);
    }
}
