//! Messages that the disk has changed: what users and operators see of them, and what is done about space.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use site::imap::Imap;
use site::pop3::Pop3;
use site::program::{ALICE, BOB, Site, Wish};
use site::smtp::deliver;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

/// Every file of the log of every shard.
fn segments(site: &Site) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for shard in fs::read_dir(site.path().join("mss"))? {
        let log = shard?.path().join("log");
        if log.is_dir() {
            all.extend(
                fs::read_dir(log)?.map(|entry| entry.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?,
            );
        }
    }
    Ok(all)
}

/// Changes one byte of what is stored with this text in it.
fn damage(site: &Site, text: &str) -> Result<()> {
    for path in segments(site)? {
        let content = fs::read(&path)?;
        if let Some(at) = content.windows(text.len()).position(|w| w == text.as_bytes()) {
            let file = fs::File::options().write(true).open(&path)?;
            return Ok(file.write_all_at(&[content[at] ^ 1], at as u64)?);
        }
    }
    anyhow::bail!("{text} is not stored")
}

fn message(n: u32) -> Vec<u8> {
    format!("Subject: number {n}\r\nMessage-ID: <{n}@remote.test>\r\n\r\nbody of number {n}\r\n").into_bytes()
}

fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text).with_context(|| text.to_owned())
}

/// A site with three messages for Alice, of which the second is damaged.
fn damaged_site() -> Result<Site> {
    let mut site = Wish::default().entry("/*/mss/restoreWindowInMinutes: [0]").start()?;
    for n in 1..=3 {
        deliver(&site, ALICE, &message(n))?;
    }
    deliver(&site, BOB, &message(4))?;
    site.stop()?;
    damage(&site, "body of number 2")?;
    site.start()?;
    Ok(site)
}

#[test]
fn its_13587_a_damaged_message_is_an_error_of_itself_and_the_mailbox_stays_usable() -> Result<()> {
    let site = damaged_site()?;
    let mut imap = Imap::login(&site, ALICE)?;
    ensure!(imap.select("INBOX")? == 3);
    // The header is not damaged, but nothing of a message is given out that was not verified.
    let (untagged, tagged) = imap.command("FETCH 1:3 (UID BODY.PEEK[])")?;
    ensure!(tagged.contains("NO [CORRUPTION]"), "{tagged}");
    let fetched: Vec<_> = untagged.iter().filter(|u| u.text.contains("FETCH")).collect();
    ensure!(fetched.len() == 3 && fetched[1].text.contains("UID 2 BODY[] NIL"), "{fetched:?}");
    ensure!(imap.fetch(1)?.ends_with(&message(1)) && imap.fetch(3)?.ends_with(&message(3)));
    let found = imap.must("SEARCH BODY number")?;
    ensure!(found.iter().any(|u| u.text.trim_end().ends_with("SEARCH 1 3")), "{found:?}");
    imap.must("FETCH 1:3 (FLAGS INTERNALDATE RFC822.SIZE)")?;

    let mut pop = Pop3::login(&site, ALICE)?;
    ensure!(pop.count()? == 3 && pop.lines("RETR 1")?.ends_with(&message(1)));
    let refused = pop.lines("RETR 2").err().map(|e| e.to_string()).unwrap_or_default();
    ensure!(refused.contains("SYS/PERM"), "{refused}");
    ensure!(pop.lines("RETR 3")?.ends_with(&message(3)));
    pop.command("QUIT")?;

    let said = site.event("MsMsgDamaged")?;
    ensure!(said.contains("uid=2") && said.contains("damage=altered") && said.contains(" Erro "), "{said}");
    ensure!(site.logged("MsMsgDamaged")?.len() == 1);
    Ok(())
}

#[test]
fn its_24247_bad_messages_are_listed_and_can_be_deleted() -> Result<()> {
    let site = damaged_site()?;
    let listed = site.command(&["imbadmsglist"])?;
    ensure!(listed.status.success(), "nothing is known of damage that nobody has met");
    let listed = site.command(&["imbadmsglist", "-check", "--json", ALICE.address])?;
    ensure!(listed.status.code() == Some(3), "{listed:?}");
    let bad = json(&String::from_utf8_lossy(&listed.stdout))?;
    ensure!(bad[0]["damage"] == "altered" && bad[0]["uid"] == 2 && bad[0]["folder"] == "INBOX", "{bad}");
    ensure!(bad[0]["message_id"] == "<2@remote.test>" && bad.as_array().map(Vec::len) == Some(1), "{bad}");
    let verified = site.command(&["immsgverify", "--json", "-jobs", "2"])?;
    ensure!(verified.status.code() == Some(3), "{verified:?}");
    let verified = json(&String::from_utf8_lossy(&verified.stdout))?;
    ensure!(verified["messages"] == 4 && verified["found"]["altered"] == 1, "{verified}");
    site.must(&["immsgdelete", ALICE.address, "-folder", "INBOX", "UID:2"])?;
    ensure!(site.must(&["imbadmsglist"])?.lines().count() <= 1);
    ensure!(site.must(&["immsgverify"])?.ends_with("No faults.\n"));
    Ok(())
}

#[test]
fn its_25821_space_is_given_back_by_the_daemon_and_without_one() -> Result<()> {
    let mut site = Wish::default().entry("/*/mss/restoreWindowInMinutes: [0]").start()?;
    deliver(&site, ALICE, &message(1))?;
    site.must(&["immsgdelete", ALICE.address, "-all"])?;
    let scan = json(&site.must(&["scan_mss", "--json"])?)?;
    let dead =
        |scan: &Value| scan.as_array().into_iter().flatten().filter_map(|s| s["dead"].as_u64()).sum::<u64>();
    ensure!(dead(&scan) > 0, "{scan}");
    let running = json(&site.must(&["immssgc", "--json"])?)?;
    ensure!(running["shards"] == 2 && running["errors"] == 0 && running["state"] == "done", "{running}");
    let dry = json(&site.must(&["immssgc", "-n", "--json"])?)?;
    ensure!(dry["dry_run"] == true && dry["bytes_freed"] == 0, "{dry}");
    site.stop()?;
    let stopped = json(&site.must(&["immssgc", "--json"])?)?;
    ensure!(stopped["shards"] == 2 && stopped["state"] == "done", "{stopped}");
    ensure!(site.must(&["imorphanrm"])?.starts_with("Orphans: 0"));
    site.must(&["imdbplaygcjrn"])?;
    Ok(())
}

#[test]
fn a_lost_file_costs_its_messages_and_nothing_else() -> Result<()> {
    let mut site = Wish::default().entry("/*/mss/numMssPorts: [1]").start()?;
    deliver(&site, ALICE, &message(1))?;
    // A segment is full at 64 MB.
    let large = vec![b'x'; 9 << 20];
    for n in 0..8 {
        let text = format!("Subject: large {n}\r\n\r\n");
        let mut body = text.into_bytes();
        large.chunks(70).for_each(|line| body.extend(line.iter().chain(b"\r\n")));
        deliver(&site, BOB, &body)?;
    }
    deliver(&site, ALICE, &message(2))?;
    site.stop()?;
    let mut files = segments(&site)?;
    files.sort();
    ensure!(files.len() == 2, "{files:?}");
    fs::remove_file(&files[0])?;
    site.start()?;
    ensure!(site.event("MsSegmentMissing")?.contains(" Urgt "));
    let mut imap = Imap::login(&site, ALICE)?;
    ensure!(imap.select("INBOX")? == 2 && imap.fetch(2)?.ends_with(&message(2)));
    let (_, tagged) = imap.command("FETCH 1 BODY.PEEK[]")?;
    ensure!(tagged.contains("NO [CORRUPTION]"), "{tagged}");
    deliver(&site, ALICE, &message(3))?;
    let verified = site.command(&["immsgverify", "--json", ALICE.address])?;
    let verified = json(&String::from_utf8_lossy(&verified.stdout))?;
    ensure!(verified["found"]["missing"] == 1 && verified["messages"] == 3, "{verified}");
    Ok(())
}
