//! The IMAP server. RFC 9051 and RFC 3501, and the extensions that `commands::session::capabilities` names.
//!
//! One task a connection. What a session knows of its mailbox is a set of UIDs kept as ranges; messages are
//! asked of the store page by page and go to the client piece by piece, so that neither a folder of a million
//! messages nor a message of fifty megabytes is ever held. An idle session holds no buffers.
//! Sessions keep nothing that must survive them: every change is the store's before it is the client's.
//!
//! `session` is the loop and says when what is done; `commands` has one file a command; `selected` is the view
//! of a mailbox, `updates` what is told of its changes, `fetch_items` how a message is shown, `replies` turns
//! errors into answers, `rules` are the keys. The grammar is in [`wire::imap`].

mod commands;
mod fetch_items;
mod replies;
mod rules;
mod selected;
mod session;
#[cfg(test)]
mod tests;
mod updates;
mod users;

use catalog::events::imap::{ImapConnectionNotAllowed, ImapMaxSessions};
use env::Env;
use env::settings::Live;
use net::access::Seats;
use net::clients::Connections;
use net::connection::Connection;
use net::listener::{Count, Protocol};
use net::tls::ServerTls;
use roles::directory::Directory;
use roles::store::Stores;
use rules::Rules;
use session::Session;
use std::future::Future;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use users::Users;

/// What an IMAP server works with.
pub struct Parts {
    /// Who somebody is.
    pub directory: Arc<dyn Directory>,
    /// Where mailboxes are.
    pub stores: Arc<dyn Stores>,
    /// The server's certificate; without one, no STARTTLS is offered.
    pub tls: Option<Arc<ServerTls>>,
    /// The run directory: large messages that clients append wait there.
    pub run_dir: Arc<PathBuf>,
}

/// The IMAP server of one host: give it to as many [`net::listener::Listener`]s as there are ports.
pub struct Imap {
    env: Env,
    parts: Parts,
    rules: Live<Rules>,
    seats: Seats,
    connections: Connections,
    users: Users,
}

impl Imap {
    /// A server without clients.
    pub fn new(env: Env, parts: Parts) -> Arc<Self> {
        let log = env.log.clone();
        let rules = env.settings.live(move |settings| Rules::read(settings, &log));
        Arc::new(Self {
            env,
            parts,
            rules,
            seats: Seats::default(),
            connections: Connections::default(),
            users: Users::default(),
        })
    }

    /// Sessions that are open now, over all ports.
    pub fn sessions(&self) -> u64 {
        self.seats.taken()
    }

    async fn serve_one(&self, connection: Connection) {
        let (rules, peer) = (self.rules.get(), connection.peer().ip());
        let Some(_counted) = self.connections.enter(&rules.access.connections, peer, &self.env.log) else {
            return refuse(connection).await;
        };
        let Some(_seat) = self.seats.take(rules.max_sessions) else {
            self.env.log.emit(&ImapMaxSessions { limit: rules.max_sessions, peer });
            return refuse(connection).await;
        };
        Session::new(self, connection, rules).run().await;
    }
}

/// One session too many, of all or of the client's network.
async fn refuse(mut connection: Connection) {
    connection.output().extend_from_slice(replies::TOO_MANY_SESSIONS);
    connection.close().await;
}

impl Protocol for Imap {
    fn serve<'a>(&'a self, connection: Connection) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(self.serve_one(connection))
    }

    fn admit(&self, peer: IpAddr, _count: Count) -> Result<(), &'static [u8]> {
        if self.rules.get().access.may_connect(peer) {
            return Ok(());
        }
        self.env.log.emit(&ImapConnectionNotAllowed { peer });
        Err(replies::NOT_ALLOWED)
    }
}
