//! A few seeds in every test run, and proof that the simulation finds what it looks for.

use super::*;
use crate::finding::{Finding, Kind};
use crate::history::{History, MAILBOXES, judge};
use crate::ledger::Ledger;
use crate::look::call;
use crate::model::{Mailbox, Past};
use crate::site::{Site, Watch};
use crate::tape::Syncs;
use mail::flags::{Flags, SystemFlags};
use mail::id::{MailboxId, RequestId};
use mail::sequence::NumberSet;
use roles::store::{MessageStore as _, Quota};
use std::collections::BTreeMap;

/// MSS 9498: recoverable after a crash, with no acknowledged message lost; 13307: also where what is dead is being
/// taken away; 14739: with deliveries and removals of several callers at once.
fn survives(seeds: &[u64]) {
    let tally = Tally::default();
    for &seed in seeds {
        one(seed, &tally, &|| false).unwrap();
    }
    println!("{}", tally.table());
    assert!(tally.is_clean() && tally.crashes() > 50, "{}", tally.table());
}

#[test]
fn its_9498_no_crash_loses_what_was_acknowledged() {
    survives(&[0]);
}

#[test]
fn a_sync_that_fails_loses_nothing_that_was_acknowledged() {
    survives(&[1]);
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    survives(&[5]);
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_disk_that_lies_about_its_syncs_is_found_out() {
    let tally = Tally::default();
    block_on(async {
        let setup = Setup { syncs: Syncs::Lying, ..Setup::of(2) };
        let history = history::run(setup, STEPS, None).await.unwrap();
        assert!(history.findings.is_empty(), "{:?}", history.findings);
        crash::everywhere(&history, &tally, &|| false).await.unwrap();
    });
    assert!(tally.found(Kind::Lost) > 0, "{}", tally.table());
}

type Books = BTreeMap<MailboxId, (Mailbox, Past)>;

/// What is found in the store of a history by a ledger that says something else than it should.
fn found_with(falsify: impl FnOnce(&mut Books)) -> Vec<Kind> {
    block_on(async {
        let (site, mut books) = ended().await;
        falsify(&mut books);
        kinds(&site, books).await
    })
}

/// A store with some mail, and a true ledger of it.
async fn ended() -> (Site, Books) {
    let History { world, site, setup, end, .. } = history::run(Setup::of(4), STEPS, None).await.unwrap();
    let opened = Site::open(&end, &setup, Watch::Nothing).unwrap();
    let mut resolved = judge(&opened, &world.ledger, site.tape.len()).await;
    assert!(resolved.findings.is_empty(), "{:?}", resolved.findings);
    let mut past = |id: &MailboxId| resolved.past.remove(id).unwrap();
    let books = resolved.mailboxes.clone().into_iter().map(|(id, m)| (id, (m, past(&id)))).collect();
    (opened, books)
}

async fn kinds(site: &Site, books: Books) -> Vec<Kind> {
    let (base, past) = books.into_iter().map(|(id, (m, p))| ((id, m), (id, p))).unzip();
    let ledger = Ledger::new(site, base, past, Vec::new());
    let findings = judge(site, &ledger, 0).await.findings;
    site.close().await;
    findings.iter().map(|f: &Finding| f.kind).collect()
}

/// The first mailbox of these that has mail in its Inbox.
fn with_mail(books: &mut Books) -> &mut (Mailbox, Past) {
    let has_mail = |m: &Mailbox| m.folders.get("INBOX").is_some_and(|f| !f.mails.is_empty());
    books.values_mut().find(|(m, _)| has_mail(m)).unwrap()
}

#[test]
fn a_true_ledger_finds_nothing() {
    assert_eq!(found_with(|_| {}), []);
}

#[test]
fn a_message_that_the_ledger_has_not_is_found() {
    let found = found_with(|books| {
        let inbox = with_mail(books).0.folders.get_mut("INBOX").unwrap();
        inbox.mails.pop_first();
    });
    assert_eq!(found, [Kind::Resurrected]);
}

#[test]
fn a_message_that_is_missing_is_found() {
    let found = found_with(|books| {
        let inbox = with_mail(books).0.folders.get_mut("INBOX").unwrap();
        let mail = inbox.mails.first_key_value().unwrap().1.clone();
        inbox.mails.insert(inbox.next, mail);
        inbox.next += 1;
    });
    // The number that the next message would get is then wrong as well.
    assert_eq!(found, [Kind::Reused, Kind::Lost]);
}

#[test]
fn other_flags_and_another_message_under_a_uid_are_found() {
    let found = found_with(|books| {
        let (mailbox, past) = with_mail(books);
        let inbox = mailbox.folders.get_mut("INBOX").unwrap();
        let (uid, mail) = inbox.mails.iter_mut().next().unwrap();
        mail.flags = match mail.flags.is_empty() {
            true => Flags::system(SystemFlags::DRAFT),
            false => Flags::default(),
        };
        past.uids.insert((inbox.validity, *uid), 77);
    });
    assert_eq!(found, [Kind::Altered, Kind::Reused]);
}

#[test]
fn a_message_that_is_there_twice_is_found() {
    let found = block_on(async {
        let (site, mut books) = ended().await;
        let mailbox = with_mail(&mut books).0.clone();
        let id = MAILBOXES.into_iter().find(|id| books[id].0 == mailbox).unwrap();
        let (&uid, mail) = mailbox.folders["INBOX"].mails.iter().next().unwrap();
        // Behind the ledger's back.
        let (uids, inbox) = (NumberSet::one(uid), mailbox.folders["INBOX"].id);
        let store = &site.store;
        store
            .message_copy(&call(RequestId(9)), id, inbox, uids, "INBOX".into(), Quota::default())
            .await
            .unwrap();
        books.get_mut(&id).unwrap().1.removed.remove(&mail.token);
        kinds(&site, books).await
    });
    assert!(found.contains(&Kind::Doubled) && !found.contains(&Kind::Lost), "{found:?}");
}
