//! Rows that nobody uses: each key must be read by every server that its row names, each event emitted, each metric
//! counted (by code, or by an event) and each operation timed by some code of the product, or the manual promises what
//! does not happen. Tests are no use.

use crate::source::Source;
use crate::workspace::{TextFile, Workspace, verdict};
use anyhow::{Result, ensure};

const KEYS: &str = "crates/catalog/src/keys/";
const EVENTS: &str = "crates/catalog/src/events/";
const METRICS: &str = "crates/catalog/src/metrics.rs";
/// Within the catalog, the table of servers is a user: programs walk it.
const USER_IN_CATALOG: &str = "crates/catalog/src/servers.rs";
/// The crate of each server that clients reach. One of them never reads a key for another; what lies elsewhere
/// (the directory that judges a login, the queue that plans a retry) reads keys for whoever asks.
const CLIENT_SERVERS: &[(&str, &str)] =
    &[("mta", "crates/mta/"), ("popserv", "crates/pop/"), ("imapserv", "crates/imap/")];
/// How the tests at the end of a file begin.
const TESTS: &[&str] = &["#[cfg(test)]\nmod tests {", "#[cfg(test)]\n#[expect", "#[cfg(test)]\n#[allow"];

/// A file of the product, without comments, literals and tests.
struct User {
    path: String,
    code: String,
}

/// A row as it is declared.
struct Declared {
    file: String,
    /// The constant or the struct.
    item: String,
    /// What the operator calls it.
    name: String,
    /// The servers that a key names; none for an event.
    servers: Vec<String>,
}

/// Item, name and servers of a row.
type Row = (String, String, Vec<String>);

pub(crate) fn run(workspace: &Workspace, _words: &[String]) -> Result<()> {
    let files: Vec<_> = workspace.text_files()?.into_iter().filter(|f| f.path.ends_with(".rs")).collect();
    let (keys, events) = (declared(&files, KEYS, key), declared(&files, EVENTS, event));
    let (metrics, timed) = (declared(&files, METRICS, metric), operations(&files));
    let all_found = [&keys, &events, &metrics, &timed].iter().all(|rows| !rows.is_empty());
    ensure!(all_found, "no rows found: has the form of the tables changed?");
    let users: Vec<_> = files.iter().filter(|f| is_user(&f.path)).map(User::of).collect();
    let mut findings: Vec<_> = keys.iter().flat_map(|k| unread(k, &users)).collect();
    let silent = events.iter().filter(|e| !users.iter().any(|u| mentions(&u.code, &e.item)));
    findings.extend(silent.map(|e| format!("{}: no server emits {}", e.file, e.name)));
    let counted = |m: &Declared| {
        let mark = format!("counts {}(", m.item);
        let by_event = files.iter().any(|f| f.path.starts_with(EVENTS) && f.text.contains(&mark));
        by_event || users.iter().any(|u| mentions(&u.code, &m.item))
    };
    let idle = metrics.iter().chain(&timed).filter(|m| !counted(m));
    findings.extend(idle.map(|m| format!("{}: nobody counts {}", m.file, m.name)));
    let (keys, events, metrics) = (keys.len(), events.len(), metrics.len() + timed.len());
    verdict(
        "catalog",
        &findings,
        &format!("{keys} keys read, {events} events emitted, {metrics} metrics counted"),
    )
}

impl User {
    fn of(file: &TextFile) -> Self {
        let code = Source::read(&file.text).code();
        let product = TESTS.iter().find_map(|begin| code.find(begin)).unwrap_or(code.len());
        Self { path: file.path.clone(), code: code[..product].to_owned() }
    }
}

/// The servers that a key names and that do not read it.
fn unread(key: &Declared, users: &[User]) -> Vec<String> {
    let read_for = |server: &str| {
        let of_another = |path: &str| {
            CLIENT_SERVERS.iter().any(|(name, folder)| *name != server && path.starts_with(folder))
        };
        let all = !CLIENT_SERVERS.iter().any(|(name, _)| *name == server);
        users.iter().any(|u| (all || !of_another(&u.path)) && reads(&u.code, key))
    };
    let silent = key.servers.iter().filter(|s| !read_for(s));
    silent.map(|server| format!("{}: {server} does not read {}", key.file, key.name)).collect()
}

fn declared(files: &[TextFile], folder: &str, row: fn(&str) -> Option<Row>) -> Vec<Declared> {
    let mut found = Vec::new();
    for file in files.iter().filter(|f| f.path.starts_with(folder)) {
        let rows = file.text.lines().filter_map(|l| row(l.trim()));
        found.extend(rows.map(|(item, name, servers)| Declared {
            file: file.path.clone(),
            item,
            name,
            servers,
        }));
    }
    found
}

/// `SMTP_PORT: u64 = "SMTPPort" in ["mta"], …`
fn key(line: &str) -> Option<Row> {
    let (item, rest) = line.split_once(": ")?;
    let (name, rest) = rest.split_once(" = \"")?.1.split_once("\" in [")?;
    let servers = rest.split_once(']')?.0.split(',').map(|s| s.trim().trim_matches('"').to_owned());
    Some((item.to_owned(), name.to_owned(), servers.collect()))
}

/// `MtaMessageDelivered: Note { id, … }`
fn event(line: &str) -> Option<Row> {
    let (item, rest) = line.split_once(": ")?;
    let severity = rest.split_once(" {")?.0;
    let known = ["Note", "Warn", "Erro", "Urgt", "Fatl"].contains(&severity);
    known.then(|| (item.to_owned(), item.to_owned(), Vec::new()))
}

/// `LOGINS: Counter = "intermail_logins_total" …`
fn metric(line: &str) -> Option<Row> {
    let (item, rest) = line.split_once(": ")?;
    let (kind, rest) = rest.split_once(" = \"")?;
    let name = rest.split_once('"')?.0;
    ["Counter", "Gauge", "Histogram"].contains(&kind).then(|| (item.to_owned(), name.to_owned(), Vec::new()))
}

/// The variants of the table of operations: `SmtpHello = "HELO", SmtpMail = "MAIL"`.
fn operations(files: &[TextFile]) -> Vec<Declared> {
    let Some(file) = files.iter().find(|f| f.path == METRICS) else { return Vec::new() };
    let table = file
        .text
        .split_once("\noperations! {")
        .and_then(|(_, rest)| rest.split_once("\n}"))
        .map_or("", |t| t.0);
    let item = |part: &str| part.split_whitespace().last().map(ToOwned::to_owned);
    let items =
        table.split(" = \"").filter_map(item).filter(|i| i.starts_with(|c: char| c.is_ascii_uppercase()));
    let row = |item: String| Declared { file: METRICS.into(), name: item.clone(), item, servers: Vec::new() };
    items.map(row).collect()
}

fn is_user(path: &str) -> bool {
    let tests = path.ends_with("/tests.rs") || path.contains("/tests/");
    let product = path.starts_with("crates/") && path.contains("/src/") && !tests;
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
        let line = r#"SMTP_PORT: u64 = "SMTPPort" in ["mta", "mss"], Kind::Number(0..=9), ["25"], Restart, since "3.2";"#;
        assert_eq!(
            key(line),
            Some(("SMTP_PORT".into(), "SMTPPort".into(), vec!["mta".into(), "mss".into()]))
        );
        assert_eq!(event("MtaTooBusyDefer: Warn { id, limit }").unwrap().0, "MtaTooBusyDefer");
        assert_eq!(event("pub struct Row { name: u8 }"), None);
        let line = r#"A_B: Counter = "a_b_total" by { x: Y };"#;
        assert_eq!(metric(line), Some(("A_B".into(), "a_b_total".into(), vec![])));
        let text = "enum {}\noperations! {\n \"mta\" {\n A = \"HELO\", B = \"x\",\n C = \"c\" }\n \"pop\" { D = \"d\" }\n}\n";
        let found = operations(&[TextFile { path: METRICS.into(), text: text.into() }]);
        assert_eq!(found.iter().map(|o| o.item.as_str()).collect::<Vec<_>>(), ["A", "B", "C", "D"]);
    }

    fn row(file: &str, item: &str, servers: &[&str]) -> Declared {
        let servers = servers.iter().map(ToString::to_string).collect();
        Declared { file: format!("{KEYS}{file}.rs"), item: item.into(), name: item.into(), servers }
    }

    #[test]
    fn a_constant_of_the_same_name_in_another_file_is_no_use() {
        let row = row("mta", "MAX_SESSIONS", &["mta"]);
        assert!(reads("use catalog::keys::mta; f(mta::MAX_SESSIONS)", &row));
        assert!(reads("use catalog::keys::mta::{A, MAX_SESSIONS};", &row));
        assert!(!reads("use catalog::keys::popserv; f(popserv::MAX_SESSIONS)", &row));
        assert!(!mentions("MAX_SESSIONS_PER_USER", "MAX_SESSIONS"));
    }

    #[test]
    fn a_key_must_be_read_by_each_server_or_for_all_of_them() {
        let row = row("common", "BANNERS", &["mta", "popserv"]);
        let user = |path: &str| User { path: path.into(), code: "common::BANNERS".into() };
        assert_eq!(unread(&row, &[user("crates/mta/src/x.rs")]).len(), 1);
        assert_eq!(unread(&row, &[user("crates/mta/src/x.rs"), user("crates/pop/src/x.rs")]), [""; 0]);
        assert_eq!(unread(&row, &[user("crates/server/src/x.rs")]), [""; 0]);
    }

    #[test]
    fn what_tests_mention_is_no_use() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests { use MtaTooBusyDefer; }\n".to_owned();
        let user = User::of(&TextFile { path: "crates/mta/src/x.rs".into(), text });
        assert!(!mentions(&user.code, "MtaTooBusyDefer"));
        assert!(!is_user("crates/mta/src/inbound/tests.rs") && is_user("crates/mta/src/accept.rs"));
    }
}
