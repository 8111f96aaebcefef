//! Steps with messages.

use super::Caller;
use crate::finding::Kind;
use crate::ledger::Shown;
use crate::look::{call, catch_up};
use crate::model::{Effect, Folder, INBOX, Mail, Mailbox, body};
use mail::flags::{FlagAction, Flags, SystemFlags};
use mail::id::{FolderId, MailboxId, ModSeq, RequestId};
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::Body;
use roles::store::{
    Append, Deliver, DeliverTo, FlagsChange, FlagsChanged, MessageStore, Need, Quota, Read, Repeatable,
    StoreError,
};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Caller {
    /// A message to its own mailbox, and to some others.
    pub(super) async fn deliver(&mut self, own: MailboxId) {
        let world = Arc::clone(&self.world);
        let several = self.chance.below(3) == 0;
        let wanted: Vec<MailboxId> =
            world.ids().into_iter().filter(|id| *id == own || several && self.chance.below(2) == 0).collect();
        // Where an owner is changing folders nothing is delivered meanwhile; who waited would wait for each other.
        let (mut gates, mut to) = (Vec::new(), Vec::new());
        for id in wanted {
            let gate = world.gates[&id].try_read();
            if let Ok(gate) = gate
                && world.ledger.mailbox(id).exists()
            {
                gates.push(gate);
                to.push(id);
            }
        }
        if !to.is_empty() {
            self.deliver_to(own, to).await;
        }
    }

    async fn deliver_to(&mut self, own: MailboxId, to: Vec<MailboxId>) {
        let world = Arc::clone(&self.world);
        let (request, token) = (self.request(), world.token());
        let flags = if self.chance.below(4) == 0 { self.some_flags() } else { Flags::default() };
        let number = world.ledger.delivery(request, token, to.clone());
        let mut entries = Vec::new();
        for &id in &to {
            let mail = Mail { token, flags: flags.clone() };
            let effect = Effect::Add { folder: FolderId::INBOX, uid: None, mail };
            entries.push(world.ledger.begin(id, vec![effect], Some(number)));
        }
        let deliver = delivery(token, &to, &flags);
        let outcome = world.store.message_deliver(&call(request), deliver).await;
        let mut outcomes = match outcome {
            Ok(outcomes) => outcomes,
            Err(error) => vec![Err(error); to.len()],
        };
        for (id, entry) in to.into_iter().zip(entries).rev() {
            let mail = Mail { token, flags: flags.clone() };
            let placed = outcomes.pop().unwrap_or(Err(StoreError::Unavailable));
            let added = placed.map(|p| vec![Effect::Add { folder: p.folder, uid: Some(p.uid.0), mail }]);
            let lost_sight = matches!(added, Err(StoreError::Unavailable)) && id != own;
            self.settle(id, entry, added);
            if lost_sight {
                // It is not its own mailbox: its owner sees for himself.
                self.lost_sight.remove(&id);
            }
        }
    }

    /// Repeats a delivery of which it is known which mailboxes have it: those answer as they did, the others get it.
    pub(crate) async fn repeat(
        &mut self,
        delivery: &crate::ledger::Delivery,
        there: &dyn Fn(MailboxId) -> bool,
    ) {
        let world = Arc::clone(&self.world);
        let missing: Vec<MailboxId> = delivery.to.iter().copied().filter(|id| !there(*id)).collect();
        if missing.iter().any(|id| !world.ledger.mailbox(*id).exists()) {
            return;
        }
        let mail = Mail { token: delivery.token, flags: Flags::default() };
        let add = |uid| Effect::Add { folder: FolderId::INBOX, uid, mail: mail.clone() };
        let entries: Vec<_> =
            missing.iter().map(|id| (*id, world.ledger.begin(*id, vec![add(None)], None))).collect();
        let request = delivery.request;
        let asked = self::delivery(delivery.token, &delivery.to, &Flags::default());
        let outcomes = match world.store.message_deliver(&call(request), asked).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                self.wrong(delivery.to[0], Kind::Refused, format!("a repeated delivery: {error}"));
                return;
            }
        };
        for (id, entry) in entries {
            let at = delivery.to.iter().position(|to| *to == id).unwrap_or(0);
            let placed = outcomes.get(at).cloned().unwrap_or(Err(StoreError::Unavailable));
            self.settle(id, entry, placed.map(|p| vec![add(Some(p.uid.0))]));
        }
    }

    pub(super) async fn append(&mut self, id: MailboxId) {
        let Some((name, folder)) = self.folder(id) else { return };
        let mail = Mail { token: self.world.token(), flags: self.some_flags() };
        let add = |uid| vec![Effect::Add { folder: folder.id, uid, mail: mail.clone() }];
        let entry = self.world.ledger.begin(id, add(None), None);
        let append = Append {
            mailbox: id,
            folder: name,
            flags: mail.flags.clone(),
            received: Timestamp::default(),
            body: Body::from_bytes(body(mail.token)),
            quota: Quota::default(),
        };
        let outcome = self.world.store.message_append(&call(self.request()), append).await;
        self.settle(id, entry, outcome.map(|placed| add(Some(placed.uid.0))));
    }

    pub(super) async fn flags(&mut self, id: MailboxId) {
        let Some((_, folder)) = self.folder(id) else { return };
        let action = [FlagAction::Add, FlagAction::Remove, FlagAction::Replace];
        let action = *self.pick(&action).unwrap_or(&FlagAction::Add);
        let flags =
            if self.chance.below(3) == 0 { Flags::system(SystemFlags::DELETED) } else { self.some_flags() };
        self.change_flags(id, &folder, action, flags).await;
    }

    async fn change_flags(&mut self, id: MailboxId, folder: &Folder, action: FlagAction, flags: Flags) {
        let uids = self.some(folder.mails.keys().copied());
        let effect = Effect::Flag { folder: folder.id, uids: uids.clone(), action, flags: flags.clone() };
        let before = self.world.ledger.highest(id, folder.id);
        let entry = self.world.ledger.begin(id, vec![effect.clone()], None);
        let set: NumberSet = uids.iter().copied().collect();
        let asked = FlagsChange {
            mailbox: id,
            folder: folder.id,
            uids: set,
            action,
            flags: flags.clone(),
            unchanged_since: None,
        };
        let outcome = self.world.store.flags_change(&call(self.request()), asked).await;
        if let Ok(done) = &outcome {
            self.check_flags(id, folder, done, &|old| action.apply(old, &flags), before);
        }
        self.settle(id, entry, outcome.map(|_| vec![effect]));
    }

    /// Whether an answer has the flags that follow from the request, under ModSeqs that nobody has seen yet.
    fn check_flags(
        &self,
        id: MailboxId,
        folder: &Folder,
        done: &FlagsChanged,
        after: &dyn Fn(&Flags) -> Flags,
        before: ModSeq,
    ) {
        for (uid, now, modseq) in &done.now {
            let Some(old) = folder.mails.get(&uid.0) else { continue };
            if after(&old.flags) != *now {
                self.wrong(id, Kind::Altered, format!("flags of UID {} are told as {now}", uid.0));
            }
            if old.flags != *now && *modseq <= before {
                self.wrong(id, Kind::Reused, format!("ModSeq {} after {}", modseq.0, before.0));
            }
        }
        let up_to = done.now.iter().map(|(_, _, modseq)| *modseq).max().unwrap_or(ModSeq::ZERO);
        let marks = done.now.iter().map(|(uid, flags, modseq)| (uid.0, *modseq, flags.clone())).collect();
        let (folder, validity) = (folder.id, folder.validity);
        self.world.ledger.show(Shown { at: 0, mailbox: id, folder, validity, up_to, known: None, marks });
    }

    pub(super) async fn expunge(&mut self, id: MailboxId) {
        let Some((_, folder)) = self.folder(id) else { return };
        let deleted = Flags::system(SystemFlags::DELETED);
        self.change_flags(id, &folder, FlagAction::Add, deleted).await;
        if self.lost_sight.contains(&id) {
            return;
        }
        let now = self.world.ledger.mailbox(id);
        let Some((_, folder)) = now.folder(folder.id) else { return };
        let is_deleted = |m: &Mail| m.flags.system.contains(SystemFlags::DELETED);
        let asked = self.some(folder.mails.keys().copied());
        let goes: Vec<u32> = asked.iter().copied().filter(|uid| is_deleted(&folder.mails[uid])).collect();
        let effect = Effect::Remove { folder: folder.id, uids: goes.clone() };
        let entry = self.world.ledger.begin(id, vec![effect.clone()], None);
        let set = asked.into_iter().collect();
        let outcome = self.world.store.message_expunge(&call(self.request()), id, folder.id, set).await;
        self.check_gone(id, &outcome, &goes);
        self.settle(id, entry, outcome.map(|_| vec![effect]));
    }

    pub(super) async fn delete(&mut self, id: MailboxId) {
        let Some((_, folder)) = self.folder(id) else { return };
        let uids = self.some(folder.mails.keys().copied());
        let effect = Effect::Remove { folder: folder.id, uids: uids.clone() };
        let entry = self.world.ledger.begin(id, vec![effect.clone()], None);
        let set = uids.iter().copied().collect();
        let outcome = self.world.store.message_delete(&call(self.request()), id, folder.id, set).await;
        self.check_gone(id, &outcome, &uids);
        self.settle(id, entry, outcome.map(|_| vec![effect]));
    }

    fn check_gone(&self, id: MailboxId, outcome: &Result<NumberSet, StoreError>, goes: &[u32]) {
        if let Ok(gone) = outcome
            && gone.iter().ne(goes.iter().copied())
        {
            self.wrong(id, Kind::Altered, format!("{gone} are told as removed, not {goes:?}"));
        }
    }

    pub(super) async fn copy(&mut self, id: MailboxId) {
        self.transfer(id, Originals::Stay).await;
    }

    pub(super) async fn move_messages(&mut self, id: MailboxId) {
        self.transfer(id, Originals::Go).await;
    }

    async fn transfer(&mut self, id: MailboxId, originals: Originals) {
        let (Some((_, from)), Some((name, to))) = (self.folder(id), self.folder(id)) else { return };
        let uids = self.some(from.mails.keys().copied());
        let add = |uid: &u32, new| Effect::Add { folder: to.id, uid: new, mail: from.mails[uid].clone() };
        let mut effects: Vec<Effect> = uids.iter().map(|uid| add(uid, None)).collect();
        let remove =
            (originals == Originals::Go).then(|| Effect::Remove { folder: from.id, uids: uids.clone() });
        effects.extend(remove.clone());
        let entry = self.world.ledger.begin(id, effects, None);
        let (store, call, set) = (&self.world.store, call(self.request()), uids.iter().copied().collect());
        let outcome = match originals {
            Originals::Stay => store.message_copy(&call, id, from.id, set, name, Quota::default()).await,
            Originals::Go => store.message_move(&call, id, from.id, set, name).await,
        };
        let outcome = outcome.map(|copied| {
            if copied.from.iter().map(|uid| uid.0).ne(uids.iter().copied()) {
                self.wrong(id, Kind::Altered, format!("{:?} are told as copied, not {uids:?}", copied.from));
            }
            let pairs = copied.from.iter().zip(&copied.to).filter(|(old, _)| from.mails.contains_key(&old.0));
            let mut effects: Vec<Effect> = pairs.map(|(old, new)| add(&old.0, Some(new.0))).collect();
            effects.extend(remove);
            effects
        });
        self.settle(id, entry, outcome);
    }

    /// A client's resynchronisation: what it has seen and what is new must be what is there.
    pub(super) async fn catch_up(&mut self, id: MailboxId) {
        let Some((name, _)) = self.folder(id) else { return };
        if let Err(error) = self.look_again(id, name).await {
            self.wrong(id, Kind::Refused, error);
        }
    }

    async fn look_again(&self, id: MailboxId, name: String) -> Result<(), StoreError> {
        let (store, call) = (&self.world.store, call(RequestId(0)));
        let opened = store.folder_status(&call, id, name).await?;
        let now = self.world.ledger.shown(usize::MAX);
        let last = now.iter().rev().find(|s| {
            s.mailbox == id && s.folder == opened.id && s.validity == opened.uid_validity && s.known.is_some()
        });
        let (since, known) =
            last.map_or((ModSeq::ZERO, BTreeMap::new()), |s| (s.up_to, s.known.clone().unwrap_or_default()));
        let changes = store.folder_changes(&call, id, opened.id, since).await?;
        let marks =
            changes.changed.iter().map(|(uid, flags, modseq)| (uid.0, *modseq, flags.clone())).collect();
        let known = catch_up(&known, &changes);
        let (folder, validity, up_to) = (opened.id, opened.uid_validity, changes.up_to);
        let read = Read {
            mailbox: id,
            folder,
            uids: known.keys().copied().collect(),
            need: Need::Body,
            changed_since: None,
            limit: 3,
        };
        for message in store.message_read(&call, read).await?.messages {
            let stored = message.body.ok_or(StoreError::NoMessage)?;
            let first = stored.read(0, 100).await.map_err(|e| StoreError::Broken(e.to_string()))?;
            if crate::model::token_of(&first).is_none() {
                self.wrong(id, Kind::Altered, format!("UID {} is no message of ours", message.uid.0));
            }
        }
        let known = Some(known);
        self.world.ledger.show(Shown { at: 0, mailbox: id, folder, validity, up_to, known, marks });
        Ok(())
    }

    /// A folder of the mailbox, the Inbox as often as all others.
    fn folder(&self, id: MailboxId) -> Option<(String, Folder)> {
        let Mailbox { mut folders, .. } = self.world.ledger.mailbox(id);
        let names: Vec<String> = folders.keys().cloned().collect();
        let name = if self.chance.below(2) == 0 { INBOX.to_owned() } else { self.pick(&names)?.clone() };
        folders.remove(&name).map(|folder| (name, folder))
    }
}

/// What becomes of what is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Originals {
    Stay,
    Go,
}

fn delivery(token: u64, to: &[MailboxId], flags: &Flags) -> Deliver {
    let one = |id: &MailboxId| DeliverTo {
        mailbox: *id,
        folder: None,
        quota: Quota::default(),
        flags: flags.clone(),
    };
    Deliver {
        to: to.iter().map(one).collect(),
        body: Body::from_bytes(body(token)),
        received: Timestamp::default(),
        repeatable: Repeatable::Yes,
    }
}
