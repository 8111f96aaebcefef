//! Peers that are away, slow, cut off, or nothing of ours.

use super::{call, remote, said};
use crate::client::Remote;
use crate::pool::{Dial, Dialling, Io, Peer};
use crate::serve::{Dispatch, Served};
use env::Env;
use mail::flags::Flags;
use mail::id::{FolderId, HostName, MailboxId};
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::directory::{Directory as _, DirectoryError};
use roles::store::{Deliver, DeliverTo, MessageStore, Need, Quota, Read, Repeatable, StoreError};
use roles::{Body, Call};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use testkit::memory_store::MemoryStore;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf};

fn a_store() -> Served {
    Served { store: Some(Arc::new(MemoryStore::new())), ..Served::default() }
}

#[tokio::test]
async fn its_22791_its_22631_a_peer_that_is_away_is_said_once_and_found_again() {
    let env = Env::for_test("popserv");
    let (store, pipes, _) = remote(&env, a_store());
    pipes.open.store(false, Ordering::Release);
    for _ in 0..50 {
        let usage = store.mailbox_usage(&call(1), MailboxId(1)).await;
        assert_eq!(usage, Err(StoreError::Unavailable));
    }
    assert!(pipes.made.load(Ordering::Acquire) < 10, "a peer that is away is not asked by every call");
    assert_eq!(said(&env, "RmeConnectionUnavailable"), 1);
    pipes.open.store(true, Ordering::Release);
    let back = async {
        while store.mailbox_usage(&call(1), MailboxId(1)).await.is_err() {
            env.clock.sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back).await.unwrap();
    assert_eq!(said(&env, "RmeConnectionRestored"), 1);
}

#[tokio::test]
async fn a_peer_with_many_connections_is_found_again_after_all_of_them_were_cut() {
    let env = Env::for_test("popserv");
    let (store, pipes, _) = remote(&env, a_store());
    let call = call(1);
    let ask = || store.mailbox_usage(&call, MailboxId(1));
    // One call on each connection.
    assert!(ask().await.is_ok() && ask().await.is_ok());
    pipes.open.store(false, Ordering::Release);
    pipes.restart();
    assert_eq!(ask().await, Err(StoreError::Unavailable));
    pipes.open.store(true, Ordering::Release);
    let back = async {
        let mut well = 0;
        while well < 4 {
            well = if ask().await.is_ok() { well + 1 } else { 0 };
            env.clock.sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back).await.unwrap();
}

#[tokio::test]
async fn its_19246_a_failure_to_connect_names_host_port_and_cause() {
    let env = Env::for_test("mta");
    let (directory, pipes, _) = remote(&env, Served::default());
    pipes.open.store(false, Ordering::Release);
    let error = directory.account_find(&call(1), "anna".into()).await.unwrap_err();
    assert_eq!(error, DirectoryError::Unavailable);
    let line = env.log.lines().into_iter().find(|l| l.contains("RmeConnectionUnavailable")).unwrap();
    for part in ["mars", "7", "refused"] {
        assert!(line.contains(part), "{line}");
    }
}

#[tokio::test]
async fn a_role_that_is_not_served_is_refused_and_the_connection_stays() {
    let env = Env::for_test("mta");
    let (directory, pipes, _) = remote(&env, a_store());
    let error = directory.account_find(&call(1), "anna".into()).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Invalid(_)), "{error:?}");
    let made = pipes.made.load(Ordering::Acquire);
    assert!(directory.mailbox_usage(&call(1), MailboxId(1)).await.is_ok());
    assert!(pipes.made.load(Ordering::Acquire) <= made + 1);
}

#[tokio::test]
async fn a_deadline_ends_the_call_on_both_sides() {
    let env = Env::for_test("mta");
    let dropped = Arc::new(AtomicBool::new(false));
    let directory = Arc::new(Never { dropped: dropped.clone() });
    let (remote, ..) = remote(&env, Served { directory: Some(directory), ..Served::default() });
    let call = Call { deadline: Duration::from_millis(50), ..call(1) };
    let answer = remote.account_find(&call, "anna".into()).await;
    assert_eq!(answer.unwrap_err(), DirectoryError::Unavailable);
    let gone = async {
        while !dropped.load(Ordering::Acquire) {
            env.clock.sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("the callee's work is dropped");
}

/// A directory that does not answer, and says when it is no longer asked.
struct Never {
    dropped: Arc<AtomicBool>,
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Never {
    fn wait<T: Send>(&self) -> roles::Answer<'_, T, DirectoryError> {
        let mark = OnDrop(Arc::clone(&self.dropped));
        Box::pin(async move {
            let _mark = mark;
            std::future::pending().await
        })
    }
}

impl roles::directory::Directory for Never {
    fn authenticate<'a>(
        &'a self,
        _: &'a Call,
        _: roles::directory::Login,
    ) -> roles::Answer<'a, roles::directory::Account, DirectoryError> {
        self.wait()
    }
    fn scram_keys<'a>(
        &'a self,
        _: &'a Call,
        _: String,
        _: roles::directory::Origin,
    ) -> roles::Answer<'a, roles::directory::ScramKeys, DirectoryError> {
        self.wait()
    }
    fn address_route<'a>(
        &'a self,
        _: &'a Call,
        _: mail::address::Address,
    ) -> roles::Answer<'a, roles::directory::Route, DirectoryError> {
        self.wait()
    }
    fn account_find<'a>(
        &'a self,
        _: &'a Call,
        _: String,
    ) -> roles::Answer<'a, roles::directory::Account, DirectoryError> {
        self.wait()
    }
    fn sender_allowed<'a>(
        &'a self,
        _: &'a Call,
        _: mail::id::AccountId,
        _: mail::address::Address,
    ) -> roles::Answer<'a, bool, DirectoryError> {
        self.wait()
    }
}

/// A pipe that is cut after so many bytes of ours, the first time.
struct Cut {
    pipe: DuplexStream,
    left: usize,
}

impl AsyncRead for Cut {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.pipe).poll_read(cx, buf)
    }
}

impl AsyncWrite for Cut {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        if self.left == 0 {
            return Poll::Ready(Err(std::io::ErrorKind::ConnectionReset.into()));
        }
        let some = &buf[..buf.len().min(self.left)];
        let written = Pin::new(&mut self.pipe).poll_write(cx, some);
        if let Poll::Ready(Ok(n)) = &written {
            self.left -= n;
        }
        written
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

struct CutOnce {
    env: Env,
    dispatch: Dispatch,
    cut: AtomicBool,
}

impl Dial for CutOnce {
    fn dial(&self) -> Dialling {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let (env, dispatch) = (self.env.clone(), self.dispatch.clone());
        self.env.tasks.spawn(async move { crate::access::serve(&env, theirs, "pipe", dispatch).await });
        let left = if self.cut.swap(true, Ordering::AcqRel) { usize::MAX } else { 150_000 };
        Box::pin(async move { Ok(Box::new(Cut { pipe: ours, left }) as Box<dyn Io>) })
    }

    fn port(&self) -> u16 {
        7
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_was_cut_off_and_repeated_is_one_message() {
    let env = Env::for_test("mta");
    let dispatch = Dispatch::new(env.clone(), std::env::temp_dir(), a_store());
    let dial = CutOnce { env: env.clone(), dispatch, cut: AtomicBool::new(false) };
    let store = Remote::new(Peer::new(env.clone(), HostName::new("mars"), Arc::new(dial), 1));
    let mailbox = MailboxId(5);
    store.mailbox_create(&call(1), mailbox).await.unwrap();
    let deliver = Deliver {
        to: vec![DeliverTo { mailbox, folder: None, quota: Quota::default(), flags: Flags::default() }],
        body: Body::from_bytes(vec![b'm'; 600_000]),
        received: Timestamp::from_secs(5),
        repeatable: Repeatable::Yes,
    };
    let cut = store.message_deliver(&call(9), deliver.clone()).await;
    assert_eq!(cut.unwrap_err(), StoreError::Unavailable);
    for _ in 0..2 {
        assert!(store.message_deliver(&call(9), deliver.clone()).await.unwrap()[0].is_ok());
    }
    let (folder, uids, need) = (FolderId::INBOX, NumberSet::all(), Need::Flags);
    let read = Read { mailbox, folder, uids, need, changed_since: None, limit: 10 };
    assert_eq!(store.message_read(&call(2), read).await.unwrap().messages.len(), 1);
    assert_eq!(said(&env, "NioConnectReadFail"), 1);
}

#[tokio::test]
async fn its_13720_garbage_ends_its_connection_only() {
    let env = Env::for_test("mss");
    let dispatch = Dispatch::new(env.clone(), std::env::temp_dir(), a_store());
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // No preface at all; a frame of 16 MB; a frame of settings on a stream.
    let oversize = [preface.clone(), vec![0xff, 0xff, 0xff, 0x00, 0x00, 0, 0, 0, 1]].concat();
    let misplaced = [preface, vec![0, 0, 0, 0x04, 0, 0, 0, 0, 9]].concat();
    for garbage in [vec![0xff; 64], oversize, misplaced] {
        let (mut ours, theirs) = tokio::io::duplex(64 << 10);
        let (inside, served) = (env.clone(), dispatch.clone());
        env.tasks.spawn(async move { crate::access::serve(&inside, theirs, "192.0.2.9", served).await });
        let _ = ours.write_all(&garbage).await;
        let mut said = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), ours.read_to_end(&mut said)).await;
        assert!(ended.is_ok(), "the connection is ended");
    }
    let (store, ..) = remote(&env, a_store());
    assert!(store.mailbox_usage(&call(1), MailboxId(1)).await.is_ok());
}

#[tokio::test]
async fn its_21234_a_watch_ends_when_its_store_goes() {
    let env = Env::for_test("imapserv");
    let (store, _, _) = remote(&env, a_store());
    let mailbox = MailboxId(3);
    store.mailbox_create(&call(1), mailbox).await.unwrap();
    let mut watch = store.mailbox_watch(&call(1), mailbox).await.unwrap();
    store.folder_create(&call(2), mailbox, "a".into(), None).await.unwrap();
    assert_eq!(watch.changed().await, Ok(()));
    env.tasks.stop();
    let ended = async { while watch.changed().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
    assert_eq!(env.tasks.drain(Duration::from_secs(20)).await, 0, "nothing is left behind");
}
