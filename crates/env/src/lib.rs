//! What a server is given: eight things that would otherwise be globals.
//!
//! clock, chance, log, metrics, settings, memory budget, tasks, compute. A server takes an [`Env`] in its constructor and
//! has no other way to time, randomness, threads or the log, so a test can hand it a scripted one. Nothing here
//! knows about mail. Upwards: `server` makes one [`Env`] per server of the process.

pub mod budget;
pub mod clock;
pub mod compute;
pub mod log;
pub mod metrics;
pub mod random;
pub mod settings;
pub mod tasks;

use budget::Budget;
use clock::Clock;
use compute::Compute;
use log::Log;
use metrics::Metrics;
use random::Random;
use settings::Settings;
use tasks::Tasks;

/// Everything a server is given. Cloning is cheap: all clones share what is behind.
#[derive(Clone)]
pub struct Env {
    /// What time it is.
    pub clock: Clock,
    /// Ids, salts, jitter.
    pub random: Random,
    /// Where events go.
    pub log: Log,
    /// What is counted; the log counts its events there.
    pub metrics: Metrics,
    /// The configuration keys, as they hold for this server.
    pub settings: Settings,
    /// How many bytes of mail may be held in memory by all sessions together.
    pub budget: Budget,
    /// Runs and drains sessions, workers and reconcilers.
    pub tasks: Tasks,
    /// Runs what costs a processor more than a millisecond.
    pub compute: Compute,
}

impl Env {
    /// An environment for a test: defaults everywhere, a log that keeps its lines in memory, two compute threads.
    pub fn for_test(server: &'static str) -> Self {
        let settings = Settings::new("localhost", server, catalog::tree::Tree::default());
        let log = Log::in_memory(server);
        Self {
            clock: Clock::system(),
            random: Random::seeded(1),
            metrics: log.metrics().clone(),
            log,
            settings,
            budget: Budget::new(64 << 20),
            tasks: Tasks::new(),
            compute: Compute::new(2, 64),
        }
    }

    /// The same surroundings for another server of the process: its own name in log lines and its own keys.
    #[must_use]
    pub fn for_server(&self, server: &'static str) -> Self {
        Self { log: self.log.for_server(server), settings: self.settings.for_server(server), ..self.clone() }
    }
}
