//! Following the configuration: each process its host's file, each host the configuration server.
//!
//! [`follow`] puts a changed `config.db` in force in the process it runs in, without anybody telling it, inside half a
//! second. [`Mirror`] keeps the `config.db` of a host that has not the configuration itself. With the server out of
//! reach the copy stays as it is, and the host works on with it.

use super::change::{install, unreadable};
use super::history::History;
use super::load::{Files, text};
use super::reload::InForce;
use catalog::events::conf::{ConfServerDown, ConfServerUp};
use env::Env;
use mail::id::TraceId;
use roles::Call;
use roles::configuration::{Configuration, ConfigurationError, Proposal, Snapshot, Version, Wish};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long the server may wait before it answers that nothing has changed.
const WATCH: Duration = Duration::from_secs(30);
/// Pauses after a server that does not answer, doubled up to the second.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];

/// Puts each change of the file in force in this process, until its tasks are to end.
pub async fn follow(in_force: Arc<InForce>, env: Env) {
    let mut stopping = env.tasks.stopping();
    let mut known = None;
    loop {
        let now = mark(&in_force.files().current);
        if now != known {
            let reload = Arc::clone(&in_force);
            // A bad file was reported by the reload, and stays out of force until it changes again.
            if env.compute.run(move || drop(reload.reload())).await.is_ok() {
                known = now;
            }
        }
        tokio::select! {
            () = stopping.wait() => return,
            () = env.clock.sleep(LOOK_EVERY) => {}
        }
    }
}

/// What tells one file of a name from another: its number, length and time of change.
fn mark(path: &Path) -> Option<(u64, u64, i64, i64)> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.ino(), data.len(), data.mtime(), data.mtime_nsec()))
}

/// Keeps the copy of a host.
pub struct Mirror {
    /// Whoever has the configuration.
    pub server: Arc<dyn Configuration>,
    /// The copy.
    pub files: Files,
    /// The surroundings.
    pub env: Env,
}

impl Mirror {
    /// Follows the server until the tasks of the process are to end.
    pub async fn run(self) {
        let mut stopping = self.env.tasks.stopping();
        let mut known = None;
        let mut pause = None;
        loop {
            let next = tokio::select! {
                () = stopping.wait() => return,
                next = self.next(known) => next,
            };
            let wait = match next {
                Ok(version) => {
                    if pause.take().is_some() {
                        self.env.log.emit(&ConfServerUp { version });
                    }
                    known = Some(version);
                    continue;
                }
                Err(error) => {
                    if pause.is_none() {
                        self.env.log.emit(&ConfServerDown { error });
                    }
                    pause.map_or(PAUSES[0], |last: Duration| (last * 2).min(PAUSES[1]))
                }
            };
            pause = Some(wait);
            tokio::select! {
                () = stopping.wait() => return,
                () = self.env.clock.sleep(wait) => {}
            }
        }
    }

    /// Takes over what holds now, before anything begins by an old copy; waits for the server this long at most, and says
    /// whether it answered. One that does not is the matter of [`Mirror::run`].
    pub async fn catch_up(&self, patience: Duration) -> bool {
        let asked = tokio::time::timeout(patience, self.next(None)).await;
        asked.is_ok_and(|done| done.is_ok())
    }

    /// Takes over what holds, as soon as it is another version than the one that the server was last known to have.
    async fn next(&self, known: Option<Version>) -> Result<Version, ConfigurationError> {
        let request = self.env.random.request_id();
        let call = Call { deadline: WATCH, ..Call::new(request, TraceId::new("configuration")) };
        let Snapshot { version, text } = match known {
            None => self.server.configuration_get(&call).await?,
            Some(known) => self.server.configuration_watch(&call, known).await?,
        };
        let (files, at) = (self.files.clone(), self.env.clock.now());
        let taken = move || take_over(&files, version, text, at);
        let done = self.env.compute.run(taken).await;
        done.map_err(|_| ConfigurationError::Busy("too much to do".into()))??;
        Ok(version)
    }
}

/// Makes the copy say what the server says. A text that this host's rows refuse is not taken over.
fn take_over(
    files: &Files,
    version: Version,
    wanted: String,
    at: mail::time::Timestamp,
) -> Result<(), ConfigurationError> {
    let have = text(&files.current).map_err(unreadable)?;
    if have == wanted && History::read(files).is_ok() {
        return Ok(());
    }
    let why = format!("version {version} of the configuration server");
    let proposal = Proposal { from: None, wish: Wish::Text(wanted), who: "imconfserv".into(), why };
    install(files, &proposal, at).map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::server::ConfigurationServer;
    use super::*;
    use catalog::keys::mta::MAX_MESSAGE_SIZE;
    use env::settings::Settings;
    use roles::Answer;
    use roles::configuration::{Accepted, Assessed, Change};
    use std::sync::atomic::{AtomicBool, Ordering};
    use tempfile::TempDir;

    /// A configuration server that can be out of reach.
    struct Far {
        server: ConfigurationServer,
        down: AtomicBool,
    }

    impl Far {
        fn new(files: &Files) -> Arc<Self> {
            let server = ConfigurationServer::new(files.clone(), Env::for_test("imconfserv"));
            Arc::new(Self { server, down: AtomicBool::new(false) })
        }

        fn reach(&self) -> Result<&ConfigurationServer, ConfigurationError> {
            match self.down.load(Ordering::Relaxed) {
                true => Err(ConfigurationError::Unavailable("down".into())),
                false => Ok(&self.server),
            }
        }
    }

    impl Configuration for Far {
        fn configuration_get<'a>(&'a self, call: &'a Call) -> Answer<'a, Snapshot, ConfigurationError> {
            Box::pin(async { self.reach()?.configuration_get(call).await })
        }

        fn configuration_assess<'a>(
            &'a self,
            call: &'a Call,
            proposal: Proposal,
        ) -> Answer<'a, Assessed, ConfigurationError> {
            Box::pin(async { self.reach()?.configuration_assess(call, proposal).await })
        }

        fn configuration_apply<'a>(
            &'a self,
            call: &'a Call,
            proposal: Proposal,
        ) -> Answer<'a, Assessed, ConfigurationError> {
            Box::pin(async { self.reach()?.configuration_apply(call, proposal).await })
        }

        fn configuration_history<'a>(
            &'a self,
            call: &'a Call,
            most: usize,
        ) -> Answer<'a, Vec<Accepted>, ConfigurationError> {
            Box::pin(async move { self.reach()?.configuration_history(call, most).await })
        }

        fn configuration_watch<'a>(
            &'a self,
            call: &'a Call,
            known: Version,
        ) -> Answer<'a, Snapshot, ConfigurationError> {
            let call = Call { deadline: Duration::from_millis(20), ..call.clone() };
            Box::pin(async move { self.reach()?.configuration_watch(&call, known).await })
        }
    }

    fn site(text: &str) -> (TempDir, Files) {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::in_folder(folder.path());
        std::fs::write(&files.current, text).unwrap();
        (folder, files)
    }

    fn wish(value: &str) -> Proposal {
        let path = catalog::tree::Path::parse("/*/mta/maxMessageSize").unwrap();
        let wish = Wish::Entries(vec![Change::Set(path, vec![value.to_owned()])]);
        Proposal { from: None, wish, who: "root".into(), why: String::new() }
    }

    fn call() -> Call {
        Call::new(env::random::Random::seeded(7).request_id(), TraceId::new("test"))
    }

    /// Waits until the settings hold this value.
    async fn holds(settings: &Settings, value: u64) {
        let mut changed = settings.watch();
        let reached = async {
            while settings.get(MAX_MESSAGE_SIZE) != value {
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reached).await.unwrap();
    }

    /// A process: its settings and the task that follows.
    fn process(files: &Files) -> (Settings, Env) {
        let env = Env::for_test("mta");
        let loaded = super::super::load(files).unwrap();
        let settings = Settings::new("venus", "mta", loaded.tree);
        let in_force = InForce::new(files.clone(), settings.clone(), env.log.clone(), loaded.checksum);
        env.tasks.spawn(follow(Arc::new(in_force), env.clone()));
        (settings, env)
    }

    #[tokio::test]
    async fn a_change_reaches_every_process_of_every_host_and_a_dead_server_stops_nobody() {
        let (_central, files) = site("/*/mta/maxMessageSize: [7]\n");
        let far = Far::new(&files);
        let (_copy, copy) = site("");
        let env = Env::for_test("immgrserv");
        let mirror = Mirror { server: far.clone(), files: copy.clone(), env: env.clone() };
        assert!(
            mirror.catch_up(Duration::from_secs(20)).await && text(&copy.current).unwrap().contains("[7]")
        );
        env.tasks.spawn(mirror.run());
        let processes: Vec<_> = (0..20).map(|_| process(&copy)).collect();
        for (settings, _) in &processes {
            holds(settings, 7).await;
        }
        far.configuration_apply(&call(), wish("8")).await.unwrap();
        for (settings, _) in &processes {
            holds(settings, 8).await;
        }
        far.down.store(true, Ordering::Relaxed);
        let late = Mirror { server: far.clone(), files: copy.clone(), env: env.clone() };
        assert!(!late.catch_up(Duration::from_secs(20)).await);
        while !env.log.lines().iter().any(|line| line.contains("ConfServerDown")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // A process that starts now works from the copy.
        assert_eq!(process(&copy).0.get(MAX_MESSAGE_SIZE), 8);
        far.server.configuration_apply(&call(), wish("9")).await.unwrap();
        far.down.store(false, Ordering::Relaxed);
        holds(&processes[19].0, 9).await;
        env.tasks.drain(Duration::from_secs(5)).await;
    }

    /// Hosts with a copy of their own and a process each; the change is made by somebody who tells nobody.
    #[tokio::test]
    async fn a_change_is_in_force_on_twenty_hosts_at_once_and_a_host_that_starts_alone_works_from_its_copy() {
        let (_central, files) = site("/*/mta/maxMessageSize: [7]\n");
        let far = Far::new(&files);
        let host = || {
            let (folder, copy) = site("");
            let env = Env::for_test("immgrserv");
            let server: Arc<dyn Configuration> = Arc::new(far.server.clone());
            env.tasks.spawn(Mirror { server, files: copy.clone(), env: env.clone() }.run());
            (folder, copy.clone(), process(&copy), env)
        };
        let hosts: Vec<_> = (0..20).map(|_| host()).collect();
        for (_, _, (settings, _), _) in &hosts {
            holds(settings, 7).await;
        }
        let begun = hosts[0].3.clock.moment();
        let at = hosts[0].3.clock.now();
        install(&files, &wish("8"), at).unwrap();
        for (_, _, (settings, _), _) in &hosts {
            holds(settings, 8).await;
        }
        let took = begun.elapsed();
        println!("in force on 20 hosts, each with a copy of its own, after {took:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
        for (_, _, (_, env), mirror) in &hosts {
            for env in [env, mirror] {
                assert_eq!(env.tasks.drain(Duration::from_secs(20)).await, 0);
            }
        }
        // One of them starts again while the server is away, and hears of what it missed.
        far.down.store(true, Ordering::Relaxed);
        let (copy, env) = (&hosts[3].1, Env::for_test("immgrserv"));
        env.tasks.spawn(Mirror { server: far.clone(), files: copy.clone(), env: env.clone() }.run());
        let again = process(copy);
        assert_eq!(again.0.get(MAX_MESSAGE_SIZE), 8);
        install(&files, &wish("9"), at).unwrap();
        while !env.log.lines().iter().any(|line| line.contains("ConfServerDown")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(again.0.get(MAX_MESSAGE_SIZE), 8);
        far.down.store(false, Ordering::Relaxed);
        holds(&again.0, 9).await;
        env.tasks.drain(Duration::from_secs(5)).await;
    }

    #[tokio::test]
    async fn watching_answers_at_the_change_or_at_the_deadline() {
        let (_folder, files) = site("");
        let server = ConfigurationServer::new(files, Env::for_test("imconfserv"));
        let short = Call { deadline: Duration::from_millis(1), ..call() };
        assert_eq!(server.configuration_watch(&short, Version(0)).await.unwrap().version, Version(0));
        let call = call();
        let (watched, applied) = tokio::join!(
            server.configuration_watch(&call, Version(0)),
            server.configuration_apply(&call, wish("8")),
        );
        assert_eq!((watched.unwrap().version, applied.unwrap().version), (Version(1), Version(1)));
    }
}
