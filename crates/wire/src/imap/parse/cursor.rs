//! The words of the grammar: atoms, strings, numbers, sets, dates, names. RFC 9051 9.

use super::super::command::{Bound, SequenceSet, Tag};
use super::super::name::{MailboxName, NameForm, Pattern};
use super::super::{MAX_SET_RANGES, MAX_TAG_LEN};
use super::{BadCommand, Parsed};
use mail::flags::Flags;
use mail::id::ModSeq;
use mail::search::Day;
use mail::time::{Civil, MONTHS, Timestamp};
use std::borrow::Cow;
use std::num::NonZeroU32;
use std::time::Duration;

/// What is left of a command.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    form: NameForm,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], form: NameForm) -> Self {
        Self { rest: bytes, form }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Everything that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Takes this octet if it is next.
    pub(super) fn take(&mut self, octet: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == octet => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn expect(&mut self, octet: u8, why: &'static str) -> Parsed<()> {
        if self.take(octet) { Ok(()) } else { Err(BadCommand::Syntax(why)) }
    }

    pub(super) fn space(&mut self) -> Parsed<()> {
        self.expect(b' ', "space expected")
    }

    pub(super) fn open(&mut self) -> Parsed<()> {
        self.expect(b'(', "( expected")
    }

    pub(super) fn close(&mut self) -> Parsed<()> {
        self.expect(b')', ") expected")
    }

    pub(super) fn end(&self) -> Parsed<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(BadCommand::Syntax("unexpected text at the end")) }
    }

    /// As many octets as are of the class.
    fn while_of(&mut self, class: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|b| !class(*b)).unwrap_or(self.rest.len());
        let (found, rest) = self.rest.split_at(end);
        self.rest = rest;
        found
    }

    pub(super) fn tag(&mut self) -> Parsed<Tag> {
        let tag = self.while_of(|b| is_astring(b) && b != b'+');
        match std::str::from_utf8(tag) {
            Ok(text) if !text.is_empty() && text.len() <= MAX_TAG_LEN => Ok(Tag(text.into())),
            _ => Err(BadCommand::Syntax("tag expected")),
        }
    }

    pub(super) fn atom(&mut self) -> Parsed<&'a [u8]> {
        some(self.while_of(is_atom), "atom expected")
    }

    /// An atom that may also hold `[` and stops at it: names of FETCH items.
    pub(super) fn item_name(&mut self) -> Parsed<&'a [u8]> {
        some(self.while_of(|b| is_atom(b) && b != b'['), "item expected")
    }

    /// This word, in any case.
    pub(super) fn keyword(&mut self, word: &[u8]) -> Parsed<()> {
        if self.atom()?.eq_ignore_ascii_case(word) { Ok(()) } else { Err(BadCommand::Syntax("unknown word")) }
    }

    /// Takes `NIL` if it is next and ends there.
    pub(super) fn nil(&mut self) -> bool {
        let mut ahead = *self;
        let is_nil = ahead.atom().is_ok_and(|a| a.eq_ignore_ascii_case(b"NIL"));
        if is_nil {
            *self = ahead;
        }
        is_nil
    }

    pub(super) fn astring(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"' | b'{' | b'~') => self.string(),
            _ => some(self.while_of(is_astring), "string expected").map(Cow::Borrowed),
        }
    }

    /// A quoted string or a literal.
    pub(super) fn string(&mut self) -> Parsed<Cow<'a, [u8]>> {
        if self.take(b'"') { self.quoted() } else { self.literal().map(Cow::Borrowed) }
    }

    /// After the first quote.
    fn quoted(&mut self) -> Parsed<Cow<'a, [u8]>> {
        const NOT_CLOSED: BadCommand = BadCommand::Syntax("quoted string is not closed");
        let end = memchr::memchr2(b'"', b'\\', self.rest).ok_or(NOT_CLOSED)?;
        if self.rest[end] == b'"' {
            let text = &self.rest[..end];
            self.rest = &self.rest[end + 1..];
            return if is_line(text) { Ok(Cow::Borrowed(text)) } else { Err(CONTROL) };
        }
        let mut out = Vec::new();
        loop {
            match self.rest {
                [b'"', rest @ ..] => {
                    self.rest = rest;
                    return if is_line(&out) { Ok(Cow::Owned(out)) } else { Err(CONTROL) };
                }
                [b'\\', escaped @ (b'"' | b'\\'), rest @ ..] => {
                    out.push(*escaped);
                    self.rest = rest;
                }
                [b'\\', ..] => return Err(BadCommand::Syntax("only \\\" and \\\\ may be escaped")),
                [octet, rest @ ..] => {
                    out.push(*octet);
                    self.rest = rest;
                }
                [] => return Err(NOT_CLOSED),
            }
        }
    }

    fn literal(&mut self) -> Parsed<&'a [u8]> {
        const WHAT: &str = "string expected";
        self.take(b'~');
        self.expect(b'{', WHAT)?;
        let size = usize::try_from(self.number64()?).map_err(|_| BadCommand::LiteralTooBig)?;
        self.take(b'+');
        self.expect(b'}', WHAT)?;
        self.take(b'\r');
        self.expect(b'\n', WHAT)?;
        let (text, rest) = self.rest.split_at_checked(size).ok_or(BadCommand::Syntax(WHAT))?;
        self.rest = rest;
        // RFC 9051 9: NUL only in a literal8, and nothing that is collected here has a use for one.
        if text.contains(&0) { Err(CONTROL) } else { Ok(text) }
    }

    pub(super) fn number64(&mut self) -> Parsed<u64> {
        let digits = some(self.while_of(|b| b.is_ascii_digit()), "number expected")?;
        let number = std::str::from_utf8(digits).ok().and_then(|d| d.parse().ok());
        number.ok_or(BadCommand::Syntax("number too large"))
    }

    pub(super) fn number(&mut self) -> Parsed<u32> {
        u32::try_from(self.number64()?).map_err(|_| BadCommand::Syntax("number too large"))
    }

    pub(super) fn nz_number(&mut self) -> Parsed<NonZeroU32> {
        NonZeroU32::new(self.number()?).ok_or(BadCommand::Syntax("number must not be zero"))
    }

    /// RFC 7162 7: 63 bits.
    pub(super) fn modseq(&mut self) -> Parsed<ModSeq> {
        let n = self.number64()?;
        if n > i64::MAX as u64 { Err(BadCommand::Syntax("number too large")) } else { Ok(ModSeq(n)) }
    }

    pub(super) fn mailbox(&mut self) -> Parsed<MailboxName> {
        let bytes = self.astring()?;
        MailboxName::decode(&bytes, self.form).ok_or(BadCommand::BadName)
    }

    pub(super) fn pattern(&mut self) -> Parsed<Pattern> {
        let bytes = match self.peek() {
            Some(b'"' | b'{') => self.string()?,
            _ => Cow::Borrowed(some(
                self.while_of(|b| is_astring(b) || matches!(b, b'*' | b'%')),
                "pattern expected",
            )?),
        };
        Pattern::decode(&bytes, self.form).ok_or(BadCommand::BadName)
    }

    pub(super) fn set(&mut self) -> Parsed<SequenceSet> {
        if self.take(b'$') {
            return Ok(SequenceSet::Saved);
        }
        let mut ranges = Vec::new();
        loop {
            if ranges.len() == MAX_SET_RANGES {
                return Err(BadCommand::TooMany("ranges in the set"));
            }
            let from = self.bound()?;
            let to = if self.take(b':') { self.bound()? } else { from };
            ranges.push((from, to));
            if !self.take(b',') {
                return Ok(SequenceSet::Ranges(ranges));
            }
        }
    }

    fn bound(&mut self) -> Parsed<Bound> {
        if self.take(b'*') { Ok(Bound::Last) } else { self.nz_number().map(Bound::Number) }
    }

    /// A flag with or without a backslash.
    pub(super) fn flag_name(&mut self) -> Parsed<&'a str> {
        let start = self.rest;
        self.take(b'\\');
        let atom = self.atom()?;
        let length = start.len() - self.rest.len();
        debug_assert!(length >= atom.len());
        std::str::from_utf8(&start[..length]).map_err(|_| BadCommand::Syntax("flag expected"))
    }

    pub(super) fn flag_list(&mut self) -> Parsed<Flags> {
        let mut flags = Flags::default();
        self.open()?;
        if self.take(b')') {
            return Ok(flags);
        }
        loop {
            self.add_flag(&mut flags)?;
            if self.take(b')') {
                return Ok(flags);
            }
            self.space()?;
        }
    }

    pub(super) fn add_flag(&mut self, flags: &mut Flags) -> Parsed<()> {
        let name = self.flag_name()?;
        // ITS 8673: a flag that is neither a system flag nor a keyword is refused, never taken for another.
        if flags.add_named(name) { Ok(()) } else { Err(BadCommand::Syntax("no such flag")) }
    }

    /// `"d-Mmm-yyyy"`, quoted or not.
    pub(super) fn date(&mut self) -> Parsed<Day> {
        let quoted = self.take(b'"');
        let text = self.while_of(|b| b.is_ascii_alphanumeric() || b == b'-');
        if quoted {
            self.expect(b'"', "date expected")?;
        }
        let day = parse_date(text).and_then(|(year, month, day)| Day::new(year, month, day));
        day.ok_or(BadCommand::Syntax("date expected"))
    }

    /// `"dd-Mmm-yyyy hh:mm:ss +zzzz"`
    pub(super) fn date_time(&mut self) -> Parsed<Timestamp> {
        let text = self.string()?;
        parse_date_time(&text).ok_or(BadCommand::Syntax("date and time expected"))
    }
}

const CONTROL: BadCommand = BadCommand::Syntax("control character in a string");

fn some<'a>(found: &'a [u8], why: &'static str) -> Parsed<&'a [u8]> {
    if found.is_empty() { Err(BadCommand::Syntax(why)) } else { Ok(found) }
}

/// RFC 9051 9, `ATOM-CHAR`. Octets above 127 are let in: names come with them.
fn is_atom(b: u8) -> bool {
    is_astring(b) && b != b']'
}

/// RFC 9051 9, `ASTRING-CHAR`.
fn is_astring(b: u8) -> bool {
    b > b' ' && b != 0x7f && !b"(){%*\"\\".contains(&b)
}

fn is_line(text: &[u8]) -> bool {
    !text.iter().any(|b| matches!(b, 0 | b'\r' | b'\n'))
}

fn parse_date(text: &[u8]) -> Option<(i32, u8, u8)> {
    let mut parts = std::str::from_utf8(text).ok()?.splitn(3, '-');
    let day = digits(parts.next()?, 1..=2)?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(name))? + 1;
    let year = digits(parts.next()?, 4..=4)?;
    Some((i32::try_from(year).ok()?, u8::try_from(month).ok()?, u8::try_from(day).ok()?))
}

fn parse_date_time(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    // RFC 9051 9: a day of one digit has a space before it.
    let mut words = text.strip_prefix(' ').unwrap_or(text).split(' ');
    let (date, time, zone) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    let (year, month, day) = parse_date(date.as_bytes())?;
    let mut time = time.splitn(3, ':').map(|t| digits(t, 2..=2).and_then(|n| u8::try_from(n).ok()));
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let local = Timestamp::from_civil(Civil { year, month, day, hour, minute, second })?;
    let (sign, offset) = zone.split_at_checked(1)?;
    let offset = digits(offset, 4..=4)?;
    let offset = Duration::from_secs(u64::from(offset / 100 * 3600 + offset % 100 * 60));
    match sign {
        "+" => Some(local.minus(offset)),
        "-" => Some(local.plus(offset)),
        _ => None,
    }
}

fn digits(text: &str, length: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let ok = length.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if ok { text.parse().ok() } else { None }
}
