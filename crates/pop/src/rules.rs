//! The keys of the POP server, read once a change.

use catalog::keys::{common, popserv};
use env::settings::Settings;
use mail::network::Networks;
use net::connection::Connection;
use roles::directory::Transport;
use std::net::IpAddr;
use std::time::Duration;

/// RFC 1939 3: an autologout timer must be at least this long.
const MIN_IDLE: Duration = Duration::from_secs(600);
/// What the greeting says where `banners` says nothing.
const BANNER: &str = "InterMail POP3 server ready.";

/// Where a password may cross a connection without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlainText {
    Never,
    Loopback,
    Always,
}

/// The keys as values.
pub(crate) struct Rules {
    pub(crate) banner: String,
    pub(crate) max_sessions: u64,
    pub(crate) idle: Duration,
    plain_text: PlainText,
    bad_password_delay: Duration,
    max_bad_password_delay: Duration,
    /// `None`: from everywhere.
    allowed: Option<Networks>,
}

impl Rules {
    pub(crate) fn read(settings: &Settings) -> Self {
        let banner = settings.get(common::BANNERS);
        let allowed = settings.get(common::ALLOWED_IPS);
        Self {
            banner: if banner.trim().is_empty() { BANNER.to_owned() } else { banner },
            max_sessions: settings.get(popserv::MAX_SESSIONS),
            idle: settings.get(common::IDLE_TIMEOUT).max(MIN_IDLE),
            plain_text: match settings.get(common::PLAIN_TEXT_LOGIN).to_ascii_lowercase().as_str() {
                "always" => PlainText::Always,
                "never" => PlainText::Never,
                _ => PlainText::Loopback,
            },
            bad_password_delay: settings.get(common::BAD_PASSWORD_DELAY),
            max_bad_password_delay: settings.get(common::MAX_BAD_PASSWORD_DELAY),
            // A bad entry opens nothing: what cannot be read allows nobody.
            allowed: (!allowed.is_empty()).then(|| Networks::read(&allowed, |_| ())),
        }
    }

    /// Whether a client may connect at all.
    pub(crate) fn may_connect(&self, peer: IpAddr) -> bool {
        self.allowed.as_ref().is_none_or(|networks| networks.contains(peer))
    }

    /// Whether a password may be sent over this connection.
    pub(crate) fn takes_password(&self, connection: &Connection) -> bool {
        let peer = connection.peer().ip().to_canonical();
        let is_here = peer.is_loopback() || peer == connection.local().ip().to_canonical();
        match (connection.transport(), self.plain_text) {
            (Transport::Tls, _) | (Transport::Plain, PlainText::Always) => true,
            (Transport::Plain, PlainText::Loopback) => is_here,
            (Transport::Plain, PlainText::Never) => false,
        }
    }

    /// How long the answer to the so many-th wrong password of a connection waits: twice as long each time.
    pub(crate) fn delay_of(&self, failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.bad_password_delay.saturating_mul(doubled).min(self.max_bad_password_delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::tree::Tree;

    fn rules(keys: &str) -> Rules {
        Rules::read(&Settings::new("venus", "popserv", Tree::parse(keys).unwrap()))
    }

    #[test]
    fn delays_double_up_to_their_limit() {
        let rules = rules("/*/common/badPasswordDelay: [2]\n/*/common/maxBadPasswordDelay: [7]\n");
        let seconds: Vec<u64> = (1..5).chain([99]).map(|n| rules.delay_of(n).as_secs()).collect();
        assert_eq!(seconds, [2, 4, 7, 7, 7]);
    }

    #[test]
    fn the_idle_time_is_never_less_than_the_standard_allows() {
        assert_eq!(rules("/*/popserv/idleTimeout: [30]\n").idle, MIN_IDLE);
        assert_eq!(rules("/*/popserv/idleTimeout: [900]\n").idle.as_secs(), 900);
    }

    #[test]
    fn a_list_of_bad_networks_allows_nobody() {
        let here = "127.0.0.1".parse().unwrap();
        assert!(rules("").may_connect(here));
        assert!(rules("/*/popserv/allowedIPs: [127.0.0.0/8]\n").may_connect(here));
        assert!(!rules("/*/popserv/allowedIPs: [127.0.0.0/99]\n").may_connect(here));
    }
}
