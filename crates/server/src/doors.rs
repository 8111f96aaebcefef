//! Where the servers of this process are asked by the others of the site.
//!
//! One socket a server in the site's folder, where this process is only a part of its host, for the others of it; one port
//! a server (`rmePort`), where the site has other hosts. Who may connect there is `rmeAccessList`, else the hosts of the site; names among them are looked up again
//! every minute and whenever the configuration changes.

use crate::partners::Partners;
use crate::ports::{Doors, Held};
use anyhow::Context as _;
use arc_swap::ArcSwap;
use catalog::events::conf::ConfParmError;
use catalog::keys::common::RME_ACCESS_LIST;
use env::Env;
use mail::network::Networks;
use rpc::access::{AccessList, Door};
use rpc::local::LocalDoor;
use rpc::serve::{Dispatch, Served};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often the names of hosts are looked up again.
const LOOK_UP_EVERY: Duration = Duration::from_secs(60);
/// This host itself, whatever else is listed.
const SELF: [&str; 2] = ["127.0.0.0/8", "::1"];

/// What one server offers.
pub(crate) struct Offer {
    /// Its surroundings.
    pub(crate) env: Env,
    /// Where it is asked.
    pub(crate) doors: Doors,
    /// Where large bodies lie.
    pub(crate) run_dir: PathBuf,
    /// What it answers for to other hosts.
    pub(crate) served: Served,
    /// What it answers for to other processes of its host.
    pub(crate) served_here: Served,
}

/// Opens the doors, but for those whose sockets are held, and serves them until the tasks of the servers end.
///
/// # Errors
/// Names the port that cannot be opened.
pub(crate) async fn open(
    env: &Env,
    partners: &Arc<Partners>,
    offers: Vec<Offer>,
    mut held: Held,
) -> anyhow::Result<()> {
    let access = match offers.iter().any(|offer| offer.doors.port.is_some()) {
        true => Some(keep_access(env, partners).await),
        false => None,
    };
    for Offer { env, doors, run_dir, served, served_here } in offers {
        let sockets = doors.open(&mut held).inspect_err(|error| error.tell(&env.log))?;
        if let Some(socket) = sockets.local {
            let door =
                LocalDoor::over(env.clone(), socket).context("cannot serve this host's own servers")?;
            let dispatch = Dispatch::new(env.clone(), run_dir.clone(), served_here);
            env.tasks.spawn(door.run(dispatch));
        }
        // A host without an identity can show nobody who it is, and nobody could ask it.
        if let (Some(socket), Some(identity), Some(access)) = (sockets.port, partners.identity(), &access) {
            let door = Door::over(env.clone(), socket, Arc::clone(identity), Arc::clone(access));
            let dispatch = Dispatch::new(env.clone(), run_dir, served);
            env.tasks.spawn(door.context("cannot serve the other hosts (rmePort)")?.run(dispatch));
        }
    }
    Ok(())
}

/// The list of who may connect, kept up to date in a task.
async fn keep_access(env: &Env, partners: &Arc<Partners>) -> AccessList {
    let now = Arc::new(ArcSwap::from_pointee(allowed(env, partners).await));
    let (kept, env, partners) = (Arc::clone(&now), env.clone(), Arc::clone(partners));
    let tasks = env.tasks.clone();
    tasks.spawn(async move {
        let (mut stopping, mut changed) = (env.tasks.stopping(), env.settings.watch());
        loop {
            tokio::select! {
                () = stopping.wait() => return,
                _ = changed.changed() => {}
                () = env.clock.sleep(LOOK_UP_EVERY) => {}
            }
            kept.store(Arc::new(allowed(&env, &partners).await));
        }
    });
    Arc::new(move || now.load_full())
}

async fn allowed(env: &Env, partners: &Partners) -> Networks {
    let mut entries = env.settings.get(RME_ACCESS_LIST);
    if entries.is_empty() {
        for host in partners.topology().hosts() {
            match host.address.parse::<IpAddr>() {
                Ok(ip) => entries.push(ip.to_string()),
                // A name that is not known now is looked up again; until then the host is not let in.
                Err(_) => {
                    let found = tokio::net::lookup_host((host.address.as_str(), 0)).await;
                    entries.extend(found.into_iter().flatten().map(|a| a.ip().to_string()));
                }
            }
        }
    }
    entries.extend(SELF.map(String::from));
    Networks::read(&entries, |bad| {
        let (value, reason) = (bad.to_string(), "it is no network");
        env.log.emit(&ConfParmError { key: RME_ACCESS_LIST.row.name, value, reason });
    })
}
