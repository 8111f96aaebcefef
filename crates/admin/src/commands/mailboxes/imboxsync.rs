//! `imboxsync`: compares directory and message store, both ways.

use crate::command::{Command, Example, Exit, Grammar, Group, Opt, Outcome, Place};
use crate::context::{Context, Failure, Roles};
use crate::output::{Column, Layout, Listing, Tint};
use crate::people::{People, Whom, call};
use catalog::keys::mss::CREATE_MBOXES;
use env::random::Random;
use env::settings::Settings;
use mail::id::{HostName, MailboxId};
use roles::directory::DirectoryError;
use roles::store::{MAILBOX_PAGE, StoreError};
use std::collections::{BTreeMap, BTreeSet};

/// The row.
pub const COMMAND: Command = Command {
    name: "imboxsync",
    aliases: &[],
    group: Group::Mailboxes,
    summary: "Compares the accounts of the directory with the mailboxes of this host's store",
    about: "Finds mailboxes that no account has (no-account) and accounts whose mailbox does not exist (no-mailbox). The \
            store is read first and the directory after it, and whatever seems to be missing is looked for again before \
            it is reported, so accounts that come and go meanwhile are no differences. With createMboxes on, an account \
            without a mailbox is one that has had no mail yet: it is listed and is no fault. -create makes the missing \
            mailboxes; -delete removes the mailboxes without an account, with all their mail.",
    usage: &["[-create] [-delete] [-dry-run] [-json]"],
    options: &[
        Opt { name: "create", value: None, help: "Make the mailboxes that are missing" },
        Opt { name: "delete", value: None, help: "Remove the mailboxes that no account has" },
        Opt { name: "dry-run", value: None, help: "Only say what -create and -delete would do" },
        Opt { name: "n", value: None, help: "The same as -dry-run" },
    ],
    words: &[],
    examples: &[
        Example { line: "imboxsync", does: "Reports the differences" },
        Example { line: "imboxsync -delete -dry-run", does: "Says which mailboxes would be removed" },
    ],
    exits: &[(1, "there are differences that were not repaired")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

const COLUMNS: &[Column] = &[
    Column { title: "Difference", key: "difference" },
    Column { title: "Mailbox", key: "mailbox" },
    Column { title: "Login", key: "login" },
    Column { title: "Messages", key: "messages" },
    Column { title: "Done", key: "done" },
];

/// What is in one place and not in the other.
#[derive(Debug, Default)]
pub(in crate::commands) struct Differences {
    /// Mailboxes without an account, and how many messages they hold.
    pub(in crate::commands) orphans: BTreeMap<MailboxId, u64>,
    /// Accounts without a mailbox, by mailbox id.
    pub(in crate::commands) missing: BTreeMap<MailboxId, String>,
}

async fn run(context: &mut Context) -> Outcome {
    let arguments = &context.arguments;
    let dry = arguments.has("dry-run") || arguments.has("n");
    let (create, delete) = (arguments.has("create"), arguments.has("delete"));
    let made_by_themselves = made_by_themselves(context)?;
    let (roles, random) = (context.roles()?.clone(), context.random.clone());
    // Other hosts compare their own.
    let found = compare(&roles, &random, &|home| roles.hosts.is_here(home)).await?;
    let mut listing = Listing::new(COLUMNS, Layout::Table);
    let mut exit = Exit::OK;
    for (mailbox, messages) in found.orphans {
        let done = match (delete, dry) {
            (false, _) => "no",
            (true, true) => "would be removed",
            (true, false) => {
                roles.store.mailbox_delete(&call(&random), mailbox).await.map_err(Failure::because)?;
                "removed"
            }
        };
        exit = if done == "removed" { exit } else { Exit::FAILED };
        let what = crate::output::Cell::Tinted(Tint::Red, "no-account".into());
        let cells = [what, mailbox.to_string().into(), None::<String>.into(), messages.into(), done.into()];
        listing.row(&mut context.console, cells).await?;
    }
    for (mailbox, login) in found.missing {
        let done = match (create, dry) {
            (false, _) => "no",
            (true, true) => "would be made",
            (true, false) => {
                roles.store.mailbox_create(&call(&random), mailbox).await.map_err(Failure::because)?;
                "made"
            }
        };
        exit = if done == "made" || made_by_themselves { exit } else { Exit::FAILED };
        let cells = ["no-mailbox".into(), mailbox.to_string().into(), login.into(), 0u64.into(), done.into()];
        listing.row(&mut context.console, cells).await?;
    }
    listing.end(&mut context.console).await?;
    Ok(exit)
}

/// Whether a mailbox is made at its first use.
pub(in crate::commands) fn made_by_themselves(context: &Context) -> Result<bool, Failure> {
    let site = context.site()?;
    let tree = site.configuration()?;
    Ok(Settings::new(site.host().as_str(), "mss", tree).get(CREATE_MBOXES))
}

/// Which homes a store has.
pub(in crate::commands) type Homes<'a> = &'a (dyn Fn(&HostName) -> bool + Sync);

/// What differs, and still does at a second look, between a store and the accounts of these homes.
pub(in crate::commands) async fn compare(
    roles: &Roles,
    random: &Random,
    homes: Homes<'_>,
) -> Result<Differences, Failure> {
    // The store first (ITS 14573): a mailbox that is there now has an account, or had one, when the directory is read.
    let mut boxes = mailboxes(roles, random).await?;
    let mut missing = BTreeMap::new();
    for_each_account(roles, random, homes, |mailbox, login| {
        if boxes.remove(&mailbox).is_none() {
            missing.insert(mailbox, login);
        }
    })
    .await?;
    again(roles, random, homes, Differences { orphans: boxes, missing }).await
}

/// ITS 20087: looks for everything once more, in the place where it was missing.
async fn again(
    roles: &Roles,
    random: &Random,
    homes: Homes<'_>,
    first: Differences,
) -> Result<Differences, Failure> {
    let Differences { mut orphans, missing } = first;
    let mut accounts = BTreeSet::new();
    if !orphans.is_empty() || !missing.is_empty() {
        for_each_account(roles, random, homes, |mailbox, _| {
            orphans.remove(&mailbox);
            if missing.contains_key(&mailbox) {
                accounts.insert(mailbox);
            }
        })
        .await?;
    }
    let mut found = Differences::default();
    for (mailbox, messages) in orphans {
        if exists(roles, random, mailbox).await? {
            found.orphans.insert(mailbox, messages);
        }
    }
    for (mailbox, login) in missing {
        if accounts.contains(&mailbox) && !exists(roles, random, mailbox).await? {
            found.missing.insert(mailbox, login);
        }
    }
    Ok(found)
}

/// All mailboxes, with how many messages they hold.
async fn mailboxes(roles: &Roles, random: &Random) -> Result<BTreeMap<MailboxId, u64>, Failure> {
    let (mut all, mut after) = (BTreeMap::new(), None);
    loop {
        let page =
            roles.store.mailbox_list(&call(random), after, MAILBOX_PAGE).await.map_err(Failure::because)?;
        let Some(last) = page.last() else { return Ok(all) };
        after = Some(last.mailbox);
        all.extend(page.iter().map(|line| (line.mailbox, line.usage.messages)));
    }
}

async fn for_each_account(
    roles: &Roles,
    random: &Random,
    homes: Homes<'_>,
    mut each: impl FnMut(MailboxId, String),
) -> Result<(), Failure> {
    let mut people = People::new(roles, random, Whom::default());
    while let Some(page) = people.next().await.map_err(|error: DirectoryError| Failure::because(error))? {
        for line in page.into_iter().filter(|line| homes(&line.home)) {
            each(line.mailbox, format!("{}@{}", line.user.name, line.user.domain));
        }
    }
    Ok(())
}

async fn exists(roles: &Roles, random: &Random, mailbox: MailboxId) -> Result<bool, Failure> {
    match roles.store.folder_status(&call(random), mailbox, "INBOX".into()).await {
        Ok(_) => Ok(true),
        Err(StoreError::NoMailbox) => Ok(false),
        Err(error) => Err(Failure::because(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::house::House;
    use mail::time::Timestamp;
    use roles::store::MessageStore as _;

    async fn make(house: &House, mailbox: MailboxId) {
        house.store.mailbox_create(&call(&house.random), mailbox).await.unwrap();
    }

    #[tokio::test]
    async fn what_agrees_is_no_difference() {
        let house = House::new().await;
        let mailbox = house.account("anna").await;
        make(&house, mailbox).await;
        assert_eq!(house.ok("imboxsync -json").await, "[]\n");
    }

    #[tokio::test]
    async fn its_16877_any_mailbox_id_is_compared() {
        let house = House::new().await;
        for (name, id) in [("a", -(1 << 52)), ("b", -7), ("c", 1 << 40), ("d", 1 << 52)] {
            house.ok(&format!("imdbcontrol ca {name} - {id} {name} secret clear example.org")).await;
            make(&house, MailboxId(id)).await;
        }
        make(&house, MailboxId(-8)).await;
        let run = house.run("imboxsync -json").await;
        let rows: serde_json::Value = serde_json::from_str(&run.output()).unwrap();
        assert_eq!((run.exit, rows.as_array().unwrap().len()), (Exit::FAILED, 1));
        assert_eq!((&rows[0]["difference"], &rows[0]["mailbox"]), (&"no-account".into(), &"-8".into()));
    }

    #[tokio::test]
    async fn an_account_without_mail_is_a_fault_only_where_nothing_makes_mailboxes() {
        let house = House::new().await;
        let mailbox = house.account("anna").await;
        let said = house.ok("imboxsync").await;
        assert!(said.contains("no-mailbox") && said.contains("anna@example.org"), "{said}");
        house.file("config/config.db", "/*/mss/createMboxes: [false]\n");
        assert_eq!(house.run("imboxsync").await.exit, Exit::FAILED);
        let dry = house.run("imboxsync -create -n").await;
        assert!(dry.exit == Exit::FAILED && dry.output().contains("would be made"));
        assert!(house.ok("imboxsync -create").await.contains("made"));
        make(&house, mailbox).await;
        assert_eq!(house.ok("imboxsync -json").await, "[]\n");
    }

    #[tokio::test]
    async fn mailboxes_without_an_account_go_only_when_asked() {
        let house = House::new().await;
        house.deliver(MailboxId(99), "x", Timestamp::default()).await;
        let dry = house.run("imboxsync -delete -dry-run").await;
        assert!(dry.output().contains("would be removed"), "{}", dry.output());
        assert_eq!(house.inbox(MailboxId(99)).await.len(), 1);
        house.ok("imboxsync -delete").await;
        assert_eq!(house.ok("imboxsync -json").await, "[]\n");
    }

    #[tokio::test]
    async fn its_20087_what_changed_between_the_two_looks_is_no_difference() {
        let house = House::new().await;
        let (roles, random) = (house.roles(), &house.random);
        // Seen at the first look: a mailbox whose account has come since, an account whose mailbox has come since, a
        // mailbox that is gone, an account that is gone, and one real difference of each kind.
        let (anna, bert) = (house.account("anna").await, house.account("bert").await);
        let carl = house.account("carl").await;
        for mailbox in [anna, bert, MailboxId(500)] {
            make(&house, mailbox).await;
        }
        let orphans = [anna, MailboxId(500), MailboxId(501)].map(|m| (m, 0)).into();
        let missing = [bert, carl, MailboxId(502)].map(|m| (m, "x".to_owned())).into();
        let first = Differences { orphans, missing };
        let left = again(&roles, random, &|_| true, first).await.ok().unwrap();
        assert_eq!(left.orphans.into_keys().collect::<Vec<_>>(), [MailboxId(500)]);
        assert_eq!(left.missing.into_keys().collect::<Vec<_>>(), [carl]);
    }

    #[tokio::test]
    async fn its_14573_mail_that_comes_meanwhile_makes_no_difference() {
        let house = House::new().await;
        let mut boxes = Vec::new();
        for n in 0..20 {
            boxes.push(house.account(&format!("u{n}")).await);
        }
        let comes = async {
            for mailbox in &boxes {
                house.deliver(*mailbox, "x", Timestamp::default()).await;
                tokio::task::yield_now().await;
            }
        };
        let (_, said) = tokio::join!(comes, house.ok("imboxsync -json"));
        let rows: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert!(rows.as_array().unwrap().iter().all(|row| row["difference"] == "no-mailbox"), "{said}");
    }

    #[tokio::test]
    async fn its_15980_two_runs_and_other_requests_do_not_disturb_each_other() {
        let house = House::new().await;
        for n in 0..5 {
            let mailbox = house.account(&format!("u{n}")).await;
            make(&house, mailbox).await;
        }
        make(&house, MailboxId(900)).await;
        let (first, second, shown, third) = tokio::join!(
            house.run("imboxsync -json"),
            house.run("imboxsync -json -delete"),
            house.ok("imboxstats u0@example.org"),
            house.run("imboxsync -json"),
        );
        assert!(shown.contains("u0@example.org"));
        assert_eq!((second.exit, third.exit == Exit::OK || third.output().contains("900")), (Exit::OK, true));
        assert!(first.output() == "[]\n" || first.output().contains("\"900\""), "{}", first.output());
        assert_eq!(house.ok("imboxsync -json").await, "[]\n");
    }
}
