//! Points in time and lengths of time, as values. Where they come from is `env::Clock`'s business.

use std::fmt;
use std::time::Duration;

/// A moment of the calendar: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A calendar date and time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Year of the Gregorian calendar.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60 (a leap second is taken as the one before).
    pub second: u8,
}

/// English month names as mail and IMAP write them.
pub const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// English day names as mail writes them; 1970-01-01 was a Thursday.
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

impl Timestamp {
    /// From microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From seconds since 1970.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, towards the past.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This much later; stops at the end of time.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This much earlier.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The span from `earlier` to here; zero if it is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The moment of a UTC date and time; `None` where there is no such date.
    pub fn from_civil(c: Civil) -> Option<Self> {
        let days = days_from_civil(c)?;
        if c.hour > 23 || c.minute > 59 || c.second > 60 {
            return None;
        }
        let second = i64::from(c.second.min(59));
        Some(Self::from_secs(days * 86_400 + i64::from(c.hour) * 3600 + i64::from(c.minute) * 60 + second))
    }

    /// The UTC date and time.
    pub fn civil(self) -> Civil {
        let secs = self.as_secs();
        let (year, month, day) = civil_from_days(secs.div_euclid(86_400));
        let of_day = u32::try_from(secs.rem_euclid(86_400)).unwrap_or(0);
        Civil {
            year,
            month,
            day,
            hour: u8::try_from(of_day / 3600).unwrap_or(0),
            minute: u8::try_from(of_day / 60 % 60).unwrap_or(0),
            second: u8::try_from(of_day % 60).unwrap_or(0),
        }
    }

    /// Reads RFC 3339, as [`Timestamp::rfc3339`] writes it or with an offset: `2026-11-23T13:35:00+01:00`. A leap second
    /// counts as the second before it; what is finer than a microsecond is dropped. `None`: it is something else.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let (date, time) = text.split_once(['T', 't', ' '])?;
        let (year, month, day) = three(date, '-', [4, 2, 2])?;
        let at = time.find(['Z', 'z', '+', '-'])?;
        let (clock, zone) = time.split_at(at);
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
        let (hour, minute, second) = three(clock, ':', [2, 2, 2])?;
        let micros = digits(&format!("{:0<6.6}", fraction), 6)?;
        let narrow = |n: u32| u8::try_from(n).ok();
        let (month, day, hour) = (narrow(month)?, narrow(day)?, narrow(hour)?);
        let (minute, second) = (narrow(minute)?, narrow(second)?);
        let civil = Civil { year: i32::try_from(year).ok()?, month, day, hour, minute, second };
        let utc = Self::from_civil(civil)?.as_micros() + i64::from(micros);
        Some(Self(utc - offset_minutes(zone)? * 60_000_000))
    }

    /// As in a Date or Received header, in UTC: `Mon, 23 Nov 2026 12:35:00 +0000`. RFC 5322 3.3.
    pub fn rfc5322(self) -> impl fmt::Display {
        Rfc5322(self)
    }

    /// As in an IMAP INTERNALDATE, in UTC and without quotes: `23-Nov-2026 12:35:00 +0000`. RFC 9051 9.
    pub fn imap(self) -> impl fmt::Display {
        Imap(self)
    }

    /// RFC 3339 in UTC with milliseconds: `2026-11-23T12:35:00.000Z`.
    pub fn rfc3339(self) -> impl fmt::Display {
        Rfc3339(self)
    }
}

/// Three numbers of fixed lengths.
fn three(text: &str, by: char, lengths: [usize; 3]) -> Option<(u32, u32, u32)> {
    let mut parts = text.split(by);
    let mut next = |length| digits(parts.next()?, length);
    let found = (next(lengths[0])?, next(lengths[1])?, next(lengths[2])?);
    parts.next().is_none().then_some(found)
}

fn digits(text: &str, length: usize) -> Option<u32> {
    let all = text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
    all.then(|| text.parse().ok())?
}

/// `Z`, `+01:00`.
fn offset_minutes(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 60 + minutes))
}

struct Rfc5322(Timestamp);

impl fmt::Display for Rfc5322 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = self.0.civil();
        let day_name = DAYS[usize::try_from(self.0.as_secs().div_euclid(86_400).rem_euclid(7)).unwrap_or(0)];
        let month = MONTHS[usize::from(c.month - 1)];
        write!(
            f,
            "{day_name}, {} {month} {:04} {:02}:{:02}:{:02} +0000",
            c.day, c.year, c.hour, c.minute, c.second
        )
    }
}

struct Imap(Timestamp);

impl fmt::Display for Imap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = self.0.civil();
        let month = MONTHS[usize::from(c.month - 1)];
        write!(f, "{:02}-{month}-{:04} {:02}:{:02}:{:02} +0000", c.day, c.year, c.hour, c.minute, c.second)
    }
}

struct Rfc3339(Timestamp);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = self.0.civil();
        let millis = self.0.as_micros().rem_euclid(1_000_000) / 1000;
        write!(f, "{:04}-{:02}-{:02}T", c.year, c.month, c.day)?;
        write!(f, "{:02}:{:02}:{:02}.{millis:03}Z", c.hour, c.minute, c.second)
    }
}

/// Days since 1970 of a date; `None` for the 30th of February and its kind.
fn days_from_civil(c: Civil) -> Option<i64> {
    let leap = c.year % 4 == 0 && (c.year % 100 != 0 || c.year % 400 == 0);
    let length = match c.month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if c.day == 0 || c.day > length {
        return None;
    }
    // The year is taken to begin in March, so that the leap day comes last in it.
    let (month, year) = (i64::from(c.month), i64::from(c.year) - i64::from(c.month <= 2));
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + i64::from(c.day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// The date of a number of days since 1970.
fn civil_from_days(days: i64) -> (i32, u8, u8) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let narrow = |n: i64| u8::try_from(n).unwrap_or(1);
    (i32::try_from(year).unwrap_or(i32::MAX), narrow(month), narrow(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_a_known_moment_in_all_forms() {
        let t = Timestamp::from_micros(1_795_437_325_617_000);
        assert_eq!(t.rfc5322().to_string(), "Mon, 23 Nov 2026 12:35:25 +0000");
        assert_eq!(t.imap().to_string(), "23-Nov-2026 12:35:25 +0000");
        assert_eq!(t.rfc3339().to_string(), "2026-11-23T12:35:25.617Z");
    }

    #[test]
    fn rfc3339_is_read_in_every_form_and_nothing_else_is() {
        let at = |text| Timestamp::parse_rfc3339(text).map(Timestamp::as_micros);
        for text in [
            "2026-11-23T12:35:25.617Z",
            "2026-11-23t13:35:25.617000+01:00",
            "2026-11-23 07:05:25.6170009-05:30",
        ] {
            assert_eq!(at(text), Some(1_795_437_325_617_000), "{text}");
        }
        assert_eq!(at("1970-01-01T00:00:00Z"), Some(0));
        for bad in [
            "",
            "2026-11-23",
            "2026-11-23T12:35Z",
            "2026-11-23T12:35:25",
            "2026-02-30T00:00:00Z",
            "2026-11-23T12:35:25.Zx",
            "2026-11-23T12:35:25+0100",
            "2026-11-23T12:35:25+99:00",
            "+026-11-23T12:35:25Z",
            "2026-1-23T12:35:25Z",
            "2026-11-23T12:35:25.6é7Z",
            "2026-11-23T24:00:00Z",
        ] {
            assert_eq!(at(bad), None, "{bad}");
        }
    }

    #[test]
    fn civil_and_back_over_eight_centuries() {
        for day in (-200_000..200_000).step_by(17) {
            let t = Timestamp::from_secs(day * 86_400 + 12_345);
            assert_eq!(Timestamp::from_civil(t.civil()), Some(t), "day {day}");
        }
    }

    #[test]
    fn there_is_no_thirtieth_of_february() {
        let c = Civil { year: 2024, month: 2, day: 29, hour: 0, minute: 0, second: 0 };
        assert!(Timestamp::from_civil(c).is_some());
        assert!(Timestamp::from_civil(Civil { year: 2023, ..c }).is_none());
        assert!(Timestamp::from_civil(Civil { day: 30, ..c }).is_none());
        assert!(Timestamp::from_civil(Civil { month: 13, ..c }).is_none());
    }

    #[test]
    fn spans_do_not_overflow() {
        let end = Timestamp::from_micros(i64::MAX);
        assert_eq!(end.plus(Duration::from_secs(1)), end);
        assert_eq!(Timestamp::default().since(end), Duration::ZERO);
    }
}
