//! Sessions over a pipe in memory, with a store in memory behind them.

mod client;
mod fetching;
mod folders;
mod limits;
mod logins;
mod news;
mod searching;

use crate::{Imap, Parts};
use client::Client;
use env::Env;
use mail::flags::Flags;
use mail::id::{AccountId, HostName, MailboxId, RequestId, TraceId};
use mail::time::Timestamp;
use net::connection::Connection;
use net::listener::Protocol as _;
use roles::directory::{
    Account, Directory, DirectoryError, Local, Login, Origin, OverQuota, Proof, Route, ScramKeys,
};
use roles::store::{Deliver, DeliverTo, MessageStore, Quota, Repeatable};
use roles::{Answer, Body, Call};
use std::sync::Arc;
use testkit::memory_store::MemoryStore;

const JOE: MailboxId = MailboxId(1);

/// Knows joe with the password `secret`, who may hold 1 MB.
struct OnlyJoe;

fn joe() -> Account {
    Account {
        id: AccountId(1),
        login: "joe@example.test".into(),
        mailbox: JOE,
        home: HostName::new("here"),
        quota: Quota { bytes: 1 << 20, messages: 100_000, warning: None },
        max_message: 0,
    }
}

fn now<'a, T: Send + 'a>(result: Result<T, DirectoryError>) -> Answer<'a, T, DirectoryError> {
    Box::pin(std::future::ready(result))
}

impl Directory for OnlyJoe {
    fn authenticate<'a>(&'a self, _: &'a Call, login: Login) -> Answer<'a, Account, DirectoryError> {
        let right = match &login.proof {
            Proof::Password(password) => password.same_as(b"secret"),
            Proof::Scram => true,
        };
        now(if right && login.name == "joe" { Ok(joe()) } else { Err(DirectoryError::BadCredentials) })
    }

    fn scram_keys<'a>(&'a self, _: &'a Call, _: String, _: Origin) -> Answer<'a, ScramKeys, DirectoryError> {
        now(Err(DirectoryError::Unavailable))
    }

    fn address_route<'a>(
        &'a self,
        _: &'a Call,
        _: mail::address::Address,
    ) -> Answer<'a, Route, DirectoryError> {
        let local =
            Local { account: Some(joe()), detail: None, over_quota: OverQuota::Refuse, forwards: vec![] };
        now(Ok(Route::Local(Box::new(local))))
    }

    fn account_find<'a>(&'a self, _: &'a Call, _: String) -> Answer<'a, Account, DirectoryError> {
        now(Ok(joe()))
    }

    fn sender_allowed<'a>(
        &'a self,
        _: &'a Call,
        _: AccountId,
        _: mail::address::Address,
    ) -> Answer<'a, bool, DirectoryError> {
        now(Ok(true))
    }
}

/// A server with its store.
struct Site {
    env: Env,
    imap: Arc<Imap>,
    store: Arc<MemoryStore>,
}

impl Site {
    fn new() -> Self {
        Self::with("")
    }

    /// With these lines of the configuration.
    fn with(keys: &str) -> Self {
        let env = Env::for_test("imapserv");
        let quick = "/*/imapserv/badPasswordDelay: [0]\n";
        env.settings.replace(catalog::tree::Tree::parse(&format!("{quick}{keys}")).unwrap());
        let store = Arc::new(MemoryStore::new());
        let parts = Parts {
            directory: Arc::new(OnlyJoe),
            stores: Arc::new(roles::store::OneStore(store.clone())),
            tls: None,
            run_dir: Arc::new(std::env::temp_dir()),
        };
        Self { imap: Imap::new(env.clone(), parts), env, store }
    }

    /// A new connection, its greeting read.
    async fn connect(&self) -> Client {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let address = "127.0.0.1:1".parse().unwrap();
        let imap = Arc::clone(&self.imap);
        self.env.tasks.spawn(async move { imap.serve(Connection::over(ours, address, address)).await });
        let mut client = Client::new(theirs);
        client.line().await;
        client
    }

    /// A session of joe.
    async fn joe(&self) -> Client {
        let mut client = self.connect().await;
        client.ok("LOGIN joe secret").await;
        client
    }

    /// A session of joe with INBOX selected.
    async fn inbox(&self) -> Client {
        let mut client = self.joe().await;
        client.ok("SELECT INBOX").await;
        client
    }

    async fn deliver(&self, message: &str) {
        let message = message.replace('\n', "\r\n");
        let to = DeliverTo { mailbox: JOE, folder: None, quota: Quota::default(), flags: Flags::default() };
        let deliver = Deliver {
            to: vec![to],
            body: Body::from_bytes(message),
            received: Timestamp::from_secs(1_795_437_325),
            repeatable: Repeatable::No,
        };
        let call = Call::new(RequestId(1), TraceId::new("test"));
        let delivered = self.store.message_deliver(&call, deliver).await.unwrap();
        assert!(delivered.iter().all(Result::is_ok), "{delivered:?}");
    }
}
