//! A directory that knows what a test has told it.

use mail::address::Address;
use mail::id::{AccountId, HostName, MailboxId};
use mail::secret::Secret;
use roles::directory::{
    Account, Directory, DirectoryError, Local, Login, Origin, OverQuota, Proof, Route, ScramKeys,
};
use roles::store::Quota;
use roles::{Answer, Call};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Accounts, routes and domains of a test. Addresses and logins are compared without case; a domain that was
/// never named is remote.
#[derive(Default)]
pub struct ScriptedDirectory(Mutex<Script>);

#[derive(Default)]
struct Script {
    domains: Vec<String>,
    routes: HashMap<String, Route>,
    accounts: HashMap<String, (Account, Secret)>,
    scram: Option<ScramKeys>,
    down: bool,
    next: i64,
}

impl ScriptedDirectory {
    /// One that knows nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// A mailbox at this address, which is also its login name, with this password.
    pub fn account(&self, address: &str, password: &str) -> Account {
        let parsed = Address::parse(address).unwrap_or_else(|e| panic!("{address}: {e}"));
        let mut script = self.lock();
        script.next += 1;
        let account = Account {
            id: AccountId(script.next),
            login: parsed.key(),
            mailbox: MailboxId(1000 + script.next),
            home: HostName::new("home1"),
            quota: Quota::default(),
            max_message: 0,
        };
        let secret = Secret::new(password);
        script.accounts.insert(parsed.key(), (account.clone(), secret));
        drop(script);
        self.local(address, Some(account.clone()), &[]);
        account
    }

    /// Mail for this address goes to a mailbox, to forwards, or both.
    pub fn local(&self, address: &str, account: Option<Account>, forwards: &[&str]) {
        let parse = |text: &&str| Address::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let forwards = forwards.iter().map(parse).collect();
        let local = Local { account, detail: None, over_quota: OverQuota::Refuse, forwards };
        self.route(address, Route::Local(Box::new(local)));
    }

    /// Mail for this address goes so; its domain is ours from now on.
    pub fn route(&self, address: &str, route: Route) {
        let parsed = Address::parse(address).unwrap_or_else(|e| panic!("{address}: {e}"));
        let mut script = self.lock();
        script.domains.push(parsed.domain().as_str().to_owned());
        script.routes.insert(parsed.key(), route);
    }

    /// The keys that every name has for SCRAM.
    pub fn scram(&self, keys: ScramKeys) {
        self.lock().scram = Some(keys);
    }

    /// From now on nobody answers, or somebody does again.
    pub fn set_down(&self, down: Down) {
        self.lock().down = down == Down::Yes;
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn up(&self) -> Result<MutexGuard<'_, Script>, DirectoryError> {
        let script = self.lock();
        if script.down { Err(DirectoryError::Unavailable) } else { Ok(script) }
    }

    fn check(&self, login: &Login) -> Result<Account, DirectoryError> {
        let script = self.up()?;
        let (account, secret) =
            script.accounts.get(&login.name.to_lowercase()).ok_or(DirectoryError::BadCredentials)?;
        match &login.proof {
            Proof::Password(given) if !secret.same_as(given.expose()) => Err(DirectoryError::BadCredentials),
            Proof::Password(_) | Proof::Scram => Ok(account.clone()),
        }
    }
}

/// Whether a double answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Down {
    /// It is out of reach.
    Yes,
    /// It answers.
    No,
}

fn now<'a, T: Send + 'a, E: Send + 'a>(result: Result<T, E>) -> Answer<'a, T, E> {
    Box::pin(std::future::ready(result))
}

impl Directory for ScriptedDirectory {
    fn authenticate<'a>(&'a self, _call: &'a Call, login: Login) -> Answer<'a, Account, DirectoryError> {
        now(self.check(&login))
    }

    fn scram_keys<'a>(
        &'a self,
        _call: &'a Call,
        _name: String,
        _origin: Origin,
    ) -> Answer<'a, ScramKeys, DirectoryError> {
        now(self.up().and_then(|script| script.scram.clone().ok_or(DirectoryError::Unavailable)))
    }

    fn address_route<'a>(&'a self, _call: &'a Call, address: Address) -> Answer<'a, Route, DirectoryError> {
        now(self.up().map(|script| match script.routes.get(&address.key()) {
            Some(route) => route.clone(),
            None if script.domains.iter().any(|d| d == address.domain().as_str()) => Route::Unknown,
            None => Route::Remote,
        }))
    }

    fn account_find<'a>(&'a self, _call: &'a Call, name: String) -> Answer<'a, Account, DirectoryError> {
        let found = self.up().and_then(|script| {
            let account = script.accounts.get(&name.to_lowercase());
            account.map(|(a, _)| a.clone()).ok_or_else(|| DirectoryError::Missing(name.clone()))
        });
        now(found)
    }

    fn sender_allowed<'a>(
        &'a self,
        _call: &'a Call,
        account: AccountId,
        sender: Address,
    ) -> Answer<'a, bool, DirectoryError> {
        now(self
            .up()
            .map(|script| script.accounts.get(&sender.key()).is_some_and(|(owner, _)| owner.id == account)))
    }
}
