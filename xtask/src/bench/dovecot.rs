//! The peer: Postfix as MTA, Dovecot (mdbox) behind it by LMTP, both from Debian, with their defaults; only ports,
//! limits on connections and the number of login processes are set.

use super::contender::{Contender, DOMAIN, Group, PASSWORD, Ports, wait_for};
use crate::debian;
use crate::workspace::must;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PORTS: Ports = Ports { smtp: 14_025, lmtp: 14_024, pop3: 14_110, imap: 14_143 };
const NEEDED: [(&str, &str); 4] = [
    ("postfix", "/usr/lib/postfix/sbin/master"),
    ("dovecot-imapd", "/usr/lib/dovecot/imap"),
    ("dovecot-pop3d", "/usr/lib/dovecot/pop3"),
    ("dovecot-lmtpd", "/usr/lib/dovecot/lmtp"),
];

/// The first Debian package that is missing.
pub(crate) fn missing() -> Option<&'static str> {
    NEEDED.iter().find(|(_, file)| !Path::new(file).exists()).map(|(package, _)| *package)
}

/// Postfix and Dovecot in a folder of their own.
pub(crate) struct Dovecot {
    folder: PathBuf,
    users: u64,
    group: Group,
}

impl Dovecot {
    /// In this folder, with accounts u1 to u`users`.
    pub(crate) fn new(folder: PathBuf, users: u64) -> Self {
        Self { folder, users, group: Group::new("peer") }
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        fs::write(self.folder.join(name), text).with_context(|| format!("cannot write {name}"))
    }

    fn dovecot_conf(&self) -> Result<String> {
        let id = |flag: &str| -> Result<String> {
            let output = Command::new("id").args([flag, "mail"]).output()?;
            Ok(String::from_utf8(output.stdout)?.trim().to_owned())
        };
        let folder = self.folder.display().to_string();
        let (uid, gid) = (id("-u")?, id("-g")?);
        let values = [
            ("FOLDER", folder.as_str()),
            ("UID", &uid),
            ("GID", &gid),
            ("IMAP_PORT", &PORTS.imap.to_string()),
            ("POP3_PORT", &PORTS.pop3.to_string()),
            ("LMTP_PORT", &PORTS.lmtp.to_string()),
        ]
        .map(|(name, value)| (format!("@{name}@"), value.to_owned()));
        let fill = |text: String, (name, value): &(String, String)| text.replace(name, value);
        Ok(values.iter().fold(include_str!("dovecot.conf").to_owned(), fill))
    }

    fn postfix_conf(&self) -> String {
        let folder = self.folder.display().to_string();
        let fill = include_str!("postfix-main.cf").replace("@FOLDER@", &folder).replace("@DOMAIN@", DOMAIN);
        fill.replace("@LMTP_PORT@", &PORTS.lmtp.to_string())
    }

    fn postfix(&self, verb: &str) -> Command {
        let postfix = debian::find("postfix").unwrap_or_else(|| "postfix".into());
        let mut command = self.group.command(&postfix);
        command.arg("-c").arg(self.folder.join("postfix/etc")).arg(verb);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn dovecot(&self) -> Command {
        let dovecot = debian::find("dovecot").unwrap_or_else(|| "dovecot".into());
        let mut command = self.group.command(&dovecot);
        command.arg("-c").arg(self.folder.join("dovecot.conf"));
        command
    }
}

impl Contender for Dovecot {
    fn name(&self) -> &'static str {
        "Postfix + Dovecot mdbox"
    }

    fn ports(&self) -> Ports {
        PORTS
    }

    fn reset(&mut self) -> Result<()> {
        self.stop()?;
        let _ = fs::remove_dir_all(&self.folder);
        for below in ["run", "mail", "postfix/etc", "postfix/spool", "postfix/data"] {
            fs::create_dir_all(self.folder.join(below))?;
        }
        let own = |user: &str, what: &str| must(Command::new("chown").arg(user).arg(self.folder.join(what)));
        own("mail:mail", "mail")?;
        own("postfix", "postfix/data")?;
        let user = |n: u64| format!("u{n}@{DOMAIN}:{{PLAIN}}{PASSWORD}::::::\n");
        self.write("users", &(1..=self.users).map(user).collect::<String>())?;
        self.write("dovecot.conf", &self.dovecot_conf()?)?;
        self.write("postfix/etc/main.cf", &self.postfix_conf())?;
        let master = include_str!("postfix-master.cf").replace("@SMTP_PORT@", &PORTS.smtp.to_string());
        self.write("postfix/etc/master.cf", &master)
    }

    fn start(&mut self) -> Result<()> {
        must(&mut self.dovecot())?;
        must(&mut self.postfix("start"))?;
        [PORTS.smtp, PORTS.lmtp, PORTS.pop3, PORTS.imap].into_iter().try_for_each(wait_for)
    }

    fn stop(&mut self) -> Result<()> {
        if self.folder.join("dovecot.conf").exists() {
            let _ = self.postfix("stop").status();
            let _ = self.dovecot().arg("stop").stderr(Stdio::null()).status();
        }
        let until = Instant::now() + Duration::from_secs(25);
        while Instant::now() < until {
            let left = self.group.processes();
            if left.is_empty() {
                return Ok(());
            }
            for pid in left {
                let _ = Command::new("kill").args(["-TERM", &pid.to_string()]).stderr(Stdio::null()).status();
            }
            std::thread::sleep(Duration::from_millis(250));
        }
        bail!("Postfix or Dovecot does not end")
    }

    fn drain(&self) -> String {
        let spool = self.folder.join("postfix/spool").display().to_string();
        let folders =
            ["incoming", "active", "deferred", "maildrop"].map(|q| format!("{spool}/{q}")).join(" ");
        format!("find {folders} -type f 2>/dev/null | wc -l")
    }

    fn group(&self) -> &Group {
        &self.group
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}
