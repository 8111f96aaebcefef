//! From what a user types as a login to the names that are looked up. Pure.

use catalog::events::pop::PopDomainTableEntryError;
use catalog::keys::common::{
    DEFAULT_DOMAIN, LOGIN_ALIASES, LOGIN_DEFAULT_DOMAIN, LOGIN_DEFAULT_DOMAIN_TABLE, TRUSTED_INTERFACES,
};
use env::log::Log;
use env::settings::Settings;
use mail::network::Networks;
use std::net::IpAddr;
use storage::directory::NameKey;

/// Longest login name with domain, in bytes: a local part of 64 and a domain of 255.
pub(crate) const MAX_LOGIN: usize = 320;

/// Whether an SMTP address serves as a login name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aliases {
    Allowed,
    Refused,
}

/// The keys that logins to one server follow.
#[derive(Debug)]
pub(crate) struct LoginRules {
    pub(crate) aliases: Aliases,
    default_domain: String,
    by_interface: Vec<(IpAddr, String)>,
    trusted: Networks,
}

impl LoginRules {
    /// From the keys of a server. Entries that are not of their form count as none; those of the table are logged.
    pub(crate) fn read(settings: &Settings, log: &Log) -> Self {
        let own = settings.get(LOGIN_DEFAULT_DOMAIN);
        let table = settings.get(LOGIN_DEFAULT_DOMAIN_TABLE);
        let entry = |text: &String| {
            let read = table_entry(text);
            if read.is_none() {
                log.emit(&PopDomainTableEntryError { entry: text });
            }
            read
        };
        Self {
            aliases: if settings.get(LOGIN_ALIASES) { Aliases::Allowed } else { Aliases::Refused },
            default_domain: if own.is_empty() { settings.get(DEFAULT_DOMAIN) } else { own }.to_lowercase(),
            by_interface: table.iter().filter_map(entry).collect(),
            trusted: Networks::read(&settings.get(TRUSTED_INTERFACES), |_| ()),
        }
    }

    /// Whether a login through this address of ours is trusted.
    pub(crate) fn trusts(&self, interface: IpAddr) -> bool {
        self.trusted.contains(interface)
    }

    /// The domain that a bare login name gets on this address of ours.
    fn domain_at(&self, interface: IpAddr) -> &str {
        let at = interface.to_canonical();
        self.by_interface.iter().find(|(i, _)| *i == at).map_or(&self.default_domain, |(_, d)| d)
    }

    /// What to look up for a login, in this order; nothing where it cannot be the name of anybody.
    pub(crate) fn names(&self, typed: &str, interface: IpAddr) -> Vec<Name> {
        let typed = typed.trim();
        if typed.is_empty() || typed.len() > MAX_LOGIN || typed.chars().any(char::is_control) {
            return Vec::new();
        }
        let (key, bare) = match typed.rsplit_once('@') {
            Some((name, domain)) => (NameKey::new(name, domain.strip_suffix('.').unwrap_or(domain)), None),
            None => (NameKey::new(typed, self.domain_at(interface)), Some(typed.to_lowercase())),
        };
        let mut names = vec![Name::Login(key.clone())];
        if self.aliases == Aliases::Allowed {
            names.push(Name::Address(key));
        }
        names.extend(bare.map(Name::Bare));
        names
    }
}

/// `address=domain`.
fn table_entry(text: &str) -> Option<(IpAddr, String)> {
    let (address, domain) = text.split_once('=')?;
    let address: IpAddr = address.trim().parse().ok()?;
    Some((address.to_canonical(), domain.trim().to_lowercase()))
}

/// A name by which an account is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    /// A login name or login alias.
    Login(NameKey),
    /// An SMTP address.
    Address(NameKey),
    /// A login name in whatever domain, if only one account of the site has it.
    Bare(String),
}

impl Name {
    /// The name as a key of the cache: no two names share one.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Login(key) => format!("l:{key}"),
            Self::Address(key) => format!("a:{key}"),
            Self::Bare(name) => format!("b:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::tree::Tree;

    fn rules(text: &str) -> LoginRules {
        let settings = Settings::new("venus", "popserv", Tree::parse(text).unwrap());
        LoginRules::read(&settings, &Log::in_memory("imdircacheserv"))
    }

    #[test]
    fn its_17212_a_bad_entry_of_the_table_is_logged_and_skipped() {
        let text = "/*/popserv/loginDefaultDomainTable: [nonsense][10.0.0.1=one.test]";
        let settings = Settings::new("venus", "popserv", Tree::parse(text).unwrap());
        let log = Log::in_memory("imdircacheserv");
        let rules = LoginRules::read(&settings, &log);
        assert_eq!(texts(&rules, "bob", "10.0.0.1")[0], "l:bob@one.test");
        let lines = log.lines();
        assert!(
            lines.len() == 1 && lines[0].ends_with("PopDomainTableEntryError entry=nonsense"),
            "{lines:?}"
        );
    }

    fn texts(rules: &LoginRules, typed: &str, interface: &str) -> Vec<String> {
        rules.names(typed, interface.parse().unwrap()).iter().map(Name::text).collect()
    }

    #[test]
    fn a_bare_name_gets_the_domain_of_the_interface_or_the_default() {
        let r = rules(
            "/*/common/defaultDomain: [Site.test]\n/*/popserv/loginDefaultDomainTable: [10.0.0.1=one.test][x]",
        );
        assert_eq!(texts(&r, " Bob ", "10.0.0.1"), ["l:bob@one.test", "a:bob@one.test", "b:bob"]);
        assert_eq!(texts(&r, "bob", "10.0.0.2"), ["l:bob@site.test", "a:bob@site.test", "b:bob"]);
        let own = rules("/*/popserv/loginDefaultDomain: [own.test]\n/*/popserv/loginAliases: [off]");
        assert_eq!(texts(&own, "bob", "10.0.0.2"), ["l:bob@own.test", "b:bob"]);
    }

    #[test]
    fn a_full_name_is_taken_as_it_is_in_lower_case() {
        assert_eq!(texts(&rules(""), "A.b@C@Site.TEST.", "::1"), ["l:a.b@c@site.test", "a:a.b@c@site.test"]);
    }

    #[test]
    fn what_nobody_is_called_is_not_looked_up() {
        let long = "x".repeat(MAX_LOGIN + 1);
        for typed in ["", "  ", "a\0b", "a\nb", &long] {
            assert!(texts(&rules(""), typed, "::1").is_empty());
        }
    }

    #[test]
    fn trust_is_a_matter_of_our_own_address() {
        let r = rules("/*/popserv/trustedInterfaces: [192.168.0.0/16][nonsense]");
        assert!(r.trusts("192.168.7.7".parse().unwrap()));
        assert!(!r.trusts("127.0.0.1".parse().unwrap()));
    }
}
