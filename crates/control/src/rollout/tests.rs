use super::*;
use crate::configuration::change::parse_change;
use crate::configuration::{accepted, checksum, snapshot};
use env::clock::Moment;
use mail::id::TraceId;
use mail::time::Timestamp;
use roles::configuration::Wish;
use roles::manager::{Manager, ManagerError, Reloaded, ServerState, ServerStatus};
use roles::probe::{ConfigurationReport, Probe, ProbeError, Process, ProcessReport};
use roles::rollout::Restarts;
use std::future::ready;

const BEFORE: &str = "# mine\n/*/mta/maxMessageSize: [7]\n";

/// A host that takes over every change at once. A message size of 1 lets its MTA greet nobody.
struct Fragile {
    files: Files,
    begun: Moment,
    restarted: Mutex<Vec<String>>,
}

impl Fragile {
    fn text(&self) -> String {
        snapshot(&self.files).unwrap().text
    }
}

impl Manager for Fragile {
    fn server_list<'a>(&'a self, _: &'a Call) -> Answer<'a, Vec<ServerStatus>, ManagerError> {
        let server = |name: &str| ServerStatus {
            name: name.into(),
            state: if name == "popserv" { ServerState::Stopped } else { ServerState::Running },
            pid: Some(1),
            ports: Vec::new(),
            version: "1".into(),
            since: self.begun.elapsed(),
        };
        Box::pin(ready(Ok(vec![server("mss"), server("mta"), server("popserv")])))
    }

    fn server_probe<'a>(&'a self, _: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        let ill = name == "mta" && self.text().contains("/venus/mta/maxMessageSize: [1]");
        let answer = if ill { Err(ManagerError::Failed("no greeting".into())) } else { Ok(()) };
        Box::pin(ready(answer))
    }

    fn server_start<'a>(&'a self, _: &'a Call, _: String) -> Answer<'a, (), ManagerError> {
        Box::pin(ready(Ok(())))
    }

    fn server_stop<'a>(&'a self, _: &'a Call, _: String) -> Answer<'a, (), ManagerError> {
        Box::pin(ready(Ok(())))
    }

    fn server_restart<'a>(&'a self, _: &'a Call, name: String) -> Answer<'a, (), ManagerError> {
        let shards = self.text().lines().filter(|line| line.starts_with("/venus/mss")).count();
        self.restarted.lock().unwrap().push(format!("{name} {shards}"));
        Box::pin(ready(Ok(())))
    }

    fn configuration_reload<'a>(&'a self, _: &'a Call) -> Answer<'a, Reloaded, ManagerError> {
        Box::pin(ready(Ok(Reloaded::default())))
    }
}

impl Probe for Fragile {
    fn process_report<'a>(&'a self, _: &'a Call) -> Answer<'a, ProcessReport, ProbeError> {
        let in_force = checksum(&self.text());
        let configuration =
            ConfigurationReport { in_force: in_force.clone(), file: in_force, ..Default::default() };
        let (host, version, up) = ("venus".into(), "1".into(), self.begun.elapsed());
        let report = ProcessReport { host, pid: 1, version, up, configuration, errors: 0, refused: 0 };
        Box::pin(ready(Ok(report)))
    }

    fn process_metrics<'a>(&'a self, _: &'a Call) -> Answer<'a, String, ProbeError> {
        Box::pin(ready(Err(silence())))
    }
}

/// The process of a server that was stopped.
struct Silent;

fn silence() -> ProbeError {
    ProbeError::Unavailable("nobody is there".into())
}

impl Probe for Silent {
    fn process_report<'a>(&'a self, _: &'a Call) -> Answer<'a, ProcessReport, ProbeError> {
        Box::pin(ready(Err(silence())))
    }

    fn process_metrics<'a>(&'a self, _: &'a Call) -> Answer<'a, String, ProbeError> {
        Box::pin(ready(Err(silence())))
    }
}

struct House {
    _folder: tempfile::TempDir,
    files: Files,
    env: Env,
    venus: Arc<Fragile>,
    server: RolloutServer,
}

fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::in_folder(folder.path());
    std::fs::write(&files.current, BEFORE).unwrap();
    let env = Env::for_test("imconfserv");
    let begun = env.clock.moment();
    let venus = Arc::new(Fragile { files: files.clone(), begun, restarted: Mutex::default() });
    // The second one would not answer, and is not asked: its server is stopped.
    let silent = Arc::new(Silent);
    let processes = vec![
        Process { server: Some("mta".into()), probe: venus.clone() },
        Process { server: Some("popserv".into()), probe: silent },
    ];
    let host = Host { name: "venus".into(), manager: venus.clone(), processes };
    let server = RolloutServer::new(files.clone(), Arc::new(vec![host]));
    server.serve(&env);
    House { _folder: folder, files, env, venus, server }
}

fn call() -> Call {
    Call::new(env::random::Random::seeded(7).request_id(), TraceId::new("test"))
}

fn trial(seconds: u64) -> Trial {
    let watch = Duration::from_secs(seconds);
    Trial { hosts: vec!["Venus".into()], watch, restarts: Restarts::None }
}

fn proposal(change: &str) -> Proposal {
    let wish = Wish::Entries(vec![parse_change(change).unwrap()]);
    Proposal { from: None, wish, who: "root".into(), why: String::new() }
}

impl House {
    async fn begin(&self, change: &str, trial: Trial) -> Version {
        self.server.trial_begin(&call(), proposal(change), trial).await.unwrap().version
    }

    async fn ended(&self, version: Version) -> Ended {
        match self.server.trial_wait(&call(), version).await.unwrap() {
            State::Ended(ended) => ended,
            State::UnderWay(under_way) => panic!("{under_way:?} after a minute"),
        }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.files.current).unwrap()
    }

    /// Whether it was logged, after all tasks have come to their end.
    async fn logged(&self, event: &str) -> bool {
        assert_eq!(self.env.tasks.drain(Duration::from_secs(20)).await, 0);
        self.env.log.lines().iter().any(|line| line.contains(event))
    }
}

#[tokio::test]
async fn a_change_that_does_no_harm_is_spread_by_itself() {
    let house = house();
    let version = house.begin("/*/mta/maxMessageSize=8", trial(1)).await;
    assert!(house.text().contains("/venus/mta/maxMessageSize: [8]"));
    assert_eq!(house.server.trial_show(&call()).await.unwrap().unwrap().version, version);
    let soon = Call { deadline: Duration::from_millis(1), ..call() };
    assert!(matches!(house.server.trial_wait(&soon, version).await, Ok(State::UnderWay(_))));
    let ended = house.ended(version).await;
    assert_eq!((ended.end, house.text()), (End::Spread, BEFORE.replace("[7]", "[8]")));
    assert!(ended.why.contains("venus stayed well for 1 s"), "{}", ended.why);
    assert!(house.logged("ConfStaged").await && house.logged("ConfPromoted").await);
}

#[tokio::test]
async fn a_change_that_takes_the_health_of_its_host_is_taken_back_by_itself_and_the_history_says_why() {
    let house = house();
    let version = house.begin("/*/mta/maxMessageSize=1", trial(60)).await;
    let ended = house.ended(version).await;
    assert_eq!((ended.end, house.text().as_str()), (End::TakenBack, BEFORE));
    let why = "version 1 taken back: venus: mta does not answer: no greeting";
    let last = accepted(&house.files, 1).unwrap().remove(0);
    assert_eq!((ended.why.as_str(), last.why.as_str(), last.who.as_str()), (why, why, WATCHER));
    assert!(house.logged("Urgt ConfRolledBack version=2 stage=1").await, "{:?}", house.env.log.lines());
}

#[tokio::test]
async fn a_trial_whose_server_is_stopped_or_dies_is_taken_back() {
    let house = house();
    let version = house.begin("/*/mta/maxMessageSize=8", trial(60)).await;
    house.env.tasks.drain(Duration::from_secs(20)).await;
    assert_eq!(house.text(), BEFORE, "stopped");
    let down = house.server.trial_wait(&call(), version).await.unwrap_err();
    assert_eq!(down.kind(), roles::Kind::Unavailable);
    // One that died has left the trial in the files and nobody who watches it.
    let left = Trial { hosts: vec!["venus".into()], ..trial(60) };
    let begun =
        trial::begin(&house.files, &proposal("/*/mta/maxMessageSize=9"), &left, Timestamp::from_secs(1));
    let version = begun.unwrap().version;
    house.server.serve(&Env::for_test("imconfserv"));
    let ended = house.ended(version).await;
    assert_eq!((ended.end, house.text().as_str()), (End::TakenBack, BEFORE));
    assert!(ended.why.contains("began anew"), "{}", ended.why);
}

#[tokio::test]
async fn an_operator_ends_a_trial_before_its_time() {
    let house = house();
    for (end, left) in [(End::TakenBack, "[7]"), (End::Spread, "[8]")] {
        house.begin("/*/mta/maxMessageSize=8", trial(60)).await;
        let ended = house.server.trial_end(&call(), end, "root".into()).await.unwrap();
        assert_eq!((ended.end, house.text()), (end, BEFORE.replace("[7]", left)));
    }
    let none = house.server.trial_end(&call(), End::Spread, "root".into()).await;
    assert_eq!(none, Err(RolloutError::NoTrial));
}

#[tokio::test]
async fn a_trial_begins_on_known_and_well_hosts_for_a_time_that_ends() {
    let house = house();
    let begin = async |change: &str, trial: Trial| {
        let error = house.server.trial_begin(&call(), proposal(change), trial).await.unwrap_err();
        assert_eq!(accepted(&house.files, 1).unwrap(), []);
        error.to_string()
    };
    let change = "/*/mta/maxMessageSize=8";
    let other = Trial { hosts: vec!["pluto".into()], ..trial(1) };
    assert_eq!(begin(change, other).await, "pluto: the configuration server knows no such host");
    assert!(begin(change, trial(0)).await.contains("1 second to 1 day"));
    assert!(begin(change, Trial { hosts: Vec::new(), ..trial(1) }).await.contains("no host"));
    assert!(begin("/*/mta/maxMessageSize=x", trial(1)).await.contains("a whole number"));
    std::fs::write(&house.files.current, format!("{BEFORE}/venus/mta/maxMessageSize: [1]\n")).unwrap();
    let ill = house.server.trial_begin(&call(), proposal("/*/mta/banners=x"), trial(1)).await.unwrap_err();
    assert_eq!(ill.to_string(), "venus: mta does not answer: no greeting");
}

#[tokio::test]
async fn servers_are_restarted_with_the_change_and_without_it_where_that_is_asked_for() {
    let house = house();
    let restarts = Trial { restarts: Restarts::Done, ..trial(60) };
    let version = house.begin("/*/mss/numMssPorts=4", restarts).await;
    let restarted = async |count: usize| {
        while house.venus.restarted.lock().unwrap().len() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), restarted(1)).await.unwrap();
    house.server.trial_end(&call(), End::TakenBack, "root".into()).await.unwrap();
    assert_eq!(house.ended(version).await.end, End::TakenBack);
    tokio::time::timeout(Duration::from_secs(20), restarted(2)).await.unwrap();
    assert_eq!(*house.venus.restarted.lock().unwrap(), ["mss 1", "mss 0"]);
}

#[tokio::test]
async fn every_process_reports_what_it_has() {
    let house = house();
    house.begin("/*/mta/maxMessageSize=8", trial(60)).await;
    let drift = house.server.drift_report(&call()).await.unwrap();
    assert_eq!((drift.version, drift.hosts[0].host.as_str()), (Version(1), "venus"));
    let lines = crate::drift::judge(&drift);
    assert_eq!((lines.len(), &lines[0].remarks, lines[0].version), (1, &vec![], Some(Version(1))));
}
