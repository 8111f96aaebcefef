//! What a search asks, with the limits that `mail::search` sets.

use super::proto as p;
use super::{Bad, common, need};
use mail::flags::Keyword;
use mail::id::ModSeq;
use mail::search::{Criterion, Day, MAX_DEPTH, MAX_KEYS, Needle, Place};
use mail::time::Timestamp;
use p::criterion::What;

const SECONDS_OF_DAY: i64 = 86_400;

impl From<&Criterion> for p::Criterion {
    fn from(criterion: &Criterion) -> Self {
        Self { what: Some(what(criterion)) }
    }
}

/// As deep as a criterion is, which its parser has bounded.
fn what(criterion: &Criterion) -> What {
    let list = |list: &[Criterion]| p::Criteria { each: list.iter().map(Into::into).collect() };
    match criterion {
        Criterion::All(all) => What::All(list(all)),
        Criterion::Any(any) => What::Any(list(any)),
        Criterion::Not(inner) => What::Not(Box::new((&**inner).into())),
        Criterion::Uids(set) => What::Uids(set.into()),
        Criterion::Flags(flags) => What::Flags(u32::from(flags.bits())),
        Criterion::Keyword(keyword) => What::Keyword(keyword.as_str().to_owned()),
        Criterion::Larger(size) => What::Larger(*size),
        Criterion::Smaller(size) => What::Smaller(*size),
        Criterion::Received(range) => {
            What::Received(p::SignedRange { from: range.start.as_micros(), to: range.end.as_micros() })
        }
        Criterion::Sent(range) => {
            What::Sent(p::SignedRange { from: day_number(range.start), to: day_number(range.end) })
        }
        Criterion::ChangedSince(modseq) => What::ChangedSince(modseq.0),
        Criterion::Text(place, needle) => {
            let (place, header) = match place {
                Place::Anywhere => (p::TextPlace::TextAnywhere, String::new()),
                Place::Body => (p::TextPlace::TextBody, String::new()),
                Place::Header(name) => (p::TextPlace::TextHeader, name.to_string()),
            };
            let needle = needle.as_str().to_owned();
            What::Text(p::TextCriterion { place: place.into(), header, needle })
        }
    }
}

/// The first and the last day stand for "no bound" and have no moment of their own.
fn day_number(day: Day) -> i64 {
    match day {
        Day::MIN => i64::from(i32::MIN),
        Day::MAX => i64::from(i32::MAX),
        day => day.start().as_secs().div_euclid(SECONDS_OF_DAY),
    }
}

fn day(number: i64) -> Result<Day, Bad> {
    if number == i64::from(i32::MIN) {
        return Ok(Day::MIN);
    }
    if number == i64::from(i32::MAX) {
        return Ok(Day::MAX);
    }
    let number = i32::try_from(number).map_err(|_| Bad("sent"))?;
    Day::of(Timestamp::from_secs(i64::from(number) * SECONDS_OF_DAY)).ok_or(Bad("sent"))
}

impl TryFrom<p::Criterion> for Criterion {
    type Error = Bad;

    fn try_from(criterion: p::Criterion) -> Result<Self, Bad> {
        let mut keys = MAX_KEYS;
        read(criterion, MAX_DEPTH, &mut keys)
    }
}

fn read(criterion: p::Criterion, depth: usize, keys: &mut usize) -> Result<Criterion, Bad> {
    let depth = depth.checked_sub(1).ok_or(Bad("criterion"))?;
    *keys = keys.checked_sub(1).ok_or(Bad("criterion"))?;
    let mut list = |list: p::Criteria| {
        list.each.into_iter().map(|c| read(c, depth, keys)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match need(criterion.what, "criterion")? {
        What::All(all) => Criterion::All(list(all)?),
        What::Any(any) => Criterion::Any(list(any)?),
        What::Not(inner) => Criterion::Not(Box::new(read(*inner, depth, keys)?)),
        What::Uids(set) => Criterion::Uids(set.try_into()?),
        What::Flags(bits) => Criterion::Flags(common::system_flags(bits)),
        What::Keyword(keyword) => Criterion::Keyword(Keyword::new(&keyword).ok_or(Bad("keyword"))?),
        What::Larger(size) => Criterion::Larger(size),
        What::Smaller(size) => Criterion::Smaller(size),
        What::Received(range) => {
            Criterion::Received(Timestamp::from_micros(range.from)..Timestamp::from_micros(range.to))
        }
        What::Sent(range) => Criterion::Sent(day(range.from)?..day(range.to)?),
        What::ChangedSince(modseq) => Criterion::ChangedSince(ModSeq(modseq)),
        What::Text(text) => {
            let place = match text.place() {
                p::TextPlace::TextAnywhere => Place::Anywhere,
                p::TextPlace::TextBody => Place::Body,
                p::TextPlace::TextHeader => Place::Header(text.header.into_boxed_str()),
            };
            Criterion::Text(place, Needle::new(&text.needle).ok_or(Bad("needle"))?)
        }
    })
}
