//! The keys of the POP server, read once a change.

use catalog::keys::{common, popserv};
use env::log::Log;
use env::settings::Settings;
use net::access::Access;
use std::time::Duration;

/// RFC 1939 3: an autologout timer must be at least this long.
const MIN_IDLE: Duration = Duration::from_secs(600);
/// What the greeting says where `banners` says nothing.
const BANNER: &str = "InterMail POP3 server ready.";

/// The keys as values.
pub(crate) struct Rules {
    pub(crate) banner: String,
    pub(crate) max_sessions: u64,
    pub(crate) idle: Duration,
    pub(crate) access: Access,
}

impl Rules {
    pub(crate) fn read(settings: &Settings, log: &Log) -> Self {
        let banner = settings.get(common::BANNERS);
        Self {
            banner: if banner.trim().is_empty() { BANNER.to_owned() } else { banner },
            max_sessions: settings.get(popserv::MAX_SESSIONS),
            idle: settings.get(common::IDLE_TIMEOUT).max(MIN_IDLE),
            access: Access::read(settings, log),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::tree::Tree;

    fn rules(keys: &str) -> Rules {
        Rules::read(
            &Settings::new("venus", "popserv", Tree::parse(keys).unwrap()),
            &Log::in_memory("popserv"),
        )
    }

    #[test]
    fn the_idle_time_is_never_less_than_the_standard_allows() {
        assert_eq!(rules("/*/popserv/idleTimeout: [30]\n").idle, MIN_IDLE);
        assert_eq!(rules("/*/popserv/idleTimeout: [900]\n").idle.as_secs(), 900);
    }
}
