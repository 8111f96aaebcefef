//! Removing messages for their age, in commits of bounded size.
//!
//! What goes is judged on the committer, message by message: what has been read, or has come, since the caller looked
//! is judged as it is then. Which folders keep their mail for how long is not decided here.

use crate::MAX_CHANGE;
use crate::error::Fail;
use crate::open::Inner;
use crate::read::folder;
use catalog::events::ms;
use mail::attribute::LAST_EXPIRED;
use mail::flags::SystemFlags;
use mail::id::Uid;
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::store::{Expire, Expired, Run, StoreError, Unread};
use std::ops::ControlFlow;
use storage::mailboxes::{Mailbox, MessageRow, Volume, When, Writer};
use storage::shard::{ShardError, Transaction};

/// Messages that are looked at for one commit.
const MAX_LOOKED_AT: usize = 20_000;

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    Protected,
    Goes,
}

/// What was found in one walk.
#[derive(Default)]
struct Found {
    goes: Vec<MessageRow>,
    protected: u64,
    next: Option<Uid>,
}

impl Inner {
    pub(crate) async fn expire(&self, expire: Expire) -> Result<Expired, StoreError> {
        let now = self.env.clock.now();
        let (mut all, mut from) = (Expired::default(), Some(Uid(1)));
        while let Some(first) = from {
            let found = self.expire_piece(&expire, first).await?;
            all.messages += found.goes.len() as u64;
            all.bytes += found.goes.iter().map(MessageRow::size).sum::<u64>();
            all.protected += found.protected;
            from = found.next;
        }
        if expire.run == Run::Real {
            self.note_expiry(&expire, all, now).await?;
        }
        Ok(all)
    }

    async fn expire_piece(&self, expire: &Expire, first: Uid) -> Result<Found, StoreError> {
        let (mailbox, piece) = (expire.mailbox, expire.clone());
        // A walk over mail that stays needs no place in the committer's line.
        let seen = self.look(mailbox, move |view| find(Mailbox::new(view, mailbox), &piece, first)).await?;
        if expire.run == Run::Dry || seen.goes.is_empty() {
            return Ok(seen);
        }
        let (folder, piece, when) = (expire.folder, expire.clone(), self.when());
        let task = move |tx: &mut Transaction<'_>| remove(tx, &piece, first, when);
        let done = self.change(mailbox, task).await?;
        if self.switches.get().trace {
            let log = |row: &MessageRow| {
                self.env.log.emit(&ms::MsMsgDeleted { mailbox, folder, uid: row.uid, by: "age" });
            };
            done.goes.iter().for_each(log);
        }
        Ok(done)
    }

    /// ITS 11763: the time stays with the mailbox, so that a later run knows what has been done.
    async fn note_expiry(&self, expire: &Expire, all: Expired, now: Timestamp) -> Result<(), StoreError> {
        let (mailbox, when) = (expire.mailbox, self.when());
        let task = move |tx: &mut Transaction<'_>| {
            let mut writer = Writer::open(tx, mailbox, when)?.ok_or(StoreError::NoMailbox)?;
            Ok::<_, Fail>(writer.set_attribute(LAST_EXPIRED, Some(now.rfc3339().to_string().as_bytes()))?)
        };
        // Nothing that a client sees has changed: nobody is woken.
        self.shard(mailbox).commit(task).await.map_err(|e: Fail| e.tell(&self.env))?;
        if all.messages > 0 {
            let (folder, before) = (expire.folder, expire.before.rfc3339());
            let Expired { messages, bytes, protected } = all;
            self.env.log.emit(&ms::MsFolderExpired { mailbox, folder, before, messages, bytes, protected });
        }
        Ok(())
    }
}

fn find(mailbox: Mailbox<'_>, expire: &Expire, first: Uid) -> Result<Found, Fail> {
    let folder = folder(mailbox, expire.folder)?;
    Ok(walk(mailbox, folder.volume, expire, first)?)
}

fn remove(tx: &mut Transaction<'_>, expire: &Expire, first: Uid, when: When) -> Result<Found, Fail> {
    let mut writer = Writer::open(tx, expire.mailbox, when)?.ok_or(StoreError::NoMailbox)?;
    let mut folder = folder(writer.mailbox(), expire.folder)?;
    let found = walk(writer.mailbox(), folder.volume, expire, first)?;
    if !found.goes.is_empty() {
        let modseq = writer.next_modseq();
        writer.remove(&mut folder, &found.goes, modseq)?;
        writer.save_folder(&folder)?;
        writer.save()?;
    }
    Ok(found)
}

fn walk(mailbox: Mailbox<'_>, volume: Volume, expire: &Expire, first: Uid) -> Result<Found, ShardError> {
    let (mut found, mut looked_at) = (Found::default(), 0);
    let mut uids = NumberSet::new();
    uids.insert_range(first.0..=u32::MAX);
    mailbox.messages(volume, &uids, |row| {
        if found.goes.len() == MAX_CHANGE || looked_at == MAX_LOOKED_AT {
            found.next = Some(row.uid);
            return Ok(ControlFlow::Break(()));
        }
        looked_at += 1;
        match judge(&row, expire.before, expire.unread) {
            Fate::Stays => {}
            Fate::Protected => found.protected += 1,
            Fate::Goes => found.goes.push(row),
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// ITS 22344: all that is older goes, nothing that is newer. ITS 13904: unread mail may be protected.
fn judge(row: &MessageRow, before: Timestamp, unread: Unread) -> Fate {
    match (row.ages_from() < before, unread) {
        (false, _) => Fate::Stays,
        (true, Unread::Stays) if !row.system.contains(SystemFlags::SEEN) => Fate::Protected,
        (true, _) => Fate::Goes,
    }
}
