//! What is asked of an open index: which messages of a volume have grams, how many there are, and which are to go.

use super::grams;
use super::opened::{Fields, Open};
use mail::sequence::NumberSet;
use std::sync::Arc;
use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::Column;
use tantivy::query::{
    BitSetDocSet, BooleanQuery, ConstScorer, EnableScoring, Explanation, Occur, Query, Scorer, TermQuery,
    Weight,
};
use tantivy::schema::IndexRecordOption;
use tantivy::{BitSet, DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyError, Term};

/// UIDs that have all of these grams, or are always looked at.
pub(super) fn candidates(open: &Open, place: &[u8], grams: &[u64]) -> tantivy::Result<NumberSet> {
    let fields = open.fields;
    let term = |term| -> Box<dyn Query> { Box::new(TermQuery::new(term, IndexRecordOption::Basic)) };
    let gram = |gram: u64| term(Term::from_field_u64(fields.gram, gram));
    let all = BooleanQuery::intersection(grams.iter().map(|&g| gram(g)).collect());
    let either = BooleanQuery::union(vec![Box::new(all), gram(grams::ALWAYS)]);
    let place = term(Term::from_field_bytes(fields.place, place));
    let query = BooleanQuery::new(vec![(Occur::Must, place), (Occur::Must, Box::new(either))]);
    let mut uids = open.reader.searcher().search(&query, &Uids)?;
    uids.sort_unstable();
    Ok(uids.into_iter().collect())
}

/// How many it holds. Not the frequency of the term, which counts what was taken out until a merge.
pub(super) fn count(open: &Open, place: &[u8]) -> tantivy::Result<usize> {
    let term = Term::from_field_bytes(open.fields.place, place);
    TermQuery::new(term, IndexRecordOption::Basic).count(&open.reader.searcher())
}

/// Collects the UIDs of what a query finds.
struct Uids;

struct UidsOfSegment {
    column: Column<u64>,
    found: Vec<u32>,
}

impl Collector for Uids {
    type Fruit = Vec<u32>;
    type Child = UidsOfSegment;

    fn for_segment(&self, _: u32, segment: &SegmentReader) -> tantivy::Result<UidsOfSegment> {
        Ok(UidsOfSegment { column: segment.fast_fields().u64("uid")?, found: Vec::new() })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, fruits: Vec<Vec<u32>>) -> tantivy::Result<Vec<u32>> {
        Ok(fruits.concat())
    }
}

impl SegmentCollector for UidsOfSegment {
    type Fruit = Vec<u32>;

    fn collect(&mut self, document: DocId, _: Score) {
        self.found.extend(uid(&self.column, document));
    }

    fn harvest(self) -> Vec<u32> {
        self.found
    }
}

fn uid(column: &Column<u64>, document: DocId) -> Option<u32> {
    column.first(document).and_then(|uid| u32::try_from(uid).ok())
}

/// What the index holds of a volume but is not in this set.
#[derive(Debug, Clone)]
pub(super) struct Gone {
    pub(super) fields: Fields,
    pub(super) place: Vec<u8>,
    pub(super) there: Arc<NumberSet>,
}

impl Query for Gone {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for Gone {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let column = reader.fast_fields().u64("uid")?;
        let inverted = reader.inverted_index(self.fields.place)?;
        let mut gone = BitSet::with_max_value(reader.max_doc());
        let place = Term::from_field_bytes(self.fields.place, &self.place);
        if let Some(mut held) = inverted.read_postings(&place, IndexRecordOption::Basic)? {
            while held.doc() != TERMINATED {
                if uid(&column, held.doc()).is_none_or(|uid| !self.there.contains(uid)) {
                    gone.insert(held.doc());
                }
                held.advance();
            }
        }
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(gone), boost)))
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        Err(TantivyError::InvalidArgument("what is gone has no score".into()))
    }
}
