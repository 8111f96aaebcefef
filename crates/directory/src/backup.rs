//! The directory's part of a backup: a copy of its database, made by the database while it is in use.

use crate::DirectoryServer;
use std::path::Path;
use storage::backup::{BackupError, Joining, Name, Steps, Work, servers};

/// Password hashes are in it.
const MODE: u32 = 0o600;

impl DirectoryServer {
    /// Adds the directory as it is now to the generation of a backup that is being made in this folder, under the name
    /// that the database has in its site.
    ///
    /// # Errors
    /// [`BackupError`]; the generation must not be finished then.
    pub async fn back_up(&self, generation: &Path, name: &Name, work: &Work) -> Result<(), BackupError> {
        let mut joining = Joining::new(generation, servers::DIRECTORY)?;
        let away = |_| BackupError::Refused("this process has no way to the directory's database".into());
        let (tables, name) = (self.shared.tables().map_err(away)?.clone(), name.clone());
        let copy = move |steps: &Steps| {
            tables.copy_to(&joining.place(&name)?)?;
            joining.add_file(name, MODE, steps)?;
            joining.finish()
        };
        work.run(copy).await.map(|_| ())
    }
}
