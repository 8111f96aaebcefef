//! Whether it all adds up: what lives in the segments against what is referred to.
//!
//! The caller walks its rows and lists every reference to a blob; the audit, at the same moment, compares that with what
//! the shard counts. Reads heads and rows, no bodies: whether those are whole is another question (`Blob::meta`,
//! `Blob::body`). Changes nothing.

use super::blob::BlobRef;
use super::index::decode_position;
use super::layout::{self, Stored};
use super::places::{self, Location};
use super::reclaim::name_at;
use super::rows::{OwnRows, Rows};
use super::segments::Segment;
use super::transaction::Transaction;
use super::{Shard, ShardError, View, live};
use crate::codec::Reader;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// All references to blobs of one shard, as its rows have them. About 32 bytes each while it is held.
#[derive(Debug, Default)]
pub struct References(BTreeMap<Location, (BlobRef, u64)>);

impl References {
    /// Another row refers to this blob.
    pub fn add(&mut self, blob: &BlobRef) {
        self.0.entry(Location::of(blob)).or_insert((*blob, 0)).1 += 1;
    }

    /// How many different blobs are referred to.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is referred to.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What an audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// Segments that were looked at.
    pub segments: u64,
    /// Bytes of what lives in them.
    pub live_bytes: u64,
    /// Bytes that the shard counts as living.
    pub counted_bytes: u64,
    /// What takes space and nothing refers to.
    pub orphans: Vec<Orphan>,
    /// What is referred to and is not there.
    pub widows: Vec<BlobRef>,
    /// What is referred to more or less often than is counted: with both numbers.
    pub miscounted: Vec<(BlobRef, u64, u64)>,
    /// Segments whose records cannot be told apart, and why.
    pub damaged: Vec<(u32, String)>,
}

/// A body that nothing refers to. Nothing ever will: a reference is taken in the commit that stores a body, or from
/// another reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orphan {
    /// Where it is.
    pub segment: u32,
    /// The offset of its head there.
    pub offset: u64,
    /// Bytes that it takes.
    pub bytes: u64,
    /// The name under which it could have been found.
    name: Option<Location>,
}

impl Audit {
    /// Whether everything adds up.
    pub fn is_clean(&self) -> bool {
        self.live_bytes == self.counted_bytes
            && self.orphans.is_empty()
            && self.widows.is_empty()
            && self.miscounted.is_empty()
            && self.damaged.is_empty()
    }
}

impl Transaction<'_> {
    /// Counts an orphan as dead, so that its space comes back; `false` where it is dead already.
    ///
    /// # Errors
    /// Where the index cannot be read.
    pub fn remove_orphan(&mut self, orphan: &Orphan) -> Result<bool, ShardError> {
        let at = Location { segment: orphan.segment, offset: orphan.offset };
        let moved = match orphan.name {
            Some(name) => self.get(&name.moved_key())?.map(|row| Location::decode(&row)).transpose()?,
            None => None,
        };
        if let Some(name) = orphan.name.filter(|name| moved.unwrap_or(*name) == at) {
            self.delete_own(&name.count_key())?;
            self.delete_own(&name.moved_key())?;
        }
        self.bury(at, orphan.bytes)
    }

    /// Corrects a count of references that an audit found to be `counted` and should have found to be `found`: by the
    /// difference, so that what has changed since then counts, too. A body without references is dead then.
    ///
    /// # Errors
    /// Where the index cannot be read.
    pub fn correct_count(&mut self, blob: &BlobRef, counted: u64, found: u64) -> Result<(), ShardError> {
        let now = self.references(&Location::of(blob).count_key())?;
        let right = now.saturating_add(found).saturating_sub(counted);
        self.set_references(&Location::of(blob).count_key(), right.max(1))?;
        if right == 0 { self.release(blob) } else { Ok(()) }
    }
}

impl Shard {
    /// Compares the shard with all references that `list` finds in its rows, both at one moment. No segment goes
    /// meanwhile: a file that is removed between the moment and the look at it would be a loss to the rows of before.
    ///
    /// # Errors
    /// What `list` returned; [`ShardError::Corrupt`] where the shard's own rows cannot be read, [`ShardError::Io`].
    pub async fn audit<F>(&self, list: F) -> Result<Audit, ShardError>
    where
        F: FnOnce(&View<'_>) -> Result<References, ShardError> + Send + 'static,
    {
        let hold = self.hold();
        hold.settled().await;
        let audit = move |view: &View<'_>| {
            // Until the end, also where nobody waits for it any more.
            let _hold = hold;
            view.audit(&list(view)?)
        };
        self.read(audit).await
    }
}

impl View<'_> {
    /// Compares the files with all references that the rows of this view have; the files must stay as they are.
    ///
    /// # Errors
    /// [`ShardError::Corrupt`] where the shard's own rows cannot be read, [`ShardError::Io`].
    pub(crate) fn audit(&self, references: &References) -> Result<Audit, ShardError> {
        let mut audit = Audit::default();
        let mut missing: BTreeSet<Location> = references.0.keys().copied().collect();
        let moved = self.moved()?;
        let end = self.get(super::index::POSITION)?.and_then(|row| decode_position(&row)).unwrap_or_default();
        for (number, count) in live::load(self)?.range(..=end.segment) {
            audit.counted_bytes += count.live;
            let known_end = (*number == end.segment).then_some(end.offset);
            let looked = self.segments.get(*number).and_then(|segment| {
                let living = self.living(&segment, known_end)?;
                Ok((segment, living))
            });
            let (segment, living) = match looked {
                Ok(found) => found,
                Err(ShardError::Gone) if count.live == 0 => continue,
                // What lives in it is found to be missing.
                Err(ShardError::Gone) => {
                    audit.damaged.push((*number, "its file is missing".to_owned()));
                    continue;
                }
                Err(ShardError::Corrupt(why)) => {
                    audit.damaged.push((*number, why.to_string()));
                    missing.retain(|name| moved.get(name).unwrap_or(name).segment != *number);
                    continue;
                }
                Err(other) => return Err(other),
            };
            audit.segments += 1;
            for one in living {
                audit.live_bytes += one.len;
                let at = Location { segment: *number, offset: one.head() };
                let name =
                    self.name(&segment, &one, at)?.filter(|name| *moved.get(name).unwrap_or(name) == at);
                if !name.is_some_and(|name| missing.remove(&name)) {
                    audit.orphans.push(Orphan { segment: *number, offset: one.head(), bytes: one.len, name });
                }
            }
        }
        audit.widows = missing.iter().filter_map(|name| Some(references.0.get(name)?.0)).collect();
        audit.miscounted = self.miscounted(references)?;
        Ok(audit)
    }

    /// What lives in a segment, up to its end.
    pub(super) fn living(&self, segment: &Segment, end: Option<u64>) -> Result<Vec<Stored>, ShardError> {
        let number = segment.header.segment;
        let mut stored = match layout::read(self, number)? {
            Some(stored) => stored,
            None => {
                let len = segment.file.len().map_err(ShardError::io)?;
                layout::scan(segment, end.unwrap_or(len))?
            }
        };
        let mut dead = BTreeSet::new();
        self.scan_own(places::dead_in(number), &mut |key, _| {
            dead.extend(Location::of_key(key).ok().map(|at| at.offset));
            ControlFlow::Continue(())
        })?;
        stored.retain(|one| !dead.contains(&one.head()));
        Ok(stored)
    }

    /// The name of what is stored at a place; `None` where it cannot be read.
    fn name(&self, segment: &Segment, one: &Stored, at: Location) -> Result<Option<Location>, ShardError> {
        if !one.copy {
            return Ok(Some(at));
        }
        match layout::head(segment, one.offset, one.end()).and_then(|head| name_at(&head)) {
            Err(ShardError::Corrupt(_)) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Where copied blobs are.
    fn moved(&self) -> Result<BTreeMap<Location, Location>, ShardError> {
        let (mut all, mut failed) = (BTreeMap::new(), None);
        self.scan_own(places::all_moved(), &mut |key, value| {
            match Location::of_key(key).and_then(|name| Ok((name, Location::decode(value)?))) {
                Ok((name, at)) => drop(all.insert(name, at)),
                Err(error) => failed = Some(error),
            }
            ControlFlow::Continue(())
        })?;
        failed.map_or(Ok(all), Err)
    }

    fn miscounted(&self, references: &References) -> Result<Vec<(BlobRef, u64, u64)>, ShardError> {
        let mut counts = BTreeMap::new();
        self.scan_own(places::all_counts(), &mut |key, value| {
            if let Ok(name) = Location::of_key(key) {
                counts.insert(name, Reader::new(value).number().unwrap_or(0));
            }
            ControlFlow::Continue(())
        })?;
        let wrong = references.0.iter().filter_map(|(name, (blob, found))| {
            let counted = counts.get(name).copied().unwrap_or(1);
            (counted != *found).then_some((*blob, counted, *found))
        });
        Ok(wrong.collect())
    }
}
