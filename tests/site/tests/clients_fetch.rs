//! Mail programs of other people fetch mail: each sees every message, whole, once.

use anyhow::{Context as _, Result, ensure};
use site::program::{ALICE, Service, Site};
use site::smtp::Smtp;
use site::tools::{client, run};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// How many messages each test begins with.
const MESSAGES: usize = 10;

/// A site whose first account has `MESSAGES` messages, `number 1` and so on.
fn filled() -> Result<Site> {
    let site = Site::fresh()?;
    let mut smtp = Smtp::connect(&site, Service::Smtp)?;
    for number in 1..=MESSAGES {
        let message = format!(
            "From: Carol <carol@remote.test>\r\nTo: {}\r\nDate: Mon, 2 Nov 2026 10:00:{number:02} +0000\r\n\
             Message-ID: <{number}@remote.test>\r\nSubject: number {number}\r\n\r\nline 1\r\n..line 2\r\n",
            ALICE.address
        );
        smtp.deliver("carol@remote.test", &[ALICE.address], message.as_bytes())?;
    }
    Ok(site)
}

/// A file of the test's own that only its owner may read, as clients want of one with a password.
fn private_file(site: &Site, name: &str, text: &str) -> Result<PathBuf> {
    let path = site.scratch().join(name);
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(path)
}

/// Checks that a folder of files holds each message once; files are those of a Maildir.
fn holds_all(maildir: &Path) -> Result<()> {
    let mut texts = Vec::new();
    for part in ["new", "cur"] {
        for entry in fs::read_dir(maildir.join(part))? {
            texts.push(fs::read_to_string(entry?.path())?.replace("\r\n", "\n"));
        }
    }
    ensure!(texts.len() == MESSAGES, "{} messages in {}", texts.len(), maildir.display());
    for number in 1..=MESSAGES {
        let subject = format!("\nSubject: number {number}\n");
        let found = texts.iter().filter(|t| t.contains(&subject) && t.ends_with("\n\nline 1\n..line 2\n"));
        ensure!(found.count() == 1, "message {number} is not there once and whole");
    }
    Ok(())
}

#[test]
fn curl_reads_over_all_four_ports() -> Result<()> {
    let site = filled()?;
    for (url, service) in [
        ("pop3://127.0.0.1:{}/7", Service::Pop3),
        ("pop3s://127.0.0.1:{}/7", Service::Pop3s),
        ("imap://127.0.0.1:{}/INBOX;MAILINDEX=7", Service::Imap),
        ("imaps://127.0.0.1:{}/INBOX;MAILINDEX=7", Service::Imaps),
    ] {
        for words in [&["-k"][..], &["-k", "--ssl-reqd"]] {
            let Some(mut curl) = client("curl") else { return Ok(()) };
            curl.args(["-sS", "-m", "60", "-u"])
                .arg(format!("{}:{}", ALICE.address, ALICE.password))
                .args(words);
            curl.arg(url.replace("{}", &site.port(service).to_string()));
            let message = run(curl).with_context(|| format!("{url} {words:?}"))?;
            ensure!(message.contains("Subject: number 7"), "{url}: {message}");
        }
    }
    let Some(mut curl) = client("curl") else { return Ok(()) };
    curl.args(["-sS", "-m", "60", "-u"]).arg(format!("{}:{}", ALICE.address, ALICE.password));
    curl.args(["-X", "SEARCH SUBJECT \"number 7\""])
        .arg(format!("imap://127.0.0.1:{}/INBOX", site.port(Service::Imap)));
    let found = run(curl)?;
    ensure!(found.contains("* SEARCH 7"), "{found}");
    Ok(())
}

#[test]
fn mbsync_copies_the_mailbox_and_has_nothing_to_do_the_second_time() -> Result<()> {
    let site = filled()?;
    let near = site.scratch().join("sync");
    fs::create_dir(&near)?;
    let text = format!(
        "IMAPAccount far\nHost 127.0.0.1\nPort {}\nUser {}\nPass {}\nSSLType None\nAuthMechs PLAIN\n\n\
         IMAPStore far\nAccount far\n\nMaildirStore near\nSubFolders Verbatim\nPath {near}/\nInbox {near}/INBOX\n\n\
         Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n",
        site.port(Service::Imap),
        ALICE.address,
        ALICE.password,
        near = near.display(),
    );
    let config = private_file(&site, "mbsyncrc", &text)?;
    for _ in 0..2 {
        let Some(mut mbsync) = client("mbsync") else { return Ok(()) };
        mbsync.arg("-c").arg(&config).arg("all").env("HOME", site.scratch());
        run(mbsync)?;
        holds_all(&near.join("INBOX"))?;
    }
    Ok(())
}

#[test]
fn mbsync_carries_a_new_folder_a_flag_and_a_removal_to_the_site() -> Result<()> {
    let site = filled()?;
    let near = site.scratch().join("sync");
    for folder in ["INBOX", "work"] {
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(near.join(folder).join(part))?;
        }
    }
    fs::write(near.join("work/cur/1.x:2,F"), "Subject: made here\n\nbody\n")?;
    let text = format!(
        "IMAPAccount far\nHost localhost\nPort {}\nUser {}\nPass {}\nSSLType IMAPS\nCertificateFile {}\n\n\
         IMAPStore far\nAccount far\n\nMaildirStore near\nSubFolders Verbatim\nPath {near}/\nInbox {near}/INBOX\n\n\
         Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n",
        site.port(Service::Imaps),
        ALICE.address,
        ALICE.password,
        site.path().join("lib/certs/im_default_certs.txt").display(),
        near = near.display(),
    );
    let config = private_file(&site, "mbsyncrc", &text)?;
    let sync = || -> Result<bool> {
        let Some(mut mbsync) = client("mbsync") else { return Ok(false) };
        mbsync.arg("-c").arg(&config).arg("all").env("HOME", site.scratch());
        run(mbsync).map(|_| true)
    };
    if !sync()? {
        return Ok(());
    }
    let mut imap = site::imap::Imap::login(&site, ALICE)?;
    ensure!(imap.select("work")? == 1);
    let flags = imap.must("FETCH 1 (FLAGS)")?;
    ensure!(flags.iter().any(|u| u.text.contains("\\Flagged")), "{flags:?}");
    let new = fs::read_dir(near.join("INBOX/new"))?.next().context("nothing was copied")??.path();
    fs::remove_file(new)?;
    sync()?;
    ensure!(imap.select("INBOX")? == MESSAGES - 1);
    Ok(())
}

#[test]
fn fetchmail_takes_everything_by_pop_and_by_imap() -> Result<()> {
    for (protocol, service) in [("POP3", Service::Pop3), ("IMAP", Service::Imap)] {
        let site = filled()?;
        let taken = site.scratch().join("taken");
        let text = format!(
            "poll 127.0.0.1 protocol {protocol} port {} username \"{}\" password \"{}\" fetchall nokeep sslproto ''\n\
             mda \"cat >> {}\"\n",
            site.port(service),
            ALICE.address,
            ALICE.password,
            taken.display(),
        );
        let config = private_file(&site, "fetchmailrc", &text)?;
        let Some(mut fetchmail) = client("fetchmail") else { return Ok(()) };
        fetchmail
            .arg("-f")
            .arg(config)
            .args(["-N", "--nosslcertck", "--pidfile"])
            .arg(site.scratch().join("pid"));
        run(fetchmail.env_home(&site)).context(protocol)?;
        let text = fs::read_to_string(taken)?;
        for number in 1..=MESSAGES {
            ensure!(
                text.matches(&format!("Subject: number {number}\n")).count() == 1,
                "{protocol}: {number}"
            );
        }
        ensure!(site::pop3::Pop3::login(&site, ALICE)?.count()? == 0, "{protocol}: not deleted");
    }
    Ok(())
}

/// Clients keep their state below the home folder.
trait EnvHome {
    fn env_home(self, site: &Site) -> Self;
}

impl EnvHome for std::process::Command {
    fn env_home(mut self, site: &Site) -> Self {
        self.env("HOME", site.scratch()).env("FETCHMAILHOME", site.scratch());
        self
    }
}

#[test]
fn getmail_takes_everything_by_pop_and_by_imap() -> Result<()> {
    for (kind, service) in
        [("SimplePOP3Retriever", Service::Pop3), ("SimpleIMAPSSLRetriever", Service::Imaps)]
    {
        let site = filled()?;
        let maildir = site.scratch().join("taken");
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(maildir.join(part))?;
        }
        // As root it delivers under another name only, who must reach the folder.
        let mut user = "";
        if nix::unistd::Uid::effective().is_root() {
            user = "user = mail\n";
            fs::set_permissions(site.scratch(), fs::Permissions::from_mode(0o755))?;
            let mut chown = std::process::Command::new("chown");
            chown.args(["-R", "mail"]).arg(&maildir);
            run(chown)?;
        }
        let text = format!(
            "[retriever]\ntype = {kind}\nserver = 127.0.0.1\nport = {}\nusername = {}\npassword = {}\n\
             [destination]\ntype = Maildir\npath = {}/\n{user}[options]\nread_all = true\ndelete = true\n\
             delivered_to = false\nreceived = false\n",
            site.port(service),
            ALICE.address,
            ALICE.password,
            maildir.display(),
        );
        private_file(&site, "getmailrc", &text)?;
        let Some(mut getmail) = client("getmail") else { return Ok(()) };
        getmail.arg("--getmaildir").arg(site.scratch()).args(["--rcfile", "getmailrc"]);
        run(getmail.env_home(&site)).context(kind)?;
        holds_all(&maildir).context(kind)?;
        ensure!(site::pop3::Pop3::login(&site, ALICE)?.count()? == 0, "{kind}: not deleted");
    }
    Ok(())
}

#[test]
fn mpop_takes_everything_once_with_and_without_tls() -> Result<()> {
    for (tls, service) in [
        ("tls off\nauth user\n", Service::Pop3),
        ("tls on\ntls_starttls on\ntls_certcheck off\n", Service::Pop3),
        ("tls on\ntls_starttls off\ntls_certcheck off\nauth plain\n", Service::Pop3s),
    ] {
        let site = filled()?;
        let maildir = site.scratch().join("taken");
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(maildir.join(part))?;
        }
        let text = format!(
            "account test\nhost 127.0.0.1\nport {}\nuser {}\npassword {}\n{tls}keep on\nreceived_header off\n\
             uidls_file {}\ndelivery maildir {}\n",
            site.port(service),
            ALICE.address,
            ALICE.password,
            site.scratch().join("uidls").display(),
            maildir.display(),
        );
        let config = private_file(&site, "mpoprc", &text)?;
        for _ in 0..2 {
            let Some(mut mpop) = client("mpop") else { return Ok(()) };
            mpop.arg("-C").arg(&config).arg("test");
            run(mpop.env_home(&site)).context(tls)?;
            holds_all(&maildir).context(tls)?;
        }
    }
    Ok(())
}

/// Runs a script of `clients/` on a plain and a TLS port.
fn python(script: &str, plain: Service, tls: Service) -> Result<()> {
    let site = filled()?;
    let Some(mut python) = client("python3") else { return Ok(()) };
    python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(script));
    python
        .args([site.port(plain), site.port(tls)].map(|p| p.to_string()))
        .args([ALICE.address, ALICE.password]);
    run(python).map(|_| ())
}

#[test]
fn python_imaplib_finds_everything_that_it_knows() -> Result<()> {
    python("imap_session.py", Service::Imap, Service::Imaps)
}

#[test]
fn python_poplib_finds_everything_that_it_knows() -> Result<()> {
    python("pop_session.py", Service::Pop3, Service::Pop3s)
}
