//! What a search asks of a message, as values.
//!
//! The keys of IMAP's SEARCH (RFC 9051 6.4.4, RFC 3501 6.4.4) after everything that belongs to one session
//! has been resolved: sequence numbers have become UIDs, `OLDER` and `YOUNGER` have become moments, charsets
//! have become UTF-8. What is left can be asked of any store, today or tomorrow, with the same answer.
//!
//! A criterion can be tried twice: first on what an index row says ([`Criterion::judge`] with [`Facts`] that
//! answer `None` to questions about text), then, only where that left it open, with the text at hand.
//!
//! Upwards: `wire::imap` parses search keys, `imap` makes criteria of them, `roles::MessageStore` answers them.

use crate::flags::{Keyword, SystemFlags};
use crate::id::{ModSeq, Uid};
use crate::sequence::NumberSet;
use crate::time::{Civil, Timestamp};
use std::ops::Range;

/// Deepest nesting of `NOT`, `OR` and parentheses.
pub const MAX_DEPTH: usize = 24;
/// Most keys in one search, combining ones included.
pub const MAX_KEYS: usize = 512;
/// Longest text to look for, in bytes of UTF-8.
pub const MAX_NEEDLE_LEN: usize = 1024;

/// One criterion, or several combined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Criterion {
    /// All of these; none of them is true of every message.
    All(Vec<Criterion>),
    /// At least one of these; none of them is true of no message.
    Any(Vec<Criterion>),
    /// Not this.
    Not(Box<Criterion>),
    /// Its UID is one of these.
    Uids(NumberSet),
    /// Has all of these system flags.
    Flags(SystemFlags),
    /// Has this keyword.
    Keyword(Keyword),
    /// Its size in octets is greater than this.
    Larger(u64),
    /// Its size in octets is less than this.
    Smaller(u64),
    /// Its internal date lies in this half-open range.
    Received(Range<Timestamp>),
    /// The day written in its Date header, whatever the zone, lies in this half-open range.
    /// A message without a date that can be read fulfils no such criterion.
    Sent(Range<Day>),
    /// Its modification sequence is this or a later one. RFC 7162 3.1.5.
    ChangedSince(ModSeq),
    /// The text occurs somewhere.
    Text(Place, Needle),
}

/// Where a text is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the decoded value of a header field of this name (lower case). An empty text: the field exists.
    Header(Box<str>),
    /// In the decoded text of the body.
    Body,
    /// In header or body.
    Anywhere,
}

/// A day of the calendar: days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

impl Day {
    /// The first day that can be named.
    pub const MIN: Self = Self(i32::MIN);
    /// The last day that can be named.
    pub const MAX: Self = Self(i32::MAX);

    /// The day of a date; `None` where there is no such date.
    pub fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        let start = Timestamp::from_civil(Civil { year, month, day, hour: 0, minute: 0, second: 0 })?;
        Self::of(start)
    }

    /// The day of a moment in UTC; `None` outside of the calendar's range.
    pub fn of(moment: Timestamp) -> Option<Self> {
        i32::try_from(moment.as_secs().div_euclid(86_400)).ok().map(Self)
    }

    /// Its first moment, UTC.
    pub fn start(self) -> Timestamp {
        Timestamp::from_secs(i64::from(self.0) * 86_400)
    }

    /// The day after; the last day stays.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A text to look for, folded so that case does not matter. At most [`MAX_NEEDLE_LEN`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Needle(Box<str>);

impl Needle {
    /// Folds the text; `None` if it is too long.
    pub fn new(text: &str) -> Option<Self> {
        (text.len() <= MAX_NEEDLE_LEN).then(|| Self(fold(text).into_boxed_str()))
    }

    /// The folded text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it occurs in `text`, which need not be folded. The empty needle occurs everywhere.
    pub fn occurs_in(&self, text: &str) -> bool {
        let text = fold(text);
        memchr::memmem::find(text.as_bytes(), self.0.as_bytes()).is_some()
    }
}

/// Lower case, character by character: what two texts have in common if only case tells them apart.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // Upper case first brings letters together that lower case leaves apart (ς and σ).
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// What is known of one message. Answers cost what they cost: the index row is at hand, text is read.
pub trait Facts {
    /// Its UID.
    fn uid(&self) -> Uid;
    /// Its system flags.
    fn system_flags(&self) -> SystemFlags;
    /// Whether it has the keyword.
    fn has_keyword(&self, keyword: &Keyword) -> bool;
    /// Its size in octets.
    fn size(&self) -> u64;
    /// Its internal date.
    fn received(&self) -> Timestamp;
    /// The day its Date header names; `None` where there is none that can be read.
    fn sent(&self) -> Option<Day>;
    /// The change that touched it last.
    fn modseq(&self) -> ModSeq;
    /// Whether the text occurs at that place; `None` where that cannot be said yet.
    fn has_text(&self, place: &Place, needle: &Needle) -> Option<bool>;
}

impl Criterion {
    /// Fulfilled by every message.
    pub fn every() -> Self {
        Self::All(Vec::new())
    }

    /// Whether the message fulfils it; `None` where that hangs on a text not at hand.
    ///
    /// Deeper than [`MAX_DEPTH`] it says `Some(false)`: parsers refuse such searches.
    pub fn judge(&self, facts: &impl Facts) -> Option<bool> {
        self.judge_within(facts, MAX_DEPTH)
    }

    fn judge_within(&self, facts: &impl Facts, depth: usize) -> Option<bool> {
        let Some(depth) = depth.checked_sub(1) else { return Some(false) };
        match self {
            Self::All(list) => decide(list.iter().map(|c| c.judge_within(facts, depth)), false),
            Self::Any(list) => decide(list.iter().map(|c| c.judge_within(facts, depth)), true),
            Self::Not(inner) => inner.judge_within(facts, depth).map(|yes| !yes),
            Self::Uids(set) => Some(set.contains(facts.uid().0)),
            Self::Flags(flags) => Some(facts.system_flags().contains(*flags)),
            Self::Keyword(keyword) => Some(facts.has_keyword(keyword)),
            Self::Larger(size) => Some(facts.size() > *size),
            Self::Smaller(size) => Some(facts.size() < *size),
            Self::Received(range) => Some(range.contains(&facts.received())),
            Self::Sent(range) => Some(facts.sent().is_some_and(|day| range.contains(&day))),
            Self::ChangedSince(modseq) => Some(facts.modseq() >= *modseq),
            Self::Text(place, needle) => facts.has_text(place, needle),
        }
    }

    /// Whether some part of it asks for text, so that an index row alone may leave it open.
    pub fn asks_for_text(&self) -> bool {
        self.any_part(&|c| matches!(c, Self::Text(..)), MAX_DEPTH)
    }

    /// Whether some part of it asks for the modification sequence. RFC 7162 3.1.5: the answer then names the
    /// highest one found.
    pub fn asks_for_modseq(&self) -> bool {
        self.any_part(&|c| matches!(c, Self::ChangedSince(_)), MAX_DEPTH)
    }

    /// Different texts that it asks for, at most so many.
    pub fn needles(&self, most: usize) -> Vec<&Needle> {
        let mut found = Vec::new();
        self.collect_needles(most, &mut found, MAX_DEPTH);
        found
    }

    fn collect_needles<'a>(&'a self, most: usize, found: &mut Vec<&'a Needle>, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        match self {
            Self::All(list) | Self::Any(list) => {
                list.iter().for_each(|c| c.collect_needles(most, found, depth));
            }
            Self::Not(inner) => inner.collect_needles(most, found, depth),
            Self::Text(_, needle) if found.len() < most && !found.contains(&needle) => found.push(needle),
            _ => {}
        }
    }

    fn any_part(&self, is: &impl Fn(&Self) -> bool, depth: usize) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        match self {
            Self::All(list) | Self::Any(list) => list.iter().any(|c| c.any_part(is, depth)),
            Self::Not(inner) => inner.any_part(is, depth),
            leaf => is(leaf),
        }
    }
}

/// One answer of the wanted kind decides; else an open one leaves all open.
fn decide(answers: impl Iterator<Item = Option<bool>>, wanted: bool) -> Option<bool> {
    let mut open = false;
    for answer in answers {
        match answer {
            Some(yes) if yes == wanted => return Some(wanted),
            Some(_) => {}
            None => open = true,
        }
    }
    if open { None } else { Some(!wanted) }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row {
        text: Option<&'static str>,
    }

    impl Facts for Row {
        fn uid(&self) -> Uid {
            Uid(7)
        }
        fn system_flags(&self) -> SystemFlags {
            SystemFlags::SEEN
        }
        fn has_keyword(&self, keyword: &Keyword) -> bool {
            keyword.as_str() == "work"
        }
        fn size(&self) -> u64 {
            1000
        }
        fn received(&self) -> Timestamp {
            Timestamp::from_secs(86_400 * 3 + 5)
        }
        fn sent(&self) -> Option<Day> {
            Day::new(1970, 1, 3)
        }
        fn modseq(&self) -> ModSeq {
            ModSeq(9)
        }
        fn has_text(&self, _: &Place, needle: &Needle) -> Option<bool> {
            self.text.map(|t| needle.occurs_in(t))
        }
    }

    fn text(needle: &str) -> Criterion {
        Criterion::Text(Place::Body, Needle::new(needle).unwrap())
    }

    #[test]
    fn rows_answer_what_rows_can_answer() {
        let row = Row { text: None };
        let day = |d| Day::new(1970, 1, d).unwrap();
        let yes = [
            Criterion::every(),
            Criterion::Uids(NumberSet::one(7)),
            Criterion::Flags(SystemFlags::SEEN),
            Criterion::Keyword(Keyword::new("work").unwrap()),
            Criterion::Larger(999),
            Criterion::Smaller(1001),
            Criterion::Received(day(4).start()..day(5).start()),
            Criterion::Sent(day(3)..day(4)),
            Criterion::ChangedSince(ModSeq(9)),
        ];
        for c in &yes {
            assert_eq!(c.judge(&row), Some(true), "{c:?}");
            assert_eq!(Criterion::Not(Box::new(c.clone())).judge(&row), Some(false), "{c:?}");
        }
        for c in [
            Criterion::Any(Vec::new()),
            Criterion::Larger(1000),
            Criterion::Smaller(1000),
            Criterion::Sent(day(4)..Day::MAX),
            Criterion::ChangedSince(ModSeq(10)),
        ] {
            assert_eq!(c.judge(&row), Some(false), "{c:?}");
        }
    }

    #[test]
    fn text_is_asked_for_only_where_it_decides() {
        let row = Row { text: None };
        let seen = || Criterion::Flags(SystemFlags::SEEN);
        let not_seen = || Criterion::Not(Box::new(seen()));
        assert_eq!(Criterion::All(vec![text("a"), not_seen()]).judge(&row), Some(false));
        assert_eq!(Criterion::All(vec![text("a"), seen()]).judge(&row), None);
        assert_eq!(Criterion::Any(vec![text("a"), seen()]).judge(&row), Some(true));
        assert_eq!(Criterion::Any(vec![text("a"), not_seen()]).judge(&row), None);
        let row = Row { text: Some("Ein Maß Bier") };
        assert_eq!(text("maß").judge(&row), Some(true));
        assert_eq!(text("wein").judge(&row), Some(false));
    }

    #[test]
    fn case_does_not_matter_in_any_script() {
        for (needle, hay) in [("ÜBER", "über uns"), ("σοφός", "ΣΟΦΌΣ"), ("привет", "ПРИВЕТ"), ("", "x")]
        {
            assert!(Needle::new(needle).unwrap().occurs_in(hay), "{needle} in {hay}");
        }
        assert!(Needle::new(&"x".repeat(MAX_NEEDLE_LEN + 1)).is_none());
    }

    #[test]
    fn nesting_without_end_does_not_recurse_without_end() {
        let mut c = Criterion::every();
        for _ in 0..1000 {
            c = Criterion::Not(Box::new(c));
        }
        assert_eq!(c.judge(&Row { text: None }), Some(false));
        assert!(!c.asks_for_text());
        let several =
            Criterion::Any(vec![text("a"), Criterion::Not(Box::new(text("b"))), text("a"), text("c")]);
        assert_eq!(several.needles(2).iter().map(|n| n.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }
}
