//! Whole mailboxes while they are used: moved to another shard, copied, and brought back as they were.

use anyhow::{Result, ensure};
use serde_json::Value;
use site::imap::Imap;
use site::program::{ALICE, BOB, Service, Site, Wish};
use site::smtp::{Smtp, deliver};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Messages of the mailbox that moves.
const LARGE: usize = 10_000;
/// What a user takes for "at once", in milliseconds: the most that a move may hold up a delivery.
const AT_ONCE_MS: u64 = 1000;

fn message(n: usize) -> Vec<u8> {
    format!("Subject: number {n}\r\n\r\nbody {n}\r\n").into_bytes()
}

/// What a client keeps of a folder to know whether what it has is still right.
fn identity(imap: &mut Imap, folder: &str) -> Result<Vec<String>> {
    let said = imap.must(&format!("SELECT {folder}"))?;
    let kept = |text: &&str| text.contains("[UIDVALIDITY ");
    Ok(said.iter().map(|u| u.text.as_str()).filter(kept).map(str::to_owned).collect())
}

/// The UIDs, flags and sizes of a folder.
fn listed(imap: &mut Imap, uids: &str) -> Result<Vec<String>> {
    let said = imap.must(&format!("UID FETCH {uids} (UID FLAGS RFC822.SIZE)"))?;
    Ok(said.into_iter().map(|u| u.text).filter(|t| t.contains(" FETCH ")).collect())
}

/// Runs `work` while a client delivers to Alice; says how many messages were acknowledged.
fn under_delivery(site: &Site, from: usize, work: impl FnOnce() -> Result<()>) -> Result<usize> {
    let (sent, stop) = (AtomicUsize::new(from), AtomicBool::new(false));
    thread::scope(|scope| {
        let load = scope.spawn(|| -> Result<()> {
            let mut smtp = Smtp::connect(site, Service::Smtp)?;
            while !stop.load(Ordering::Relaxed) {
                let n = sent.load(Ordering::Relaxed) + 1;
                smtp.deliver("a@remote.test", &[ALICE.address], &message(n))?;
                sent.store(n, Ordering::Relaxed);
            }
            Ok(())
        });
        let done =
            site::tools::until("mail", || Ok(sent.load(Ordering::Relaxed) > from + 5)).and_then(|()| work());
        stop.store(true, Ordering::Relaxed);
        load.join().map_err(|_| anyhow::anyhow!("the load panicked"))??;
        done.map(|()| sent.load(Ordering::Relaxed))
    })
}

/// The shard that a mailbox is moved to from where it is.
fn moved(site: &Site) -> Result<Value> {
    for shard in ["0", "1"] {
        let said = site.command(&["imboxmove", "--json", ALICE.address, shard])?;
        if said.status.success() {
            let moved: Value = serde_json::from_slice(&said.stdout)?;
            if moved[0]["from"] != moved[0]["to"] {
                return Ok(moved[0].clone());
            }
        }
    }
    anyhow::bail!("the mailbox does not move")
}

#[test]
fn its_8788_its_22229_a_large_mailbox_moves_under_delivery_and_a_client_that_has_it_open() -> Result<()> {
    let mut site = Wish::default().entry("/*/mss/numMssPorts: [2]").start()?;
    site.must(&["imdbcontrol", "SetAccountCos", "alice", "example.test", "totalMsgQuota", "100000"])?;
    let mut smtp = Smtp::connect(&site, Service::Smtp)?;
    smtp.deliver("a@remote.test", &[ALICE.address], &message(1))?;
    let mut imap = Imap::login(&site, ALICE)?;
    ensure!(imap.select("INBOX")? == 1);
    // The rest by copies that double: as many rows as ten thousand deliveries.
    let mut there = 1;
    while there < LARGE {
        let many = there.min(LARGE - there);
        imap.must(&format!("UID COPY 1:{many} INBOX"))?;
        there += many;
        imap.must("NOOP")?;
    }
    imap.must(r"UID STORE 2:500 +FLAGS.SILENT (\Seen $Label)")?;
    let (before, identified) = (listed(&mut imap, &format!("1:{LARGE}"))?, identity(&mut imap, "INBOX")?);
    ensure!(before.len() == LARGE && identified.len() == 1, "{} {identified:?}", before.len());
    let sent = under_delivery(&site, LARGE, || {
        let moved = moved(&site)?;
        ensure!(moved["pause_ms"].as_u64().is_some_and(|ms| ms < AT_ONCE_MS), "{moved}");
        // The session that was open goes on, and hears of new mail.
        imap.must(r"UID STORE 1 +FLAGS (\Answered)")?;
        let there = imap.select("INBOX")?;
        site::tools::until("new mail", || {
            let said = imap.must("NOOP")?;
            Ok(said.iter().any(|u| u.text.contains("EXISTS") && !u.text.starts_with(&format!("* {there} "))))
        })
    })?;
    ensure!(identity(&mut imap, "INBOX")? == identified);
    imap.must(r"UID STORE 1 -FLAGS (\Answered)")?;
    let after = listed(&mut imap, &format!("1:{LARGE}"))?;
    ensure!(after == before, "a client would have to read again what it has");
    ensure!(imap.select("INBOX")? == sent, "{sent} were acknowledged");
    let last = imap.fetch(sent)?;
    ensure!(last.ends_with(&message(sent)), "{}", String::from_utf8_lossy(&last));
    ensure!(site.must(&["immsgverify"])?.ends_with("No faults.\n"));
    site.kill()?;
    site.start()?;
    ensure!(Imap::login(&site, ALICE)?.select("INBOX")? == sent);
    Ok(())
}

#[test]
fn a_mailbox_comes_back_as_it_was_while_mail_arrives() -> Result<()> {
    let site = Site::fresh()?;
    for n in 1..=20 {
        deliver(&site, ALICE, &message(n))?;
    }
    deliver(&site, BOB, &message(1))?;
    let mut imap = Imap::login(&site, ALICE)?;
    imap.select("INBOX")?;
    imap.must(r"STORE 3 +FLAGS (\Flagged)")?;
    // What is asked for is as it was before this moment, and after the next one.
    let moment = site::program::now();
    thread::sleep(Duration::from_secs(1));
    imap.must(r"STORE 1:15 +FLAGS.SILENT (\Deleted)")?;
    imap.must("EXPUNGE")?;
    imap.must("CREATE Later")?;
    imap.must("COPY 1 Later")?;
    let sent = under_delivery(&site, 20, || {
        let minutes = (moment.elapsed() - Duration::from_millis(500)).as_secs_f64() / 60.0;
        let restored =
            site.must(&["imboxrestore", "-minutes", &format!("{minutes:.4}"), "--json", ALICE.address])?;
        ensure!(serde_json::from_str::<Value>(&restored)?[0]["messages"] == 15, "{restored}");
        Ok(())
    })?;
    let there = imap.select("INBOX")?;
    ensure!(there == sent, "{there} of {sent}");
    let mut found = Vec::new();
    for n in 1..=there {
        let text = String::from_utf8(imap.fetch(n)?)?;
        found.extend(
            text.lines().filter_map(|l| l.strip_prefix("body ")).map(|n| n.parse::<usize>().unwrap_or(0)),
        );
    }
    found.sort_unstable();
    ensure!(found == (1..=sent).collect::<Vec<_>>(), "{found:?}");
    let flagged = imap.must("SEARCH FLAGGED")?;
    let one = |text: &str| text.strip_prefix("SEARCH ").is_some_and(|n| n.trim().parse::<usize>().is_ok());
    ensure!(flagged.iter().any(|u| one(&u.text)), "flags come back: {flagged:?}");
    ensure!(imap.select("Later")? == 1, "what came later stays");
    ensure!(Imap::login(&site, BOB)?.select("INBOX")? == 1);
    Ok(())
}
