//! The thread that writes the log's lines to files.
//!
//! A log that cannot be written does not stop the mail: the lines go to the standard error. It looks at the space of
//! its disk before each write, so that the log is not what takes the last byte from the mail (ITS 22353).

use super::room::Room;
use super::{FLUSH_AT, FLUSH_EVERY, Log, Sink};
use catalog::events::run::RunLogLinesDropped;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

/// The thread that writes; closing it writes what is left.
pub struct Writer {
    sink: Arc<Sink>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where the folder cannot be made or the thread not be started.
    pub(super) fn start(log: &Log, folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (own, folder) = (log.clone(), folder.to_owned());
        let run = move || write_all(&own, &folder);
        let thread = std::thread::Builder::new().name("log".into()).spawn(run)?;
        Ok(Self { sink: Arc::clone(&log.sink), thread: Some(thread) })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.sink.lock().closed = true;
        self.sink.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write_all(log: &Log, folder: &Path) {
    let mut files = Files { folder: folder.to_owned(), open: Vec::new() };
    loop {
        let batch = wait(&log.sink);
        let room = Room::of(folder);
        let mut lost = 0;
        for (server, text) in batch.lines.iter().filter(|(_, text)| !text.is_empty()) {
            match room {
                Room::None => lost += text.lines().count() as u64,
                Room::Enough | Room::Short => files.append(server, text.as_bytes()),
            }
        }
        log.sink.note(room, lost);
        // What it says is written in the next turn, also where this would have been the last.
        let said = room == Room::Enough && log.say_dropped();
        if batch.closed && !said {
            return;
        }
    }
}

/// What the writer takes at a time.
struct Batch {
    lines: Vec<(&'static str, String)>,
    closed: bool,
}

/// Takes the waiting lines, after a flush interval or when enough have gathered.
fn wait(sink: &Sink) -> Batch {
    let mut held = sink.lock();
    if held.bytes < FLUSH_AT && !held.closed {
        held = sink.wake.wait_timeout(held, FLUSH_EVERY).unwrap_or_else(PoisonError::into_inner).0;
    }
    held.bytes = 0;
    Batch { lines: std::mem::take(&mut held.lines), closed: held.closed }
}

impl Sink {
    fn note(&self, room: Room, lost: u64) {
        let mut held = self.lock();
        held.room = room;
        held.dropped += lost;
    }
}

impl Log {
    /// Says how many lines are missing; `false` where none are.
    fn say_dropped(&self) -> bool {
        let lines = std::mem::take(&mut self.sink.lock().dropped);
        if lines > 0 {
            self.emit(&RunLogLinesDropped { lines });
        }
        lines > 0
    }
}

struct Files {
    folder: PathBuf,
    open: Vec<(String, File)>,
}

impl Files {
    /// Appends to the server's file.
    fn append(&mut self, server: &str, bytes: &[u8]) {
        if self.file(server).and_then(|mut f| f.write_all(bytes)).is_err() {
            let _ = std::io::stderr().write_all(bytes);
        }
    }

    fn file(&mut self, server: &str) -> std::io::Result<&File> {
        let path = self.folder.join(format!("{server}.log"));
        if !path.exists() {
            self.open.retain(|(s, _)| s != server);
        }
        let at = match self.open.iter().position(|(s, _)| s == server) {
            Some(at) => at,
            None => {
                self.open.push((server.to_owned(), OpenOptions::new().create(true).append(true).open(path)?));
                self.open.len() - 1
            }
        };
        Ok(&self.open[at].1)
    }
}
