//! IMAP: a client good enough to time the usual commands and IDLE.
use crate::conn::{Conn, bad};
use std::io::Result;
use std::time::Duration;

pub(crate) struct Imap {
    conn: Conn,
    tag: u64,
}

/// One untagged response: its text, and where its literals lie in it.
pub(crate) struct Resp {
    pub(crate) bytes: Vec<u8>,
    pub(crate) literals: Vec<(usize, usize)>,
}

impl Resp {
    pub(crate) fn starts(&self) -> String {
        String::from_utf8_lossy(&self.bytes[..self.bytes.len().min(200)]).trim_end().to_string()
    }
    /// `n` of `* n WORD`.
    pub(crate) fn number(&self, word: &str) -> Option<u64> {
        let text = self.starts();
        let mut parts = text.split(' ').skip(1);
        let n = parts.next()?.parse().ok()?;
        parts.next().filter(|w| w.eq_ignore_ascii_case(word)).map(|_| n)
    }
}

impl Imap {
    pub(crate) async fn open(target: &str, limit: Duration) -> Result<Imap> {
        let mut i = Imap { conn: Conn::open(target, limit).await?, tag: 0 };
        i.response().await?;
        Ok(i)
    }

    pub(crate) fn set_limit(&mut self, limit: Duration) {
        self.conn.set_limit(limit);
    }

    pub(crate) async fn response(&mut self) -> Result<Resp> {
        let mut r = Resp { bytes: Vec::new(), literals: Vec::new() };
        loop {
            let at = r.bytes.len();
            self.conn.line(&mut r.bytes).await?;
            let line = &r.bytes[at..];
            let Some(open) = line.strip_suffix(b"}\r\n").and_then(|l| l.iter().rposition(|b| *b == b'{'))
            else {
                return Ok(r);
            };
            let digits = String::from_utf8_lossy(&line[open + 1..line.len() - 3]).to_string();
            let Ok(n) = digits.parse::<usize>() else { return Ok(r) };
            let start = r.bytes.len();
            self.conn.exact(n, &mut r.bytes).await?;
            r.literals.push((start, start + n));
        }
    }

    async fn until_tagged(&mut self, command: &str, tag: &str) -> Result<Vec<Resp>> {
        let mut all = Vec::new();
        loop {
            let r = self.response().await?;
            if let Some(rest) = r.bytes.strip_prefix(tag.as_bytes()) {
                if rest.starts_with(b" OK") {
                    return Ok(all);
                }
                let word: String = command.chars().take(20).collect();
                return Err(bad(format!("{word}: {}", String::from_utf8_lossy(rest).trim())));
            }
            all.push(r);
        }
    }

    pub(crate) async fn cmd(&mut self, command: &str) -> Result<Vec<Resp>> {
        self.tag += 1;
        let tag = format!("a{}", self.tag);
        self.conn.send(format!("{tag} {command}\r\n").as_bytes()).await?;
        self.until_tagged(command, &tag).await
    }

    pub(crate) async fn login(&mut self, user: &str, pass: &str) -> Result<()> {
        self.cmd(&format!("LOGIN \"{user}\" \"{pass}\"")).await.map(drop)
    }

    /// Number of messages.
    pub(crate) async fn select(&mut self, mailbox: &str) -> Result<u64> {
        let all = self.cmd(&format!("SELECT {mailbox}")).await?;
        all.iter().find_map(|r| r.number("EXISTS")).ok_or(bad("no EXISTS"))
    }

    pub(crate) async fn append(&mut self, mailbox: &str, message: &[u8]) -> Result<()> {
        self.tag += 1;
        let tag = format!("a{}", self.tag);
        self.conn.send(format!("{tag} APPEND {mailbox} {{{}}}\r\n", message.len()).as_bytes()).await?;
        loop {
            let r = self.response().await?;
            if r.bytes.starts_with(b"+") {
                break;
            }
            if r.bytes.starts_with(tag.as_bytes()) {
                return Err(bad(r.starts()));
            }
        }
        self.conn.send(message).await?;
        self.conn.send(b"\r\n").await?;
        self.until_tagged("APPEND", &tag).await.map(drop)
    }

    pub(crate) async fn idle(&mut self) -> Result<()> {
        self.tag += 1;
        self.conn.send(format!("a{} IDLE\r\n", self.tag).as_bytes()).await?;
        while !self.response().await?.bytes.starts_with(b"+") {}
        Ok(())
    }

    pub(crate) async fn done(&mut self) -> Result<()> {
        let tag = format!("a{}", self.tag);
        self.conn.send(b"DONE\r\n").await?;
        self.until_tagged("IDLE", &tag).await.map(drop)
    }

    pub(crate) async fn logout(mut self) {
        let _ = self.cmd("LOGOUT").await;
    }
}
