//! The copy of the directory: built while accounts are created, its size, and how long changes take to a front end.

use crate::Options;
use crate::grow::Figures;
use crate::load::{DOMAIN, Load, call};
use anyhow::{Context as _, Result, ensure};
use directory::DirectoryServer;
use roles::directory::cache::DirectoryCache as _;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Accounts of a call while the copy is built.
const MEANWHILE: u64 = 256;

/// `load` is the process in which accounts are created; the copy is kept by another server over the same database.
pub(crate) async fn run(
    options: &Options,
    load: &Load,
    folder: &Path,
    file: &Path,
    figures: &mut Figures,
) -> Result<()> {
    let place = folder.join("dirCacheDB");
    let keeper = DirectoryServer::open_with_copy(load.env.clone(), file, &place).await?;
    build(load, &keeper, figures).await?;
    keeper.follow_changes();
    let said = child("look", options, &place)?.wait_with_output()?;
    ensure!(said.status.success(), "looking up has failed");
    let said: serde_json::Value = serde_json::from_slice(&said.stdout).context("what it said")?;
    figures.take(said.as_object().context("an object")?.clone());
    seen(options, load, &place, ("seen", figures)).await?;
    load.server.nudge(vec![Arc::new(keeper.clone())]);
    seen(options, load, &place, ("told", figures)).await
}

async fn build(load: &Load, keeper: &DirectoryServer, figures: &mut Figures) -> Result<()> {
    let (built, made) = (AtomicBool::new(false), AtomicU64::new(0));
    let build = async {
        let built_at = keeper.cache_build(&call(load.env.random.request_id())).await;
        built.store(true, Ordering::Release);
        built_at
    };
    let begun = Instant::now();
    let meanwhile = async {
        let mut batch = 0;
        while !built.load(Ordering::Acquire) {
            load.create_singly(&format!("meanwhile{batch}"), MEANWHILE).await?;
            made.fetch_add(MEANWHILE, Ordering::Relaxed);
            batch += 1;
        }
        Ok::<_, anyhow::Error>(())
    };
    let (done, created) = tokio::join!(build, meanwhile);
    created?;
    let done = done?;
    let minutes = done.took.as_secs_f64() / 60.0;
    figures.put("sync_s", done.took.as_secs_f64());
    figures.put("sync_accounts_per_min", (done.accounts as f64 / minutes).round());
    figures.put("sync_meanwhile_created_per_s", crate::grow::per_second(made.load(Ordering::Relaxed), begun));
    let status = keeper.cache_status(&call(load.env.random.request_id())).await?;
    figures.put("copy_file_bytes_per_account", (status.bytes as f64 / done.accounts as f64).round());
    Ok(())
}

/// Accounts that are created one by one, and how long after that a front end has them.
async fn seen(
    options: &Options,
    load: &Load,
    place: &Path,
    (name, figures): (&str, &mut Figures),
) -> Result<()> {
    let mut watcher = child("watch", &Options { names: name.to_owned(), ..options.clone() }, place)?;
    let mut lines = BufReader::new(watcher.stdout.take().context("its output")?).lines();
    ensure!(lines.next().context("it has ended")??.contains("ready"), "it is not ready");
    let mut took = Vec::new();
    for n in 0..options.seen {
        // At any moment between two looks at the log of changes.
        tokio::time::sleep(Duration::from_millis(n * 377 % 1000)).await;
        load.create_singly(&format!("{name}{n}"), 1).await?;
        let begun = Instant::now();
        // This thread waits for the other process; the keeper works on the others.
        let line = tokio::task::block_in_place(|| lines.next()).context("it has ended")??;
        ensure!(line == format!("{name}{n}.0@{DOMAIN}"), "it has seen {line}");
        took.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    ensure!(watcher.wait()?.success(), "watching has failed");
    took.sort_by(f64::total_cmp);
    figures.put(&format!("{name}_p50_ms"), took[took.len() / 2].round());
    figures.put(&format!("{name}_max_ms"), took[took.len() - 1].round());
    Ok(())
}

/// This program once more, as a front end.
fn child(word: &str, options: &Options, place: &Path) -> Result<std::process::Child> {
    let mut child = Command::new(std::env::current_exe()?);
    child.arg(word).arg("--folder").arg(place);
    child.args(["--accounts", &options.accounts.to_string(), "--lookups", &options.lookups.to_string()]);
    child.args(["--seen", &options.seen.to_string(), "--names", &options.names]).stdout(Stdio::piped());
    child.spawn().context("cannot start a front end")
}
