//! `imdbmsgbackup`: a backup of the mail while the site serves, and mailboxes from it.

use super::common::{self, DRY, EXITS, GENERATION, KEEP, LIST, PROGRESS, RATE, VERIFY};
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::output::Format;
use env::clock::Clock;
use mail::id::MailboxId;
use roles::backup::{Recover, Recovered, What};
use roles::store::Quota;
use serde_json::json;

/// The row.
pub const COMMAND: Command = Command {
    name: "imdbmsgbackup",
    aliases: &[],
    group: Group::Backup,
    summary: "Makes a backup of all mailboxes while they are used, and brings mailboxes back",
    about: "Adds a generation to FOLDER with all mailboxes and messages, as imdbhotbackup does for the whole site: only \
            what has changed since the last generation there is written.\n\n\
            -restore brings the mail of one mailbox back, from a generation of either command into the running site: \
            all folders come to be below a new one (Restored and the day, unless -below says otherwise), with flags, \
            keywords and dates; nothing that is there changes. All of it must fit into the quota of the account, \
            unless -force is given. The mail of an account that was removed comes back with -mailbox, which names the \
            mailbox in the backup by its number.",
    usage: &[
        "[-json] [-rate KB] [-keep N [-n]] [-progress] FOLDER",
        "[-json] -list FOLDER",
        "[-json] [-rate KB] -verify [-generation N] FOLDER",
        "[-json] -restore USER@DOMAIN [-generation N] [-mailbox ID] [-below NAME] [-force] FOLDER",
    ],
    options: &[
        RATE,
        KEEP,
        DRY,
        PROGRESS,
        LIST,
        VERIFY,
        Opt { name: "restore", value: Some("USER@DOMAIN"), help: "Bring mail back into this account" },
        GENERATION,
        Opt {
            name: "mailbox",
            value: Some("ID"),
            help: "The mail of this mailbox instead of the account's own",
        },
        Opt { name: "below", value: Some("NAME"), help: "The folder that is made for what comes back" },
        Opt { name: "force", value: None, help: "Whether or not it fits into the quota" },
    ],
    words: &[Word { name: "FOLDER", count: Count::One, help: "The folder of the backups" }],
    examples: &[
        Example { line: "imdbmsgbackup -keep 30 /backup/mail", does: "Makes a backup of the mail" },
        Example {
            line: "imdbmsgbackup -restore user@example.org /backup/mail",
            does: "Brings the mail of an account back from the last generation",
        },
    ],
    exits: EXITS,
    place: Place::SiteUnless(&["list", "verify"]),
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    if context.arguments.has("list") {
        return common::list(context).await;
    }
    if context.arguments.has("verify") {
        return common::verify(context).await;
    }
    match context.arguments.value("restore").map(str::to_owned) {
        Some(account) => restore(context, account).await,
        None => common::make(context, What::Messages).await,
    }
}

async fn restore(context: &mut Context, account: String) -> Outcome {
    let folder = common::folder(context, 0)?.to_string_lossy().into_owned();
    let generation = common::number(context, "generation")?;
    let roles = context.roles()?.clone();
    let account = roles.directory.account_find(&context.call(), account).await.map_err(Failure::because)?;
    let from = common::number(context, "mailbox")?.map_or(account.mailbox, MailboxId);
    let quota = if context.arguments.has("force") { Quota::default() } else { account.quota };
    let below = match context.arguments.value("below") {
        Some(name) => name.to_owned(),
        None => format!("Restored {}", &Clock::system().now().rfc3339().to_string()[..10]),
    };
    let recover = Recover { folder, generation, from, into: account.mailbox, below: below.clone(), quota };
    let done = roles
        .backup
        .mailbox_recover(&context.call().for_long_work(), recover)
        .await
        .map_err(Failure::because)?;
    let Recovered { generation, folders, messages, bytes, damaged } = done;
    if context.console.format() == Format::Json {
        let value = json!({
            "generation": generation, "below": below, "folders": folders, "messages": messages, "bytes": bytes,
            "damaged": damaged,
        });
        context.console.json(&value).await?;
    } else {
        let text =
            format!("{messages} messages of {bytes} bytes in {folders} folders came back below {below}");
        context.console.line(text).await?;
        if damaged > 0 {
            let text = format!("{damaged} messages are damaged in the backup and did not come back");
            context.console.error(text).await?;
        }
    }
    Ok(if damaged == 0 { Exit::OK } else { common::DAMAGED })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::roles::Double;
    use crate::testing::run;

    #[tokio::test]
    async fn mail_comes_back_and_what_is_damaged_is_told() {
        let line = "imdbmsgbackup -restore user@example.org -generation 2 /backup";
        let run = run(line).with_roles(Double::default()).done().await;
        let text = run.output();
        assert!(
            text.starts_with("5 messages of 50 bytes in 2 folders came back below Restored 20"),
            "{text}"
        );
        assert_eq!(run.exit, common::DAMAGED);
        assert!(run.errors().contains("1 messages are damaged"), "{}", run.errors());
    }

    #[tokio::test]
    async fn another_mailbox_and_another_folder_can_be_named() {
        let line = "imdbmsgbackup --json -restore user@example.org -mailbox -9 -below Old -force /backup";
        let run = run(line).with_roles(Double::default()).done().await;
        let value: serde_json::Value = serde_json::from_str(&run.output()).unwrap();
        // The double says the number of the mailbox as the generation.
        assert_eq!((&value["below"], &value["generation"]), (&json!("Old"), &json!(9)));
        let run =
            self::run("imdbmsgbackup -restore nobody@example.org /backup").with_roles(Double::default());
        assert!(run.done().await.errors().contains("nobody@example.org"));
    }
}
