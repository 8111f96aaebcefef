use super::*;
use crate::command::{Exit, Grammar, Group, Outcome, Place};
use crate::connect::Daemon;
use crate::context::{Context, Failure};
use crate::output::PIECE;
use crate::testing::Script;
use crate::testing::roles::Double;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::fs::PermissionsExt as _;
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;

const fn row(name: &'static str, place: Place, run: crate::command::Run) -> Command {
    Command {
        name,
        aliases: &[],
        group: Group::General,
        summary: "Tests",
        about: "Tests.",
        usage: &["[-json]"],
        options: &[],
        words: &[],
        examples: &[],
        exits: &[],
        place,
        unavailable: Exit(75),
        grammar: Grammar::Mixed,
        run,
    }
}

static COMMANDS: &[&Command] = &[
    &row("echo", Place::Daemon, |context| Box::pin(echo(context))),
    &row("lines", Place::Daemon, |context| Box::pin(lines(context))),
    &row("flood", Place::Daemon, |context| Box::pin(flood(context))),
    &row("fail", Place::Daemon, |_| Box::pin(async { Err(Failure::because("it is broken")) })),
    &row("hang", Place::Daemon, |_| Box::pin(std::future::pending())),
    &row("here", Place::Here, |_| Box::pin(async { Ok(Exit::OK) })),
];

async fn echo(context: &mut Context) -> Outcome {
    while let Some(piece) = context.console.read().await? {
        context.console.bytes(&piece).await?;
    }
    Ok(Exit(7))
}

/// Answers every line at once, as a batch does.
async fn lines(context: &mut Context) -> Outcome {
    let mut failed = false;
    while let Some(line) = context.console.read_line().await? {
        if line.starts_with("bad") {
            failed = true;
            context.console.error(format!("{line} is bad")).await?;
        } else {
            context.console.line(line.to_uppercase()).await?;
        }
    }
    Ok(if failed { Exit::FAILED } else { Exit::OK })
}

async fn flood(context: &mut Context) -> Outcome {
    for n in 0..400_000 {
        context.console.line(format!("{n:09}")).await?;
    }
    Ok(Exit::OK)
}

struct Running {
    site: Arc<Site>,
    tasks: Tasks,
    _folder: TempDir,
}

/// A daemon that takes commands, in a folder as deep as given.
fn daemon(below: &str) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join(below);
    std::fs::create_dir_all(site.join("run")).unwrap();
    let site = Arc::new(Site::open(&site).unwrap());
    let listener = bind(&site.control_socket()).unwrap();
    let tasks = Tasks::new();
    let (roles, commands) = (Double::default().roles().into(), COMMANDS);
    tasks.spawn(serve(listener, Served { site: Arc::clone(&site), roles, commands, tasks: tasks.clone() }));
    Running { site, tasks, _folder: folder }
}

fn request(name: &str) -> Request {
    Request { revision: REVISION, name: name.into(), line: Vec::new(), colour: false }
}

async fn run(running: &Running, name: &str, script: &Script) -> anyhow::Result<Exit> {
    let daemon = Daemon::call(&running.site, request(name)).await?.expect("a daemon");
    daemon.attend(&mut script.clone()).await
}

#[tokio::test]
async fn input_goes_there_and_output_comes_back_as_bytes() {
    let running = daemon("");
    let pieces: Vec<String> = (0..200).map(|n| format!("{n}\u{0}\n").repeat(3000)).collect();
    let script = Script::with_input(pieces.iter().map(String::as_str));
    assert_eq!(run(&running, "echo", &script).await.unwrap(), Exit(7));
    assert!(script.output() == pieces.concat());
}

#[tokio::test]
async fn a_batch_answers_line_by_line_and_tells_failure() {
    let running = daemon("");
    let script = Script::with_input(["one\nbad ap", "ple\r\ntw", "o"]);
    assert_eq!(run(&running, "lines", &script).await.unwrap(), Exit::FAILED);
    assert_eq!(
        (script.output().as_str(), script.errors().as_str()),
        ("ONE\nTWO\n", "lines: bad apple is bad\n")
    );
}

#[tokio::test]
async fn large_output_comes_whole_and_a_closed_pipe_ends_the_command() {
    let running = daemon("");
    let script = Script::default();
    assert_eq!(run(&running, "flood", &script).await.unwrap(), Exit::OK);
    assert_eq!(script.output().len(), 4_000_000);
    assert!(script.output().ends_with("000399999\n"));
    let script = Script::default();
    script.close_after(PIECE);
    assert_eq!(run(&running, "flood", &script).await.unwrap(), Exit::GONE);
    assert!(script.output().len() <= 3 * PIECE);
    assert_eq!(script.errors(), "");
}

#[tokio::test]
async fn a_failure_is_said_and_its_code_comes_back() {
    let running = daemon("");
    let script = Script::default();
    assert_eq!(run(&running, "fail", &script).await.unwrap(), Exit::FAILED);
    assert_eq!(script.errors(), "fail: it is broken\n");
}

#[tokio::test]
async fn what_the_daemon_does_not_run_is_refused() {
    let running = daemon("");
    let mut old = request("echo");
    old.revision = REVISION + 1;
    let mut wrong = request("echo");
    wrong.line = vec!["-bogus".into()];
    for (request, why) in [
        (old, "different releases"),
        (wrong, "unknown option -bogus"),
        (request("nothing"), "there is no command nothing"),
        (request("here"), "does not run in the daemon"),
    ] {
        let error = Daemon::call(&running.site, request).await.err().unwrap();
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[tokio::test]
async fn no_daemon_is_told_from_one_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::open(folder.path()).unwrap();
    assert!(Daemon::call(&site, request("echo")).await.unwrap().is_none());
    std::fs::create_dir(folder.path().join("run")).unwrap();
    drop(bind(&site.control_socket()).unwrap());
    assert!(
        Daemon::call(&site, request("echo")).await.unwrap().is_none(),
        "a socket that a dead daemon left"
    );
    bind(&site.control_socket()).unwrap();
}

#[tokio::test]
async fn the_socket_is_private_and_works_in_a_deep_folder() {
    let running = daemon(&"a-rather-long-name/".repeat(12));
    let data = std::fs::metadata(running.site.control_socket()).unwrap();
    assert!(data.file_type().is_socket());
    assert_eq!(data.permissions().mode() & 0o777, 0o600);
    let script = Script::with_input(["x"]);
    assert_eq!(run(&running, "echo", &script).await.unwrap(), Exit(7));
}

#[tokio::test]
async fn one_command_too_many_is_refused_and_a_lost_client_frees_its_place() {
    let running = daemon("");
    let mut hanging = Vec::new();
    for _ in 0..MAX_COMMANDS {
        hanging.push(Daemon::call(&running.site, request("hang")).await.unwrap().unwrap());
    }
    let error = Daemon::call(&running.site, request("echo")).await.err().unwrap();
    assert!(error.to_string().contains("too many commands"), "{error}");
    drop(hanging);
    while running.tasks.running() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(run(&running, "echo", &Script::default()).await.unwrap(), Exit(7));
}

#[tokio::test]
async fn a_daemon_that_stops_says_so() {
    let running = daemon("");
    let daemon = Daemon::call(&running.site, request("hang")).await.unwrap().unwrap();
    running.tasks.stop();
    let mut script = Script::default();
    assert_eq!(daemon.attend(&mut script).await.unwrap(), Exit(75));
    assert_eq!(script.errors(), "hang: the site is stopping\n");
    assert_eq!(running.tasks.drain(Duration::from_secs(5)).await, 0);
}

#[tokio::test]
async fn what_is_no_request_ends_the_connection() {
    let running = daemon("");
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"{\"input\":3}\nabc", b"\n"] {
        let mut stream = UnixStream::connect(running.site.control_socket()).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, bytes).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.is_empty());
    }
}
