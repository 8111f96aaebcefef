//! Mail that comes in by SMTP and LMTP: four services over the same session.
//!
//! A session gathers facts, asks `policy`, and answers; it keeps nothing that must survive a crash. What it
//! has received goes to [`crate::accept`].

mod auth;
mod data;
mod etrn;
mod hello;
mod mail_from;
mod rcpt_to;
mod replies;
mod session;

use crate::Mta;
use catalog::events::nio::{NioConnNotAllowed, NioConnectionLimit};
use net::connection::Connection;
use net::listener::{Count, Protocol};
use session::Session;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use wire::smtp::Dialect;

/// What a port offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Mail from other servers: port 25.
    Relay,
    /// Mail from users who log in: port 587 with STARTTLS, port 465 under TLS. RFC 6409, RFC 8314.
    Submission,
    /// Mail from an MTA in front: LMTP.
    Lmtp,
}

impl Service {
    /// The protocol that is spoken.
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::Relay | Self::Submission => Dialect::Smtp,
            Self::Lmtp => Dialect::Lmtp,
        }
    }
}

/// One service, as a listener serves it.
pub struct Port {
    mta: Arc<Mta>,
    service: Service,
    /// The port number, for the log.
    number: u16,
}

impl Port {
    /// A service of this MTA on a port of this number.
    pub fn new(mta: Arc<Mta>, service: Service, number: u16) -> Arc<Self> {
        Arc::new(Self { mta, service, number })
    }
}

impl Protocol for Port {
    fn serve<'a>(&'a self, mut connection: Connection) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        let mta = &self.mta;
        let (rules, peer) = (mta.rules.get(), connection.peer().ip());
        let counted = mta.connections.enter(&rules.access.connections, peer, &mta.env.log);
        Box::pin(async move {
            match counted {
                Some(_counted) => Session::new(mta, self.service, connection).run(self.number).await,
                None => {
                    replies::TOO_MANY_CONNECTIONS.write(connection.output());
                    connection.close().await;
                }
            }
        })
    }

    fn admit(&self, peer: IpAddr, count: Count) -> Result<(), &'static [u8]> {
        let rules = self.mta.rules.get();
        let not_allowed = |key| {
            self.mta.env.log.emit(&NioConnNotAllowed { peer, port: self.number, key });
            Err(&b"554 5.7.1 Your address may not connect\r\n"[..])
        };
        if rules.blocked.contains(peer) {
            return not_allowed("blockTheseIPs");
        }
        if !rules.access.may_connect(peer) {
            return not_allowed("allowedIPs");
        }
        if count.in_all > rules.max_sessions {
            self.mta.env.log.emit(&NioConnectionLimit { peer, limit: rules.max_sessions });
            return Err(b"421 4.3.2 Too many connections, try again later\r\n");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
