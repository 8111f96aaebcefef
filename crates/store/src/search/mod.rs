//! Searching: by sets of UIDs where they can answer, then by rows, then by the text of those messages that rows leave open.
//!
//! A text is found where it occurs as it was written, in the middle of words too, whatever the case of its letters (RFC
//! 9051 6.4.4). Where a folder is in the text index (`feed`), the index says which messages may have it, and only these
//! are read: what is found is the same with and without an index.
//!
//! Goes through a folder in pieces, so that no search holds a reader's thread for long, and ends with
//! [`StoreError::Busy`] at the caller's deadline.

pub(crate) mod feed;
mod hints;
mod narrow;
mod text;

pub(crate) use narrow::changed_after;

use crate::damage::Place;
use crate::error::Fail;
use crate::flags::from;
use crate::open::Inner;
use crate::read::{folder, is_there};
use mail::flags::{Keyword, SystemFlags};
use mail::id::{FolderId, MailboxId, ModSeq, Uid};
use mail::search::{self, Criterion, Day, Facts, Needle};
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::Call;
use roles::store::StoreError;
use std::ops::ControlFlow;
use std::sync::Arc;
use storage::mailboxes::{Keywords, Mailbox, MessageRow};
use storage::shard::{Damage, ShardError, View};
use text::Text;

/// Rows that one piece looks at.
const ROWS: usize = 20_000;
/// Bytes of messages that one piece reads.
const BYTES: u64 = 8 << 20;

/// What one piece found, and where the next begins.
struct Piece {
    found: NumberSet,
    next: Option<Uid>,
    damaged: Vec<(Place, Damage)>,
}

impl Inner {
    pub(crate) async fn search(
        &self,
        call: &Call,
        mailbox: MailboxId,
        folder: FolderId,
        criterion: Criterion,
    ) -> Result<NumberSet, StoreError> {
        let end = self.env.clock.moment() + call.deadline;
        let criterion = Arc::new(criterion);
        let hints = self.hints(mailbox, folder, &criterion).await;
        let asked = Arc::clone(&criterion);
        let job = move |view: &View<'_>| {
            let mailbox = Mailbox::new(view, mailbox);
            let row = crate::read::folder(mailbox, folder)?;
            let hints = hints.checked(view, &row)?;
            Ok(narrow::narrow(mailbox, &row, (&asked, hints))?)
        };
        let narrow::Bounds { least: mut found, most } = self.look(mailbox, job).await?;
        let mut uids = most.difference(&found);
        while !uids.is_empty() {
            let (piece_of, criterion) = (uids.clone(), Arc::clone(&criterion));
            let job = move |view: &View<'_>| piece(view, mailbox, folder, &piece_of, &criterion);
            let piece = self.look(mailbox, job).await?;
            for (place, damage) in piece.damaged {
                self.notices.notice(Place { shard: self.shard_number(mailbox), ..place }, damage);
            }
            piece.found.ranges().for_each(|range| found.insert_range(range));
            let Some(next) = piece.next else { break };
            if self.env.clock.moment() >= end {
                return Err(StoreError::Busy);
            }
            uids = from(&uids, next);
        }
        Ok(found)
    }
}

fn piece(
    view: &View<'_>,
    mailbox: MailboxId,
    id: FolderId,
    uids: &NumberSet,
    criterion: &Criterion,
) -> Result<Piece, Fail> {
    let (owner, mailbox) = (mailbox, Mailbox::new(view, mailbox));
    let folder = folder(mailbox, id)?;
    let keywords = mailbox.keywords()?;
    let (mut found, mut open, mut next, mut rows, mut bytes) = (NumberSet::new(), Vec::new(), None, 0, 0);
    mailbox.messages(folder.volume, uids, |row| {
        if rows == ROWS || bytes >= BYTES {
            next = Some(row.uid);
            return Ok(ControlFlow::Break(()));
        }
        rows += 1;
        match criterion.judge(&Known { row: &row, keywords: &keywords, text: None }) {
            Some(true) => found.insert(row.uid.0),
            Some(false) => {}
            None => {
                bytes += row.size();
                open.push(row);
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let mut damaged = Vec::new();
    for row in open {
        match judge_text(view, &row, &keywords, criterion)? {
            Ok(true) => found.insert(row.uid.0),
            Ok(false) => {}
            // ITS 13587: what cannot be read is not found, and hides nothing else.
            Err(damage) => {
                let (volume, uid) = (folder.volume, row.uid);
                let place = Place { shard: 0, mailbox: owner, folder: folder.id, volume, uid };
                if damage != Damage::Widow || is_there(view, place, &row)? {
                    damaged.push((place, damage));
                }
            }
        }
    }
    Ok(Piece { found, next, damaged })
}

/// Whether a message fulfils a criterion that its text has to answer; or what is wrong with it.
fn judge_text(
    view: &View<'_>,
    row: &MessageRow,
    keywords: &Keywords,
    criterion: &Criterion,
) -> Result<Result<bool, Damage>, ShardError> {
    let blob = match view.examine(&row.blob)? {
        Ok(blob) => blob,
        Err(damage) => return Ok(Err(damage)),
    };
    let judged = Text::new(blob).and_then(|text| {
        let known = Known { row, keywords, text: Some(&text) };
        let fulfilled = criterion.judge(&known) == Some(true);
        text.failure().map(|()| fulfilled)
    });
    match judged {
        Ok(fulfilled) => Ok(Ok(fulfilled)),
        Err(error) => Damage::told_by(&error).map(Err).ok_or(error),
    }
}

/// What is known of one message.
struct Known<'a> {
    row: &'a MessageRow,
    keywords: &'a Keywords,
    text: Option<&'a Text>,
}

impl Facts for Known<'_> {
    fn uid(&self) -> Uid {
        self.row.uid
    }

    fn system_flags(&self) -> SystemFlags {
        self.row.system
    }

    fn has_keyword(&self, keyword: &Keyword) -> bool {
        self.keywords.place(keyword).is_some_and(|place| self.row.keywords.contains(&place))
    }

    fn size(&self) -> u64 {
        self.row.size()
    }

    fn received(&self) -> Timestamp {
        self.row.received
    }

    fn sent(&self) -> Option<Day> {
        self.row.sent
    }

    fn modseq(&self) -> ModSeq {
        self.row.modseq
    }

    fn has_text(&self, place: &search::Place, needle: &Needle) -> Option<bool> {
        self.text.map(|text| text.has(place, needle))
    }
}
