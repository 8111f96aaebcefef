//! What a change of the whole site is for a few of its hosts: entries of those hosts that make their servers read now
//! what they will read when the change holds everywhere.
//!
//! They are ordinary entries, so that every host finds its values in the one way that there is, and an operator sees
//! in `config.db` what is being tried where. An entry of `common` may stand behind one of a server, so what each server
//! would read is compared, and an entry of its own made where it must be.

use catalog::keys;
use catalog::servers::SERVERS;
use catalog::tree::{Path, Tree, check, default_values};
use roles::configuration::{Change, Difference, Refusal};

/// What stands for any host.
const ANY: &str = "*";

/// The entries for these hosts. An entry of a host that is not among them waits for the end of the trial.
///
/// # Errors
/// The entry that cannot be tried on some hosts only.
pub(super) fn narrow(
    before: &Tree,
    after: &Tree,
    differences: &[Difference],
    hosts: &[String],
) -> Result<Vec<Change>, Refusal> {
    let (mut now, mut then) = (before.clone(), after.clone());
    check::translate(&mut now);
    check::translate(&mut then);
    let mut changes = Vec::new();
    // What is said of a host itself comes first: it may make an entry of any host unneeded.
    for Difference { path, after, .. } in differences.iter().filter(|d| hosts.contains(&d.path.host)) {
        changes.push(match after {
            Some(values) => Change::Set(path.clone(), values.clone()),
            None => Change::Remove(path.clone()),
        });
        now = with(&now, path, after.as_deref());
    }
    for Difference { path, .. } in differences.iter().filter(|d| d.path.host == ANY) {
        let readers = readers(path);
        if readers.is_empty() {
            let rule = "it is obsolete: its successor can be tried on some hosts, it cannot".to_owned();
            return Err(Refusal { path: path.clone(), value: String::new(), rule });
        }
        for host in hosts {
            // The server part of the entry itself first: then one entry often serves all.
            for server in &readers {
                let wanted = effective(&then, host, server, &path.key);
                if effective(&now, host, server, &path.key) != wanted {
                    let own =
                        Path { host: host.clone(), server: (*server).to_owned(), key: path.key.clone() };
                    now.set(own.clone(), wanted.clone());
                    changes.push(Change::Set(own, wanted));
                }
            }
        }
    }
    Ok(changes)
}

/// Who reads the key at this place: the server part of the path, then whoever else.
fn readers(path: &Path) -> Vec<&'static str> {
    let all = SERVERS.iter().map(|server| server.name).chain(["common", "sysadmin"]);
    let reads = |server: &&'static str| {
        *server != "common"
            && keys::set_by(server, &path.key).next().is_some()
            && (path.server == "common" || path.server == **server)
    };
    let servers = all.filter(reads);
    match path.server.as_str() {
        "common" if keys::set_by("common", &path.key).next().is_some() => {
            ["common"].into_iter().chain(servers).collect()
        }
        _ => servers.collect(),
    }
}

/// What a server of a host reads: the nearest entry, else the default.
pub(super) fn effective(tree: &Tree, host: &str, server: &str, key: &str) -> Vec<String> {
    let row = || keys::set_by(server, key).next();
    let found = tree.resolve(host, server, key).map(<[String]>::to_vec);
    found.or_else(|| row().map(default_values)).unwrap_or_default()
}

/// The tree with one entry set or gone.
fn with(tree: &Tree, path: &Path, values: Option<&[String]>) -> Tree {
    let mut all = Tree::default();
    for (other, _, values) in tree.entries().filter(|(other, _, _)| *other != path) {
        all.set(other.clone(), values.to_vec());
    }
    if let Some(values) = values {
        all.set(path.clone(), values.to_vec());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::differences;
    use super::*;

    /// The entries that try the second text on venus, after checking that venus reads the same as everywhere later.
    fn tried(before: &str, after: &str) -> String {
        let (before, after) = (Tree::parse(before).unwrap(), Tree::parse(after).unwrap());
        let hosts = ["venus".to_owned()];
        let changes = narrow(&before, &after, &differences(&before, &after), &hosts).unwrap();
        let mut now = before.clone();
        let mut said = Vec::new();
        for change in &changes {
            match change {
                Change::Set(path, values) => {
                    now.set(path.clone(), values.clone());
                    said.push(format!("{path}={}", values.join(",")));
                }
                Change::Remove(path) => {
                    now = with(&now, path, None);
                    said.push(format!("-{path}"));
                }
            }
        }
        for row in keys::rows() {
            for server in
                SERVERS.iter().map(|s| s.name).filter(|s| keys::set_by(s, row.name).next().is_some())
            {
                let [tried, wide] = [&now, &after].map(|tree| effective(tree, "venus", server, row.name));
                assert_eq!(tried, wide, "{server} {}", row.name);
                let [others, as_before] =
                    [&now, &before].map(|tree| effective(tree, "mars", server, row.name));
                assert_eq!(others, as_before, "{server} {} on a host that tries nothing", row.name);
            }
        }
        said.join(" ")
    }

    #[test]
    fn a_host_reads_what_it_will_read_when_all_do() {
        for (before, after, entries) in [
            ("", "/*/mta/maxMessageSize: [8]\n", "/venus/mta/maxMessageSize=8"),
            ("/*/mta/maxMessageSize: [7]\n", "", "/venus/mta/maxMessageSize=51200"),
            // What venus has of its own holds before and after.
            ("/venus/mta/banners: [v]\n", "/venus/mta/banners: [v]\n/*/mta/banners: [x]\n", ""),
            ("/venus/common/banners: [v]\n", "/venus/common/banners: [v]\n/*/mta/banners: [x]\n", ""),
            ("", "/*/common/banners: [x]\n", "/venus/common/banners=x"),
            // An entry of a server for any host stays before one of common for any host.
            (
                "/*/mta/banners: [m]\n",
                "/*/mta/banners: [m]\n/*/common/banners: [x]\n",
                "/venus/common/banners=x /venus/mta/banners=m",
            ),
            ("", "/venus/mta/banners: [v]\n/*/mta/banners: [x]\n", "/venus/mta/banners=v"),
            ("", "/mars/mta/banners: [x]\n/*/popserv/banners: [y]\n", "/venus/popserv/banners=y"),
            ("/venus/mta/banners: [v]\n", "", "-/venus/mta/banners"),
            ("", "/*/mta/allowedIPs: [10.0.0.1][10.0.0.2]\n", "/venus/mta/allowedIPs=10.0.0.1,10.0.0.2"),
        ] {
            if after.contains("/mars/") {
                // Mars differs at the end, and only then: compared without it.
                let (before, after) = (Tree::parse(before).unwrap(), Tree::parse(after).unwrap());
                let all = narrow(&before, &after, &differences(&before, &after), &["venus".into()]).unwrap();
                assert_eq!(all.len(), 1);
                continue;
            }
            assert_eq!(tried(before, after), entries, "{before:?} -> {after:?}");
        }
    }

    #[test]
    fn an_obsolete_key_is_not_tried() {
        let (before, after) = (Tree::default(), Tree::parse("/*/mta/maxQueueTimeInDays: [2]\n").unwrap());
        let refused = narrow(&before, &after, &differences(&before, &after), &["venus".into()]).unwrap_err();
        assert_eq!(refused.path.key, "maxQueueTimeInDays");
    }
}
