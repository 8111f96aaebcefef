//! Making the hosts of a site: `intermail init` for the first, `intermail invite` and `intermail init --join` for each further.
//!
//! A host that is invited gets one file with all it needs: its name, its certificate, whom to believe, and the
//! configuration as it is. That file is as secret as a password, and is made for one host. Everything here can be done
//! again: what is as it should be stays, and the result says what was done.

use crate::folder;
use crate::identity::{self, Papers};
use admin::site::Site;
use anyhow::{Context as _, bail, ensure};
use catalog::servers::SERVERS;
use catalog::tree::Path as Key;
use control::configuration::change::{install, parse_change};
use env::clock::Clock;
use mail::id::HostName;
use roles::configuration::{Change, Proposal, Wish};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What a host is to be.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Its logical name.
    pub(crate) host: HostName,
    /// The servers that it runs.
    pub(crate) servers: Vec<String>,
    /// Where the others reach it, where its name is not enough.
    pub(crate) address: Option<String>,
    /// Further entries of the configuration, `PATH=VALUE`.
    pub(crate) set: Vec<String>,
}

/// The file for a host that is invited.
#[derive(Serialize, Deserialize)]
struct Invitation {
    /// 1.
    format: u32,
    host: String,
    configuration: String,
    authorities: String,
    identity: String,
}

/// Longest invitation: a configuration of 64 MB and some certificates.
const MAX_INVITATION: u64 = 80 << 20;

/// Makes the first host of a site, with the site's authority.
///
/// # Errors
/// Says what cannot be done; what was done until then stays, and the next try goes on from there.
pub(crate) fn init(path: &Path, wanted: &Wanted) -> anyhow::Result<Vec<String>> {
    let mut changes = entries(wanted)?;
    let new = !path.join("config/hostname").exists();
    let site = folder::create(path, wanted.host.as_str())?;
    ensure!(
        *site.host() == wanted.host,
        "{} is the site of the host {} already",
        path.display(),
        site.host()
    );
    let mut done = Vec::new();
    if new {
        done.push(format!("made the site folder {}", site.folder().display()));
    }
    done.extend(identity::of_first_host(&site)?);
    done.extend(configure(&site, &mut changes, &format!("intermail init of {}", wanted.host))?);
    Ok(done)
}

/// Lets a host join the site: names it in the configuration, certifies it, and writes its invitation.
///
/// # Errors
/// As [`init`].
pub(crate) fn invite(path: &Path, wanted: &Wanted, file: &Path) -> anyhow::Result<Vec<String>> {
    let mut changes = entries(wanted)?;
    let site = Site::open(path)?;
    ensure!(wanted.host != *site.host(), "{} is this host itself", wanted.host);
    let Papers { authorities, host } = identity::certify(&site, &wanted.host)?;
    let mut done = configure(&site, &mut changes, &format!("intermail invite of {}", wanted.host))?;
    let current = site.configuration_files().current;
    let configuration =
        std::fs::read_to_string(&current).with_context(|| format!("cannot read {}", current.display()))?;
    let invitation = Invitation {
        format: 1,
        host: wanted.host.as_str().to_owned(),
        configuration,
        authorities,
        identity: host,
    };
    let text = serde_json::to_string(&invitation).context("cannot write the invitation")?;
    identity::write_private(file, &text)?;
    done.push(format!("certified {} and wrote its invitation, {}", wanted.host, file.display()));
    done.push(format!("next, on {}: intermail init --site DIR --join FILE", wanted.host));
    Ok(done)
}

/// Makes this the host that an invitation is for.
///
/// # Errors
/// As [`init`]; where the folder is another host's.
pub(crate) fn join(path: &Path, file: &Path) -> anyhow::Result<Vec<String>> {
    let Invitation { host, configuration, authorities, identity, .. } = read(file)?;
    let site = folder::create(path, &host)?;
    ensure!(
        *site.host() == HostName::new(&host),
        "{} is the site of the host {} already",
        path.display(),
        site.host()
    );
    identity::install(&site, &Papers { authorities, host: identity })?;
    let proposal = Proposal {
        from: None,
        wish: Wish::Text(configuration),
        who: who(),
        why: format!("intermail init --join of {host}"),
    };
    let changed = install(&site.configuration_files(), &proposal, Clock::system().now());
    changed.context("the configuration of the invitation")?;
    Ok(vec![format!("{} is {host}; start it: intermail serve --site {0}", site.folder().display())])
}

fn read(file: &Path) -> anyhow::Result<Invitation> {
    let unreadable = || format!("cannot read the invitation {}", file.display());
    let length = std::fs::metadata(file).with_context(unreadable)?.len();
    ensure!(length <= MAX_INVITATION, "{}: too long for an invitation", file.display());
    let text = std::fs::read_to_string(file).with_context(unreadable)?;
    let invitation: Invitation = serde_json::from_str(&text).with_context(unreadable)?;
    ensure!(invitation.format == 1, "{}: made by a later release", file.display());
    Ok(invitation)
}

/// What the configuration is to say of a host.
fn entries(wanted: &Wanted) -> anyhow::Result<Vec<Change>> {
    let host = wanted.host.as_str();
    if let Some(unknown) = wanted.servers.iter().find(|name| catalog::servers::find(name).is_none()) {
        let known: Vec<_> = SERVERS.iter().map(|s| s.name).collect();
        bail!("there is no server {unknown}; the servers are {}", known.join(", "));
    }
    let at = |server: &str, key: &str| {
        Key::parse(&format!("/{host}/{server}/{key}"))
            .with_context(|| format!("{host} is no name for a host"))
    };
    let mut changes = Vec::new();
    for server in SERVERS {
        let runs = wanted.servers.iter().any(|name| name.eq_ignore_ascii_case(server.name));
        let value = if runs { "on" } else { "off" };
        changes.push(Change::Set(at("sysadmin", server.run.row.name)?, vec![value.to_owned()]));
    }
    if let Some(address) = &wanted.address {
        changes.push(Change::Set(at("common", "rmeAddress")?, vec![address.clone()]));
    }
    for text in &wanted.set {
        changes.push(parse_change(text).map_err(|bad| anyhow::anyhow!("--set {text}: {bad}"))?);
    }
    Ok(changes)
}

/// Makes the configuration say so; tells which entries changed.
fn configure(site: &Site, changes: &mut Vec<Change>, why: &str) -> anyhow::Result<Vec<String>> {
    let wish = Wish::Entries(std::mem::take(changes));
    let proposal = Proposal { from: None, wish, who: who(), why: why.to_owned() };
    let changed = install(&site.configuration_files(), &proposal, Clock::system().now())?;
    let tell = |d: &roles::configuration::Difference| {
        format!("set {}: {}", d.path, catalog::tree::write_values(d.after.as_deref().unwrap_or_default()))
    };
    Ok(changed.differences.iter().map(tell).collect())
}

/// Who does it, for the history.
fn who() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::current());
    user.ok().flatten().map_or_else(|| "intermail".to_owned(), |user| user.name)
}

/// The file where an invitation goes when none is named.
pub(crate) fn invitation_file(host: &HostName) -> PathBuf {
    PathBuf::from(format!("{host}.invitation"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(host: &str, servers: &[&str]) -> Wanted {
        let servers = servers.iter().map(ToString::to_string).collect();
        Wanted { host: HostName::new(host), servers, address: None, set: Vec::new() }
    }

    #[test]
    fn a_host_is_made_invited_and_joins() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two, file) =
            (dir.path().join("a"), dir.path().join("b"), dir.path().join("mars.invitation"));
        let done = init(&one, &wanted("venus", &["imdircacheserv", "mss"])).unwrap();
        assert!(done.iter().any(|line| line == "set /venus/sysadmin/mss_run: [on]"), "{done:?}");
        assert!(
            init(&one, &wanted("venus", &["imdircacheserv", "mss"])).unwrap().is_empty(),
            "again is nothing"
        );
        assert!(init(&one, &wanted("jove", &[])).is_err());
        let mut mars = wanted("mars", &["mss"]);
        mars.set = vec!["/mars/mss/numMssPorts=4".into()];
        invite(&one, &mars, &file).unwrap();
        join(&two, &file).unwrap();
        join(&two, &file).unwrap();
        let (site, tree) = (Site::open(&two).unwrap(), Site::open(&two).unwrap().configuration().unwrap());
        assert_eq!(site.host().as_str(), "mars");
        assert!(identity::has_papers(&site) && !identity::has_authority(&site));
        assert_eq!(tree, Site::open(&one).unwrap().configuration().unwrap());
        assert_eq!(tree.hosts().into_iter().collect::<Vec<_>>(), ["mars", "venus"]);
        assert!(invite(&two, &wanted("jove", &[]), &file).is_err(), "only where the authority is");
    }

    #[test]
    fn what_is_no_server_no_name_or_no_entry_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = |wanted: &Wanted| init(&dir.path().join("x"), wanted).unwrap_err().to_string();
        assert!(error(&wanted("venus", &["mta", "httpx"])).contains("httpx"));
        assert!(error(&wanted("a/b", &["mta"])).contains("no name"));
        let bad = Wanted { set: vec!["nonsense".into()], ..wanted("venus", &["mta"]) };
        assert!(error(&bad).contains("nonsense"));
        assert!(!dir.path().join("x").exists(), "nothing was made");
    }
}
