//! The Date field. RFC 5322 3.3 with the obsolete forms of 4.3.
//!
//! Day name, seconds and zone may be missing, comments may stand anywhere, years may have two digits, and
//! the order of C's `asctime` is understood. `None` where no date can be made of it.

use super::lex::{Cursor, is_white};
use crate::time::{Civil, MONTHS, Timestamp};

/// A moment and where its writer's clock stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// The moment.
    pub at: Timestamp,
    /// Minutes east of UTC, less than a day either way.
    pub offset_minutes: i16,
}

impl Date {
    /// The date and time on the writer's clock: what IMAP's SENTON, SENTBEFORE and SENTSINCE compare.
    /// RFC 9051 6.4.4: disregarding time and timezone.
    pub fn local(self) -> Civil {
        let shift = i64::from(self.offset_minutes) * 60_000_000;
        Timestamp::from_micros(self.at.as_micros().saturating_add(shift)).civil()
    }
}

/// Octets of a date that are looked at, comments left out.
const MAX_DATE: usize = 100;

/// Reads a date.
pub fn parse(value: &[u8]) -> Option<Date> {
    let plain = plain(value);
    let words = words(&plain);
    let mut rest = words.as_slice();
    if rest.first().is_some_and(|w| is_name(w) && month(w).is_none()) {
        // RFC 5322 3.3: the day name tells nothing new; a wrong one is not our concern.
        rest = &rest[1..];
    }
    let (day, month, year, time, zone) = match rest {
        [m, d, t, y, zone @ ..] if is_name(m) && t.contains(&b':') => (d, month(m)?, y, t, zone.first()),
        [d, m, y, t, zone @ ..] => (d, month(m)?, y, t, zone.first()),
        _ => return None,
    };
    let (hour, minute, second) = time_of_day(time)?;
    let civil =
        Civil { year: full_year(year)?, month, day: u8::try_from(number(day)?).ok()?, hour, minute, second };
    let offset_minutes = zone.map_or(0, |zone| offset(zone));
    let local = Timestamp::from_civil(civil)?.as_micros();
    let at = Timestamp::from_micros(local.checked_sub(i64::from(offset_minutes) * 60_000_000)?);
    Some(Date { at, offset_minutes })
}

/// The value without comments and without white space around colons, cut to what a date can need.
fn plain(value: &[u8]) -> Vec<u8> {
    let mut cursor = Cursor::new(value);
    let mut out = Vec::with_capacity(MAX_DATE);
    while let Some(byte) = cursor.peek().filter(|_| out.len() < MAX_DATE) {
        if is_white(byte) || byte == b'(' {
            cursor.skip_space();
            if cursor.peek() != Some(b':') && out.last() != Some(&b':') {
                out.push(b' ');
            }
        } else {
            out.push(byte);
            cursor.bump();
        }
    }
    out
}

/// The words between white space and commas; a date with hyphens comes apart too.
fn words(plain: &[u8]) -> Vec<&[u8]> {
    let mut words = Vec::with_capacity(8);
    for word in plain.split(|b| matches!(b, b' ' | b',')).filter(|w| !w.is_empty()) {
        match word.iter().filter(|b| **b == b'-').count() {
            2 => words.extend(word.split(|b| *b == b'-')),
            _ => words.push(word),
        }
    }
    words
}

fn is_name(word: &[u8]) -> bool {
    word.first().is_some_and(u8::is_ascii_alphabetic)
}

fn month(word: &[u8]) -> Option<u8> {
    let short = word.get(..3).filter(|_| word.iter().all(u8::is_ascii_alphabetic))?;
    let at = MONTHS.iter().position(|m| m.as_bytes().eq_ignore_ascii_case(short))?;
    u8::try_from(at + 1).ok()
}

/// Up to four digits.
fn number(word: &[u8]) -> Option<u16> {
    if word.is_empty() || word.len() > 4 {
        return None;
    }
    word.iter().try_fold(0u16, |n, b| b.is_ascii_digit().then(|| n * 10 + u16::from(b - b'0')))
}

/// RFC 5322 4.3: two digits up to 49 are of this century, other two and three digits count from 1900.
fn full_year(word: &[u8]) -> Option<i32> {
    let year = i32::from(number(word)?);
    match word.len() {
        2 if year < 50 => Some(year + 2000),
        2 | 3 => Some(year + 1900),
        4 => Some(year),
        _ => None,
    }
}

fn time_of_day(word: &[u8]) -> Option<(u8, u8, u8)> {
    let mut parts = word.split(|b| *b == b':');
    let mut part = || parts.next().map(|p| number(p).and_then(|n| u8::try_from(n).ok()));
    let (hour, minute) = (part()??, part()??);
    let second = part().unwrap_or(Some(0))?;
    parts.next().is_none().then_some((hour, minute, second))
}

/// RFC 5322 3.3 and 4.3: what is not known counts as `-0000`.
fn offset(zone: &[u8]) -> i16 {
    if let [sign @ (b'+' | b'-'), digits @ ..] = zone {
        let Some(n) = number(digits).filter(|n| digits.len() == 4 && n % 100 < 60 && *n < 2400) else {
            return 0;
        };
        let minutes = i16::try_from(n / 100 * 60 + n % 100).unwrap_or(0);
        return if *sign == b'-' { -minutes } else { minutes };
    }
    let hours = match zone.to_ascii_uppercase().as_slice() {
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" => -8,
        _ => 0,
    };
    hours * 60
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> Option<String> {
        parse(value.as_bytes()).map(|d| format!("{} {}", d.at.rfc3339(), d.offset_minutes))
    }

    #[test]
    fn dates_of_rfc_5322() {
        let cases = [
            ("Fri, 21 Nov 1997 09:55:06 -0600", "1997-11-21T15:55:06.000Z -360"),
            ("Tue, 1 Jul 2003 10:52:37 +0200", "2003-07-01T08:52:37.000Z 120"),
            (
                "Thu,\r\n 13\r\n Feb\r\n 1969\r\n 23:32\r\n -0330 (Newfoundland Time)",
                "1969-02-14T03:02:00.000Z -210",
            ),
            ("21 Nov 97 09:55:06 GMT", "1997-11-21T09:55:06.000Z 0"),
            ("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "1997-11-21T15:55:06.000Z -360"),
        ];
        for (value, expected) in cases {
            assert_eq!(shown(value).unwrap_or_default(), expected, "{value}");
        }
    }

    #[test]
    fn what_real_mail_has() {
        let cases = [
            ("Mon, 26 Aug 2002 15:07:08 EDT", "2002-08-26T19:07:08.000Z -240"),
            ("Mon Aug 26 15:07:08 2002", "2002-08-26T15:07:08.000Z 0"),
            ("26 August 2002 15:07", "2002-08-26T15:07:00.000Z 0"),
            ("26-Aug-2002 15:07:08 +0000", "2002-08-26T15:07:08.000Z 0"),
            ("Sat, 1 Jan 102 00:00:00 Z", "2002-01-01T00:00:00.000Z 0"),
            ("Mon, 26 Aug 2002 15:07:08 +9999", "2002-08-26T15:07:08.000Z 0"),
        ];
        for (value, expected) in cases {
            assert_eq!(shown(value).as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn no_date_is_none() {
        for bad in [
            "",
            "today",
            "31 Feb 2002 00:00:00 +0000",
            "1 Jan 2002",
            "1 Jan 2002 24:00",
            "1 Jan 99999 1:1",
            "((((",
            "1 J\u{e4}n 02 1:1",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn local_date_is_the_writers() {
        let date = parse(b"Tue, 1 Jul 2003 01:30:00 +0200").unwrap();
        assert_eq!((date.at.civil().day, date.local().day), (30, 1));
    }
}
