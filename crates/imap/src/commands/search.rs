//! SEARCH. RFC 9051 6.4.4, RFC 3501 6.4.4, RFC 5032, RFC 7162 3.1.5.

use super::session::enable_condstore;
use crate::replies::{Failed, Outcome, Reply};
use crate::selected::{NoSuchNumber, Selected};
use crate::session::{End, Session};
use mail::id::{ModSeq, Uid};
use mail::search::Criterion;
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::store::{Need, Read};
use std::num::NonZeroU32;
use std::time::Duration;
use wire::imap::command::{By, Search, SearchKey, SearchReturn, Tag};
use wire::imap::response::{SearchAnswer, esearch, search as plain_search};

/// Messages whose ModSeq is looked up in one request.
const PAGE: NonZeroU32 = NonZeroU32::new(1000).expect("not zero");

pub(super) async fn search(session: &mut Session<'_>, tag: &Tag, search: Search) -> Outcome {
    let now = session.imap.env.clock.now();
    let criterion =
        criterion(session.selected()?, &search.key, now).map_err(|_| Failed::Bad("no such message"))?;
    let wants_modseq = criterion.asks_for_modseq();
    if wants_modseq {
        enable_condstore(session);
    }
    let give = effective(&search, session.enabled.rev2);
    let found = find(session, criterion).await;
    if let Some(give) = give.filter(|give| give.save) {
        // RFC 5182 2.1: a search that fails leaves `$` empty.
        session.selected()?.saved = found.as_ref().map(|f| saved(f, give)).unwrap_or_default();
    }
    let found = found?;
    let told = give.map_or_else(|| found.clone(), |give| told(&found, give));
    let modseq = if wants_modseq { highest_modseq(session, told).await? } else { None };
    answer(session, tag, &search, give, &found, modseq)?;
    Ok(Reply::ok(tag, "searched"))
}

/// RFC 9051 6.4.4: a client that speaks IMAP4rev2 always gets ESEARCH, of all where it did not say.
fn effective(search: &Search, rev2: bool) -> Option<SearchReturn> {
    let all = SearchReturn { all: true, ..SearchReturn::default() };
    search.give.or(rev2.then_some(all))
}

/// What `$` keeps: all, but only the ends where only these were asked for. RFC 5182 2.4.
fn saved(found: &NumberSet, give: SearchReturn) -> NumberSet {
    if give.all || give.count || !(give.min || give.max) { found.clone() } else { ends(found, give) }
}

/// What is told of, for the highest ModSeq of it. RFC 7162 3.1.10.
fn told(found: &NumberSet, give: SearchReturn) -> NumberSet {
    if give.all || give.count { found.clone() } else { ends(found, give) }
}

fn ends(found: &NumberSet, give: SearchReturn) -> NumberSet {
    let min = found.first().filter(|_| give.min);
    let max = found.last().filter(|_| give.max);
    min.into_iter().chain(max).collect()
}

async fn find(session: &mut Session<'_>, criterion: Criterion) -> Result<NumberSet, Failed> {
    let mailbox = session.account()?.mailbox;
    let folder = session.selected()?.folder;
    let found = session.store().message_search(&session.call(), mailbox, folder, criterion).await?;
    // Messages that this client has not been told of have no number yet.
    Ok(found.intersection(session.selected()?.view()))
}

fn answer(
    session: &mut Session<'_>,
    tag: &Tag,
    search: &Search,
    give: Option<SearchReturn>,
    found: &NumberSet,
    modseq: Option<ModSeq>,
) -> Result<(), End> {
    let numbers = match search.by {
        By::Uid => found.clone(),
        By::Sequence => session.selected()?.numbers(found),
    };
    let answer = SearchAnswer { found: &numbers, modseq };
    let out = session.connection.output();
    match give {
        None => plain_search(out, answer),
        // RFC 5182 2.1: SAVE alone says nothing.
        Some(give) if !(give.min || give.max || give.all || give.count) => {}
        Some(give) => esearch(out, tag, search.by, give, answer),
    }
    Ok(())
}

/// The highest ModSeq of these messages.
async fn highest_modseq(session: &mut Session<'_>, uids: NumberSet) -> Result<Option<ModSeq>, Failed> {
    let mailbox = session.account()?.mailbox;
    let folder = session.selected()?.folder;
    let mut highest = None;
    for mut piece in uids.pieces(PAGE) {
        while !piece.is_empty() {
            let (uids, limit) = (piece.clone(), PAGE.get() as usize);
            let read = Read { mailbox, folder, uids, need: Need::Flags, changed_since: None, limit };
            let page = session.store().message_read(&session.call(), read).await?;
            highest = highest.max(page.messages.iter().map(|m| m.modseq).max());
            let Some(Uid(next)) = page.next else { break };
            piece = from(&piece, next);
        }
    }
    Ok(highest)
}

/// The numbers from this one on.
pub(super) fn from(set: &NumberSet, first: u32) -> NumberSet {
    let mut rest = NumberSet::new();
    set.ranges_within(first..=u32::MAX).for_each(|range| rest.insert_range(range));
    rest
}

/// The key as any store understands it. The parser has limited its depth.
fn criterion(selected: &Selected, key: &SearchKey, now: Timestamp) -> Result<Criterion, NoSuchNumber> {
    let ago = |seconds: std::num::NonZeroU32| now.minus(Duration::from_secs(seconds.get().into()));
    let end = Timestamp::from_micros(i64::MAX);
    Ok(match key {
        SearchKey::All(keys) => {
            Criterion::All(keys.iter().map(|key| criterion(selected, key, now)).collect::<Result<_, _>>()?)
        }
        SearchKey::Or(both) => {
            let (a, b) = &**both;
            Criterion::Any(vec![criterion(selected, a, now)?, criterion(selected, b, now)?])
        }
        SearchKey::Not(inner) => Criterion::Not(Box::new(criterion(selected, inner, now)?)),
        SearchKey::Numbers(set) => Criterion::Uids(selected.resolve(By::Sequence, set)?),
        SearchKey::Uids(set) => Criterion::Uids(selected.resolve(By::Uid, set)?),
        SearchKey::Older(seconds) => Criterion::Received(Timestamp::from_micros(i64::MIN)..ago(*seconds)),
        SearchKey::Younger(seconds) => Criterion::Received(ago(*seconds)..end),
        SearchKey::Is(criterion) => criterion.clone(),
    })
}
