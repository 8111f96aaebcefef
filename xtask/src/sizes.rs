//! What the eye would miss in review: files and functions that grew too long, and things that stand in a
//! room where they must not be.
//!
//! The room of a database engine is its manifest (`layers.toml`, `[only]`); here only its language is
//! looked for.

use crate::source::Source;
use crate::workspace::{TextFile, Workspace, verdict};
use anyhow::Result;

/// Most lines of a file.
const FILE_LINES: usize = 800;
/// Most lines of code in a function; clippy's `too_many_lines` counts the same.
const FUNCTION_LINES: usize = 70;
/// At most one function in this many may be excused from its limit (decision 0005).
const ONE_EXCUSE_IN: usize = 100;
/// Folders whose files are tables of rows.
const TABLES: &[&str] = &["crates/catalog/src/keys/", "crates/catalog/src/events/"];
/// Words of SQL that no other text of the house holds.
const SQL: &[&str] = &["CREATE TABLE ", "CREATE INDEX ", "INSERT INTO ", "DELETE FROM ", "PRAGMA "];

pub(crate) fn run(workspace: &Workspace, _words: &[String]) -> Result<()> {
    let files = workspace.text_files()?;
    let mut report = Report::default();
    for file in &files {
        report.machine_paths(file);
        if file.path.ends_with(".rs") {
            report.rust(file);
        }
    }
    for excuse in &report.excuses {
        println!("sizes: excused: {excuse}");
    }
    if report.excuses.len() * ONE_EXCUSE_IN > report.functions.max(ONE_EXCUSE_IN) {
        report.findings.push(format!(
            "{} functions are excused of {}",
            report.excuses.len(),
            report.functions
        ));
    }
    let well = format!(
        "{} files, {} functions, {} excused from {FUNCTION_LINES} lines",
        files.len(),
        report.functions,
        report.excuses.len()
    );
    verdict("sizes", &report.findings, &well)
}

#[derive(Default)]
struct Report {
    findings: Vec<String>,
    excuses: Vec<String>,
    functions: usize,
}

impl Report {
    fn rust(&mut self, file: &TextFile) {
        let path = &file.path;
        let is_table = TABLES.iter().any(|t| path.starts_with(t));
        let lines = file.text.lines().count();
        if lines > FILE_LINES && !is_table {
            self.findings.push(format!("{path}: {lines} lines, {FILE_LINES} allowed"));
        }
        let source = Source::read(&file.text);
        for function in source.functions() {
            self.functions += 1;
            let place = format!("{path}:{}: {}", function.line, function.name);
            match (function.code_lines > FUNCTION_LINES, function.excused) {
                (_, true) => self.excuses.push(place.clone()),
                (true, false) => self.findings.push(format!("{place}: {} lines", function.code_lines)),
                (false, false) => {}
            }
            if function.public && function.takes_bool && path.starts_with("crates/") {
                self.findings
                    .push(format!("{place}: a public function takes a bool; an enum says what is meant"));
            }
        }
        if path.starts_with("crates/") && !path.starts_with("crates/storage/") {
            let sql = source.literals.iter().filter(|(_, text)| is_sql(text));
            self.findings.extend(sql.map(|(line, _)| format!("{path}:{line}: SQL outside storage")));
        }
    }

    fn machine_paths(&mut self, file: &TextFile) {
        for (at, line) in file.text.lines().enumerate() {
            if machine_path(line) {
                self.findings.push(format!("{}:{}: a path of somebody's machine", file.path, at + 1));
            }
        }
    }
}

fn is_sql(text: &str) -> bool {
    let query = text.contains("SELECT ") && text.contains(" FROM ");
    let update = text.contains("UPDATE ") && text.contains(" SET ");
    query || update || SQL.iter().any(|words| text.contains(words))
}

/// Whether a line names a home or work folder of a developer. The folders are put together here, so that
/// this file does not find itself.
fn machine_path(line: &str) -> bool {
    ["home", "Users", "work", "root"].iter().any(|folder| {
        let needle = format!("/{folder}/");
        line.match_indices(&needle).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + needle.len()..].chars().next();
            // A longer path or an address of the web is another folder of that name.
            let is_start = before.is_none_or(|c| !(c.is_alphanumeric() || "/.-_*$}~<>".contains(c)));
            is_start && after.is_some_and(|c| c.is_alphanumeric() || c == '.')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_is_told_from_the_commands_of_a_protocol() {
        assert!(is_sql("SELECT id FROM account WHERE name = ?1"));
        assert!(is_sql("UPDATE account SET name = ?1"));
        assert!(!is_sql("a1 SELECT INBOX"));
        assert!(!is_sql("* SEARCH FROM x"));
    }

    #[test]
    fn a_home_folder_is_told_from_a_web_address() {
        assert!(machine_path(&format!("see /{}/ann/intermail", "home")));
        assert!(machine_path(&format!("\"/{}/x\"", "Users")));
        assert!(!machine_path("https://example.org/work/x"));
        assert!(!machine_path("$INTERMAIL/work/x and data/home/x"));
    }

    #[test]
    fn a_long_function_needs_an_excuse() {
        let body = "    let x = 1;\n".repeat(71);
        let text = format!(
            "fn long() {{\n{body}}}\n#[expect(clippy::too_many_lines, reason = \"r\")]\nfn told() {{\n{body}}}\n"
        );
        let mut report = Report::default();
        report.rust(&TextFile { path: "crates/x/src/lib.rs".into(), text });
        assert_eq!(report.findings, ["crates/x/src/lib.rs:1: long: 71 lines"]);
        assert_eq!(report.excuses, ["crates/x/src/lib.rs:75: told"]);
    }
}
