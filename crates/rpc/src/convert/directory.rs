//! Who somebody is and where mail goes.

use super::proto as p;
use super::{Bad, at_most, common, need};
use mail::id::{AccountId, HostName, MailboxId};
use mail::secret::Secret;
use p::route::What;
use roles::directory as r;
use roles::directory::{OverQuota, Proof, Protocol, Transport};

/// Longest login name. RFC 5321 4.5.3.1 leaves room for 320.
const MAX_NAME: usize = 320;
/// Most forwards of an address.
const MAX_FORWARDS: usize = 1000;

/// A login without a proof, as the keys of SCRAM are asked for.
pub(crate) fn asked(name: String, origin: &r::Origin) -> p::Login {
    let protocol = match origin.protocol {
        Protocol::Pop => p::LoginProtocol::LoginPop,
        Protocol::Imap => p::LoginProtocol::LoginImap,
        Protocol::Smtp => p::LoginProtocol::LoginSmtp,
        Protocol::Web => p::LoginProtocol::LoginWeb,
    };
    p::Login {
        name,
        password: None,
        protocol: protocol.into(),
        tls: origin.transport == Transport::Tls,
        peer: origin.peer.to_string(),
        local: origin.local.to_string(),
    }
}

impl From<r::Login> for p::Login {
    fn from(login: r::Login) -> Self {
        let password = match &login.proof {
            Proof::Password(secret) => Some(secret.expose().to_vec().into()),
            Proof::Scram => None,
        };
        Self { password, ..asked(login.name, &login.origin) }
    }
}

/// Whence a login comes; which protocol must be known.
pub(crate) fn origin(login: &p::Login) -> Result<r::Origin, Bad> {
    let protocol = match login.protocol() {
        p::LoginProtocol::LoginNone => return Err(Bad("protocol")),
        p::LoginProtocol::LoginPop => Protocol::Pop,
        p::LoginProtocol::LoginImap => Protocol::Imap,
        p::LoginProtocol::LoginSmtp => Protocol::Smtp,
        p::LoginProtocol::LoginWeb => Protocol::Web,
    };
    Ok(r::Origin {
        protocol,
        transport: if login.tls { Transport::Tls } else { Transport::Plain },
        peer: login.peer.parse().map_err(|_| Bad("peer"))?,
        local: login.local.parse().map_err(|_| Bad("local"))?,
    })
}

impl TryFrom<p::Login> for r::Login {
    type Error = Bad;

    fn try_from(login: p::Login) -> Result<Self, Bad> {
        let origin = origin(&login)?;
        let proof = login.password.map_or(Proof::Scram, |p| Proof::Password(Secret::new(p.to_vec())));
        Ok(Self { name: name(login.name)?, proof, origin })
    }
}

/// A name that is not too long.
pub(crate) fn name(name: String) -> Result<String, Bad> {
    if name.len() > MAX_NAME { Err(Bad("name")) } else { Ok(name) }
}

impl From<r::Account> for p::Account {
    fn from(account: r::Account) -> Self {
        Self {
            id: account.id.0,
            login: account.login,
            mailbox: account.mailbox.0,
            home: account.home.as_str().to_owned(),
            quota: Some((&account.quota).into()),
            max_message: account.max_message,
        }
    }
}

impl TryFrom<p::Account> for r::Account {
    type Error = Bad;

    fn try_from(account: p::Account) -> Result<Self, Bad> {
        Ok(Self {
            id: AccountId(account.id),
            login: account.login,
            mailbox: MailboxId(account.mailbox),
            home: HostName::new(&account.home),
            quota: account.quota.unwrap_or_default().try_into()?,
            max_message: account.max_message,
        })
    }
}

impl From<r::ScramKeys> for p::ScramKeySet {
    fn from(keys: r::ScramKeys) -> Self {
        Self {
            salt: keys.salt.into(),
            iterations: keys.iterations,
            stored_key: keys.stored_key.into(),
            server_key: keys.server_key.expose().to_vec().into(),
        }
    }
}

impl From<p::ScramKeySet> for r::ScramKeys {
    fn from(keys: p::ScramKeySet) -> Self {
        Self {
            salt: keys.salt.to_vec(),
            iterations: keys.iterations,
            stored_key: keys.stored_key.to_vec(),
            server_key: Secret::new(keys.server_key.to_vec()),
        }
    }
}

impl From<r::Local> for p::Local {
    fn from(local: r::Local) -> Self {
        Self {
            account: local.account.map(Into::into),
            detail: local.detail,
            defer_over_quota: local.over_quota == OverQuota::Defer,
            forwards: local.forwards.iter().map(ToString::to_string).collect(),
        }
    }
}

impl TryFrom<p::Local> for r::Local {
    type Error = Bad;

    fn try_from(local: p::Local) -> Result<Self, Bad> {
        Ok(Self {
            account: local.account.map(TryInto::try_into).transpose()?,
            detail: local.detail,
            over_quota: if local.defer_over_quota { OverQuota::Defer } else { OverQuota::Refuse },
            forwards: addresses(local.forwards)?,
        })
    }
}

fn addresses(list: Vec<String>) -> Result<Vec<mail::address::Address>, Bad> {
    struct Read(mail::address::Address);
    impl TryFrom<String> for Read {
        type Error = Bad;
        fn try_from(text: String) -> Result<Self, Bad> {
            common::address(&text).map(Self)
        }
    }
    Ok(at_most::<String, Read>(list, MAX_FORWARDS, "forwards")?.into_iter().map(|r| r.0).collect())
}

impl From<r::Route> for p::Route {
    fn from(route: r::Route) -> Self {
        let what = match route {
            r::Route::Local(local) => What::Local((*local).into()),
            r::Route::Remote => What::Remote(p::Empty {}),
            r::Route::Relay(None) => What::Relay(p::RelayTo::default()),
            r::Route::Relay(Some((host, port))) => What::Relay(p::RelayTo { host, port: u32::from(port) }),
            r::Route::Unknown => What::Unknown(p::Empty {}),
            r::Route::Deferred => What::Deferred(p::Empty {}),
            r::Route::Disabled => What::Disabled(p::Empty {}),
        };
        Self { what: Some(what) }
    }
}

impl TryFrom<p::Route> for r::Route {
    type Error = Bad;

    fn try_from(route: p::Route) -> Result<Self, Bad> {
        Ok(match need(route.what, "route")? {
            What::Local(local) => Self::Local(Box::new(local.try_into()?)),
            What::Remote(_) => Self::Remote,
            What::Relay(to) if to.host.is_empty() => Self::Relay(None),
            What::Relay(to) => Self::Relay(Some((to.host, u16::try_from(to.port).map_err(|_| Bad("port"))?))),
            What::Unknown(_) => Self::Unknown,
            What::Deferred(_) => Self::Deferred,
            What::Disabled(_) => Self::Disabled,
        })
    }
}
