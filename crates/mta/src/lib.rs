//! The MTA: takes mail by SMTP, LMTP and from inside the house, and sees that it goes on.
//!
//! Promises that a message which was answered with 250 is in a store or in the queue, durably, for every
//! recipient that was accepted; and that what is refused is refused while the sender is still there to hear
//! it. It keeps nothing itself: who an address is knows the directory, mail lies in stores and in the queue.
//!
//! `inbound` speaks with clients, `policy` decides what is allowed, `accept` is the moment of responsibility,
//! `submission` takes messages of our own, `outbound` sees that what waits in the queue goes on.

pub mod accept;
pub mod deliver;
pub mod headers;
pub mod ids;
pub mod inbound;
pub mod outbound;
pub mod policy;
pub mod rules;
pub mod stamp;
mod submission;
#[cfg(test)]
mod testing;

use env::Env;
use env::settings::Live;
use ids::Ids;
use mail::id::HostName;
use net::clients::Connections;
use net::dns::Dns;
use net::spool::Spool;
use net::tls::ServerTls;
use roles::directory::Directory;
use roles::queue::MailQueue;
use roles::store::Stores;
use rules::Rules;
use std::path::PathBuf;
use std::sync::Arc;

/// The other servers and the means that an MTA works with.
pub struct Parts {
    /// Who an address is.
    pub directory: Arc<dyn Directory>,
    /// Where mailboxes are.
    pub stores: Arc<dyn Stores>,
    /// Where mail waits.
    pub queue: Arc<dyn MailQueue>,
    /// The name service.
    pub dns: Arc<dyn Dns>,
    /// The server's certificate; without one, no TLS is offered.
    pub tls: Option<Arc<ServerTls>>,
    /// An existing folder for bodies that do not fit into memory.
    pub run_dir: PathBuf,
}

/// The MTA of one host.
pub struct Mta {
    env: Env,
    directory: Arc<dyn Directory>,
    stores: Arc<dyn Stores>,
    queue: Arc<dyn MailQueue>,
    dns: Arc<dyn Dns>,
    tls: Option<Arc<ServerTls>>,
    run_dir: Arc<PathBuf>,
    host: HostName,
    ids: Ids,
    rules: Live<Rules>,
    /// By network, over all ports.
    connections: Connections,
}

impl Mta {
    /// An MTA that nothing calls yet.
    pub fn new(env: Env, parts: Parts) -> Arc<Self> {
        let host = HostName::new(env.settings.host());
        let log = env.log.clone();
        let rules = env.settings.live(move |settings| Rules::read(settings, &log));
        Arc::new(Self {
            ids: Ids::new(&env, &host),
            directory: parts.directory,
            stores: parts.stores,
            queue: parts.queue,
            dns: parts.dns,
            tls: parts.tls,
            run_dir: Arc::new(parts.run_dir),
            host,
            rules,
            connections: Connections::default(),
            env,
        })
    }

    /// For a body that is about to come in.
    fn spool(&self, rules: &Rules) -> Spool {
        Spool::new(rules.memory_limit, self.env.budget.clone(), Arc::clone(&self.run_dir))
    }
}
