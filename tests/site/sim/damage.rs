//! Disks that give errors, and disks that give other bytes than were written: an answer is right or an error, and one
//! damaged message never hides another.

use crate::finding::{Finding, Kind, compare};
use crate::history::{History, MAILBOXES, judge};
use crate::look::Seen;
use crate::model::{Mailbox, Past, Token, body};
use crate::site::{Remains, Site, Watch};
use crate::tally::{Point, Tally};
use crate::tape::Tape;
use anyhow::Result;
use env::random::Random;
use mail::id::MailboxId;
use std::collections::BTreeMap;
use storage::sim::SimDisk;

/// What a history has left, and what is in it.
pub(crate) struct Damage<'a> {
    history: &'a History,
    tally: &'a Tally,
    /// Closed in order, so that a damaged end of the log is no torn one.
    end: Remains,
    expected: BTreeMap<MailboxId, Mailbox>,
}

impl<'a> Damage<'a> {
    /// Looks at what is there while nothing is damaged yet.
    pub(crate) async fn of(history: &'a History, tally: &'a Tally) -> Result<Self> {
        let site = Site::open(&history.end.again(), &history.setup, Watch::Nothing)?;
        let expected = judge(&site, &history.world.ledger, history.site.tape.len()).await.mailboxes;
        site.close().await;
        Ok(Self { history, tally, end: site.remains(), expected })
    }

    /// Lets reads fail while a store is opened and read; then without failures everything must be there still.
    pub(crate) async fn read_errors(&self) -> Result<()> {
        let report = |finding| self.report(Point::ReadErrors, finding);
        for one_in in FAILING_READS {
            self.tally.crash(Point::ReadErrors);
            let tape = Tape::new(self.history.setup.seed + one_in as u64, self.history.setup.syncs);
            tape.fail_reads(one_in);
            let remains = self.end.again();
            let left = match Site::open_with(&remains, &self.history.setup, Watch::Nothing, &tape)? {
                Err(failed) => failed.left,
                Ok(site) => {
                    for id in MAILBOXES {
                        // An error is an answer that a client can act on; it must only not be a wrong one.
                        let Ok(seen) = site.look(&[id], &[]).await else { continue };
                        self.compare(seen).into_iter().for_each(report);
                    }
                    site.close().await;
                    site.remains()
                }
            };
            match Site::open(&left, &self.history.setup, Watch::Nothing) {
                Ok(site) => {
                    let (ledger, at) = (&self.history.world.ledger, self.history.site.tape.len());
                    judge(&site, ledger, at).await.findings.into_iter().for_each(report);
                    site.close().await;
                }
                Err(e) => report(Finding::new(Kind::Lost, format!("cannot be opened afterwards: {e:#}"))),
            }
        }
        Ok(())
    }

    /// Flips a bit of a message on the disk: exactly that message cannot be read.
    pub(crate) async fn bit_flips(&self) -> Result<()> {
        let chance = Random::seeded(self.history.setup.seed ^ FLIPS);
        let tokens: Vec<(MailboxId, Token)> =
            self.expected.iter().flat_map(|(id, m)| tokens(m).map(|token| (*id, token))).collect();
        for _ in 0..MOST_FLIPS.min(tokens.len()) {
            let (id, token) = tokens[chance.below(tokens.len() as u64) as usize];
            let remains = self.end.again();
            if flip(&remains, token, &chance) {
                self.tally.crash(Point::BitFlip);
                self.check_flipped(&remains, id, token).await?;
            } else {
                let text = format!("message {token} is nowhere on the disk");
                self.report(Point::BitFlip, Finding::new(Kind::Lost, text));
            }
        }
        Ok(())
    }

    async fn check_flipped(&self, remains: &Remains, id: MailboxId, token: Token) -> Result<()> {
        let report = |finding| self.report(Point::BitFlip, finding);
        let site = Site::open(remains, &self.history.setup, Watch::Nothing)?;
        match site.look(&MAILBOXES, &[]).await {
            Ok(seen) => {
                let damaged = damaged(&self.expected[&id], &seen[&id].unreadable, token);
                damaged.into_iter().for_each(report);
                self.compare(seen).into_iter().for_each(report);
            }
            Err(error) => {
                report(Finding::new(Kind::Refused, format!("a damaged message hides others: {error}")));
            }
        }
        site.close().await;
        Ok(())
    }

    /// How what was found differs, apart from messages that could not be read.
    fn compare(&self, seen: BTreeMap<MailboxId, Seen>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (id, mut seen) in seen {
            let expected = &self.expected[&id];
            seen.trust(expected);
            seen.unreadable.clear();
            findings.extend(compare(id, expected, &seen, &Past::default()));
        }
        findings
    }

    fn report(&self, point: Point, finding: Finding) {
        self.tally.report(self.history.setup.seed, point.name(), finding);
    }
}

/// The damaged message must not be readable in its mailbox, and every other must.
fn damaged(expected: &Mailbox, unreadable: &BTreeMap<(String, u32), String>, token: Token) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, folder) in &expected.folders {
        for (uid, mail) in &folder.mails {
            if unreadable.contains_key(&(name.clone(), *uid)) != (mail.token == token) {
                let text = format!("UID {uid} of {name} with a flipped bit: {}", mail.token == token);
                findings.push(Finding::new(Kind::Altered, text));
            }
        }
    }
    findings
}

/// Changes one bit of a message's bytes, wherever they are.
fn flip(remains: &Remains, token: Token, chance: &Random) -> bool {
    let bytes = body(token);
    // The first block of a body is one piece on the disk.
    let first = &bytes[..bytes.len().min(FIRST_BLOCK)];
    let at = chance.below(first.len() as u64) as usize;
    let mut found = false;
    let names = |disk: &SimDisk| storage::shard::Disk::names(disk).unwrap_or_default();
    for (disk, name) in remains.disks.iter().flat_map(|d| names(d).into_iter().map(move |n| (d, n))) {
        let Some(mut content) = disk.content(&name) else { continue };
        let places: Vec<usize> = memmem(&content, first);
        for place in &places {
            content[place + at] ^= 1 << chance.below(8);
        }
        if !places.is_empty() {
            found = true;
            disk.set_content(&name, content);
        }
    }
    found
}

/// Where a piece stands in a longer one.
fn memmem(content: &[u8], piece: &[u8]) -> Vec<usize> {
    // All records begin at multiples of eight.
    let mut places = Vec::new();
    let head = &piece[..piece.len().min(16)];
    let mut from = 0;
    while let Some(at) = content[from..].windows(head.len()).position(|w| w == head) {
        let at = from + at;
        if content[at..].starts_with(piece) {
            places.push(at);
        }
        from = at + 1;
    }
    places
}

fn tokens(mailbox: &Mailbox) -> impl Iterator<Item = Token> + '_ {
    mailbox.folders.values().flat_map(|f| f.mails.values()).map(|m| m.token)
}

/// Of so many reads one fails.
const FAILING_READS: [usize; 3] = [2, 8, 40];
const MOST_FLIPS: usize = 4;
/// Bytes of a body that are under one sum.
const FIRST_BLOCK: usize = 64 << 10;
/// Told apart from other uses of the same seed.
const FLIPS: u64 = 0xf11b;
