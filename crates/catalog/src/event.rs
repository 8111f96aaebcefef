//! What a log event is: a name, a severity, typed fields. Emitting is `env::Log`'s business.

use crate::metrics::Counter;
use std::fmt::{self, Write as _};

/// How bad it is. The four letters are what stands in the log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Normal operation.
    Note,
    /// Odd, no loss.
    Warn,
    /// An operation failed.
    Erro,
    /// The service is degraded: the operator is needed.
    Urgt,
    /// The server ends.
    Fatl,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "Note",
            Self::Warn => "Warn",
            Self::Erro => "Erro",
            Self::Urgt => "Urgt",
            Self::Fatl => "Fatl",
        })
    }
}

/// What the reference manual says of an event.
#[derive(Debug)]
pub struct EventRow {
    /// The name, as in the log.
    pub name: &'static str,
    /// Its severity.
    pub severity: Severity,
    /// When it is emitted, in one sentence.
    pub doc: &'static str,
    /// The names of its fields, in order.
    pub fields: &'static [&'static str],
    /// What usually causes it.
    pub cause: &'static str,
    /// What the operator should do.
    pub action: &'static str,
    /// What it counts, each time that it is emitted.
    pub counts: Option<Counts>,
}

/// A counter that an event counts up by one.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    /// Which.
    pub counter: Counter,
    /// Where the values of its labels come from, in their order.
    pub labels: &'static [LabelFrom],
}

/// Where the value of a label comes from.
#[derive(Debug)]
pub enum LabelFrom {
    /// It is the value of this field.
    Field(&'static str),
    /// It is this.
    Text(&'static str),
}

/// An event with its values.
pub trait Event {
    /// Its row.
    fn row(&self) -> &'static EventRow;
    /// Calls back with each field's name and value, in the order of the row.
    fn fields(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display));
}

/// Writes ` name=value` for every field: quoted where the value is empty or holds a space, a quote or `=`;
/// control characters become `?`, so that nobody can forge a line.
pub fn write_fields(event: &dyn Event, line: &mut String) {
    let mut value = String::new();
    event.fields(&mut |name, display| {
        value.clear();
        let _ = write!(value, "{display}");
        let _ = write!(line, " {name}=");
        if value.is_empty() || value.contains([' ', '"', '=']) {
            let _ = write!(
                line,
                "\"{}\"",
                value.replace('\\', "\\\\").replace('"', "\\\"").replace(char::is_control, "?")
            );
        } else if value.contains(char::is_control) {
            line.push_str(&value.replace(char::is_control, "?"));
        } else {
            line.push_str(&value);
        }
    });
}

/// Fields whose values are numbers, in every event that has them; all others are texts. One name has one type, so that
/// whoever indexes JSON lines never meets it with another.
pub const NUMBERS: &[&str] = &[
    "accounts",
    "alarms",
    "bytes",
    "copied",
    "count",
    "damaged",
    "deleted",
    "entries",
    "freed",
    "gid",
    "groups",
    "limit",
    "lines",
    "mailboxes",
    "max_ms",
    "mean_ms",
    "messages",
    "millis",
    "ms",
    "authentication_ms",
    "store_ms",
    "pending",
    "percent",
    "port",
    "recipients",
    "retrieved",
    "retry_millis",
    "seconds",
    "segments",
    "uid",
    "used",
];

/// Writes the fields as the members of a JSON object, without its braces: numbers for [`NUMBERS`], texts else. A value that
/// should be a number and is none stands as text.
pub fn write_json_fields(event: &dyn Event, line: &mut String) {
    let (mut value, mut first) = (String::new(), true);
    event.fields(&mut |name, display| {
        value.clear();
        let _ = write!(value, "{display}");
        line.push_str(if first { "\"" } else { ",\"" });
        first = false;
        line.push_str(name);
        line.push_str("\":");
        if NUMBERS.contains(&name) && is_json_number(&value) {
            line.push_str(&value);
        } else {
            write_json_text(&value, line);
        }
    });
}

/// RFC 8259 6, as far as our numbers go: digits without a zero in front, a minus, a fraction.
pub fn is_json_number(text: &str) -> bool {
    let digits =
        |part: &str| !part.is_empty() && part.len() <= 20 && part.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    digits(whole) && digits(fraction) && (whole == "0" || !whole.starts_with('0'))
}

/// Writes a text as a JSON string, with its quotes (RFC 8259 7).
pub fn write_json_text(text: &str, line: &mut String) {
    line.push('"');
    for c in text.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

/// Declares events: the struct with its fields, its row, and `ROWS` with all of the file.
///
/// ```ignore
/// events! {
///     /// A message was put into a mailbox.
///     MtaMessageDelivered: Note { id, to, mailbox, bytes }
///         cause "Normal operation." action "None.";
/// }
/// ```
/// Fields take anything that implements `Display`; a secret does not. `counts METRIC(label, ...)` behind the fields counts
/// that counter up; a label is the name of a field, or a text in quotes.
#[macro_export]
macro_rules! events {
    ($(#[doc = $doc:literal] $name:ident : $severity:ident { $($field:ident),* $(,)? }
        $(counts $counter:ident($($label:tt),*))?
        cause $cause:literal action $action:literal;)+) => {
        $(
            #[doc = $doc]
            #[allow(missing_docs, reason = "the fields are explained by the event's text")]
            pub struct $name<$($field),*> { $(pub $field: $field),* }

            impl<$($field: std::fmt::Display),*> $crate::event::Event for $name<$($field),*> {
                fn row(&self) -> &'static $crate::event::EventRow {
                    const ROW: &$crate::event::EventRow = &$crate::event_row!(
                        $name $severity $doc ($($field)*) $cause $action $($counter($($label),*))?);
                    ROW
                }

                fn fields(&self, each: &mut dyn FnMut(&'static str, &dyn std::fmt::Display)) {
                    let _ = &each;
                    $(each(stringify!($field), &self.$field);)*
                }
            }
        )+
        /// All rows of this file, in order.
        pub const ROWS: &[&$crate::event::EventRow] = &[$(&$crate::event_row!(
            $name $severity $doc ($($field)*) $cause $action $($counter($($label),*))?)),+];
    };
}

/// The row of one event, for [`events!`].
#[doc(hidden)]
#[macro_export]
macro_rules! event_row {
    ($name:ident $severity:ident $doc:literal ($($field:ident)*) $cause:literal $action:literal
        $($counter:ident($($label:tt),*))?) => {
        $crate::event::EventRow {
            name: stringify!($name), severity: $crate::event::Severity::$severity, doc: $doc,
            fields: &[$(stringify!($field)),*], cause: $cause, action: $action,
            counts: [$(Some($crate::event::Counts {
                counter: $crate::metrics::$counter, labels: &[$($crate::label_from!($label)),*],
            }),)? None][0],
        }
    };
}

/// Where a label's value comes from, for [`events!`]: the name of a field, or a text.
#[doc(hidden)]
#[macro_export]
macro_rules! label_from {
    ($field:ident) => {
        $crate::event::LabelFrom::Field(stringify!($field))
    };
    ($text:literal) => {
        $crate::event::LabelFrom::Text($text)
    };
}

#[cfg(test)]
#[allow(
    non_camel_case_types,
    unreachable_pub,
    dead_code,
    reason = "what the macro makes of a private module"
)]
mod tests {
    use super::*;

    events! {
        /// A test.
        TestEvent: Note { from, text } cause "A test." action "None.";
        /// Another.
        Typed: Note { bytes, lines, from } cause "A test." action "None.";
    }

    #[test]
    fn fields_are_quoted_when_they_need_it_and_cannot_forge_a_line() {
        let mut line = String::new();
        write_fields(&TestEvent { from: "a@b", text: "x \"y\"\r\n2026 Note Fake" }, &mut line);
        assert_eq!(line, " from=a@b text=\"x \\\"y\\\"??2026 Note Fake\"");
    }

    #[test]
    fn rows_name_their_fields() {
        assert_eq!(ROWS[0].fields, ["from", "text"]);
    }

    #[test]
    fn json_fields_have_types_and_cannot_end_their_string() {
        let mut line = String::new();
        write_json_fields(&Typed { bytes: 12, lines: "x", from: "7\"\\\n\u{7f}ü" }, &mut line);
        assert_eq!(line, r#""bytes":12,"lines":"x","from":"7\"\\\u000a\u007fü""#);
        let numbers = ["0", "-1", "12.50", "18446744073709551615"];
        assert!(numbers.into_iter().all(is_json_number));
        let others = ["", "-", "01", ".5", "5.", "1e3", "NaN", "+1", "1 ", "١"];
        assert!(!others.into_iter().any(is_json_number));
    }

    #[test]
    fn every_number_is_a_field_of_some_event_and_every_label_has_a_source() {
        let is_field = |name: &&str| crate::events::rows().any(|row| row.fields.contains(name));
        assert_eq!(NUMBERS.iter().find(|name| !is_field(name)), None);
        for row in crate::events::rows() {
            let Some(counts) = row.counts else { continue };
            let metric = &crate::metrics::ROWS[counts.counter.0];
            assert_eq!(counts.labels.len(), metric.labels.len(), "{}", row.name);
            for (from, label) in counts.labels.iter().zip(metric.labels) {
                match from {
                    LabelFrom::Field(field) => assert!(row.fields.contains(field), "{}", row.name),
                    LabelFrom::Text(text) => assert!(label.values.contains(text), "{}", row.name),
                }
            }
        }
    }
}
