//! Steps that change which folders there are. Nobody else delivers meanwhile, so what is listed afterwards is what the
//! step has made.

use super::Caller;
use crate::finding::Kind;
use crate::look::call;
use crate::model::{Effect, INBOX, Kept, Mail, Reshape, body};
use crate::site::SHARDS;
use mail::flags::Flags;
use mail::id::{FolderId, MailboxId, RequestId};
use mail::time::Timestamp;
use roles::Body;
use roles::maintenance::{Collect, Keep, Maintenance, MaintenanceError, Mode, Summary, Task};
use roles::store::{Deliver, DeliverTo, MessageStore, Quota, Repeatable, StoreError, Subscription};
use std::sync::Arc;
use std::time::Duration;

/// Between two questions how far a task is.
const PATIENCE: Duration = Duration::from_secs(1);

const NAMES: [&str; 6] = ["a", "a/b", "a/b/c", "x", "y/z", "INBOX/sub"];

impl Caller {
    /// The mailbox comes to be: by request, or by its first message.
    pub(super) async fn begin_mailbox(&mut self, id: MailboxId) {
        if self.chance.below(2) == 0 {
            return self.change_folders(id, Reshape::Begin).await;
        }
        let world = Arc::clone(&self.world);
        let _gate = world.gates[&id].write().await;
        let Some(mut kept) = Reshape::Begin.plan(&world.ledger.mailbox(id)) else { return };
        let mail = Mail { token: world.token(), flags: Flags::default() };
        let add = |uid| Effect::Add { folder: FolderId::INBOX, uid, mail: mail.clone() };
        let entry = world.ledger.begin(id, vec![Effect::Shape(kept.clone()), add(None)], None);
        let to = DeliverTo { mailbox: id, folder: None, quota: Quota::default(), flags: Flags::default() };
        let deliver = Deliver {
            to: vec![to],
            body: Body::from_bytes(body(mail.token)),
            received: Timestamp::default(),
            repeatable: Repeatable::No,
        };
        let outcome = world.store.message_deliver(&call(self.request()), deliver).await;
        let outcome = match outcome.and_then(|mut all| all.remove(0)) {
            Ok(placed) => {
                let filled = self.fill(id, &mut kept).await;
                filled.map(|()| vec![Effect::Shape(kept), add(Some(placed.uid.0))])
            }
            Err(error) => Err(error),
        };
        self.settle(id, entry, outcome);
    }

    pub(super) async fn reshape(&mut self, id: MailboxId) {
        let name = |caller: &Self| (*caller.pick(&NAMES).unwrap_or(&"a")).to_owned();
        let folders: Vec<String> = self.world.ledger.mailbox(id).folders.into_keys().collect();
        let there = |caller: &Self| caller.pick(&folders).cloned().unwrap_or_else(|| INBOX.into());
        let how = match self.chance.below(20) {
            0 => Reshape::End,
            1..9 => Reshape::Create(name(self)),
            9..13 => Reshape::Delete(there(self)),
            13 => Reshape::Rename(INBOX.into(), name(self)),
            _ => Reshape::Rename(there(self), name(self)),
        };
        self.change_folders(id, how).await;
    }

    async fn change_folders(&mut self, id: MailboxId, how: Reshape) {
        let world = Arc::clone(&self.world);
        let _gate = world.gates[&id].write().await;
        let plan = how.plan(&world.ledger.mailbox(id));
        // What must be refused is asked for all the same, and is entered as doing nothing.
        let effects = plan.clone().map(Effect::Shape).into_iter().collect();
        let entry = world.ledger.begin(id, effects, None);
        let asked = self.ask(id, &how).await;
        let outcome = match (plan, asked) {
            (Some(mut kept), Ok(())) => {
                let filled = self.fill(id, &mut kept).await;
                filled.map(|()| vec![Effect::Shape(kept)])
            }
            (None, Ok(())) => {
                self.wrong(id, Kind::Refused, format!("{how:?} was not refused"));
                Ok(Vec::new())
            }
            (None, Err(StoreError::Refused(_) | StoreError::FolderExists | StoreError::NoFolder)) => {
                Ok(Vec::new())
            }
            (_, Err(error)) => Err(error),
        };
        self.settle(id, entry, outcome);
    }

    async fn ask(&self, id: MailboxId, how: &Reshape) -> Result<(), StoreError> {
        let (store, call) = (&self.world.store, call(self.request()));
        match how.clone() {
            Reshape::Begin => store.mailbox_create(&call, id).await,
            Reshape::End => store.mailbox_delete(&call, id).await,
            Reshape::Create(name) => store.folder_create(&call, id, name, None).await.map(drop),
            Reshape::Delete(name) => store.folder_delete(&call, id, name).await,
            Reshape::Rename(from, to) => store.folder_rename(&call, id, from, to).await,
        }
    }

    /// Takes from the store the numbers that it has chosen.
    async fn fill(&self, id: MailboxId, kept: &mut [Kept]) -> Result<(), StoreError> {
        if kept.is_empty() {
            return Ok(());
        }
        let list = self.world.store.folder_list(&call(RequestId(0)), id).await?;
        for one in kept.iter_mut().filter(|k| k.numbers.is_none()) {
            let found = list.folders.iter().find(|f| f.name == one.name);
            one.numbers = found.map(|f| (f.id, f.uid_validity));
            if one.numbers.is_none() {
                self.wrong(id, Kind::Lost, format!("folder {} was made and is not there", one.name));
            }
        }
        Ok(())
    }

    /// Moves the mailbox to another shard, while others deliver into it. Nothing that anyone sees may change.
    pub(super) async fn resettle(&mut self, id: MailboxId) {
        let entry = self.world.ledger.begin(id, Vec::new(), None);
        let to = (self.world.store.shard_of(id) + 1) % SHARDS as u32;
        let outcome = self.world.store.move_mailbox(id, to).await;
        self.settle(id, entry, outcome.map(|_| Vec::new()));
    }

    /// Has the space of what was removed given back, while others go on.
    pub(super) async fn collect(&mut self, id: MailboxId) {
        let (store, call) = (&self.world.store, call(self.request()));
        let task = Task::Collect(Collect { mode: Mode::Apply, rate: 0 });
        let followed = async {
            let task = store.task_start(&call, task, Keep::ToTheEnd).await?;
            loop {
                let status = store.task_status(&call, task, 0, PATIENCE).await?;
                if status.state.is_over() {
                    return Ok(status.summary);
                }
            }
        };
        match followed.await {
            Ok(Some(Summary::Collected(done))) if done.damaged > 0 => {
                self.wrong(id, Kind::Altered, format!("the collector found damage: {done:?}"));
            }
            // Where the disk fails or is full it ends without a summary.
            Ok(_) | Err(MaintenanceError::Unavailable | MaintenanceError::Busy) => {}
            Err(error) => self.wrong(id, Kind::Refused, error),
        }
    }

    pub(super) async fn subscribe(&mut self, id: MailboxId) {
        let name = (*self.pick(&NAMES).unwrap_or(&"a")).to_owned();
        let on = self.chance.below(3) > 0;
        let effects = vec![Effect::Subscribe { name: name.clone(), on }];
        let entry = self.world.ledger.begin(id, effects.clone(), None);
        let how = if on { Subscription::On } else { Subscription::Off };
        let outcome = self.world.store.folder_subscribe(&call(self.request()), id, name, how).await;
        self.settle(id, entry, outcome.map(|()| effects));
    }
}
