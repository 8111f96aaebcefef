//! Where deferred mail goes and whence it is claimed: the queue of this process, of other hosts, or of several.

use crate::partners::Partners;
use catalog::keys::mta::{QUEUE_SERVER_RETRIEVE_HOSTS, QUEUE_SERVER_STORE_HOSTS};
use env::Env;
use mail::id::HostName;
use queue::Queue;
use roles::queue::MailQueue;
use rpc::client::{QueueHost, Queues};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The queue as an MTA of this process sees it. A site with one queue, on this host, is asked without a detour: its items
/// have the same ids in every process of the host.
///
/// # Errors
/// Says which key names a host that has no queue.
pub(crate) fn choose(
    env: &Env,
    own: &HostName,
    here: Option<&Queue>,
    partners: &Partners,
) -> anyhow::Result<Arc<dyn MailQueue>> {
    let mut hosts: BTreeMap<HostName, QueueHost> =
        partners.queues().into_iter().map(|(name, remote)| (name, QueueHost::There(remote))).collect();
    let named = |key| env.settings.get(key);
    let (store, retrieve) = (named(QUEUE_SERVER_STORE_HOSTS), named(QUEUE_SERVER_RETRIEVE_HOSTS));
    let only = hosts.keys().all(|host| host == own) && store.is_empty() && retrieve.is_empty();
    if let Some(queue) = here {
        if only {
            return Ok(Arc::new(queue.clone()));
        }
        hosts.insert(own.clone(), QueueHost::Here(Arc::new(queue.clone())));
    } else if only && let Some(QueueHost::There(remote)) = hosts.remove(own) {
        return Ok(Arc::new(remote));
    }
    let names: Vec<HostName> = hosts.keys().cloned().collect();
    let (store, retrieve) = (chosen(&store, own, &names), chosen(&retrieve, own, &names));
    let queues = Queues::new(env.clone(), hosts, &store, &retrieve);
    let queues = queues.map_err(|error| {
        let keys = (QUEUE_SERVER_STORE_HOSTS.row.name, QUEUE_SERVER_RETRIEVE_HOSTS.row.name);
        anyhow::anyhow!("{} or {}: {error}", keys.0, keys.1)
    })?;
    Ok(Arc::new(queues))
}

/// The hosts that are named, in that order; else this host, where it has a queue; else all that have one.
fn chosen(named: &[String], own: &HostName, all: &[HostName]) -> Vec<HostName> {
    match named.is_empty() {
        false => named.iter().map(|name| HostName::new(name.trim())).collect(),
        true if all.contains(own) => vec![own.clone()],
        true => all.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_those_that_are_named_or_the_own_or_all() {
        let [mars, venus] = ["mars", "venus"].map(HostName::new);
        let all = [mars.clone(), venus.clone()];
        assert_eq!(chosen(&["Venus".into(), "mars".into()], &mars, &all), [venus.clone(), mars.clone()]);
        assert_eq!(chosen(&[], &mars, &all), [mars]);
        assert_eq!(chosen(&[], &HostName::new("jove"), &all), all);
    }
}
