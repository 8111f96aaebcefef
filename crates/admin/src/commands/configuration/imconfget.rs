//! `imconfget`: the value that a key has for a server on a host, found exactly as the servers find it (ITS 17933,
//! 21940).

use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::output::{Column, Console, Format, Layout, Listing};
use catalog::key::{Effect, Kind, Row};
use catalog::keys::{self, obsolete};
use catalog::servers::{PATH_ONLY, SERVERS};
use catalog::tree::{Path, Tree, check, default_values, write_values};
use mail::id::HostName;
use serde_json::json;

/// The row.
pub const COMMAND: Command = Command {
    name: "imconfget",
    aliases: &[],
    group: Group::Configuration,
    summary: "Prints the value of a configuration key",
    about: "Prints the value that holds for the server on the host, one value a line: the nearest of the entries for \
            host and server, host and common, any host and server, any host and common, else the default. A key \
            without any value prints nothing and ends with 1.\n\n\
            Without -m, the server is the one that reads the key, or common. Without -h, the host is this one. \
            Without KEY, all keys of the server are listed.",
    usage: &["[-json] [-m SERVER] [-h HOST] KEY", "[-json] [-m SERVER] [-h HOST]", "-help KEY"],
    options: &[
        Opt { name: "m", value: Some("SERVER"), help: "The server that asks" },
        Opt { name: "h", value: Some("HOST"), help: "The logical name of the host that it runs on" },
        Opt { name: "help", value: Some("KEY"), help: "Print what the key means; without KEY, this text" },
    ],
    words: &[Word { name: "KEY", count: Count::Optional, help: "The name of the key" }],
    examples: &[
        Example {
            line: "imconfget -m mta -h venus maxMessageSize",
            does: "Prints the largest message in KB",
        },
        Example { line: "imconfget -m popserv", does: "Lists the keys of the POP server with their values" },
        Example { line: "imconfget -help relaySourcePolicy", does: "Explains a key" },
    ],
    exits: &[(1, "the key is unknown or has no value, or the configuration cannot be read")],
    place: Place::Here,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

/// A value and where it comes from.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    values: Vec<String>,
    /// The entry; `None`: the default of the key.
    entry: Option<Path>,
    /// Entries nearer than that one whose values do not fit.
    passed_over: Vec<(Path, String)>,
}

async fn run(context: &mut Context) -> Outcome {
    if let Some(key) = context.arguments.value("help") {
        let rows = rows(key, context.arguments.value("m"))?;
        return explain(&mut context.console, &rows).await;
    }
    let site = context.site()?;
    let tree = site.configuration()?;
    let host = host(&tree, site.host(), context.arguments.value("h"))?;
    let server = context.arguments.value("m").map(server).transpose()?;
    let console = &mut context.console;
    match context.arguments.word(0) {
        Some(key) => one(console, &tree, &host, server, key).await,
        None => all(console, &tree, &host, server.unwrap_or("common")).await,
    }
}

/// Prints one key.
async fn one(
    console: &mut Console,
    tree: &Tree,
    host: &HostName,
    server: Option<&'static str>,
    key: &str,
) -> Outcome {
    let row = *rows(key, server)?.first().ok_or_else(|| Failure::because(unknown(key)))?;
    let server = server.unwrap_or_else(|| row.servers.first().copied().unwrap_or("common"));
    let found = find(tree, host, server, row);
    for (path, reason) in &found.passed_over {
        console.error(format!("{path} has no effect: {reason}")).await?;
    }
    match console.format() {
        Format::Json => {
            let entry = found.entry.as_ref().map(ToString::to_string);
            let (key, host) = (row.name, host.as_str());
            let values = &found.values;
            console
                .json(
                    &json!({ "host": host, "server": server, "key": key, "values": values, "entry": entry }),
                )
                .await?;
        }
        Format::Text => {
            for value in &found.values {
                console.line(value).await?;
            }
        }
    }
    Ok(if found.values.is_empty() { Exit::FAILED } else { Exit::OK })
}

const COLUMNS: &[Column] = &[
    Column { title: "Key", key: "key" },
    Column { title: "Value", key: "value" },
    Column { title: "From", key: "entry" },
];

/// Lists the keys of a server.
async fn all(console: &mut Console, tree: &Tree, host: &HostName, server: &'static str) -> Outcome {
    let mut listing = Listing::new(COLUMNS, Layout::Table);
    for row in keys::rows().filter(|row| reads(row, server)) {
        let found = find(tree, host, server, row);
        let entry = found.entry.map(|path| path.to_string());
        listing.row(console, [row.name.into(), write_values(&found.values).into(), entry.into()]).await?;
    }
    listing.end(console).await?;
    Ok(Exit::OK)
}

fn reads(row: &Row, server: &str) -> bool {
    row.servers.iter().any(|reader| *reader == server || *reader == "common")
}

/// The value that holds: the nearest entry, but one that does not fit counts as none and the default holds, as in
/// `Tree::value`.
fn find(tree: &Tree, host: &HostName, server: &str, row: &Row) -> Found {
    let steps = [(host.as_str(), server), (host.as_str(), "common"), ("*", server), ("*", "common")];
    let nearest = steps.into_iter().find_map(|(host, server)| {
        let path = Path { host: host.to_owned(), server: server.to_owned(), key: row.name.to_owned() };
        tree.get(&path).map(|values| (path.clone(), values.to_vec()))
    });
    let default = || default_values(row);
    match nearest {
        None => Found { values: default(), entry: None, passed_over: Vec::new() },
        Some((path, values)) => match row.kind.check(&values) {
            Ok(()) => Found { values, entry: Some(path), passed_over: Vec::new() },
            Err(bad) => Found { values: default(), entry: None, passed_over: vec![(path, bad.to_string())] },
        },
    }
}

/// The host that is asked for. One that no entry names, and that is not this one, is more likely a slip (ITS 16835).
fn host(tree: &Tree, own: &HostName, asked: Option<&str>) -> Result<HostName, Failure> {
    let Some(asked) = asked else { return Ok(own.clone()) };
    let host = HostName::new(asked);
    match host == *own || asked == "*" || check::hosts(tree).contains(host.as_str()) {
        true => Ok(host),
        false => {
            Err(Failure::because(format!("ConfNotAConfiguredHost: the configuration names no host {host}")))
        }
    }
}

fn server(name: &str) -> Result<&'static str, Failure> {
    let mut names = SERVERS.iter().map(|server| server.name).chain(PATH_ONLY.iter().copied());
    names
        .find(|known| known.eq_ignore_ascii_case(name))
        .ok_or_else(|| Failure::because(format!("there is no server {name}")))
}

/// The rows of this name, those that the server reads first.
fn rows(key: &str, server: Option<&str>) -> Result<Vec<&'static Row>, Failure> {
    let mut rows: Vec<_> = keys::rows().filter(|row| row.name == key).collect();
    rows.sort_by_key(|row| !server.is_some_and(|server| reads(row, server)));
    let read =
        rows.first().is_some_and(|row| server.is_none_or(|server| server == "common" || reads(row, server)));
    match rows.is_empty() {
        true => Err(Failure::because(unknown(key))),
        false if read => Ok(rows),
        false => Err(Failure::because(format!("{} does not read {key}", server.unwrap_or("common")))),
    }
}

fn unknown(key: &str) -> String {
    let old = obsolete::ROWS.iter().find(|old| old.name == key);
    let near = keys::rows().find(|row| row.name.eq_ignore_ascii_case(key));
    match (old, near) {
        (Some(old), _) => format!("{key} is obsolete since {}: {}", old.since, old.why),
        (None, Some(row)) => format!("there is no key {key}; is {} meant?", row.name),
        (None, None) => format!("there is no key {key}"),
    }
}

/// Prints what a key means, for each server that has a row of its own.
async fn explain(console: &mut Console, rows: &[&'static Row]) -> Outcome {
    for row in rows {
        let effect = match row.effect {
            Effect::Live => "takes effect at once",
            Effect::Restart => "takes effect when the server starts next",
        };
        let values = values(&row.kind);
        let default = write_values(&default_values(row));
        match console.format() {
            Format::Json => {
                let live = row.effect == Effect::Live;
                let (key, servers, doc, since) = (row.name, row.servers, row.doc, row.since);
                let row = json!({
                    "key": key, "servers": servers, "doc": doc, "values": values, "default": row.default,
                    "live": live, "since": since,
                });
                console.json(&row).await?;
            }
            Format::Text => {
                let servers = row.servers.join(", ");
                console.line(format!("{} ({servers}, since {})", row.name, row.since)).await?;
                console.line(format!("  {}", row.doc)).await?;
                console.line(format!("  Value: {values}. Default: {default}. A change {effect}.")).await?;
            }
        }
    }
    Ok(Exit::OK)
}

fn values(kind: &Kind) -> String {
    match kind {
        Kind::Bool => "true or false".to_owned(),
        Kind::Number(range) => format!("{} to {}", range.start(), range.end()),
        Kind::Text(max) => format!("text of at most {max} bytes"),
        Kind::Choice(words) => format!("one of {}", words.join(", ")),
        Kind::List(max) => format!("any number of texts of at most {max} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Run, run};

    const TREE: &str = "/*/mta/maxMessageSize: [7]\n/venus/common/maxMessageSize: [8]\n/*/mss/numMssPorts: [x]\n\
                        /*/mta/allowedIPs: [10.0.0.0/8][192.0.2.1]\n";

    async fn get(line: &str) -> Run {
        run(&format!("imconfget {line}")).with_configuration(TREE).done().await
    }

    #[tokio::test]
    async fn the_effective_value_is_printed() {
        for (line, value) in [
            ("-m mta -h venus maxMessageSize", "8\n"),
            ("-m mta maxMessageSize", "7\n"),
            ("maxMessageSize", "7\n"),
            ("-m popserv -h VENUS maxSessions", "10000\n"),
            ("-m mta allowedIPs", "10.0.0.0/8\n192.0.2.1\n"),
        ] {
            let run = get(line).await;
            assert_eq!((run.exit, run.output().as_str()), (Exit::OK, value), "{line}");
        }
    }

    #[tokio::test]
    async fn its_17933_the_host_that_is_not_named_is_this_one_as_for_every_server() {
        let tree =
            "/*/mta/maxMessageSize: [7]\n/MARS/mta/maxMessageSize: [9]\n/venus/mta/maxMessageSize: [8]\n";
        for (line, value) in [("", 9), ("-h mars ", 9), ("-h venus ", 8), ("-h * ", 7)] {
            let run =
                run(&format!("imconfget -m mta {line}maxMessageSize")).with_configuration(tree).done().await;
            assert_eq!(run.output(), format!("{value}\n"), "{line}");
            let host = line.trim().strip_prefix("-h ").unwrap_or("mars");
            let settings = env::settings::Settings::new(host, "mta", Tree::parse(tree).unwrap());
            assert_eq!(settings.get(catalog::keys::mta::MAX_MESSAGE_SIZE), value, "{line}");
        }
    }

    #[tokio::test]
    async fn unset_and_unknown_keys_end_with_one() {
        for (line, said) in [
            ("-m popserv allowedIPs", ""),
            ("noSuchKey", "imconfget: there is no key noSuchKey\n"),
            ("maxmessagesize", "imconfget: there is no key maxmessagesize; is maxMessageSize meant?\n"),
            ("-m popserv numMssPorts", "imconfget: popserv does not read numMssPorts\n"),
            ("-m nobody maxMessageSize", "imconfget: there is no server nobody\n"),
        ] {
            let run = get(line).await;
            assert_eq!(
                (run.exit, run.errors().as_str(), run.output().as_str()),
                (Exit::FAILED, said, ""),
                "{line}"
            );
        }
        let run = get("-h pluto maxMessageSize").await;
        assert!(run.exit == Exit::FAILED && run.errors().contains("ConfNotAConfiguredHost"));
        assert!(get("maxQueueTimeInDays").await.errors().contains("is obsolete since"));
    }

    #[tokio::test]
    async fn a_value_that_does_not_fit_is_named_and_the_default_holds() {
        let run = get("numMssPorts").await;
        assert_eq!((run.exit, run.output().as_str()), (Exit::OK, "2\n"));
        assert_eq!(run.errors(), "imconfget: /*/mss/numMssPorts has no effect: expected a whole number\n");
    }

    #[tokio::test]
    async fn json_says_where_the_value_is_from() {
        let run = get("-json -m mta -h venus maxMessageSize").await;
        let value: serde_json::Value = serde_json::from_str(&run.output()).unwrap();
        assert_eq!(
            (&value["values"][0], &value["entry"]),
            (&json!("8"), &json!("/venus/common/maxMessageSize"))
        );
    }

    #[tokio::test]
    async fn keys_are_listed_and_explained() {
        let text = get("-m mta").await.output();
        assert!(
            text.lines().any(|l| l.starts_with("maxMessageSize") && l.ends_with("/*/mta/maxMessageSize")),
            "{text}"
        );
        assert!(!text.contains("numMssPorts"));
        let text = run("imconfget -help maxMessageSize").done().await.output();
        assert!(
            text.contains("Largest message accepted") && text.contains("A change takes effect at once."),
            "{text}"
        );
    }
}
