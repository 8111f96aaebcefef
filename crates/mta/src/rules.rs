//! The keys of the MTA as values, made again only when the configuration changes.

use crate::policy::recipient::Verify;
use crate::policy::relay::SourcePolicy;
use crate::policy::sender::{Ownership, SenderPolicy};
use catalog::events::conf::ConfParmError;
use catalog::events::smtp::SmtplibBadRelayPolicy;
use catalog::key::Key;
use catalog::keys::{common, mta};
use env::log::Log;
use env::settings::Settings;
use mail::address::Domain;
use mail::network::{BadNetwork, Networks};
use net::access::Access;
use std::time::Duration;

/// The rules that hold now. A session reads them at each transaction.
#[derive(Debug)]
pub struct Rules {
    /// Largest message, in bytes.
    pub max_message: u64,
    /// Most recipients of a transaction.
    pub max_recipients: usize,
    /// Most sessions.
    pub max_sessions: usize,
    /// Longest command line, in bytes.
    pub line_limit: usize,
    /// Largest body that is kept in memory, in bytes.
    pub memory_limit: usize,
    /// Silence after which a session ends.
    pub idle: Duration,
    /// Text of the greeting after the host name.
    pub banner: String,
    /// Added to an address without a domain.
    pub default_domain: Option<Domain>,
    /// Who may relay.
    pub relay: SourcePolicy,
    /// Networks that may relay under [`SourcePolicy::AllowNamed`].
    pub relay_networks: Networks,
    /// Networks that may not connect.
    pub blocked: Networks,
    /// Who may connect, where a password may be sent.
    pub access: Access,
    /// When unknown recipients are told.
    pub verify: Verify,
    /// What is asked of senders.
    pub sender: SenderPolicy,
    /// Under which addresses users may send.
    pub ownership: Ownership,
    /// Whether the submission ports ask for a login.
    pub login_required: bool,
    /// Whether the relay port offers a login under TLS.
    pub relay_port_login: bool,
    /// Bad commands that end a session.
    pub max_bad_commands: u64,
    /// Delay of replies once half of them are used up.
    pub bad_command_delay: Duration,
}

impl Rules {
    /// Reads the keys. An entry of a list that makes no sense is logged and skipped.
    pub fn read(settings: &Settings, log: &Log) -> Self {
        let kilobytes = |n: u64| n.saturating_mul(1024);
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let networks = |key: Key<Vec<String>>| {
            Networks::read(&settings.get(key), |BadNetwork(value)| {
                let reason = "expected an address or a network; the entry is skipped";
                log.emit(&ConfParmError { key: key.row.name, value, reason });
            })
        };
        Self {
            max_message: kilobytes(settings.get(mta::MAX_MESSAGE_SIZE)),
            max_recipients: count(settings.get(mta::MAX_RECIPIENTS)),
            max_sessions: count(settings.get(mta::MAX_SESSIONS)),
            line_limit: count(settings.get(mta::SERVER_LINE_LENGTH_LIMIT)),
            memory_limit: count(kilobytes(settings.get(common::CACHE_LIMIT_IN_KB))),
            idle: settings.get(common::IDLE_TIMEOUT),
            banner: settings.get(common::BANNERS),
            default_domain: Domain::parse(&settings.get(common::DEFAULT_DOMAIN)).ok(),
            relay: read_relay(&settings.get(mta::RELAY_SOURCE_POLICY)),
            relay_networks: Networks::read(&settings.get(mta::RELAY_SOURCE_LIST), |BadNetwork(value)| {
                log.emit(&SmtplibBadRelayPolicy { value, used: "nothing: the entry is skipped" });
            }),
            blocked: networks(mta::BLOCK_THESE_IPS),
            access: Access::read(settings, log),
            verify: if settings.get(mta::VERIFY_RCPTS) { Verify::AtRcpt } else { Verify::Later },
            sender: read_sender(&settings.get(mta::REJECT_SENDER_BAD_ADDRESS)),
            ownership: read_ownership(&settings.get(mta::SUBMISSION_SENDER_POLICY)),
            login_required: settings.get(mta::REQUIRE_AUTHENTICATION),
            relay_port_login: settings.get(mta::RELAY_PORT_LOGIN),
            max_bad_commands: settings.get(mta::MAX_BAD_COMMANDS),
            bad_command_delay: settings.get(mta::BAD_COMMAND_DELAY),
        }
    }
}

// The words below have passed the check of their keys; whatever is left over is the strictest.

fn read_relay(word: &str) -> SourcePolicy {
    match word.trim().to_ascii_lowercase().as_str() {
        "allowall" => SourcePolicy::AllowAll,
        "allownamed" => SourcePolicy::AllowNamed,
        _ => SourcePolicy::DenyAll,
    }
}

fn read_sender(word: &str) -> SenderPolicy {
    match word.trim().to_ascii_lowercase().as_str() {
        "off" => SenderPolicy::Off,
        "syntax" => SenderPolicy::Syntax,
        _ => SenderPolicy::Domain,
    }
}

fn read_ownership(word: &str) -> Ownership {
    match word.trim().to_ascii_lowercase().as_str() {
        "off" => Ownership::Off,
        "localdomains" => Ownership::OurDomains,
        _ => Ownership::Always,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::tree::Tree;

    #[test]
    fn defaults_are_safe() {
        let env = env::Env::for_test("mta");
        let rules = Rules::read(&env.settings, &env.log);
        assert_eq!((rules.relay, rules.verify), (SourcePolicy::AllowNamed, Verify::AtRcpt));
        assert!(rules.relay_networks.contains("127.0.0.1".parse().unwrap()));
        assert!(!rules.relay_networks.contains("192.0.2.1".parse().unwrap()));
        assert!(rules.login_required && !rules.relay_port_login);
        assert_eq!(rules.max_message, 51_200 * 1024);
    }

    #[test]
    fn words_are_read_and_bad_entries_are_logged() {
        let env = env::Env::for_test("mta");
        let tree = "/*/mta/relaySourcePolicy: [AllowAll]\n/*/mta/blockTheseIPs: [192.0.2.0/24][nonsense]\n";
        env.settings.replace(Tree::parse(tree).unwrap());
        let rules = Rules::read(&env.settings, &env.log);
        assert_eq!(rules.relay, SourcePolicy::AllowAll);
        assert!(rules.blocked.contains("192.0.2.77".parse().unwrap()));
        assert!(env.log.lines().iter().any(|l| l.contains("ConfParmError key=blockTheseIPs value=nonsense")));
    }
}
