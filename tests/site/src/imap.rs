//! IMAP as far as a test needs it.

use crate::connection::Connection;
use crate::program::{Account, Service, Site};
use anyhow::{Context as _, Result, ensure};

/// A session after its login.
pub struct Imap {
    /// The connection, for what is not covered here.
    pub connection: Connection,
    tag: u32,
}

/// One untagged response: its text, literals replaced by `{}`, and the literals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untagged {
    /// The text behind `* `.
    pub text: String,
    /// The literals in order.
    pub literals: Vec<Vec<u8>>,
}

impl Imap {
    /// Connects and logs in.
    ///
    /// # Errors
    /// Where the site refuses.
    pub fn login(site: &Site, account: Account) -> Result<Self> {
        Self::login_over(site.connect(Service::Imap)?, account)
    }

    /// The same over a connection to wherever the service is.
    ///
    /// # Errors
    /// Where it refuses.
    pub fn login_over(connection: Connection, account: Account) -> Result<Self> {
        let mut imap = Self { connection, tag: 0 };
        let greeting = imap.connection.line()?;
        ensure!(greeting.starts_with("* OK"), "* OK was expected, {greeting} came");
        imap.must(&format!("LOGIN {} {}", account.address, account.password))?;
        Ok(imap)
    }

    /// Sends a command and returns its untagged responses and the tagged line without its tag.
    ///
    /// # Errors
    /// Where the answer does not come.
    pub fn command(&mut self, line: &str) -> Result<(Vec<Untagged>, String)> {
        self.tag += 1;
        let tag = format!("a{}", self.tag);
        self.connection.send_line(&format!("{tag} {line}"))?;
        let mut untagged = Vec::new();
        loop {
            let Untagged { text, literals } = self.response()?;
            if let Some(rest) = text.strip_prefix("* ") {
                untagged.push(Untagged { text: rest.to_owned(), literals });
            } else if let Some(rest) = text.strip_prefix(&format!("{tag} ")) {
                return Ok((untagged, rest.to_owned()));
            }
        }
    }

    /// Sends a command that must be answered with OK, and returns its untagged responses.
    ///
    /// # Errors
    /// Where the answer is another.
    pub fn must(&mut self, line: &str) -> Result<Vec<Untagged>> {
        let (untagged, end) = self.command(line)?;
        ensure!(end.starts_with("OK"), "{line}: OK was expected, {end} came");
        Ok(untagged)
    }

    /// Reads a response of all its lines and literals.
    ///
    /// # Errors
    /// Where it does not come.
    pub fn response(&mut self) -> Result<Untagged> {
        let mut whole = Untagged { text: String::new(), literals: Vec::new() };
        loop {
            let line = self.connection.line()?;
            let Some((head, size)) = literal(&line) else {
                whole.text.push_str(&line);
                return Ok(whole);
            };
            whole.text.push_str(head);
            whole.text.push_str("{}");
            whole.literals.push(self.connection.exactly(size)?);
        }
    }

    /// The number of messages in a folder, which is selected.
    ///
    /// # Errors
    /// Where it cannot be.
    pub fn select(&mut self, folder: &str) -> Result<usize> {
        let untagged = self.must(&format!("SELECT {folder}"))?;
        let exists = untagged.iter().find_map(|u| u.text.strip_suffix(" EXISTS"));
        Ok(exists.context("no EXISTS")?.parse()?)
    }

    /// The whole message of a number in the selected folder, as it lies there; not marked as seen.
    ///
    /// # Errors
    /// Where there is none.
    pub fn fetch(&mut self, number: usize) -> Result<Vec<u8>> {
        let untagged = self.must(&format!("FETCH {number} (BODY.PEEK[])"))?;
        let found = untagged.into_iter().find_map(|u| u.literals.into_iter().next());
        found.with_context(|| format!("message {number} has no literal"))
    }
}

/// The text before a literal and its size, where the line announces one.
fn literal(line: &str) -> Option<(&str, usize)> {
    let (head, size) = line.strip_suffix('}')?.rsplit_once('{')?;
    Some((head, size.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_announced_at_the_end_of_a_line() {
        assert_eq!(literal("* 1 FETCH (BODY[] {12}"), Some(("* 1 FETCH (BODY[] ", 12)));
        assert_eq!(literal("* OK {12} then"), None);
        assert_eq!(literal("* OK {x}"), None);
    }
}
