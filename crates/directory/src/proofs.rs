//! Passwords that were right lately, so that they need no hashing again.
//!
//! Kept is HMAC-SHA-256, under a key that lives as long as the process, of account, version and password. The version
//! grows with every change of the account, so a change ends what was known before it. The memory of a process that
//! is read by a thief gives no password, only a way to try them fast.

use env::clock::Moment;
use hmac::{Hmac, KeyInit as _, Mac as _};
use mail::id::AccountId;
use mail::secret::Secret;
use quick_cache::sync::Cache;
use sha2::Sha256;
use std::time::Duration;

/// Proofs kept: about 100 bytes each.
const PROOFS: usize = 131_072;

/// The authentication cache.
pub(crate) struct Proofs {
    key: Secret,
    since: Cache<Tag, Moment>,
}

/// Stands for an account with a password.
pub(crate) type Tag = [u8; 32];

impl Proofs {
    pub(crate) fn new(key: Secret) -> Self {
        Self { key, since: Cache::new(PROOFS) }
    }

    pub(crate) fn tag(&self, account: AccountId, version: i64, password: &Secret) -> Tag {
        let fixed = [account.0.to_be_bytes(), version.to_be_bytes()].concat();
        keyed(self.key.expose(), &[&fixed, password.expose()])
    }

    /// Whether it was right within this span before now.
    pub(crate) fn holds(&self, tag: &Tag, span: Duration, now: Moment) -> bool {
        let since = self.since.get(tag);
        since.is_some_and(|s| now.saturating_duration_since(s) < span)
    }

    pub(crate) fn keep(&self, tag: Tag, now: Moment) {
        self.since.insert(tag, now);
    }
}

/// HMAC-SHA-256 over all parts, one after the other.
pub(crate) fn keyed(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    parts.iter().fold(mac, |mac, part| mac.chain_update(part)).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_ends_with_its_span_and_with_a_change() {
        let proofs = Proofs::new(Secret::new([7; 32]));
        let (password, span) = (Secret::new("x"), Duration::from_secs(60));
        let (tag, now) = (proofs.tag(AccountId(1), 4, &password), env::clock::Clock::system().moment());
        assert!(!proofs.holds(&tag, span, now));
        proofs.keep(tag, now);
        assert!(proofs.holds(&tag, span, now) && !proofs.holds(&tag, Duration::ZERO, now));
        assert!(!proofs.holds(&proofs.tag(AccountId(1), 5, &password), span, now));
        assert!(!proofs.holds(&proofs.tag(AccountId(1), 4, &Secret::new("y")), span, now));
        assert!(!proofs.holds(&tag, span, now + span));
    }
}
