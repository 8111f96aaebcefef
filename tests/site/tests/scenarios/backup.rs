//! Backups of the running site, and sites and mailboxes from them.

use anyhow::{Context as _, Result, ensure};
use site::imap::Imap;
use site::program::{ALICE, Account, BOB, Service, Site};
use site::smtp::{Smtp, deliver};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// Segments small enough that a test has several would need many messages; these fill one in a few dozen.
const LARGE: usize = 1 << 20;

/// The folder of the backups of a test.
fn folder(site: &Site) -> Result<PathBuf> {
    Ok(site.scratch().canonicalize()?.join("backups"))
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

/// A number in what a command printed with `-json`.
fn number(json: &str, key: &str) -> Result<u64> {
    let rest = json.split(&format!("\"{key}\":")).nth(1).with_context(|| format!("no {key} in {json}"))?;
    let digits: String = rest.trim().chars().take_while(char::is_ascii_digit).collect();
    Ok(digits.parse()?)
}

/// The subjects of all messages of a folder.
fn subjects(site: &Site, account: Account, folder: &str) -> Result<BTreeSet<String>> {
    let mut imap = Imap::login(site, account)?;
    let mut found = BTreeSet::new();
    for n in 1..=imap.select(&format!("\"{folder}\""))? {
        let message = String::from_utf8(imap.fetch(n)?)?;
        let subject = message.lines().find_map(|l| l.strip_prefix("Subject: ")).context("no subject")?;
        ensure!(message.ends_with("whole\r\n"), "message {subject} is cut short");
        found.insert(subject.to_owned());
    }
    Ok(found)
}

fn message(subject: &str, bytes: usize) -> Vec<u8> {
    let line = format!("{subject} {}\r\n", "x".repeat(70));
    format!("Subject: {subject}\r\n\r\n{}whole\r\n", line.repeat(bytes / line.len())).into_bytes()
}

/// The site of the last generation.
fn restored(backups: &Path) -> Result<Site> {
    Site::made_by(|path| {
        site::program::must(&["imdbhotbackup", "-restore", text(path)?, text(backups)?]).map(|_| ())
    })
}

#[test]
fn its_17809_a_backup_under_load_becomes_a_site_that_has_all_that_was_acknowledged() -> Result<()> {
    let mut site = Site::fresh()?;
    let backups = folder(&site)?;
    site.must(&["imdbcontrol", "SetAccountCos", "alice", "example.test", "totalMsgQuota", "100000"])?;
    let (sent, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let before = thread::scope(|scope| -> Result<usize> {
        let load = scope.spawn(|| -> Result<()> {
            let mut smtp = Smtp::connect(&site, Service::Smtp)?;
            while !stop.load(Ordering::Relaxed) {
                let n = sent.load(Ordering::Relaxed);
                let size = if n % 10 == 0 { LARGE } else { 3000 };
                let to = [ALICE.address, BOB.address];
                smtp.deliver("a@remote.test", &to, &message(&format!("load {n}"), size))?;
                sent.store(n + 1, Ordering::Relaxed);
            }
            Ok(())
        });
        let mut before = 0;
        for _ in 0..3 {
            site::tools::until("more mail", || Ok(sent.load(Ordering::Relaxed) >= before + 20))?;
            before = sent.load(Ordering::Relaxed);
            site.must(&["imdbhotbackup", text(&backups)?])?;
        }
        stop.store(true, Ordering::Relaxed);
        load.join().map_err(|_| anyhow::anyhow!("the load panicked"))??;
        Ok(before)
    })?;
    site.must(&["imdbhotbackup", "-verify", text(&backups)?])?;
    site.kill()?;
    let site = restored(&backups)?;
    for account in [ALICE, BOB] {
        let found = subjects(&site, account, "INBOX")?;
        for n in 0..before {
            ensure!(found.contains(&format!("load {n}")), "{} has lost load {n}", account.address);
        }
    }
    // What servers need to work is there again, and works.
    ensure!(site.path().join("tmp/mta").is_dir() && site.path().join("run").is_dir());
    deliver(&site, ALICE, &message("afterwards", LARGE))?;
    ensure!(subjects(&site, ALICE, "INBOX")?.contains("afterwards"));
    let settings = site.must(&["imdbcontrol", "GetAccountCos", "alice", "example.test"])?;
    ensure!(settings.contains("100000"), "{settings}");
    Ok(())
}

#[test]
fn its_45459_a_backup_into_the_same_folder_costs_what_has_changed() -> Result<()> {
    let site = Site::fresh()?;
    let backups = folder(&site)?;
    for n in 0..20 {
        deliver(&site, ALICE, &message(&format!("first {n}"), LARGE))?;
    }
    let first = site.must(&["imdbhotbackup", "-json", text(&backups)?])?;
    deliver(&site, ALICE, &message("second", LARGE))?;
    let second = site.must(&["imdbmsgbackup", "-json", text(&backups)?])?;
    ensure!(number(&first, "written")? > 20 * LARGE as u64, "{first}");
    ensure!(number(&second, "written")? < 2 * LARGE as u64, "{second}");
    let listed = site.must(&["imdbhotbackup", "-list", text(&backups)?])?;
    ensure!(listed.contains("site") && listed.contains("messages"), "{listed}");
    // Mail alone is no site; the first generation is one, and can go once there is a later one.
    let refused = site.command(&["imdbhotbackup", "-restore", "/no/such/site", text(&backups)?])?;
    ensure!(!refused.status.success());
    let would = site.must(&["imdbhotbackup", "-keep", "1", "-n", text(&backups)?])?;
    ensure!(would.contains("Generation 1 would be removed") && would.contains("Generation 2"), "{would}");
    let third = site.must(&["imdbhotbackup", "-json", "-keep", "2", text(&backups)?])?;
    ensure!(third.contains("\"removed\":[1]") && number(&third, "written")? < 2 * LARGE as u64, "{third}");
    site.must(&["imdbhotbackup", "-verify", text(&backups)?])?;
    ensure!(subjects(&restored(&backups)?, ALICE, "INBOX")?.len() == 21);
    Ok(())
}

#[test]
fn its_22698_links_in_a_site_do_not_disturb_its_backup() -> Result<()> {
    let mut site = Site::fresh()?;
    let backups = folder(&site)?;
    deliver(&site, ALICE, &message("linked", 1000))?;
    site.stop()?;
    // The mail is on another volume, a file of the configuration is elsewhere, and one link leads nowhere.
    let volume = site.scratch().join("volume");
    fs::rename(site.path().join("mss"), &volume)?;
    std::os::unix::fs::symlink(&volume, site.path().join("mss"))?;
    let config = site.path().join("config");
    fs::write(site.scratch().join("elsewhere"), "# linked\n")?;
    std::os::unix::fs::symlink(site.scratch().join("elsewhere"), config.join("notes"))?;
    std::os::unix::fs::symlink("nowhere", config.join("dangling"))?;
    site.start()?;
    let made = site.command(&["imdbhotbackup", text(&backups)?])?;
    ensure!(made.status.success() && site::tools::said(&made).contains("dangling"));
    let site = restored(&backups)?;
    ensure!(subjects(&site, ALICE, "INBOX")?.len() == 1);
    ensure!(fs::read_to_string(site.path().join("config/notes"))? == "# linked\n");
    Ok(())
}

#[test]
fn its_16865_every_message_file_is_found_and_damage_is_named() -> Result<()> {
    let site = Site::fresh()?;
    let backups = folder(&site)?;
    for n in 0..4 {
        deliver(&site, ALICE, &message(&format!("kept {n}"), 1000))?;
        deliver(&site, BOB, &message(&format!("kept {n}"), 1000))?;
    }
    site.must(&["imdbmsgbackup", text(&backups)?])?;
    let whole = site.must(&["imdbmsgbackup", "-verify", text(&backups)?])?;
    ensure!(whole.contains("8 bodies") && whole.contains("; 0 damaged"), "{whole}");
    let mut damaged = 0;
    for shard in ["shard-000", "shard-001"] {
        for file in fs::read_dir(backups.join("segments/mss").join(shard))? {
            let file = file?.path();
            let good = fs::read(&file)?;
            let mut bad = good.clone();
            bad[good.len() / 3] ^= 8;
            fs::write(&file, bad)?;
            let found = site.command(&["imdbmsgbackup", "-verify", text(&backups)?])?;
            ensure!(found.status.code() == Some(3), "{}", site::tools::said(&found));
            ensure!(site::tools::said(&found).contains(text(&file)?));
            fs::write(&file, good)?;
            damaged += 1;
        }
    }
    ensure!(damaged == 2);
    site.must(&["imdbmsgbackup", "-verify", text(&backups)?]).map(|_| ())
}

#[test]
fn a_mailbox_comes_back_into_the_running_site() -> Result<()> {
    let site = Site::fresh()?;
    let backups = folder(&site)?;
    for n in 0..5 {
        deliver(&site, ALICE, &message(&format!("old {n}"), 1000))?;
    }
    let mut imap = Imap::login(&site, ALICE)?;
    imap.must("CREATE Work")?;
    imap.select("INBOX")?;
    imap.must(r"STORE 1 +FLAGS (\Flagged Urgent)")?;
    imap.must("COPY 1:2 Work")?;
    site.must(&["imdbmsgbackup", text(&backups)?])?;
    imap.must(r"STORE 1:* +FLAGS.SILENT (\Deleted)")?;
    imap.must("EXPUNGE")?;
    imap.must("DELETE Work")?;
    deliver(&site, ALICE, &message("new", 1000))?;
    let restore = ["imdbmsgbackup", "-restore", ALICE.address, "-below", "Back", text(&backups)?];
    let said = site.must(&restore)?;
    ensure!(said.starts_with("7 messages") && said.contains("in 2 folders"), "{said}");
    ensure!(subjects(&site, ALICE, "INBOX")?.len() == 1);
    ensure!(subjects(&site, ALICE, "Back/INBOX")?.len() == 5);
    ensure!(imap.select("Back/Work")? == 2);
    let flags = imap.must("FETCH 1 (FLAGS)")?;
    let has = |word: &str| flags.iter().any(|u| u.text.contains(word));
    ensure!(has("\\Flagged") && has("Urgent"), "{flags:?}");
    // Once is enough.
    ensure!(!site.command(&restore)?.status.success());
    Ok(())
}

#[test]
fn its_24422_message_files_move_to_another_volume_of_the_running_site() -> Result<()> {
    let mut site = Site::fresh()?;
    let backups = folder(&site)?;
    let volume = site.scratch().canonicalize()?.join("volume");
    for n in 0..70 {
        deliver(&site, ALICE, &message(&format!("first {n}"), 2 * LARGE))?;
    }
    site.stop()?;
    let file = site.path().join("config/config.db");
    let before = fs::read_to_string(&file)?;
    fs::write(&file, format!("{before}/*/mss/messageFileDir: [{}]\n", text(&volume)?))?;
    // What was not made a volume is taken for one that is not mounted.
    let refused = site.start().err().map(|e| e.to_string()).unwrap_or_default();
    ensure!(refused.contains("imbucketscreate"), "{refused}");
    site.kill()?;
    site.must(&["imbucketscreate"])?;
    site.start()?;
    // Out of the store's own folder, until mail comes that is not in it either.
    let own = site.path().join("mss").canonicalize()?;
    let empties = ["immovmsgfiles", "-json", "-from", text(&own)?, "-to", text(&volume)?];
    let would = site.must(&[&empties[..], &["-n"]].concat())?;
    ensure!(number(&would, "files")? >= 1, "{would}");
    let mut reader = Imap::login(&site, ALICE)?;
    reader.select("INBOX")?;
    let moved = site.must(&empties)?;
    ensure!(number(&moved, "files")? == number(&would, "files")?, "{moved} for {would}");
    ensure!(reader.fetch(1)?.ends_with(b"whole\r\n"));
    ensure!(subjects(&site, ALICE, "INBOX")?.len() == 70);
    site.must(&["immsgverify"])?;
    deliver(&site, ALICE, &message("afterwards", 1000))?;
    // A backup finds all of it, a killed site starts with all of it.
    site.must(&["imdbhotbackup", text(&backups)?])?;
    site.must(&["imdbhotbackup", "-verify", text(&backups)?])?;
    site.kill()?;
    site.start()?;
    ensure!(subjects(&site, ALICE, "INBOX")?.len() == 71);
    // A volume that is away is missed, not taken for empty; nor is one that nobody names any more.
    site.stop()?;
    let away = site.scratch().join("away");
    fs::rename(&volume, &away)?;
    ensure!(site.start().is_err());
    site.kill()?;
    fs::rename(&away, &volume)?;
    fs::write(&file, before)?;
    ensure!(site.start().is_err());
    site.kill()?;
    ensure!(!site.command(&["imbucketscreate"])?.status.success(), "a volume with mail was forgotten");
    Ok(())
}
