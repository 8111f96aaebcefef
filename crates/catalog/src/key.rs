//! What a configuration key is: its type, its default, its limits, whether a change needs a restart.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// When a change takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// From the next command or connection on.
    Live,
    /// When the server starts next.
    Restart,
}

/// How the values of a key are written and checked. The range, where there is one, is inclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false` (also `on`, `off`, `yes`, `no`, `1`, `0`).
    Bool,
    /// A whole number within limits, in the unit that the name or the doc says.
    Number(RangeInclusive<i64>),
    /// Free text of one line, at most this many bytes.
    Text(usize),
    /// One word of these.
    Choice(&'static [&'static str]),
    /// Any number of one-line texts, each at most this many bytes.
    List(usize),
}

/// One key, as the tables and the checker see it.
#[derive(Debug)]
pub struct Row {
    /// Its own name, the last part of the path.
    pub name: &'static str,
    /// The servers that read it; `common` where several do.
    pub servers: &'static [&'static str],
    /// How its values are written.
    pub kind: Kind,
    /// What holds where the tree has no value: each entry one value.
    pub default: &'static [&'static str],
    /// When a change takes effect.
    pub effect: Effect,
    /// Former names and what became of them are in `obsolete.rs`; this is the release that brought it.
    pub since: &'static str,
    /// One or two sentences for the manual.
    pub doc: &'static str,
}

/// A key together with the type of its value. Declared with [`keys!`](crate::keys!) only.
#[derive(Debug)]
pub struct Key<T: Value> {
    /// The row behind it.
    pub row: &'static Row,
    /// Makes the type stick.
    pub value: std::marker::PhantomData<fn() -> T>,
}

impl<T: Value> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Value> Copy for Key<T> {}

impl<T: Value> Key<T> {
    /// The typed key of a row.
    pub const fn of(row: &'static Row) -> Self {
        Self { row, value: std::marker::PhantomData }
    }
}

/// What a value is read as. Only called with values that [`Kind::check`] has passed.
pub trait Value: Sized {
    /// From the values of the tree, or the default's.
    fn read(values: &[String]) -> Option<Self>;
}

/// Why a value is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadValue(pub String);

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Kind {
    /// Whether these values fit.
    ///
    /// # Errors
    /// Says what was expected.
    pub fn check(&self, values: &[String]) -> Result<(), BadValue> {
        if let Self::List(max) = self {
            return values.iter().try_for_each(|v| check_text(v, *max));
        }
        let [value] = values else {
            return Err(BadValue(format!("one value expected, {} found", values.len())));
        };
        match self {
            Self::Bool => parse_bool(value).map(|_| ()).ok_or(BadValue("expected true or false".into())),
            Self::Number(range) => match value.trim().parse::<i64>() {
                Ok(n) if range.contains(&n) => Ok(()),
                Ok(_) => Err(BadValue(format!("expected {} to {}", range.start(), range.end()))),
                Err(_) => Err(BadValue("expected a whole number".into())),
            },
            Self::Text(max) => check_text(value, *max),
            Self::Choice(words) if words.iter().any(|w| w.eq_ignore_ascii_case(value.trim())) => Ok(()),
            Self::Choice(words) => Err(BadValue(format!("expected one of {}", words.join(", ")))),
            Self::List(_) => Ok(()),
        }
    }
}

fn check_text(value: &str, max: usize) -> Result<(), BadValue> {
    match value.chars().any(char::is_control) {
        true => Err(BadValue("control characters are not allowed".into())),
        false if value.len() > max => Err(BadValue(format!("longer than {max} bytes"))),
        false => Ok(()),
    }
}

fn parse_bool(value: &str) -> Option<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "1" => Some(true),
        "false" | "off" | "no" | "0" => Some(false),
        _ => None,
    }
}

impl Value for bool {
    fn read(values: &[String]) -> Option<Self> {
        parse_bool(values.first()?)
    }
}

impl Value for i64 {
    fn read(values: &[String]) -> Option<Self> {
        values.first()?.trim().parse().ok()
    }
}

impl Value for String {
    fn read(values: &[String]) -> Option<Self> {
        values.first().cloned()
    }
}

impl Value for Vec<String> {
    fn read(values: &[String]) -> Option<Self> {
        Some(values.to_vec())
    }
}

/// A count or size that is never negative.
impl Value for u64 {
    fn read(values: &[String]) -> Option<Self> {
        values.first()?.trim().parse().ok()
    }
}

/// A span, for keys that count seconds.
impl Value for Duration {
    fn read(values: &[String]) -> Option<Self> {
        values.first()?.trim().parse().ok().map(Duration::from_secs)
    }
}

/// Declares keys: the typed constant, its row, and `ROWS` with all of the file.
///
/// ```ignore
/// keys! {
///     /// Largest message accepted, in KB. …   (the doc comment is the manual text)
///     MAX_MESSAGE_SIZE: u64 = "maxMessageSize" in ["mta"], Kind::Number(1..=2_097_152), ["20480"], Live, since "3.2";
/// }
/// ```
#[macro_export]
macro_rules! keys {
    ($(#[doc = $doc:literal] $konst:ident : $ty:ty = $name:literal in [$($server:literal),+], $kind:expr,
        [$($default:literal),*], $effect:ident, since $since:literal;)+) => {
        $(
            #[doc = $doc]
            pub const $konst: $crate::key::Key<$ty> = $crate::key::Key::of({
                const ROW: &$crate::key::Row = &$crate::key::Row {
                    name: $name, servers: &[$($server),+], kind: $kind, default: &[$($default),*],
                    effect: $crate::key::Effect::$effect, since: $since, doc: $doc,
                };
                ROW
            });
        )+
        /// All rows of this file, in order.
        pub const ROWS: &[&$crate::key::Row] = &[$($konst.row),+];
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &Kind, values: &[&str]) -> Result<(), String> {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        kind.check(&values).map_err(|e| e.0)
    }

    #[test]
    fn values_are_checked_against_their_kind() {
        assert_eq!(check(&Kind::Number(1..=9), &["10"]), Err("expected 1 to 9".into()));
        assert_eq!(check(&Kind::Number(1..=9), &["x"]), Err("expected a whole number".into()));
        assert_eq!(check(&Kind::Number(1..=9), &["5"]), Ok(()));
        assert_eq!(check(&Kind::Bool, &["perhaps"]), Err("expected true or false".into()));
        assert_eq!(check(&Kind::Choice(&["a", "b"]), &["B"]), Ok(()));
        assert_eq!(check(&Kind::List(4), &["abc", "abcde"]), Err("longer than 4 bytes".into()));
        assert_eq!(check(&Kind::Bool, &["true", "false"]), Err("one value expected, 2 found".into()));
    }
}
