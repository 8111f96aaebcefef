//! Other people's programs: finding them, running them with a deadline, judging how they ended.

use crate::program::now;
use anyhow::{Context as _, Result, bail};
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

/// Set where clients that are not installed are passed over instead of failing their test.
const SKIP_MISSING: &str = "INTERMAIL_SKIP_MISSING_CLIENTS";
/// How long a client may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Where programs lie that root alone has on its path.
const SYSTEM_FOLDERS: &[&str] = &["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// A client that is installed; `None` where it is not and may be missing.
///
/// # Panics
/// Where it is not installed and must be.
pub fn client(name: &str) -> Option<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(SYSTEM_FOLDERS.iter().map(PathBuf::from));
    let found = folders.map(|f| f.join(name)).find(|p| p.is_file());
    if found.is_none() && std::env::var_os(SKIP_MISSING).is_none() {
        panic!("{name} is not installed; cargo xtask test installs it or says which package holds it");
    }
    if found.is_none() {
        println!("passed over: {name} is not installed");
    }
    let mut command = Command::new(found?);
    command.stdin(Stdio::null());
    Some(command)
}

/// Runs a client that must succeed, and returns what it prints on both outputs.
///
/// # Errors
/// Where it fails or does not end: with what it printed.
pub fn run(command: Command) -> Result<String> {
    let line = format!("{command:?}");
    succeeded(&line, output(command)?)
}

/// What a program that ended well has printed on both outputs.
///
/// # Errors
/// Where it did not end well.
pub fn succeeded(line: &str, output: Output) -> Result<String> {
    let said = said(&output);
    if !output.status.success() {
        bail!("{line}: {}\n{said}", output.status);
    }
    Ok(said)
}

/// Both outputs of a program as one text.
pub fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Runs a program to its end; its standard input is the caller's to choose.
///
/// # Errors
/// Where it cannot be run, or does not end in time; then it is killed.
pub fn output(mut command: Command) -> Result<Output> {
    let line = format!("{command:?}");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot run {line}"))?;
    let (stdout, stderr) = (child.stdout.take().map(reader), child.stderr.take().map(reader));
    let begun = now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if begun.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let collected = |r: Option<Reader>| r.and_then(|r| r.join().ok()).unwrap_or_default();
    let (stdout, stderr) = (collected(stdout), collected(stderr));
    match status {
        Some(status) => Ok(Output { status, stdout, stderr }),
        None => bail!("{line}: not ended after {PATIENCE:?}\n{}", String::from_utf8_lossy(&stderr)),
    }
}

type Reader = thread::JoinHandle<Vec<u8>>;

fn reader(mut from: impl std::io::Read + Send + 'static) -> Reader {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.by_ref().take(64 << 20).read_to_end(&mut bytes);
        bytes
    })
}

/// Waits until something is so.
///
/// # Errors
/// Where it is not in time.
pub fn until(what: &str, mut so: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = now();
    while begun.elapsed() < PATIENCE {
        if so()? {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
    bail!("not after {PATIENCE:?}: {what}")
}
