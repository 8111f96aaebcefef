//! How fast work goes that nobody waits for, whether it rests, and whether it is to end.
//!
//! Who does the work says after each step how many bytes it has moved; who started it sets the rate, pauses, resumes
//! and ends it. Steps themselves are never torn: a pace only stands between them.

use env::clock::{Clock, Moment};
use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How often a work that rests by its [`Rate`] looks whether it still should.
const LOOK: Duration = Duration::from_secs(1);
/// Longest wait for one step, whatever it has moved: the rate may have changed meanwhile.
const LONGEST: Duration = Duration::from_secs(60);

/// How fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// As fast as it can.
    Unlimited,
    /// This many bytes a second, on average.
    PerSecond(NonZeroU64),
    /// Not now.
    Rest,
}

impl Rate {
    /// This many bytes a second; 0 is [`Rate::Unlimited`].
    pub fn per_second(bytes: u64) -> Self {
        NonZeroU64::new(bytes).map_or(Self::Unlimited, Self::PerSecond)
    }

    /// How long this many bytes take.
    fn time_for(self, bytes: u64) -> Duration {
        match self {
            Self::PerSecond(rate) => {
                let micros = u128::from(bytes) * 1_000_000 / u128::from(rate.get());
                Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)).min(LONGEST)
            }
            Self::Unlimited | Self::Rest => Duration::ZERO,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Go,
    Pause,
    End,
}

/// The pace of one work. Clones share it: one works, another one orders.
#[derive(Clone)]
pub struct Pace(Arc<Shared>);

struct Shared {
    clock: Clock,
    rate: Box<dyn Fn() -> Rate + Send + Sync>,
    order: watch::Sender<Order>,
    /// When the next step may begin.
    next: Mutex<Moment>,
}

impl Pace {
    /// A pace whose rate is asked for anew at every step.
    pub fn new(clock: &Clock, rate: impl Fn() -> Rate + Send + Sync + 'static) -> Self {
        let (order, next) = (watch::Sender::new(Order::Go), Mutex::new(clock.moment()));
        Self(Arc::new(Shared { clock: clock.clone(), rate: Box::new(rate), order, next }))
    }

    /// Steps wait until [`Pace::resume`].
    pub fn pause(&self) {
        self.order(Order::Pause);
    }

    /// Steps go on.
    pub fn resume(&self) {
        self.order(Order::Go);
    }

    /// No further step: for good.
    pub fn end(&self) {
        self.0.order.send_replace(Order::End);
    }

    /// Whether it was paused.
    pub fn is_paused(&self) -> bool {
        *self.0.order.borrow() == Order::Pause
    }

    /// Whether it was ended.
    pub fn is_ended(&self) -> bool {
        *self.0.order.borrow() == Order::End
    }

    /// Stands between two steps: waits as long as the bytes of the last one ask for, and while there is a pause.
    /// `Break`: no further step.
    pub async fn step(&self, bytes: u64) -> ControlFlow<()> {
        let mut order = self.0.order.subscribe();
        let wait_until = self.charge(bytes);
        loop {
            let now = *order.borrow_and_update();
            let wait = match (now, (self.0.rate)()) {
                (Order::End, _) => return ControlFlow::Break(()),
                (Order::Pause, _) => LONGEST,
                (Order::Go, Rate::Rest) => LOOK,
                (Order::Go, _) => wait_until.saturating_duration_since(self.0.clock.moment()),
            };
            if wait.is_zero() {
                return ControlFlow::Continue(());
            }
            tokio::select! {
                _ = order.changed() => {}
                () = self.0.clock.sleep(wait) => {}
            }
        }
    }

    /// When the next step may begin, this one having moved so many bytes.
    fn charge(&self, bytes: u64) -> Moment {
        let mut next = self.0.next.lock().unwrap_or_else(PoisonError::into_inner);
        // What was not used is not saved up.
        *next = (*next).max(self.0.clock.moment()) + (self.0.rate)().time_for(bytes);
        *next
    }

    fn order(&self, order: Order) {
        self.0.order.send_if_modified(|now| {
            let changes = *now != Order::End && *now != order;
            if changes {
                *now = order;
            }
            changes
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_rate_says_how_long_bytes_take() {
        assert_eq!(Rate::per_second(0).time_for(u64::MAX), Duration::ZERO);
        assert_eq!(Rate::per_second(1000).time_for(1500), Duration::from_millis(1500));
        assert_eq!(Rate::per_second(1).time_for(u64::MAX), LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn steps_take_the_time_of_their_bytes() {
        let pace = Pace::new(&Clock::system(), || Rate::per_second(1000));
        let begun = tokio::time::Instant::now();
        for bytes in [500, 0, 1500] {
            assert!(pace.step(bytes).await.is_continue());
        }
        assert_eq!(begun.elapsed().as_millis(), 2000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_and_an_end_ends() {
        let resting = Arc::new(AtomicBool::new(true));
        let rests = Arc::clone(&resting);
        let rate = move || if rests.load(Ordering::Relaxed) { Rate::Rest } else { Rate::Unlimited };
        let pace = Pace::new(&Clock::system(), rate);
        let waits =
            async |pace: &Pace| tokio::time::timeout(Duration::from_secs(600), pace.step(1)).await.is_err();
        assert!(waits(&pace).await);
        resting.store(false, Ordering::Relaxed);
        assert!(pace.step(1).await.is_continue());
        pace.pause();
        assert!(pace.is_paused() && waits(&pace).await);
        pace.resume();
        assert!(pace.step(1).await.is_continue());
        pace.end();
        pace.resume();
        assert!(pace.is_ended() && pace.step(1).await.is_break());
    }
}
