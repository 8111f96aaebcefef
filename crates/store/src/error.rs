//! From what failed in a shard to what failed for the caller.

use catalog::events::ms;
use env::Env;
use roles::store::StoreError;
use storage::mailboxes::BadName;
use storage::shard::ShardError;

/// Why a task did not do it: a rule said no, or the shard could not.
#[derive(Debug)]
pub(crate) enum Fail {
    Rule(StoreError),
    Shard(ShardError),
}

impl From<StoreError> for Fail {
    fn from(error: StoreError) -> Self {
        Self::Rule(error)
    }
}

impl From<ShardError> for Fail {
    fn from(error: ShardError) -> Self {
        Self::Shard(error)
    }
}

impl From<BadName> for Fail {
    fn from(error: BadName) -> Self {
        Self::Rule(StoreError::Refused(error.to_string()))
    }
}

impl Fail {
    /// What the caller hears; damage is logged here.
    pub(crate) fn tell(self, env: &Env) -> StoreError {
        match self {
            Self::Rule(error) => error,
            Self::Shard(error) => tell(error, env),
        }
    }
}

fn tell(error: ShardError, env: &Env) -> StoreError {
    match error {
        ShardError::Full => StoreError::NoSpace,
        ShardError::Gone => StoreError::NoMessage,
        ShardError::TooLarge(what) => StoreError::Refused(format!("{what} is too large")),
        // Mail is deferred: it may be there after all, and its request id will tell.
        ShardError::Broken(_)
        | ShardError::Unavailable
        | ShardError::Locked
        | ShardError::Source(_)
        | ShardError::Io(_) => StoreError::Unavailable,
        // Not begun: whoever has the store now, or has it open again, may be asked.
        ShardError::Closed | ShardError::Fenced(_) => StoreError::Elsewhere,
        ShardError::Corrupt(_) | ShardError::Panicked => {
            env.log.emit(&ms::MsDamaged { what: &error });
            StoreError::Broken(error.to_string())
        }
    }
}
