//! strace on a process of ours: calls that fail or are slow in a program that is not changed.

use crate::debian;
use anyhow::{Context, Result, ensure};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long strace takes to have all threads, about.
const ATTACH: Duration = Duration::from_secs(1);

/// A process under strace, until it is dropped.
pub(super) struct Tracer(Child);

impl Tracer {
    /// Has these calls (with commas) of a process, in all of its threads, happen as `how` says: `error=EIO:when=5+`,
    /// counted for each thread; `delay_enter=200000`, in microseconds; `retval=0`, without being made at all.
    pub(super) fn attach(pid: u32, calls: &str, how: &str) -> Result<Self> {
        let strace = debian::find("strace").context("strace is not installed")?;
        let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:{how}"));
        let mut child = Command::new(strace)
            .args(["-f", "-e", &trace, "-e", &inject, "-o", "/dev/null", "-p", &pid.to_string()])
            .stderr(Stdio::null())
            .spawn()?;
        std::thread::sleep(ATTACH);
        ensure!(child.try_wait()?.is_none(), "strace could not attach: this takes root");
        Ok(Self(child))
    }

    /// Lets the process go on as it is.
    pub(super) fn detach(mut self) -> Result<()> {
        Command::new("kill").args(["-INT", &self.0.id().to_string()]).status()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
