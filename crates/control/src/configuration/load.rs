//! Reads and judges `config.db`, and keeps the last good one.

use super::history::{checksum, note_by_hand};
use crate::lock_file::LockFile;
use catalog::tree::check::{self, Finding};
use catalog::tree::{BadLine, Tree};
use mail::time::Timestamp;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Most bytes of a configuration.
pub const MAX_SIZE: u64 = 64 << 20;

/// Where the files of a site's configuration are.
#[derive(Debug, Clone)]
pub struct Files {
    /// `config.db`.
    pub current: PathBuf,
}

/// Why a configuration was not read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is there and cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// Its path.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// More than [`MAX_SIZE`] bytes.
    #[error("{0} is larger than 64 MB")]
    TooLarge(String),
    /// A line is not in the grammar.
    #[error("{path}: {line}")]
    BadLine {
        /// The file.
        path: String,
        /// The line.
        line: BadLine,
    },
}

/// A configuration, judged.
#[derive(Debug)]
pub struct Loaded {
    /// What holds: with the successors of obsolete keys put in.
    pub tree: Tree,
    /// What is to be said about its entries, in order of lines.
    pub findings: Vec<Finding>,
    /// Where it is from.
    pub origin: Origin,
    /// Of its text.
    pub checksum: String,
}

/// Where a configuration came from.
#[derive(Debug)]
pub enum Origin {
    /// `config.db`.
    Current,
    /// The last good copy, because `config.db` cannot be used.
    LastGood(LoadError),
}

impl Files {
    /// Those of a site: `config.db` in this folder, and what belongs to it beside it.
    pub fn in_folder(folder: &Path) -> Self {
        Self { current: folder.join("config.db") }
    }

    /// The last one that was good.
    pub fn last_good(&self) -> PathBuf {
        self.current.with_extension("db.good")
    }

    /// What was changed, by whom, when and why.
    pub fn history(&self) -> PathBuf {
        self.current.with_extension("db.history")
    }

    /// Held while the configuration is changed.
    pub fn lock(&self) -> PathBuf {
        self.current.with_extension("db.lock")
    }
}

/// The tree of `config.db` as it stands; an empty one where the file is not there.
///
/// # Errors
/// See [`LoadError`]: names file, line and key.
pub fn read(file: &Path) -> Result<Tree, LoadError> {
    parse(file, &text(file)?)
}

/// The text of a configuration; empty where the file is not there.
pub(super) fn text(path: &Path) -> Result<String, LoadError> {
    let shown = || path.display().to_string();
    let unreadable = |source| LoadError::Unreadable { path: shown(), source };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        file => file.map_err(unreadable)?,
    };
    let mut text = String::new();
    file.take(MAX_SIZE + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_SIZE { Err(LoadError::TooLarge(shown())) } else { Ok(text) }
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Tree, LoadError> {
    Tree::parse(text).map_err(|line| LoadError::BadLine { path: path.display().to_string(), line })
}

/// The configuration to start with. A good one is copied beside `config.db`; where `config.db` cannot be used and
/// such a copy is there, the copy holds and [`Loaded::origin`] says why.
///
/// # Errors
/// Where neither can be used: why `config.db` cannot.
pub fn load(files: &Files) -> Result<Loaded, LoadError> {
    let current = text(&files.current).and_then(|text| Ok((parse(&files.current, &text)?, text)));
    let (tree, text, origin) = match current {
        Ok((tree, text)) => {
            keep(files, &text);
            (tree, text, Origin::Current)
        }
        Err(error) => {
            let good = last_good_text(files).and_then(|text| Some((Tree::parse(&text).ok()?, text)));
            let Some((tree, text)) = good else { return Err(error) };
            (tree, text, Origin::LastGood(error))
        }
    };
    Ok(judged(tree, &text, origin))
}

pub(super) fn judged(mut tree: Tree, text: &str, origin: Origin) -> Loaded {
    let findings = check::check(&tree);
    check::translate(&mut tree);
    Loaded { tree, findings, origin, checksum: checksum(text) }
}

/// Keeps a good text as the last good one, and notes one that was changed by hand in the history. A site whose disk
/// is full or read-only can do without.
pub(super) fn keep(files: &Files, good: &str) {
    let kept = last_good_text(files);
    if kept.as_deref() == Some(good) {
        return;
    }
    // Whoever changes the configuration now notes it.
    if let Ok(_held) = LockFile::take(&files.lock()) {
        let _ = note_by_hand(files, (kept.as_deref(), good), changed_at(files));
    }
    let _ = write(&files.last_good(), good);
}

/// The last good text, where there is one.
pub(super) fn last_good_text(files: &Files) -> Option<String> {
    File::open(files.last_good()).ok().and_then(|_| text(&files.last_good()).ok())
}

/// When the file was changed; what a change by hand is dated by.
pub(super) fn changed_at(files: &Files) -> Timestamp {
    let data = std::fs::metadata(&files.current);
    data.map_or(Timestamp::from_secs(0), |data| Timestamp::from_secs(data.mtime()))
}

/// Replaces a file in one step that survives a crash. The new one has the rights of the old one, or 0600.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let mode = std::fs::metadata(path).map_or(0o600, |data| data.permissions().mode() & 0o7777);
    // Told by its last part, so that the files beside `config.db` have temporary files of their own.
    let mut made = path.as_os_str().to_owned();
    made.push(".new");
    let made = PathBuf::from(made);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.create(true).truncate(true).write(true).mode(mode).open(&made)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.sync_all()?;
    std::fs::rename(&made, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::event::Severity;
    use catalog::keys::mta::MAX_MESSAGE_SIZE;

    fn site(text: &str) -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::in_folder(folder.path());
        std::fs::write(&files.current, text).unwrap();
        (folder, files)
    }

    #[test]
    fn no_file_is_an_empty_configuration() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(load(&Files::in_folder(folder.path())).unwrap().tree, Tree::default());
    }

    #[test]
    fn the_last_good_one_holds_while_the_file_is_bad() {
        let (_folder, files) = site("/*/mta/maxMessageSize: [7]\n");
        load(&files).unwrap();
        std::fs::write(&files.current, "# ok\n/*/mta/maxMessageSize 8\n").unwrap();
        let loaded = load(&files).unwrap();
        assert_eq!(loaded.tree.value("h", "mta", MAX_MESSAGE_SIZE), 7);
        let Origin::LastGood(why) = loaded.origin else { panic!("not the last good one") };
        assert!(
            why.to_string().ends_with("config.db: line 2: /*/mta/maxMessageSize 8: no colon after the key"),
            "{why}"
        );
    }

    #[test]
    fn a_bad_file_without_a_good_one_is_an_error() {
        let (_folder, files) = site("bogus\n");
        assert!(matches!(load(&files), Err(LoadError::BadLine { .. })));
        std::fs::write(&files.current, b"\xff\xfe").unwrap();
        assert!(matches!(load(&files), Err(LoadError::Unreadable { .. })));
    }

    #[test]
    fn entries_are_judged_and_obsolete_ones_translated() {
        let (_folder, files) = site("/*/mta/maxQueueTimeInDays: [2]\n/*/mta/bogus: [1]\n");
        let loaded = load(&files).unwrap();
        let hours = loaded.tree.resolve("h", "mta", "maxQueueTimeInHours").unwrap();
        assert_eq!(hours, ["48"]);
        let severities: Vec<_> = loaded.findings.iter().map(|f| (f.line, f.severity)).collect();
        assert_eq!(severities, [(1, Severity::Warn), (2, Severity::Erro)]);
    }

    #[test]
    fn replacing_a_file_keeps_its_rights() {
        let (folder, files) = site("a");
        std::fs::set_permissions(&files.current, std::fs::Permissions::from_mode(0o640)).unwrap();
        write(&files.current, "b").unwrap();
        assert_eq!(std::fs::metadata(&files.current).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_to_string(&files.current).unwrap(), "b");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
