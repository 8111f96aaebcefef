//! A whole site from a generation, into an empty folder.
//!
//! As long as it is not done, a file says so ([`UNFINISHED`]): nobody opens such a folder as a site.

use super::generation::{Generation, make_folder, sync_folder, sync_folders};
use super::{BackupError, FileCopy, Kind, Steps};
use crate::shard::{self, ShardOptions};
use env::random::Random;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// The file in a site folder that says that its restore has not come to its end.
pub const UNFINISHED: &str = "restore-unfinished";

impl Generation {
    /// Makes the site of a generation in a folder that is empty or not there. All is verified on the way.
    ///
    /// # Errors
    /// [`BackupError::Refused`] where the folder is not empty, or the generation is no whole site;
    /// [`BackupError::Damaged`] names the file that is not as it was written; [`BackupError::Ended`].
    pub fn restore(
        &self,
        to: &Path,
        options: &ShardOptions,
        random: &Random,
        steps: &Steps,
    ) -> Result<(), BackupError> {
        if self.kind != Kind::Site {
            let text = "this generation has mail only: mailboxes can be restored from it, no site".to_owned();
            return Err(BackupError::Refused(text));
        }
        make_folder(to)?;
        let mut there = fs::read_dir(to).map_err(BackupError::file(to))?;
        if there.any(|e| e.is_ok_and(|e| e.file_name() != "lost+found")) {
            return Err(BackupError::Refused(format!("{} is not empty", to.display())));
        }
        let mark = to.join(UNFINISHED);
        File::create_new(&mark).and_then(|file| file.sync_all()).map_err(BackupError::file(&mark))?;
        sync_folder(to)?;
        for server in self.parts() {
            let part = self.part(server)?.unwrap_or_default();
            for (name, copy) in &part.shards {
                let folder = to.join(name.as_str());
                make_folder(&folder)?;
                let made = (options, random.number());
                shard::restore(&self.shard_folder(name), copy, &folder, made, steps)?;
            }
            for file in &part.files {
                restore_file(&self.file(&file.name), file, &to.join(file.name.as_str()), steps)?;
            }
        }
        sync_folders(to)?;
        fs::remove_file(&mark).map_err(BackupError::file(&mark))?;
        sync_folder(to)
    }
}

fn restore_file(from: &Path, file: &FileCopy, to: &Path, steps: &Steps) -> Result<(), BackupError> {
    to.parent().map_or(Ok(()), make_folder)?;
    let source = File::open(from).map_err(BackupError::file(from))?;
    let made = File::options().write(true).create_new(true).mode(0o600).open(to);
    let mut made = made.map_err(BackupError::file(to))?;
    io::copy(&mut source.take(file.bytes), &mut made).map_err(BackupError::file(to))?;
    made.set_permissions(fs::Permissions::from_mode(file.mode)).map_err(BackupError::file(to))?;
    made.sync_all().map_err(BackupError::file(to))?;
    steps.work().expect(file.bytes);
    match shard::sum_of(to, file.bytes, steps)? {
        Some(sum) if sum == file.sum => Ok(()),
        _ => Err(BackupError::Damaged { path: from.into(), what: "it is not as it was written".into() }),
    }
}
