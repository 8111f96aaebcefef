//! Who may connect, where a password may be sent, how long a wrong one is answered: rules that the servers with
//! sessions share, made from their keys. And the seats: how many sessions there are.
//!
//! Facts in, verdict out; saying it to the client is the server's business.

use crate::clients::ConnectionTable;
use crate::connection::Connection;
use catalog::events::conf::ConfParmError;
use catalog::events::nio::NioConnectionLimitTableBadEntry;
use catalog::keys::common;
use env::log::Log;
use env::settings::Settings;
use mail::network::{BadNetwork, Networks};
use roles::directory::Transport;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where a password may cross a connection without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlainText {
    Never,
    Loopback,
    Always,
}

/// The rules as the keys have them now.
#[derive(Debug)]
pub struct Access {
    plain_text: PlainText,
    bad_password_delay: Duration,
    max_bad_password_delay: Duration,
    /// `None`: from everywhere.
    allowed: Option<Networks>,
    /// How many connections at the same time.
    pub connections: ConnectionTable,
}

impl Access {
    /// From the keys of a server: `plainTextLogin`, `badPasswordDelay`, `maxBadPasswordDelay`, `allowedIPs`,
    /// `clientConnectionLimitTable`. Bad entries are logged and skipped.
    pub fn read(settings: &Settings, log: &Log) -> Self {
        let allowed = settings.get(common::ALLOWED_IPS);
        let limits = settings.get(common::CLIENT_CONNECTION_LIMIT_TABLE);
        let bad_network = |BadNetwork(value)| {
            let reason = "expected an address or a network; the entry is skipped";
            log.emit(&ConfParmError { key: common::ALLOWED_IPS.row.name, value, reason });
        };
        let bad_limit = |entry: &str| log.emit(&NioConnectionLimitTableBadEntry { entry });
        Self {
            plain_text: match settings.get(common::PLAIN_TEXT_LOGIN).to_ascii_lowercase().as_str() {
                "always" => PlainText::Always,
                "never" => PlainText::Never,
                _ => PlainText::Loopback,
            },
            bad_password_delay: settings.get(common::BAD_PASSWORD_DELAY),
            max_bad_password_delay: settings.get(common::MAX_BAD_PASSWORD_DELAY),
            // A bad entry opens nothing: what cannot be read allows nobody.
            allowed: (!allowed.is_empty()).then(|| Networks::read(&allowed, bad_network)),
            connections: ConnectionTable::read(&limits, bad_limit),
        }
    }

    /// Whether a client may connect at all.
    pub fn may_connect(&self, peer: IpAddr) -> bool {
        self.allowed.as_ref().is_none_or(|networks| networks.contains(peer))
    }

    /// Whether a password may be sent over this connection.
    pub fn takes_password(&self, connection: &Connection) -> bool {
        let peer = connection.peer().ip().to_canonical();
        let is_here = peer.is_loopback() || peer == connection.local().ip().to_canonical();
        match (connection.transport(), self.plain_text) {
            (Transport::Tls, _) | (Transport::Plain, PlainText::Always) => true,
            (Transport::Plain, PlainText::Loopback) => is_here,
            (Transport::Plain, PlainText::Never) => false,
        }
    }

    /// How long the answer to the so many-th wrong password of a connection waits: twice as long each time.
    pub fn delay_of(&self, failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.bad_password_delay.saturating_mul(doubled).min(self.max_bad_password_delay)
    }
}

/// How many sessions there are: exact, whichever way a session ends (ITS 18898).
#[derive(Debug, Default, Clone)]
pub struct Seats(Arc<AtomicU64>);

/// One session's place; dropping it gives it back.
#[derive(Debug)]
pub struct Seat(Arc<AtomicU64>);

impl Seats {
    /// A place, if fewer than `limit` are taken.
    pub fn take(&self, limit: u64) -> Option<Seat> {
        let one_more = |taken: u64| (taken < limit).then_some(taken + 1);
        let taken = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        taken.ok().map(|_| Seat(Arc::clone(&self.0)))
    }

    /// Places that are taken.
    pub fn taken(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::tree::Tree;

    fn access(keys: &str) -> Access {
        let settings = Settings::new("venus", "imapserv", Tree::parse(keys).unwrap());
        Access::read(&settings, &Log::in_memory("imapserv"))
    }

    #[test]
    fn delays_double_up_to_their_limit() {
        let access = access("/*/common/badPasswordDelay: [2]\n/*/common/maxBadPasswordDelay: [7]\n");
        let seconds: Vec<u64> = (1..5).chain([99]).map(|n| access.delay_of(n).as_secs()).collect();
        assert_eq!(seconds, [2, 4, 7, 7, 7]);
    }

    #[test]
    fn a_list_of_bad_networks_allows_nobody() {
        let here = "127.0.0.1".parse().unwrap();
        assert!(access("").may_connect(here));
        assert!(access("/*/imapserv/allowedIPs: [127.0.0.0/8]\n").may_connect(here));
        assert!(!access("/*/imapserv/allowedIPs: [127.0.0.0/99]\n").may_connect(here));
    }

    #[test]
    fn the_limit_is_exact_and_places_come_back() {
        let seats = Seats::default();
        let (a, b) = (seats.take(2), seats.take(2));
        assert!(a.is_some() && b.is_some() && seats.take(2).is_none());
        drop(a);
        assert_eq!((seats.taken(), seats.take(2).is_some()), (1, true));
        drop(b);
        assert_eq!(seats.taken(), 0);
    }
}
