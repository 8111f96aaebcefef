//! `imbroadcast`: one message into every mailbox (ITS 17004).

use super::bulk;
use crate::command::{Command, Example, Exit, Grammar, Group, Opt, Outcome, Place};
use crate::context::{Context, Failure, Roles};
use crate::output::Format;
use crate::people::{People, Whom, call};
use catalog::account::Status;
use env::clock::Clock;
use env::random::Random;
use mail::address::Domain;
use mail::flags::Flags;
use mail::id::HostName;
use mail::time::Timestamp;
use roles::Body;
use roles::directory::Account;
use roles::store::{Deliver, DeliverTo, MessageStore, Repeatable, StoreError};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// The row.
pub const COMMAND: Command = Command {
    name: "imbroadcast",
    aliases: &[],
    group: Group::Mail,
    summary: "Puts one message into the mailbox of everybody",
    about: "Reads a message from standard input and puts it into the Inbox of every account, of those of a domain, or of \
            a class of service, straight in the message store: forwards and filters do not see it, and the body is \
            stored once for many. Quotas hold. Accounts that are locked, deleted or under maintenance are passed over. \
            Header fields that are missing are added; a text without a header is taken as the text of a message.",
    usage: &["[-dry-run] [-json] [-from ADDRESS] [-cos COS] [-domain DOMAIN] <MESSAGE"],
    options: &[
        Opt { name: "from", value: Some("ADDRESS"), help: "Who sends; else the postmaster" },
        Opt { name: "cos", value: Some("COS"), help: "Only to accounts of this class of service" },
        Opt { name: "domain", value: Some("DOMAIN"), help: "Only to accounts of this domain" },
        Opt { name: "dry-run", value: None, help: "Only count who would get it" },
        Opt { name: "n", value: None, help: "The same as -dry-run" },
    ],
    words: &[],
    examples: &[
        Example { line: "imbroadcast -dry-run <notice.txt", does: "Says how many would get it" },
        Example {
            line: "imbroadcast -domain software.com <notice.txt",
            does: "Writes to everybody at software.com",
        },
    ],
    exits: &[(1, "some mailboxes did not take it; standard error names them")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

/// Mailboxes of one call.
const BATCH: usize = 500;
/// Times that a store which is busy is asked.
const TRIES: u32 = 3;

/// What came of it.
#[derive(Default)]
struct Counts {
    delivered: u64,
    failed: u64,
    passed_over: u64,
}

async fn run(context: &mut Context) -> Outcome {
    let arguments = &context.arguments;
    let dry = arguments.has("dry-run") || arguments.has("n");
    let bad = |error| Failure::Usage(format!("-domain: {error}"));
    let domain = arguments.value("domain").map(Domain::parse).transpose().map_err(bad)?;
    let whom = Whom { domain, class: arguments.value("cos").map(str::to_owned) };
    let from = bulk::sender(context, "from")?;
    let message = bulk::read_message(context).await?;
    let now = Clock::system().now();
    let id = format!("broadcast.{:032x}", context.random.request_id().0);
    let added = bulk::missing_fields(&message, &from, &id, now);
    let front = Body::from_bytes(format!("Return-Path: <{from}>\r\n{added}"));
    let body = Body::joined(vec![front, Body::from_bytes(message)]);
    let (roles, random) = (context.roles()?.clone(), context.random.clone());
    let mut people = People::new(&roles, &random, whom);
    let mut counts = Counts::default();
    while let Some(page) = people.next().await.map_err(Failure::because)? {
        let (take, pass): (Vec<_>, Vec<_>) =
            page.into_iter().partition(|line| matches!(line.status, Status::Active | Status::Suspended));
        counts.passed_over += pass.len() as u64;
        for some in take.chunks(BATCH) {
            if dry {
                counts.delivered += some.len() as u64;
                continue;
            }
            let logins = some.iter().map(|line| format!("{}@{}", line.user.name, line.user.domain));
            let accounts = accounts(&roles, &random, logins, context, &mut counts).await?;
            for (home, accounts) in by_home(accounts) {
                let store = roles.at(&home).store;
                deliver(&*store, &random, &body, now, &accounts, context, &mut counts).await?;
            }
        }
    }
    say(context, &counts, dry).await?;
    Ok(if counts.failed == 0 { Exit::OK } else { Exit::FAILED })
}

/// The accounts with their quotas; one that is gone meanwhile is no failure.
async fn accounts(
    roles: &Roles,
    random: &Random,
    logins: impl Iterator<Item = String>,
    context: &mut Context,
    counts: &mut Counts,
) -> Result<Vec<Account>, Failure> {
    let mut found = Vec::new();
    for login in logins {
        match roles.directory.account_find(&call(random), login.clone()).await {
            Ok(account) => found.push(account),
            Err(roles::directory::DirectoryError::Missing(_)) => counts.passed_over += 1,
            Err(error) => {
                counts.failed += 1;
                context.console.error(format!("{login}: {error}")).await?;
            }
        }
    }
    Ok(found)
}

/// Accounts together whose mailboxes are on one host.
fn by_home(accounts: Vec<Account>) -> BTreeMap<HostName, Vec<Account>> {
    let mut homes: BTreeMap<HostName, Vec<Account>> = BTreeMap::new();
    for account in accounts {
        homes.entry(account.home.clone()).or_default().push(account);
    }
    homes
}

async fn deliver(
    store: &dyn MessageStore,
    random: &Random,
    body: &Body,
    now: Timestamp,
    accounts: &[Account],
    context: &mut Context,
    counts: &mut Counts,
) -> Result<(), Failure> {
    if accounts.is_empty() {
        return Ok(());
    }
    // The same id for every try: whoever has it already does not get it again.
    let call = call(random);
    let to = |account: &Account| DeliverTo {
        mailbox: account.mailbox,
        folder: None,
        quota: account.quota.clone(),
        flags: Flags::default(),
    };
    let mut tries = 0;
    let results = loop {
        let to = accounts.iter().map(to).collect();
        let deliver = Deliver { to, body: body.clone(), received: now, repeatable: Repeatable::Yes };
        tries += 1;
        match store.message_deliver(&call, deliver).await {
            Ok(results) => break results,
            Err(StoreError::Busy | StoreError::Unavailable) if tries < TRIES => {
                Clock::system().sleep(Duration::from_secs(1)).await;
            }
            Err(error) => break vec![Err(error); accounts.len()],
        }
    };
    for (account, result) in accounts.iter().zip(results) {
        match result {
            Ok(_) => counts.delivered += 1,
            Err(error) => {
                counts.failed += 1;
                context.console.error(format!("{}: {error}", account.login)).await?;
            }
        }
    }
    Ok(())
}

async fn say(context: &mut Context, counts: &Counts, dry: bool) -> Result<(), Failure> {
    let Counts { delivered, failed, passed_over } = counts;
    match context.console.format() {
        Format::Json => {
            let value = json!({ "dry_run": dry, "delivered": delivered, "failed": failed, "passed_over": passed_over });
            context.console.json(&value).await
        }
        Format::Text if dry => {
            context
                .console
                .line(format!("{delivered} mailboxes would get it, {passed_over} are passed over"))
                .await
        }
        Format::Text => {
            let text = format!(
                "{delivered} mailboxes have got it, {failed} have not, {passed_over} were passed over"
            );
            context.console.line(text).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::house::House;

    const NOTICE: &str = "Subject: Maintenance\n\nTonight.\n";

    #[tokio::test]
    async fn its_17004_everybody_gets_it_once() {
        let house = House::new().await;
        let mut boxes = Vec::new();
        for name in ["anna", "bert", "carl"] {
            boxes.push(house.account(name).await);
        }
        house.ok("imdbcontrol sas carl example.org L").await;
        let dry = house.run_reading("imbroadcast -n", NOTICE).await;
        assert_eq!(dry.output(), "2 mailboxes would get it, 1 are passed over\n");
        assert!(house.inbox(boxes[0]).await.is_empty());
        let run = house.run_reading("imbroadcast -from ops@example.org", NOTICE).await;
        assert_eq!(
            (run.exit, run.output().as_str()),
            (Exit::OK, "2 mailboxes have got it, 0 have not, 1 were passed over\n")
        );
        for mailbox in &boxes[..2] {
            let inbox = house.inbox(*mailbox).await;
            assert_eq!(inbox.len(), 1);
            assert!(inbox[0].starts_with("Return-Path: <ops@example.org>\r\nDate: "), "{}", inbox[0]);
            assert!(inbox[0].ends_with("\r\nSubject: Maintenance\r\n\r\nTonight.\r\n"), "{}", inbox[0]);
        }
        assert!(house.inbox(boxes[2]).await.is_empty());
    }

    #[tokio::test]
    async fn a_domain_or_a_class_can_be_named_and_quotas_hold() {
        let house = House::new().await;
        let (anna, bert) = (house.account("anna").await, house.account("bert").await);
        house.ok("imdbcontrol cc free").await;
        house.ok("imdbcontrol ma bert example.org cos free").await;
        house.ok("imdbcontrol sca free totalBytes 10").await;
        let run = house.run_reading("imbroadcast -json -cos free", NOTICE).await;
        let value: serde_json::Value = serde_json::from_str(&run.output()).unwrap();
        assert_eq!((run.exit, &value["failed"], &value["delivered"]), (Exit::FAILED, &1.into(), &0.into()));
        assert_eq!(run.errors(), "imbroadcast: bert@example.org: the mailbox is full\n");
        house.run_reading("imbroadcast -domain other.test", NOTICE).await;
        assert!(house.inbox(anna).await.is_empty() && house.inbox(bert).await.is_empty());
        let empty = house.run_reading("imbroadcast", "\n").await;
        assert_eq!(empty.errors(), "imbroadcast: there is no message on standard input\n");
    }
}
