//! The keeper: a thread beside the committer that persists the index and removes dead segments.
//!
//! Woken when a segment is full or has died; does nothing otherwise. A segment goes only when no live blob is in it,
//! that fact is durable, and the persisted index lies behind all of its groups, so that no recovery needs it.

use super::Shared;
use catalog::events::ms;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the index may take to write out what it has in memory. A committer that has to open the index again waits
/// as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The handle of the thread.
pub(crate) struct Keeper {
    bell: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts the thread.
    pub(crate) fn start(shared: &Arc<Shared>) -> std::io::Result<Self> {
        let (bell, rings) = sync_channel(1);
        let shared = Arc::clone(shared);
        let thread =
            std::thread::Builder::new().name("shard-keeper".into()).spawn(move || run(&shared, &rings))?;
        Ok(Self { bell: Some(bell), thread: Some(thread) })
    }

    /// Wakes it.
    pub(crate) fn nudge(&self) {
        // A full bell means that it will run anyway.
        let _ = self.bell.as_ref().map(|bell| bell.try_send(()));
    }

    /// Ends it and waits for the end.
    pub(crate) fn stop(&mut self) {
        self.bell = None;
        self.thread.take().map(JoinHandle::join);
    }
}

fn run(shared: &Shared, rings: &Receiver<()>) {
    while rings.recv().is_ok() {
        tend(shared);
    }
}

/// Does what there is to do.
pub(super) fn tend(shared: &Shared) {
    if !shared.has_rolled() || persist(shared) {
        remove_dead(shared);
    }
}

fn persist(shared: &Shared) -> bool {
    // What is applied by now is in what is written out next.
    let applied = shared.keeping().applied;
    let held = shared.index();
    let persisted = held.get().and_then(|index| index.write_out(PATIENCE)).is_ok();
    // Where it failed, the committer meets the same failure and handles it.
    if persisted {
        shared.set_persisted(applied);
    }
    persisted
}

/// Removes what is dead and needed by no recovery; says how many.
pub(super) fn remove_dead(shared: &Shared) -> u64 {
    let mut removed = 0;
    let mut dead = shared.take_dead().into_iter();
    while let Some(segment) = dead.next() {
        match shared.segments.remove(segment) {
            Ok(()) => shared.segment_removed(segment),
            Err(error) => {
                shared.env.log.emit(&ms::MsSegmentNotRemoved { path: shared.path(), segment, error });
                shared.dead_segment(segment);
                dead.for_each(|segment| shared.dead_segment(segment));
                return removed;
            }
        }
        removed += 1;
    }
    removed
}
