//! Accounts, domains and classes of service: what is asked of provisioning. What it answers is in `replies`.

mod replies;
mod whole;

use super::proto as p;
use super::{Bad, at_most, common, need};
use catalog::account::{DomainKind, Status};
use catalog::cos::{Rule, Type};
use mail::address::{Address, Domain};
use mail::id::{AccountId, HostName, MailboxId};
use mail::password::StoredPassword;
use mail::secret::Secret;
use p::account_change::What as Change;
use p::provision_request::What;
use p::set_attribute::Holder;
use roles::directory::provision as r;
use roles::store::Run;

pub(crate) use replies::{replies, replies_of};

impl std::fmt::Debug for p::NewPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl From<r::User> for p::User {
    fn from(user: r::User) -> Self {
        Self { name: user.name, domain: user.domain.as_str().to_owned() }
    }
}

impl TryFrom<p::User> for r::User {
    type Error = Bad;

    fn try_from(user: p::User) -> Result<Self, Bad> {
        Ok(Self { name: super::directory::name(user.name)?, domain: domain(&user.domain)? })
    }
}

fn user(user: Option<p::User>) -> Result<r::User, Bad> {
    need(user, "user")?.try_into()
}

fn domain(text: &str) -> Result<Domain, Bad> {
    Domain::parse(text).map_err(|_| Bad("domain"))
}

fn status(letter: &str) -> Result<Status, Bad> {
    Status::parse(letter).ok_or(Bad("status"))
}

fn kind(word: &str) -> Result<DomainKind, Bad> {
    DomainKind::parse(word).ok_or(Bad("kind"))
}

fn rule(letter: &str) -> Result<Rule, Bad> {
    Rule::parse(letter).ok_or(Bad("rule"))
}

fn value_type(letter: &str) -> Result<Type, Bad> {
    Type::parse(letter).ok_or(Bad("type"))
}

impl From<r::NewPassword> for p::NewPassword {
    fn from(password: r::NewPassword) -> Self {
        match password {
            r::NewPassword::Clear(secret) => {
                Self { clear: Some(secret.expose().to_vec().into()), ..Self::default() }
            }
            r::NewPassword::Hashed(stored) => {
                Self { hashed: Some(stored.expose().to_owned()), ..Self::default() }
            }
        }
    }
}

impl TryFrom<p::NewPassword> for r::NewPassword {
    type Error = Bad;

    fn try_from(password: p::NewPassword) -> Result<Self, Bad> {
        match (password.clear, password.hashed) {
            (Some(clear), None) => Ok(Self::Clear(Secret::new(clear.to_vec()))),
            (None, Some(text)) => StoredPassword::parse(&text).map(Self::Hashed).map_err(|_| Bad("password")),
            _ => Err(Bad("password")),
        }
    }
}

fn password(password: Option<p::NewPassword>) -> Result<r::NewPassword, Bad> {
    need(password, "password")?.try_into()
}

impl From<r::NewAccount> for p::NewAccount {
    fn from(new: r::NewAccount) -> Self {
        Self {
            user: Some(new.user.into()),
            local_part: new.local_part,
            mailbox: new.mailbox.map(|mailbox| mailbox.0),
            home: new.home.map(|home| home.as_str().to_owned()),
            password: Some(new.password.into()),
            status: new.status.to_string(),
            cos: new.cos,
        }
    }
}

impl TryFrom<p::NewAccount> for r::NewAccount {
    type Error = Bad;

    fn try_from(new: p::NewAccount) -> Result<Self, Bad> {
        Ok(Self {
            user: user(new.user)?,
            local_part: new.local_part,
            mailbox: new.mailbox.map(MailboxId),
            home: new.home.as_deref().map(HostName::new),
            password: password(new.password)?,
            status: status(&new.status)?,
            cos: new.cos,
        })
    }
}

impl From<r::AccountChange> for p::AccountChange {
    fn from(change: r::AccountChange) -> Self {
        let what = match change {
            r::AccountChange::Status(status) => Change::Status(status.to_string()),
            r::AccountChange::Password(password) => Change::Password(password.into()),
            r::AccountChange::Cos(cos) => Change::Cos(cos),
            r::AccountChange::Home(home) => Change::Home(home.as_str().to_owned()),
            r::AccountChange::Forwarding(forwarding) => Change::Forwarding(forwarding == r::Forwarding::On),
        };
        Self { what: Some(what) }
    }
}

impl TryFrom<p::AccountChange> for r::AccountChange {
    type Error = Bad;

    fn try_from(change: p::AccountChange) -> Result<Self, Bad> {
        Ok(match need(change.what, "change")? {
            Change::Status(letter) => Self::Status(status(&letter)?),
            Change::Password(password) => Self::Password(password.try_into()?),
            Change::Cos(cos) => Self::Cos(cos),
            Change::Home(home) => Self::Home(HostName::new(&home)),
            Change::Forwarding(on) => Self::Forwarding(forwarding(on)),
        })
    }
}

fn forwarding(on: bool) -> r::Forwarding {
    if on { r::Forwarding::On } else { r::Forwarding::Off }
}

fn forward(place: r::Place, address: &Address) -> p::Forward {
    p::Forward { remote: place == r::Place::Remote, address: address.to_string() }
}

fn forward_of(forward: &p::Forward) -> Result<(r::Place, Address), Bad> {
    let place = if forward.remote { r::Place::Remote } else { r::Place::Local };
    Ok((place, common::address(&forward.address)?))
}

fn user_address(user: r::User, address: &Address) -> p::UserAddress {
    p::UserAddress { user: Some(user.into()), address: address.to_string() }
}

fn user_alias(user: r::User, alias: r::User) -> p::UserAlias {
    p::UserAlias { user: Some(user.into()), alias: Some(alias.into()) }
}

fn user_forward(user: r::User, place: r::Place, address: &Address) -> p::UserForward {
    p::UserForward { user: Some(user.into()), forward: Some(forward(place, address)) }
}

fn setting(domain: &Domain, kind: DomainKind, target: Option<String>) -> p::DomainSetting {
    p::DomainSetting { domain: domain.as_str().to_owned(), kind: kind.word().to_owned(), target }
}

fn letter(letter: char) -> String {
    letter.to_string()
}

impl From<r::Request> for p::ProvisionRequest {
    fn from(request: r::Request) -> Self {
        use r::Request as R;
        let what = match request {
            R::CreateAccount(new) => What::CreateAccount((*new).into()),
            R::DeleteAccount(user) => What::DeleteAccount(user.into()),
            R::ChangeAccount(user, change) => {
                What::ChangeAccount(p::ChangeAccount { user: Some(user.into()), change: Some(change.into()) })
            }
            R::ShowAccount(user) => What::ShowAccount(user.into()),
            R::ListAccounts(domain, after) => {
                What::ListAccounts(p::ListAccounts { domain: domain.as_str().to_owned(), after })
            }
            R::CreateAlias(user, address) => What::CreateAlias(user_address(user, &address)),
            R::DeleteAlias(user, address) => What::DeleteAlias(user_address(user, &address)),
            R::CreateLoginAlias(user, alias) => What::CreateLoginAlias(user_alias(user, alias)),
            R::DeleteLoginAlias(user, alias) => What::DeleteLoginAlias(user_alias(user, alias)),
            R::CreateForward(user, place, to) => What::CreateForward(user_forward(user, place, &to)),
            R::DeleteForward(user, place, to) => What::DeleteForward(user_forward(user, place, &to)),
            R::CreateDomain(domain, kind, target) => What::CreateDomain(setting(&domain, kind, target)),
            R::ChangeDomain(domain, kind, target) => What::ChangeDomain(setting(&domain, kind, target)),
            R::DeleteDomain(domain) => What::DeleteDomain(domain.as_str().to_owned()),
            R::ListDomains(after) => What::ListDomains(after),
            R::CreateCos(name) => What::CreateCos(name),
            R::DeleteCos(name) => What::DeleteCos(name),
            R::ListCos(after) => What::ListCos(after),
            R::ShowCos(name) => What::ShowCos(name),
            R::CreateAttribute(name, rule, kind, default) => What::CreateAttribute(p::CreateAttribute {
                name,
                rule: letter(rule.letter()),
                r#type: letter(kind.letter()),
                default,
            }),
            R::DeleteAttribute(name, confirmation) => What::DeleteAttribute(p::DeleteAttribute {
                name,
                confirmed: confirmation == r::Confirmation::Given,
            }),
            R::ListAttributes => What::ListAttributes(p::Empty {}),
            R::SetAttribute(holder, name, value) => {
                let holder = match holder {
                    r::Holder::Cos(cos) => Holder::Cos(cos),
                    r::Holder::Account(user) => Holder::Account(user.into()),
                };
                What::SetAttribute(p::SetAttribute { holder: Some(holder), name, value })
            }
            R::FirstModified(after) => What::FirstModified(after),
            R::LoadAccount(account, existing, run) => What::LoadAccount(p::LoadAccount {
                account: Some((*account).into()),
                update: existing == r::Existing::Update,
                trial: run == Run::Dry,
            }),
            R::ListWhole(after, hashes) => {
                What::ListWhole(p::ListWhole { after: after.0, hashes: hashes == r::Hashes::With })
            }
        };
        Self { what: Some(what) }
    }
}

impl TryFrom<p::ProvisionRequest> for r::Request {
    type Error = Bad;

    fn try_from(request: p::ProvisionRequest) -> Result<Self, Bad> {
        Ok(match need(request.what, "request")? {
            What::CreateAccount(new) => Self::CreateAccount(Box::new(new.try_into()?)),
            What::DeleteAccount(user) => Self::DeleteAccount(user.try_into()?),
            What::ChangeAccount(m) => {
                Self::ChangeAccount(user(m.user)?, need(m.change, "change")?.try_into()?)
            }
            What::ShowAccount(user) => Self::ShowAccount(user.try_into()?),
            What::ListAccounts(m) => Self::ListAccounts(domain(&m.domain)?, m.after),
            What::CreateAlias(m) => Self::CreateAlias(user(m.user)?, common::address(&m.address)?),
            What::DeleteAlias(m) => Self::DeleteAlias(user(m.user)?, common::address(&m.address)?),
            What::CreateLoginAlias(m) => Self::CreateLoginAlias(user(m.user)?, user(m.alias)?),
            What::DeleteLoginAlias(m) => Self::DeleteLoginAlias(user(m.user)?, user(m.alias)?),
            What::CreateForward(m) => {
                let (user, (place, to)) = (user(m.user)?, forward_of(&need(m.forward, "forward")?)?);
                Self::CreateForward(user, place, to)
            }
            What::DeleteForward(m) => {
                let (user, (place, to)) = (user(m.user)?, forward_of(&need(m.forward, "forward")?)?);
                Self::DeleteForward(user, place, to)
            }
            What::CreateDomain(m) => Self::CreateDomain(domain(&m.domain)?, kind(&m.kind)?, m.target),
            What::ChangeDomain(m) => Self::ChangeDomain(domain(&m.domain)?, kind(&m.kind)?, m.target),
            What::DeleteDomain(name) => Self::DeleteDomain(domain(&name)?),
            What::ListDomains(after) => Self::ListDomains(after),
            What::CreateCos(name) => Self::CreateCos(name),
            What::DeleteCos(name) => Self::DeleteCos(name),
            What::ListCos(after) => Self::ListCos(after),
            What::ShowCos(name) => Self::ShowCos(name),
            What::CreateAttribute(m) => {
                Self::CreateAttribute(m.name, rule(&m.rule)?, value_type(&m.r#type)?, m.default)
            }
            What::DeleteAttribute(m) => {
                let given = if m.confirmed { r::Confirmation::Given } else { r::Confirmation::Missing };
                Self::DeleteAttribute(m.name, given)
            }
            What::ListAttributes(_) => Self::ListAttributes,
            What::SetAttribute(m) => {
                let holder = match need(m.holder, "holder")? {
                    Holder::Cos(cos) => r::Holder::Cos(cos),
                    Holder::Account(user) => r::Holder::Account(user.try_into()?),
                };
                Self::SetAttribute(holder, m.name, m.value)
            }
            What::FirstModified(after) => Self::FirstModified(after),
            What::LoadAccount(m) => whole::load(m)?,
            What::ListWhole(m) => {
                let hashes = if m.hashes { r::Hashes::With } else { r::Hashes::Without };
                Self::ListWhole(AccountId(m.after), hashes)
            }
        })
    }
}

/// The requests of one call.
pub(crate) fn requests(list: p::ProvisionRequests) -> Result<Vec<r::Request>, Bad> {
    at_most(list.requests, r::MAX_REQUESTS, "requests")
}
