//! SEARCH and ESEARCH responses. RFC 9051 7.3.4 (ESEARCH), RFC 3501 7.2.5, RFC 4731, RFC 7162 3.1.5.

use super::super::command::{By, SearchReturn, Tag};
use super::Put;
use bytes::{BufMut, BytesMut};
use mail::id::ModSeq;
use mail::sequence::NumberSet;

/// What a search has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchAnswer<'a> {
    /// Numbers or UIDs, as asked for.
    pub found: &'a NumberSet,
    /// The highest modification sequence of what is told, where the search asked for one.
    pub modseq: Option<ModSeq>,
}

/// The old form: every number by itself.
pub fn search(out: &mut BytesMut, answer: SearchAnswer<'_>) {
    out.raw("* SEARCH");
    for number in answer.found.iter() {
        out.put_u8(b' ');
        out.number(number);
    }
    if let Some(modseq) = answer.modseq.filter(|_| !answer.found.is_empty()) {
        out.raw(" (MODSEQ ").number(modseq.0).raw(")");
    }
    out.crlf();
}

/// The extended form: only what was asked for. RFC 4731 3.1: MIN, MAX and ALL are left out where nothing
/// was found, COUNT never is.
pub fn esearch(out: &mut BytesMut, tag: &Tag, by: By, give: SearchReturn, answer: SearchAnswer<'_>) {
    out.raw("* ESEARCH (TAG ").string(tag.as_str().as_bytes()).raw(")");
    if by == By::Uid {
        out.raw(" UID");
    }
    if let Some(min) = answer.found.first().filter(|_| give.min) {
        out.raw(" MIN ").number(min);
    }
    if let Some(max) = answer.found.last().filter(|_| give.max) {
        out.raw(" MAX ").number(max);
    }
    if give.all && !answer.found.is_empty() {
        out.raw(" ALL ").set(answer.found);
    }
    if give.count {
        out.raw(" COUNT ").number(answer.found.len());
    }
    if let Some(modseq) = answer.modseq.filter(|_| !answer.found.is_empty()) {
        out.raw(" MODSEQ ").number(modseq.0);
    }
    out.crlf();
}
