//! The folder of backups, and its generations: made, found, pruned.

use super::part::{MAX_TEXT, with_sum, without_sum};
use super::{BackupError, FileCopy, Name, Part, Steps};
use crate::shard::{CopyFolder, ShardCopy};
use mail::time::Timestamp;
use rustix::fs::{FlockOperation, flock};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MARK: &str = "backup";
const TITLE: &str = "intermail backup 1";
const LOCK: &str = "LOCK";
const MANIFEST: &str = "manifest";
const SEGMENTS: &str = "segments";
/// What a generation is called while it is made, or removed.
const UNFINISHED: &str = "unfinished";

/// What a generation holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Everything that a site needs to serve again.
    Site,
    /// Mailboxes and messages.
    Messages,
}

impl Kind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Messages => "messages",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Site, Self::Messages].into_iter().find(|kind| kind.word() == word)
    }
}

/// A generation that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its number; later ones have greater numbers.
    pub number: u32,
    /// What it holds.
    pub kind: Kind,
    /// The host it was made on.
    pub host: String,
    /// When it was begun: everything that was acknowledged before is in it.
    pub taken: Timestamp,
    /// Its parts by the name of their server, with the sums of their texts.
    parts: Vec<(Name, u32)>,
    folder: PathBuf,
}

/// A folder with generations.
pub struct Backups {
    path: PathBuf,
    /// Held by who writes.
    lock: Option<Arc<File>>,
}

/// A generation that is being made. Dropped without [`New::finish`] it never was.
pub struct New {
    backups: PathBuf,
    generation: Generation,
    /// Nobody else writes meanwhile.
    _lock: Option<Arc<File>>,
}

impl Backups {
    /// Opens a folder for reading. Links on the way to it are followed (ITS 22698).
    ///
    /// # Errors
    /// [`BackupError::Refused`] where it is not a folder of backups.
    pub fn open(path: &Path) -> Result<Self, BackupError> {
        let path = path.canonicalize().map_err(BackupError::file(path))?;
        match read_text(&path.join(MARK)) {
            Ok(text) if text.trim_end() == TITLE => Ok(Self { path, lock: None }),
            Ok(_) => Err(BackupError::Refused(format!("{} was made by another release", path.display()))),
            Err(_) => Err(BackupError::Refused(format!("{} is not a folder of backups", path.display()))),
        }
    }

    /// Opens a folder for writing, and makes it where it is not there or empty.
    ///
    /// # Errors
    /// [`BackupError::Refused`] where it holds something else, or another process writes there.
    pub fn create(path: &Path) -> Result<Self, BackupError> {
        make_folder(path)?;
        let path = path.canonicalize().map_err(BackupError::file(path))?;
        let is_new = !path.join(MARK).exists();
        if is_new && fs::read_dir(&path).map_err(BackupError::file(&path))?.any(|e| !is_foreign(&e)) {
            let text = format!("{} is not empty and not a folder of backups", path.display());
            return Err(BackupError::Refused(text));
        }
        let lock = path.join(LOCK);
        let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(&lock);
        let file = file.map_err(BackupError::file(&lock))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            BackupError::Refused(format!("another backup is being made in {}", path.display()))
        })?;
        if is_new {
            write_text(&path.join(MARK), &format!("{TITLE}\n"))?;
            sync_folder(&path)?;
        }
        Ok(Self { lock: Some(Arc::new(file)), ..Self::open(&path)? })
    }

    /// All generations, in order.
    ///
    /// # Errors
    /// [`BackupError::Damaged`] where a manifest is not as it was written.
    pub fn generations(&self) -> Result<Vec<Generation>, BackupError> {
        let numbers = self.numbers()?;
        numbers
            .into_iter()
            .map(|number| Generation::read(&self.path.join(folder_name(number)), number))
            .collect()
    }

    /// The generation with this number, or the last one.
    ///
    /// # Errors
    /// [`BackupError::Refused`] where there is none; as [`Backups::generations`].
    pub fn generation(&self, number: Option<u32>) -> Result<Generation, BackupError> {
        let found = match number {
            Some(number) => self.numbers()?.into_iter().find(|n| *n == number),
            None => self.numbers()?.pop(),
        };
        let none = || BackupError::Refused(format!("{} has no such generation", self.path.display()));
        let number = found.ok_or_else(none)?;
        Generation::read(&self.path.join(folder_name(number)), number)
    }

    /// Begins a generation.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn begin(&self, kind: Kind, host: &str, now: Timestamp) -> Result<New, BackupError> {
        self.remove_unfinished()?;
        let number = self.numbers()?.last().map_or(1, |last| last.saturating_add(1));
        let folder = self.path.join(unfinished_name(number));
        make_folder(&folder)?;
        let generation =
            Generation { number, kind, host: host.to_owned(), taken: now, parts: Vec::new(), folder };
        Ok(New { backups: self.path.clone(), generation, _lock: self.lock.clone() })
    }

    /// What [`Backups::prune`] would remove: the generations that stand before the last `keep`.
    ///
    /// # Errors
    /// As [`Backups::generations`].
    pub fn prunable(&self, keep: usize) -> Result<Vec<u32>, BackupError> {
        let mut numbers = self.numbers()?;
        numbers.truncate(numbers.len().saturating_sub(keep));
        Ok(numbers)
    }

    /// Removes all generations but the last `keep` (at least one), and segments that none needs; returns which
    /// generations. May be interrupted at any point: the next one goes on.
    ///
    /// # Errors
    /// Where something cannot be read or removed.
    pub fn prune(&self, keep: usize) -> Result<Vec<u32>, BackupError> {
        let old = self.prunable(keep.max(1))?;
        for number in &old {
            let (from, to) = (self.path.join(folder_name(*number)), self.path.join(unfinished_name(*number)));
            fs::rename(&from, &to).map_err(BackupError::file(&from))?;
        }
        sync_folder(&self.path)?;
        self.remove_unfinished()?;
        // Only now, when no manifest names them any more.
        let mut needed = BTreeSet::new();
        for generation in self.generations()? {
            for (name, _) in &generation.parts {
                for (shard, copy) in generation.part(name.as_str())?.unwrap_or_default().shards {
                    needed.extend(copy.segments.iter().map(|s| (shard.clone(), s.file_name())));
                }
            }
        }
        self.remove_unneeded(&needed)?;
        Ok(old)
    }

    fn remove_unneeded(&self, needed: &BTreeSet<(Name, String)>) -> Result<(), BackupError> {
        let mut folders = vec![(self.path.join(SEGMENTS), String::new())];
        while let Some((folder, name)) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(BackupError::file(&folder))?,
            };
            for entry in entries {
                let entry = entry.map_err(BackupError::file(&folder))?;
                let file = entry.file_name().to_string_lossy().into_owned();
                let is_folder = entry.file_type().map_err(BackupError::file(&folder))?.is_dir();
                if is_folder && name.split('/').count() < MAX_DEPTH {
                    folders.push((entry.path(), join(&name, &file)));
                } else if file.ends_with(".seg")
                    && Name::parse(&name).is_some_and(|name| !needed.contains(&(name, file)))
                {
                    fs::remove_file(entry.path()).map_err(BackupError::file(&entry.path()))?;
                }
            }
        }
        Ok(())
    }

    fn numbers(&self) -> Result<Vec<u32>, BackupError> {
        let entries = fs::read_dir(&self.path).map_err(BackupError::file(&self.path))?;
        let names = entries.filter_map(|e| e.ok()?.file_name().into_string().ok());
        let numbers = names.filter_map(|n| n.parse().ok().filter(|number| folder_name(*number) == n));
        Ok(numbers.collect::<BTreeSet<u32>>().into_iter().collect())
    }

    fn remove_unfinished(&self) -> Result<(), BackupError> {
        for entry in fs::read_dir(&self.path).map_err(BackupError::file(&self.path))? {
            let path = entry.map_err(BackupError::file(&self.path))?.path();
            if path.extension().is_some_and(|e| e == UNFINISHED) {
                fs::remove_dir_all(&path).map_err(BackupError::file(&path))?;
            }
        }
        Ok(())
    }
}

/// Folders in folders below that of the segments.
const MAX_DEPTH: usize = 4;

impl Generation {
    fn read(folder: &Path, number: u32) -> Result<Self, BackupError> {
        let path = folder.join(MANIFEST);
        let text = read_text(&path)?;
        let damaged =
            || BackupError::Damaged { path: path.clone(), what: "it is not as it was written".into() };
        Self::decode(&text, folder).filter(|read| read.number == number).ok_or_else(damaged)
    }

    fn encode(&self) -> String {
        let mut text = format!("{TITLE}\nnumber {}\nkind {}\n", self.number, self.kind.word());
        let _ = writeln!(text, "taken {}\nhost {}", self.taken.as_micros(), self.host);
        for (name, sum) in &self.parts {
            let _ = writeln!(text, "part {sum:08x} {}", name.as_str());
        }
        with_sum(text)
    }

    fn decode(text: &str, folder: &Path) -> Option<Self> {
        let mut lines = without_sum(text)?.lines();
        (lines.next()? == TITLE).then_some(())?;
        let number = lines.next()?.strip_prefix("number ")?.parse().ok()?;
        let kind = Kind::parse(lines.next()?.strip_prefix("kind ")?)?;
        let taken = Timestamp::from_micros(lines.next()?.strip_prefix("taken ")?.parse().ok()?);
        let host = lines.next()?.strip_prefix("host ")?.to_owned();
        let part = |line: &str| {
            let (sum, name) = line.strip_prefix("part ")?.split_once(' ')?;
            Some((Name::parse(name)?, u32::from_str_radix(sum, 16).ok()?))
        };
        let parts = lines.map(part).collect::<Option<_>>()?;
        Some(Self { number, kind, host, taken, parts, folder: folder.to_path_buf() })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The names of the servers that have a part in it.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|(name, _)| name.as_str())
    }

    /// What a server has put into it; `None` where it has no part.
    ///
    /// # Errors
    /// [`BackupError::Damaged`] where the text is not as it was written.
    pub fn part(&self, server: &str) -> Result<Option<Part>, BackupError> {
        let Some((_, sum)) = self.parts.iter().find(|(name, _)| name.as_str() == server) else {
            return Ok(None);
        };
        let path = part_file(&self.folder, server);
        let text = read_text(&path)?;
        let part = (crc32c::crc32c(text.as_bytes()) == *sum).then(|| Part::decode(&text)).flatten();
        let damaged = || BackupError::Damaged { path, what: "it is not as it was written".into() };
        part.ok_or_else(damaged).map(Some)
    }

    /// Where the copy of a shard is.
    pub fn shard_folder(&self, name: &Name) -> CopyFolder {
        shard_folder(&self.folder, name)
    }

    /// Where a file is.
    pub fn file(&self, name: &Name) -> PathBuf {
        self.folder.join(FILES).join(name.as_str())
    }
}

/// The folder of files in a generation.
const FILES: &str = "files";

impl New {
    /// Its number.
    pub fn number(&self) -> u32 {
        self.generation.number
    }

    /// Its folder, in which servers [join](Joining) it.
    pub fn folder(&self) -> &Path {
        &self.generation.folder
    }

    /// Takes in the parts that are there by now, and makes the generation count.
    ///
    /// # Errors
    /// Where something cannot be written: it does not count then.
    pub fn finish(mut self) -> Result<Generation, BackupError> {
        let folder = self.generation.folder.clone();
        for entry in fs::read_dir(&folder).map_err(BackupError::file(&folder))? {
            let path = entry.map_err(BackupError::file(&folder))?.path();
            let server = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".part"));
            if let Some(name) = server.and_then(Name::parse) {
                let sum = crc32c::crc32c(read_text(&path)?.as_bytes());
                self.generation.parts.push((name, sum));
            }
        }
        self.generation.parts.sort();
        write_text(&folder.join(MANIFEST), &self.generation.encode())?;
        sync_folder(&folder)?;
        let finished = self.backups.join(folder_name(self.generation.number));
        fs::rename(&folder, &finished).map_err(BackupError::file(&folder))?;
        sync_folder(&self.backups)?;
        self.generation.folder = finished;
        Ok(self.generation.clone())
    }
}

impl Drop for New {
    fn drop(&mut self) {
        // What does not get removed now is removed when the next one begins.
        if self.generation.folder.extension().is_some_and(|e| e == UNFINISHED) {
            let _ = fs::remove_dir_all(&self.generation.folder);
        }
    }
}

/// A server that adds its part to a generation that is being made.
pub struct Joining {
    folder: PathBuf,
    number: u32,
    server: Name,
    earlier: Part,
    part: Part,
}

impl Joining {
    /// Joins the generation in this folder.
    ///
    /// # Errors
    /// [`BackupError::Refused`] where none is being made there; [`BackupError::Damaged`] where the one before it is not as
    /// it was written.
    pub fn new(folder: &Path, server: &str) -> Result<Self, BackupError> {
        let name = folder.file_name().and_then(|n| n.to_str()).and_then(|n| n.split_once('.'));
        let number = name.filter(|(_, end)| *end == UNFINISHED).and_then(|(number, _)| number.parse().ok());
        let refused = || BackupError::Refused(format!("no backup is being made in {}", folder.display()));
        let (number, above) = number.zip(folder.parent()).ok_or_else(refused)?;
        let server = Name::parse(server).ok_or_else(refused)?;
        let mut earlier = Part::default();
        for generation in Backups::open(above)?.generations()?.into_iter().rev() {
            if let Some(part) = generation.part(server.as_str())? {
                earlier = part;
                break;
            }
        }
        Ok(Self { folder: folder.to_path_buf(), number, server, earlier, part: Part::default() })
    }

    /// What [`Shard::back_up`](crate::shard::Shard::back_up) needs for a shard of this name.
    ///
    /// # Errors
    /// Where its folders cannot be made.
    pub fn shard(&self, name: &Name) -> Result<(CopyFolder, u32, Option<ShardCopy>), BackupError> {
        let to = shard_folder(&self.folder, name);
        for folder in [to.rows.parent(), Some(to.segments.as_path())].into_iter().flatten() {
            make_folder(folder)?;
        }
        Ok((to, self.number, self.earlier.shard(name).cloned()))
    }

    /// Adds a shard that was copied.
    pub fn add_shard(&mut self, name: Name, copy: ShardCopy) {
        self.part.shards.push((name, copy));
    }

    /// Where a file of this name goes that the caller writes itself, before [`Joining::add_file`].
    ///
    /// # Errors
    /// Where the folder above it cannot be made.
    pub fn place(&self, name: &Name) -> Result<PathBuf, BackupError> {
        let path = self.folder.join(FILES).join(name.as_str());
        path.parent().map_or(Ok(()), make_folder)?;
        Ok(path)
    }

    /// Copies a file into the generation; links are followed.
    ///
    /// # Errors
    /// Where it cannot be read or written.
    pub fn copy_file(&mut self, name: Name, from: &Path, steps: &Steps) -> Result<(), BackupError> {
        let to = self.place(&name)?;
        let source = File::open(from).map_err(BackupError::file(from))?;
        let mode = source.metadata().map_err(BackupError::file(from))?.permissions().mode() & 0o777;
        copy_bytes(&source, from, &to)?;
        self.add_file(name, mode, steps)
    }

    /// Adds a file that is in its [place](Joining::place), and makes it durable.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn add_file(&mut self, name: Name, mode: u32, steps: &Steps) -> Result<(), BackupError> {
        let path = self.place(&name)?;
        let file = File::open(&path).map_err(BackupError::file(&path))?;
        file.sync_all().map_err(BackupError::file(&path))?;
        let bytes = file.metadata().map_err(BackupError::file(&path))?.len();
        steps.work().expect(bytes);
        steps.work().wrote(bytes);
        let sum = crate::shard::sum_of(&path, bytes, steps)?;
        let sum =
            sum.ok_or_else(|| BackupError::Damaged { path: path.clone(), what: "it is shorter now".into() })?;
        self.part.files.push(FileCopy { name, mode, bytes, sum });
        Ok(())
    }

    /// Writes the part down, durably.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn finish(self) -> Result<Part, BackupError> {
        sync_folders(&self.folder)?;
        write_text(&part_file(&self.folder, self.server.as_str()), &self.part.encode())?;
        Ok(self.part)
    }
}

fn copy_bytes(mut from: &File, path: &Path, to: &Path) -> Result<(), BackupError> {
    let made = File::options().write(true).create_new(true).mode(0o600).open(to);
    let mut made = made.map_err(BackupError::file(to))?;
    io::copy(&mut from, &mut made).map_err(BackupError::file(path)).map(|_| ())
}

fn shard_folder(generation: &Path, name: &Name) -> CopyFolder {
    let above = generation.parent().unwrap_or(generation);
    CopyFolder {
        rows: generation.join(format!("{}.rows", name.as_str())),
        segments: above.join(SEGMENTS).join(name.as_str()),
    }
}

fn part_file(generation: &Path, server: &str) -> PathBuf {
    generation.join(format!("{server}.part"))
}

fn folder_name(number: u32) -> String {
    format!("{number:06}")
}

fn unfinished_name(number: u32) -> String {
    format!("{number:06}.{UNFINISHED}")
}

fn join(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") }
}

/// What file systems put into their top folder.
fn is_foreign(entry: &io::Result<fs::DirEntry>) -> bool {
    entry.as_ref().is_ok_and(|e| e.file_name() == "lost+found")
}

/// Makes a folder, and those above it, for its owner alone.
pub(super) fn make_folder(path: &Path) -> Result<(), BackupError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(BackupError::file(path))
}

fn read_text(path: &Path) -> Result<String, BackupError> {
    let file = File::open(path).map_err(BackupError::file(path))?;
    let mut text = String::new();
    file.take(MAX_TEXT).read_to_string(&mut text).map_err(BackupError::file(path))?;
    Ok(text)
}

/// Writes a new file, durably but for its name.
fn write_text(path: &Path, text: &str) -> Result<(), BackupError> {
    let write = || {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(BackupError::file(path))
}

pub(super) fn sync_folder(path: &Path) -> Result<(), BackupError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(BackupError::file(path))
}

/// Makes the names in a folder and all below it durable.
pub(super) fn sync_folders(path: &Path) -> Result<(), BackupError> {
    let mut folders = vec![path.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(BackupError::file(&folder))? {
            let entry = entry.map_err(BackupError::file(&folder))?;
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                folders.push(entry.path());
            }
        }
        sync_folder(&folder)?;
    }
    Ok(())
}
