//! isdload: how the directory over PostgreSQL grows. `isdload --to 1000000 --singles 2560 [--engine sqlite]`
//!
//! It starts a durable server of its own (Debian's package `postgresql`), loads accounts up to 10,000, 100,000 and so on,
//! and at each size creates single accounts through the directory server as `imdbcontrol` in batch mode does: one request
//! one durable transaction, 256 requests a call. Passwords come hashed: hashing is measured elsewhere. One JSON line a size.
#![expect(clippy::disallowed_methods, reason = "the load comes from outside the house: it has no env")]

use anyhow::{Context as _, Result, bail, ensure};
use catalog::account::{DomainKind, Status};
use catalog::tree::Tree;
use directory::DirectoryServer;
use env::Env;
use env::settings::Settings;
use mail::address::{Address, Domain};
use mail::id::{RequestId, TraceId};
use mail::password::{PasswordType, StoredPassword};
use mail::secret::Secret;
use roles::Call;
use roles::directory::provision::{MAX_REQUESTS, NewAccount, NewPassword, Provisioning as _, Request};
use std::path::{Path, PathBuf};
use std::time::Instant;
use storage::directory::{DirectoryTables, DomainRow};
use storage::sql::SqlError;
use testkit::postgres::{Care, Postgres};

/// Accounts of one transaction while the table is filled.
const FILL: u64 = 1_000;
const DOMAIN: &str = "load.test";

struct Options {
    to: u64,
    singles: u64,
    engine: Engine,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Engine {
    Postgres,
    Sqlite,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self { to: 1_000_000, singles: 2_560, engine: Engine::Postgres };
        while let Some(word) = words.next() {
            let value = words.next().with_context(|| format!("{word} needs a value"))?;
            match (word.as_str(), value.as_str()) {
                ("--to", n) => options.to = n.parse()?,
                ("--singles", n) => options.singles = n.parse()?,
                ("--engine", "sqlite") => options.engine = Engine::Sqlite,
                ("--engine", "postgres") => options.engine = Engine::Postgres,
                _ => bail!("isdload knows --to N, --singles N, --engine postgres|sqlite, not {word} {value}"),
            }
        }
        Ok(options)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let server = (options.engine == Engine::Postgres).then(|| Postgres::start(Care::Durable));
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("directory/isd.db");
    std::fs::create_dir_all(file.parent().context("a folder")?)?;
    let mut env = Env::for_test("imdircacheserv");
    if let Some(server) = &server {
        let keys = format!("/*/common/primaryDBUrl: [{}]\n", server.database());
        env.settings = Settings::new("venus", "imdircacheserv", Tree::parse(&keys)?);
    }
    let load = Load::open(env, &file, &options).await?;
    let (mut size, mut goal) = (0, 10_000);
    while goal <= options.to {
        let begun = Instant::now();
        load.fill(size, goal).await?;
        let filled = (goal - size) as f64 / begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        load.create_singly(goal).await?;
        let singles = options.singles as f64 / begun.elapsed().as_secs_f64();
        let line = serde_json::json!({
            "accounts": goal, "filled_per_second": filled.round(), "singles_per_second": singles.round(),
        });
        println!("{line}");
        (size, goal) = (goal, goal * 10);
    }
    Ok(())
}

struct Load {
    env: Env,
    server: DirectoryServer,
    tables: DirectoryTables,
    password: StoredPassword,
    singles: u64,
}

impl Load {
    async fn open(env: Env, file: &Path, options: &Options) -> Result<Self> {
        let server = DirectoryServer::open(env.clone(), file).await?;
        let location = directory::locate(&env.settings, &PathBuf::from(file))?;
        let tables = DirectoryTables::open(&location, &env)?;
        let domain = DomainRow { name: DOMAIN.into(), kind: DomainKind::Local, target: String::new() };
        tables.write(env.clock.now(), String::new(), move |e| e.add_domain(&domain)).await?;
        let password = StoredPassword::make(PasswordType::Ssha256, &Secret::new("secret"), &[7; 16])?;
        Ok(Self { env, server, tables, password, singles: options.singles })
    }

    /// Accounts from one number to another, many a transaction.
    async fn fill(&self, from: u64, to: u64) -> Result<()> {
        let mut first = from;
        while first < to {
            let last = to.min(first + FILL);
            let password = self.password.expose().to_owned();
            let all: Vec<_> = (first..last).map(|n| row(n, &password)).collect();
            let add = move |e: &storage::directory::Edit<'_>| e.add_accounts(&all);
            self.tables.write::<(), SqlError, _>(self.env.clock.now(), String::new(), add).await?;
            first = last;
        }
        Ok(())
    }

    /// Accounts one by one, as many as a call may hold at a time.
    async fn create_singly(&self, size: u64) -> Result<()> {
        let domain = Domain::parse(DOMAIN)?;
        let most = u64::try_from(MAX_REQUESTS)?;
        let mut done = 0;
        while done < self.singles {
            let count = most.min(self.singles - done);
            let requests = (done..done + count).map(|n| {
                let address = Address::new(&format!("single{size}.{n}"), domain.clone())?;
                let password = NewPassword::Hashed(self.password.clone());
                Ok(Request::CreateAccount(Box::new(NewAccount::simple(&address, password))))
            });
            let requests = requests.collect::<Result<Vec<_>>>()?;
            let call = Call::new(RequestId(u128::from(size) << 64 | u128::from(done)), TraceId::new("load"));
            let replies = self.server.provision(&call, requests).await?;
            for reply in &replies {
                ensure!(reply.is_ok(), "{reply:?}");
            }
            done += count;
        }
        Ok(())
    }
}

fn row(n: u64, password: &str) -> storage::directory::NewAccount {
    storage::directory::NewAccount {
        name: format!("user{n}"),
        domain: DOMAIN.into(),
        mailbox: None,
        home: "venus".into(),
        password: password.into(),
        scram: String::new(),
        status: Status::Active,
        class: "default".into(),
    }
}
