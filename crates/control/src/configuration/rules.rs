//! Rules that no entry can keep or break alone: what the entries of a site come to on each of its hosts.
//!
//! A tree that breaks one already can still be changed: only what a change brings is held against it.

use catalog::keys::common::{LISTEN_ADDRESSES, RUN_DIR};
use catalog::servers::{SERVERS, Server};
use catalog::tree::{Path, Tree, check};
use std::collections::BTreeSet;

/// A host that stands for all that the tree does not name.
const ANY: &str = "*";
/// Folders of a site that hold something else than temporary files.
const TAKEN: [&str; 7] = ["config", "log", "run", "lib", "directory", "mss", "imqueueserv"];

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Broken {
    /// The entry it is laid to: server and key, on this host or on any.
    pub(super) path: Path,
    /// The value that the entry comes to there.
    pub(super) value: String,
    /// What it breaks.
    pub(super) rule: String,
}

/// What the second tree breaks and the first did not.
pub(super) fn newly_broken(before: &Tree, after: &Tree) -> Vec<Broken> {
    let known: BTreeSet<_> = broken(before).into_iter().collect();
    broken(after).into_iter().filter(|broken| !known.contains(broken)).collect()
}

fn broken(tree: &Tree) -> Vec<Broken> {
    let hosts = check::hosts(tree).into_iter().map(str::to_owned).chain([ANY.to_owned()]);
    let mut all = Vec::new();
    for host in hosts {
        let runs: Vec<_> = SERVERS.iter().filter(|s| tree.value(&host, "sysadmin", s.run)).collect();
        ports(tree, &host, &runs, &mut all);
        run_folders(tree, &host, &runs, &mut all);
    }
    all
}

/// Two servers of a host, or two services of one, cannot listen on one port of one address (ITS 13181).
fn ports(tree: &Tree, host: &str, runs: &[&'static Server], all: &mut Vec<Broken>) {
    let mut taken: Vec<(u64, &'static Server, &'static str)> = Vec::new();
    for server in runs {
        for port in server.ports {
            let number = tree.value(host, server.name, port.key);
            let name = port.key.row.name;
            let same = |other: &&(u64, &'static Server, &str)| {
                other.0 == number && share_an_address(tree, host, (server.name, other.1.name))
            };
            match taken.iter().find(same) {
                Some((_, other, key)) if number != 0 => all.push(Broken {
                    path: path(host, server.name, name),
                    value: format!("[{number}]"),
                    rule: format!("{} has this port on the same host ({key})", other.name),
                }),
                _ => taken.push((number, server, name)),
            }
        }
    }
}

fn share_an_address(tree: &Tree, host: &str, (one, other): (&str, &str)) -> bool {
    let [one, other] = [one, other].map(|server| tree.value(host, server, LISTEN_ADDRESSES));
    one.is_empty() || other.is_empty() || one.iter().any(|address| other.contains(address))
}

/// Each server has a run directory of its own (ITS 17457), which is not a folder of the site that holds something else.
fn run_folders(tree: &Tree, host: &str, runs: &[&'static Server], all: &mut Vec<Broken>) {
    let mut taken: Vec<(String, &'static str)> = Vec::new();
    for server in runs {
        let folder = tree.value(host, server.name, RUN_DIR);
        let folder = folder.trim_end_matches('/');
        let rule = match taken.iter().find(|(other, _)| other == folder) {
            _ if folder.is_empty() => continue,
            Some((_, other)) => format!("it is the run directory of {other} on the same host"),
            None if folder.split('/').any(|part| part == "..") => "a run directory has no .. in it".into(),
            None if TAKEN.iter().any(|name| folder == *name || folder.starts_with(&format!("{name}/"))) => {
                "this folder of the site holds something else".into()
            }
            None => {
                taken.push((folder.to_owned(), server.name));
                continue;
            }
        };
        all.push(Broken {
            path: path(host, server.name, RUN_DIR.row.name),
            value: format!("[{folder}]"),
            rule,
        });
    }
}

fn path(host: &str, server: &str, key: &str) -> Path {
    Path { host: host.into(), server: server.into(), key: key.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(before: &str, after: &str) -> Vec<String> {
        let trees = (Tree::parse(before).unwrap(), Tree::parse(after).unwrap());
        let all = newly_broken(&trees.0, &trees.1);
        all.iter().map(|b| format!("{}: {}: {}", b.path, b.value, b.rule)).collect()
    }

    #[test]
    fn its_13181_a_port_that_another_server_of_the_host_has_is_refused() {
        let said = "/venus/popserv/pop3Port: [143]: ";
        let all = new("", "/venus/popserv/pop3Port: [143]\n");
        assert!(all.iter().all(|one| !one.starts_with("/*/")), "{all:?}");
        assert!(all[0].contains("has this port on the same host"), "{all:?} {said}");
        for fine in [
            "/venus/popserv/pop3Port: [143]\n/venus/sysadmin/imapserv_run: [off]\n",
            "/*/popserv/pop3Port: [143]\n/*/popserv/listenAddresses: [127.0.0.1]\n/*/imapserv/listenAddresses: [127.0.0.2]\n",
            "/*/popserv/pop3Port: [0]\n/*/imapserv/imap4Port: [0]\n",
        ] {
            assert_eq!(new("", fine), [""; 0], "{fine}");
        }
        let both = "/*/mta/SMTPPort: [110]\n";
        assert_eq!(new(both, &format!("{both}/*/mta/banners: [x]\n")), [""; 0], "it was so before");
    }

    #[test]
    fn its_17457_each_server_has_a_run_directory_of_its_own() {
        let all = new("", "/*/common/runDir: [tmp/all]\n");
        assert!(all[0].starts_with("/*/") && all[0].contains("run directory of"), "{all:?}");
        assert_eq!(new("", "/*/mta/runDir: [/var/tmp/mta]\n/*/mss/runDir: [tmp/x]\n"), [""; 0]);
        for bad in ["mss/0", "../x", "config"] {
            assert_eq!(new("", &format!("/venus/mta/runDir: [{bad}]\n")).len(), 1, "{bad}");
        }
    }
}
