//! Whole accounts, as they are loaded and listed.

use super::super::proto as p;
use super::super::{Bad, common, each, need};
use super::{forwarding, status, user};
use mail::id::{AccountId, HostName, MailboxId};
use mail::secret::Secret;
use roles::directory::provision as r;
use roles::store::Run;

impl From<r::Proofs> for p::NewPassword {
    fn from(proofs: r::Proofs) -> Self {
        let scram = proofs.scram.map(|keys| keys.expose().to_vec().into());
        Self { scram, ..proofs.password.into() }
    }
}

impl TryFrom<p::NewPassword> for r::Proofs {
    type Error = Bad;

    fn try_from(password: p::NewPassword) -> Result<Self, Bad> {
        let scram = password.scram.as_ref().map(|keys| Secret::new(keys.to_vec()));
        Ok(Self { password: password.try_into()?, scram })
    }
}

impl From<r::WholeAccount> for p::WholeAccount {
    fn from(whole: r::WholeAccount) -> Self {
        let value = |(name, value)| p::OwnValue { name, value };
        Self {
            user: Some(whole.user.into()),
            mailbox: whole.mailbox.map(|mailbox| mailbox.0),
            home: whole.home.map(|home| home.as_str().to_owned()),
            password: whole.proofs.map(Into::into),
            status: whole.status.to_string(),
            cos: whole.cos,
            addresses: whole.addresses.iter().map(ToString::to_string).collect(),
            login_aliases: whole.login_aliases.into_iter().map(Into::into).collect(),
            forwarding: whole.forwarding == r::Forwarding::On,
            forwards: whole.forwards.iter().map(ToString::to_string).collect(),
            values: whole.values.into_iter().map(value).collect(),
        }
    }
}

impl TryFrom<p::WholeAccount> for r::WholeAccount {
    type Error = Bad;

    fn try_from(whole: p::WholeAccount) -> Result<Self, Bad> {
        let addresses =
            |texts: &[String]| texts.iter().map(|text| common::address(text)).collect::<Result<_, _>>();
        Ok(Self {
            user: user(whole.user)?,
            mailbox: whole.mailbox.map(MailboxId),
            home: whole.home.as_deref().map(HostName::new),
            proofs: whole.password.map(TryInto::try_into).transpose()?,
            status: status(&whole.status)?,
            cos: whole.cos,
            addresses: addresses(&whole.addresses)?,
            login_aliases: each(whole.login_aliases)?,
            forwarding: forwarding(whole.forwarding),
            forwards: addresses(&whole.forwards)?,
            values: whole.values.into_iter().map(|of| (of.name, of.value)).collect(),
        })
    }
}

pub(super) fn load(m: p::LoadAccount) -> Result<r::Request, Bad> {
    let existing = if m.update { r::Existing::Update } else { r::Existing::Refuse };
    let run = if m.trial { Run::Dry } else { Run::Real };
    Ok(r::Request::LoadAccount(Box::new(need(m.account, "account")?.try_into()?), existing, run))
}

/// A page of a list.
pub(super) fn page(all: Vec<(AccountId, r::WholeAccount)>) -> p::WholeAccounts {
    let one = |(id, whole): (AccountId, r::WholeAccount)| p::ListedAccount {
        id: id.0,
        account: Some(whole.into()),
    };
    p::WholeAccounts { accounts: all.into_iter().map(one).collect() }
}

pub(super) fn page_of(page: p::WholeAccounts) -> Result<Vec<(AccountId, r::WholeAccount)>, Bad> {
    let one = |m: p::ListedAccount| Ok((AccountId(m.id), need(m.account, "account")?.try_into()?));
    page.accounts.into_iter().map(one).collect()
}
