//! What both backup commands do: making a backup, listing, verifying.

use crate::command::{Exit, Opt, Outcome};
use crate::context::{Context, Failure};
use crate::output::{Cell, Column, Format, Layout, Listing};
use env::clock::Clock;
use roles::backup::{Make, Progress, What};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use storage::backup::{Backups, Generation, Steps, Verified, Work};
use storage::pace::{Pace, Rate};
use storage::shard::Finding;

/// The exit code where a backup is damaged.
pub(super) const DAMAGED: Exit = Exit(3);
/// What it means.
pub(super) const EXITS: &[(u8, &str)] = &[(3, "the backup is damaged; each damaged file is named")];

/// Most findings of one verification that are printed.
const MAX_FINDINGS: usize = 1000;
/// Time between two lines of progress.
const EVERY: Duration = Duration::from_secs(2);
const KIB: u64 = 1024;

pub(super) const RATE: Opt =
    Opt { name: "rate", value: Some("KB"), help: "Read at most this many kilobytes a second" };
pub(super) const KEEP: Opt =
    Opt { name: "keep", value: Some("N"), help: "Afterwards remove all generations but the last N" };
pub(super) const DRY: Opt =
    Opt { name: "n", value: None, help: "With -keep: only say which generations would be removed" };
pub(super) const PROGRESS: Opt =
    Opt { name: "progress", value: None, help: "Print every two seconds how far it is" };
pub(super) const LIST: Opt = Opt { name: "list", value: None, help: "List the generations in FOLDER" };
pub(super) const VERIFY: Opt =
    Opt { name: "verify", value: None, help: "Read a generation back, every byte, and name what is damaged" };
pub(super) const GENERATION: Opt =
    Opt { name: "generation", value: Some("N"), help: "This generation instead of the last" };

const GENERATIONS: &[Column] = &[
    Column { title: "Generation", key: "generation" },
    Column { title: "Taken", key: "taken" },
    Column { title: "Holds", key: "holds" },
    Column { title: "Host", key: "host" },
];

const FINDINGS: &[Column] =
    &[Column { title: "File", key: "file" }, Column { title: "Damage", key: "damage" }];

/// The number behind an option.
pub(super) fn number<T: std::str::FromStr>(context: &Context, option: &str) -> Result<Option<T>, Failure> {
    let parse = |text: &str| {
        text.parse().map_err(|_| Failure::Usage(format!("-{option} {text}: a number was expected")))
    };
    context.arguments.value(option).map(parse).transpose()
}

/// The folder of the backup. A path from here would be another one in the daemon.
pub(super) fn folder(context: &Context, at: usize) -> Result<PathBuf, Failure> {
    let path = PathBuf::from(context.arguments.word(at).unwrap_or_default());
    path.is_absolute().then_some(path).ok_or_else(|| Failure::Usage("FOLDER must be an absolute path".into()))
}

/// Makes a backup, or says what `-keep` would remove.
pub(super) async fn make(context: &mut Context, what: What) -> Outcome {
    let path = folder(context, 0)?;
    let rate: u64 = number(context, "rate")?.unwrap_or(0);
    let keep: usize = number(context, "keep")?.unwrap_or(0);
    if context.arguments.has("n") {
        return prunable(context, &path, keep).await;
    }
    let folder = path.to_string_lossy().into_owned();
    let make = Make { folder, what, rate: rate.saturating_mul(KIB), keep };
    let made = follow(context, make).await?;
    for text in &made.left_out {
        context.console.error(format!("left out: {text}")).await?;
    }
    let Progress { done, written, .. } = made.progress;
    if context.console.format() == Format::Json {
        let value = json!({
            "generation": made.generation, "taken": made.taken.rfc3339().to_string(), "read": done,
            "written": written, "removed": made.removed, "left_out": made.left_out,
        });
        context.console.json(&value).await?;
        return Ok(Exit::OK);
    }
    let (generation, taken) = (made.generation, made.taken.rfc3339());
    context.console.line(format!("Generation {generation} of {taken}")).await?;
    context.console.line(format!("Bytes Read: {done}")).await?;
    context.console.line(format!("Bytes Written: {written}")).await?;
    for removed in made.removed {
        context.console.line(format!("Generation {removed} was removed")).await?;
    }
    Ok(Exit::OK)
}

/// Waits for a backup, and says how far it is where that was asked for.
async fn follow(context: &mut Context, make: Make) -> Result<roles::backup::Made, Failure> {
    let (backup, call) = (context.roles()?.backup.clone(), context.call().for_long_work());
    let shown = context.arguments.has("progress") && context.console.format() == Format::Text;
    let (clock, mut making) = (Clock::system(), backup.backup_make(&call, make));
    loop {
        tokio::select! {
            made = &mut making => return made.map_err(Failure::because),
            () = clock.sleep(EVERY), if shown => {}
        }
        if let Ok(Some(Progress { done, total, written })) = backup.backup_progress(&call).await {
            let percent = (u128::from(done) * 100).checked_div(u128::from(total)).unwrap_or(0);
            context.console.line(format!("{percent} % of {total} bytes, {written} written")).await?;
            context.console.flush().await?;
        }
    }
}

async fn prunable(context: &mut Context, folder: &Path, keep: usize) -> Outcome {
    if keep == 0 {
        return Err(Failure::Usage("-n goes with -keep".into()));
    }
    let backups = Backups::open(folder).map_err(Failure::because)?;
    // The one that would be made counts, too.
    let numbers = backups.prunable(keep.saturating_sub(1)).map_err(Failure::because)?;
    if context.console.format() == Format::Json {
        context.console.json(&json!({ "would_remove": numbers })).await?;
        return Ok(Exit::OK);
    }
    for number in numbers {
        context.console.line(format!("Generation {number} would be removed")).await?;
    }
    Ok(Exit::OK)
}

/// Lists generations.
pub(super) async fn list(context: &mut Context) -> Outcome {
    let backups = Backups::open(&folder(context, 0)?).map_err(Failure::because)?;
    let mut listing = Listing::new(GENERATIONS, Layout::Table);
    for generation in backups.generations().map_err(Failure::because)? {
        let Generation { number, kind, host, taken, .. } = generation;
        let cells: [Cell; 4] =
            [number.into(), taken.rfc3339().to_string().into(), kind.word().into(), host.into()];
        listing.row(&mut context.console, cells).await?;
    }
    listing.end(&mut context.console).await?;
    Ok(Exit::OK)
}

/// Opens the generation that the command line names.
pub(super) fn generation(context: &Context, folder: &Path) -> Result<Generation, Failure> {
    let number = number(context, "generation")?;
    Backups::open(folder).and_then(|backups| backups.generation(number)).map_err(told)
}

/// Work in this process.
pub(super) fn work(context: &Context) -> Result<Work, Failure> {
    let rate: u64 = number(context, "rate")?.unwrap_or(0);
    let rate = Rate::per_second(rate.saturating_mul(KIB));
    Ok(Work::new(Pace::new(&Clock::system(), move || rate)))
}

/// Reads a generation back.
pub(super) async fn verify(context: &mut Context) -> Outcome {
    let generation = generation(context, &folder(context, 0)?)?;
    let number = generation.number;
    let job = move |steps: &Steps| {
        let (mut found, mut count) = (Vec::new(), 0u64);
        let verified = generation.verify(steps, &mut |finding| {
            count += 1;
            if found.len() < MAX_FINDINGS {
                found.push(finding);
            }
        })?;
        Ok((verified, found, count))
    };
    let (verified, found, count) = work(context)?.run(job).await.map_err(told)?;
    let exit = if count == 0 { Exit::OK } else { DAMAGED };
    print(context, number, verified, found, count).await?;
    Ok(exit)
}

async fn print(
    context: &mut Context,
    number: u32,
    verified: Verified,
    found: Vec<Finding>,
    count: u64,
) -> Result<(), Failure> {
    let Verified { shards, segments, bodies, rows, files } = verified;
    let console = &mut context.console;
    if console.format() == Format::Json {
        let findings: Vec<_> =
            found.iter().map(|f| json!({ "file": f.path.to_string_lossy(), "damage": f.what })).collect();
        let value = json!({
            "generation": number, "shards": shards, "segments": segments, "bodies": bodies, "rows": rows,
            "files": files, "damaged": count, "findings": findings,
        });
        return console.json(&value).await;
    }
    if !found.is_empty() {
        let mut listing = Listing::new(FINDINGS, Layout::Table);
        for finding in found {
            let cells: [Cell; 2] = [finding.path.to_string_lossy().into_owned().into(), finding.what.into()];
            listing.row(console, cells).await?;
        }
        listing.end(console).await?;
    }
    let text = format!(
        "Generation {number}: {shards} shards, {segments} segments, {bodies} bodies, {rows} rows, {files} files; \
         {count} damaged"
    );
    console.line(text).await
}

/// What failed in a backup, with the exit code that says whether it is damaged.
pub(super) fn told(error: storage::backup::BackupError) -> Failure {
    match error {
        damaged @ storage::backup::BackupError::Damaged { .. } => Failure::With(DAMAGED, damaged.to_string()),
        other => Failure::because(other),
    }
}
