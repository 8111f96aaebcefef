//! The check: every message read, every counter counted, everything stored compared with everything referred to.
//!
//! Goes mailbox by mailbox while mail comes and goes. Counters are compared within one view of the rows, so that a
//! difference is a difference (ITS 20087). With repair, counters and counts of references are put right, and widows are
//! removed; what could come back from a backup is left alone.

use super::walk::{Walker, row_finding};
use super::{Job, audit, orphans};
use crate::damage::Place;
use crate::error::Fail;
use crate::expunge::Which;
use crate::open::{Inner, Store};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use mail::id::{FolderId, MailboxId};
use mail::sequence::NumberSet;
use roles::maintenance::{
    Finding, FindingKind, MaintenanceError, Mode, Scope, Summary, Task, Verified, Verify,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use storage::mailboxes::{Counted, counted, next_mailbox, recount};
use storage::shard::{Audit, BlobRef, Damage, ShardError, Transaction, View};

/// Most messages that are read at the same time.
const MAX_JOBS: u32 = 64;

/// Whether a task is within its limits.
pub(super) fn check(task: &Task, shards: usize) -> Result<(), MaintenanceError> {
    let Task::Verify(verify) = task else { return Ok(()) };
    if !(1..=MAX_JOBS).contains(&verify.jobs) {
        return Err(MaintenanceError::Refused(format!("1 to {MAX_JOBS} jobs")));
    }
    match verify.scope {
        Scope::Shard(number) if number as usize >= shards => {
            Err(MaintenanceError::Refused(format!("the store has {shards} shards, numbered from 0")))
        }
        _ => Ok(()),
    }
}

/// What damage is called in findings.
pub(super) fn finding_kind(damage: Damage) -> FindingKind {
    match damage {
        Damage::Widow => FindingKind::Widow,
        Damage::Missing => FindingKind::Missing,
        Damage::Truncated => FindingKind::Truncated,
        Damage::Altered => FindingKind::Altered,
        Damage::Unreadable => FindingKind::Unreadable,
    }
}

/// The check at work.
struct Check<'a> {
    store: &'a Inner,
    job: &'a Job,
    walker: Walker<'a>,
    repair: Mode,
    sum: Mutex<Sum>,
}

#[derive(Default)]
struct Sum {
    verified: Verified,
    kinds: BTreeMap<FindingKind, u64>,
}

pub(super) async fn perform(store: &Store, job: &Arc<Job>, verify: Verify) -> Result<Summary, Fail> {
    let inner = store.inner();
    let begun = inner.env.clock.moment();
    let jobs = verify.jobs as usize;
    let progress = |bytes| job.advance(bytes);
    let walker = Walker::new(inner, jobs, &job.pace, &progress);
    let check = Check { store: inner, job, walker, repair: verify.repair, sum: Mutex::default() };
    let shards: Vec<usize> = match verify.scope {
        Scope::Store => (0..inner.shards.len()).collect(),
        Scope::Shard(number) => vec![number as usize],
        Scope::Mailbox(id) => {
            let shard = inner.shard_number(id);
            let row = inner.shards[shard].read(move |view| Ok::<_, ShardError>(counted(view, id))).await?;
            job.expect(row.ok().flatten().map_or(0, |(_, row)| row.bytes));
            check.mailbox(shard, id).await?;
            Vec::new()
        }
    };
    if !shards.is_empty() {
        job.expect(shards.iter().map(|&n| inner.shards[n].status().live_bytes).sum());
        check.mailboxes(&shards, jobs).await?;
    }
    for shard in shards {
        if job.pace.step(0).await.is_continue() {
            check.audit(shard).await?;
        }
    }
    // Whoever asks for the list of the damaged next finds on it what was found here.
    inner.notices.written().await;
    let at_once = check.walker.at_once();
    let Sum { mut verified, kinds } = check.sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    verified.found = kinds.into_iter().collect();
    (verified.at_once, verified.took) = (at_once, inner.env.clock.moment() - begun);
    Ok(Summary::Verified(verified))
}

impl Check<'_> {
    /// All mailboxes of these shards, this many at the same time, shards taking turns.
    async fn mailboxes(&self, shards: &[usize], jobs: usize) -> Result<(), ShardError> {
        let mut cursors: VecDeque<_> = shards.iter().map(|&shard| (shard, None)).collect();
        let mut walks = FuturesUnordered::new();
        loop {
            while walks.len() < jobs
                && let Some((shard, after)) = cursors.pop_front()
            {
                let next = self.store.shards[shard].read(move |view| next_mailbox(view, after)).await?;
                if let Some(id) = next.filter(|_| !self.job.pace.is_ended()) {
                    walks.push(self.mailbox(shard, id));
                    cursors.push_back((shard, Some(id)));
                }
            }
            match walks.next().await {
                Some(walked) => walked?,
                None => return Ok(()),
            }
        }
    }

    async fn mailbox(&self, shard: usize, id: MailboxId) -> Result<(), ShardError> {
        // Elsewhere it has left its rows, or is on its way: they say nothing.
        if self.job.pace.is_ended() || self.store.shard_number(id) != shard {
            return Ok(());
        }
        self.counters(shard, id).await?;
        let widows: Mutex<BTreeMap<FolderId, NumberSet>> = Mutex::default();
        let found = |finding: Finding, place: Option<Place>| {
            let removable = finding.kind == FindingKind::Widow && self.repair == Mode::Apply;
            if let (true, Some(place)) = (removable, place) {
                let mut widows = widows.lock().unwrap_or_else(PoisonError::into_inner);
                widows.entry(place.folder).or_default().insert(place.uid.0);
            }
            self.found(Finding { mended: removable, ..finding });
        };
        let met = self.walker.mailbox(shard, id, &found).await?;
        for (folder, uids) in widows.into_inner().unwrap_or_else(PoisonError::into_inner) {
            // A folder that is gone meanwhile took its widows along.
            let _ = self.store.expunge(id, folder, uids, Which::All).await;
        }
        let mut sum = self.sum();
        sum.verified.mailboxes += 1;
        sum.verified.folders += met.folders;
        sum.verified.messages += met.messages;
        sum.verified.bytes += met.bytes;
        Ok(())
    }

    /// Counts the mailbox anew.
    async fn counters(&self, shard: usize, id: MailboxId) -> Result<(), ShardError> {
        let look = move |view: &View<'_>| {
            let row = storage::mailboxes::Mailbox::new(view, id).row();
            Ok::<_, ShardError>(counted(view, id).and_then(|counted| Ok((counted, row?))))
        };
        let (folders, should, is) = match self.store.shards[shard].read(look).await? {
            Ok((Some((folders, should)), Some(is))) => (folders, should, is),
            Ok(_) => return Ok(()),
            Err(ShardError::Corrupt(why)) => {
                self.found(row_finding(shard, id, None, &why));
                return Ok(());
            }
            Err(other) => return Err(other),
        };
        let wrong: Vec<&Counted> = folders.iter().filter(|one| !one.is_right()).collect();
        let is_off = (is.bytes, is.messages) != (should.bytes, should.messages) || is.modseq < should.modseq;
        if wrong.is_empty() && !is_off {
            return Ok(());
        }
        let recounted = async || self.store.change(id, move |tx| Ok(recount(tx, id)?)).await.is_ok();
        let mended = self.repair == Mode::Apply && recounted().await;
        let finding = |folder: Option<&Counted>, detail: String| Finding {
            kind: FindingKind::Counters,
            mended,
            detail,
            ..row_finding(shard, id, folder.map(|one| one.is.name.clone()), "")
        };
        wrong.iter().for_each(|one| self.found(finding(Some(one), one.differences())));
        if is_off {
            let detail = format!(
                "{} messages of {} bytes, counted {} of {}",
                is.messages, is.bytes, should.messages, should.bytes
            );
            self.found(finding(None, detail));
        }
        Ok(())
    }

    /// What is stored against what is referred to.
    async fn audit(&self, shard: usize) -> Result<(), ShardError> {
        let Audit { orphans, miscounted, damaged, .. } = audit(&self.store.shards[shard]).await?;
        let number = u32::try_from(shard).unwrap_or(u32::MAX);
        orphans::note(&self.store.shards[shard], &orphans, self.store.env.clock.now()).await?;
        orphans.iter().for_each(|orphan| self.found(orphans::finding(number, orphan, false)));
        for (segment, why) in damaged {
            let detail = format!("segment {segment}: {why}");
            self.found(shard_finding(number, FindingKind::Segment, detail));
        }
        for (blob, counted, found) in miscounted {
            if self.repair == Mode::Apply {
                self.correct(shard, blob, counted, found).await?;
            }
            let detail = format!("{} bytes referred to {found} times, counted {counted}", blob.body_len());
            let finding = shard_finding(number, FindingKind::References, detail);
            self.found(Finding { mended: self.repair == Mode::Apply, ..finding });
        }
        Ok(())
    }

    async fn correct(&self, shard: usize, blob: BlobRef, counted: u64, found: u64) -> Result<(), ShardError> {
        let task = move |tx: &mut Transaction<'_>| tx.correct_count(&blob, counted, found);
        self.store.shards[shard].commit(task).await
    }

    fn found(&self, finding: Finding) {
        let mut sum = self.sum();
        *sum.kinds.entry(finding.kind).or_default() += 1;
        sum.verified.mended += u64::from(finding.mended);
        drop(sum);
        self.job.found(finding);
    }

    fn sum(&self) -> std::sync::MutexGuard<'_, Sum> {
        self.sum.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shard_finding(shard: u32, kind: FindingKind, detail: String) -> Finding {
    Finding { kind, shard, mailbox: None, detail, ..row_finding(0, MailboxId(0), None, "") }
}
