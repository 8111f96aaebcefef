//! The ports on which the servers of this process are asked by the others of the site.
//!
//! One port a server (`rmePort`), opened only where somebody can ask: the site has other hosts, or this process serves only
//! a part of its host. Who may connect is `rmeAccessList`, else the hosts of the site; names among them are looked up again
//! every minute and whenever the configuration changes.

use crate::partners::Partners;
use anyhow::Context as _;
use arc_swap::ArcSwap;
use catalog::events::conf::ConfParmError;
use catalog::events::nio::NioListenFail;
use catalog::keys::common::RME_ACCESS_LIST;
use control::topology::Topology;
use env::Env;
use mail::network::Networks;
use rpc::access::{AccessList, Door};
use rpc::serve::{Dispatch, Served};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often the names of hosts are looked up again.
const LOOK_UP_EVERY: Duration = Duration::from_secs(60);
/// This host itself, whatever else is listed.
const SELF: [&str; 2] = ["127.0.0.0/8", "::1"];

/// What one server offers, on its own port.
pub(crate) struct Offer {
    /// Its surroundings.
    pub(crate) env: Env,
    /// Its port.
    pub(crate) port: u16,
    /// Where large bodies lie.
    pub(crate) run_dir: PathBuf,
    /// What it answers for.
    pub(crate) served: Served,
}

/// Opens the ports and serves them until the tasks of the servers end.
///
/// # Errors
/// Names the port that cannot be opened.
pub(crate) async fn open(env: &Env, partners: &Arc<Partners>, offers: Vec<Offer>) -> anyhow::Result<()> {
    let Some(identity) = partners.identity() else { return Ok(()) };
    if offers.is_empty() {
        return Ok(());
    }
    let access = keep_access(env, partners).await;
    let ip = own_address(&partners.topology());
    for offer in offers {
        let address = SocketAddr::new(ip, offer.port);
        let door = Door::bind(offer.env.clone(), address, Arc::clone(identity), Arc::clone(&access));
        let door = door
            .inspect_err(|error| offer.env.log.emit(&NioListenFail { address, error }))
            .with_context(|| format!("cannot listen on {address} for the other servers (rmePort)"))?;
        let dispatch = Dispatch::new(offer.env.clone(), offer.run_dir, offer.served);
        offer.env.tasks.spawn(door.run(dispatch));
    }
    Ok(())
}

/// Where to listen: the address that others are told, where it is one; else everywhere.
fn own_address(topology: &Topology) -> IpAddr {
    topology.own().address.parse().unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED))
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
