//! A site opened for one command while no daemon runs, and the configuration put in force.

use crate::folder;
use crate::manager::SiteManager;
use crate::wiring::{Servers, Surroundings};
use admin::connect::{Opened, Opener, Opening};
use admin::site::Site;
use catalog::event::Severity;
use catalog::events::conf::{ConfChanged, ConfNotAConfiguredHost, ConfParmError};
use catalog::key::Effect;
use catalog::keys;
use catalog::tree::{Path, Tree, check};
use env::Env;
use env::settings::Settings;
use roles::manager::{ManagerError, Reloaded};
use std::sync::Arc;

/// Opens sites for commands.
pub struct SiteOpener;

impl Opener for SiteOpener {
    fn open<'a>(&'a self, site: &'a Site) -> Opening<'a> {
        Box::pin(async move {
            let lock = folder::lock(site)?;
            let site = Arc::new(site.clone());
            let settings = Settings::new(site.host().as_str(), "common", site.configuration()?);
            let (surroundings, log_writer) = Surroundings::new(&site, settings)?;
            let servers = Arc::new(Servers::open(&site, &surroundings).await?);
            let manager = SiteManager::new(Arc::clone(&site), surroundings.env, Arc::clone(&servers));
            let roles = servers.roles(manager);
            let close = Box::pin(async move {
                servers.close().await;
                drop((log_writer, lock));
            });
            Ok(Opened { roles, close })
        })
    }
}

/// Logs what is wrong with the configuration in force.
pub(crate) fn check_configuration(env: &Env) {
    let tree = env.settings.tree();
    for finding in check::check(&tree) {
        env.log.emit(&ConfParmError { key: &finding.path, value: &finding.value, reason: &finding.reason });
    }
    let hosts = check::hosts(&tree);
    if !hosts.is_empty() && !hosts.contains(env.settings.host()) {
        env.log.emit(&ConfNotAConfiguredHost { host: env.settings.host() });
    }
}

/// Reads the configuration again and puts it in force; one that is not valid changes nothing.
pub(crate) fn reload(site: &Site, env: &Env) -> Result<Reloaded, ManagerError> {
    let bad = |error: anyhow::Error| ManagerError::BadConfiguration(format!("{error:#}"));
    let mut tree = site.configuration().map_err(bad)?;
    check::translate(&mut tree);
    let wrong = check::check(&tree).into_iter().find(|f| f.severity >= Severity::Erro);
    if let Some(finding) = wrong {
        return Err(ManagerError::BadConfiguration(finding.to_string()));
    }
    let reloaded = compare(&env.settings.tree(), &tree);
    env.settings.replace(tree);
    let list = |paths: &[String]| paths.join(",");
    env.log.emit(&ConfChanged { keys: list(&reloaded.applied), restart: list(&reloaded.at_restart) });
    Ok(reloaded)
}

/// Which entries differ, and which of them hold only after a restart.
fn compare(before: &Tree, after: &Tree) -> Reloaded {
    let changed = |path: &Path| before.get(path) != after.get(path);
    let paths = before.entries().chain(after.entries()).map(|(path, ..)| path).filter(|p| changed(p));
    let mut reloaded = Reloaded::default();
    let mut unique: Vec<_> = paths.collect();
    unique.sort();
    unique.dedup();
    for path in unique {
        let live = keys::set_by(&path.server, &path.key).all(|row| row.effect == Effect::Live);
        let list = if live { &mut reloaded.applied } else { &mut reloaded.at_restart };
        list.push(path.to_string());
    }
    reloaded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_apart_by_when_they_hold() {
        let before = Tree::parse("/*/mta/maxMessageSize: [7]\n/*/mta/SMTPPort: [25]\n").unwrap();
        let after = Tree::parse("/*/mta/maxMessageSize: [8]\n/*/mta/SMTPPort: [26]\n").unwrap();
        let reloaded = compare(&before, &after);
        assert_eq!(reloaded.applied, ["/*/mta/maxMessageSize"]);
        assert_eq!(reloaded.at_restart, ["/*/mta/SMTPPort"]);
    }
}
