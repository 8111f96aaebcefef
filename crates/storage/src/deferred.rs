//! What the mail queue keeps: items with their bodies, groups of recipients, due times. Keys over one shard of its own.
//!
//! Promises: an item with its body, its groups and their due times is there whole or not at all; a change to a
//! group moves its due time in the same commit, and the last group takes item and body with it. What is due is
//! found domain by domain, in order of time, without reading what is not due. It stores and finds: who may have
//! what and when it is tried again is decided in the `queue` crate.

mod rows;
#[cfg(test)]
mod tests;

pub use rows::{DomainKey, GroupKey, GroupRow, Held, ItemRow, MAX_GROUP, MAX_REPLY, RecipientRow};

use crate::shard::{
    Audit, Blob, BlobSource, KeyRange, References, Rows, Shard, ShardError, ShardOptions, Transaction,
};
use env::Env;
use mail::envelope::Origin;
use mail::id::{QueueId, TraceId};
use mail::time::Timestamp;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// Groups whose due time one commit moves.
const MOVED_AT_ONCE: usize = 1000;

/// The rows and bodies of one queue.
#[derive(Clone)]
pub struct Deferred {
    shard: Shard,
}

/// A new item.
pub struct NewItem {
    /// Its name, never used before.
    pub id: QueueId,
    /// Sender and options.
    pub origin: Origin,
    /// Follows it through the log.
    pub trace: TraceId,
    /// When it came in.
    pub arrived: Timestamp,
    /// Its recipients.
    pub groups: Vec<GroupRow>,
    /// The message.
    pub body: Arc<dyn BlobSource>,
}

/// A group that is due, with its item.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its name.
    pub key: GroupKey,
    /// Its item.
    pub item: ItemRow,
    /// Its recipients.
    pub group: GroupRow,
}

/// What is due.
#[derive(Debug, Default)]
pub struct Due {
    /// Groups, oldest first within a domain.
    pub found: Vec<Found>,
    /// For each domain that has more: when that is due.
    pub more: Vec<(DomainKey, Timestamp)>,
    /// Groups whose rows cannot be read. They are not due any more, but still there.
    pub damaged: Vec<GroupKey>,
}

/// What is left after a change to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The domain of the group.
    pub domain: DomainKey,
    /// Recipients left in the group.
    pub recipients: usize,
    /// When the group is due next; `None` where nothing is left of it, or it is held.
    pub due: Option<Timestamp>,
}

/// All references to bodies that the rows of a queue have. An item that cannot be read: its body looks like an orphan.
///
/// # Errors
/// Where the index cannot be read.
pub fn references(rows: &dyn Rows) -> Result<References, ShardError> {
    let mut references = References::default();
    rows.scan(KeyRange::prefix([rows::ITEMS]), &mut |_, value| {
        rows::read_item(value).iter().for_each(|item| references.add(&item.body));
        ControlFlow::Continue(())
    })?;
    Ok(references)
}

impl Deferred {
    /// Opens the queue's shard in a folder, or makes one.
    ///
    /// # Errors
    /// As [`Shard::open`].
    pub fn open(path: &Path, options: ShardOptions, env: &Env) -> Result<Self, ShardError> {
        Ok(Self { shard: Shard::open(path, options, env)? })
    }

    /// Waits for what has begun and closes the shard.
    pub async fn close(&self) {
        self.shard.close().await;
    }

    /// Stores an item: durable when it returns.
    ///
    /// # Errors
    /// [`ShardError::Full`], [`ShardError::Source`] and what else a commit may say; nothing is kept then.
    pub async fn store(&self, new: NewItem) -> Result<(), ShardError> {
        self.shard
            .commit(move |tx| {
                let body = tx.store(&[], &*new.body)?;
                let NewItem { id, origin, trace, arrived, groups, .. } = new;
                tx.put(
                    &rows::item_key(id),
                    &rows::write_item(&ItemRow { origin, trace, arrived, held: Held::No, body }),
                )?;
                for (number, group) in (0..).zip(&groups) {
                    let key = GroupKey { item: id, number };
                    put_group(tx, key, group, Held::No)?;
                }
                Ok(())
            })
            .await
    }

    /// The greatest id ever stored that is still there.
    ///
    /// # Errors
    /// What reading may say.
    pub async fn last_id(&self) -> Result<Option<QueueId>, ShardError> {
        self.shard
            .read(|view| {
                let last = view.last(KeyRange::prefix([rows::ITEMS]))?;
                Ok(last.and_then(|(key, _)| rows::item_of_key(&key)))
            })
            .await
    }

    /// Every domain with something due at some time, and when its first is. One step of the index for each domain.
    ///
    /// # Errors
    /// What reading may say.
    pub async fn domains(&self) -> Result<Vec<(DomainKey, Timestamp)>, ShardError> {
        self.shard
            .read(|view| {
                let (mut found, mut from) = (Vec::new(), vec![rows::DUES]);
                while let Some((key, _)) = view.first(KeyRange::prefix_from(&[rows::DUES], from))? {
                    let (domain, due, _) = rows::due_of_key(&key).ok_or_else(|| corrupt("a due time"))?;
                    found.push((domain, due));
                    let Some(next) = domain.0.checked_add(1) else { break };
                    from = rows::dues_of(DomainKey(next));
                }
                Ok(found)
            })
            .await
    }

    /// What is due at `now`: of each domain up to as many groups as stand beside it, none for which `skip` says so,
    /// `most` in all.
    ///
    /// # Errors
    /// What reading may say; a damaged group is no error.
    pub async fn due<S>(
        &self,
        domains: Vec<(DomainKey, usize)>,
        now: Timestamp,
        most: usize,
        skip: S,
    ) -> Result<Due, ShardError>
    where
        S: Fn(&GroupKey) -> bool + Send + 'static,
    {
        let (due, broken) = self
            .shard
            .read(move |view| {
                let (mut due, mut broken) = (Due::default(), Vec::new());
                for (domain, share) in domains {
                    let share = share.min(most.saturating_sub(due.found.len()));
                    let (keys, next) = due_of_domain(view, domain, now, share, &skip)?;
                    due.more.extend(next.map(|at| (domain, at)));
                    for (key, at) in keys {
                        match load(view, key)? {
                            Some((item, group)) => due.found.push(Found { key, item, group }),
                            None => broken.push((domain, at, key)),
                        }
                    }
                }
                Ok::<_, ShardError>((due, broken))
            })
            .await?;
        let damaged = broken.iter().map(|(_, _, key)| *key).collect();
        if !broken.is_empty() {
            // ITS 22223: set aside, so that it does not block what is behind it.
            let aside = move |tx: &mut Transaction<'_>| {
                broken.iter().try_for_each(|(domain, at, key)| tx.delete(&rows::due_key(*domain, *at, *key)))
            };
            self.shard.commit::<_, ShardError, _>(aside).await?;
        }
        Ok(Due { damaged, ..due })
    }

    /// Changes the recipients of a group. `None` where the group is not there (any more). A group that has no
    /// recipients afterwards is gone, and the item with its last group.
    ///
    /// # Errors
    /// What a commit may say; nothing has changed then.
    pub async fn change<T, F>(&self, key: GroupKey, how: F) -> Result<Option<(T, Left)>, ShardError>
    where
        F: FnOnce(&ItemRow, &mut GroupRow) -> T + Send + 'static,
        T: Send + 'static,
    {
        self.shard
            .commit(move |tx| {
                let Some((item, mut group)) = load(tx, key)? else { return Ok(None) };
                let before = group.due();
                let answer = how(&item, &mut group);
                if let Some(due) = before.filter(|b| group.due() != Some(*b)) {
                    tx.delete(&rows::due_key(group.domain, due, key))?;
                }
                let left = group.recipients.len();
                if left == 0 {
                    tx.delete(&rows::group_key(key))?;
                    remove_item_if_done(tx, key.item, &item)?;
                } else {
                    put_group(tx, key, &group, item.held)?;
                }
                let due = group.due().filter(|_| item.held == Held::No);
                Ok(Some((answer, Left { domain: group.domain, recipients: left, due })))
            })
            .await
    }

    /// Opens the body of an item.
    ///
    /// # Errors
    /// [`ShardError::Gone`], [`ShardError::Corrupt`], [`ShardError::Io`].
    pub async fn body(&self, item: &ItemRow) -> Result<Blob, ShardError> {
        self.shard.blob(&item.body).await
    }

    /// Compares what is stored with what the rows refer to. Reads all items, no bodies.
    ///
    /// # Errors
    /// What reading may say.
    pub async fn audit(&self) -> Result<Audit, ShardError> {
        self.shard.audit(|view| references(view)).await
    }

    /// The shard, for reading bodies.
    pub fn shard(&self) -> &Shard {
        &self.shard
    }
}

/// The operator's side.
impl Deferred {
    /// Up to `limit` items with their groups, ids above `after`, ascending. Damaged rows are left out.
    ///
    /// # Errors
    /// What reading may say.
    pub async fn list(
        &self,
        after: Option<QueueId>,
        limit: usize,
    ) -> Result<Vec<(QueueId, ItemRow, Vec<GroupRow>)>, ShardError> {
        self.shard
            .read(move |view| {
                let from = after
                    .map_or_else(|| vec![rows::ITEMS], |id| rows::item_key(QueueId(id.0.saturating_add(1))));
                let mut items = Vec::new();
                view.scan(KeyRange::prefix_from(&[rows::ITEMS], from), &mut |key, value| {
                    items.extend(rows::item_of_key(key).zip(rows::read_item(value)));
                    if items.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                })?;
                items.truncate(limit);
                let with_groups = |(id, item)| {
                    let groups = groups_of(view, id)?;
                    Ok((id, item, groups.into_iter().map(|(_, group)| group).collect()))
                };
                items.into_iter().map(with_groups).collect()
            })
            .await
    }

    /// Holds an item back or releases it, and in either case makes all of it due at `due`. Gives its domains;
    /// `None` where there is no such item.
    ///
    /// # Errors
    /// What a commit may say.
    pub async fn reschedule(
        &self,
        id: QueueId,
        held: Held,
        due: Timestamp,
    ) -> Result<Option<Vec<DomainKey>>, ShardError> {
        self.shard
            .commit(move |tx| {
                let key = rows::item_key(id);
                let Some(row) = tx.get(&key)? else { return Ok(None) };
                let item = rows::read_item(&row).ok_or_else(|| corrupt("an item"))?;
                let mut domains = Vec::new();
                for (key, mut group) in groups_of(tx, id)? {
                    move_group(tx, key, &mut group, due, held)?;
                    domains.push(group.domain);
                }
                tx.put(&key, &rows::write_item(&ItemRow { held, ..item }))?;
                Ok(Some(domains))
            })
            .await
    }

    /// Removes an item with all that belongs to it, also what cannot be read; what it was.
    ///
    /// # Errors
    /// What a commit may say.
    pub async fn remove(&self, id: QueueId) -> Result<Option<ItemRow>, ShardError> {
        self.shard
            .commit(move |tx| {
                let Some(row) = tx.get(&rows::item_key(id))? else { return Ok(None) };
                let mut groups = Vec::new();
                tx.scan(KeyRange::prefix(rows::groups_of(id)), &mut |key, value| {
                    groups.push((key.to_vec(), rows::group_of_key(key).zip(rows::read_group_row(value))));
                    ControlFlow::Continue(())
                })?;
                for (row_key, group) in groups {
                    tx.delete(&row_key)?;
                    if let Some((key, group)) = group
                        && let Some(due) = group.due()
                    {
                        tx.delete(&rows::due_key(group.domain, due, key))?;
                    }
                }
                let item = rows::read_item(&row).ok_or_else(|| corrupt("an item"))?;
                remove_item_if_done(tx, id, &item)?;
                Ok(Some(item))
            })
            .await
    }

    /// Makes everything of a domain due at `due` that is due later; how many groups.
    ///
    /// # Errors
    /// What a commit may say; some groups may have been moved.
    pub async fn start_domain(&self, domain: DomainKey, due: Timestamp) -> Result<u64, ShardError> {
        let mut moved = 0;
        loop {
            let count = self.shard.commit(move |tx| start_some(tx, domain, due)).await?;
            moved += count as u64;
            if count < MOVED_AT_ONCE {
                return Ok(moved);
            }
        }
    }

    /// Items, and groups due at `now`. Reads every key: for operators, not for every turn.
    ///
    /// # Errors
    /// What reading may say.
    pub async fn counts(&self, now: Timestamp) -> Result<(u64, u64), ShardError> {
        self.shard
            .read(move |view| {
                let (mut items, mut due) = (0, 0);
                view.scan(KeyRange::prefix([rows::ITEMS]), &mut |_, _| {
                    items += 1;
                    ControlFlow::Continue(())
                })?;
                view.scan(KeyRange::prefix([rows::DUES]), &mut |key, _| {
                    due += u64::from(rows::due_of_key(key).is_some_and(|(_, at, _)| at <= now));
                    ControlFlow::Continue(())
                })?;
                Ok((items, due))
            })
            .await
    }
}

type DueKeys = (Vec<(GroupKey, Timestamp)>, Option<Timestamp>);

/// The oldest `share` groups of a domain that are due, and when the next one is.
fn due_of_domain(
    view: &dyn Rows,
    domain: DomainKey,
    now: Timestamp,
    share: usize,
    skip: &dyn Fn(&GroupKey) -> bool,
) -> Result<DueKeys, ShardError> {
    let (mut keys, mut next) = (Vec::new(), None);
    view.scan(KeyRange::prefix(rows::dues_of(domain)), &mut |key, _| {
        let Some((_, due, group)) = rows::due_of_key(key) else { return ControlFlow::Continue(()) };
        if skip(&group) {
            return ControlFlow::Continue(());
        }
        if due > now || keys.len() >= share {
            next = Some(due);
            return ControlFlow::Break(());
        }
        keys.push((group, due));
        ControlFlow::Continue(())
    })?;
    Ok((keys, next))
}

/// An item and one of its groups; `None` where either is not there or cannot be read.
fn load(view: &dyn Rows, key: GroupKey) -> Result<Option<(ItemRow, GroupRow)>, ShardError> {
    let (Some(item), Some(group)) = (view.get(&rows::item_key(key.item))?, view.get(&rows::group_key(key))?)
    else {
        return Ok(None);
    };
    Ok(rows::read_item(&item).zip(rows::read_group_row(&group)))
}

fn groups_of(view: &dyn Rows, id: QueueId) -> Result<Vec<(GroupKey, GroupRow)>, ShardError> {
    let mut groups = Vec::new();
    view.scan(KeyRange::prefix(rows::groups_of(id)), &mut |key, value| {
        groups.extend(rows::group_of_key(key).zip(rows::read_group_row(value)));
        ControlFlow::Continue(())
    })?;
    Ok(groups)
}

fn put_group(
    tx: &mut Transaction<'_>,
    key: GroupKey,
    group: &GroupRow,
    held: Held,
) -> Result<(), ShardError> {
    tx.put(&rows::group_key(key), &rows::write_group(group))?;
    match (held, group.due()) {
        (Held::No, Some(due)) => tx.put(&rows::due_key(group.domain, due, key), &[]),
        _ => Ok(()),
    }
}

fn move_group(
    tx: &mut Transaction<'_>,
    key: GroupKey,
    group: &mut GroupRow,
    due: Timestamp,
    held: Held,
) -> Result<(), ShardError> {
    if let Some(before) = group.due() {
        tx.delete(&rows::due_key(group.domain, before, key))?;
    }
    group.recipients.iter_mut().for_each(|r| r.next = due);
    put_group(tx, key, group, held)
}

fn start_some(tx: &mut Transaction<'_>, domain: DomainKey, due: Timestamp) -> Result<usize, ShardError> {
    let mut later = Vec::new();
    tx.scan_back(KeyRange::prefix(rows::dues_of(domain)), &mut |key, _| match rows::due_of_key(key) {
        Some((_, at, group)) if at > due && later.len() < MOVED_AT_ONCE => {
            later.push((at, group));
            ControlFlow::Continue(())
        }
        _ => ControlFlow::Break(()),
    })?;
    for (at, key) in &later {
        match load(tx, *key)? {
            Some((item, mut group)) => move_group(tx, *key, &mut group, due, item.held)?,
            None => tx.delete(&rows::due_key(domain, *at, *key))?,
        }
    }
    Ok(later.len())
}

/// Takes the item away with its body, where no group of it is left.
fn remove_item_if_done(tx: &mut Transaction<'_>, id: QueueId, item: &ItemRow) -> Result<(), ShardError> {
    if tx.first(KeyRange::prefix(rows::groups_of(id)))?.is_some() {
        return Ok(());
    }
    tx.delete(&rows::item_key(id))?;
    tx.release(&item.body)
}

fn corrupt(what: &str) -> ShardError {
    ShardError::Corrupt(format!("{what} of the queue cannot be read").into())
}
