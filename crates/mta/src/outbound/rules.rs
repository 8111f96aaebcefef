//! The keys of outgoing mail as values, made again only when the configuration changes.

use super::table::{RoutingTable, bracketed};
use catalog::events::conf::ConfParmError;
use catalog::keys::mta;
use env::log::Log;
use env::settings::Settings;
use mail::address::Address;
use net::dial::{OwnNames, Source};
use std::time::Duration;

/// The rules that hold now; an attempt keeps those that it began with.
#[derive(Debug)]
pub(crate) struct OutboundRules {
    /// Where mail goes instead of to its MX.
    pub(crate) table: RoutingTable,
    /// The names of this host.
    pub(crate) own_names: OwnNames,
    /// From which addresses connections are made.
    pub(crate) source: Source,
    /// For a connection to open.
    pub(crate) connect_timeout: Duration,
    /// Octets of a reply's line.
    pub(crate) line_limit: usize,
    /// Attempts at the same time.
    pub(crate) sessions: usize,
    /// Who gets a copy of every bounce.
    pub(crate) bounce_notify: Option<Address>,
}

impl OutboundRules {
    /// Reads the keys. An entry that makes no sense is logged and skipped.
    pub(crate) fn read(settings: &Settings, log: &Log) -> Self {
        let bad = |key: &str, value: &str, reason: &str| log.emit(&ConfParmError { key, value, reason });
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let table = RoutingTable::read(&settings.get(mta::MAIL_ROUTING_TABLE), |entry| {
            bad(mta::MAIL_ROUTING_TABLE.row.name, entry, "expected domain:host#port; the entry is skipped");
        });
        let aliases = settings.get(mta::HOSTNAME_ALIAS_LIST);
        let names = aliases.iter().map(|name| bracketed(name)).chain([settings.host().to_owned()]);
        let names: Vec<_> = names.collect();
        let notify = settings.get(mta::BOUNCE_NOTIFY);
        let bounce_notify = Address::parse(notify.trim()).ok();
        if bounce_notify.is_none() && !notify.trim().is_empty() {
            bad(mta::BOUNCE_NOTIFY.row.name, &notify, "expected an address; nobody gets a copy");
        }
        Self {
            table,
            own_names: OwnNames::new(names.iter().map(String::as_str)),
            source: Source::default(),
            connect_timeout: settings.get(mta::CONNECT_TIMEOUT),
            line_limit: count(settings.get(mta::SERVER_LINE_LENGTH_LIMIT)),
            sessions: count(settings.get(mta::MAX_OUTBOUND_SESSIONS)),
            bounce_notify,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::tree::Tree;
    use mail::address::Domain;

    #[test]
    fn its_20661_other_names_of_this_host_are_ours_and_bad_entries_are_logged() {
        let env = env::Env::for_test("mta");
        let tree = "/*/mta/hostnameAliasList: [MX.example][192.0.2.1]\n/*/mta/mailRoutingTable: [x]\n\
                    /*/mta/bounceNotify: [nobody]\n";
        env.settings.replace(Tree::parse(tree).unwrap());
        let rules = OutboundRules::read(&env.settings, &env.log);
        for name in ["mx.example", "[192.0.2.1]", "localhost"] {
            assert!(rules.own_names.contains(&Domain::parse(name).unwrap()), "{name}");
        }
        assert_eq!(rules.bounce_notify, None);
        let lines = env.log.lines();
        for key in ["key=mailRoutingTable value=x", "key=bounceNotify value=nobody"] {
            assert!(lines.iter().any(|l| l.contains(key)), "{key}");
        }
    }
}
