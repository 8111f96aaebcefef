//! The keys of the IMAP server, read once a change.

use catalog::keys::{common, imapserv, mta};
use env::log::Log;
use env::settings::Settings;
use net::access::Access;
use std::time::Duration;
use wire::imap::{Limits, Unwaited};

/// RFC 9051 5.4: an autologout timer must be at least this long once somebody has logged in.
const MIN_IDLE: Duration = Duration::from_secs(1800);
/// How long a client may take to log in, between two commands.
const LOGIN_IDLE: Duration = Duration::from_secs(180);
/// What the greeting says where `banners` says nothing.
const BANNER: &str = "InterMail IMAP server ready.";

/// The keys as values.
pub(crate) struct Rules {
    pub(crate) access: Access,
    pub(crate) banner: String,
    pub(crate) max_sessions: u64,
    pub(crate) max_sessions_per_user: u64,
    /// Silence after which a session is ended.
    pub(crate) idle: Duration,
    pub(crate) unwaited: Unwaited,
    /// Largest message that a client may append, in octets.
    pub(crate) max_message: u64,
    /// Octets of a message that are kept in memory while it comes.
    pub(crate) spool_memory: usize,
}

impl Rules {
    pub(crate) fn read(settings: &Settings, log: &Log) -> Self {
        let banner = settings.get(common::BANNERS);
        let kilobytes = |n: u64| n.saturating_mul(1024);
        Self {
            access: Access::read(settings, log),
            banner: if banner.trim().is_empty() { BANNER.to_owned() } else { banner },
            max_sessions: settings.get(imapserv::MAX_SESSIONS),
            max_sessions_per_user: settings.get(common::MAX_SESSIONS_PER_USER),
            idle: settings.get(common::IDLE_TIMEOUT).max(MIN_IDLE),
            unwaited: match settings.get(imapserv::UNWAITED_LITERALS).to_ascii_lowercase().as_str() {
                "small" => Unwaited::Small,
                _ => Unwaited::All,
            },
            max_message: kilobytes(settings.get(mta::MAX_MESSAGE_SIZE)),
            spool_memory: usize::try_from(kilobytes(settings.get(common::CACHE_LIMIT_IN_KB)))
                .unwrap_or(64 << 10),
        }
    }

    /// What a client that has not logged in may make us hold.
    pub(crate) fn limits_before_login(&self) -> Limits {
        let small = 8 << 10;
        Limits { line: small, literal: small, command: 2 * small, skip: 1 << 20, ..self.limits() }
    }

    /// What a client may make us hold.
    pub(crate) fn limits(&self) -> Limits {
        Limits { message: self.max_message, unwaited: self.unwaited, ..Limits::default() }
    }

    /// How long this session may be silent.
    pub(crate) fn patience(&self, logged_in: LoggedIn) -> Duration {
        match logged_in {
            LoggedIn::Yes => self.idle,
            LoggedIn::No => LOGIN_IDLE,
        }
    }
}

/// Whether somebody has logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoggedIn {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::tree::Tree;

    fn rules(keys: &str) -> Rules {
        Rules::read(
            &Settings::new("venus", "imapserv", Tree::parse(keys).unwrap()),
            &Log::in_memory("imapserv"),
        )
    }

    #[test]
    fn the_idle_time_is_never_less_than_the_standard_allows() {
        assert_eq!(rules("/*/imapserv/idleTimeout: [30]\n").patience(LoggedIn::Yes), MIN_IDLE);
        assert_eq!(rules("/*/imapserv/idleTimeout: [3600]\n").patience(LoggedIn::Yes).as_secs(), 3600);
        assert_eq!(rules("").patience(LoggedIn::No), LOGIN_IDLE);
    }

    #[test]
    fn a_stranger_may_make_us_hold_less() {
        let rules = rules("/*/imapserv/unwaitedLiterals: [small]\n");
        assert_eq!(rules.limits().unwaited, Unwaited::Small);
        assert!(rules.limits_before_login().command < rules.limits().command);
    }
}
