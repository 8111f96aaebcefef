//! An open index: where it lies, what its documents have, and how it is opened or made.

use super::TextError;
use super::files::{Check, Files};
use super::find::Gone;
use crate::mailboxes::{TextRow, Volume};
use env::random::Random;
use mail::id::MailboxId;
use mail::sequence::NumberSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tantivy::index::SegmentId;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::schema::{BytesOptions, FAST, Field, NumericOptions, Schema, TantivyDocument};
use tantivy::{Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, Term};

/// Of the schema, the grams and the files: an index of another version is made anew.
const VERSION: &str = "2-";
/// Bytes that a writer holds, while there is something to write.
const WRITER_BYTES: usize = 24 << 20;
/// A part of this many messages is not merged with others.
const LARGEST_MERGED: usize = 500_000;

pub(super) struct Open {
    pub(super) generation: u64,
    pub(super) index: Index,
    pub(super) reader: IndexReader,
    pub(super) fields: Fields,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    pub(super) place: Field,
    pub(super) uid: Field,
    pub(super) gram: Field,
}

/// An index whose files have not been checked. Only its list of files has been read.
pub(super) struct Found {
    generation: u64,
    index: Index,
    files: Files,
}

/// Finds the index that the shard knows, in one of its states: where it is another, older or newer, it cannot be said
/// what it lacks. `None`: there is no such index.
pub(super) fn find(path: &Path, noted: &TextRow) -> Option<Found> {
    let files = Files::new(folder(path, noted.generation));
    let index = Index::open(files.clone()).ok()?;
    let commit = match index.load_metas().ok()?.payload {
        Some(number) => u64::from_str_radix(&number, 16).ok()?,
        None => 0,
    };
    noted.may_be_at(commit).then_some(Found { generation: noted.generation, index, files })
}

impl Found {
    /// The files that it consists of, to be checked before anybody decodes them. `None` where one is lost.
    pub(super) fn checks(&self) -> Option<Vec<Check>> {
        let (metas, written) = (self.index.load_metas().ok()?, self.index.directory().list_managed_files());
        // The list has all files that there may be. Those that were never written are in no list of what was.
        let there = metas.list_segment_files().into_iter().filter(|file| written.contains(file));
        let checks: Vec<_> = there.map(|file| self.files.check(&file).ok()).collect::<Option<_>>()?;
        (!checks.is_empty() || metas.segments.is_empty()).then_some(checks)
    }

    /// After the checks.
    pub(super) fn open(self) -> Option<Open> {
        Open::of(self.generation, self.index).ok()
    }
}

/// Makes an empty one, in place of whatever there is.
pub(super) fn make(path: &Path, random: &Random, noted: &TextRow) -> Result<Open, TextError> {
    let io = |e: std::io::Error| TextError::Failed(e.to_string());
    super::remove(path)?;
    // Never the one of which something is noted.
    let generation =
        Some(random.number().max(1)).filter(|n| *n != noted.generation).unwrap_or(noted.generation ^ 2);
    let folder = folder(path, generation);
    std::fs::create_dir_all(&folder).map_err(io)?;
    let files = Files::new(folder);
    let index = Index::create(files, schema(), IndexSettings::default()).map_err(super::failed)?;
    Open::of(generation, index).map_err(super::failed)
}

fn folder(path: &Path, generation: u64) -> PathBuf {
    path.join(format!("{VERSION}{generation:016x}"))
}

impl Open {
    fn of(generation: u64, index: Index) -> tantivy::Result<Self> {
        let schema = index.schema();
        let fields = Fields {
            place: schema.get_field("place")?,
            uid: schema.get_field("uid")?,
            gram: schema.get_field("gram")?,
        };
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { generation, index, reader, fields })
    }

    pub(super) fn writer(&self) -> tantivy::Result<IndexWriter> {
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(WRITER_BYTES)
            .build();
        let writer = self.index.writer_with_options(options)?;
        let mut merges = LogMergePolicy::default();
        merges.set_max_docs_before_merge(LARGEST_MERGED);
        writer.set_merge_policy(Box::new(merges));
        Ok(writer)
    }

    pub(super) fn put(&self, writer: &IndexWriter, document: super::Document) -> tantivy::Result<()> {
        let mut out = TantivyDocument::new();
        out.add_bytes(self.fields.place, &place(document.mailbox, document.volume));
        out.add_u64(self.fields.uid, u64::from(document.uid.0));
        document.grams.into_terms().into_iter().for_each(|gram| out.add_u64(self.fields.gram, gram));
        writer.add_document(out).map(drop)
    }

    pub(super) fn forget(&self, writer: &IndexWriter, place: &[u8]) {
        writer.delete_term(Term::from_field_bytes(self.fields.place, place));
    }

    pub(super) fn keep(&self, writer: &IndexWriter, place: Vec<u8>, there: NumberSet) -> tantivy::Result<()> {
        let gone = Gone { fields: self.fields, place, there: Arc::new(there) };
        writer.delete_query(Box::new(gone)).map(drop)
    }

    /// Parts with messages that were taken out, and how many messages each has.
    pub(super) fn parts_with_gone(&self) -> tantivy::Result<Vec<(SegmentId, u32)>> {
        let parts = self.index.searchable_segment_metas()?;
        Ok(parts.into_iter().filter(|p| p.num_deleted_docs() > 0).map(|p| (p.id(), p.max_doc())).collect())
    }
}

fn schema() -> Schema {
    let mut schema = Schema::builder();
    schema.add_bytes_field("place", BytesOptions::default().set_indexed());
    schema.add_u64_field("uid", FAST);
    schema.add_u64_field("gram", NumericOptions::default().set_indexed());
    schema.build()
}

/// Whose and where, as one value.
pub(super) fn place(mailbox: MailboxId, volume: Volume) -> Vec<u8> {
    [&mailbox.0.to_be_bytes()[..], &volume.0.to_be_bytes()].concat()
}
