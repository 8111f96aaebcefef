//! What a log event is: a name, a severity, typed fields. Emitting is `env::Log`'s business.

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

/// Declares events: the struct with its fields, its row, and `ROWS` with all of the file.
///
/// ```ignore
/// events! {
///     /// A message was put into a mailbox.
///     MtaMessageDelivered: Note { id, to, mailbox, bytes }
///         cause "Normal operation." action "None.";
/// }
/// ```
/// Fields take anything that implements `Display`; a secret does not.
#[macro_export]
macro_rules! events {
    ($(#[doc = $doc:literal] $name:ident : $severity:ident { $($field:ident),* $(,)? }
        cause $cause:literal action $action:literal;)+) => {
        $(
            #[doc = $doc]
            #[allow(missing_docs, reason = "the fields are explained by the event's text")]
            pub struct $name<$($field),*> { $(pub $field: $field),* }

            impl<$($field: std::fmt::Display),*> $crate::event::Event for $name<$($field),*> {
                fn row(&self) -> &'static $crate::event::EventRow {
                    const ROW: &$crate::event::EventRow = &$crate::event::EventRow {
                        name: stringify!($name), severity: $crate::event::Severity::$severity, doc: $doc,
                        fields: &[$(stringify!($field)),*], cause: $cause, action: $action,
                    };
                    ROW
                }

                fn fields(&self, each: &mut dyn FnMut(&'static str, &dyn std::fmt::Display)) {
                    let _ = &each;
                    $(each(stringify!($field), &self.$field);)*
                }
            }
        )+
        /// All rows of this file, in order.
        pub const ROWS: &[&$crate::event::EventRow] = &[$(&$crate::event::EventRow {
            name: stringify!($name), severity: $crate::event::Severity::$severity, doc: $doc,
            fields: &[$(stringify!($field)),*], cause: $cause, action: $action,
        }),+];
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
}
