//! Moving a mailbox to another shard, or copying it to another mailbox, while it is in use.
//!
//! Passes over all rows make the target equal to the source; the mailbox is frozen for the last one only, and changes
//! to it wait that long. One commit of the source decides: before it the mailbox is here, after it there, whatever
//! crashes. UIDs, ModSeqs, flags, keywords, history, attributes: all rows come along as they are, so that sessions go on
//! without noticing. What is left behind is cleared when no reader of before can be reading it any more.
//!
//! Crashes leave rows that [`recover`] reads at the next start.

use crate::error::Fail;
use crate::open::{Inner, Store};
use mail::id::MailboxId;
use mail::time::Timestamp;
use roles::store::StoreError;
use roles::whole::Moved;
use std::collections::HashMap;
use std::time::Duration;
use storage::mailboxes::Mailbox;
use storage::mailboxes::transfer::{self, Applied, Arrival, Departure, Lodging};
use storage::shard::{Shard, ShardError, Transaction};
use tokio::sync::oneshot;

/// Passes before the last one, at most.
const PASSES: usize = 5;
/// A pass that changed no more rows than this makes way for the last one.
const FEW_ROWS: u64 = 200;
/// Readers of before have ended after this time: none holds a view of the index as long.
const READERS_END: Duration = Duration::from_secs(60);
/// Time between two tries of what must be done.
const INSIST_EVERY: Duration = Duration::from_millis(200);
/// As long requests are remembered where the mailbox has come to.
const REMEMBERED: Duration = crate::deliver::REMEMBERED;

/// From where to where.
#[derive(Clone, Copy)]
struct Way<'a> {
    from: &'a Shard,
    source: MailboxId,
    to: &'a Shard,
    target: MailboxId,
}

impl Store {
    /// Moves a mailbox to the shard of this number.
    ///
    /// # Errors
    /// [`StoreError::Refused`] where there is no such shard or the mailbox is being moved; [`StoreError::NoMailbox`];
    /// as all requests. The mailbox is where it was then.
    pub async fn move_mailbox(&self, mailbox: MailboxId, to: u32) -> Result<Moved, StoreError> {
        self.to_its_end(move |store| async move { store.inner().move_mailbox(mailbox, to).await }).await
    }

    /// Copies a mailbox with all that it has to one that has no messages; what it had goes.
    ///
    /// # Errors
    /// [`StoreError::Refused`] where the target has messages, or either is being moved; as [`Store::move_mailbox`].
    pub async fn copy_mailbox(&self, from: MailboxId, to: MailboxId) -> Result<Moved, StoreError> {
        self.to_its_end(move |store| async move { store.inner().copy_mailbox(from, to).await }).await
    }

    /// Runs it as a task of its own: whoever asked may go away, the mailbox must not stay frozen for that.
    async fn to_its_end<F, D>(&self, job: F) -> Result<Moved, StoreError>
    where
        F: FnOnce(Self) -> D,
        D: Future<Output = Result<Moved, StoreError>> + Send + 'static,
    {
        let (answer, wait) = oneshot::channel();
        let job = job(self.clone());
        self.inner().env.tasks.spawn(async move {
            let _ = answer.send(job.await);
        });
        wait.await.unwrap_or(Err(StoreError::Unavailable))
    }

    /// The number of the shard that has a mailbox.
    pub fn shard_of(&self, mailbox: MailboxId) -> u32 {
        self.inner().placement.of(mailbox)
    }
}

impl Inner {
    async fn move_mailbox(&self, mailbox: MailboxId, to: u32) -> Result<Moved, StoreError> {
        let _moving =
            self.placement.begin(mailbox).ok_or_else(|| refused("the mailbox is being moved already"))?;
        let from = self.placement.of(mailbox);
        if to as usize >= self.shards.len() {
            return Err(refused(&format!("there are shards 0 to {}", self.shards.len() - 1)));
        }
        self.must_exist(mailbox).await?;
        if from == to {
            return Ok(Moved { from, to, ..Moved::default() });
        }
        let _unforgotten = self.restores.begin();
        let (source, target) = (&self.shards[from as usize], &self.shards[to as usize]);
        let way = Way { from: source, source: mailbox, to: target, target: mailbox };
        self.tell(self.clear(target, mailbox).await)?;
        self.tell(write(target, move |tx| transfer::set_arrival(tx, mailbox, Some(Arrival { from }))).await)?;
        let mut moved = Moved { from, to, ..Moved::default() };
        self.placement.stir();
        let outcome = self.carry_over(way, from, to, &mut moved).await;
        if outcome.is_err() {
            // Before the deciding commit everything is as it was once the mailbox is not frozen any more.
            let _ = self.insist(|| write(source, move |tx| thaw(tx, mailbox))).await;
        }
        self.settle_later();
        self.watchers.publish(mailbox);
        self.tell(outcome)?;
        Ok(moved)
    }

    /// All passes, the deciding commit, and the arrival.
    async fn carry_over(
        &self,
        way: Way<'_>,
        from: u32,
        to: u32,
        moved: &mut Moved,
    ) -> Result<(), ShardError> {
        let mailbox = way.source;
        self.passes(way, moved).await?;
        let _deciding = self.placement.decide().await;
        let frozen = self.env.clock.moment();
        write(way.from, move |tx| transfer::set_departure(tx, mailbox, Some(Departure::Frozen { to })))
            .await?;
        self.last_pass(way, moved).await?;
        // After this commit the mailbox is there, and was here.
        write(way.from, move |tx| {
            transfer::set_lodging(tx, mailbox, Lodging::Elsewhere)?;
            transfer::set_departure(tx, mailbox, Some(Departure::Gone { to }))
        })
        .await?;
        let lodging = if self.placement.is_home(mailbox, to) { Lodging::Elsewhere } else { Lodging::Here };
        let arrived = self.insist(|| write(way.to, move |tx| arrive(tx, mailbox, lodging))).await;
        self.placement.set(mailbox, to);
        moved.pause = self.env.clock.moment() - frozen;
        let _ = from;
        arrived?;
        self.insist(|| self.unstage(way.to, mailbox)).await
    }

    async fn copy_mailbox(&self, source: MailboxId, target: MailboxId) -> Result<Moved, StoreError> {
        let busy = || refused("a mailbox is being moved");
        let _moving = self.placement.begin(source).ok_or_else(busy)?;
        let _other = self.placement.begin(target).ok_or_else(busy)?;
        self.must_exist(source).await?;
        let held = self.usage(target).await?;
        if held.messages > 0 {
            return Err(refused("the mailbox that is to be the copy has messages"));
        }
        let _unforgotten = self.restores.begin();
        let (from, to) = (self.placement.of(source), self.placement.of(target));
        let way = Way { from: &self.shards[from as usize], source, to: &self.shards[to as usize], target };
        let mut moved = Moved { from, to, ..Moved::default() };
        self.placement.stir();
        let outcome = self.duplicate(way, from, to, &mut moved).await;
        let _ = self.insist(|| write(way.from, move |tx| thaw(tx, source))).await;
        if outcome.is_err() {
            let _ = self.insist(|| self.clear(way.to, target)).await;
        }
        let _ = self.insist(|| write(way.to, move |tx| thaw(tx, target))).await;
        self.settle_later();
        self.watchers.publish(target);
        self.tell(outcome)?;
        Ok(moved)
    }

    async fn duplicate(&self, way: Way<'_>, from: u32, to: u32, moved: &mut Moved) -> Result<(), ShardError> {
        let Way { source, target, .. } = way;
        write(way.to, move |tx| transfer::set_departure(tx, target, Some(Departure::Frozen { to }))).await?;
        self.passes(way, moved).await?;
        let frozen = self.env.clock.moment();
        write(way.from, move |tx| transfer::set_departure(tx, source, Some(Departure::Frozen { to: from })))
            .await?;
        self.last_pass(way, moved).await?;
        moved.pause = self.env.clock.moment() - frozen;
        self.unstage(way.to, target).await
    }

    /// Passes until little changes from one to the next.
    async fn passes(&self, way: Way<'_>, moved: &mut Moved) -> Result<(), ShardError> {
        for _ in 0..PASSES {
            if self.pass(way, moved).await? <= FEW_ROWS {
                break;
            }
        }
        Ok(())
    }

    /// The pass during which nothing changes.
    async fn last_pass(&self, way: Way<'_>, moved: &mut Moved) -> Result<(), ShardError> {
        self.pass(way, moved).await?;
        let Way { source, target, .. } = way;
        let purges = way.from.read(move |view| transfer::purges(view, source)).await?;
        write(way.to, move |tx| transfer::set_purges(tx, target, &purges)).await
    }

    /// Goes through all rows once; returns how many differed.
    async fn pass(&self, way: Way<'_>, moved: &mut Moved) -> Result<u64, ShardError> {
        let Way { source, target, .. } = way;
        let until = self.remember_until();
        let (mut from, mut changed) = (Vec::new(), 0);
        loop {
            let piece = way.from.read(move |view| transfer::read(view, source, from)).await?;
            let next = piece.next();
            let Applied { rows, bodies, bytes } =
                way.to.commit(move |tx| transfer::apply(tx, target, piece, until)).await?;
            changed += rows;
            moved.bodies += bodies;
            moved.bytes += bytes;
            match next {
                Some(next) => from = next,
                None => return Ok(changed),
            }
        }
    }

    /// Does what must not stay undone, or the mailbox could not be used: again and again while the disk is full.
    async fn insist<F, D>(&self, what: F) -> Result<(), ShardError>
    where
        F: Fn() -> D,
        D: Future<Output = Result<(), ShardError>>,
    {
        loop {
            match what().await {
                Err(ShardError::Full | ShardError::Unavailable) => self.env.clock.sleep(INSIST_EVERY).await,
                done => return done,
            }
        }
    }

    fn remember_until(&self) -> Timestamp {
        self.env.clock.now().plus(REMEMBERED)
    }

    async fn clear(&self, shard: &Shard, mailbox: MailboxId) -> Result<(), ShardError> {
        while !shard.commit(move |tx| transfer::clear(tx, mailbox)).await? {}
        Ok(())
    }

    async fn unstage(&self, shard: &Shard, mailbox: MailboxId) -> Result<(), ShardError> {
        while !shard.commit(move |tx| transfer::unstage(tx, mailbox)).await? {}
        Ok(())
    }

    async fn must_exist(&self, mailbox: MailboxId) -> Result<(), StoreError> {
        let exists = self.look(mailbox, move |view| Ok(Mailbox::new(view, mailbox).exists()?)).await?;
        exists.then_some(()).ok_or(StoreError::NoMailbox)
    }

    fn tell<T>(&self, outcome: Result<T, ShardError>) -> Result<T, StoreError> {
        outcome.map_err(|error| Fail::from(error).tell(&self.env))
    }

    /// Tasks that were handed in before the move have run after this time; then nobody needs to ask any more.
    fn settle_later(&self) {
        let (placement, clock) = (self.placement.clone(), self.env.clock.clone());
        self.env.tasks.spawn(async move {
            clock.sleep(READERS_END).await;
            placement.settle();
        });
    }
}

/// Clears what mailboxes have left behind in a shard, where no reader of before can need it: called by the upkeep.
pub(crate) async fn clear_departed(shard: &Shard) -> Result<(), ShardError> {
    for mailbox in shard.read(|view| transfer::departures(view)).await? {
        let gone = shard.read(move |view| transfer::departure(view, mailbox)).await?;
        if let Some(Departure::Gone { .. }) = gone {
            while !shard.commit(move |tx| transfer::clear(tx, mailbox)).await? {}
            write(shard, move |tx| transfer::set_departure(tx, mailbox, None)).await?;
        }
    }
    Ok(())
}

/// After a start: ends what a crash has interrupted, so that each mailbox is in one place, and returns the mailboxes that
/// do not live at home.
pub(crate) async fn recover(shards: &[Shard], homes: u32) -> Result<HashMap<MailboxId, u32>, ShardError> {
    for (number, shard) in (0u32..).zip(shards) {
        for mailbox in shard.read(|view| transfer::arrivals(view)).await? {
            let arrival = shard.read(move |view| transfer::arrival(view, mailbox)).await?;
            let Some(from) = arrival.and_then(|a| shards.get(a.from as usize)) else { continue };
            let departure = from.read(move |view| transfer::departure(view, mailbox)).await?;
            if departure == Some(Departure::Gone { to: number }) {
                let at_home = crate::placement::home(mailbox, homes) == number;
                let lodging = if at_home { Lodging::Elsewhere } else { Lodging::Here };
                write(shard, move |tx| arrive(tx, mailbox, lodging)).await?;
                while !shard.commit(move |tx| transfer::unstage(tx, mailbox)).await? {}
            } else {
                while !shard.commit(move |tx| transfer::clear(tx, mailbox)).await? {}
                write(shard, move |tx| transfer::set_arrival(tx, mailbox, None)).await?;
            }
        }
    }
    let mut elsewhere = HashMap::new();
    for (number, shard) in (0u32..).zip(shards) {
        for mailbox in shard.read(|view| transfer::departures(view)).await? {
            write(shard, move |tx| thaw(tx, mailbox)).await?;
        }
        clear_departed(shard).await?;
        elsewhere.extend(shard.read(|view| transfer::lodgers(view)).await?.into_iter().map(|m| (m, number)));
    }
    Ok(elsewhere)
}

/// Notes of all mailboxes which of them live away from the home that they have among this many: what was true before
/// stays noted, so that this may end at any point.
pub(crate) async fn rehome(shards: &[Shard], homes: u32) -> Result<(), ShardError> {
    for (number, shard) in (0u32..).zip(shards) {
        let residents = shard.read(|view| transfer::residents(view)).await?;
        let lodgers: Vec<_> =
            residents.into_iter().filter(|m| crate::placement::home(*m, homes) != number).collect();
        for some in lodgers.chunks(1000) {
            let some = some.to_vec();
            write(shard, move |tx| {
                some.iter().try_for_each(|m| transfer::set_lodging(tx, *m, Lodging::Here))
            })
            .await?;
        }
    }
    Ok(())
}

async fn write<F>(shard: &Shard, task: F) -> Result<(), ShardError>
where
    F: FnOnce(&mut Transaction<'_>) -> Result<(), ShardError> + Send + 'static,
{
    shard.commit(task).await
}

fn arrive(tx: &mut Transaction<'_>, mailbox: MailboxId, lodging: Lodging) -> Result<(), ShardError> {
    transfer::set_departure(tx, mailbox, None)?;
    transfer::set_lodging(tx, mailbox, lodging)?;
    transfer::set_arrival(tx, mailbox, None)
}

/// Ends a freeze; a mailbox that is gone stays gone.
fn thaw(tx: &mut Transaction<'_>, mailbox: MailboxId) -> Result<(), ShardError> {
    match transfer::departure(tx, mailbox)? {
        Some(Departure::Frozen { .. }) => transfer::set_departure(tx, mailbox, None),
        _ => Ok(()),
    }
}

fn refused(why: &str) -> StoreError {
    StoreError::Refused(why.into())
}
