//! Which host has which store.

use super::proto as p;
use super::{Bad, at_most, need};
use mail::id::HostName;
use mail::time::Timestamp;
use p::store_order_request::Order as What;
use roles::ownership as r;

/// Longest name of a host or a store, in bytes.
const MAX_NAME: usize = 255;

fn name(text: &str) -> Result<HostName, Bad> {
    if text.is_empty() || text.len() > MAX_NAME { Err(Bad("host")) } else { Ok(HostName::new(text)) }
}

fn short(text: String, most: usize, field: &'static str) -> Result<String, Bad> {
    if text.len() > most { Err(Bad(field)) } else { Ok(text) }
}

impl From<r::Successor> for p::StoreSuccessor {
    fn from(to: r::Successor) -> Self {
        Self { host: to.host.as_str().to_owned(), folder: to.folder }
    }
}

impl TryFrom<p::StoreSuccessor> for r::Successor {
    type Error = Bad;

    fn try_from(to: p::StoreSuccessor) -> Result<Self, Bad> {
        Ok(Self { host: name(&to.host)?, folder: short(to.folder, r::MAX_FOLDER, "folder")? })
    }
}

impl From<r::Owned> for p::OwnedStore {
    fn from(owned: r::Owned) -> Self {
        Self {
            store: owned.store.as_str().to_owned(),
            owner: owned.owner.as_str().to_owned(),
            incarnation: owned.incarnation,
            epoch: owned.epoch,
            expires: owned.expires.as_micros(),
            folder: owned.folder,
            successor: owned.successor.map(Into::into),
        }
    }
}

impl TryFrom<p::OwnedStore> for r::Owned {
    type Error = Bad;

    fn try_from(owned: p::OwnedStore) -> Result<Self, Bad> {
        Ok(Self {
            store: name(&owned.store)?,
            owner: name(&owned.owner)?,
            incarnation: short(owned.incarnation, r::MAX_INCARNATION, "incarnation")?,
            epoch: owned.epoch,
            expires: Timestamp::from_micros(owned.expires),
            folder: short(owned.folder, r::MAX_FOLDER, "folder")?,
            successor: owned.successor.map(TryInto::try_into).transpose()?,
        })
    }
}

/// The stores of an answer.
pub(crate) fn stores(list: p::OwnedStores) -> Result<Vec<r::Owned>, Bad> {
    at_most(list.stores, r::MAX_STORES, "stores")
}

impl From<r::Claim> for p::StoreClaimRequest {
    fn from(claim: r::Claim) -> Self {
        Self {
            store: claim.store.as_str().to_owned(),
            host: claim.host.as_str().to_owned(),
            incarnation: claim.incarnation,
            epoch: claim.epoch,
            missing: claim.files == r::Files::Missing,
        }
    }
}

impl TryFrom<p::StoreClaimRequest> for r::Claim {
    type Error = Bad;

    fn try_from(claim: p::StoreClaimRequest) -> Result<Self, Bad> {
        Ok(Self {
            store: name(&claim.store)?,
            host: name(&claim.host)?,
            incarnation: short(claim.incarnation, r::MAX_INCARNATION, "incarnation")?,
            epoch: claim.epoch,
            files: if claim.missing { r::Files::Missing } else { r::Files::There },
        })
    }
}

fn proof(vouched: bool) -> r::Proof {
    if vouched { r::Proof::Word } else { r::Proof::Silent }
}

/// An order about a store.
pub(crate) fn order_request(store: &HostName, order: r::Order) -> p::StoreOrderRequest {
    let order = match order {
        r::Order::HandOver(to) => What::HandOver(to.into()),
        r::Order::Stay => What::Stay(p::Empty {}),
        r::Order::TakeOver(by, proof) => {
            What::TakeOver(p::StoreTaking { by: Some(by.into()), vouched: proof == r::Proof::Word })
        }
        r::Order::Forget(proof) => What::Forget(p::StoreForgetting { vouched: proof == r::Proof::Word }),
    };
    p::StoreOrderRequest { store: store.as_str().to_owned(), order: Some(order) }
}

/// Which store an order is about, and the order.
pub(crate) fn order(request: p::StoreOrderRequest) -> Result<(HostName, r::Order), Bad> {
    let order = match need(request.order, "order")? {
        What::HandOver(to) => r::Order::HandOver(to.try_into()?),
        What::Stay(_) => r::Order::Stay,
        What::TakeOver(m) => r::Order::TakeOver(need(m.by, "by")?.try_into()?, proof(m.vouched)),
        What::Forget(m) => r::Order::Forget(proof(m.vouched)),
    };
    Ok((name(&request.store)?, order))
}

#[cfg(test)]
mod tests {
    use super::*;
    use r::{Claim, Files, Order, Owned, Proof, Successor};

    #[test]
    fn what_is_said_of_a_store_comes_as_it_went() {
        let to = Successor { host: HostName::new("minerva"), folder: "/srv/mars".into() };
        let owned = Owned {
            store: HostName::new("mars"),
            owner: HostName::new("venus"),
            incarnation: "7f".into(),
            epoch: 9,
            expires: Timestamp::from_micros(1_000_001),
            folder: String::new(),
            successor: Some(to.clone()),
        };
        assert_eq!(Owned::try_from(p::OwnedStore::from(owned.clone())), Ok(owned.clone()));
        let endless = Owned { folder: "x".repeat(r::MAX_FOLDER + 1), ..owned };
        assert!(Owned::try_from(p::OwnedStore::from(endless)).is_err());
        let claim = Claim {
            store: HostName::new("mars"),
            host: HostName::new("mars"),
            incarnation: "7f".into(),
            epoch: 3,
            files: Files::Missing,
        };
        assert_eq!(Claim::try_from(p::StoreClaimRequest::from(claim.clone())), Ok(claim));
        let orders = [
            Order::HandOver(to.clone()),
            Order::Stay,
            Order::TakeOver(to.clone(), Proof::Word),
            Order::TakeOver(to, Proof::Silent),
            Order::Forget(Proof::Word),
        ];
        for sent in orders {
            let mars = HostName::new("mars");
            assert_eq!(order(order_request(&mars, sent.clone())), Ok((mars, sent)));
        }
        assert!(order(p::StoreOrderRequest::default()).is_err());
    }
}
