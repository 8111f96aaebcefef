//! The summary of a site's log: what was logged in a time, by server and severity, which events deserve a look, how full
//! the disks are, and whether the servers answer.
//!
//! `ini` says what is wanted, `log` counts, `space` looks at file systems, `report` makes the text. `imsysmon` prints it, and
//! it or the daemon's schedule mails it: through the Submission role, so the summary takes the way of all mail.

mod ini;
mod log;
mod report;
mod space;

pub use ini::Ini;
pub use report::Report;

use crate::context::Roles;
use crate::people::call;
use crate::site::Site;
use catalog::keys::common::DEFAULT_DOMAIN;
use catalog::keys::mss::MESSAGE_FILE_DIR;
use catalog::servers::{self, SERVERS};
use env::compute::Compute;
use env::random::Random;
use env::settings::Settings;
use mail::address::Address;
use mail::envelope::{Origin, Recipient};
use mail::time::Timestamp;
use roles::manager::ServerState;
use roles::submission::Submit;
use roles::{Body, Call};
use std::path::PathBuf;
use std::time::Duration;

/// The file of wishes, below the site folder.
pub const FILE: &str = "config/imsysmon.ini";
/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Largest file of wishes.
const MAX_INI: u64 = 1 << 20;

/// Whether a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answering {
    /// The server, by its logical name.
    pub server: String,
    /// Why not; `None`: it does.
    pub failure: Option<String>,
}

/// What a summary is made of.
pub struct Wanted<'a> {
    /// The site.
    pub site: &'a Site,
    /// Its keys.
    pub settings: &'a Settings,
    /// The servers; none where the site does not run.
    pub roles: Option<&'a Roles>,
    /// For ids of requests.
    pub random: &'a Random,
    /// Until when.
    pub until: Timestamp,
    /// How long before that it begins.
    pub period: Duration,
}

/// Reads the wishes; a site without the file has the default ones.
///
/// # Errors
/// Where the file is there and cannot be read.
pub fn wishes(site: &Site) -> anyhow::Result<Ini> {
    let path = site.folder().join(FILE);
    match std::fs::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Ini::default()),
        Ok(metadata) if metadata.len() > MAX_INI => anyhow::bail!("{} is larger than 1 MB", path.display()),
        _ => {
            let bytes =
                std::fs::read(&path).map_err(|e| anyhow::anyhow!("cannot read {}: {e}", path.display()))?;
            Ok(Ini::parse(&String::from_utf8_lossy(&bytes)))
        }
    }
}

/// Makes the summary. The files are read on a thread of its own: they may be large.
///
/// # Errors
/// Where the folder of the log cannot be read.
pub async fn summarize(wanted: &Wanted<'_>, ini: &Ini) -> anyhow::Result<Report> {
    let (since, until) = (wanted.until.minus(wanted.period), wanted.until);
    let (folder, filters) = (wanted.site.folder().join("log"), ini.filters.clone());
    let reading = move || log::Counts::read(&folder, since, until, &filters);
    let counts =
        Compute::new(1, 1).run(reading).await.map_err(|_| anyhow::anyhow!("no thread to read with"))??;
    let volumes = wanted.settings.for_server("mss").get(MESSAGE_FILE_DIR);
    let folders: Vec<PathBuf> = match ini.file_systems.as_slice() {
        [] => {
            [wanted.site.folder().to_owned()].into_iter().chain(volumes.iter().map(PathBuf::from)).collect()
        }
        named => named.iter().map(|path| wanted.site.folder().join(path)).collect(),
    };
    let samples = wanted.site.folder().join(space::FILE);
    let spaces = space::look(&folders, &samples, until);
    Ok(Report {
        host: wanted.site.host().to_string(),
        since,
        until,
        counts,
        spaces,
        space_percent: ini.space_percent,
        servers: answering(wanted, ini).await,
        notes: ini.notes.clone(),
    })
}

/// Asks the servers, those of the file or all that the configuration wants here.
async fn answering(wanted: &Wanted<'_>, ini: &Ini) -> Vec<Answering> {
    let sysadmin = wanted.settings.for_server("sysadmin");
    let configured = || SERVERS.iter().filter(|s| sysadmin.get(s.run)).map(|s| s.name.to_owned()).collect();
    let names: Vec<String> = if ini.services.is_empty() { configured() } else { ini.services.clone() };
    let mut all = Vec::with_capacity(names.len());
    for server in names {
        let failure = match (servers::find(&server), wanted.roles) {
            (None, _) => Some("there is no such server".to_owned()),
            (_, None) => Some("the site is not running".to_owned()),
            (Some(known), Some(roles)) => ask(roles, wanted.random, known.name).await,
        };
        all.push(Answering { server, failure });
    }
    all
}

async fn ask(roles: &Roles, random: &Random, name: &str) -> Option<String> {
    let call = Call { deadline: PATIENCE, ..call(random) };
    let running =
        |status: &roles::manager::ServerStatus| status.name == name && status.state == ServerState::Running;
    match roles.manager.server_list(&call).await {
        Ok(list) if !list.iter().any(running) => Some("it is not running".to_owned()),
        Ok(_) => {
            roles.manager.server_probe(&call, name.to_owned()).await.err().map(|error| error.to_string())
        }
        Err(error) => Some(error.to_string()),
    }
}

/// Hands a text in as mail from and to whom the file names; without names, from and to the postmaster of the site. Says to
/// whom.
///
/// # Errors
/// Where one of the addresses is none, or the MTA does not take it; others may have it then.
pub async fn send(
    wanted: &Wanted<'_>,
    roles: &Roles,
    ini: &Ini,
    subject: &str,
    text: &str,
) -> anyhow::Result<Vec<Address>> {
    let postmaster = format!("postmaster@{}", wanted.settings.get(DEFAULT_DOMAIN));
    let parse = |text: &String| Address::parse(text).map_err(|e| anyhow::anyhow!("{FILE}: {text}: {e}"));
    let from = parse(ini.mail_from.as_ref().unwrap_or(&postmaster))?;
    let to = match ini.mail_to.as_slice() {
        [] => vec![parse(&postmaster)?],
        named => named.iter().map(parse).collect::<Result<Vec<_>, _>>()?,
    };
    let id = format!("imsysmon.{:032x}", wanted.random.request_id().0);
    let shown: Vec<_> = to.iter().map(ToString::to_string).collect();
    let message = report::message(&from, &shown.join(", "), &id, subject, text, wanted.until);
    for address in &to {
        let origin = Origin { sender: from.clone().into(), utf8: address.needs_utf8(), ..Origin::default() };
        let body = Body::from_bytes(message.clone());
        let submit = Submit { origin, to: vec![Recipient::from(address.clone())], body };
        let sent = roles.submission.submit(&call(wanted.random), submit).await;
        sent.map_err(|error| anyhow::anyhow!("{address}: {error}"))?;
    }
    Ok(to)
}
