//! Message store: quotas, shards, what is logged.

use anyhow::{Result, ensure};
use site::imap::Imap;
use site::pop3::Pop3;
use site::program::{ALICE, BOB, Service, Site, Wish};
use site::smtp::{Smtp, deliver};
use std::fs;

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nbody\r\n";

#[test]
fn a_changed_number_of_shards_moves_every_mailbox_to_its_place() -> Result<()> {
    let mut site = Wish::default().entry("/*/mss/numMssPorts: [3]").start()?;
    deliver(&site, ALICE, MESSAGE)?;
    let file = site.path().join("config/config.db");
    for (from, to) in [(3, 5), (5, 2)] {
        site.stop()?;
        let [before, after] = [from, to].map(|n| format!("numMssPorts: [{n}]"));
        fs::write(&file, fs::read_to_string(&file)?.replace(&before, &after))?;
        site.start()?;
        deliver(&site, ALICE, MESSAGE)?;
    }
    let mut imap = Imap::login(&site, ALICE)?;
    ensure!(imap.select("INBOX")? == 3 && imap.fetch(1)?.ends_with(b"body\r\n"));
    ensure!(site.must(&["immsgverify"])?.ends_with("No faults.\n"));
    Ok(())
}

#[test]
fn its_46285_a_removed_message_is_logged_when_tracing_is_on() -> Result<()> {
    let site = Wish::default().entry("/*/mss/messageTracing: [true]").start()?;
    deliver(&site, ALICE, MESSAGE)?;
    let mut imap = Imap::login(&site, ALICE)?;
    imap.select("INBOX")?;
    imap.must(r"STORE 1 +FLAGS.SILENT (\Deleted)")?;
    imap.must("EXPUNGE")?;
    let line = site.event("MsMsgDeleted")?;
    ensure!(line.contains(" Note ") && line.contains("uid=1"), "{line}");
    Ok(())
}

#[test]
fn its_14928_the_making_of_a_mailbox_is_logged_when_asked_for() -> Result<()> {
    let site = Site::fresh()?;
    deliver(&site, ALICE, MESSAGE)?;
    site.event("MsMailboxCreated")?;
    let mut silent = Wish::default().entry("/*/mss/logMailBoxCreation: [false]").start()?;
    deliver(&silent, ALICE, MESSAGE)?;
    silent.event("MtaMessageDelivered")?;
    silent.never_said(&["MsMailboxCreated"])
}

#[test]
fn its_16594_a_quota_of_messages_holds() -> Result<()> {
    let site = Site::fresh()?;
    site.must(&["imdbcontrol", "SetAccountCos", "alice", "example.test", "totalMsgQuota", "3"])?;
    for _ in 0..3 {
        deliver(&site, ALICE, MESSAGE)?;
    }
    let mut smtp = Smtp::connect(&site, Service::Smtp)?;
    smtp.must("MAIL FROM:<a@remote.test>", 250)?;
    let reply = smtp.command(&format!("RCPT TO:<{}>", ALICE.address))?;
    ensure!([452, 552].contains(&reply.code), "{reply:?}");
    smtp.must(&format!("RCPT TO:<{}>", BOB.address), 250)?;
    let mut pop = Pop3::login(&site, ALICE)?;
    ensure!(pop.count()? == 3);
    pop.command("DELE 1")?;
    pop.command("QUIT")?;
    deliver(&site, ALICE, MESSAGE)
}

#[test]
fn its_14092_the_size_is_the_same_by_every_protocol() -> Result<()> {
    let site = Site::fresh()?;
    deliver(&site, ALICE, b"Subject: x\r\n\r\n.dot\r\n..two\r\nlast line")?;
    let mut imap = Imap::login(&site, ALICE)?;
    imap.select("INBOX")?;
    let whole = imap.fetch(1)?;
    let size = imap.must("FETCH 1 (RFC822.SIZE)")?;
    ensure!(size.iter().any(|u| u.text.contains(&format!("RFC822.SIZE {}", whole.len()))), "{size:?}");
    let mut pop = Pop3::login(&site, ALICE)?;
    ensure!(pop.command("LIST 1")? == format!("1 {}", whole.len()));
    ensure!(pop.command("STAT")? == format!("1 {}", whole.len()));
    ensure!(pop.lines("RETR 1")? == whole);
    Ok(())
}

#[test]
fn its_23196_mail_for_a_mailbox_that_must_not_be_made_is_put_off() -> Result<()> {
    let mut site = Wish::default().entry("/*/mss/createMboxes: [false]").start()?;
    let mut smtp = Smtp::connect(&site, Service::Smtp)?;
    smtp.must("MAIL FROM:<a@remote.test>", 250)?;
    let reply = smtp.command(&format!("RCPT TO:<{}>", ALICE.address))?;
    if reply.code == 250 {
        smtp.must("DATA", 354)?;
        smtp.connection.send(b"Subject: x\r\n\r\nx\r\n.\r\n")?;
        let reply = smtp.reply()?;
        // Taken into the queue, or left with the sender for later: neither bounced nor lost.
        ensure!(reply.code == 250 || (400..500).contains(&reply.code), "{reply:?}");
    } else {
        ensure!((400..500).contains(&reply.code), "{reply:?}");
    }
    site.never_said(&["MtaMessageBounced"])
}

#[test]
fn its_47356_stored_mail_outlives_a_kill_byte_for_byte() -> Result<()> {
    let mut site = Site::fresh()?;
    let messages: Vec<Vec<u8>> = (0..40_u32)
        .map(|n| format!("Subject: {n}\r\n\r\n{}\r\n", "x".repeat(n as usize * 613 % 9_000)).into_bytes())
        .collect();
    for message in &messages {
        deliver(&site, ALICE, message)?;
    }
    site.kill()?;
    site.start()?;
    let mut imap = Imap::login(&site, ALICE)?;
    ensure!(imap.select("INBOX")? == messages.len());
    for (at, message) in messages.iter().enumerate() {
        site::corpus::same(message, &imap.fetch(at + 1)?)?;
    }
    Ok(())
}

#[test]
fn its_46244_descriptors_run_out_for_new_clients_and_not_for_files() -> Result<()> {
    let site = Wish::default().descriptors(100, 240).start()?;
    site::tools::until("the limit is raised", || {
        let limits = fs::read_to_string(format!("/proc/{}/limits", site.pid().unwrap_or(0)))?;
        let files = limits.lines().find(|l| l.starts_with("Max open files")).unwrap_or_default();
        Ok(files.split_whitespace().nth(3) == Some("240"))
    })?;
    let (mut imap, mut smtp) = (Imap::login(&site, ALICE)?, Smtp::connect(&site, Service::Smtp)?);
    // More than the listeners take: a quarter of the 240 is kept.
    let crowd = (0..220).map(|_| site.connect(Service::Imap)).collect::<Result<Vec<_>>>()?;
    site.event("NioAcceptFail")?;
    // Who is in goes on, with all the files that takes.
    for _ in 0..5 {
        smtp.deliver("a@remote.test", &[ALICE.address], MESSAGE)?;
    }
    ensure!(imap.select("INBOX")? == 5);
    ensure!(imap.fetch(5)?.ends_with(b"body\r\n"));
    drop(crowd);
    site::tools::until("there is room again", || Ok(Imap::login(&site, BOB).is_ok()))
}
