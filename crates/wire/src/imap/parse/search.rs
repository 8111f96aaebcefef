//! SEARCH and its keys. RFC 9051 6.4.4, RFC 3501 6.4.4, RFC 4731, RFC 5032, RFC 7162 3.1.5.

use super::super::command::{By, Search, SearchKey, SearchReturn};
use super::cursor::Cursor;
use super::{BadCommand, Parsed};
use mail::flags::{Keyword, SystemFlags};
use mail::search::{Criterion, Day, MAX_DEPTH, MAX_KEYS, Needle, Place};

pub(super) fn search(c: &mut Cursor<'_>, by: By) -> Parsed<Search> {
    c.space()?;
    let give = result_options(c)?;
    charset(c)?;
    let mut keys = Keys { left: MAX_KEYS };
    let key = keys.list(c, MAX_DEPTH - 2)?;
    Ok(Search { by, give, key })
}

fn result_options(c: &mut Cursor<'_>) -> Parsed<Option<SearchReturn>> {
    let mut ahead = *c;
    if !ahead.atom().is_ok_and(|a| a.eq_ignore_ascii_case(b"RETURN")) {
        return Ok(None);
    }
    *c = ahead;
    c.space()?;
    c.open()?;
    let mut give = SearchReturn::default();
    let mut any = false;
    while !c.take(b')') {
        if any {
            c.space()?;
        }
        any = true;
        match c.atom()?.to_ascii_uppercase().as_slice() {
            b"MIN" => give.min = true,
            b"MAX" => give.max = true,
            b"ALL" => give.all = true,
            b"COUNT" => give.count = true,
            b"SAVE" => give.save = true,
            _ => return Err(BadCommand::Syntax("unknown result option")),
        }
    }
    c.space()?;
    // RFC 9051 6.4.4: an empty list means ALL.
    give.all |= !any;
    Ok(Some(give))
}

fn charset(c: &mut Cursor<'_>) -> Parsed<()> {
    let mut ahead = *c;
    if !ahead.atom().is_ok_and(|a| a.eq_ignore_ascii_case(b"CHARSET")) {
        return Ok(());
    }
    *c = ahead;
    c.space()?;
    let name = c.astring()?.to_ascii_uppercase();
    c.space()?;
    match name.as_slice() {
        b"UTF-8" | b"US-ASCII" => Ok(()),
        _ => Err(BadCommand::BadCharset),
    }
}

/// How many keys may still come.
struct Keys {
    left: usize,
}

impl Keys {
    /// Keys with spaces between them, all of which must hold.
    fn list(&mut self, c: &mut Cursor<'_>, depth: usize) -> Parsed<SearchKey> {
        let first = self.key(c, depth)?;
        if c.peek() != Some(b' ') {
            return Ok(first);
        }
        let mut all = vec![first];
        while c.take(b' ') {
            all.push(self.key(c, depth)?);
        }
        Ok(SearchKey::All(all))
    }

    fn key(&mut self, c: &mut Cursor<'_>, depth: usize) -> Parsed<SearchKey> {
        self.left = self.left.checked_sub(1).ok_or(BadCommand::TooMany("search keys"))?;
        let deeper = depth.checked_sub(1).ok_or(BadCommand::TooMany("levels of search keys"))?;
        match c.peek() {
            Some(b'(') => {
                c.open()?;
                let inner = self.list(c, deeper)?;
                c.close()?;
                return Ok(inner);
            }
            Some(b'0'..=b'9' | b'*' | b'$') => return c.set().map(SearchKey::Numbers),
            _ => {}
        }
        let word = c.atom()?.to_ascii_uppercase();
        if let Some(simple) = simple(&word) {
            return Ok(simple);
        }
        c.space()?;
        match word.as_slice() {
            b"NOT" => Ok(SearchKey::Not(Box::new(self.key(c, deeper)?))),
            b"OR" => {
                let one = self.key(c, deeper)?;
                c.space()?;
                Ok(SearchKey::Or(Box::new((one, self.key(c, deeper)?))))
            }
            b"UID" => c.set().map(SearchKey::Uids),
            b"OLDER" => c.nz_number().map(SearchKey::Older),
            b"YOUNGER" => c.nz_number().map(SearchKey::Younger),
            b"KEYWORD" => keyword(c).map(SearchKey::Is),
            b"UNKEYWORD" => keyword(c).map(not),
            b"LARGER" => c.number64().map(Criterion::Larger).map(SearchKey::Is),
            b"SMALLER" => c.number64().map(Criterion::Smaller).map(SearchKey::Is),
            b"MODSEQ" => modseq(c).map(SearchKey::Is),
            _ => match place(c, &word)? {
                Some(place) => Ok(SearchKey::Is(Criterion::Text(place, needle(c)?))),
                None => dated(c, &word).map(SearchKey::Is),
            },
        }
    }
}

fn not(criterion: Criterion) -> SearchKey {
    SearchKey::Is(Criterion::Not(Box::new(criterion)))
}

/// Keys without an argument.
fn simple(word: &[u8]) -> Option<SearchKey> {
    let has = |flag| Some(SearchKey::Is(Criterion::Flags(flag)));
    let lacks = |flag| Some(not(Criterion::Flags(flag)));
    match word {
        // No message is `\Recent` here (RFC 9051 2.3.2 has dropped it), so every message is old.
        b"ALL" | b"OLD" => Some(SearchKey::Is(Criterion::every())),
        b"NEW" | b"RECENT" => Some(SearchKey::Is(Criterion::Any(Vec::new()))),
        b"ANSWERED" => has(SystemFlags::ANSWERED),
        b"DELETED" => has(SystemFlags::DELETED),
        b"DRAFT" => has(SystemFlags::DRAFT),
        b"FLAGGED" => has(SystemFlags::FLAGGED),
        b"SEEN" => has(SystemFlags::SEEN),
        b"UNANSWERED" => lacks(SystemFlags::ANSWERED),
        b"UNDELETED" => lacks(SystemFlags::DELETED),
        b"UNDRAFT" => lacks(SystemFlags::DRAFT),
        b"UNFLAGGED" => lacks(SystemFlags::FLAGGED),
        b"UNSEEN" => lacks(SystemFlags::SEEN),
        _ => None,
    }
}

/// Where the text of this key is looked for. `HEADER` has the name of a field first.
fn place(c: &mut Cursor<'_>, word: &[u8]) -> Parsed<Option<Place>> {
    let field = |name: &str| Some(Place::Header(name.into()));
    Ok(match word {
        b"BODY" => Some(Place::Body),
        b"TEXT" => Some(Place::Anywhere),
        b"BCC" => field("bcc"),
        b"CC" => field("cc"),
        b"FROM" => field("from"),
        b"SUBJECT" => field("subject"),
        b"TO" => field("to"),
        b"HEADER" => {
            let name = c.astring()?.to_ascii_lowercase();
            let name = std::str::from_utf8(&name).map_err(|_| BadCommand::Syntax("no such field name"))?;
            c.space()?;
            field(name)
        }
        _ => None,
    })
}

fn needle(c: &mut Cursor<'_>) -> Parsed<Needle> {
    let text = c.astring()?;
    let text = std::str::from_utf8(&text).map_err(|_| BadCommand::Syntax("text is not UTF-8"))?;
    Needle::new(text).ok_or(BadCommand::TooMany("octets to look for"))
}

fn keyword(c: &mut Cursor<'_>) -> Parsed<Criterion> {
    let name = std::str::from_utf8(c.atom()?).ok().and_then(Keyword::new);
    name.map(Criterion::Keyword).ok_or(BadCommand::Syntax("keyword expected"))
}

fn dated(c: &mut Cursor<'_>, word: &[u8]) -> Parsed<Criterion> {
    let received = |from: Day, to: Day| Criterion::Received(from.start()..to.start());
    let sent = |from, to| Criterion::Sent(from..to);
    let days: fn(Day) -> (Day, Day) = match word {
        b"BEFORE" | b"SENTBEFORE" => |day| (Day::MIN, day),
        b"ON" | b"SENTON" => |day| (day, day.next()),
        b"SINCE" | b"SENTSINCE" => |day| (day, Day::MAX),
        _ => return Err(BadCommand::Syntax("unknown search key")),
    };
    let (from, to) = days(c.date()?);
    Ok(if word.starts_with(b"SENT") { sent(from, to) } else { received(from, to) })
}

/// RFC 7162 3.1.5: an entry name and type may come first; all flags share one number here.
fn modseq(c: &mut Cursor<'_>) -> Parsed<Criterion> {
    if c.peek() == Some(b'"') {
        c.string()?;
        c.space()?;
        match c.atom()?.to_ascii_lowercase().as_slice() {
            b"priv" | b"shared" | b"all" => {}
            _ => return Err(BadCommand::Syntax("priv, shared or all expected")),
        }
        c.space()?;
    }
    Ok(Criterion::ChangedSince(c.modseq()?))
}
