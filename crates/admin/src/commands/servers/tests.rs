//! The server commands over scripted servers, and `imservctrl` over a daemon that is one in all but its servers.

use crate::command::Exit;
use crate::commands::ALL;
use crate::connect::daemon_process;
use crate::control_socket::{Served, bind, serve};
use crate::site::Site;
use crate::testing::roles::Double;
use crate::testing::{Run, run, run_at};
use control::lock_file::LockFile;
use env::tasks::Tasks;
use serde_json::Value;
use std::sync::Arc;
use tempfile::TempDir;

const ALL_OFF: &str = "/*/sysadmin/imconfserv_run: [off]\n/*/sysadmin/imdircacheserv_run: [off]\n/*/sysadmin/mss_run: [off]\n\
                       /*/sysadmin/imqueueserv_run: [off]\n/*/sysadmin/imapserv_run: [off]\n";

async fn with_daemon(line: &str, double: &Double) -> Run {
    run(line).with_configuration(ALL_OFF).with_roles(double.clone()).done().await
}

#[tokio::test]
async fn ping_tells_who_responds_and_counts_who_does_not() {
    let double = Double::default();
    let fine = with_daemon("imservping", &double).await;
    let said = "imservping: (Info) mta responded\nimservping: (Info) popserv responded\n";
    assert_eq!((fine.exit, fine.output().as_str()), (Exit::OK, said));
    double.stop("mta");
    let ill = with_daemon("imservping mta POPSERV", &double).await;
    assert_eq!(ill.exit, Exit(1));
    assert!(ill.output().starts_with("imservping: (Alarm) server mta did not respond: no answer in time\n"));
    let ill = with_daemon("imservping -json", &double).await;
    let all: Value = serde_json::from_str(&ill.output()).unwrap();
    assert_eq!((&all[0]["failure"], &all[1]["failure"]), (&"no answer in time".into(), &Value::Null));
    assert_eq!(with_daemon("imservping httpd", &double).await.exit, Exit::USAGE);
}

#[tokio::test]
async fn ping_without_a_daemon_is_an_alarm_for_each_server() {
    let down = run("imservping").with_configuration(ALL_OFF).done().await;
    assert_eq!(down.exit, Exit(2));
    assert!(down.output().contains("(Alarm) server popserv did not respond: the site is not running"));
}

#[tokio::test]
async fn display_has_every_field() {
    let double = Double::default();
    double.stop("popserv");
    let text = with_daemon("imservdisplay", &double).await.output();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["Host", "Server", "State", "Pid", "Ports", "Version", "Uptime"]);
    assert_eq!(lines[1], ["mars", "mta", "running", "27650", "25,587", "0.1.0", "1d", "2h"]);
    assert_eq!(lines[2], ["mars", "popserv", "stopped", "-", "110", "-", "-"]);
    let down = run("imservdisplay").with_configuration(ALL_OFF).done().await;
    assert_eq!((down.exit, down.output().matches("stopped").count()), (Exit::OK, 2));
}

#[tokio::test]
async fn imctrl_answers_for_each_host_and_server() {
    let double = Double::default();
    let done = with_daemon("imctrl mars stop popserv", &double).await;
    assert_eq!((done.exit, done.output().as_str()), (Exit::OK, "imctrl: popserv stopped on mars\n"));
    let done = with_daemon("imctrl allhosts stopStart popserv mta", &double).await;
    assert_eq!(done.output(), "imctrl: popserv restarted on mars\nimctrl: mta restarted on mars\n");
    let failed = with_daemon("imctrl mars,venus start popserv", &double).await;
    assert_eq!((failed.exit, failed.output().as_str()), (Exit::FAILED, "imctrl: popserv started on mars\n"));
    assert_eq!(failed.errors(), "imctrl: *** SERVER popserv does not run on HOST(S) venus ***\n");
    for line in ["imctrl mars", "imctrl mars stop", "imctrl mars bounce mta", "imctrl mars stop httpd"] {
        assert_eq!(with_daemon(line, &double).await.exit, Exit::USAGE, "{line}");
    }
}

/// A site whose daemon is this test's process.
struct Daemon {
    site: Arc<Site>,
    double: Double,
    folder: TempDir,
    _pid: LockFile,
}

fn daemon() -> Daemon {
    let folder = tempfile::tempdir().unwrap();
    for below in ["config", "run", "log"] {
        std::fs::create_dir(folder.path().join(below)).unwrap();
    }
    std::fs::write(folder.path().join("config/config.db"), ALL_OFF).unwrap();
    let (site, tasks, double) =
        (Arc::new(Site::open(folder.path()).unwrap()), Tasks::new(), Double::default());
    let pid = LockFile::take(&site.pid_file()).unwrap();
    let listener = bind(&site.control_socket()).unwrap();
    let served =
        Served { site: Arc::clone(&site), roles: double.roles().into(), commands: ALL, tasks: tasks.clone() };
    tasks.spawn(serve(listener, served));
    Daemon { site, double, folder, _pid: pid }
}

#[tokio::test]
async fn imservctrl_says_what_is_true_of_each_server() {
    let daemon = daemon();
    let at = |line: &str| run_at(line, daemon.folder.path());
    let status = at("imservctrl status").done().await;
    assert_eq!(status.exit, Exit::OK);
    assert!(status.output().ends_with("imservctrl: done\n"), "{}", status.output());
    let stop = at("imservctrl stop popserv").done().await;
    assert_eq!(
        (stop.exit, stop.output().as_str()),
        (Exit::OK, "imservctrl: popserv stopped\nimservctrl: done\n")
    );
    assert_eq!(at("imservctrl status").done().await.exit, Exit::FAILED);
    let start = at("imservctrl start").done().await;
    let said = "imservctrl: mta already running\nimservctrl: popserv started\nimservctrl: done\n";
    assert_eq!((start.exit, start.output().as_str()), (Exit::OK, said));
    let restart = at("imservctrl startStop popserv").done().await;
    assert_eq!(restart.output(), "imservctrl: popserv restarted\nimservctrl: done\n");
    daemon.double.stop("mta");
    let failed = at("imservctrl restart imapserv").done().await;
    assert_eq!(failed.exit, Exit::FAILED);
    assert_eq!(failed.errors(), "imservctrl: imapserv: server imapserv does not run on this host\n");
    assert!(failed.output().ends_with("imservctrl: done, with failures\n"));
}

#[tokio::test]
async fn the_daemon_is_the_process_that_listens() {
    let daemon = daemon();
    let own = std::process::id();
    assert_eq!(daemon_process(&daemon.site).await.unwrap().unwrap().pid(), own);
    std::fs::remove_file(daemon.site.control_socket()).unwrap();
    assert_eq!(daemon_process(&daemon.site).await.unwrap().unwrap().pid(), own, "by its pid file");
}

#[tokio::test]
async fn nothing_is_stopped_where_nothing_runs() {
    let stop = run("imservctrl stop").with_file("run/intermail.pid", "1\n").done().await;
    let said = "imservctrl: the site was not running\nimservctrl: done\n";
    assert_eq!((stop.exit, stop.output().as_str()), (Exit::OK, said));
    assert_eq!(run("imservctrl status").done().await.exit, Exit::FAILED);
    assert_eq!(run("imservctrl bounce").done().await.exit, Exit::USAGE);
    assert_eq!(run("imservctrl stop httpd").done().await.exit, Exit::USAGE);
}
