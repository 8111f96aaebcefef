//! The server over a real database: each test over a file, and over a PostgreSQL server.

/// Makes a test of each function over each engine.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name().await })+
        }
        mod postgres {
            $(#[tokio::test] async fn $name() {
                crate::tests::use_engine(crate::tests::Engine::Postgres);
                super::$name().await
            })+
        }
    };
}

mod alone;
mod copied;
mod logins;
mod model;
mod provisioning;
mod realms;
mod routes;

use crate::DirectoryServer;
use catalog::account::{DomainKind, Status};
use catalog::tree::Tree;
use env::Env;
use env::settings::Settings;
use mail::address::{Address, Domain};
use mail::id::{HostName, MailboxId, RequestId, TraceId};
use mail::secret::Secret;
use roles::Call;
use roles::directory::provision::{
    AccountChange, AccountView, Holder, NewAccount, NewPassword, Provisioning as _, Reply, Request, User,
};
use roles::directory::{
    Account, Directory as _, DirectoryError, Login, Origin, Proof, Protocol, Route, Transport,
};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use testkit::postgres::Postgres;

/// What the directory of a test is kept in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Engine {
    Sqlite,
    Postgres,
}

thread_local! {
    static ENGINE: Cell<Engine> = const { Cell::new(Engine::Sqlite) };
}

/// Sites that this test makes from now on are kept there: a test has a thread of its own.
fn use_engine(engine: Engine) {
    ENGINE.set(engine);
}

/// A site with its directory.
struct Site {
    folder: tempfile::TempDir,
    env: Env,
    directory: DirectoryServer,
    calls: AtomicU64,
}

impl Site {
    async fn new() -> Self {
        Self::with("").await
    }

    /// With this configuration.
    async fn with(configuration: &str) -> Self {
        let mut env = Env::for_test("imdircacheserv");
        let database = match ENGINE.get() {
            Engine::Sqlite => String::new(),
            Engine::Postgres => format!("\n/*/common/primaryDBUrl: [{}]\n", Postgres::shared().database()),
        };
        let tree = Tree::parse(&format!("{configuration}{database}")).unwrap();
        env.settings = Settings::new("venus", "imdircacheserv", tree);
        let folder = tempfile::tempdir().unwrap();
        let directory = open(&env, &folder).await;
        Self { folder, env, directory, calls: AtomicU64::new(1) }
    }

    /// A second process over the same database.
    async fn other(&self) -> DirectoryServer {
        open(&self.env, &self.folder).await
    }

    fn call(&self) -> Call {
        let id = self.calls.fetch_add(1, Ordering::Relaxed);
        Call::new(RequestId(u128::from(id)), TraceId::new("t"))
    }

    async fn ask(&self, request: Request) -> Result<Reply, DirectoryError> {
        self.all(vec![request]).await.remove(0)
    }

    async fn all(&self, requests: Vec<Request>) -> Vec<Result<Reply, DirectoryError>> {
        self.directory.provision(&self.call(), requests).await.unwrap()
    }

    /// Creates `user@domain` with the password `secret`, hashed cheaply.
    async fn create(&self, address: &str) {
        let reply = self.ask(Request::CreateAccount(Box::new(new_account(address)))).await;
        assert!(matches!(reply, Ok(Reply::Created(..))), "{reply:?}");
    }

    async fn change(&self, user_name: &str, change: AccountChange) {
        assert_eq!(self.ask(Request::ChangeAccount(user(user_name), change)).await, Ok(Reply::Done));
    }

    async fn set(&self, user_name: &str, attribute: &str, value: &str) {
        let holder = Holder::Account(user(user_name));
        let request = Request::SetAttribute(holder, attribute.into(), Some(value.into()));
        assert_eq!(self.ask(request).await, Ok(Reply::Done));
    }

    async fn show(&self, user_name: &str) -> AccountView {
        match self.ask(Request::ShowAccount(user(user_name))).await {
            Ok(Reply::Account(view)) => *view,
            other => panic!("{other:?}"),
        }
    }

    async fn login(&self, name: &str, password: &str) -> Result<Account, DirectoryError> {
        self.login_by(name, password, Protocol::Imap, Transport::Tls).await
    }

    async fn login_by(
        &self,
        name: &str,
        password: &str,
        protocol: Protocol,
        transport: Transport,
    ) -> Result<Account, DirectoryError> {
        let proof = Proof::Password(Secret::new(password));
        let login = Login { name: name.into(), proof, origin: origin(protocol, transport) };
        self.directory.authenticate(&self.call(), login).await
    }

    async fn route(&self, address: &str) -> Route {
        self.directory.address_route(&self.call(), self::address(address)).await.unwrap()
    }

    fn logged(&self, event: &str) -> usize {
        self.env.log.lines().iter().filter(|l| l.contains(&format!(" {event} "))).count()
    }
}

async fn open(env: &Env, folder: &tempfile::TempDir) -> DirectoryServer {
    DirectoryServer::open(env.clone(), &folder.path().join("directory.db")).await.unwrap()
}

fn origin(protocol: Protocol, transport: Transport) -> Origin {
    Origin { protocol, transport, peer: [192, 0, 2, 9].into(), local: [10, 0, 0, 1].into() }
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

/// From `name@domain`.
fn user(text: &str) -> User {
    let (name, of) = text.split_once('@').unwrap();
    User { name: name.into(), domain: domain(of) }
}

/// An account whose password `secret` is hashed already, and cheaply.
fn new_account(text: &str) -> NewAccount {
    NewAccount::simple(&address(text), NewPassword::Hashed(cheap("secret")))
}

fn cheap(password: &str) -> mail::password::StoredPassword {
    let kind = mail::password::PasswordType::Ssha256;
    mail::password::StoredPassword::make(kind, &Secret::new(password), &[1; 16]).unwrap()
}
