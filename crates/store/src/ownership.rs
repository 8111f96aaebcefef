//! Who may open the store in a folder: the fences of its shards.
//!
//! Each shard has its fence in its own folder; what is true of the store is the greatest. They are written one by one: a
//! crash in between leaves some of an older epoch, which whoever opens the store next makes equal.

use crate::open::{FORMAT, shard_name};
use std::io;
use std::path::{Path, PathBuf};
use storage::shard::Title;

/// Most shards that are looked for.
const MAX_SHARDS: u32 = 10_000;

/// Whether there is a store in this folder.
pub fn is_made(folder: &Path) -> bool {
    folder.join(FORMAT).exists()
}

/// Who has the store in this folder; `None`: there is none, or nobody has ever said.
///
/// # Errors
/// Where a fence cannot be read, or is damaged.
pub fn fence(folder: &Path) -> io::Result<Option<Title>> {
    let titles = shards(folder).map(|shard| Title::read(&shard));
    let titles: Vec<Option<Title>> = titles.collect::<io::Result<_>>()?;
    Ok(titles.into_iter().flatten().max_by_key(|title| title.epoch))
}

/// Writes the fences of a store: whoever has it open by a smaller epoch acknowledges nothing from now on.
///
/// # Errors
/// Where one cannot be written; others may be.
pub fn set_fence(folder: &Path, title: &Title) -> io::Result<()> {
    shards(folder).try_for_each(|shard| match Title::read(&shard)? {
        Some(found) if title.gives_way_to(&found) => {
            let owner = format!("the store is {}'s by epoch {}", found.owner, found.epoch);
            Err(io::Error::new(io::ErrorKind::PermissionDenied, owner))
        }
        Some(found) if found == *title => Ok(()),
        _ => title.write(&shard),
    })
}

fn shards(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let shard = move |number| folder.join(shard_name(number));
    (0..MAX_SHARDS).map(shard).take_while(|shard| shard.is_dir())
}
