//! Reading a generation back, all of it.

use super::generation::Generation;
use super::{BackupError, FileCopy, Name, Steps, servers};
use crate::shard::{CopiedShard, Finding, Rows, ShardCopy, ShardError, sum_of};
use crate::{deferred, mailboxes, sql};

/// What a verification has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verified {
    /// Shards.
    pub shards: u64,
    /// Their segments.
    pub segments: u64,
    /// Bodies that rows refer to.
    pub bodies: u64,
    /// Rows.
    pub rows: u64,
    /// Files.
    pub files: u64,
}

impl Generation {
    /// Reads everything back: sums of all files, every row, every body that lived, and whether rows and bodies belong
    /// together. Tells what is wrong, file by file; nothing wrong hides anything else.
    ///
    /// # Errors
    /// [`BackupError::Ended`], [`BackupError::File`] where the disk does not give a file.
    pub fn verify(&self, steps: &Steps, found: &mut dyn FnMut(Finding)) -> Result<Verified, BackupError> {
        let mut verified = Verified::default();
        for server in self.parts() {
            let part = match self.part(server) {
                Ok(part) => part.unwrap_or_default(),
                Err(error) => {
                    tell(error, found)?;
                    continue;
                }
            };
            for (name, copy) in &part.shards {
                if let Err(error) = self.verify_shard(server, name, copy, (steps, &mut *found), &mut verified)
                {
                    tell(error, found)?;
                }
            }
            for file in &part.files {
                self.verify_file(file, steps, found)?;
                verified.files += 1;
            }
        }
        Ok(verified)
    }

    fn verify_shard(
        &self,
        server: &str,
        name: &Name,
        copy: &ShardCopy,
        (steps, found): (&Steps, &mut dyn FnMut(Finding)),
        verified: &mut Verified,
    ) -> Result<(), BackupError> {
        let folder = self.shard_folder(name);
        let path = folder.rows.clone();
        verified.shards += 1;
        verified.segments += copy.segments.len() as u64;
        verified.rows += copy.rows;
        let shard = match CopiedShard::open(folder, copy.clone()) {
            Ok(shard) => shard,
            Err(ShardError::Io(e)) if e.kind() == std::io::ErrorKind::NotFound => {
                found(Finding::new(&path, "it is missing"));
                return Ok(());
            }
            Err(error) => return tell_of(&path, error, found),
        };
        let mut whole = true;
        shard.verify(steps, &mut |finding| {
            whole = false;
            found(finding);
        })?;
        if !whole {
            return Ok(());
        }
        // Whether it adds up can only be said where all of it can be read.
        let view = shard.view();
        match references(server, &view).and_then(|(references, unreadable)| {
            verified.bodies += references.len() as u64;
            Ok((view.audit(&references)?, unreadable))
        }) {
            Ok((audit, 0)) if audit.is_clean() => Ok(()),
            Ok((audit, unreadable)) => {
                let what = format!(
                    "{} bodies are missing, {} belong to nothing, {} are counted wrong, {unreadable} rows cannot be read",
                    audit.widows.len(),
                    audit.orphans.len(),
                    audit.miscounted.len()
                );
                found(Finding::new(&path, what));
                Ok(())
            }
            Err(error) => tell_of(&path, error, found),
        }
    }

    fn verify_file(
        &self,
        file: &FileCopy,
        steps: &Steps,
        found: &mut dyn FnMut(Finding),
    ) -> Result<(), BackupError> {
        let path = self.file(&file.name);
        steps.work().expect(file.bytes);
        match sum_of(&path, file.bytes, steps)? {
            None => found(Finding::new(&path, format!("it is missing or shorter than {} bytes", file.bytes))),
            Some(sum) if sum != file.sum => found(Finding::new(&path, "it is not as it was written")),
            Some(_) if path.extension().is_some_and(|e| e == "db") && is_database(&path) => {
                if let Some(what) = sql::check_file(&path)? {
                    found(Finding::new(&path, what));
                }
            }
            Some(_) => {}
        }
        Ok(())
    }
}

/// All references to bodies that the rows of a server's shard have, and how many rows cannot be read.
fn references(server: &str, rows: &dyn Rows) -> Result<(crate::shard::References, u64), ShardError> {
    match server {
        servers::QUEUE => Ok((deferred::references(rows)?, 0)),
        _ => mailboxes::references(rows),
    }
}

/// Whether a file is a database and no text that is called so.
fn is_database(path: &std::path::Path) -> bool {
    use std::io::Read as _;
    let mut title = [0; 16];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut title));
    read.is_ok() && title == *b"SQLite format 3\0"
}

fn tell_of(
    path: &std::path::Path,
    error: ShardError,
    found: &mut dyn FnMut(Finding),
) -> Result<(), BackupError> {
    match error {
        ShardError::Corrupt(what) => {
            found(Finding::new(path, what));
            Ok(())
        }
        other => Err(other.into()),
    }
}

fn tell(error: BackupError, found: &mut dyn FnMut(Finding)) -> Result<(), BackupError> {
    match error {
        BackupError::Damaged { path, what } => found(Finding::new(&path, what)),
        BackupError::File { path, source } if source.kind() == std::io::ErrorKind::NotFound => {
            found(Finding::new(&path, "it is missing"));
        }
        other => return Err(other),
    }
    Ok(())
}
