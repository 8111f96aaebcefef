//! What time it is, and waiting.

use mail::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// The calendar clock of a server. Spans are measured with [`Clock::moment`], which never jumps.
#[derive(Clone)]
pub struct Clock {
    /// Where a test has set the calendar; `None` is the system's.
    fixed: Option<Arc<AtomicI64>>,
}

/// A reading of the clock that never jumps; only good for measuring spans.
pub type Moment = tokio::time::Instant;

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self { fixed: None }
    }

    /// A calendar that stands still until [`Clock::advance`] moves it.
    pub fn fixed(at: Timestamp) -> Self {
        Self { fixed: Some(Arc::new(AtomicI64::new(at.as_micros()))) }
    }

    /// Now, by the calendar.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the calendar is read")]
    pub fn now(&self) -> Timestamp {
        if let Some(fixed) = &self.fixed {
            return Timestamp::from_micros(fixed.load(Ordering::Relaxed));
        }
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// Moves a fixed calendar forward; does nothing to the system's.
    pub fn advance(&self, span: Duration) {
        if let Some(fixed) = &self.fixed {
            fixed.fetch_add(i64::try_from(span.as_micros()).unwrap_or(0), Ordering::Relaxed);
        }
    }

    /// Now, for measuring spans. Works inside and outside the runtime.
    pub fn moment(&self) -> Moment {
        Moment::now()
    }

    /// Waits.
    pub async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}
