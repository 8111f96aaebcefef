//! `immsinit`: makes the message store of this host.

use crate::command::{Command, Example, Exit, Grammar, Group, Outcome, Place};
use crate::context::{Context, Failure};
use crate::output::Format;
use crate::site::Site;
use catalog::keys::mss::NUM_MSS_PORTS;
use env::settings::Settings;
use roles::store::StoreError;
use serde_json::json;

/// The row.
pub const COMMAND: Command = Command {
    name: "immsinit",
    aliases: &[],
    group: Group::Mailboxes,
    summary: "Makes the message store of this host",
    about: "Makes the message store with the number of shards that numMssPorts says, if it is not there, and looks \
            whether it answers. A store that is there is left as it is; one that was there once and is gone is not made \
            anew before immssshare -forget. The host is the one in config/hostname, \
            whatever the system is called (ITS 21719). Starting the servers makes the store, too: this command is for \
            who wants to have it, or to see an error, before.",
    usage: &["[-json]"],
    options: &[],
    words: &[],
    examples: &[Example { line: "immsinit", does: "Makes the store, or says that it is there" }],
    exits: &[(1, "the store could not be made or opened")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    let site = context.site()?;
    // The roles are there, so the store was opened, or made, for them: where it may be.
    let mailboxes = context.roles()?.store.mailbox_list(&context.call(), None, 1).await;
    let empty = match mailboxes {
        Ok(page) => page.is_empty(),
        Err(StoreError::Elsewhere) => return Err(not_here(&site)),
        Err(error) => return Err(Failure::because(error)),
    };
    let settings = Settings::new(site.host().as_str(), "mss", site.configuration()?);
    let (folder, shards) = (site.store_folder(), settings.get(NUM_MSS_PORTS));
    let (host, folder) = (site.host(), folder.display());
    match context.console.format() {
        Format::Json => {
            let value = json!({
                "host": host.as_str(), "folder": folder.to_string(), "shards": shards, "empty": empty,
            });
            context.console.json(&value).await?;
        }
        Format::Text => {
            let holds = if empty { "no mailboxes yet" } else { "mailboxes" };
            let text = format!("the message store of {host} is ready: {folder}, {shards} shards, {holds}");
            context.console.line(text).await?;
        }
    }
    Ok(Exit::OK)
}

/// Why there is no store to speak of.
fn not_here(site: &Site) -> Failure {
    let host = site.host();
    Failure::because(format!(
        "the message store of {host} is not open here: immssshare says who has it, and MsStoreNotOpened in the log why. \
         Where its files are lost: immssshare -forget {host}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::call;
    use crate::testing::house::House;
    use mail::id::MailboxId;
    use roles::store::MessageStore as _;

    #[tokio::test]
    async fn its_21719_the_host_is_the_one_of_the_site() {
        let house = House::new().await;
        let said = house.ok("immsinit").await;
        assert!(said.starts_with("the message store of mars is ready: "), "{said}");
        assert!(said.ends_with("/mss, 2 shards, no mailboxes yet\n"), "{said}");
        house.store.mailbox_create(&call(&house.random), MailboxId(1)).await.unwrap();
        let value: serde_json::Value = serde_json::from_str(&house.ok("immsinit -json").await).unwrap();
        assert_eq!((&value["host"], &value["empty"]), (&"mars".into(), &false.into()));
    }

    #[tokio::test]
    async fn a_store_that_does_not_answer_is_no_success() {
        let house = House::new().await;
        house.store.fail(Some(StoreError::Unavailable));
        let run = house.run("immsinit").await;
        assert_eq!(
            (run.exit, run.errors().as_str()),
            (Exit::FAILED, "immsinit: the store is not available\n")
        );
        house.store.fail(Some(StoreError::Elsewhere));
        assert!(house.run("immsinit").await.errors().contains("immssshare -forget mars"));
        assert_eq!(house.run("immsinit all").await.exit, Exit::USAGE);
    }
}
