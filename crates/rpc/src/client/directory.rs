//! The role Directory.

use super::{Remote, garbled};
use crate::convert::directory::asked;
use crate::convert::proto as p;
use crate::pool::Asks;
use crate::pool::Safe::Repeat;
use mail::address::Address;
use mail::id::AccountId;
use roles::directory::{Account, Directory, DirectoryError, Login, Origin, Route, ScramKeys};
use roles::{Answer, Call};

impl<A: Asks> Directory for Remote<A> {
    fn authenticate<'a>(&'a self, call: &'a Call, login: Login) -> Answer<'a, Account, DirectoryError> {
        Box::pin(async move {
            let path = "/intermail.v1.Directory/Authenticate";
            let account: p::Account = self.peer.ask(call, Repeat, path, p::Login::from(login)).await?;
            account.try_into().map_err(garbled)
        })
    }

    fn scram_keys<'a>(
        &'a self,
        call: &'a Call,
        name: String,
        origin: Origin,
    ) -> Answer<'a, ScramKeys, DirectoryError> {
        Box::pin(async move {
            let path = "/intermail.v1.Directory/ScramKeys";
            let keys: p::ScramKeySet = self.peer.ask(call, Repeat, path, asked(name, &origin)).await?;
            Ok(keys.into())
        })
    }

    fn address_route<'a>(&'a self, call: &'a Call, address: Address) -> Answer<'a, Route, DirectoryError> {
        Box::pin(async move {
            let (path, address) = ("/intermail.v1.Directory/AddressRoute", address.to_string());
            let route: p::Route = self.peer.ask(call, Repeat, path, p::Address { address }).await?;
            route.try_into().map_err(garbled)
        })
    }

    fn account_find<'a>(&'a self, call: &'a Call, name: String) -> Answer<'a, Account, DirectoryError> {
        Box::pin(async move {
            let path = "/intermail.v1.Directory/AccountFind";
            let account: p::Account = self.peer.ask(call, Repeat, path, p::Name { name }).await?;
            account.try_into().map_err(garbled)
        })
    }

    fn sender_allowed<'a>(
        &'a self,
        call: &'a Call,
        account: AccountId,
        sender: Address,
    ) -> Answer<'a, bool, DirectoryError> {
        Box::pin(async move {
            let path = "/intermail.v1.Directory/SenderAllowed";
            let message = p::SenderAllowedRequest { account: account.0, sender: sender.to_string() };
            let allowed: p::Allowed = self.peer.ask(call, Repeat, path, message).await?;
            Ok(allowed.allowed)
        })
    }
}
