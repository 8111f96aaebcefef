//! Stores that are given from one host to another, in order or by force: nothing acknowledged is lost or doubled, and an
//! owner that comes back does no harm.

use crate::hosts::{count, four, send};
use anyhow::{Context as _, Result, ensure};
use site::hosts::Hosts;
use site::imap::Imap;
use site::program::{ALICE, BOB, Service};
use site::tools::until;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// The folder of the store of mars, which all hosts of a test reach.
fn folder(hosts: &Hosts) -> String {
    hosts.path("mars").join("mss").display().to_string()
}

/// Subjects that the MTA has taken.
#[derive(Default)]
struct Ledger {
    /// What tells its subjects from those of others.
    name: &'static str,
    taken: Mutex<Vec<String>>,
    end: AtomicBool,
}

impl Ledger {
    fn len(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Sends to alice until it is told to end; notes what was taken.
    fn fill(&self, hosts: &Hosts) {
        for number in 0..100_000 {
            if self.end.load(Ordering::Acquire) {
                return;
            }
            let subject = format!("{} {number}", self.name);
            if send(hosts, &[ALICE], &subject).is_ok() {
                self.taken.lock().unwrap_or_else(PoisonError::into_inner).push(subject);
            }
        }
    }

    /// Waits until so many more were taken.
    fn more(&self, by: usize) -> Result<()> {
        let before = self.len();
        until("more mail is taken", || Ok(self.len() >= before + by))
    }

    /// Everything that was taken comes to the Inbox, and comes once.
    fn settle(&self, hosts: &Hosts) -> Result<()> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut counted = Vec::new();
        let all_there = until("all mail that was taken has come", || {
            counted = count(hosts, ALICE, &taken).unwrap_or_default();
            Ok(counted.len() == taken.len() && counted.iter().all(|n| *n > 0))
        });
        all_there.with_context(|| format!("{counted:?}"))?;
        ensure!(counted.iter().all(|n| *n == 1), "mail came twice: {counted:?}");
        Ok(())
    }
}

/// Does something while mail for alice comes in.
fn under_load<T>(
    hosts: &Hosts,
    name: &'static str,
    what: impl FnOnce(&Ledger) -> Result<T>,
) -> Result<(Ledger, T)> {
    let ledger = Ledger { name, ..Ledger::default() };
    let done = thread::scope(|scope| {
        scope.spawn(|| ledger.fill(hosts));
        let done = what(&ledger);
        ledger.end.store(true, Ordering::Release);
        done
    })?;
    Ok((ledger, done))
}

/// How often alice has each of these; nothing while that cannot be seen.
fn counted(hosts: &Hosts, subjects: &[&str]) -> Vec<usize> {
    let subjects: Vec<String> = subjects.iter().map(ToString::to_string).collect();
    count(hosts, ALICE, &subjects).unwrap_or_default()
}

/// How many messages the Inbox has, as a session sees it that is in it already.
fn exists(imap: &mut Imap) -> Result<usize> {
    let untagged = imap.must("STATUS INBOX (MESSAGES)")?;
    let line = untagged.iter().find_map(|u| u.text.split_once("MESSAGES "));
    let (_, rest) = line.context("no MESSAGES")?;
    Ok(rest.trim_end_matches(')').parse()?)
}

#[test]
fn its_21948_a_store_is_handed_over_under_load_and_sessions_go_on() -> Result<()> {
    let mut hosts = four()?;
    send(&hosts, &[ALICE, BOB], "before")?;
    let mut attached = Imap::login_over(hosts.connect("jove", Service::Imap)?, ALICE)?;
    attached.select("INBOX")?;
    let validity = |imap: &mut Imap| -> Result<String> {
        let untagged = imap.must("STATUS INBOX (UIDVALIDITY)")?;
        Ok(untagged.first().context("no STATUS")?.text.clone())
    };
    let before = validity(&mut attached)?;
    let (ledger, said) = under_load(&hosts, "away", |ledger| {
        ledger.more(20)?;
        let handed = ["immssshare", "-handover", "-folder", &folder(&hosts), "mars", "minerva"];
        let said = hosts.must("jove", &handed)?;
        // The session that was there before goes on, without a word from the user.
        exists(&mut attached)?;
        ledger.more(20)?;
        Ok(said)
    })?;
    ensure!(said.contains("mars is open on minerva"), "{said}");
    ledger.settle(&hosts)?;
    ensure!(exists(&mut attached)? == ledger.len() + 1);
    ensure!(validity(&mut attached)? == before, "the UIDs of before hold");
    ensure!(count(&hosts, BOB, &["before".into()])? == [1]);
    let shown = hosts.must("venus", &["immssshare"])?;
    ensure!(
        shown.lines().any(|l| l.starts_with("mars") && l.contains("minerva") && l.contains("open")),
        "{shown}"
    );
    // The host that had it is not needed any more.
    hosts.kill("mars")?;
    send(&hosts, &[ALICE], "without mars")?;
    until("mail comes", || Ok(counted(&hosts, &["without mars"]) == [1]))?;
    // And gets it back.
    hosts.begin("mars")?;
    let (ledger, said) = under_load(&hosts, "back", |ledger| {
        ledger.more(10)?;
        let said = hosts.must("mars", &["immssshare", "-handover", "mars", "mars"])?;
        ledger.more(10)?;
        Ok(said)
    })?;
    ensure!(said.contains("mars is open on mars"), "{said}");
    ledger.settle(&hosts)?;
    let all = count(&hosts, ALICE, &["before".into(), "without mars".into()])?;
    ensure!(all == [1, 1], "{all:?}");
    ensure!(validity(&mut attached)? == before, "the UIDs of before hold");
    Ok(())
}

#[test]
fn its_20492_an_owner_that_comes_back_does_not_open_what_was_taken_from_it() -> Result<()> {
    let mut hosts = four()?;
    send(&hosts, &[ALICE], "before")?;
    ensure!(count(&hosts, ALICE, &["before".into()])? == [1]);
    let files = folder(&hosts);
    let take = ["immssshare", "-takeover", "-folder", &files, "mars", "minerva"];
    let lives = hosts.must("jove", &take);
    ensure!(lives.as_ref().is_err_and(|e| format!("{e:#}").contains("it lives")), "{lives:?}");
    hosts.kill("mars")?;
    let by_force = ["immssshare", "-takeover", "-force", "-folder", &files, "mars", "minerva"];
    let said = hosts.must("jove", &by_force)?;
    ensure!(said.contains("mars is open on minerva"), "{said}");
    send(&hosts, &[ALICE], "after")?;
    until("mail comes", || Ok(counted(&hosts, &["before", "after"]) == [1, 1]))?;
    // With the directory: it says whose the store is.
    hosts.begin("mars")?;
    send(&hosts, &[ALICE], "beside")?;
    until("mail comes", || Ok(counted(&hosts, &["beside"]) == [1]))?;
    ensure!(hosts.log("mars")?.matches("MsStoreOpened").count() == 1, "never after the take-over");
    // Without it: the fence in the folder does.
    hosts.stop("mars")?;
    hosts.kill("venus")?;
    hosts.begin("mars")?;
    until("mars says why it has no store", || Ok(hosts.log("mars")?.contains("it is minerva's")))?;
    hosts.begin("venus")?;
    until("mail comes", || {
        Ok(send(&hosts, &[ALICE], "last").is_ok() && count(&hosts, ALICE, &["last".into()]).is_ok())
    })?;
    Ok(())
}

#[test]
fn its_21999_an_owner_that_was_paused_acknowledges_nothing_after_it_was_replaced() -> Result<()> {
    let hosts = four()?;
    let files = folder(&hosts);
    let (ledger, ()) = under_load(&hosts, "paused", |ledger| {
        ledger.more(20)?;
        hosts.freeze("mars")?;
        let by_force = ["immssshare", "-takeover", "-force", "-folder", &files, "mars", "minerva"];
        thread::scope(|scope| {
            let taking = scope.spawn(|| hosts.must("venus", &by_force));
            // The paused process has the files; the fence is written already.
            until("minerva waits for the files", || {
                Ok(hosts.log("minerva")?.contains("the shard is in use by another process"))
            })?;
            hosts.thaw("mars")?;
            let said = taking.join().map_err(|_| anyhow::anyhow!("the command panicked"))??;
            ensure!(said.contains("mars is open on minerva"), "{said}");
            Ok(())
        })?;
        ledger.more(20)
    })?;
    ledger.settle(&hosts)?;
    let log = hosts.log("mars")?;
    ensure!(
        log.contains("MsStoreClosed") && log.contains("minerva"),
        "mars does not know that it has lost its store"
    );
    Ok(())
}

#[test]
fn a_store_is_opened_again_while_the_directory_is_away() -> Result<()> {
    let mut hosts = four()?;
    send(&hosts, &[ALICE], "before")?;
    ensure!(count(&hosts, ALICE, &["before".into()])? == [1]);
    hosts.kill("venus")?;
    hosts.kill("mars")?;
    hosts.begin("mars")?;
    let opened = |hosts: &Hosts| Ok::<_, anyhow::Error>(hosts.log("mars")?.matches("MsStoreOpened").count());
    until("mars opens its store by itself", || Ok(opened(&hosts)? == 2))?;
    hosts.begin("venus")?;
    until("mail is taken again", || Ok(send(&hosts, &[ALICE], "after").is_ok()))?;
    until("mail comes", || Ok(counted(&hosts, &["before", "after"]) == [1, 1]))?;
    until("the directory hears of the epoch", || {
        let shown = hosts.must("venus", &["immssshare"])?;
        Ok(shown.lines().any(|l| l.starts_with("mars") && l.contains("open") && l.contains(" 2")))
    })
}
