//! A store that two processes want, on a folder that both reach.

use super::*;
use crate::{fence, is_made, set_fence};
use roles::Body;
use roles::store::{Append, Quota, StoreError};
use storage::shard::{Holder, ShardError, Title};

const BOX: MailboxId = MailboxId(9);

fn title(owner: &str, epoch: u64) -> Title {
    let (store, owner) = ("mars".to_owned(), owner.to_owned());
    Title { incarnation: format!("a process of {owner}"), store, owner, epoch }
}

fn open_by(path: &Path, title: Title) -> (Holder, Result<Store, OpenError>) {
    let holder = Holder::new(title);
    let options = ShardOptions { reserve: 0, holder: Some(holder.clone()), ..ShardOptions::default() };
    let store = Store::open(path, NonZeroU32::new(2).unwrap(), &options, &Env::for_test("mss"));
    (holder, store)
}

async fn append(store: &Store, text: &'static str) -> Result<(), StoreError> {
    let (flags, received) = (mail::flags::Flags::default(), mail::time::Timestamp::default());
    let (folder, body, quota) = ("INBOX".into(), Body::from_bytes(text), Quota::default());
    let append = Append { mailbox: BOX, folder, flags, received, body, quota };
    store.message_append(&call(1), append).await.map(drop)
}

async fn messages(store: &Store) -> u64 {
    store.mailbox_usage(&call(1), BOX).await.unwrap().messages
}

#[tokio::test]
async fn its_20492_one_process_has_a_store_and_the_next_needs_a_greater_epoch() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!is_made(dir.path()) && fence(dir.path()).unwrap().is_none());
    let (_, store) = open_by(dir.path(), title("mars", 1));
    let store = store.unwrap();
    store.mailbox_create(&call(1), BOX).await.unwrap();
    append(&store, "one").await.unwrap();
    assert!(is_made(dir.path()) && fence(dir.path()).unwrap() == Some(title("mars", 1)));
    // While the first has the files, even a greater epoch does not get them.
    let (_, locked) = open_by(dir.path(), title("minerva", 2));
    assert!(matches!(locked, Err(OpenError::Shard { source: ShardError::Locked, .. })));
    append(&store, "two").await.unwrap();
    store.close().await;
    let (_, store) = open_by(dir.path(), title("minerva", 2));
    let store = store.unwrap();
    assert_eq!(messages(&store).await, 2);
    store.close().await;
    for stale in [title("mars", 1), title("mars", 2)] {
        let (holder, fenced) = open_by(dir.path(), stale);
        assert!(matches!(fenced, Err(OpenError::Shard { source: ShardError::Fenced(_), .. })));
        assert_eq!(holder.lost_to().as_deref(), Some("minerva"));
    }
}

#[tokio::test]
async fn whoever_is_fenced_off_acknowledges_nothing_and_hears_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let (holder, store) = open_by(dir.path(), title("mars", 1));
    let store = store.unwrap();
    store.mailbox_create(&call(1), BOX).await.unwrap();
    append(&store, "one").await.unwrap();
    set_fence(dir.path(), &title("minerva", 2)).unwrap();
    assert_eq!(append(&store, "two").await, Err(StoreError::Elsewhere));
    assert_eq!(&*holder.lost().await, "minerva");
    // It stays so, whatever becomes of the file.
    assert!(set_fence(dir.path(), &title("mars", 1)).is_err());
    assert_eq!(append(&store, "three").await, Err(StoreError::Elsewhere));
    store.close().await;
    let (_, store) = open_by(dir.path(), title("minerva", 2));
    let store = store.unwrap();
    assert_eq!(messages(&store).await, 1);
    append(&store, "two").await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn an_owner_that_gets_a_greater_epoch_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (holder, store) = open_by(dir.path(), title("mars", 1));
    let store = store.unwrap();
    holder.raise(5).unwrap();
    store.mailbox_create(&call(1), BOX).await.unwrap();
    append(&store, "one").await.unwrap();
    assert_eq!(fence(dir.path()).unwrap(), Some(title("mars", 5)));
    store.close().await;
}
