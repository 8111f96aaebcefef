//! Over TCP with certificates: who is let in, who is not, and how certificates change.

use super::{call, said};
use crate::access::{AccessList, Door, Outgoing};
use crate::client::Remote;
use crate::identity::{AUTHORITIES, HOST, Identity};
use crate::local::{LocalDoor, LocalWay};
use crate::pool::Peer;
use crate::serve::{Dispatch, Served};
use env::Env;
use mail::id::{HostName, MailboxId};
use mail::network::Networks;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use roles::store::{MessageStore as _, StoreError};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use testkit::memory_store::MemoryStore;
use tokio::io::AsyncReadExt as _;

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn authority() -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    Authority { pem, issuer: Issuer::new(params, key) }
}

/// A host's files, signed by `by`, trusting `trusted`.
fn host(folder: &Path, name: &str, by: &Authority, trusted: &[&Authority]) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let pem = params.signed_by(&key, &by.issuer).unwrap().pem();
    std::fs::write(folder.join(HOST), format!("{pem}{}", key.serialize_pem())).unwrap();
    let all: String = trusted.iter().map(|a| a.pem.as_str()).collect();
    std::fs::write(folder.join(AUTHORITIES), all).unwrap();
}

fn identity(name: &str, by: &Authority, trusted: &[&Authority]) -> (tempfile::TempDir, Arc<Identity>) {
    let folder = tempfile::tempdir().unwrap();
    host(folder.path(), name, by, trusted);
    let identity = Identity::load(folder.path()).unwrap();
    (folder, identity)
}

fn everybody(networks: &'static str) -> AccessList {
    Arc::new(move || Arc::new(Networks::read(&[networks.to_owned()], |_| ())))
}

fn open(env: &Env, identity: &Arc<Identity>, networks: &'static str) -> SocketAddr {
    let here = "127.0.0.1:0".parse().unwrap();
    let door = Door::bind(env.clone(), here, Arc::clone(identity), everybody(networks)).unwrap();
    let address = door.address().unwrap();
    let served = Served { store: Some(Arc::new(MemoryStore::new())), ..Served::default() };
    let dispatch = Dispatch::new(env.clone(), std::env::temp_dir(), served);
    env.tasks.spawn(door.run(dispatch));
    address
}

fn to(env: &Env, address: SocketAddr, name: &str, identity: &Arc<Identity>) -> Remote {
    let way = Outgoing::new("127.0.0.1".into(), address.port(), name, Arc::clone(identity)).unwrap();
    Remote::new(Peer::new(env.clone(), HostName::new(name), Arc::new(way), 2))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_promises_of_a_store_hold_over_tls() {
    let (env, ca) = (Env::for_test("mss"), authority());
    let (_a, mars) = identity("mars", &ca, &[&ca]);
    let (_b, venus) = identity("venus", &ca, &[&ca]);
    let address = open(&env, &mars, "127.0.0.0/8");
    let store = to(&env, address, "mars", &venus);
    testkit::conformance::store::all(&store, MailboxId(100)).await;
}

#[tokio::test]
async fn a_certificate_of_another_site_is_refused_on_both_sides() {
    let (env, ca, other) = (Env::for_test("mss"), authority(), authority());
    let (_a, mars) = identity("mars", &ca, &[&ca]);
    let address = open(&env, &mars, "127.0.0.0/8");
    // A stranger who would trust us; one of ours who meets a stranger; one who means another host.
    let (_b, stranger) = identity("venus", &other, &[&ca]);
    let (_c, distrustful) = identity("venus", &ca, &[&other]);
    let (_d, venus) = identity("venus", &ca, &[&ca]);
    for store in [
        to(&env, address, "mars", &stranger),
        to(&env, address, "mars", &distrustful),
        to(&env, address, "pluto", &venus),
    ] {
        let usage = store.mailbox_usage(&call(1), MailboxId(1)).await;
        assert_eq!(usage, Err(StoreError::Unavailable));
    }
    assert!(said(&env, "RmeBadCertificate") >= 1);
    assert_eq!(said(&env, "RmeConnectionUnavailable"), 3);
    assert!(to(&env, address, "mars", &venus).mailbox_usage(&call(1), MailboxId(1)).await.is_ok());
}

#[tokio::test]
async fn without_a_certificate_or_without_tls_nobody_comes_in() {
    let (env, ca) = (Env::for_test("mss"), authority());
    let (_a, mars) = identity("mars", &ca, &[&ca]);
    let address = open(&env, &mars, "127.0.0.0/8");
    let mut roots = rustls::RootCertStore::empty();
    use rustls_pki_types::pem::PemObject as _;
    roots.add(rustls_pki_types::CertificateDer::from_pem_slice(ca.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let bare = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(bare));
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    if let Ok(mut stream) = connector.connect("mars".try_into().unwrap(), socket).await {
        assert!(stream.read_u8().await.is_err());
    }
    let mut plain = tokio::net::TcpStream::connect(address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut plain, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), plain.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(said(&env, "RmeBadCertificate"), 2);
}

#[tokio::test]
async fn a_host_that_is_not_listed_is_not_let_in() {
    let (env, ca) = (Env::for_test("mss"), authority());
    let (_a, mars) = identity("mars", &ca, &[&ca]);
    let (_b, venus) = identity("venus", &ca, &[&ca]);
    let address = open(&env, &mars, "192.0.2.0/24");
    let usage = to(&env, address, "mars", &venus).mailbox_usage(&call(1), MailboxId(1)).await;
    assert_eq!(usage, Err(StoreError::Unavailable));
    assert_eq!(said(&env, "NioConnNotAllowed"), 1);
}

#[tokio::test]
async fn a_new_authority_takes_over_while_everybody_runs() {
    let (env, old, new) = (Env::for_test("mss"), authority(), authority());
    let (a, mars) = identity("mars", &old, &[&old]);
    let (b, venus) = identity("venus", &old, &[&old]);
    let address = open(&env, &mars, "127.0.0.0/8");
    // Everybody trusts both; then one after the other gets a certificate of the new one; then the old one goes.
    let both = [&new, &old];
    for (mars_by, venus_by, trusted) in
        [(&old, &old, &both[..]), (&new, &old, &both[..]), (&new, &new, &both[..]), (&new, &new, &[&new])]
    {
        host(a.path(), "mars", mars_by, trusted);
        host(b.path(), "venus", venus_by, trusted);
        let store = to(&env, address, "mars", &venus);
        assert!(store.mailbox_usage(&call(1), MailboxId(1)).await.is_ok());
    }
    let (_c, left_behind) = identity("pluto", &old, &both);
    let usage = to(&env, address, "mars", &left_behind).mailbox_usage(&call(1), MailboxId(1)).await;
    assert_eq!(usage, Err(StoreError::Unavailable));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_processes_of_a_host_keep_the_promises_without_certificates_and_find_the_next_one() {
    let (folder, env) = (tempfile::tempdir().unwrap(), Env::for_test("mss"));
    let socket = folder.path().join("mss.rme");
    let way = Arc::new(LocalWay::new(socket.clone()));
    let remote = Remote::new(Peer::new(env.clone(), HostName::new("mars"), way, 2));
    let before = remote.mailbox_usage(&call(1), MailboxId(1)).await;
    assert_eq!(before, Err(StoreError::Unavailable), "nobody is there");
    assert!(env.log.lines().iter().any(|line| line.contains("mss.rme")), "{:?}", env.log.lines());
    // The socket outlives who listens on it, as that of a server does under a manager.
    let held = net::local::bind(&socket).unwrap();
    let begin = |env: &Env| {
        let door = LocalDoor::over(env.clone(), held.try_clone().unwrap()).unwrap();
        let served = Served { store: Some(Arc::new(MemoryStore::new())), ..Served::default() };
        env.tasks.spawn(door.run(Dispatch::new(env.clone(), std::env::temp_dir(), served)));
    };
    let first = Env::for_test("mss");
    begin(&first);
    let found = async || loop {
        // An attempt that failed is repeated when its pause is over.
        if remote.mailbox_usage(&call(2), MailboxId(1)).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    tokio::time::timeout(Duration::from_secs(20), found()).await.unwrap();
    testkit::conformance::store::all(&remote, MailboxId(100)).await;
    assert_eq!(first.tasks.drain(Duration::from_secs(20)).await, 0);
    let (second, again) = (Env::for_test("mss"), call(3));
    let (waited, ()) = tokio::join!(remote.mailbox_usage(&again, MailboxId(1)), async { begin(&second) });
    assert!(waited.is_ok(), "who comes between two processes waits for the next one");
}
