//! The promises of [`MessageStore`].

mod flags;
mod folders;
mod keeping;
mod messages;

use mail::flags::Flags;
use mail::id::{FolderId, MailboxId, ModSeq, RequestId, TraceId, Uid};
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::store::{
    Append, Deliver, DeliverTo, Message, MessageStore, Need, Placed, Quota, Read, Repeatable, StoreError,
};
use roles::{Body, Call};

/// Runs every check. Uses mailboxes from `first` on, one or two for each check.
pub async fn all(store: &dyn MessageStore, first: MailboxId) {
    let mut fresh = Fresh(first.0);
    messages::all(store, &mut fresh).await;
    flags::all(store, &mut fresh).await;
    folders::all(store, &mut fresh).await;
    keeping::all(store, &mut fresh).await;
}

/// Hands out mailbox ids.
pub(crate) struct Fresh(i64);

impl Fresh {
    fn next(&mut self) -> MailboxId {
        self.0 += 1;
        MailboxId(self.0)
    }
}

/// What most checks need, with little to write.
pub(crate) struct Client<'a> {
    store: &'a dyn MessageStore,
    mailbox: MailboxId,
}

const INBOX: FolderId = FolderId::INBOX;
const NO_LIMIT: Quota = Quota { bytes: 0, messages: 0, warning: None };

impl<'a> Client<'a> {
    async fn new(store: &'a dyn MessageStore, fresh: &mut Fresh) -> Self {
        let mailbox = fresh.next();
        store.mailbox_create(&call(1), mailbox).await.expect("a mailbox can be made");
        Self { store, mailbox }
    }

    async fn append(&self, folder: &str, text: &str, flags: &[&str]) -> Placed {
        self.try_append(folder, text, flags, NO_LIMIT).await.expect("a message can be appended")
    }

    async fn try_append(
        &self,
        folder: &str,
        text: &str,
        flag_names: &[&str],
        quota: Quota,
    ) -> Result<Placed, StoreError> {
        let append = Append {
            mailbox: self.mailbox,
            folder: folder.into(),
            flags: flags(flag_names),
            received: date(),
            body: Body::from_bytes(text.to_owned()),
            quota,
        };
        self.store.message_append(&call(1), append).await
    }

    async fn create(&self, name: &str) -> FolderId {
        let made = self.store.folder_create(&call(1), self.mailbox, name.into(), None).await;
        made.unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    async fn read(&self, folder: FolderId, uids: NumberSet, need: Need) -> Vec<Message> {
        let (mut all, mut uids) = (Vec::new(), uids);
        loop {
            let read = Read {
                mailbox: self.mailbox,
                folder,
                uids: uids.clone(),
                need,
                changed_since: None,
                limit: 3,
            };
            let page = self.store.message_read(&call(1), read).await.expect("messages can be read");
            assert!(page.messages.len() <= 3, "a page keeps to its limit");
            all.extend(page.messages);
            let Some(next) = page.next else { return all };
            let mut rest = NumberSet::new();
            rest.insert_range(next.0..=u32::MAX);
            uids = uids.intersection(&rest);
        }
    }

    /// UIDs with their flags.
    async fn flags(&self, folder: FolderId) -> Vec<(u32, String)> {
        let messages = self.read(folder, NumberSet::all(), Need::Flags).await;
        messages.into_iter().map(|m| (m.uid.0, m.flags.to_string())).collect()
    }

    async fn modseq(&self, folder: FolderId) -> ModSeq {
        let changes = self.store.folder_changes(&call(1), self.mailbox, folder, ModSeq(u64::MAX >> 1)).await;
        let changes = changes.expect("changes can be asked");
        changes.folder.map_or(ModSeq::ZERO, |f| f.highest_modseq)
    }

    async fn usage(&self) -> (u64, u64) {
        let usage = self.store.mailbox_usage(&call(1), self.mailbox).await.expect("usage can be asked");
        (usage.messages, usage.bytes)
    }
}

fn call(n: u128) -> Call {
    Call::new(RequestId(n), TraceId::new("check"))
}

fn date() -> Timestamp {
    Timestamp::from_secs(1_700_000_000)
}

fn flags(names: &[&str]) -> Flags {
    let mut flags = Flags::default();
    names.iter().for_each(|name| assert!(flags.add_named(name), "{name}"));
    flags
}

fn set(numbers: &[u32]) -> NumberSet {
    numbers.iter().copied().collect()
}

fn uids(messages: &[Message]) -> Vec<u32> {
    messages.iter().map(|m| m.uid.0).collect()
}

fn to(mailbox: MailboxId) -> DeliverTo {
    DeliverTo { mailbox, folder: None, quota: NO_LIMIT, flags: Flags::default() }
}

fn deliver(to: Vec<DeliverTo>, text: &str, repeatable: Repeatable) -> Deliver {
    Deliver { to, body: Body::from_bytes(text.to_owned()), received: date(), repeatable }
}

async fn text_of(message: &Message) -> Vec<u8> {
    let body = message.body.as_ref().expect("the body was asked for");
    let mut all = Vec::new();
    while (all.len() as u64) < body.len() {
        let piece = body.read(all.len() as u64, 7).await.expect("a body can be read");
        assert!(!piece.is_empty(), "a body is as long as it says");
        all.extend_from_slice(&piece);
    }
    all
}

fn uid(placed: &Result<Placed, StoreError>) -> Uid {
    placed.as_ref().expect("the message was delivered").uid
}
