//! Deliveries through the role of the store, as the MTA makes them.
use crate::messages::{Message, Messages};
use catalog::tree::Tree;
use env::Env;
use env::random::Random;
use mail::flags::Flags;
use mail::id::{MailboxId, TraceId};
use roles::store::{Deliver, DeliverTo, MessageStore as _, Quota, Repeatable};
use roles::{Body, Call};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use storage::shard::ShardOptions;
use store::Store;

/// As the default of `numMssPorts`.
pub(crate) const SHARDS: NonZeroU32 = NonZeroU32::new(2).expect("two");

/// A store and its surroundings.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) env: Env,
}

impl Opened {
    pub(crate) fn open(folder: &Path) -> Result<Self, String> {
        Self::open_with(folder, "")
    }

    /// With these lines of `config.db`.
    pub(crate) fn open_with(folder: &Path, configuration: &str) -> Result<Self, String> {
        // Another chance each time: a request id of an earlier run would be a repeat.
        let env = Env { random: Random::system(), ..Env::for_test("mss") };
        env.settings.replace(Tree::parse(configuration).map_err(|_| "a bad configuration")?);
        let store = Store::open(folder, SHARDS, &ShardOptions::default(), &env);
        Ok(Self { store: store.map_err(|e| e.to_string())?, env })
    }

    /// One message into one mailbox, as from the queue: a repeat of it would be known.
    pub(crate) async fn deliver(&self, mailbox: MailboxId, message: &Message) -> Result<(), String> {
        let to = vec![DeliverTo { mailbox, folder: None, quota: Quota::default(), flags: Flags::default() }];
        let body = Body::from_bytes(message.body.clone());
        let deliver = Deliver { to, body, received: self.env.clock.now(), repeatable: Repeatable::Yes };
        let call = Call::new(self.env.random.request_id(), TraceId::new("load"));
        let placed = self.store.message_deliver(&call, deliver).await.map_err(|e| e.to_string())?;
        placed.into_iter().try_for_each(|one| one.map(drop)).map_err(|e| e.to_string())
    }

    /// So many messages by so many callers at once; `to` says where each goes. Returns their bytes.
    pub(crate) async fn many(
        &self,
        messages: &Arc<Messages>,
        (count, callers): (u64, u64),
        to: impl Fn(u64) -> MailboxId + Clone + Send + 'static,
    ) -> Result<u64, String> {
        let (next, bytes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut crew = tokio::task::JoinSet::new();
        for _ in 0..callers {
            let (opened, messages, to) = (self.clone(), Arc::clone(messages), to.clone());
            let (next, bytes) = (Arc::clone(&next), Arc::clone(&bytes));
            crew.spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        return Ok(());
                    }
                    let message = messages.get(n);
                    opened.deliver(to(n), message).await?;
                    bytes.fetch_add(message.body.len() as u64, Ordering::Relaxed);
                }
            });
        }
        let outcomes: Vec<Result<(), String>> = crew.join_all().await;
        outcomes.into_iter().collect::<Result<(), String>>()?;
        Ok(bytes.load(Ordering::Relaxed))
    }
}
