//! Everybody who has an account, or those of a domain or a class of service, page by page.
//!
//! The directory lists accounts by domain and in order of their names, so nothing is held but the page that is at work,
//! however many accounts there are. Accounts that come or go meanwhile may or may not be met; none is met twice.

use crate::context::Roles;
use env::random::Random;
use mail::address::Domain;
use mail::id::TraceId;
use roles::Call;
use roles::directory::DirectoryError;
use roles::directory::provision::{AccountLine, AccountView, MAX_REQUESTS, PAGE, Reply, Request, User};
use std::collections::VecDeque;

/// A request of the house itself.
pub fn call(random: &Random) -> Call {
    let request = random.request_id();
    Call::new(request, TraceId::new(&format!("{:032x}", request.0)))
}

/// Whose accounts are met.
#[derive(Debug, Clone, Default)]
pub struct Whom {
    /// Only of this domain.
    pub domain: Option<Domain>,
    /// Only of this class of service, compared without case.
    pub class: Option<String>,
}

/// A walk over accounts.
pub struct People<'a> {
    roles: &'a Roles,
    random: &'a Random,
    class: Option<String>,
    /// Whether the one domain was asked for by name: then it must be there.
    named: bool,
    /// Domains that wait.
    domains: VecDeque<Domain>,
    /// Where the list of domains goes on.
    more: Option<String>,
    /// The domain at work, and the name after which its list goes on.
    at: Option<(Domain, String)>,
}

impl<'a> People<'a> {
    /// A walk that has not begun.
    pub fn new(roles: &'a Roles, random: &'a Random, whom: Whom) -> Self {
        let more = whom.domain.is_none().then(String::new);
        let (named, domains) = (whom.domain.is_some(), whom.domain.into_iter().collect());
        Self { roles, random, class: whom.class, named, domains, more, at: None }
    }

    /// The next accounts, at least one; `None` after the last.
    ///
    /// # Errors
    /// What the directory says.
    pub async fn next(&mut self) -> Result<Option<Vec<AccountLine>>, DirectoryError> {
        loop {
            let Some((domain, after)) = self.at.take() else {
                match self.next_domain().await? {
                    Some(domain) => self.at = Some((domain, String::new())),
                    None => return Ok(None),
                }
                continue;
            };
            let mut page =
                match ask(self.roles, self.random, Request::ListAccounts(domain.clone(), after)).await {
                    Ok(Reply::Accounts(page)) => page,
                    Err(error @ DirectoryError::Missing(_)) if self.named => return Err(error),
                    // The domain was removed since it was listed.
                    Ok(_) | Err(DirectoryError::Missing(_)) => continue,
                    Err(error) => return Err(error),
                };
            if let Some(last) = page.last().filter(|_| page.len() >= PAGE as usize) {
                self.at = Some((domain, last.user.name.clone()));
            }
            page.retain(|line| self.class.as_ref().is_none_or(|class| class.eq_ignore_ascii_case(&line.cos)));
            if !page.is_empty() {
                return Ok(Some(page));
            }
        }
    }

    async fn next_domain(&mut self) -> Result<Option<Domain>, DirectoryError> {
        if self.domains.is_empty()
            && let Some(after) = self.more.take()
            && let Reply::Domains(page) = ask(self.roles, self.random, Request::ListDomains(after)).await?
        {
            self.more = page.last().filter(|_| page.len() >= PAGE as usize).map(|last| last.name.clone());
            self.domains.extend(page.iter().filter_map(|d| Domain::parse(&d.name).ok()));
        }
        Ok(self.domains.pop_front())
    }
}

/// One request.
///
/// # Errors
/// What the directory says.
pub async fn ask(roles: &Roles, random: &Random, request: Request) -> Result<Reply, DirectoryError> {
    let answers = roles.provisioning.provision(&call(random), vec![request]).await?;
    let missing = || Err(DirectoryError::Broken("the directory gave no answer".into()));
    answers.into_iter().next().unwrap_or_else(missing)
}

/// Everything about these accounts; those that are gone meanwhile are left out.
///
/// # Errors
/// What the directory says.
pub async fn views(
    roles: &Roles,
    random: &Random,
    users: impl Iterator<Item = User>,
) -> Result<Vec<AccountView>, DirectoryError> {
    let mut requests: VecDeque<_> = users.map(Request::ShowAccount).collect();
    let mut found = Vec::with_capacity(requests.len());
    while !requests.is_empty() {
        let some = requests.drain(..requests.len().min(MAX_REQUESTS)).collect();
        for answer in roles.provisioning.provision(&call(random), some).await? {
            match answer {
                Ok(Reply::Account(view)) => found.push(*view),
                Ok(_) | Err(DirectoryError::Missing(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(found)
}
