//! The results: medians over the rounds, ratios to the peer, a table and a file.

use super::contender::Contender;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

/// A figure of the table: its name in the results, what it is called, whether more is better.
pub(crate) struct Figure {
    name: &'static str,
    title: &'static str,
    more: bool,
}

pub(crate) const fn more(name: &'static str, title: &'static str) -> Figure {
    Figure { name, title, more: true }
}

pub(crate) const fn less(name: &'static str, title: &'static str) -> Figure {
    Figure { name, title, more: false }
}

/// Of the whole site, beside its peer.
pub(crate) const SITE: &[Figure] = &[
    more("smtp1.delivered_per_s", "SMTP to mailbox, messages/s, 1 connection"),
    more("smtp16.delivered_per_s", "SMTP to mailbox, messages/s, 16 connections"),
    more("smtp64.delivered_per_s", "SMTP to mailbox, messages/s, 64 connections"),
    less("smtp64.cpu_s_per_1000", "server CPU seconds per 1,000 messages, 64 connections"),
    less("smtp64.msg_p99_ms", "MAIL to 250, p99 ms, 64 connections"),
    less("smtp64.disk_bytes_per_msg", "bytes written per message, 64 connections"),
    less("smtp64.peak_anon_mb", "anonymous memory, peak MB, 64 connections"),
    less("syncs_per_message_1", "syncs per message, 1 connection"),
    less("syncs_per_message_64", "syncs per message, 64 connections"),
    more("lmtp16.delivered_per_s", "LMTP, messages/s, 16 connections"),
    more("pop3.msgs_per_s", "POP3 RETR/s"),
    more("imap.envelopes_per_s", "IMAP envelopes/s"),
    more("imap.structures_per_s", "IMAP bodystructures/s"),
    more("imap.body_per_s", "IMAP bodies/s"),
    more("imap.store_per_s", "IMAP STORE/s"),
    more("imap.append_per_s", "IMAP APPEND/s"),
    less("notify.ack_to_exists_p50_ms", "250 to EXISTS, p50 ms"),
    less("idle5000.anon_kb_per_conn", "memory per idle IMAP session of 5,000, KB"),
    less("start_s", "start to first SELECT, s"),
];

/// All values that were measured, by contender and figure.
#[derive(Default)]
pub(crate) struct Results(BTreeMap<String, BTreeMap<String, Vec<f64>>>);

impl Results {
    /// Takes every number that a step printed.
    pub(crate) fn take(&mut self, contender: &dyn Contender, step: &str, seen: &Value) {
        for (name, value) in seen.as_object().into_iter().flatten() {
            if let Some(value) = value.as_f64() {
                self.put(contender.name(), &format!("{step}.{name}"), value);
            }
        }
        for name in
            ["delivered_per_s", "msgs_per_s", "envelopes_per_s", "ack_to_exists_p50_ms", "anon_kb_per_conn"]
        {
            if let Some(value) = seen[name].as_f64() {
                println!("  {step}: {name} {value}");
            }
        }
    }

    /// Takes one number.
    pub(crate) fn put(&mut self, contender: &str, name: &str, value: f64) {
        self.0.entry(contender.to_owned()).or_default().entry(name.to_owned()).or_default().push(value);
    }

    fn median(&self, contender: &str, name: &str) -> Option<f64> {
        median(self.0.get(contender)?.get(name)?)
    }

    fn json(&self) -> Value {
        let figures = |all: &BTreeMap<String, Vec<f64>>| {
            let entry = |(name, values): (&String, &Vec<f64>)| (name.clone(), json!(values));
            Value::Object(all.iter().map(entry).collect::<Map<_, _>>())
        };
        Value::Object(self.0.iter().map(|(name, all)| (name.clone(), figures(all))).collect())
    }

    fn table(&self, figures: &[Figure]) -> String {
        let names: Vec<_> = ["InterMail", "Postfix + Dovecot mdbox"]
            .into_iter()
            .filter(|n| self.0.contains_key(*n))
            .collect();
        let mut text = format!("| | {} |", names.join(" | "));
        text.push_str(if names.len() == 2 { " ratio |\n|---|---:|---:|---:|\n" } else { "\n|---|---:|\n" });
        for figure in figures {
            let values: Vec<_> = names.iter().map(|n| self.median(n, figure.name)).collect();
            if values.iter().all(Option::is_none) {
                continue;
            }
            let _ = write!(text, "| {} |", figure.title);
            for value in &values {
                let _ = write!(text, " {} |", value.map_or("".into(), shown));
            }
            if let [ours, theirs] = values[..] {
                let _ = write!(text, " {} |", ratio(figure, ours, theirs));
            }
            text.push('\n');
        }
        text
    }
}

/// How many times better ours is.
fn ratio(figure: &Figure, ours: Option<f64>, theirs: Option<f64>) -> String {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) if ours > 0.0 && theirs > 0.0 => {
            format!("{:.1}x", if figure.more { ours / theirs } else { theirs / ours })
        }
        _ => String::new(),
    }
}

fn shown(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len().checked_sub(1)? / 2;
    Some(if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle], sorted[middle + 1])
    })
}

/// Writes `bench/results/<kind><date>-<commit>.json` and `bench/results/<kind>latest.md`, and prints the table.
pub(crate) fn write(workspace: &Workspace, results: &Results, kind: &str, figures: &[Figure]) -> Result<()> {
    let commit = workspace.output("git", &["rev-parse", "--short", "HEAD"])?;
    let date = workspace.output("date", &["-u", "+%Y-%m-%d"])?;
    let name = format!("{kind}{}-{}", date.trim(), commit.trim());
    let folder = workspace.root.join("bench/results");
    fs::create_dir_all(&folder)?;
    let text = serde_json::to_string_pretty(&results.json())?;
    fs::write(folder.join(format!("{name}.json")), text + "\n").context("cannot write the results")?;
    let table = results.table(figures);
    fs::write(folder.join(format!("{kind}latest.md")), format!("Medians of the run {name}.\n\n{table}"))?;
    println!("\n{table}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ratios() {
        let mut results = Results::default();
        for value in [3.0, 1.0, 2.0] {
            results.put("InterMail", "start_s", value);
            results.put("Postfix + Dovecot mdbox", "start_s", value * 4.0);
        }
        assert_eq!(results.median("InterMail", "start_s"), Some(2.0));
        assert!(
            results.table(SITE).contains("| start to first SELECT, s | 2.00 | 8.00 | 4.0x |"),
            "{}",
            results.table(SITE)
        );
    }

    #[test]
    fn an_even_number_of_rounds_has_a_median_between_two() {
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
