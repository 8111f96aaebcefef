//! The thread that writes the log's lines to files.
//!
//! A log that cannot be written does not stop the mail: the lines go to the standard error. It looks at the space of
//! its disk before each write, so that the log is not what takes the last byte from the mail (ITS 22353). A file that
//! was renamed, by this writer or by anybody, is left alone from then on: the plain name is made anew.

use super::room::Room;
use super::rotation::{self, Rotation};
use super::{FLUSH_AT, FLUSH_EVERY, Lines, Log, Options, Sink};
use catalog::events::run::RunLogLinesDropped;
use catalog::metrics::LOG_DROPPED;
use mail::time::Timestamp;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
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
        let (room, now) = (Room::of(folder), log.sink.clock.now());
        let mut lost = 0;
        for lines in batch.lines.iter().filter(|lines| !lines.text.is_empty()) {
            if batch.options.to_stderr {
                let _ = io::stderr().write_all(lines.text.as_bytes());
            }
            match room {
                Room::None => lost += lines.text.lines().count() as u64,
                Room::Enough | Room::Short => files.append(lines, &batch.options.rotation, now),
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
    lines: Vec<Lines>,
    options: Options,
    closed: bool,
}

/// Takes the waiting lines, after a flush interval or when enough have gathered.
fn wait(sink: &Sink) -> Batch {
    let mut held = sink.lock();
    if held.bytes < FLUSH_AT && !held.closed {
        held = sink.wake.wait_timeout(held, FLUSH_EVERY).unwrap_or_else(PoisonError::into_inner).0;
    }
    held.bytes = 0;
    Batch { lines: std::mem::take(&mut held.lines), options: held.options, closed: held.closed }
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
            self.metrics().add_as(LOG_DROPPED, &["file"], lines);
            self.emit(&RunLogLinesDropped { lines });
        }
        lines > 0
    }
}

struct Files {
    folder: PathBuf,
    open: Vec<Open>,
}

/// A file that is written.
struct Open {
    name: String,
    file: File,
    /// Which file of which file system it is.
    identity: (u64, u64),
    size: u64,
    /// When its last line was written.
    written: Timestamp,
}

impl Files {
    /// Appends to the file of these lines.
    fn append(&mut self, lines: &Lines, rotation: &Rotation, now: Timestamp) {
        let (bytes, name) = (lines.text.as_bytes(), format!("{}.{}", lines.server, lines.kind.extension()));
        let done = self.place(&name, bytes.len() as u64, rotation, now).and_then(|open| {
            open.file.write_all(bytes)?;
            open.size += bytes.len() as u64;
            open.written = now;
            Ok(())
        });
        if done.is_err() {
            let _ = io::stderr().write_all(bytes);
        }
    }

    /// The file, put aside and made anew where that is due.
    fn place(&mut self, name: &str, more: u64, rotation: &Rotation, now: Timestamp) -> io::Result<&mut Open> {
        let at = self.opened(name)?;
        let Open { size, written, .. } = self.open[at];
        if !rotation.is_due(size, more, written, now) {
            return Ok(&mut self.open[at]);
        }
        // Where it cannot be renamed, the lines go where they have gone so far.
        if self.put_aside(name, rotation, now).is_err() {
            return Ok(&mut self.open[at]);
        }
        self.open.swap_remove(at);
        let at = self.opened(name)?;
        Ok(&mut self.open[at])
    }

    /// Where the file of the plain name stands in the list: opened anew where another file has the name by now.
    fn opened(&mut self, name: &str) -> io::Result<usize> {
        let path = self.folder.join(name);
        let there = fs::metadata(&path).ok().map(|metadata| identity(&metadata));
        self.open.retain(|open| open.name != name || Some(open.identity) == there);
        if let Some(at) = self.open.iter().position(|open| open.name == name) {
            return Ok(at);
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let metadata = file.metadata()?;
        let written = Timestamp::from_secs(metadata.mtime());
        let (identity, size) = (identity(&metadata), metadata.len());
        self.open.push(Open { name: name.to_owned(), file, identity, size, written });
        Ok(self.open.len() - 1)
    }

    fn put_aside(&self, name: &str, rotation: &Rotation, now: Timestamp) -> io::Result<()> {
        let stem = format!("{name}{}", rotation::suffix(now));
        // Several in one second have numbers.
        let names = (0..1000).map(|n| if n == 0 { stem.clone() } else { format!("{stem}-{n:03}") });
        let free = names.map(|name| self.folder.join(name)).find(|path| !path.exists());
        let free = free.ok_or(io::ErrorKind::AlreadyExists)?;
        fs::rename(self.folder.join(name), free)?;
        let there =
            fs::read_dir(&self.folder)?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        for old in rotation::surplus(name, there.collect(), rotation.kept) {
            fs::remove_file(self.folder.join(old))?;
        }
        Ok(())
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}
