//! Searching: by sets of UIDs where they can answer, then by rows, then by the text of those messages that rows leave open.
//!
//! Goes through a folder in pieces, so that no search holds a reader's thread for long, and ends with
//! [`StoreError::Busy`] at the caller's deadline.

mod narrow;
mod text;

pub(crate) use narrow::changed_after;

use crate::error::Fail;
use crate::flags::from;
use crate::open::Inner;
use crate::read::folder;
use mail::flags::{Keyword, SystemFlags};
use mail::id::{FolderId, MailboxId, ModSeq, Uid};
use mail::search::{Criterion, Day, Facts, Needle, Place};
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::Call;
use roles::store::StoreError;
use std::ops::ControlFlow;
use std::sync::Arc;
use storage::mailboxes::{Keywords, Mailbox, MessageRow};
use storage::shard::View;
use text::Text;

/// Rows that one piece looks at.
const ROWS: usize = 20_000;
/// Bytes of messages that one piece reads.
const BYTES: u64 = 8 << 20;

/// What one piece found, and where the next begins.
struct Piece {
    found: NumberSet,
    next: Option<Uid>,
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
        let asked = Arc::clone(&criterion);
        let job = move |view: &View<'_>| {
            let mailbox = Mailbox::new(view, mailbox);
            Ok(narrow::narrow(mailbox, &crate::read::folder(mailbox, folder)?, &asked)?)
        };
        let narrow::Bounds { least: mut found, most } = self.look(mailbox, job).await?;
        let mut uids = most.difference(&found);
        while !uids.is_empty() {
            let (piece_of, criterion) = (uids.clone(), Arc::clone(&criterion));
            let job = move |view: &View<'_>| piece(view, mailbox, folder, &piece_of, &criterion);
            let piece = self.look(mailbox, job).await?;
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
    let mailbox = Mailbox::new(view, mailbox);
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
    for row in open {
        let text = Text::new(view.blob(&row.blob)?)?;
        let known = Known { row: &row, keywords: &keywords, text: Some(&text) };
        let fulfilled = criterion.judge(&known) == Some(true);
        text.failure()?;
        if fulfilled {
            found.insert(row.uid.0);
        }
    }
    Ok(Piece { found, next })
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

    fn has_text(&self, place: &Place, needle: &Needle) -> Option<bool> {
        self.text.map(|text| text.has(place, needle))
    }
}
