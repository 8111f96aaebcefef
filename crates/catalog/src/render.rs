//! Rows as the pages of the reference manual, in Markdown. `cargo xtask docs` writes them.

use crate::cos::ATTRIBUTES;
use crate::event::{EventRow, NUMBERS};
use crate::events;
use crate::key::{Effect, Kind, Row};
use crate::keys::{self, obsolete};
use crate::metrics::{self, BOUNDS, Kind as MetricKind, OPERATION_SECONDS, OPERATIONS};
use crate::servers::SERVERS;
use std::fmt::Write as _;

/// Every page made here: file name and text.
pub fn pages() -> [(&'static str, String); 5] {
    [
        ("keys.md", keys_page()),
        ("events.md", events_page()),
        ("metrics.md", metrics_page()),
        ("servers.md", servers_page()),
        ("classes-of-service.md", cos_page()),
    ]
}

/// What every generated page begins with.
pub fn heading(title: &str) -> String {
    format!(
        "# {title}\n\n<!-- Written by `cargo xtask docs` from the rows of the catalog. Do not edit. -->\n\n"
    )
}

fn keys_page() -> String {
    let mut page = heading("Configuration keys");
    page.push_str(concat!(
        "An entry of `config/config.db` is one line, `/<host>/<server>/<key>: [value]`, several values are ",
        "`[one][two]`, and `*` stands for any host or any server. The nearest entry holds: host and server, ",
        "host and `common`, `*` and server, `*` and `common`, else the default. *Live* keys take effect from ",
        "the next command or connection on, *restart* keys when the server starts next.\n\n",
    ));
    for (file, rows) in keys::FILES {
        let _ = write!(
            page,
            "## {file}\n\n| Key | Read by | Value | Default | Change | Since |\n|---|---|---|---|---|---|\n"
        );
        rows.iter().for_each(|row| key_line(&mut page, row));
        page.push('\n');
        for row in *rows {
            let _ = writeln!(page, "**`{}`**: {}\n", row.name, row.doc);
        }
    }
    page.push_str("## Obsolete keys\n\nThey are accepted and reported as `ConfParmError`.\n\n");
    page.push_str("| Key | Server | Obsolete since | What becomes of it |\n|---|---|---|---|\n");
    for old in obsolete::ROWS {
        let fate = match old.disposition {
            obsolete::Disposition::Ignore => format!("Ignored. {}", old.why),
            obsolete::Disposition::Translate { to, .. } => format!("Read as `{to}`. {}", old.why),
        };
        let _ = writeln!(page, "| `{}` | `{}` | {} | {fate} |", old.name, old.server, old.since);
    }
    page
}

fn key_line(page: &mut String, row: &Row) {
    let default: String = row.default.iter().map(|v| format!("[{v}]")).collect();
    let default = if default.is_empty() { "no value".to_owned() } else { format!("`{default}`") };
    let change = match row.effect {
        Effect::Live => "live",
        Effect::Restart => "restart",
    };
    let (name, servers, values) = (row.name, row.servers.join(", "), values_of(&row.kind));
    let _ = writeln!(page, "| `{name}` | {servers} | {values} | {default} | {change} | {} |", row.since);
}

fn values_of(kind: &Kind) -> String {
    match kind {
        Kind::Bool => "`true` or `false`".into(),
        Kind::Number(range) => format!("{} to {}", range.start(), range.end()),
        Kind::Text(max) => format!("text, at most {max} bytes"),
        Kind::Choice(words) => words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", "),
        Kind::List(max) => format!("any number of texts, each at most {max} bytes"),
    }
}

fn events_page() -> String {
    let mut page = heading("Log events");
    page.push_str(concat!(
        "One event is one line: time, logical host, `server[process]`, severity, name, then `field=value`. ",
        "Severities: `Note` normal operation, `Warn` odd but no loss, `Erro` an operation failed, `Urgt` the ",
        "service is degraded and the operator is needed, `Fatl` the server ends.\n\nWith `logFormat: [json]` a line is ",
        "an object with the members `time`, `host`, `server`, `pid`, `severity`, `event` and `fields`; under `fields` the ",
        "names below. Numbers are ",
    ));
    let numbers: Vec<_> = NUMBERS.iter().map(|name| format!("`{name}`")).collect();
    let _ = write!(page, "{}; all other fields are texts.\n\n", numbers.join(", "));
    for (prefix, rows) in events::FILES {
        let _ = write!(page, "## {prefix}\n\n");
        rows.iter().for_each(|row| event_entry(&mut page, row));
    }
    page
}

fn event_entry(page: &mut String, row: &EventRow) {
    let fields: Vec<_> = row.fields.iter().map(|f| format!("`{f}`")).collect();
    let fields = if fields.is_empty() { "none".to_owned() } else { fields.join(", ") };
    let _ = write!(page, "### {} ({})\n\n{}\n\n", row.name, row.severity, row.doc.trim());
    let _ = write!(page, "- Fields: {fields}\n- Cause: {}\n- What to do: {}\n", row.cause, row.action);
    if let Some(counts) = row.counts {
        let _ = writeln!(page, "- Counts: `{}`", metrics::ROWS[counts.counter.0].name);
    }
    page.push('\n');
}

fn metrics_page() -> String {
    let mut page = heading("Metrics");
    page.push_str(concat!(
        "A process with a `metricsPort` shows these numbers under `http://metricsAddress:metricsPort/metrics`, as text for ",
        "Prometheus. They begin at zero when the process starts. Labels have the values that are listed and no others: ",
        "no name of a user, a domain or a peer is ever one. The numbers of the queue are counted when they are asked for, ",
        "and in a large queue less often.\n\n| Metric | Kind | Labels | What it counts |\n|---|---|---|---|\n",
    ));
    for row in metrics::ROWS {
        let values = |l: &metrics::Label| format!("`{}`: {}", l.name, l.values.join(", "));
        let labels: Vec<_> = row.labels.iter().map(values).collect();
        let labels = if row.name == metrics::ROWS[metrics::BUILD_INFO.0].name {
            "`version`".to_owned()
        } else {
            labels.join("; ")
        };
        let kind = match row.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        let _ = writeln!(page, "| `{}` | {kind} | {labels} | {} |", row.name, row.doc);
    }
    let _ = writeln!(page, "| `{OPERATION_SECONDS}` | histogram | `server`, `operation` | See below. |");
    let bounds: Vec<_> =
        BOUNDS.iter().map(|micros| format!("{}.{}", micros / 1000, micros % 1000 / 100)).collect();
    let _ = write!(page, "\nBounds of the histograms, in milliseconds: {}.\n\n", bounds.join(", "));
    page.push_str(concat!(
        "## Operations\n\nWhat takes time is measured by operation. `intermail_operation_seconds` has all times since the ",
        "start; every `reportParamsInterval` seconds each server writes what came since the last time into its `.stat` ",
        "file, as [RunOperationStat](events.md), with how many took longer than each of `perfStatThresholds`. A command ",
        "of a client ends when its answer is ready to be sent, or sent where it is long. `login.authentication` is the ",
        "part of a login that waits for the directory, `login.store` the part that waits for the store.\n\n",
        "| Server | Operations |\n|---|---|\n",
    ));
    for server in SERVERS {
        let own = OPERATIONS.iter().filter(|row| row.server == server.name);
        let names: Vec<_> = own.map(|row| format!("`{}`", row.name)).collect();
        let _ = writeln!(page, "| `{}` | {} |", server.name, names.join(", "));
    }
    page
}

fn servers_page() -> String {
    let mut page = heading("Servers");
    page.push_str("They start in this order and stop in the opposite one.\n\n");
    page.push_str("| Server | Runs where | Ports (standard, key) | What it does |\n|---|---|---|---|\n");
    for server in SERVERS {
        let port =
            |p: &crate::servers::Port| format!("{} {} `{}`", p.service.name(), p.standard, p.key.row.name);
        let ports: Vec<_> = server.ports.iter().map(port).collect();
        let ports = if ports.is_empty() { "none".to_owned() } else { ports.join("; ") };
        let _ =
            writeln!(page, "| `{}` | `{}` | {ports} | {} |", server.name, server.run.row.name, server.doc);
    }
    page
}

fn cos_page() -> String {
    let mut page = heading("Classes of service");
    page.push_str(concat!(
        "Rule: `A` the account's value, else the class's; `C` the class's only; `L` the smaller, `G` the ",
        "greater of both. Type: `S` text, `N` number, `B` yes or no. Where nobody says anything, the default ",
        "holds.\n\n| Attribute | Type | Rule | Values | Default | Meaning |\n|---|---|---|---|---|---|\n",
    ));
    for a in ATTRIBUTES {
        let values = if a.values.is_empty() { "any".to_owned() } else { a.values.join(", ") };
        let (kind, rule) = (a.kind.letter(), a.rule.letter());
        let _ = writeln!(page, "| `{}` | {kind} | {rule} | {values} | `{}` | {} |", a.name, a.default, a.doc);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_on_its_page_and_no_cell_breaks_a_table() {
        let [(_, keys_md), (_, events_md), (_, metrics_md), (_, servers_md), (_, cos_md)] = pages();
        for row in keys::rows() {
            assert!(keys_md.contains(&format!("**`{}`**: {}", row.name, row.doc)), "{}", row.name);
        }
        for row in events::rows() {
            assert!(events_md.contains(&format!("### {} ({})", row.name, row.severity)), "{}", row.name);
        }
        assert!(metrics::ROWS.iter().all(|row| metrics_md.contains(&format!("| `{}` |", row.name))));
        assert!(OPERATIONS.iter().all(|row| metrics_md.contains(&format!("`{}`", row.name))));
        assert!(SERVERS.iter().all(|s| servers_md.contains(s.doc)));
        assert!(ATTRIBUTES.iter().all(|a| cos_md.contains(a.doc)));
        for (page, columns) in [(&servers_md, 4), (&cos_md, 6)] {
            let rows = page.lines().filter(|l| l.starts_with('|'));
            assert!(rows.clone().count() > 4);
            assert!(rows.into_iter().all(|l| l.matches('|').count() == columns + 1));
        }
    }

    #[test]
    fn its_8849_no_page_speaks_of_blobs() {
        for (name, page) in pages() {
            let word =
                page.split(|c: char| !c.is_alphanumeric()).find(|word| word.eq_ignore_ascii_case("blob"));
            assert_eq!(word, None, "{name}");
        }
    }
}
