//! Making the hosts of a site: `intermail init` for the first, `intermail invite` and `intermail init --join` for each further.
//!
//! A host that is invited gets one file with all it needs: its name, its certificate, whom to believe, and the
//! configuration as it is. That file is as secret as a password, and is made for one host. Everything here can be done
//! again: what is as it should be stays, and the result says what was done. What would be done can be asked before
//! ([`plan`]), and so can whether this machine is fit for it ([`crate::preflight`]).

use crate::folder;
use crate::identity::{self, Papers};
use crate::preflight::{self, Check};
use admin::site::Site;
use anyhow::{Context as _, bail, ensure};
use catalog::servers::SERVERS;
use catalog::tree::{self, Path as Key, Tree};
use control::configuration::Files;
use control::configuration::change::{assess, install, parse_change};
use control::lock_file;
use control::topology::Topology;
use env::clock::Clock;
use env::settings::Settings;
use mail::id::HostName;
use roles::configuration::{Change, Difference, Proposal, Wish};
use serde::{Deserialize, Serialize};
use std::fmt;
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

/// One thing that making a host does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Folder(PathBuf),
    Authority,
    Certificate(HostName),
    Entry { path: String, value: String },
}

impl Step {
    fn of(difference: &Difference) -> Self {
        let value = tree::write_values(difference.after.as_deref().unwrap_or_default());
        Self::Entry { path: difference.path.to_string(), value }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "the site folder {}", folder.display()),
            Self::Authority => f.write_str("the authority of the site"),
            Self::Certificate(host) => write!(f, "the certificate of {host}"),
            Self::Entry { path, value } => write!(f, "{path}: {value}"),
        }
    }
}

/// What would be done, and how this machine looks for it.
pub(crate) struct Outlook {
    pub(crate) steps: Vec<Step>,
    pub(crate) checks: Vec<Check>,
}

/// What [`init`] would do. Changes nothing.
///
/// # Errors
/// Says what could not be done.
pub(crate) fn plan(path: &Path, wanted: &Wanted) -> anyhow::Result<Outlook> {
    let changes = entries(wanted)?;
    let files = Files::in_folder(&path.join("config"));
    let assessed = assess(&files, &proposal(changes.clone(), &wanted.host, "init"))?;
    let steps = steps(path, &wanted.host, &assessed.differences)?;
    let mut tree = match files.current.exists() {
        true => control::configuration::read(&files.current)?,
        false => Tree::default(),
    };
    for change in changes {
        if let Change::Set(path, values) = change {
            tree.set(path, values);
        }
    }
    Ok(Outlook { steps, checks: examine(path, &wanted.host, tree) })
}

/// How this machine looks for the host that an invitation is for.
///
/// # Errors
/// Where the invitation or its configuration cannot be read.
pub(crate) fn plan_to_join(path: &Path, file: &Path) -> anyhow::Result<Vec<Check>> {
    let Invitation { host, configuration, .. } = read(file)?;
    let tree = Tree::parse(&configuration)
        .map_err(|bad| anyhow::anyhow!("the configuration of the invitation: {bad}"))?;
    Ok(examine(path, &HostName::new(&host), tree))
}

fn examine(path: &Path, host: &HostName, tree: Tree) -> Vec<Check> {
    let served = Site::open(path).is_ok_and(|site| matches!(lock_file::owner(&site.pid_file()), Ok(Some(_))));
    let topology = Topology::of(&tree, host);
    let settings = Settings::new(host.as_str(), "common", tree);
    preflight::examine(&settings, &topology, path, served)
}

fn steps(path: &Path, host: &HostName, differences: &[Difference]) -> anyhow::Result<Vec<Step>> {
    let mut steps = Vec::new();
    if !path.join("config/hostname").exists() {
        steps.push(Step::Folder(path.to_owned()));
    }
    let site = path.is_dir().then(|| Site::open(path)).transpose()?;
    let of_another = site.as_ref().map(Site::host).filter(|own| steps.is_empty() && *own != host);
    if let Some(other) = of_another {
        bail!("{} is the site of the host {other} already", path.display());
    }
    let certified = site.as_ref().is_some_and(identity::has_papers);
    if !certified && !site.as_ref().is_some_and(identity::has_authority) {
        steps.push(Step::Authority);
    }
    if !certified {
        steps.push(Step::Certificate(host.clone()));
    }
    steps.extend(differences.iter().map(Step::of));
    Ok(steps)
}

fn proposal(changes: Vec<Change>, host: &HostName, verb: &str) -> Proposal {
    let why = format!("intermail {verb} of {host}");
    Proposal { from: None, wish: Wish::Entries(changes), who: who(), why }
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
pub(crate) fn init(path: &Path, wanted: &Wanted) -> anyhow::Result<Vec<Step>> {
    let changes = entries(wanted)?;
    let mut done = steps(path, &wanted.host, &[])?;
    let site = folder::create(path, wanted.host.as_str())?;
    identity::of_first_host(&site)?;
    done.extend(configure(&site, &proposal(changes, &wanted.host, "init"))?);
    Ok(done)
}

/// Lets a host join the site: names it in the configuration, certifies it, and writes its invitation.
///
/// # Errors
/// As [`init`].
pub(crate) fn invite(path: &Path, wanted: &Wanted, file: &Path) -> anyhow::Result<Vec<String>> {
    let changes = entries(wanted)?;
    let site = Site::open(path)?;
    ensure!(wanted.host != *site.host(), "{} is this host itself", wanted.host);
    let Papers { authorities, host } = identity::certify(&site, &wanted.host)?;
    let set = configure(&site, &proposal(changes, &wanted.host, "invite"))?;
    let mut done: Vec<String> = set.iter().map(|step| format!("set {step}")).collect();
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
fn configure(site: &Site, proposal: &Proposal) -> anyhow::Result<Vec<Step>> {
    let changed = install(&site.configuration_files(), proposal, Clock::system().now())?;
    Ok(changed.differences.iter().map(Step::of).collect())
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
        let venus = wanted("venus", &["imdircacheserv", "mss"]);
        let plan = plan(&one, &venus).unwrap();
        assert!(!one.exists(), "a plan changes nothing");
        let done = init(&one, &venus).unwrap();
        assert_eq!(done, plan.steps);
        assert!(done.iter().any(|step| step.to_string() == "/venus/sysadmin/mss_run: [on]"), "{done:?}");
        assert!(
            init(&one, &venus).unwrap().is_empty() && super::plan(&one, &venus).unwrap().steps.is_empty(),
            "again is nothing"
        );
        assert!(
            init(&one, &wanted("jove", &[])).is_err() && super::plan(&one, &wanted("jove", &[])).is_err()
        );
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
