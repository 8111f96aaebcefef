//! Another process of this host, held in a way that its id cannot be mistaken for a later one's.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// A process that was alive when it was opened.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    handle: OwnedFd,
}

/// What a process is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tell {
    /// Finish and end (SIGTERM).
    Terminate,
    /// End this moment (SIGKILL): for one that does not finish.
    Kill,
}

/// Whether a process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It has.
    Ended,
    /// It has not.
    Alive,
}

impl Process {
    /// The process of this id; `None` where there is none.
    ///
    /// # Errors
    /// Where the system gives no handle.
    pub fn open(pid: u32) -> io::Result<Option<Self>> {
        let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        match pidfd_open(raw, PidfdFlags::empty()) {
            Ok(handle) => Ok(Some(Self { pid, handle })),
            Err(Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Tells it something. One that has ended is told nothing, which is no error.
    ///
    /// # Errors
    /// Where this user may not.
    pub fn tell(&self, what: Tell) -> io::Result<()> {
        let signal = match what {
            Tell::Terminate => Signal::TERM,
            Tell::Kill => Signal::KILL,
        };
        match pidfd_send_signal(&self.handle, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for its end, at most this long. Blocks the thread.
    ///
    /// # Errors
    /// Where the system cannot wait.
    pub fn wait(&self, at_most: Duration) -> io::Result<Life> {
        let timeout = Timespec {
            tv_sec: i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(at_most.subsec_nanos()),
        };
        let mut ended = [PollFd::new(&self.handle, PollFlags::IN)];
        loop {
            match poll(&mut ended, Some(&timeout)) {
                Ok(0) => return Ok(Life::Alive),
                Ok(_) => return Ok(Life::Ended),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_is_told_to_end_and_waited_for() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::open(child.id()).unwrap().unwrap();
        assert_eq!(process.wait(Duration::ZERO).unwrap(), Life::Alive);
        process.tell(Tell::Terminate).unwrap();
        assert_eq!(process.wait(Duration::from_secs(10)).unwrap(), Life::Ended);
        child.wait().unwrap();
        process.tell(Tell::Kill).unwrap();
        assert!(Process::open(child.id()).unwrap().is_none());
    }

    #[test]
    fn no_process_has_the_id_zero() {
        assert!(Process::open(0).unwrap().is_none());
        assert!(Process::open(u32::MAX).unwrap().is_none());
    }
}
