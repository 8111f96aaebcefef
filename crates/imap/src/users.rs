//! How many sessions each account has: `maxSessionsPerUser`.

use mail::id::AccountId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Sessions by account.
#[derive(Debug, Default, Clone)]
pub(crate) struct Users(Arc<Mutex<HashMap<AccountId, u64>>>);

/// One session of an account; dropping it counts it out.
#[derive(Debug)]
pub(crate) struct Counted {
    users: Users,
    account: AccountId,
}

impl Users {
    /// Counts one more session, if the account has fewer than `limit`; 0 is no limit.
    pub(crate) fn enter(&self, account: AccountId, limit: u64) -> Option<Counted> {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = users.entry(account).or_default();
        if limit > 0 && *count >= limit {
            return None;
        }
        *count += 1;
        Some(Counted { users: self.clone(), account })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut users = self.users.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = users.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                users.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_account_has_its_own_count() {
        let users = Users::default();
        let first = users.enter(AccountId(1), 1);
        assert!(first.is_some() && users.enter(AccountId(1), 1).is_none());
        assert!(users.enter(AccountId(2), 1).is_some() && users.enter(AccountId(1), 0).is_some());
        drop(first);
        assert!(users.enter(AccountId(1), 1).is_some());
        assert!(users.0.lock().unwrap().is_empty());
    }
}
