use super::super::child::tests::script;
use super::*;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use tokio::time::timeout;

/// A server that is a shell script, which may change between starts.
struct Shell {
    folder: PathBuf,
    text: Mutex<&'static str>,
    handing: Handing,
}

/// Serves until it is told to end.
const SERVES: &str = "echo ready 1.0 mta=25 >&0; exec sleep 1000";

impl Recipe for Shell {
    fn name(&self) -> &'static str {
        "mta"
    }

    fn launch(&self) -> Launch {
        script(&self.folder, *self.text.lock().unwrap())
    }

    fn sockets(&self) -> Result<Vec<OwnedFd>, String> {
        Ok(Vec::new())
    }

    fn handing(&self) -> Handing {
        self.handing
    }

    fn close(&self) {
        std::fs::write(self.folder.join("closed"), "").unwrap();
    }
}

struct Bench {
    folder: tempfile::TempDir,
    shell: Arc<Shell>,
    env: Env,
    unit: Unit,
}

fn bench(text: &'static str, handing: Handing) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let shell = Arc::new(Shell { folder: folder.path().to_owned(), text: Mutex::new(text), handing });
    let env = Env::for_test("immgrserv");
    let unit = Unit::new(shell.clone(), &env);
    Bench { folder, shell, env, unit }
}

impl Bench {
    async fn until(&self, what: impl FnMut(&Seen) -> bool) {
        timeout(Duration::from_secs(30), self.unit.wait_for(what)).await.unwrap();
    }

    fn logged(&self, event: &str) -> Vec<String> {
        self.env.log.lines().into_iter().filter(|line| line.contains(event)).collect()
    }

    fn notes(&self) -> usize {
        let names = std::fs::read_dir(self.folder.path()).unwrap().flatten();
        names.filter(|entry| entry.file_name().to_string_lossy().starts_with("crash.")).count()
    }
}

/// Whether the process is there, as a zombie or alive.
fn there(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn kill(pid: u32) {
    use crate::process::{Process, Tell};
    Process::open(pid).unwrap().unwrap().tell(Tell::Kill).unwrap();
}

#[tokio::test]
async fn its_8718_a_server_is_started_asked_and_stopped() {
    let bench = bench(SERVES, Handing::Beside);
    assert_eq!(bench.unit.seen().state, ServerState::Stopped);
    bench.unit.order(Order::Start).await.unwrap();
    let seen = bench.unit.seen();
    assert_eq!((seen.state, seen.ready.servers), (ServerState::Running, vec![("mta".into(), vec![25])]));
    bench.unit.order(Order::Start).await.unwrap();
    assert_eq!(bench.unit.seen().pid, seen.pid, "one that runs is left alone");
    bench.unit.order(Order::Stop).await.unwrap();
    assert_eq!(bench.unit.seen().state, ServerState::Stopped);
    assert!(!there(seen.pid.unwrap()) && bench.notes() == 0);
    assert!(bench.folder.path().join("closed").exists(), "its ports stay open");
}

#[tokio::test]
async fn one_that_is_killed_comes_back_and_leaves_a_note_and_no_zombie() {
    let bench = bench(SERVES, Handing::Beside);
    bench.unit.order(Order::Start).await.unwrap();
    let first = bench.unit.seen().pid.unwrap();
    kill(first);
    bench.until(|seen| seen.state == ServerState::Running && seen.pid != Some(first)).await;
    assert!(!there(first));
    assert_eq!(bench.notes(), 1);
    let said = bench.logged("ProcServerDied");
    assert!(said.len() == 1 && said[0].contains("signal: 9") && said[0].contains("crash."), "{said:?}");
    bench.unit.order(Order::Stop).await.unwrap();
}

#[tokio::test]
async fn one_that_keeps_dying_is_given_up_loudly_and_can_be_started_by_hand() {
    let bench = bench("echo ready 1.0 >&0; echo I am ill >&2; exit 7", Handing::After);
    // Whether its word or its end is seen first is the system's choice.
    let _ = bench.unit.order(Order::Start).await;
    bench.until(|seen| seen.state == ServerState::Stopped).await;
    assert_eq!(bench.logged("ProcServerGivenUp").len(), 1);
    let failed = [bench.logged("ProcServerDied"), bench.logged("ProcStartFailed")].concat();
    assert_eq!(failed.len(), super::super::backoff::LIMIT);
    let told = |line: &String| line.contains("exit status: 7") && line.contains("I am ill");
    assert!(failed.iter().all(told), "{failed:?}");
    *bench.shell.text.lock().unwrap() = SERVES;
    bench.unit.order(Order::Start).await.unwrap();
    assert_eq!(bench.unit.seen().state, ServerState::Running);
    bench.unit.order(Order::Stop).await.unwrap();
}

#[tokio::test]
async fn a_start_that_fails_says_why_and_is_tried_again() {
    let bench = bench("echo no disk >&2; exit 3", Handing::After);
    let why = bench.unit.order(Order::Start).await.unwrap_err();
    assert!(
        why.contains("mta did not start") && why.contains("exit status: 3") && why.contains("no disk"),
        "{why}"
    );
    assert_eq!(bench.logged("ProcStartFailed").len(), 1);
    *bench.shell.text.lock().unwrap() = SERVES;
    bench.until(|seen| seen.state == ServerState::Running).await;
    bench.unit.order(Order::Stop).await.unwrap();
}

#[tokio::test]
async fn a_restart_beside_begins_the_new_one_before_the_old_one_ends() {
    // Whoever starts second writes down whether the first is still there.
    let text = "if [ -f old ]; then kill -0 $(cat old) && echo yes > both; fi; echo $$ > old;
                echo ready 1.0 >&0; exec sleep 1000";
    for (handing, both) in [(Handing::Beside, true), (Handing::After, false)] {
        let bench = bench(text, handing);
        bench.unit.order(Order::Start).await.unwrap();
        let old = bench.unit.seen().pid.unwrap();
        bench.unit.order(Order::Restart).await.unwrap();
        assert_ne!(bench.unit.seen().pid, Some(old));
        assert!(!there(old), "the old one has ended when the restart answers");
        assert_eq!(bench.folder.path().join("both").exists(), both, "{handing:?}");
        assert_eq!(bench.notes(), 0, "it was told to end");
        assert!(!bench.folder.path().join("closed").exists(), "its ports were closed in between");
        bench.unit.order(Order::Stop).await.unwrap();
    }
}

#[tokio::test]
async fn where_the_new_one_does_not_become_ready_the_old_one_goes_on() {
    let bench = bench(SERVES, Handing::Beside);
    bench.unit.order(Order::Start).await.unwrap();
    let old = bench.unit.seen();
    *bench.shell.text.lock().unwrap() = "echo bad key >&2; exit 1";
    let why = bench.unit.order(Order::Restart).await.unwrap_err();
    assert!(why.contains("the old one goes on") && why.contains("bad key"), "{why}");
    let seen = bench.unit.seen();
    assert_eq!((seen.state, seen.pid), (ServerState::Running, old.pid));
    bench.unit.order(Order::Stop).await.unwrap();
}

#[tokio::test]
async fn a_start_that_hangs_ends_with_the_site() {
    let bench = bench("trap '' TERM; sleep 1000", Handing::After);
    let unit = bench.unit.clone();
    let pending = unit.begin(Order::Start).await;
    bench.until(|seen| seen.pid.is_some()).await;
    let pid = bench.unit.seen().pid.unwrap();
    bench.env.tasks.stop();
    assert!(pending.wait().await.unwrap_err().contains("stopping"));
    assert!(!there(pid));
}
