//! The POP3 server. RFC 1939 and what [`wire::pop3`] lists.
//!
//! One session a mailbox, for as long as the connection lives: the store keeps the lock, and it is free again
//! the moment the session is gone, however it went. Nothing is removed before QUIT. A message goes from the
//! store to the client in pieces, so that a slow client of a large message costs a buffer, not the message.
//! Who may log in, from where, and under which name is the directory's business, and so are the events that
//! say so.
//!
//! `session` is the loop, `login` comes before the mailbox, `commands` after; `mailbox_view` is what the
//! client has been told of it, `replies` turns errors into answers, `rules` are the keys.

mod commands;
mod login;
mod mailbox_view;
mod replies;
mod rules;
mod session;
#[cfg(test)]
mod tests;

use catalog::events::pop::{PopConnectionNotAllowed, PopMaxSessions};
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
use std::pin::Pin;
use std::sync::Arc;

/// What a POP server works with.
pub struct Parts {
    /// Who somebody is.
    pub directory: Arc<dyn Directory>,
    /// Where mailboxes are.
    pub stores: Arc<dyn Stores>,
    /// The server's certificate; without one, no STLS is offered.
    pub tls: Option<Arc<ServerTls>>,
}

/// The POP server of one host: give it to as many [`net::listener::Listener`]s as there are ports.
pub struct Pop {
    env: Env,
    directory: Arc<dyn Directory>,
    stores: Arc<dyn Stores>,
    tls: Option<Arc<ServerTls>>,
    rules: Live<Rules>,
    seats: Seats,
    connections: Connections,
}

impl Pop {
    /// A server without clients.
    pub fn new(env: Env, parts: Parts) -> Arc<Self> {
        let log = env.log.clone();
        let rules = env.settings.live(move |settings| Rules::read(settings, &log));
        let Parts { directory, stores, tls } = parts;
        Arc::new(Self {
            env,
            directory,
            stores,
            tls,
            rules,
            seats: Seats::default(),
            connections: Connections::default(),
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
            self.env.log.emit(&PopMaxSessions { limit: rules.max_sessions, peer });
            return refuse(connection).await;
        };
        Session::new(self, connection, rules).run().await;
    }
}

/// One session too many, of all or of the client's network.
async fn refuse(mut connection: Connection) {
    replies::too_many_sessions(connection.output());
    connection.close().await;
}

impl Protocol for Pop {
    fn serve<'a>(&'a self, connection: Connection) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(self.serve_one(connection))
    }

    fn admit(&self, peer: IpAddr, _count: Count) -> Result<(), &'static [u8]> {
        if self.rules.get().access.may_connect(peer) {
            return Ok(());
        }
        self.env.log.emit(&PopConnectionNotAllowed { peer });
        Err(replies::NOT_ALLOWED)
    }
}
