//! Where mail for an address goes.
//!
//! RFC 5321 4.5.1: postmaster is known in every local domain. RFC 5233: the detail behind a separator names a folder
//! and is looked at only where the whole local part is nobody's.

use crate::card::Card;
use crate::classes::Permission;
use crate::fault::Fault;
use crate::lookup::{ByName, Found, Purpose};
use crate::names::Name;
use crate::server::Shared;
use catalog::account::{DomainKind, Status};
use catalog::events::acct::AcctForwardInfoMissing;
use catalog::keys::common::DEFAULT_DOMAIN;
use catalog::keys::imdircacheserv::{POSTMASTER_ADDRESS, SUBADDRESS_SEPARATOR};
use env::settings::Settings;
use mail::address::{Address, Domain};
use roles::Call;
use roles::directory::{Directory, Local, Route};
use std::sync::Arc;
use storage::directory::{DomainRow, NameKey};

/// Most times that one address leads to another within the directory; beyond it the mail waits for somebody to look.
const MAX_HOPS: usize = 4;
/// Most forwards of one account that are followed: the limit of the contract.
const MAX_FORWARDS: usize = 1000;
/// The port of a mail server whose port nobody has named.
const SMTP_PORT: u16 = 25;

/// The keys that routing follows.
pub(crate) struct RouteRules {
    separator: Option<char>,
    postmaster: Option<Address>,
}

impl RouteRules {
    pub(crate) fn read(settings: &Settings) -> Self {
        let named = Address::parse(&settings.get(POSTMASTER_ADDRESS)).ok();
        let default = || Address::new("postmaster", Domain::parse(&settings.get(DEFAULT_DOMAIN)).ok()?).ok();
        Self {
            separator: settings.get(SUBADDRESS_SEPARATOR).chars().next(),
            postmaster: named.or_else(default),
        }
    }

    /// The separator, or nothing.
    pub(crate) fn separator_text(&self) -> String {
        self.separator.map(String::from).unwrap_or_default()
    }

    /// The part before the first separator and the part behind it, where both are there.
    pub(crate) fn split_detail<'a>(&self, local: &'a str) -> Option<(&'a str, &'a str)> {
        let (base, detail) = local.split_once(self.separator?)?;
        (!base.is_empty() && !detail.is_empty()).then_some((base, detail))
    }
}

/// One step on the way of an address.
enum Step {
    Arrived(Route),
    Onward(Address),
    /// This server knows.
    Elsewhere(Arc<dyn Directory>),
}

impl Shared {
    pub(crate) async fn route(&self, call: &Call, address: Address) -> Result<Route, Fault> {
        if let Some(answer) = self.ask_first(|server| server.address_route(call, address.clone())).await {
            return answer;
        }
        let mut address = address;
        for _ in 0..MAX_HOPS {
            match self.step(&address).await? {
                Step::Arrived(route) => return Ok(route),
                Step::Onward(next) => address = next,
                Step::Elsewhere(server) => {
                    let (names, _) = self.names_of(&address, address.domain().as_str());
                    let read_at = self.cache.epoch();
                    let route = server.address_route(call, address).await?;
                    if route == Route::Unknown {
                        self.nobody_has(&names, read_at);
                    }
                    return Ok(route);
                }
            }
        }
        Ok(Route::Deferred)
    }

    async fn step(&self, address: &Address) -> Result<Step, Fault> {
        let domain = match self.domain(address.domain().as_str()).await? {
            Found::Here(domain) => domain,
            Found::Nobody => return Ok(Step::Arrived(Route::Remote)),
            Found::Elsewhere(server) => return Ok(Step::Elsewhere(server)),
        };
        match domain.kind {
            DomainKind::Relay => Ok(Step::Arrived(Route::Relay(target(&domain)))),
            DomainKind::Rewrite => Ok(match rewritten(address, &domain) {
                Some(next) => Step::Onward(next),
                None => Step::Arrived(Route::Unknown),
            }),
            DomainKind::Local | DomainKind::NonAuthoritative => self.local_step(address, &domain).await,
        }
    }

    /// In a domain whose addresses are here.
    async fn local_step(&self, address: &Address, domain: &DomainRow) -> Result<Step, Fault> {
        let (names, detail) = self.names_of(address, &domain.name);
        match self.find(&names, Purpose::Mail).await? {
            Found::Here(ByName { at, card }) => {
                return Ok(Step::Arrived(self.arrived(&card, detail.filter(|_| at > 0))));
            }
            Found::Elsewhere(server) => return Ok(Step::Elsewhere(server)),
            Found::Nobody => {}
        }
        if address.local().eq_ignore_ascii_case("postmaster")
            && let Some(next) = self.routing.get().postmaster.as_ref().filter(|n| n.key() != address.key())
        {
            return Ok(Step::Onward(next.clone()));
        }
        Ok(Step::Arrived(match domain.kind {
            DomainKind::NonAuthoritative => Route::Relay(target(domain)),
            _ => Route::Unknown,
        }))
    }

    /// The names under which the account of an address is looked up: the whole local part, then the part before the detail,
    /// which comes too.
    fn names_of(&self, address: &Address, domain: &str) -> (Vec<Name>, Option<String>) {
        let key = |local: &str| Name::Address(NameKey::new(local, domain));
        let mut names = vec![key(address.local())];
        let rules = self.routing.get();
        let split = rules.split_detail(address.local());
        names.extend(split.map(|(base, _)| key(base)));
        (names, split.map(|(_, detail)| detail.to_owned()))
    }

    /// The route of an account; logs where its mail stays only because there is nowhere else.
    fn arrived(&self, card: &Card, detail: Option<String>) -> Route {
        let route = arrive(card, detail);
        let nowhere_else = card.rights.local_delivery == Permission::No && card.forwards.is_empty();
        if nowhere_else && matches!(route, Route::Local(_)) {
            self.env.log.emit(&AcctForwardInfoMissing { account: &card.login });
        }
        route
    }
}

/// What an account does with its mail. Pure.
fn arrive(card: &Card, detail: Option<String>) -> Route {
    match card.status {
        Status::Maintenance => return Route::Deferred,
        Status::Locked => return Route::Disabled,
        Status::Deleted => return Route::Unknown,
        Status::Proxied => return Route::Relay(Some((card.home.to_string(), SMTP_PORT))),
        Status::Active | Status::Suspended => {}
    }
    let follow = card.rights.forwarding == Permission::Yes;
    let forwards: Vec<_> =
        card.forwards.iter().take(if follow { MAX_FORWARDS } else { 0 }).cloned().collect();
    let keep = forwards.is_empty() || card.rights.local_delivery == Permission::Yes;
    Route::Local(Box::new(Local {
        account: keep.then(|| card.account()),
        detail,
        over_quota: card.rights.over_quota,
        forwards,
    }))
}

/// The same address in the domain that this one is another name of.
fn rewritten(address: &Address, domain: &DomainRow) -> Option<Address> {
    Address::new(address.local(), Domain::parse(&domain.target).ok()?).ok()
}

/// Where a domain's mail is relayed to; `None`: by MX.
fn target(domain: &DomainRow) -> Option<(String, u16)> {
    split_target(&domain.target)
}

/// `host` or `host:port`.
pub(crate) fn split_target(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|p| *p > 0)?),
        None => (text, SMTP_PORT),
    };
    Domain::parse(host).ok().map(|host| (host.as_str().to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::tree::Tree;

    #[test]
    fn targets_of_relays() {
        assert_eq!(split_target("Mail.Example.org"), Some(("mail.example.org".into(), 25)));
        assert_eq!(split_target("10.0.0.1:2525"), Some(("10.0.0.1".into(), 2525)));
        for bad in ["", ":25", "a:0", "a:x", "a b", "a:70000"] {
            assert_eq!(split_target(bad), None, "{bad}");
        }
    }

    #[test]
    fn details_need_both_halves() {
        let rules =
            |text: &str| RouteRules::read(&Settings::new("h", "imdircacheserv", Tree::parse(text).unwrap()));
        assert_eq!(rules("").split_detail("a+b+c"), Some(("a", "b+c")));
        assert_eq!(rules("").split_detail("+b"), None);
        assert_eq!(rules("").split_detail("a+"), None);
        assert_eq!(rules("/*/imdircacheserv/subaddressSeparator: []").split_detail("a+b"), None);
    }
}
