//! What is kept, for how long and how much of it: quotas, retention, autoreplies, the commands over mailboxes.

use anyhow::{Context as _, Result, ensure};
use site::imap::Imap;
use site::pop3::Pop3;
use site::program::{ALICE, BOB, Service, Site, Wish};
use site::smtp::{Smtp, deliver};
use std::process::{Command, Stdio};
use std::time::Duration;

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nbody\r\n";
/// More than a thousand octets.
fn large() -> Vec<u8> {
    [b"Subject: large\r\n\r\n".to_vec(), b"0123456789abcdef\r\n".repeat(60)].concat()
}

/// The untagged QUOTA of the account.
fn quota(imap: &mut Imap) -> Result<String> {
    let said = imap.must("GETQUOTAROOT INBOX")?;
    let line = said.iter().find(|u| u.text.starts_with("QUOTA ") || u.text.starts_with("* QUOTA "));
    Ok(line.context("no QUOTA")?.text.clone())
}

#[test]
fn its_19360_quota_is_the_class_s_for_commands_and_clients() -> Result<()> {
    let site = Site::fresh()?;
    site.must(&["imdbcontrol", "sca", "default", "totalBytes", "102400"])?;
    site.must(&["imdbcontrol", "sca", "default", "totalMsgQuota", "50"])?;
    deliver(&site, ALICE, MESSAGE)?;
    let text = site.must(&["imboxstats", ALICE.address])?;
    ensure!(
        text.contains("Quota Messages: 50 (2 % used)") && text.contains("Quota Bytes: 102400 ("),
        "{text}"
    );
    let said = quota(&mut Imap::login(&site, ALICE)?)?;
    ensure!(said.contains("STORAGE 1 100") && said.contains("MESSAGE 1 50"), "{said}");
    Ok(())
}

#[test]
fn its_13997_one_warning_comes_when_the_threshold_is_crossed() -> Result<()> {
    let mut site = Site::fresh()?;
    for (name, value) in [("totalMsgQuota", "10"), ("quotaThreshold", "30"), ("quota_msg", "Please tidy up.")]
    {
        site.must(&["imdbcontrol", "sca", "default", name, value])?;
    }
    for _ in 0..3 {
        deliver(&site, ALICE, MESSAGE)?;
    }
    let mut imap = Imap::login(&site, ALICE)?;
    ensure!(imap.select("INBOX")? == 4, "three messages and one warning");
    let warning = String::from_utf8(imap.fetch(4)?)?;
    ensure!(warning.contains(&format!("To: {}\r\n", ALICE.address)), "{warning}");
    ensure!(warning.contains("\r\n\r\nPlease tidy up.\r\n\r\nIt holds 3 of 10 messages.\r\n"), "{warning}");
    let line = site.event("RunMssQuotaThreshold")?;
    ensure!(line.contains("percent=30"), "{line}");
    site.kill()?;
    site.start()?;
    deliver(&site, ALICE, MESSAGE)?;
    ensure!(Imap::login(&site, ALICE)?.select("INBOX")? == 5, "above the threshold nobody is warned again");
    site.stop()?;
    ensure!(site.logged("RunMssQuotaThreshold")?.len() == 1);
    Ok(())
}

#[test]
fn its_15940_the_class_says_what_becomes_of_mail_for_a_full_mailbox() -> Result<()> {
    let site = Site::fresh()?;
    site.must(&["imdbcontrol", "sca", "default", "totalBytes", "500"])?;
    site.must(&["imdbcontrol", "sac", "bob", "example.test", "quotaAction", "defer"])?;
    for (account, code) in [(ALICE, 552), (BOB, 452)] {
        let mut smtp = Smtp::connect(&site, Service::Smtp)?;
        let reply = smtp.send("a@remote.test", &[account.address], &large())?;
        ensure!(reply.code == code, "{}: {reply:?}", account.address);
    }
    site.must(&["imdbcontrol", "sca", "default", "totalBytes", "0"])?;
    deliver(&site, ALICE, &large())
}

#[test]
fn its_13253_a_message_is_seen_whole_or_not_at_all() -> Result<()> {
    let site = Site::fresh()?;
    deliver(&site, ALICE, MESSAGE)?;
    let mut smtp = Smtp::connect(&site, Service::Smtp)?;
    smtp.must("MAIL FROM:<a@remote.test>", 250)?;
    smtp.must(&format!("RCPT TO:<{}>", ALICE.address), 250)?;
    smtp.must("DATA", 354)?;
    let text = large();
    let (first, rest) = text.split_at(text.len() / 2);
    smtp.connection.send(first)?;
    ensure!(Pop3::login(&site, ALICE)?.count()? == 1, "half a message is none");
    smtp.connection.send(rest)?;
    smtp.connection.send(b".\r\n")?;
    smtp.expect(250)?;
    let mut pop = Pop3::login(&site, ALICE)?;
    ensure!(pop.count()? == 2);
    ensure!(pop.lines("RETR 2")?.ends_with(&text));
    Ok(())
}

#[test]
fn its_16945_the_store_ends_promptly_under_load() -> Result<()> {
    let mut site = Site::fresh()?;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut smtp = Smtp::connect(&site, Service::Smtp)?;
        clients.push(std::thread::spawn(move || {
            let mut taken = 0;
            while smtp.deliver("a@remote.test", &[ALICE.address], &large()).is_ok() {
                taken += 1;
            }
            taken
        }));
    }
    site.event("MtaMessageDelivered")?;
    let took = site.stop()?;
    ensure!(took < Duration::from_secs(15), "it took {took:?}");
    let taken: usize = clients.into_iter().map(|c| c.join().unwrap_or_default()).sum();
    site.start()?;
    let there = Imap::login(&site, ALICE)?.select("INBOX")?;
    ensure!(there >= taken, "{taken} were taken and {there} are there");
    Ok(())
}

#[test]
fn its_18258_an_autoreply_is_read_back_after_a_restart() -> Result<()> {
    let mut site = Site::fresh()?;
    site.must(&["imdbcontrol", "SetAutoReply", "alice", "example.test", r"I am away.\nBye."])?;
    site.kill()?;
    site.start()?;
    let said = site.must(&["imdbcontrol", "--json", "GetAutoReply", "alice", "example.test"])?;
    ensure!(said.contains(r#""autoreply":"I am away.\r\nBye.\r\n""#), "{said}");
    let long = "x".repeat(33 * 1024);
    let refused = site.command(&["imdbcontrol", "SetAutoReply", "alice", "example.test", &long])?;
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(refused.status.code() == Some(1) && why.contains("maxAutoReplyMsgLenKb"), "{why}");
    site.must(&["imboxdelete", ALICE.address])?;
    let gone = site.must(&["imdbcontrol", "GetAutoReply", "alice", "example.test"])?;
    ensure!(gone.contains("none"), "it goes with the mailbox: {gone}");
    Ok(())
}

#[test]
fn its_2300_its_17649_a_mailbox_that_clients_have_open_can_be_removed_without_alarm() -> Result<()> {
    let mut site = Site::fresh()?;
    deliver(&site, ALICE, MESSAGE)?;
    let mut imap = Imap::login(&site, ALICE)?;
    imap.select("INBOX")?;
    let _pop = Pop3::login(&site, ALICE)?;
    site.must(&["imboxdelete", ALICE.address])?;
    let after = imap.command("FETCH 1 (FLAGS)");
    ensure!(
        after.is_err() || after.is_ok_and(|(untagged, _)| !untagged.iter().any(|u| u.text.contains("FETCH")))
    );
    deliver(&site, ALICE, MESSAGE)?;
    let mut imap = Imap::login(&site, ALICE)?;
    ensure!(imap.select("INBOX")? == 1, "the next mail makes it anew");
    drop(imap);
    site.never_said(&["Urgt", "Fatl"])
}

#[test]
fn its_22344_old_mail_goes_and_new_mail_stays() -> Result<()> {
    let site = Site::fresh()?;
    deliver(&site, ALICE, MESSAGE)?;
    deliver(&site, ALICE, MESSAGE)?;
    // By the log's own clock: after the second delivery, before the third. The log is written a moment later.
    site::tools::until("both are in the log", || Ok(site.logged("MtaMessageDelivered")?.len() == 2))?;
    let line = site.event("MtaMessageDelivered")?;
    let at = line.split(' ').next().context("a line without a time")?.to_owned();
    site::tools::until("the clock to go on", || Ok(site.must(&["im_version"]).is_ok()))?;
    deliver(&site, ALICE, &large())?;
    let before = later(&at)?;
    let dry = site.must(&["imoldmsgdel", "-n", "-unread", "-before", &before, ALICE.address])?;
    ensure!(dry.contains("INBOX"), "{dry}");
    ensure!(Pop3::login(&site, ALICE)?.count()? == 3, "a dry run removes nothing");
    site.must(&["imoldmsgdel", "-before", &before, ALICE.address])?;
    ensure!(Pop3::login(&site, ALICE)?.count()? == 3, "unread mail is protected");
    site.must(&["imoldmsgdel", "-unread", "-before", &before, ALICE.address])?;
    let mut pop = Pop3::login(&site, ALICE)?;
    ensure!(pop.count()? == 1 && pop.lines("RETR 1")?.ends_with(&large()));
    Ok(())
}

/// A moment later, as a time of RFC 3339: lines of the log may have an offset.
fn later(at: &str) -> Result<String> {
    let at = mail::time::Timestamp::parse_rfc3339(at).context("a line of the log begins with its time")?;
    Ok(at.plus(Duration::from_millis(1)).rfc3339().to_string())
}

#[test]
fn limits_of_folders_are_told_in_the_terms_of_imap() -> Result<()> {
    let site = Wish::default().entry("/*/mss/maxFolders: [4]").entry("/*/mss/maxFolderDepth: [2]").start()?;
    let mut imap = Imap::login(&site, ALICE)?;
    let (_, deep) = imap.command("CREATE a/b/c")?;
    ensure!(deep.starts_with("NO [LIMIT]") || deep.contains(" NO [LIMIT]"), "{deep}");
    imap.must("CREATE a/b")?;
    imap.must("CREATE c")?;
    let (_, many) = imap.command("CREATE d")?;
    ensure!(many.contains("NO [LIMIT]") && many.contains("at most 4 folders"), "{many}");
    Ok(())
}

#[test]
fn its_22318_a_mailbox_is_tested_from_end_to_end() -> Result<()> {
    let site = Site::fresh()?;
    let said = site.must(&["imboxtest", "localhost", ALICE.address, ALICE.password])?;
    ensure!(said.matches(" ok ").count() == 5, "{said}");
    ensure!(Pop3::login(&site, ALICE)?.count()? == 0, "it leaves nothing");
    let wrong = site.command(&["imboxtest", ALICE.address, "wrong"])?;
    ensure!(wrong.status.code() == Some(1));
    Ok(())
}

/// Runs a command without any search path.
fn without_path(site: &Site, words: &[&str]) -> Result<String> {
    let mut command = Command::new(site::program::program()?);
    command.args(words).env_clear().env("INTERMAIL", site.path()).stdin(Stdio::null());
    site::tools::succeeded(&words.join(" "), site::tools::output(command)?)
}

#[test]
fn its_9406_the_store_is_made_without_a_search_path() -> Result<()> {
    let mut site = Site::fresh()?;
    let said = without_path(&site, &["immsinit"])?;
    ensure!(said.contains("the message store of localhost is ready"), "{said}");
    site.stop()?;
    std::fs::remove_dir_all(site.path().join("mss"))?;
    // A store that was there once is not made anew: its storage may not be there.
    let refused = without_path(&site, &["immsinit"]);
    ensure!(refused.as_ref().is_err_and(|e| format!("{e:#}").contains("immssshare -forget")), "{refused:?}");
    site.must(&["immssshare", "-forget", "localhost"])?;
    let said = without_path(&site, &["immsinit", "-json"])?;
    ensure!(said.contains(r#""empty":true"#) && site.path().join("mss/format").is_file(), "{said}");
    site.start()?;
    deliver(&site, ALICE, MESSAGE)
}

#[test]
fn its_11009_the_comparison_needs_no_helper_on_the_search_path() -> Result<()> {
    let site = Site::fresh()?;
    deliver(&site, ALICE, MESSAGE)?;
    let said = without_path(&site, &["imboxsync"])?;
    ensure!(
        said.contains("no-mailbox") && said.contains(BOB.address) && !said.contains(ALICE.address),
        "{said}"
    );
    site.must(&["imboxsync", "-create"])?;
    ensure!(without_path(&site, &["imboxsync", "-json"])?.trim() == "[]");
    Ok(())
}

#[test]
fn its_17004_a_broadcast_reaches_everybody() -> Result<()> {
    let site = Site::fresh()?;
    let said = site.must_reading(&["imbroadcast"], "Subject: Tonight\n\nMaintenance.\n")?;
    ensure!(said.starts_with("2 mailboxes have got it"), "{said}");
    for account in [ALICE, BOB] {
        let mut pop = Pop3::login(&site, account)?;
        ensure!(
            pop.count()? == 1 && pop.lines("RETR 1")?.ends_with(b"Subject: Tonight\r\n\r\nMaintenance.\r\n")
        );
    }
    Ok(())
}

#[test]
fn its_23169_a_list_of_odd_addresses_is_written_to() -> Result<()> {
    let site = Site::fresh()?;
    site.must(&["imdbcontrol", "cal", "alice", "example.test", "o'neil&$id|`tty`"])?;
    let list = site.scratch().join("list");
    std::fs::write(&list, "# customers\no'neil&$id|`tty`@example.test\nbob@example.test")?;
    let list = list.to_str().context("a path")?;
    let said = site.must_reading(&["immsgmassmail", "-list", list], "Subject: Letter\n\nDear customer,\n")?;
    ensure!(said.starts_with("2 sent, 0 not"), "{said}");
    for account in [ALICE, BOB] {
        let mut pop = Pop3::login(&site, account)?;
        ensure!(pop.count()? == 1 && pop.lines("RETR 1")?.ends_with(b"Dear customer,\r\n"));
    }
    Ok(())
}
