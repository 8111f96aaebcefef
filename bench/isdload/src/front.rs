//! A front end: a process that lives from the copy alone.

use crate::load::{DOMAIN, HOME, call, user};
use crate::{Options, Said, meter};
use anyhow::{Result, ensure};
use catalog::tree::Tree;
use directory::DirectoryServer;
use env::Env;
use env::random::Random;
use env::settings::Settings;
use mail::address::{Address, Domain};
use roles::directory::{Directory as _, DirectoryError, Route};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::directory::NameKey;
use storage::replica::{Key, Reader, ReplicaError};
use testkit::directory::{Down, ScriptedDirectory};

/// Accounts that are asked for again and again: what a process has in its memory.
const FEW: u64 = 10_000;
/// What a look-up makes of each account.
const HOME_AND_MAILBOX: u64 = HOME.len() as u64 + 1;
/// Changes above the tables of a copy that is folded when it should be.
const FEW_ABOVE: u64 = 100_000;
/// How often it is looked whether a change is there.
const LOOK: Duration = Duration::from_millis(2);
/// How long a change may take.
const LONGEST: Duration = Duration::from_secs(60);

/// A way to look an account up; what it makes of it.
type Look<'a> = dyn Fn(&Key) -> Result<Option<u64>, ReplicaError> + 'a;

fn server(options: &Options) -> Result<(Env, DirectoryServer)> {
    let mut env = Env::for_test("imdircacheserv");
    // What the copy has not yet is nobody's: nobody else is asked.
    let keys = "/*/imdircacheserv/cacheDisableReadThrus: [true]\n";
    env.settings = Settings::new("venus", "imdircacheserv", Tree::parse(keys)?);
    let nobody = ScriptedDirectory::new();
    nobody.set_down(Down::Yes);
    let server = DirectoryServer::follow(env.clone(), &options.folder, Arc::new(nobody))?;
    Ok((env, server))
}

/// Random accounts through the reader, through what the MTA and what administrators call.
pub(crate) async fn look(options: &Options) -> Result<Said> {
    settled(&options.folder).await?;
    let (before, random) = (meter::memory(), Random::seeded(options.accounts));
    let (env, server) = server(options)?;
    let reader = Reader::open(&options.folder)?;
    let mut said = Said::new();
    let mut put = |name: &str, value: f64| said.insert(name.to_owned(), value.round().into());
    put("front_memory_opened_bytes", meter::memory().saturating_sub(before) as f64);
    let draw = |below: u64| random.number() % below;
    let login = |n: u64| Key::Login(NameKey { name: user(n), domain: DOMAIN.into() });
    // As a server that routes mail sees an account, and all of it with its password.
    let seen = |key: &Key| reader.look(key.as_ref(), |a| a.home.len() as u64 + u64::from(a.mailbox.0 > 0));
    let whole =
        |key: &Key| reader.account_of(key).map(|found| found.map(|all| all.row.home.len() as u64 + 1));
    // The first round brings the pages of the copy into memory, as the first minutes of a server do.
    let ways: [(&str, &Look<'_>); 2] = [("reader_whole", &whole), ("reader", &seen)];
    for (name, look) in ways.iter().chain(&ways) {
        let (mut found, mut sum) = (0, 0);
        let begun = (Instant::now(), meter::thread_time());
        for _ in 0..options.lookups {
            let of = look(&login(draw(options.accounts)))?;
            (found, sum) = (found + u64::from(of.is_some()), sum + of.unwrap_or_default());
        }
        ensure!(
            found == options.lookups && sum == found * HOME_AND_MAILBOX,
            "accounts are missing in the copy"
        );
        let cpu = meter::thread_time().saturating_sub(begun.1);
        put(&format!("{name}_per_core_s"), options.lookups as f64 / cpu.as_secs_f64());
        put(&format!("{name}_per_s"), options.lookups as f64 / begun.0.elapsed().as_secs_f64());
    }
    let call = call(env.random.request_id());
    let domain = Domain::parse(DOMAIN)?;
    for (name, below) in [("", options.accounts), ("_few", FEW.min(options.accounts))] {
        let count = options.lookups / 4;
        let begun = meter::thread_time();
        for _ in 0..count {
            let address = Address::new(&user(draw(below)), domain.clone())?;
            let route = server.address_route(&call, address).await?;
            ensure!(matches!(route, Route::Local(_)), "{route:?}");
        }
        let cpu = meter::thread_time().saturating_sub(begun);
        put(&format!("address_route{name}_per_core_s"), count as f64 / cpu.as_secs_f64());
        let begun = meter::thread_time();
        for _ in 0..count {
            server.account_find(&call, format!("{}@{DOMAIN}", user(draw(below)))).await?;
        }
        let cpu = meter::thread_time().saturating_sub(begun);
        put(&format!("account_find{name}_per_core_s"), count as f64 / cpu.as_secs_f64());
    }
    put("front_memory_bytes", meter::memory().saturating_sub(before) as f64);
    let each = meter::memory().saturating_sub(before) as f64 / options.accounts as f64;
    said.insert("front_memory_bytes_per_account".into(), ((each * 10.0).round() / 10.0).into());
    Ok(said)
}

/// Waits until what was made while the copy was built is in its tables: this process does not follow the copy.
async fn settled(folder: &Path) -> Result<()> {
    let begun = Instant::now();
    while Reader::open(folder)?.size().above > FEW_ABOVE {
        ensure!(begun.elapsed() < LONGEST, "the changes are not folded");
        tokio::time::sleep(LONGEST / 60).await;
    }
    Ok(())
}

/// Says of each account that is created when it is there.
pub(crate) async fn watch(options: &Options) -> Result<Said> {
    let (env, server) = server(options)?;
    server.follow_changes();
    println!("ready");
    let call = call(env.random.request_id());
    for n in 0..options.seen {
        let name = format!("{}{n}.0@{DOMAIN}", options.names);
        let address = Address::parse(&name)?;
        let begun = Instant::now();
        loop {
            match server.address_route(&call, address.clone()).await {
                Ok(Route::Local(_)) => break,
                Ok(Route::Unknown) | Err(DirectoryError::Unavailable) => {}
                other => anyhow::bail!("{name}: {other:?}"),
            }
            ensure!(begun.elapsed() < LONGEST, "{name} does not come");
            tokio::time::sleep(LOOK).await;
        }
        println!("{name}");
    }
    Ok(Said::new())
}
