//! The role Ownership.

use super::{Remote, garbled};
use crate::convert::ownership::{order_request, stores};
use crate::convert::proto as p;
use crate::pool::Asks;
use crate::pool::Safe::{Once, Repeat};
use mail::id::HostName;
use roles::directory::DirectoryError;
use roles::ownership::{Claim, Order, Owned, Ownership};
use roles::{Answer, Call};

impl<A: Asks> Ownership for Remote<A> {
    fn store_list<'a>(&'a self, call: &'a Call) -> Answer<'a, Vec<Owned>, DirectoryError> {
        Box::pin(async move {
            let path = "/intermail.v1.Ownership/StoreList";
            let list: p::OwnedStores = self.peer.ask(call, Repeat, path, p::Empty {}).await?;
            stores(list).map_err(garbled)
        })
    }

    /// May be asked again: the same process gets the same epoch, or a greater one.
    fn store_claim<'a>(&'a self, call: &'a Call, claim: Claim) -> Answer<'a, Owned, DirectoryError> {
        Box::pin(async move {
            let path = "/intermail.v1.Ownership/StoreClaim";
            let message = p::StoreClaimRequest::from(claim);
            let owned: p::OwnedStore = self.peer.ask(call, Repeat, path, message).await?;
            owned.try_into().map_err(garbled)
        })
    }

    /// May be asked again: what is let go of is not held.
    fn store_release<'a>(&'a self, call: &'a Call, claim: Claim) -> Answer<'a, Owned, DirectoryError> {
        Box::pin(async move {
            let path = "/intermail.v1.Ownership/StoreRelease";
            let message = p::StoreClaimRequest::from(claim);
            let owned: p::OwnedStore = self.peer.ask(call, Repeat, path, message).await?;
            owned.try_into().map_err(garbled)
        })
    }

    fn store_order<'a>(
        &'a self,
        call: &'a Call,
        store: HostName,
        order: Order,
    ) -> Answer<'a, Owned, DirectoryError> {
        Box::pin(async move {
            let path = "/intermail.v1.Ownership/StoreOrder";
            let message = order_request(&store, order);
            let owned: p::OwnedStore = self.peer.ask(call, Once, path, message).await?;
            owned.try_into().map_err(garbled)
        })
    }
}
