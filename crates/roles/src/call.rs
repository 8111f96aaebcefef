//! What every request carries besides its own values, and what every answer looks like.

use mail::id::{HostName, RequestId, TraceId};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// The circumstances of a request.
#[derive(Debug, Clone)]
pub struct Call {
    /// Makes a changing request repeatable: the same id again has no second effect.
    pub request: RequestId,
    /// Follows the work through the log.
    pub trace: TraceId,
    /// How long the caller will wait; an implementation may give up earlier, never later.
    pub deadline: Duration,
    /// Which store it is for, where the host that is asked has several; `None`: that host's own.
    pub store: Option<HostName>,
}

/// The longest deadline: a day. A wire believes no longer one, and gives it to a call that has none.
pub const LONGEST: Duration = Duration::from_secs(24 * 3600);

impl Call {
    /// The same call for work that takes as long as it takes, such as a backup. That whoever does it still lives is known
    /// from its connection; whoever no longer waits drops the call.
    #[must_use]
    pub fn for_long_work(self) -> Self {
        Self { deadline: LONGEST, ..self }
    }

    /// A call with the usual deadline of 60 seconds (`rmeTimeout`).
    pub fn new(request: RequestId, trace: TraceId) -> Self {
        Self { request, trace, deadline: Duration::from_secs(60), store: None }
    }
}

/// What a role's method returns: a future that can be sent to another thread.
pub type Answer<'a, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

/// What a failure means for the caller, the same five-and-a-bit for every role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Asked for what is not allowed: asking again is no use.
    Refused,
    /// What was named does not exist.
    Missing,
    /// Exists already, or has changed since.
    Conflict,
    /// A quota or limit.
    OverLimit,
    /// Too much to do: try again in this long.
    Busy(Duration),
    /// Out of reach, or out of space: try again later. The effect may or may not have happened.
    Unavailable,
    /// A bug or damage. Logged where it was found.
    Broken,
}
