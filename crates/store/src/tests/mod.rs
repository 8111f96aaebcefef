//! Tests of the store as a whole: the promises of the role, and what only this implementation has.

mod backup;
mod its;
mod maintenance;
mod model;
mod moving;
mod owners;
mod restore;
mod searching;
mod size;
mod together;

use super::*;
use catalog::tree::Tree;
use env::Env;
use env::settings::Settings;
use mail::id::{MailboxId, RequestId, TraceId};
use roles::Call;
use roles::store::MessageStore;
use std::num::NonZeroU32;
use std::path::Path;
use storage::shard::ShardOptions;

/// A store that keeps nothing of what is taken away.
fn open(path: &Path, shards: u32) -> Result<Store, OpenError> {
    open_with(path, shards, "/*/mss/restoreWindowInMinutes: [0]\n/*/mss/scrubPeriodInDays: [0]\n")
}

/// A store with this configuration.
fn open_with(path: &Path, shards: u32, configuration: &str) -> Result<Store, OpenError> {
    let options = ShardOptions { segment_bytes: 1 << 20, reserve: 0, ..ShardOptions::default() };
    let mut env = Env::for_test("mss");
    env.settings = Settings::new("venus", "mss", Tree::parse(configuration).unwrap());
    Store::open(path, NonZeroU32::new(shards).unwrap(), &options, &env)
}

fn call(n: u128) -> Call {
    Call::new(RequestId(n), TraceId::new("test"))
}

#[tokio::test]
async fn keeps_the_promises_of_the_role() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 2).unwrap();
    testkit::conformance::store::all(&store, MailboxId(100)).await;
    store.close().await;
    let store = open(dir.path(), 2).unwrap();
    testkit::conformance::store::all(&store, MailboxId(-900)).await;
    store.close().await;
    let closed = store.mailbox_usage(&call(1), MailboxId(1)).await;
    assert_eq!(closed.unwrap_err(), roles::store::StoreError::Elsewhere);
}

#[tokio::test]
async fn a_folder_of_another_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), 2).unwrap().close().await;
    std::fs::write(dir.path().join("format"), "something else").unwrap();
    assert!(matches!(open(dir.path(), 2), Err(OpenError::OtherFormat(_))));
}

#[tokio::test]
async fn what_removed_folders_leave_is_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 1).unwrap();
    let mailbox = MailboxId(5);
    store.mailbox_create(&call(1), mailbox).await.unwrap();
    store.folder_create(&call(1), mailbox, "a".into(), None).await.unwrap();
    for _ in 0..3 {
        let append = roles::store::Append {
            mailbox,
            folder: "a".into(),
            flags: mail::flags::Flags::default(),
            received: mail::time::Timestamp::default(),
            body: roles::Body::from_bytes(vec![b'x'; 1 << 20]),
            quota: roles::store::Quota::default(),
        };
        store.message_append(&call(1), append).await.unwrap();
    }
    let segments = || std::fs::read_dir(dir.path().join("shard-000/log")).unwrap().count();
    assert_eq!(segments(), 3);
    store.folder_delete(&call(1), mailbox, "a".into()).await.unwrap();
    // The purge and the removal of segments run beside; each commit gives them a chance.
    for _ in 0..1000 {
        store.folder_create(&call(1), mailbox, "b".into(), None).await.unwrap();
        store.folder_delete(&call(1), mailbox, "b".into()).await.unwrap();
        if segments() == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    assert_eq!(segments(), 1);
    store.close().await;
}
