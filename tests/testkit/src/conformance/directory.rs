//! The promises of [`Directory`].

use super::call;
use mail::address::Address;
use mail::id::AccountId;
use mail::secret::Secret;
use roles::directory::{
    Account, Directory, DirectoryError, Login, Origin, Proof, Protocol, Route, Transport,
};

/// Runs every check on a directory that has the account of this address, which is its login name, with this password.
pub async fn all(directory: &dyn Directory, address: &str, password: &str) {
    let account = an_account_is_found_by_its_address(directory, address).await;
    a_login_needs_its_password(directory, &account, address, password).await;
    mail_for_it_goes_to_its_mailbox(directory, &account, address).await;
    other_names_are_unknown_and_other_domains_remote(directory, address).await;
    it_sends_as_itself_only(directory, &account, address).await;
}

fn parse(text: &str) -> Address {
    Address::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

async fn an_account_is_found_by_its_address(directory: &dyn Directory, address: &str) -> Account {
    let found = directory.account_find(&call(1), address.to_owned()).await.expect("the account is there");
    let capitals = directory.account_find(&call(2), address.to_uppercase()).await;
    assert_eq!(capitals.as_ref(), Ok(&found), "names are compared without case");
    let missing = directory.account_find(&call(3), format!("x-{address}")).await;
    assert!(matches!(missing, Err(DirectoryError::Missing(_))), "{missing:?}");
    found
}

async fn a_login_needs_its_password(
    directory: &dyn Directory,
    account: &Account,
    name: &str,
    password: &str,
) {
    let origin = Origin {
        protocol: Protocol::Imap,
        transport: Transport::Tls,
        peer: [192, 0, 2, 7].into(),
        local: std::net::Ipv6Addr::LOCALHOST.into(),
    };
    let login = |name: &str, proof| Login { name: name.to_owned(), proof, origin };
    let by = |password: &str| Proof::Password(Secret::new(password));
    let good = directory.authenticate(&call(4), login(name, by(password))).await;
    assert_eq!(good.as_ref(), Ok(account));
    let verified = directory.authenticate(&call(5), login(name, Proof::Scram)).await;
    assert_eq!(verified.as_ref(), Ok(account));
    for (name, proof) in
        [(name, by("not it")), (name, by("")), ("nobody-of-this-name@nowhere.example", by(password))]
    {
        let refused = directory.authenticate(&call(6), login(name, proof)).await;
        assert_eq!(refused.err(), Some(DirectoryError::BadCredentials), "{name}");
    }
}

async fn mail_for_it_goes_to_its_mailbox(directory: &dyn Directory, account: &Account, address: &str) {
    let route = directory.address_route(&call(7), parse(address)).await;
    let Ok(Route::Local(local)) = route else { panic!("{route:?}") };
    let there = local.account.expect("it has a mailbox");
    assert_eq!((there.id, there.mailbox, &there.home), (account.id, account.mailbox, &account.home));
    assert!(local.forwards.is_empty() && local.detail.is_none());
}

async fn other_names_are_unknown_and_other_domains_remote(directory: &dyn Directory, address: &str) {
    let unknown = directory.address_route(&call(8), parse(&format!("x-{address}"))).await;
    assert_eq!(unknown, Ok(Route::Unknown));
    let remote = directory.address_route(&call(9), parse("a@not-of-this-site.example")).await;
    assert_eq!(remote, Ok(Route::Remote));
}

async fn it_sends_as_itself_only(directory: &dyn Directory, account: &Account, address: &str) {
    let own = directory.sender_allowed(&call(10), account.id, parse(address)).await;
    assert_eq!(own, Ok(true));
    let foreign = directory.sender_allowed(&call(11), account.id, parse("a@not-of-this-site.example")).await;
    assert_eq!(foreign, Ok(false));
    let other = directory.sender_allowed(&call(12), AccountId(account.id.0 + 1000), parse(address)).await;
    assert_eq!(other, Ok(false));
}
