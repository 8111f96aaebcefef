//! What the servers of a process are given: configuration, log, clock, chance, tasks.

use admin::site::Site;
use anyhow::Context as _;
use control::configuration::{self, InForce};
use env::Env;
use env::budget::Budget;
use env::clock::Clock;
use env::compute::Compute;
use env::log::{Log, Options, Writer};
use env::random::Random;
use env::settings::Settings;
use env::tasks::Tasks;
use std::sync::Arc;

/// Bytes of mail that all sessions together may hold in memory.
const MAIL_IN_MEMORY: usize = 64 << 20;
/// Passwords that may wait to be checked.
const WAITING_CHECKS: usize = 256;
/// What the servers of a process share.
pub(crate) struct Surroundings {
    /// The eight things.
    pub(crate) env: Env,
    /// The configuration as it is followed.
    pub(crate) configuration: Arc<InForce>,
    /// Writes the log; dropping it writes what is left.
    _log: Writer,
}

impl Surroundings {
    /// From the configuration of the site. What is no server's own is logged under `name`, that of the process.
    ///
    /// # Errors
    /// Where the configuration is not usable or the log cannot be written.
    pub(crate) fn new(site: &Site, name: &'static str) -> anyhow::Result<Self> {
        let files = site.configuration_files();
        let loaded = configuration::load(&files)?;
        let clock = Clock::system();
        let folder = site.folder().join("log");
        let host = site.host().as_str();
        let (log, writer) = Log::to_folder(&folder, host, clock.clone(), name)
            .with_context(|| format!("cannot write to {}", folder.display()))?;
        configuration::report(&loaded, host, &log);
        let settings = Settings::new(host, "common", loaded.tree);
        log.configure(Options::read(&settings));
        let configuration = Arc::new(InForce::new(files, settings.clone(), log.clone(), loaded.checksum));
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let env = Env {
            clock,
            random: Random::system(),
            metrics: log.metrics().clone(),
            log,
            settings,
            budget: Budget::new(MAIL_IN_MEMORY),
            tasks: Tasks::new(),
            compute: Compute::new(processors, WAITING_CHECKS),
        };
        Ok(Self { env, configuration, _log: writer })
    }
}
