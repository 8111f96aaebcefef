//! What was changed, by whom, when and why: `config.db.history`, a line of JSON for each accepted change.
//!
//! A record is durable before the file it describes takes its place, and carries the checksums of the text before and
//! after it. So after a crash between the two the record is known not to have come into force, and a file that was
//! changed by hand is known, too. Holds at most [`MAX_RECORDS`]; who may append holds the lock of the configuration.

use super::load::{Files, write};
use catalog::tree::{Path, Tree, parse_values, write_values};
use mail::time::Timestamp;
use roles::configuration::{Accepted, Difference, Version};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

/// Most changes that are kept; past it the older half goes.
pub const MAX_RECORDS: usize = 1000;
/// Most bytes of a history; past it the older half goes.
const MAX_SIZE: u64 = 32 << 20;
/// Who changed a file that was changed by hand.
pub(super) const BY_HAND: &str = "by hand";

/// One change, as a line of the file has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    version: u64,
    at: i64,
    who: String,
    why: String,
    before: String,
    after: String,
    differences: Option<Vec<Entry>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trial: Option<Mark>,
}

/// What a change has to do with a trial on some hosts (`super::trial`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Mark {
    /// It begins one.
    Begun {
        /// Where.
        hosts: Vec<String>,
        /// For how long.
        seconds: u64,
        /// Whether servers are restarted for it.
        restarts: bool,
        /// What is to hold on every host at its end.
        wide: Vec<Entry>,
    },
    /// It ends the one that this version began.
    Ended {
        /// That version.
        trial: u64,
        /// Whether the change was spread to every host.
        spread: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    path: String,
    before: Option<String>,
    after: Option<String>,
}

/// Who changes something, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Author {
    /// Who.
    pub(super) who: String,
    /// Why.
    pub(super) why: String,
    /// When.
    pub(super) at: Timestamp,
    /// Whether it begins or ends a trial.
    pub(super) trial: Option<Mark>,
}

/// The changes of a configuration, oldest first.
#[derive(Debug, Default)]
pub(super) struct History(Vec<Record>);

impl History {
    /// What the file has. Lines that cannot be read are passed over: a damaged history must not stop a change.
    pub(super) fn read(files: &Files) -> io::Result<Self> {
        let file = match File::open(files.history()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            file => file?,
        };
        let mut bytes = Vec::new();
        file.take(2 * MAX_SIZE).read_to_end(&mut bytes)?;
        let lines = bytes.split(|byte| *byte == b'\n');
        let mut records: Vec<Record> = Vec::new();
        for record in lines.filter_map(|line| serde_json::from_slice::<Record>(line).ok()) {
            // One that never came into force stands before the one that took its number.
            records.retain(|earlier| earlier.version < record.version);
            records.push(record);
        }
        Ok(Self(records))
    }

    /// The records that came into force for this text, oldest first, each with what it has to do with a trial.
    pub(super) fn marks(&self, text: &str) -> impl Iterator<Item = (Accepted, &Mark)> {
        let now = self.version(text).0;
        let held = self.0.iter().filter(move |record| record.version <= now);
        held.filter_map(|record| Some((record.accepted(), record.trial.as_ref()?)))
    }

    /// Versions with the checksum of their text, the newest first, at most this many.
    pub(super) fn checksums(&self, text: &str, most: usize) -> Vec<(Version, String)> {
        let now = self.version(text).0;
        let held = self.0.iter().rev().filter(|record| record.version <= now);
        held.take(most).map(|record| (Version(record.version), record.after.clone())).collect()
    }

    /// The number of a text: of the last change where it made this text, of the one before where the last one never
    /// came into force.
    pub(super) fn version(&self, text: &str) -> Version {
        let Some(last) = self.0.last() else { return Version(0) };
        let undone = last.before == checksum(text) && last.after != last.before;
        Version(last.version - u64::from(undone))
    }

    /// The newest changes, the last one first.
    pub(super) fn newest(&self, text: &str, most: usize) -> Vec<Accepted> {
        let now = self.version(text).0;
        let held = self.0.iter().rev().filter(|record| record.version <= now);
        held.take(most).map(Record::accepted).collect()
    }

    /// When the text was changed by hand, where that was the last change.
    pub(super) fn by_hand(&self, text: &str) -> Option<Timestamp> {
        let now = self.version(text).0;
        let last = self.0.iter().rev().find(|record| record.version <= now)?;
        (last.who == BY_HAND).then(|| Timestamp::from_micros(last.at))
    }

    /// What must be said of entries so that they are as they were in that version; `None` where the history does not
    /// lead there.
    pub(super) fn back_to(&self, text: &str, to: Version) -> Option<Vec<Difference>> {
        let now = self.version(text);
        let since: Vec<_> = self.0.iter().filter(|r| r.version > to.0 && r.version <= now.0).collect();
        if to > now || since.len() as u64 != now.0 - to.0 {
            return None;
        }
        let mut back: Vec<Difference> = Vec::new();
        for record in since.into_iter().rev() {
            for Difference { path, before, after } in record.accepted().differences? {
                match back.iter_mut().find(|known| known.path == path) {
                    Some(known) => known.after = before,
                    None => back.push(Difference { path, before: after, after: before }),
                }
            }
        }
        Some(back)
    }

    /// Appends the change from one text to another: durable when it returns. Returns its number.
    pub(super) fn append(
        mut self,
        files: &Files,
        (before, after): (&str, &str),
        differences: Option<&[Difference]>,
        author: &Author,
    ) -> io::Result<Version> {
        let now = self.version(before);
        self.0.retain(|record| record.version <= now.0);
        let record = Record {
            version: now.0 + 1,
            at: author.at.as_micros(),
            who: author.who.clone(),
            why: author.why.clone(),
            before: checksum(before),
            after: checksum(after),
            differences: differences.map(|all| all.iter().map(Entry::of).collect()),
            trial: author.trial.clone(),
        };
        let version = Version(record.version);
        let line = serde_json::to_string(&record)? + "\n";
        let size = std::fs::metadata(files.history()).map_or(0, |data| data.len());
        if self.0.len() >= MAX_RECORDS || size + line.len() as u64 > MAX_SIZE {
            let mut kept = self.0.split_off(self.0.len() / 2);
            // What is being tried must be known to be.
            let open = self.0.into_iter().rev().find(|record| record.trial.is_some());
            let open = open.filter(|record| matches!(record.trial, Some(Mark::Begun { .. })));
            if !kept.iter().any(|record| record.trial.is_some()) {
                kept.splice(0..0, open);
            }
            let kept: Result<Vec<_>, _> = kept.iter().map(serde_json::to_string).collect();
            let text = kept?.into_iter().map(|line| line + "\n").collect::<String>() + &line;
            write(&files.history(), &text)?;
            return Ok(version);
        }
        let mut options = OpenOptions::new();
        let mut file = options.create(true).append(true).mode(0o600).open(files.history())?;
        // A line that a crash cut off must not take this one with it.
        file.write_all(format!("\n{line}").as_bytes())?;
        file.sync_all()?;
        Ok(version)
    }
}

impl Record {
    fn accepted(&self) -> Accepted {
        let differences = self.differences.as_ref();
        Accepted {
            version: Version(self.version),
            at: Timestamp::from_micros(self.at),
            who: self.who.clone(),
            why: self.why.clone(),
            differences: differences.map(|all| all.iter().filter_map(Entry::difference).collect()),
        }
    }
}

impl Entry {
    pub(super) fn of(difference: &Difference) -> Self {
        let written = |values: &Option<Vec<String>>| values.as_deref().map(write_values);
        Self {
            path: difference.path.to_string(),
            before: written(&difference.before),
            after: written(&difference.after),
        }
    }

    pub(super) fn difference(&self) -> Option<Difference> {
        let values = |text: &Option<String>| text.as_deref().and_then(parse_values);
        Some(Difference {
            path: Path::parse(&self.path)?,
            before: values(&self.before),
            after: values(&self.after),
        })
    }
}

/// Notes that the file has become this text without anybody having said so. Needs the lock of the configuration; a
/// text that the history knows is not noted again.
pub(super) fn note_by_hand(
    files: &Files,
    (before, after): (Option<&str>, &str),
    at: Timestamp,
) -> io::Result<()> {
    let history = History::read(files)?;
    let sum = checksum(after);
    let last = history.0.last();
    if last.is_some_and(|last| last.after == sum || last.before == sum) {
        return Ok(());
    }
    if last.is_none() && before == Some(after) {
        return Ok(());
    }
    // What the file was is known where the copy beside it is what the last change made.
    let known = before.filter(|before| last.is_none_or(|last| last.after == checksum(before)));
    let trees = known.and_then(|before| Some((Tree::parse(before).ok()?, Tree::parse(after).ok()?)));
    if trees.is_none() && last.is_none() {
        return Ok(());
    }
    let differences = trees.map(|(before, after)| differences(&before, &after));
    let author = Author { who: BY_HAND.into(), why: String::new(), at, trial: None };
    history.append(files, (known.unwrap_or_default(), after), differences.as_deref(), &author)?;
    Ok(())
}

/// The entries in which two trees differ, in order of their paths.
pub fn differences(before: &Tree, after: &Tree) -> Vec<Difference> {
    let mut paths: Vec<&Path> = Vec::new();
    for (tree, other) in [(before, after), (after, before)] {
        let differs = tree.entries().filter(|(path, _, values)| other.get(path) != Some(*values));
        paths.extend(differs.map(|(path, _, _)| path));
    }
    paths.sort();
    paths.dedup();
    let values = |tree: &Tree, path: &Path| tree.get(path).map(<[String]>::to_vec);
    let difference = |path: &Path| Difference {
        path: path.clone(),
        before: values(before, path),
        after: values(after, path),
    };
    paths.into_iter().map(difference).collect()
}

/// What tells one text of a configuration from another: 32 hexadecimal digits.
pub fn checksum(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn author(who: &str) -> Author {
        Author {
            who: who.into(),
            why: "because".into(),
            at: Timestamp::from_secs(1_795_437_325),
            trial: None,
        }
    }

    fn files() -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::in_folder(folder.path());
        (folder, files)
    }

    /// Appends the change between two texts.
    fn append(files: &Files, before: &str, after: &str) -> Version {
        let trees = (Tree::parse(before).unwrap(), Tree::parse(after).unwrap());
        let differences = differences(&trees.0, &trees.1);
        let history = History::read(files).unwrap();
        history.append(files, (before, after), Some(&differences), &author("root")).unwrap()
    }

    const A: &str = "/*/mta/SMTPPort: [1]\n";
    const B: &str = "/*/mta/SMTPPort: [2]\n/*/mta/banners: [x]\n";
    const C: &str = "/*/mta/SMTPPort: [3]\n/*/mta/banners: [x]\n";

    #[test]
    fn changes_are_numbered_and_lead_back() {
        let (_folder, files) = files();
        assert_eq!((append(&files, A, B), append(&files, B, C)), (Version(1), Version(2)));
        let history = History::read(&files).unwrap();
        assert_eq!(history.version(C), Version(2));
        let newest = history.newest(C, 9);
        assert_eq!((newest[0].version, newest[1].who.as_str()), (Version(2), "root"));
        let back = history.back_to(C, Version(0)).unwrap();
        let said: Vec<_> = back.iter().map(|d| (d.path.key.as_str(), d.after.clone())).collect();
        assert_eq!(said, [("SMTPPort", Some(vec!["1".to_owned()])), ("banners", None)]);
        assert_eq!(history.back_to(C, Version(3)), None);
    }

    #[test]
    fn a_change_that_a_crash_kept_from_its_file_never_was() {
        let (_folder, files) = files();
        append(&files, A, B);
        append(&files, B, C);
        let history = History::read(&files).unwrap();
        assert_eq!((history.version(B), history.newest(B, 9).len()), (Version(1), 1));
        assert_eq!(append(&files, B, A), Version(2));
        let again = History::read(&files).unwrap();
        assert_eq!((again.version(A), again.newest(A, 9).len()), (Version(2), 2));
        assert_eq!(
            again.back_to(A, Version(1)).unwrap()[0].after,
            Some(vec!["2".to_owned()]),
            "from B, not from C"
        );
    }

    #[test]
    fn a_change_by_hand_is_noted_once_and_leads_back_where_its_beginning_is_known() {
        let (_folder, files) = files();
        let at = Timestamp::from_secs(1);
        note_by_hand(&files, (Some(A), A), at).unwrap();
        assert!(History::read(&files).unwrap().0.is_empty(), "nothing has changed");
        append(&files, A, B);
        for _ in 0..2 {
            note_by_hand(&files, (Some(B), C), at).unwrap();
        }
        let history = History::read(&files).unwrap();
        assert_eq!((history.version(C), history.0[1].who.as_str()), (Version(2), BY_HAND));
        assert_eq!(history.back_to(C, Version(1)).unwrap().len(), 1);
        note_by_hand(&files, (Some("other"), A), at).unwrap();
        assert_eq!(
            History::read(&files).unwrap().back_to(A, Version(1)),
            None,
            "nobody knows what was there"
        );
    }

    #[test]
    fn a_damaged_line_and_too_many_changes_do_not_stop_the_next_one() {
        let (_folder, files) = files();
        append(&files, A, B);
        let mut text = std::fs::read_to_string(files.history()).unwrap();
        text.push_str("{\"version\":");
        std::fs::write(files.history(), &text).unwrap();
        assert_eq!(append(&files, B, C), Version(2));
        let mut all = History::read(&files).unwrap();
        let last = all.0[1].clone();
        all.0 = (0..=MAX_RECORDS as u64).map(|n| Record { version: n + 3, ..last.clone() }).collect();
        all.append(&files, (C, A), None, &author("x")).unwrap();
        let kept = History::read(&files).unwrap();
        assert!(kept.0.len() < MAX_RECORDS && kept.version(A) == Version(MAX_RECORDS as u64 + 4));
    }
}
