//! SMTP and LMTP as far as a test needs them.

use crate::connection::Connection;
use crate::program::{Account, Service, Site};
use anyhow::{Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A session after its EHLO or LHLO.
pub struct Smtp {
    /// The connection, for what is not covered here.
    pub connection: Connection,
    /// The extensions that were announced.
    pub extensions: Vec<String>,
}

/// A reply: its code and its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// The texts behind the code.
    pub lines: Vec<String>,
}

impl Smtp {
    /// Connects and says EHLO, or LHLO to LMTP.
    ///
    /// # Errors
    /// Where the site refuses.
    pub fn connect(site: &Site, service: Service) -> Result<Self> {
        Self::greet(site.connect(service)?, service)
    }

    /// The same over a connection to wherever the service is.
    ///
    /// # Errors
    /// Where it refuses.
    pub fn greet(connection: Connection, service: Service) -> Result<Self> {
        let mut smtp = Self { connection, extensions: Vec::new() };
        smtp.expect(220)?;
        let verb = if service == Service::Lmtp { "LHLO" } else { "EHLO" };
        let hello = smtp.must(&format!("{verb} client.example.net"), 250)?;
        smtp.extensions = hello.lines[1..].to_vec();
        Ok(smtp)
    }

    /// Sends a command and returns the reply.
    ///
    /// # Errors
    /// Where none comes.
    pub fn command(&mut self, line: &str) -> Result<Reply> {
        self.connection.send_line(line)?;
        self.reply()
    }

    /// Sends a command that must be answered with this code.
    ///
    /// # Errors
    /// Where the answer is another.
    pub fn must(&mut self, line: &str, code: u16) -> Result<Reply> {
        let reply = self.command(line)?;
        ensure!(reply.code == code, "{line}: {code} was expected, {reply:?} came");
        Ok(reply)
    }

    /// Reads a reply of all its lines.
    ///
    /// # Errors
    /// Where it is not one.
    pub fn reply(&mut self) -> Result<Reply> {
        let mut lines = Vec::new();
        loop {
            let line = self.connection.line()?;
            let code = line.get(..3).and_then(|c| c.parse().ok());
            let Some(code) = code else { bail!("no reply: {line}") };
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Reply { code, lines });
            }
        }
    }

    /// Reads a reply that must have this code.
    ///
    /// # Errors
    /// Where it has another.
    pub fn expect(&mut self, code: u16) -> Result<Reply> {
        let reply = self.reply()?;
        ensure!(reply.code == code, "{code} was expected, {reply:?} came");
        Ok(reply)
    }

    /// Logs in with AUTH PLAIN.
    ///
    /// # Errors
    /// Where it is refused.
    pub fn login(&mut self, account: Account) -> Result<()> {
        let token = STANDARD.encode(format!("\0{}\0{}", account.address, account.password));
        self.must(&format!("AUTH PLAIN {token}"), 235).map(|_| ())
    }

    /// Sends one message in one transaction and returns the reply to its data.
    ///
    /// # Errors
    /// Where MAIL, a RCPT or DATA is refused.
    pub fn send(&mut self, from: &str, to: &[&str], message: &[u8]) -> Result<Reply> {
        self.must(&format!("MAIL FROM:<{from}>"), 250)?;
        for recipient in to {
            self.must(&format!("RCPT TO:<{recipient}>"), 250)?;
        }
        self.must("DATA", 354)?;
        self.connection.send(&stuffed(message))?;
        self.reply()
    }

    /// Sends one message that must be accepted.
    ///
    /// # Errors
    /// Where it is not.
    pub fn deliver(&mut self, from: &str, to: &[&str], message: &[u8]) -> Result<()> {
        let reply = self.send(from, to, message)?;
        ensure!(reply.code == 250, "the message was refused: {reply:?}");
        Ok(())
    }
}

/// One message from outside into the mailbox of an account, over a connection of its own.
///
/// # Errors
/// Where it is refused.
pub fn deliver(site: &Site, to: Account, message: &[u8]) -> Result<()> {
    let mut smtp = Smtp::connect(site, Service::Smtp)?;
    smtp.deliver("sender@remote.test", &[to.address], message)?;
    smtp.must("QUIT", 221).map(|_| ())
}

/// The message as DATA sends it: dots doubled at the begin of a line, the end marked.
pub fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len() + message.len() / 50 + 8);
    let mut at_start = true;
    for &byte in message {
        if at_start && byte == b'.' {
            bytes.push(b'.');
        }
        bytes.push(byte);
        at_start = byte == b'\n';
    }
    if !message.ends_with(b"\r\n") {
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b".\r\n");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_doubled_at_the_begin_of_a_line_only() {
        assert_eq!(stuffed(b".a\r\nb.\r\n..\r\n"), b"..a\r\nb.\r\n...\r\n.\r\n");
        assert_eq!(stuffed(b"a"), b"a\r\n.\r\n");
    }
}
