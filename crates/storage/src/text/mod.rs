//! Which messages may have a text: an index of grams beside a shard, in tantivy.
//!
//! Derived data. It is never asked for more than candidates, it is written in batches long after the mail, it is left
//! out of backups, and where it is lost, damaged, of another version or not at the commit that the shard has noted
//! (`mailboxes::indexed`), it is made anew. A folder named by its generation holds it.
//!
//! It holds UIDs by volume, not what became of them: messages that are gone are still candidates until they are taken
//! out, and whoever asks compares with the rows. Which messages are fed, and when, is the store's business.

mod files;
mod find;
mod grams;
mod opened;

pub use grams::{Grams, MAX_GRAMS};

use crate::mailboxes::{TextRow, Volume};
use crate::pace::Pace;
use env::compute::{Busy, Compute};
use env::random::Random;
use files::Checked;
use mail::id::{MailboxId, Uid};
use mail::search::Needle;
use mail::sequence::NumberSet;
use opened::{Open, place};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tantivy::IndexWriter;
use tantivy::index::SegmentId;

/// Requests that wait for a thread of the indexes.
const WAITING: usize = 64;
/// Bytes that a message takes in the index, about: for the pace of merges.
const MESSAGE_BYTES: u64 = 1024;

/// Why the index cannot be asked: the caller looks at every text then.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// It has not been read through since it was opened, or is being made anew.
    #[error("the text index is not ready")]
    NotReady,
    /// Too much is asked at once.
    #[error("the text index is busy")]
    Busy,
    /// It is damaged, or its disk is full or fails.
    #[error("the text index failed: {0}")]
    Failed(String),
}

/// One message that is to be found.
#[derive(Debug)]
pub struct Document {
    /// Whose.
    pub mailbox: MailboxId,
    /// Where.
    pub volume: Volume,
    /// Which.
    pub uid: Uid,
    /// What of.
    pub grams: Grams,
}

/// The text index of a shard. Clones share it.
#[derive(Clone)]
pub struct TextIndex {
    shared: Arc<Shared>,
    threads: TextThreads,
}

/// One thread for writing and one for answers, so that nobody waits for a batch. Indexes may share them.
#[derive(Clone)]
pub struct TextThreads {
    writing: Compute,
    asking: Compute,
}

impl Default for TextThreads {
    fn default() -> Self {
        Self { writing: Compute::new(1, WAITING), asking: Compute::new(1, WAITING) }
    }
}

struct Shared {
    path: PathBuf,
    random: Random,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<Arc<Open>>,
    /// Every byte has been read since it was opened, and nothing has failed since.
    is_proven: bool,
    writer: Option<IndexWriter>,
}

impl TextIndex {
    /// The index in this folder. Nothing is opened before it is needed.
    pub fn new(path: &Path, random: &Random, threads: &TextThreads) -> Self {
        let state = Mutex::default();
        let shared = Arc::new(Shared { path: path.to_owned(), random: random.clone(), state });
        Self { shared, threads: threads.clone() }
    }

    /// Opens it, if it is the one that is noted, and reads all of it once at this pace; makes an empty one where that
    /// fails. Returns its generation. Costs nothing where it is ready already.
    ///
    /// # Errors
    /// [`TextError`] where no index can be made in the folder, or the pace has ended.
    pub async fn ready(&self, noted: &TextRow, pace: &Pace) -> Result<u64, TextError> {
        if let Ok(generation) = self.generation() {
            return Ok(generation);
        }
        let noted = *noted;
        let open = match self.open(noted, pace).await {
            Ok(Some(open)) => open,
            // What cannot be opened is not mended.
            Ok(None) | Err(TextError::Failed(_)) => self.write(move |shared| shared.make(&noted)).await?,
            Err(other) => return Err(other),
        };
        let generation = open.generation;
        *self.shared.state() = State { open: Some(Arc::new(open)), is_proven: true, writer: None };
        Ok(generation)
    }

    /// Its generation, where it is ready.
    ///
    /// # Errors
    /// [`TextError::NotReady`].
    pub fn generation(&self) -> Result<u64, TextError> {
        Ok(self.shared.proven()?.generation)
    }

    /// Takes messages in. They are found after [`TextIndex::commit`].
    ///
    /// # Errors
    /// [`TextError`]; nothing since the last commit counts then.
    pub async fn add(&self, documents: Vec<Document>) -> Result<(), TextError> {
        self.change(move |open, writer| documents.into_iter().try_for_each(|d| open.put(writer, d))).await
    }

    /// Forgets all messages of a volume that were added before, with the next commit.
    ///
    /// # Errors
    /// As [`TextIndex::add`].
    pub async fn forget(&self, mailbox: MailboxId, volume: Volume) -> Result<(), TextError> {
        self.change(move |open, writer| {
            open.forget(writer, &place(mailbox, volume));
            Ok(())
        })
        .await
    }

    /// Forgets all messages of a volume but these, with the next commit.
    ///
    /// # Errors
    /// As [`TextIndex::add`].
    pub async fn keep(&self, mailbox: MailboxId, volume: Volume, there: NumberSet) -> Result<(), TextError> {
        self.change(move |open, writer| open.keep(writer, place(mailbox, volume), there)).await
    }

    /// Makes durable and visible, under this number, what was added or forgotten, and lets go of the memory that it took.
    ///
    /// # Errors
    /// As [`TextIndex::add`].
    pub async fn commit(&self, number: u64) -> Result<(), TextError> {
        self.write(move |shared| shared.commit(number)).await
    }

    /// Takes what was forgotten out of the files, one after the other at this pace: until then it is only hidden.
    ///
    /// # Errors
    /// As [`TextIndex::add`].
    pub async fn expunge(&self, pace: &Pace) -> Result<(), TextError> {
        let parts = self.write(|shared| shared.proven()?.parts_with_gone().map_err(failed)).await?;
        for (part, messages) in parts {
            self.write(move |shared| shared.rewrite(part)).await?;
            if pace.step(u64::from(messages) * MESSAGE_BYTES).await.is_break() {
                return Err(TextError::NotReady);
            }
        }
        Ok(())
    }

    /// Gives up the index and its files.
    ///
    /// # Errors
    /// [`TextError::Failed`] where a file stays.
    pub async fn discard(&self) -> Result<(), TextError> {
        self.write(|shared| {
            shared.close();
            remove(&shared.path)
        })
        .await
    }

    /// How many messages of a volume it holds, also such as are gone from the volume.
    ///
    /// # Errors
    /// [`TextError`].
    pub async fn count(&self, mailbox: MailboxId, volume: Volume) -> Result<u64, TextError> {
        let count = self.ask(move |open| find::count(open, &place(mailbox, volume))).await?;
        Ok(count as u64)
    }

    /// UIDs of a volume that may have the needle, and of which generation the answer is; nothing else that it holds of
    /// the volume has the needle. `None` where the needle has no gram.
    ///
    /// # Errors
    /// [`TextError`].
    pub async fn candidates(
        &self,
        mailbox: MailboxId,
        volume: Volume,
        needle: &Needle,
    ) -> Result<Option<(u64, NumberSet)>, TextError> {
        let grams = grams::of_needle(needle);
        if grams.is_empty() {
            return Ok(None);
        }
        let look = move |open: &Open| {
            Ok((open.generation, find::candidates(open, &place(mailbox, volume), &grams)?))
        };
        self.ask(look).await.map(Some)
    }

    /// Opens the index that is noted, if it is there and whole.
    async fn open(&self, noted: TextRow, pace: &Pace) -> Result<Option<Open>, TextError> {
        let find = move |shared: &Shared| {
            shared.close();
            Ok(opened::find(&shared.path, &noted))
        };
        let Some(found) = self.write(find).await? else { return Ok(None) };
        let Some(checks) = found.checks() else { return Ok(None) };
        for mut check in checks {
            loop {
                let bytes = match self.write(move |_| Ok(check.step())).await? {
                    Checked::Whole => break,
                    Checked::Damaged => return Ok(None),
                    Checked::More(rest, bytes) => {
                        check = rest;
                        bytes
                    }
                };
                if pace.step(bytes).await.is_break() {
                    return Err(TextError::NotReady);
                }
            }
        }
        self.write(move |_| Ok(found.open())).await
    }

    async fn change(
        &self,
        work: impl FnOnce(&Open, &IndexWriter) -> tantivy::Result<()> + Send + 'static,
    ) -> Result<(), TextError> {
        self.write(move |shared| shared.with_writer(work)).await
    }

    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Shared) -> Result<T, TextError> + Send + 'static,
    ) -> Result<T, TextError> {
        let shared = Arc::clone(&self.shared);
        self.judge(self.threads.writing.run(guarded(move || job(&shared))).await)
    }

    async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Open) -> tantivy::Result<T> + Send + 'static,
    ) -> Result<T, TextError> {
        let open = self.shared.proven()?;
        self.judge(self.threads.asking.run(guarded(move || job(&open).map_err(failed))).await)
    }

    /// What failed is not trusted any more: [`TextIndex::ready`] reads it again.
    fn judge<T>(&self, done: Result<Result<T, TextError>, Busy>) -> Result<T, TextError> {
        let done = done.unwrap_or(Err(TextError::Busy));
        if matches!(done, Err(TextError::Failed(_))) {
            self.shared.state().is_proven = false;
        }
        done
    }
}

/// The job, with an error in place of a panic: what a damaged file makes of a decoder is no matter of the caller's.
fn guarded<T>(job: impl FnOnce() -> Result<T, TextError>) -> impl FnOnce() -> Result<T, TextError> {
    move || {
        let done = catch_unwind(AssertUnwindSafe(job));
        done.unwrap_or_else(|_| Err(TextError::Failed("a task of it panicked".into())))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn proven(&self) -> Result<Arc<Open>, TextError> {
        let state = self.state();
        state.open.clone().filter(|_| state.is_proven).ok_or(TextError::NotReady)
    }

    /// Lets go of everything. A writer ends its threads here, not under the lock.
    fn close(&self) {
        let closed = std::mem::take(&mut *self.state());
        drop(closed);
    }

    fn make(&self, noted: &TextRow) -> Result<Open, TextError> {
        opened::make(&self.path, &self.random, noted)
    }

    /// The writer that is kept, or a new one. Taken out, so that who asks for the state does not wait for the disk.
    fn take_writer(&self, open: &Open) -> Result<IndexWriter, TextError> {
        let kept = self.state().writer.take();
        kept.map_or_else(|| open.writer().map_err(failed), Ok)
    }

    fn with_writer(
        &self,
        work: impl FnOnce(&Open, &IndexWriter) -> tantivy::Result<()>,
    ) -> Result<(), TextError> {
        let open = self.proven()?;
        let writer = self.take_writer(&open)?;
        work(&open, &writer).map_err(failed)?;
        self.state().writer = Some(writer);
        Ok(())
    }

    fn commit(&self, number: u64) -> Result<(), TextError> {
        let open = self.proven()?;
        let mut writer = self.take_writer(&open)?;
        let mut prepared = writer.prepare_commit().map_err(failed)?;
        prepared.set_payload(&format!("{number:016x}"));
        prepared.commit().map_err(failed)?;
        writer.wait_merging_threads().map_err(failed)?;
        open.reader.reload().map_err(failed)
    }

    fn rewrite(&self, part: SegmentId) -> Result<(), TextError> {
        let open = self.proven()?;
        let mut writer = self.take_writer(&open)?;
        writer.merge(&[part]).wait().map_err(failed)?;
        writer.wait_merging_threads().map_err(failed)?;
        open.reader.reload().map_err(failed)
    }
}

fn remove(path: &Path) -> Result<(), TextError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(TextError::Failed(error.to_string())),
        _ => Ok(()),
    }
}

fn failed(error: tantivy::TantivyError) -> TextError {
    TextError::Failed(error.to_string())
}

#[cfg(test)]
mod tests;
