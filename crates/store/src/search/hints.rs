//! What the text index says of a search before it begins: for each text that is looked for, which messages may have it.
//!
//! A hint counts only while what it was made from does: it is checked against the rows in the view in which it is used.
//! Without hints, every text is looked at.

use super::feed::from_on;
use crate::open::Inner;
use mail::id::{FolderId, MailboxId};
use mail::search::{Criterion, Needle};
use mail::sequence::NumberSet;
use std::collections::HashMap;
use storage::mailboxes::{Covered, FolderRow, Mailbox, Volume, covered};
use storage::shard::{Rows, ShardError, View};

/// Texts of one search that the index is asked for.
const MAX_NEEDLES: usize = 8;

/// See the module.
#[derive(Default)]
pub(super) struct Hints(Option<Asked>);

struct Asked {
    mailbox: MailboxId,
    volume: Volume,
    /// What the index had when it was asked.
    covered: Covered,
    candidates: HashMap<Needle, NumberSet>,
}

impl Hints {
    /// The same, if they hold for this folder in this view.
    pub(super) fn checked(
        &self,
        rows: &dyn Rows,
        folder: &FolderRow,
    ) -> Result<Option<Holding<'_>>, ShardError> {
        let Some(asked) = self.0.as_ref().filter(|asked| asked.volume == folder.volume) else {
            return Ok(None);
        };
        let now = covered(rows, (asked.mailbox, asked.volume), asked.covered.generation)?;
        // The same coverage, or more of it: in between, the index cannot have forgotten what is there.
        Ok(now.is_some_and(|now| now.epoch == asked.covered.epoch).then_some(Holding(asked)))
    }
}

/// Hints that hold.
pub(super) struct Holding<'a>(&'a Asked);

impl Holding<'_> {
    /// UIDs outside of which no message has the text; `None` where nothing is known.
    pub(super) fn most(&self, needle: &Needle) -> Option<NumberSet> {
        let found = self.0.candidates.get(needle)?;
        Some(found.union(&from_on(self.0.covered.below)))
    }
}

impl Inner {
    /// Asks the text index of a folder's shard. Where it cannot say anything there are no hints.
    pub(super) async fn hints(&self, mailbox: MailboxId, folder: FolderId, criterion: &Criterion) -> Hints {
        self.ask_index(mailbox, folder, criterion)
            .await
            .map_or_else(Hints::default, |asked| Hints(Some(asked)))
    }

    async fn ask_index(&self, mailbox: MailboxId, folder: FolderId, criterion: &Criterion) -> Option<Asked> {
        let needles = criterion.needles(MAX_NEEDLES);
        if needles.is_empty() || self.switches.get().index_from == 0 {
            return None;
        }
        let number = self.shard_number(mailbox);
        let text = &self.texts[number];
        let generation = text.generation().ok()?;
        let look = move |view: &View<'_>| {
            let Some(folder) = Mailbox::new(view, mailbox).folder(folder)? else { return Ok(None) };
            let covered = covered(view, (mailbox, folder.volume), generation)?;
            Ok::<_, ShardError>(covered.map(|covered| (folder.volume, covered)))
        };
        let (volume, covered) = self.shards[number].read(look).await.ok()??;
        let mut candidates = HashMap::new();
        for needle in needles {
            let found = text.candidates(mailbox, volume, needle).await.ok()?;
            if let Some((of, found)) = found {
                // Another index has taken the place of the one that is noted.
                (of == generation).then_some(())?;
                candidates.insert(needle.clone(), found);
            }
        }
        Some(Asked { mailbox, volume, covered, candidates })
    }
}
