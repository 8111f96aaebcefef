//! Provisioning: what administrators ask for, one request one transaction.
//!
//! Passwords are hashed first, several at a time on the bounded pool; then the requests line up for the tables in their
//! order, so that those of one call share syncs. A request whose id is in the log of changes was done before: it is
//! answered as if it had been done now, and has no second effect.

mod accounts;
mod addresses;
mod check;
mod classes;
mod domains;
mod together;
mod whole;

use crate::fault::Fault;
use crate::server::{DirectoryServer, MissingDomains, Shared};
use catalog::events::acct::AcctProvisioned;
use catalog::keys::imdircacheserv::CACHE_DISABLE_WRITE_THRUS;
use mail::id::HostName;
use mail::secret::Secret;
use roles::directory::DirectoryError;
use roles::directory::provision::{
    AccountChange, AccountLine, Holder, MAX_REQUESTS, NewPassword, Provisioning, Reply, Request, User,
};
use roles::store::Run;
use roles::{Answer, Call};
use std::time::Duration;
use storage::directory::{AccountRow, Edit, NameKey, Rows};
use storage::sql::SqlError;
use together::{Pending, together};

type Outcome = Result<Reply, Fault>;

/// How many passwords of one call are hashed at a time: the pool is there for logins too.
const HASHING: usize = 4;
/// How long to wait where the pool's line is full.
const RETRY: Duration = Duration::from_millis(20);

/// A password as it goes into the tables: its stored form and SCRAM keys, which are empty where they are not known.
#[derive(Debug, Clone, Default)]
struct Stored {
    password: String,
    scram: String,
}

/// What requests need beside themselves.
#[derive(Debug, Clone)]
struct Site {
    /// Where a new mailbox comes to.
    home: HostName,
    missing_domains: MissingDomains,
}

impl Provisioning for DirectoryServer {
    fn provision<'a>(
        &'a self,
        call: &'a Call,
        requests: Vec<Request>,
    ) -> Answer<'a, Vec<Result<Reply, DirectoryError>>, DirectoryError> {
        Box::pin(async move { self.shared.provision(call, requests).await.map_err(|f| f.0) })
    }
}

impl Shared {
    async fn provision(
        &self,
        call: &Call,
        requests: Vec<Request>,
    ) -> Result<Vec<Result<Reply, DirectoryError>>, Fault> {
        if requests.len() > MAX_REQUESTS {
            return Err(
                DirectoryError::Invalid(format!("more than {MAX_REQUESTS} requests in one call")).into()
            );
        }
        let only_reads = requests.iter().all(is_read);
        if !only_reads && self.env.settings.get(CACHE_DISABLE_WRITE_THRUS) {
            let text = "changes through this server are switched off (cacheDisableWriteThrus)";
            return Err(DirectoryError::Invalid(text.into()).into());
        }
        let changes = |r: &Request| !is_read(r) && !is_trial(r);
        let changing: Vec<_> = requests.iter().map(|r| changes(r).then(|| entry_of(r))).collect();
        let passwords = self.store_forms(call, &requests).await;
        let (homes, missing_domains) = (self.homes.get(), self.keys.get().missing_domains);
        let jobs = requests.into_iter().zip(passwords).enumerate().map(|(at, (request, stored))| {
            let chosen = usize::try_from(self.env.random.below(homes.len() as u64)).unwrap_or(0);
            let site = Site { home: homes[chosen].clone(), missing_domains };
            let id = format!("{:032x}.{at}", call.request.0);
            let job: Pending<'_, Outcome> = Box::pin(async move {
                let stored = stored?;
                match only_reads {
                    true => self.read(move |rows| look(rows, &request)).await,
                    false => {
                        let (done, is_trial) = (id.clone(), is_trial(&request));
                        let change = move |e: &Edit<'_>| match change(e, &site, request, stored, &done) {
                            Ok(reply) if is_trial => Err(Undone::Trial(reply)),
                            outcome => outcome.map_err(Undone::Failed),
                        };
                        match self.tables()?.write(self.env.clock.now(), id, change).await {
                            Ok(reply) | Err(Undone::Trial(reply)) => Ok(reply),
                            Err(Undone::Failed(fault)) => Err(fault),
                        }
                    }
                }
            });
            job
        });
        let outcomes = together(jobs.collect()).await;
        if !only_reads && outcomes.iter().any(Result::is_ok) {
            self.nudge.changed();
            self.catch_up().await?;
        }
        let answers = outcomes.into_iter().zip(changing).map(|(outcome, changed)| {
            if let (Ok(_), Some((request, entry))) = (&outcome, &changed) {
                self.env.log.emit(&AcctProvisioned { request, entry, trace: &call.trace });
            }
            self.noted(outcome).map_err(|f| f.0)
        });
        Ok(answers.collect())
    }

    /// The stored forms of all passwords in the requests, in order.
    async fn store_forms(&self, call: &Call, requests: &[Request]) -> Vec<Result<Stored, Fault>> {
        let lanes = (0..HASHING).map(|lane| {
            let lane: Pending<'_, Vec<Result<Stored, Fault>>> = Box::pin(async move {
                let mut made = Vec::new();
                for request in requests.iter().skip(lane).step_by(HASHING) {
                    made.push(self.store_form(call, password_of(request)).await);
                }
                made
            });
            lane
        });
        let mut lanes: Vec<_> = together(lanes.collect()).await.into_iter().map(Vec::into_iter).collect();
        let in_order = (0..requests.len()).filter_map(|at| lanes[at % HASHING].next());
        in_order.collect()
    }

    async fn store_form(
        &self,
        call: &Call,
        password: Option<(&NewPassword, Option<&Secret>)>,
    ) -> Result<Stored, Fault> {
        let clear = match password {
            None => return Ok(Stored::default()),
            Some((NewPassword::Hashed(stored), scram)) => {
                let scram = scram.map(|keys| String::from_utf8_lossy(keys.expose()).into_owned());
                return Ok(Stored { password: stored.expose().to_owned(), scram: scram.unwrap_or_default() });
            }
            Some((NewPassword::Clear(clear), _)) => clear,
        };
        let begun = self.env.clock.moment();
        loop {
            match self.make_password(clear).await {
                // An administrator waits where somebody who logs in is told to come back.
                Err(Fault(DirectoryError::Busy)) if begun.elapsed() < call.deadline => {
                    self.env.clock.sleep(RETRY).await;
                }
                made => return made.map(|(password, scram)| Stored { password, scram }),
            }
        }
    }
}

/// A change that does not stand.
enum Undone {
    /// It was only tried.
    Trial(Reply),
    Failed(Fault),
}

impl From<SqlError> for Undone {
    fn from(error: SqlError) -> Self {
        Self::Failed(error.into())
    }
}

/// Whether only the answer is asked for.
fn is_trial(request: &Request) -> bool {
    matches!(request, Request::LoadAccount(_, _, Run::Dry))
}

/// The password that a request brings, and the keys that come with it. Nothing is hashed for a trial.
fn password_of(request: &Request) -> Option<(&NewPassword, Option<&Secret>)> {
    match request {
        Request::CreateAccount(new) => Some((&new.password, None)),
        Request::ChangeAccount(_, AccountChange::Password(password)) => Some((password, None)),
        Request::LoadAccount(whole, _, run) => {
            let proofs = whole.proofs.as_ref()?;
            let hashes = matches!(proofs.password, NewPassword::Clear(_));
            (!hashes || *run == Run::Real).then_some((&proofs.password, proofs.scram.as_ref()))
        }
        _ => None,
    }
}

/// Whether a request changes nothing.
fn is_read(request: &Request) -> bool {
    matches!(
        request,
        Request::ShowAccount(_)
            | Request::ListAccounts(..)
            | Request::ListDomains(_)
            | Request::ListCos(_)
            | Request::ShowCos(_)
            | Request::ListAttributes
            | Request::FirstModified(_)
            | Request::ListWhole(..)
    )
}

/// What the log says of a changing request: its name and what it is about.
fn entry_of(request: &Request) -> (&'static str, String) {
    let user = |u: &User| format!("{}@{}", u.name.trim(), u.domain);
    match request {
        Request::CreateAccount(new) => ("CreateAccount", user(&new.user)),
        Request::DeleteAccount(u) => ("DeleteAccount", user(u)),
        Request::ChangeAccount(u, change) => (accounts::change_name(change), user(u)),
        Request::CreateAlias(u, a) => ("CreateAlias", format!("{} {a}", user(u))),
        Request::DeleteAlias(u, a) => ("DeleteAlias", format!("{} {a}", user(u))),
        Request::CreateLoginAlias(u, alias) => ("CreateLoginAlias", format!("{} {}", user(u), user(alias))),
        Request::DeleteLoginAlias(u, alias) => ("DeleteLoginAlias", format!("{} {}", user(u), user(alias))),
        Request::CreateForward(u, _, a) => ("CreateForward", format!("{} {a}", user(u))),
        Request::DeleteForward(u, _, a) => ("DeleteForward", format!("{} {a}", user(u))),
        Request::CreateDomain(d, ..) => ("CreateDomain", d.to_string()),
        Request::ChangeDomain(d, ..) => ("ChangeDomain", d.to_string()),
        Request::DeleteDomain(d) => ("DeleteDomain", d.to_string()),
        Request::CreateCos(name) => ("CreateCos", name.clone()),
        Request::DeleteCos(name) => ("DeleteCos", name.clone()),
        Request::CreateAttribute(name, ..) => ("CreateCosAttribute", name.clone()),
        Request::DeleteAttribute(name, _) => ("DeleteCosAttribute", name.clone()),
        Request::SetAttribute(Holder::Cos(cos), name, _) => ("SetCosAttribute", format!("{cos} {name}")),
        Request::SetAttribute(Holder::Account(u), name, _) => {
            ("SetAccountCos", format!("{} {name}", user(u)))
        }
        Request::LoadAccount(whole, ..) => ("LoadAccount", user(&whole.user)),
        Request::ShowAccount(_)
        | Request::ListAccounts(..)
        | Request::ListDomains(_)
        | Request::ListCos(_)
        | Request::ShowCos(_)
        | Request::ListAttributes
        | Request::FirstModified(_)
        | Request::ListWhole(..) => ("", String::new()),
    }
}

/// Answers a request that changes nothing.
fn look(rows: &Rows<'_>, request: &Request) -> Outcome {
    match request {
        Request::ShowAccount(user) => accounts::show(rows, user),
        Request::ListAccounts(domain, after) => accounts::list(rows, domain, after),
        Request::ListDomains(after) => domains::list(rows, after),
        Request::ListCos(after) => classes::list(rows, after),
        Request::ShowCos(name) => classes::show(rows, name),
        Request::ListAttributes => classes::attributes(rows),
        Request::FirstModified(after) => first_modified(rows, *after),
        Request::ListWhole(after, hashes) => whole::list(rows, *after, *hashes),
        _ => Err(DirectoryError::Broken("a change was taken for a question".into()).into()),
    }
}

/// Carries out a request, unless that was done before.
fn change(e: &Edit<'_>, site: &Site, request: Request, stored: Stored, id: &str) -> Outcome {
    if is_read(&request) {
        return look(e, &request);
    }
    // A creation asks that itself, with all else that it asks; loading again is no change.
    if !matches!(request, Request::CreateAccount(_) | Request::LoadAccount(..)) && e.is_done(id)? {
        return Ok(Reply::Done);
    }
    match request {
        Request::CreateAccount(new) => accounts::create(e, site, &new, stored, id),
        Request::DeleteAccount(user) => accounts::delete(e, &user),
        Request::ChangeAccount(user, change) => accounts::change(e, &user, &change, stored),
        Request::CreateAlias(user, address) => addresses::create_alias(e, &user, &address),
        Request::DeleteAlias(user, address) => addresses::delete_alias(e, &user, &address),
        Request::CreateLoginAlias(user, alias) => addresses::create_login_alias(e, &user, &alias),
        Request::DeleteLoginAlias(user, alias) => addresses::delete_login_alias(e, &user, &alias),
        Request::CreateForward(user, place, to) => addresses::create_forward(e, &user, place, &to),
        Request::DeleteForward(user, place, to) => addresses::delete_forward(e, &user, place, &to),
        Request::CreateDomain(name, kind, target) => domains::create(e, &name, kind, target),
        Request::ChangeDomain(name, kind, target) => domains::change(e, &name, kind, target),
        Request::DeleteDomain(name) => domains::delete(e, &name),
        Request::CreateCos(name) => classes::create(e, &name),
        Request::DeleteCos(name) => classes::delete(e, &name),
        Request::CreateAttribute(name, rule, kind, default) => {
            classes::create_attribute(e, &name, rule, kind, default)
        }
        Request::DeleteAttribute(name, confirmed) => classes::delete_attribute(e, &name, confirmed),
        Request::SetAttribute(Holder::Cos(cos), name, value) => classes::set(e, &cos, &name, value),
        Request::SetAttribute(Holder::Account(user), name, value) => classes::set_own(e, &user, &name, value),
        Request::LoadAccount(whole, existing, _) => whole::load(e, site, &whole, stored, (existing, id)),
        read => look(e, &read),
    }
}

fn first_modified(rows: &Rows<'_>, after: i64) -> Outcome {
    let first = rows.changes_after(after, 1)?.into_iter().next();
    Ok(Reply::Change(first.map(|c| roles::directory::provision::ChangeView {
        id: c.id,
        at: c.at,
        what: c.what.to_string(),
    })))
}

/// The account that a request names.
fn find(rows: &Rows<'_>, user: &User) -> Result<AccountRow, Fault> {
    let key = NameKey::new(user.name.trim(), user.domain.as_str());
    let missing = || {
        let reason = format!("there is no account {key}: see ListAccounts {}", key.domain);
        Fault(DirectoryError::Missing(reason))
    };
    rows.account_of_name(&key)?.ok_or_else(missing)
}

/// The account as it stands in lists.
fn line(rows: &Rows<'_>, row: &AccountRow) -> Result<AccountLine, Fault> {
    let cos = rows.class(&row.class)?.map_or_else(|| row.class.clone(), |c| c.name);
    Ok(AccountLine {
        id: row.id,
        user: User { name: row.name.clone(), domain: check::stored_domain(&row.domain)? },
        mailbox: row.mailbox,
        home: HostName::new(&row.home),
        status: row.status,
        cos,
    })
}

/// A refusal because of what is there already.
fn conflict(reason: String) -> Fault {
    Fault(DirectoryError::Conflict(reason))
}
