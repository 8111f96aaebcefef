//! `imbadmsglist`: messages that are known to be damaged (ITS 24247).

use super::super::mailboxes::mailbox;
use super::task;
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::output::{Cell, Column, Layout, Listing};
use roles::maintenance::{Mode, Scope, Task, Verify};

/// Pages of messages that a check reads at the same time.
const JOBS: u32 = 4;

/// The row.
pub const COMMAND: Command = Command {
    name: "imbadmsglist",
    aliases: &[],
    group: Group::Store,
    summary: "Lists messages that cannot be read",
    about: "Lists the messages that a reader, the last immsgverify or the background check (scrubPeriodInDays) found to \
            be damaged and that are still there: of one mailbox, or of all. Costs no reading of messages. With -check, \
            what is asked for is read first. A message is removed with immsgdelete, by its folder and UID.",
    usage: &["[-check] [-json] [USER@DOMAIN]"],
    options: &[Opt { name: "check", value: None, help: "Read the messages first, as immsgverify does" }],
    words: &[Word { name: "USER@DOMAIN", count: Count::Optional, help: "Only the mailbox of this account" }],
    examples: &[
        Example { line: "imbadmsglist", does: "Lists what is known of the whole store" },
        Example {
            line: "imbadmsglist -check user@example.org",
            does: "Reads one mailbox and lists what is damaged",
        },
    ],
    exits: &[(3, "there are such messages")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

const COLUMNS: &[Column] = &[
    Column { title: "Damage", key: "damage" },
    Column { title: "Mailbox", key: "mailbox" },
    Column { title: "Folder", key: "folder" },
    Column { title: "Uid", key: "uid" },
    Column { title: "Bytes", key: "bytes" },
    Column { title: "Found", key: "found" },
    Column { title: "Message-Id", key: "message_id" },
];

async fn run(context: &mut Context) -> Outcome {
    let mailbox = match context.arguments.word(0) {
        Some(_) => Some(mailbox::account(context).await?.mailbox),
        None => None,
    };
    if context.arguments.has("check") {
        let scope = mailbox.map_or(Scope::Store, Scope::Mailbox);
        let verify = Verify { scope, jobs: JOBS, repair: Mode::DryRun, rate: 0 };
        task::outcome(&task::quietly(context, Task::Verify(verify)).await?)?;
    }
    let (mut listing, mut after, mut any) = (Listing::new(COLUMNS, Layout::Table), None, false);
    loop {
        let asked = context.roles()?.maintenance.damaged_list(&context.call(), mailbox, after).await;
        let page = asked.map_err(Failure::because)?;
        for message in page.messages {
            any = true;
            let finding = message.finding;
            let cells: [Cell; 7] = [
                finding.kind.word().into(),
                finding.mailbox.map_or(Cell::Nothing, |id| Cell::Number(id.0)),
                finding.folder.into(),
                finding.uid.map(|uid| uid.0).into(),
                finding.bytes.into(),
                message.found.rfc3339().to_string().into(),
                finding.message_id.into(),
            ];
            listing.row(&mut context.console, cells).await?;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    listing.end(&mut context.console).await?;
    Ok(if any { Exit(3) } else { Exit::OK })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::roles::{Double, MAILBOX};
    use crate::testing::run;
    use mail::id::Uid;
    use mail::time::Timestamp;
    use roles::maintenance::{Damaged, Finding, FindingKind, Summary, Verified};

    fn damaged(uid: u32) -> Damaged {
        let finding = Finding {
            kind: FindingKind::Truncated,
            shard: 0,
            mailbox: Some(MAILBOX),
            folder: Some("INBOX".into()),
            uid: Some(Uid(uid)),
            message_id: None,
            bytes: 77,
            detail: String::new(),
            mended: false,
        };
        Damaged { finding, found: Timestamp::from_secs(1_000_000_000) }
    }

    #[tokio::test]
    async fn all_pages_are_listed_and_the_exit_code_tells() {
        let double = Double::default().with_damaged(&[damaged(3), damaged(5)]);
        let run = run("imbadmsglist user@example.org").with_roles(double.clone()).done().await;
        assert_eq!((run.exit, run.errors().as_str()), (Exit(3), ""));
        let text = run.output();
        assert!(text.contains("truncated   432234  INBOX     3     77  2001-09-09T01:46:40"), "{text}");
        assert_eq!(text.lines().count(), 3);
        assert!(double.started().is_empty());
    }

    #[tokio::test]
    async fn an_empty_list_is_well_and_a_check_comes_first() {
        let double = Double::default().with_summary(Summary::Verified(Verified::default()), &[]);
        let run = run("imbadmsglist -check --json").with_roles(double.clone()).done().await;
        assert_eq!((run.exit, run.output().as_str()), (Exit::OK, "[]\n"));
        assert_eq!(double.started().len(), 1);
    }
}
