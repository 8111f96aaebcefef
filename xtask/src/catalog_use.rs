//! Rows that nobody uses: each key must be read and each event emitted by some code of the product, or the
//! manual promises what does not happen.

use crate::source::Source;
use crate::workspace::{TextFile, Workspace, verdict};
use anyhow::{Result, ensure};

const KEYS: &str = "crates/catalog/src/keys/";
const EVENTS: &str = "crates/catalog/src/events/";
/// Within the catalog, the table of servers is a user: programs walk it.
const USER_IN_CATALOG: &str = "crates/catalog/src/servers.rs";

/// A row as it is declared.
struct Declared {
    file: String,
    /// The constant or the struct.
    item: String,
    /// What the operator calls it.
    name: String,
}

pub(crate) fn run(workspace: &Workspace, _words: &[String]) -> Result<()> {
    let files: Vec<_> = workspace.text_files()?.into_iter().filter(|f| f.path.ends_with(".rs")).collect();
    let (keys, events) = (declared(&files, KEYS, key), declared(&files, EVENTS, event));
    ensure!(!keys.is_empty() && !events.is_empty(), "no rows found: has the form of the tables changed?");
    let users: Vec<_> =
        files.iter().filter(|f| is_user(&f.path)).map(|f| Source::read(&f.text).code()).collect();
    let unread = keys.iter().filter(|k| !users.iter().any(|code| reads(code, k)));
    let silent = events.iter().filter(|e| !users.iter().any(|code| mentions(code, &e.item)));
    let mut findings: Vec<_> = unread.map(|k| format!("{}: no server reads {}", k.file, k.name)).collect();
    findings.extend(silent.map(|e| format!("{}: no server emits {}", e.file, e.name)));
    verdict("catalog", &findings, &format!("{} keys read, {} events emitted", keys.len(), events.len()))
}

fn declared(files: &[TextFile], folder: &str, row: fn(&str) -> Option<(String, String)>) -> Vec<Declared> {
    let mut found = Vec::new();
    for file in files.iter().filter(|f| f.path.starts_with(folder)) {
        let rows = file.text.lines().filter_map(|l| row(l.trim()));
        found.extend(rows.map(|(item, name)| Declared { file: file.path.clone(), item, name }));
    }
    found
}

/// `SMTP_PORT: u64 = "SMTPPort" in ["mta"], …`
fn key(line: &str) -> Option<(String, String)> {
    let (item, rest) = line.split_once(": ")?;
    let (name, _) = rest.split_once(" = \"")?.1.split_once("\" in [")?;
    Some((item.to_owned(), name.to_owned()))
}

/// `MtaMessageDelivered: Note { id, … }`
fn event(line: &str) -> Option<(String, String)> {
    let (item, rest) = line.split_once(": ")?;
    let severity = rest.split_once(" {")?.0;
    ["Note", "Warn", "Erro", "Urgt", "Fatl"].contains(&severity).then(|| (item.to_owned(), item.to_owned()))
}

fn is_user(path: &str) -> bool {
    let product = path.starts_with("crates/") && path.contains("/src/") && !path.ends_with("/tests.rs");
    product && (!path.starts_with("crates/catalog/") || path == USER_IN_CATALOG)
}

/// By `file::CONST`, or by the constant alone where the file of keys is imported.
fn reads(code: &str, key: &Declared) -> bool {
    let module = key.file.trim_start_matches(KEYS).trim_end_matches(".rs");
    let qualified = format!("{module}::{}", key.item);
    mentions(code, &qualified) || (code.contains(&format!("keys::{module}")) && mentions(code, &key.item))
}

fn mentions(code: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(is_word);
        let after = code[at + word.len()..].chars().next().is_some_and(is_word);
        !before && !after
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_recognised() {
        let line = r#"SMTP_PORT: u64 = "SMTPPort" in ["mta"], Kind::Number(0..=65_535), ["25"], Restart, since "3.2";"#;
        assert_eq!(key(line), Some(("SMTP_PORT".into(), "SMTPPort".into())));
        assert_eq!(
            event("MtaTooBusyDefer: Warn { id, limit }"),
            Some(("MtaTooBusyDefer".into(), "MtaTooBusyDefer".into()))
        );
        assert_eq!(event("pub struct Row { name: u8 }"), None);
    }

    #[test]
    fn a_constant_of_the_same_name_in_another_file_is_no_use() {
        let row = Declared {
            file: format!("{KEYS}mta.rs"),
            item: "MAX_SESSIONS".into(),
            name: "maxSessions".into(),
        };
        assert!(reads("use catalog::keys::mta; f(mta::MAX_SESSIONS)", &row));
        assert!(reads("use catalog::keys::mta::{A, MAX_SESSIONS};", &row));
        assert!(!reads("use catalog::keys::popserv; f(popserv::MAX_SESSIONS)", &row));
        assert!(!mentions("MAX_SESSIONS_PER_USER", "MAX_SESSIONS"));
    }
}
