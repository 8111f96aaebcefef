//! The store's part of a backup: a copy of every shard.
//!
//! First the rows of all shards, during which no mailbox changes its shard, so that each is in exactly one of them; then
//! the segments, which takes longer.

use crate::open::{FORMAT, Inner, Store, shard_name};
use std::path::Path;
use storage::backup::{BackupError, Joining, Name, Steps, Work, servers};

impl Store {
    /// Adds everything that was acknowledged before to the generation that is being made in this folder, while the store
    /// serves. Where the future is dropped, it ends.
    ///
    /// # Errors
    /// [`BackupError`]; the generation must not be finished then.
    pub async fn back_up(&self, generation: &Path, work: &Work) -> Result<(), BackupError> {
        self.inner().back_up(generation, work).await
    }
}

impl Inner {
    async fn back_up(&self, generation: &Path, work: &Work) -> Result<(), BackupError> {
        let mut joining = Joining::new(generation, servers::STORE)?;
        let mut taken = Vec::with_capacity(self.shards.len());
        let staying = self.placement.stay().await;
        for (number, shard) in (0u32..).zip(&self.shards) {
            let name = name(&shard_name(number))?;
            let (to, generation, earlier) = joining.shard(&name)?;
            taken.push((name, generation, earlier, shard.take_rows(to, work).await?));
        }
        drop(staying);
        for (name, generation, earlier, rows) in taken {
            joining.add_shard(name, rows.copy_segments(generation, earlier, work).await?);
        }
        let (name, format) = (name(FORMAT)?, self.folder.join(FORMAT));
        let finish = move |steps: &Steps| {
            joining.copy_file(name, &format, steps)?;
            joining.finish()
        };
        work.run(finish).await.map(|_| ())
    }
}

/// The name of something in the store's folder, as a site has it.
fn name(below: &str) -> Result<Name, BackupError> {
    let text = format!("{}/{below}", servers::STORE);
    Name::parse(&text).ok_or(BackupError::Refused(text))
}
