//! POP3 as far as a test needs it.

use crate::connection::Connection;
use crate::program::{Account, Service, Site};
use crate::tools::until;
use anyhow::{Context, Result, bail};

/// A session after its login.
pub struct Pop3 {
    /// The connection, for what is not covered here.
    pub connection: Connection,
}

impl Pop3 {
    /// Connects and logs in.
    ///
    /// # Errors
    /// Where the site refuses.
    pub fn login(site: &Site, account: Account) -> Result<Self> {
        let mut session = None;
        // A session before this one that was not ended by QUIT holds the mailbox until the server has noticed.
        until("the mailbox is free", || match Self::login_over(site.connect(Service::Pop3)?, account) {
            Err(error) if error.to_string().contains("[IN-USE]") => Ok(false),
            answer => answer.map(|pop| session.insert(pop)).map(|_| true),
        })?;
        session.context("no session")
    }

    /// The same over a connection to wherever the service is; who holds the mailbox is not waited for.
    ///
    /// # Errors
    /// Where it refuses.
    pub fn login_over(connection: Connection, account: Account) -> Result<Self> {
        let mut pop = Self { connection };
        pop.ok()?;
        pop.command(&format!("USER {}", account.address))?;
        pop.command(&format!("PASS {}", account.password))?;
        Ok(pop)
    }

    /// Sends a command that must be answered with `+OK`, and returns the text behind it.
    ///
    /// # Errors
    /// Where the answer is another.
    pub fn command(&mut self, line: &str) -> Result<String> {
        self.connection.send_line(line)?;
        self.ok()
    }

    fn ok(&mut self) -> Result<String> {
        let line = self.connection.line()?;
        match line.strip_prefix("+OK") {
            Some(rest) => Ok(rest.trim_start().to_owned()),
            None => bail!("+OK was expected, {line} came"),
        }
    }

    /// Sends a command and returns the lines of its answer, dots undone, each with its CRLF.
    ///
    /// # Errors
    /// Where it is refused.
    pub fn lines(&mut self, line: &str) -> Result<Vec<u8>> {
        self.command(line)?;
        let mut bytes = Vec::new();
        loop {
            let line = self.connection.line_bytes()?;
            let line = match line.strip_prefix(b".") {
                Some([]) => return Ok(bytes),
                Some(rest) => rest,
                None => &line,
            };
            bytes.extend_from_slice(line);
            bytes.extend_from_slice(b"\r\n");
        }
    }

    /// The number of messages.
    ///
    /// # Errors
    /// Where STAT is not answered with one.
    pub fn count(&mut self) -> Result<usize> {
        let stat = self.command("STAT")?;
        Ok(stat.split(' ').next().unwrap_or_default().parse()?)
    }
}
