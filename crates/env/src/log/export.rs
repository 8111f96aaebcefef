//! Events as OpenTelemetry log records, gathered for whoever sends them on.
//!
//! The form is that of OTLP 1.x over HTTP in JSON (`ExportLogsServiceRequest`). What waits is bounded; past that, records
//! are dropped and counted. Sending is `control::monitor`'s business.

use super::line::Head;
use catalog::event::{Event, NUMBERS, Severity, is_json_number, write_json_text};
use std::fmt::Write as _;

/// Most bytes of records that wait to be sent.
pub(super) const MAX_WAITING: usize = 4 << 20;

/// Records that wait, by server.
#[derive(Default)]
pub(super) struct Waiting {
    records: Vec<(&'static str, String)>,
    bytes: usize,
    count: u64,
}

/// A request to the receiver.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its body, JSON.
    pub body: String,
    /// How many records it has.
    pub records: u64,
}

impl Waiting {
    /// Adds an event; `false` where there is no room.
    pub(super) fn add(&mut self, server: &'static str, head: &Head<'_>, event: &dyn Event) -> bool {
        if self.bytes >= MAX_WAITING {
            return false;
        }
        let at = self.records.iter().position(|(s, _)| *s == server).unwrap_or_else(|| {
            self.records.push((server, String::new()));
            self.records.len() - 1
        });
        let text = &mut self.records[at].1;
        let before = text.len();
        if before > 0 {
            text.push(',');
        }
        record(head, event, text);
        self.bytes += text.len() - before;
        self.count += 1;
        true
    }

    /// All that wait, as one request.
    pub(super) fn take(&mut self, host: &str, version: &str) -> Option<Batch> {
        let Self { records, bytes, count } = std::mem::take(self);
        if count == 0 {
            return None;
        }
        let mut body = String::with_capacity(bytes + 512);
        body.push_str("{\"resourceLogs\":[{\"resource\":{\"attributes\":[");
        for (at, (key, value)) in
            [("service.name", "intermail"), ("service.version", version), ("host.name", host)]
                .iter()
                .enumerate()
        {
            attribute(key, value, at > 0, &mut body);
        }
        body.push_str("]},\"scopeLogs\":[");
        for (at, (server, records)) in records.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let _ = write!(body, "{comma}{{\"scope\":{{\"name\":\"{server}\"}},\"logRecords\":[{records}]}}");
        }
        body.push_str("]}]}");
        Some(Batch { body, records: count })
    }
}

/// A `LogRecord`. 64-bit numbers are strings in the JSON of protobuf.
fn record(head: &Head<'_>, event: &dyn Event, out: &mut String) {
    let row = event.row();
    let _ = write!(
        out,
        "{{\"timeUnixNano\":\"{}000\",\"severityNumber\":{},\"severityText\":\"{}\",\"eventName\":\"{}\",\"attributes\":[",
        head.time.as_micros(),
        severity_number(row.severity),
        row.severity,
        row.name
    );
    let (mut value, mut first) = (String::new(), true);
    event.fields(&mut |name, display| {
        value.clear();
        let _ = write!(value, "{display}");
        attribute(name, &value, !first, out);
        first = false;
    });
    out.push_str("]}");
}

fn attribute(key: &str, value: &str, comma: bool, out: &mut String) {
    let comma = if comma { "," } else { "" };
    let _ = write!(out, "{comma}{{\"key\":\"{key}\",\"value\":{{");
    if NUMBERS.contains(&key) && is_json_number(value) {
        let _ = match value.contains('.') {
            true => write!(out, "\"doubleValue\":{value}"),
            false => write!(out, "\"intValue\":\"{value}\""),
        };
    } else {
        out.push_str("\"stringValue\":");
        write_json_text(value, out);
    }
    out.push_str("}}");
}

/// The numbers of OpenTelemetry's log data model: INFO, WARN, ERROR, ERROR3, FATAL.
fn severity_number(severity: Severity) -> u8 {
    match severity {
        Severity::Note => 9,
        Severity::Warn => 13,
        Severity::Erro => 17,
        Severity::Urgt => 19,
        Severity::Fatl => 21,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::events::db::DbWritesUnblocked;
    use mail::time::Timestamp;

    #[test]
    fn a_batch_is_a_request_of_otlp() {
        let mut waiting = Waiting::default();
        assert_eq!(waiting.take("h", "1"), None);
        let time = Timestamp::from_micros(1_795_437_325_617_000);
        let head = Head { time, host: "mta1", server: "mss", pid: 7 };
        assert!(waiting.add("mss", &head, &DbWritesUnblocked { database: "a \"b\"", seconds: 12 }));
        assert!(waiting.add("mss", &head, &DbWritesUnblocked { database: "c", seconds: "?" }));
        let batch = waiting.take("mta1", "0.1.0").unwrap();
        assert_eq!(batch.records, 2);
        assert_eq!(
            batch.body,
            concat!(
                r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"intermail"}},"#,
                r#"{"key":"service.version","value":{"stringValue":"0.1.0"}},{"key":"host.name","value":{"stringValue":"mta1"}}]},"#,
                r#""scopeLogs":[{"scope":{"name":"mss"},"logRecords":[{"timeUnixNano":"1795437325617000000","severityNumber":9,"#,
                r#""severityText":"Note","eventName":"DbWritesUnblocked","attributes":[{"key":"database","value":{"stringValue":"a \"b\""}},"#,
                r#"{"key":"seconds","value":{"intValue":"12"}}]},{"timeUnixNano":"1795437325617000000","severityNumber":9,"#,
                r#""severityText":"Note","eventName":"DbWritesUnblocked","attributes":[{"key":"database","value":{"stringValue":"c"}},"#,
                r#"{"key":"seconds","value":{"stringValue":"?"}}]}]}]}]}"#,
            )
        );
        assert_eq!(waiting.take("h", "1"), None, "what was taken does not wait any more");
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut waiting = Waiting::default();
        let head = Head { time: Timestamp::default(), host: "h", server: "mss", pid: 7 };
        let long = "x".repeat(1 << 20);
        let added =
            (0..9).filter(|_| waiting.add("mss", &head, &DbWritesUnblocked { database: &long, seconds: 1 }));
        assert_eq!(added.count(), 4);
    }
}
