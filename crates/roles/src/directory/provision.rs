//! Provisioning: creating, changing and listing accounts, domains and classes of service.
//!
//! One request is one change and one transaction. Requests of one call are carried out in order, each for itself;
//! the answer comes when all that succeeded are on disk.

use super::DirectoryError;
use crate::store::Run;
use crate::{Answer, Call};
use catalog::account::{DomainKind, Status};
use catalog::cos::{Rule, Type};
use mail::address::{Address, Domain};
use mail::id::{AccountId, HostName, MailboxId};
use mail::password::{PasswordType, StoredPassword};
use mail::secret::Secret;
use mail::time::Timestamp;

/// Most requests of one call.
pub const MAX_REQUESTS: usize = 256;
/// Most entries of one page of a list.
pub const PAGE: u32 = 1000;
/// Most accounts of one page of whole ones.
pub const WHOLE_PAGE: u32 = 256;

/// Changes and lists what the directory holds.
pub trait Provisioning: Send + Sync {
    /// Carries out at most [`MAX_REQUESTS`] requests in order and answers each. One that fails changes nothing and
    /// does not stop the rest. The same call again (same RequestId) has no second effect.
    fn provision<'a>(
        &'a self,
        call: &'a Call,
        requests: Vec<Request>,
    ) -> Answer<'a, Vec<Result<Reply, DirectoryError>>, DirectoryError>;
}

/// Names an account by its login name and domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The login name without domain, in any case; blanks around it do not count.
    pub name: String,
    /// Its domain.
    pub domain: Domain,
}

/// A password as it is handed in.
#[derive(Debug, Clone)]
pub enum NewPassword {
    /// In the clear: it is stored hashed.
    Clear(Secret),
    /// Hashed already.
    Hashed(StoredPassword),
}

/// An account to be.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Its login name and domain.
    pub user: User,
    /// The local part of its first SMTP address.
    pub local_part: String,
    /// Its mailbox; `None`: the directory chooses.
    pub mailbox: Option<MailboxId>,
    /// The store host of the mailbox; `None`: the directory chooses.
    pub home: Option<HostName>,
    /// Its password.
    pub password: NewPassword,
    /// Its state.
    pub status: Status,
    /// Its class of service; `None`: `default`.
    pub cos: Option<String>,
}

impl NewAccount {
    /// An active account whose login name is the local part of its address; everything else is chosen.
    pub fn simple(address: &Address, password: NewPassword) -> Self {
        Self {
            user: User { name: address.local().to_owned(), domain: address.domain().clone() },
            local_part: address.local().to_owned(),
            mailbox: None,
            home: None,
            password,
            status: Status::Active,
            cos: None,
        }
    }
}

/// What its owner proves who they are with, as it stands in the directory or is to stand there.
#[derive(Debug, Clone)]
pub struct Proofs {
    /// The password.
    pub password: NewPassword,
    /// SCRAM keys in RFC 5803's form, where a hashed password comes with them.
    pub scram: Option<Secret>,
}

impl PartialEq for Proofs {
    fn eq(&self, other: &Self) -> bool {
        let same = match (&self.password, &other.password) {
            (NewPassword::Clear(a), NewPassword::Clear(b)) => a.same_as(b.expose()),
            (NewPassword::Hashed(a), NewPassword::Hashed(b)) => a.expose() == b.expose(),
            _ => false,
        };
        let keys = |proofs: &Self| proofs.scram.as_ref().map(|keys| keys.expose().to_vec());
        same && keys(self) == keys(other)
    }
}

impl Eq for Proofs {}

/// An account with all that hangs on it, as it is carried from one directory to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeAccount {
    /// Its login name and domain.
    pub user: User,
    /// Its mailbox; `None`: the directory chooses.
    pub mailbox: Option<MailboxId>,
    /// The store host of its mailbox; `None`: the directory chooses.
    pub home: Option<HostName>,
    /// `None`: nobody can log in, or it stays as it is.
    pub proofs: Option<Proofs>,
    /// Its state.
    pub status: Status,
    /// Its class of service.
    pub cos: String,
    /// Its SMTP addresses, the first one first; that one is in the domain of its login name.
    pub addresses: Vec<Address>,
    /// Its login aliases.
    pub login_aliases: Vec<User>,
    /// Whether forwards are followed.
    pub forwarding: Forwarding,
    /// Its forwards.
    pub forwards: Vec<Address>,
    /// Its own values of attributes, by their names.
    pub values: Vec<(String, String)>,
}

/// What [`Request::LoadAccount`] does with an account that is there already and is not as the request says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Refuses: [`DirectoryError::Conflict`].
    Refuse,
    /// Makes it so. Its mailbox stays.
    Update,
}

/// Whether hashes of passwords are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hashes {
    /// They are.
    With,
    /// [`WholeAccount::proofs`] is `None`.
    Without,
}

/// Where a forward leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// To an address of this site.
    Local,
    /// Elsewhere.
    Remote,
}

/// Whether the forwards of an account are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarding {
    /// They are.
    On,
    /// They are kept for later.
    Off,
}

/// What to change on an account.
#[derive(Debug, Clone)]
pub enum AccountChange {
    /// Its state.
    Status(Status),
    /// Its password.
    Password(NewPassword),
    /// Its class of service.
    Cos(String),
    /// The store host of its mailbox. The mail itself does not move.
    Home(HostName),
    /// Whether its forwards are followed.
    Forwarding(Forwarding),
}

/// Whose value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A class of service.
    Cos(String),
    /// One account.
    Account(User),
}

/// Whether the caller knows what a dangerous request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// Said so.
    Given,
    /// Did not say so: the request is refused with an explanation.
    Missing,
}

/// One request.
#[derive(Debug, Clone)]
pub enum Request {
    /// Creates an account. A domain that is not there yet becomes a local one, where `createMissingDomains` allows.
    CreateAccount(Box<NewAccount>),
    /// Removes an account and all its names. Its mailbox stays until the store's maintenance removes it.
    DeleteAccount(User),
    /// Changes an account.
    ChangeAccount(User, AccountChange),
    /// Everything about an account.
    ShowAccount(User),
    /// A page of the accounts of a domain, after this name.
    ListAccounts(Domain, String),
    /// Gives an account one more SMTP address.
    CreateAlias(User, Address),
    /// Takes an SMTP address, but not the first, from an account.
    DeleteAlias(User, Address),
    /// Gives an account one more login name.
    CreateLoginAlias(User, User),
    /// Takes a login alias from an account.
    DeleteLoginAlias(User, User),
    /// Adds a forward. A local one must lead to a domain of this site, a remote one must not.
    CreateForward(User, Place, Address),
    /// Removes a forward; also the last one, and also where local delivery is off.
    DeleteForward(User, Place, Address),
    /// Creates a domain, with a target (`host`, `host:port` or a domain) where the kind has one.
    CreateDomain(Domain, DomainKind, Option<String>),
    /// Changes what the site does for a domain.
    ChangeDomain(Domain, DomainKind, Option<String>),
    /// Removes a domain in which there are no names.
    DeleteDomain(Domain),
    /// A page of the domains, after this name.
    ListDomains(String),
    /// Creates a class of service.
    CreateCos(String),
    /// Removes a class without accounts.
    DeleteCos(String),
    /// A page of the classes, after this name.
    ListCos(String),
    /// The attributes of a class with the values that hold for its accounts.
    ShowCos(String),
    /// Defines an attribute: name, rule, type, default.
    CreateAttribute(String, Rule, Type, Option<String>),
    /// Removes the definition of an attribute that nobody has a value of.
    DeleteAttribute(String, Confirmation),
    /// The attributes of the site, built-in ones first.
    ListAttributes,
    /// Sets (or with `None` clears) a value of an attribute.
    SetAttribute(Holder, String, Option<String>),
    /// The first change after this number.
    FirstModified(i64),
    /// Makes an account with all that hangs on it, or makes one that is there like it; all of it or nothing.
    /// [`Reply::Already`] where it is so.
    LoadAccount(Box<WholeAccount>, Existing, Run),
    /// A page of whole accounts, in the order of their ids, after this one.
    ListWhole(AccountId, Hashes),
}

/// An account in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountLine {
    /// Its id.
    pub id: AccountId,
    /// Its login name and domain.
    pub user: User,
    /// Its mailbox.
    pub mailbox: MailboxId,
    /// The store host of the mailbox.
    pub home: HostName,
    /// Its state.
    pub status: Status,
    /// Its class of service.
    pub cos: String,
}

/// Everything about an account but its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountView {
    /// What stands in a list.
    pub line: AccountLine,
    /// The form in which its password is stored; `None`: damaged.
    pub password: Option<PasswordType>,
    /// Its SMTP addresses, the first one first.
    pub addresses: Vec<Address>,
    /// Its login aliases.
    pub login_aliases: Vec<User>,
    /// Whether forwards are followed.
    pub forwarding: Forwarding,
    /// Its forwards.
    pub forwards: Vec<(Place, Address)>,
    /// Its view of its class.
    pub attributes: Vec<AttributeView>,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The account has it of its own.
    Account,
    /// The class sets it.
    Cos,
    /// The attribute's default.
    Default,
}

/// An attribute with the value that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeView {
    /// Its name.
    pub name: String,
    /// Which value holds.
    pub rule: Rule,
    /// What values look like.
    pub kind: Type,
    /// The value that holds.
    pub value: String,
    /// Where it comes from.
    pub source: Source,
}

/// A domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainView {
    /// Its name.
    pub name: String,
    /// What the site does for it.
    pub kind: DomainKind,
    /// Where its mail goes; empty: none is needed, or by MX.
    pub target: String,
}

/// A class of service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CosView {
    /// Its name.
    pub name: String,
    /// How many accounts are of it (`numusers`).
    pub users: u64,
}

/// An entry of the change log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeView {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// What: `account 17`, `address a@b`.
    pub what: String,
}

/// The answer to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Done.
    Done,
    /// There was nothing to do: it is as asked already. Says what.
    Already(String),
    /// The account exists now; with the domain that had to be created for it.
    Created(AccountLine, Option<Domain>),
    /// Everything about an account.
    Account(Box<AccountView>),
    /// A page of accounts; fewer than [`PAGE`]: the last.
    Accounts(Vec<AccountLine>),
    /// A page of domains, likewise.
    Domains(Vec<DomainView>),
    /// A page of classes, likewise.
    Classes(Vec<CosView>),
    /// A class with its attributes.
    Class(CosView, Vec<AttributeView>),
    /// Attributes with their defaults.
    Attributes(Vec<AttributeView>),
    /// A change; `None`: there is none after that number.
    Change(Option<ChangeView>),
    /// A page of whole accounts; none: that was all.
    Whole(Vec<(AccountId, WholeAccount)>),
}
