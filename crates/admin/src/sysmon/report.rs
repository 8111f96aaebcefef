//! The text of a summary, and the mail that it goes out in.

use super::Answering;
use super::log::{Counts, SEVERITIES, Seen};
use super::space::Space;
use mail::address::Address;
use mail::time::Timestamp;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Everything that a summary says.
#[derive(Debug)]
pub struct Report {
    /// The logical name of the host.
    pub host: String,
    /// From when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// What was logged.
    pub counts: Counts,
    /// How full the disks are.
    pub spaces: Vec<Space>,
    /// Percent from which on a disk is an alarm.
    pub space_percent: u8,
    /// Whether the servers answer.
    pub servers: Vec<Answering>,
    /// What of the file of wishes was not understood.
    pub notes: Vec<String>,
}

impl Report {
    /// Whether nothing at all was logged: that is worth a look by itself, since servers always log something (ITS 22150).
    pub fn is_empty(&self) -> bool {
        self.counts.servers.is_empty()
    }

    /// What needs the operator, one line each.
    pub fn alarms(&self) -> Vec<String> {
        let mut alarms = Vec::new();
        if self.is_empty() {
            alarms.push("the log is empty: nothing was logged in this time".to_owned());
        }
        for Answering { server, failure } in &self.servers {
            alarms.extend(failure.as_ref().map(|why| format!("{server} does not answer: {why}")));
        }
        for space in &self.spaces {
            let folder = space.folder.display();
            match space.usage {
                None => alarms.push(format!("{folder} is not there")),
                Some(usage) if usage.percent() >= u64::from(self.space_percent) => {
                    alarms.push(format!("{folder} is full to {} percent", usage.percent()));
                }
                Some(_) => {}
            }
        }
        let [.., urgent, fatal] = self.totals();
        if urgent + fatal > 0 {
            alarms.push(format!("{} events need the operator (Urgt, Fatl)", urgent + fatal));
        }
        alarms
    }

    /// The subject of the mail.
    pub fn subject(&self) -> String {
        let state = match (self.is_empty(), self.alarms().len()) {
            (true, _) => "the log is EMPTY".to_owned(),
            (false, 0) => "nothing unusual".to_owned(),
            (false, 1) => "1 alarm".to_owned(),
            (false, n) => format!("{n} alarms"),
        };
        format!("[imsysmon] {}: {state}", self.host)
    }

    fn totals(&self) -> [u64; 5] {
        let mut totals = [0; 5];
        for counts in self.counts.servers.values() {
            totals.iter_mut().zip(counts).for_each(|(total, n)| *total += n);
        }
        totals
    }

    /// The summary for people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "Summary of the log of {}\nfrom {} to {}\n\n",
            self.host,
            self.since.rfc3339(),
            self.until.rfc3339()
        );
        let alarms = self.alarms();
        if !alarms.is_empty() {
            text.push_str("ALARMS\n");
            for alarm in &alarms {
                let _ = writeln!(text, "  {alarm}");
            }
            text.push('\n');
        }
        self.severities(&mut text);
        self.events(&mut text);
        self.others(&mut text);
        text
    }

    fn severities(&self, text: &mut String) {
        let row = |name: &str, counts: &[u64; 5]| {
            [vec![name.to_owned()], counts.iter().map(ToString::to_string).collect()].concat()
        };
        let mut rows =
            vec![[vec!["Server".to_owned()], SEVERITIES.iter().map(ToString::to_string).collect()].concat()];
        rows.extend(self.counts.servers.iter().map(|(server, counts)| row(server, counts)));
        rows.push(row("all", &self.totals()));
        table(&rows, text);
    }

    fn events(&self, text: &mut String) {
        if self.counts.events.is_empty() {
            return;
        }
        let mut rows = vec![["Event", "Severity", "Count", "Last"].map(str::to_owned).to_vec()];
        for ((severity, name), Seen { count, last }) in &self.counts.events {
            rows.push(vec![
                name.clone(),
                severity.0.0.to_string(),
                count.to_string(),
                last.rfc3339().to_string(),
            ]);
        }
        table(&rows, text);
    }

    fn others(&self, text: &mut String) {
        let mut rows = vec![["File system", "Used", "Free MB", "Full in"].map(str::to_owned).to_vec()];
        for space in &self.spaces {
            let used = space.usage.map_or("-".to_owned(), |u| format!("{}%", u.percent()));
            let free = space.usage.map_or("-".to_owned(), |u| (u.free >> 20).to_string());
            let lasts =
                space.lasts.map_or("-".to_owned(), |span| format!("{} days", span.as_secs() / 86_400));
            rows.push(vec![space.folder.display().to_string(), used, free, lasts]);
        }
        table(&rows, text);
        let mut rows = vec![["Server", "Answers"].map(str::to_owned).to_vec()];
        let answer = |s: &Answering| s.failure.clone().unwrap_or_else(|| "yes".to_owned());
        rows.extend(self.servers.iter().map(|server| vec![server.server.clone(), answer(server)]));
        table(&rows, text);
        if self.counts.unreadable > 0 {
            let _ = writeln!(text, "{} lines were not of the form of the log.", self.counts.unreadable);
        }
        for note in &self.notes {
            let _ = writeln!(text, "{}, {note}.", super::FILE);
        }
    }

    /// The summary for programs.
    pub fn json(&self) -> Value {
        let servers = self.counts.servers.iter().map(|(server, counts)| {
            let counts = SEVERITIES.iter().zip(counts).map(|(s, n)| (s.to_string(), (*n).into()));
            (server.clone(), Value::Object(counts.collect()))
        });
        let events = self.counts.events.iter().map(|((severity, name), seen)| {
            let severity = severity.0.0.to_string();
            json!({ "event": name, "severity": severity, "count": seen.count, "last": seen.last.rfc3339().to_string() })
        });
        let spaces = self.spaces.iter().map(|space| {
            let usage = space.usage.map(|u| json!({ "total": u.total, "free": u.free, "percent": u.percent() }));
            json!({ "folder": space.folder, "usage": usage, "lasts_seconds": space.lasts.map(|span| span.as_secs()) })
        });
        let answers = self.servers.iter().map(|s| (s.server.clone(), json!(s.failure)));
        json!({
            "host": self.host,
            "since": self.since.rfc3339().to_string(),
            "until": self.until.rfc3339().to_string(),
            "alarms": self.alarms(),
            "severities": Value::Object(servers.collect()),
            "events": events.collect::<Vec<_>>(),
            "file_systems": spaces.collect::<Vec<_>>(),
            "failures": Value::Object(answers.collect()),
            "unreadable": self.counts.unreadable,
            "notes": self.notes,
        })
    }
}

/// Columns of equal width, numbers to the right, and an empty line behind them.
fn table(rows: &[Vec<String>], text: &mut String) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
    let widths: Vec<_> = (0..columns).map(|at| width(at).unwrap_or(0)).collect();
    let digit = |cell: &String| cell.bytes().all(|b| b.is_ascii_digit() || b == b'%');
    let numbers = |at: usize| rows.len() > 1 && rows[1..].iter().all(|row| row.get(at).is_some_and(digit));
    let right: Vec<_> = (0..columns).map(numbers).collect();
    for row in rows {
        let mut line = String::new();
        for ((cell, width), right) in row.iter().zip(&widths).zip(&right) {
            let _ = if *right { write!(line, "{cell:>width$}  ") } else { write!(line, "{cell:<width$}  ") };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text.push('\n');
}

/// The text as a message.
pub(super) fn message(
    from: &Address,
    to: &str,
    id: &str,
    subject: &str,
    text: &str,
    now: Timestamp,
) -> String {
    let mut message = format!(
        "Date: {}\r\nFrom: InterMail <{from}>\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{id}@{}>\r\n",
        now.rfc5322(),
        from.domain()
    );
    message.push_str("Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n");
    message.push_str("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
    for line in text.lines() {
        message.push_str(line);
        message.push_str("\r\n");
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysmon::log::Worst;
    use crate::sysmon::space::Usage;
    use catalog::event::Severity;
    use std::cmp::Reverse;
    use std::time::Duration;

    fn report() -> Report {
        let mut counts = Counts::default();
        counts.servers.insert("mta".into(), [1_234_567, 12, 0, 0, 0]);
        counts.servers.insert("imdircacheserv".into(), [5, 0, 3, 0, 0]);
        let last = Timestamp::from_secs(1_795_437_325);
        counts.events.insert((Worst(Reverse(Severity::Erro)), "DbFailed".into()), Seen { count: 3, last });
        Report {
            host: "mars".into(),
            since: Timestamp::from_secs(1_795_400_000),
            until: Timestamp::from_secs(1_795_486_400),
            counts,
            spaces: vec![Space {
                folder: "/mail".into(),
                usage: Some(Usage { total: 100 << 20, free: 50 << 20 }),
                lasts: Some(Duration::from_secs(86_400 * 7)),
            }],
            space_percent: 90,
            servers: vec![Answering { server: "mta".into(), failure: None }],
            notes: vec!["line 1: nobody reads pager".into()],
        }
    }

    #[test]
    fn its_9677_the_columns_of_all_severities_are_aligned() {
        let text = report().text();
        let expected = "\
Server             Note  Warn  Erro  Urgt  Fatl
imdircacheserv        5     0     3     0     0
mta             1234567    12     0     0     0
all             1234572    12     3     0     0

Event     Severity  Count  Last
DbFailed  Erro          3  2026-11-23T12:35:25.000Z

File system  Used  Free MB  Full in
/mail         50%       50  7 days

Server  Answers
mta     yes

config/imsysmon.ini, line 1: nobody reads pager.
";
        assert!(text.ends_with(expected), "{text}");
        assert_eq!(report().subject(), "[imsysmon] mars: nothing unusual");
    }

    #[test]
    fn its_22150_its_22159_an_empty_log_is_said() {
        let empty = Report { counts: Counts::default(), ..report() };
        assert_eq!(empty.subject(), "[imsysmon] mars: the log is EMPTY");
        assert!(empty.text().contains("ALARMS\n  the log is empty: nothing was logged in this time\n"));
        assert!(
            empty
                .text()
                .contains("\nServer  Note  Warn  Erro  Urgt  Fatl\nall        0     0     0     0     0\n")
        );
    }

    #[test]
    fn what_needs_the_operator_is_an_alarm() {
        let mut bad = report();
        bad.counts.servers.insert("mss".into(), [0, 0, 0, 2, 1]);
        bad.spaces[0].usage = Some(Usage { total: 100, free: 10 });
        bad.spaces.push(Space { folder: "/gone".into(), usage: None, lasts: None });
        bad.servers[0].failure = Some("no answer in time".into());
        assert_eq!(
            bad.alarms(),
            [
                "mta does not answer: no answer in time",
                "/mail is full to 90 percent",
                "/gone is not there",
                "3 events need the operator (Urgt, Fatl)",
            ]
        );
        assert_eq!(bad.subject(), "[imsysmon] mars: 4 alarms");
        assert_eq!(bad.json()["severities"]["mss"]["Urgt"], 2);
    }
}
