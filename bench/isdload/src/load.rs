//! A directory of so many accounts, and one more.

use anyhow::{Result, ensure};
use catalog::account::{DomainKind, Status};
use directory::DirectoryServer;
use env::Env;
use mail::address::{Address, Domain};
use mail::id::{RequestId, TraceId};
use mail::password::{PasswordType, SALT_LEN, ScramKeys, StoredPassword};
use mail::secret::Secret;
use roles::Call;
use roles::directory::provision::{MAX_REQUESTS, NewAccount, NewPassword, Provisioning as _, Request};
use std::path::Path;
use storage::directory::{DirectoryTables, DomainRow};
use storage::sql::SqlError;

/// Accounts of one transaction while the table is filled.
const FILL: u64 = 1_000;
pub(crate) const DOMAIN: &str = "load.test";
pub(crate) const HOME: &str = "store1.load.test";

/// The directory under load.
pub(crate) struct Load {
    pub(crate) env: Env,
    pub(crate) server: DirectoryServer,
    tables: DirectoryTables,
    password: StoredPassword,
    scram: String,
}

impl Load {
    pub(crate) async fn open(env: Env, file: &Path) -> Result<Self> {
        let server = DirectoryServer::open(env.clone(), file).await?;
        let location = directory::locate(&env.settings, file)?;
        let tables = DirectoryTables::open(&location, &env)?;
        let domain = DomainRow { name: DOMAIN.into(), kind: DomainKind::Local, target: String::new() };
        tables.write(env.clock.now(), String::new(), move |e| e.add_domain(&domain)).await?;
        // As long as a real one: it is most of an account.
        let secret = Secret::new("secret");
        let password = StoredPassword::make(PasswordType::Argon2id, &secret, &[7; SALT_LEN])?;
        let scram = ScramKeys::derive(&secret, &[7; SALT_LEN], ScramKeys::ITERATIONS).to_text();
        Ok(Self { env, server, tables, password, scram })
    }

    /// Accounts from one number to another, many a transaction.
    pub(crate) async fn fill(&self, from: u64, to: u64) -> Result<()> {
        let mut first = from;
        while first < to {
            let last = to.min(first + FILL);
            let all: Vec<_> = (first..last).map(|n| self.row(n)).collect();
            let add = move |e: &storage::directory::Edit<'_>| {
                all.iter().try_for_each(|new| e.add_account(new).map(|_| ()))
            };
            self.tables.write::<(), SqlError, _>(self.env.clock.now(), String::new(), add).await?;
            first = last;
        }
        Ok(())
    }

    /// Accounts one by one, as many as a call may hold at a time. `batch` tells them from others.
    pub(crate) async fn create_singly(&self, batch: &str, count: u64) -> Result<()> {
        let domain = Domain::parse(DOMAIN)?;
        let most = u64::try_from(MAX_REQUESTS)?;
        let mut done = 0;
        while done < count {
            let now = most.min(count - done);
            let requests = (done..done + now).map(|n| {
                let address = Address::new(&format!("{batch}.{n}"), domain.clone())?;
                let password = NewPassword::Hashed(self.password.clone());
                Ok(Request::CreateAccount(Box::new(NewAccount::simple(&address, password))))
            });
            let requests = requests.collect::<Result<Vec<_>>>()?;
            let request = self.env.random.request_id();
            let replies = self.server.provision(&call(request), requests).await?;
            for reply in &replies {
                ensure!(reply.is_ok(), "{reply:?}");
            }
            done += now;
        }
        Ok(())
    }

    fn row(&self, n: u64) -> storage::directory::NewAccount {
        storage::directory::NewAccount {
            name: user(n),
            domain: DOMAIN.into(),
            mailbox: None,
            home: HOME.into(),
            password: self.password.expose().to_owned(),
            scram: self.scram.clone(),
            status: Status::Active,
            class: "default".into(),
            address: Some(user(n)),
        }
    }
}

/// The login name of an account by its number.
pub(crate) fn user(n: u64) -> String {
    format!("user{n}")
}

pub(crate) fn call(request: RequestId) -> Call {
    Call::new(request, TraceId::new("load"))
}
