//! The forms of a line: text as the reference manual shows it, or one JSON object a line.

use catalog::event::{Event, write_fields, write_json_fields, write_json_text};
use mail::time::Timestamp;
use std::fmt::Write as _;

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// Time, host, `server[process]`, severity, name, `field=value`.
    #[default]
    Text,
    /// One JSON object (RFC 8259) a line; the event's own fields stand under `fields`.
    Json,
}

/// What stands in front of every event.
pub(super) struct Head<'a> {
    pub(super) time: Timestamp,
    pub(super) host: &'a str,
    pub(super) server: &'a str,
    pub(super) pid: u32,
}

/// Appends the line of an event, with its end.
pub(super) fn write(form: Form, head: &Head<'_>, event: &dyn Event, line: &mut String) {
    let (row, time) = (event.row(), head.time.rfc3339());
    let Head { host, server, pid, .. } = head;
    match form {
        Form::Text => {
            let _ = write!(line, "{time} {host} {server}[{pid}] {} {}", row.severity, row.name);
            write_fields(event, line);
            line.push('\n');
        }
        Form::Json => {
            let _ = write!(line, "{{\"time\":\"{time}\",\"host\":");
            write_json_text(host, line);
            let (severity, name) = (row.severity, row.name);
            let _ = write!(line, ",\"server\":\"{server}\",\"pid\":{pid},\"severity\":\"{severity}\"");
            let _ = write!(line, ",\"event\":\"{name}\",\"fields\":{{");
            write_json_fields(event, line);
            line.push_str("}}\n");
        }
    }
}
