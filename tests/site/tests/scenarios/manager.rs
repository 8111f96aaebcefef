//! The servers of a host under their manager, each a process of its own: what dies comes back and the others go on, what
//! is restarted refuses nobody, what is stopped leaves nothing, and commands find who can carry them out.

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use site::connection::Connection;
use site::imap::Imap;
use site::pop3::Pop3;
use site::program::{ALICE, Service, Site, Wish, now};
use site::smtp::Smtp;
use site::tools::{said, until};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// What is promised of `imservping`: a server that hangs is reported within this.
const REPORTED: Duration = Duration::from_secs(5);
/// From the order to stop until all has ended.
const STOPPED: Duration = Duration::from_secs(10);
/// The services whose ports are watched while servers go and come.
const WATCHED: [Service; 3] = [Service::Smtp, Service::Pop3, Service::Imap];

/// The servers in start order.
const SERVERS: [&str; 7] =
    ["imconfserv", "imdircacheserv", "mss", "imqueueserv", "mta", "popserv", "imapserv"];

/// A site under a manager. Mail that had to wait comes as soon as it can.
fn managed() -> Result<Site> {
    managed_as(Wish::default())
}

fn managed_as(wish: Wish) -> Result<Site> {
    let mut site = wish.entry("/*/mta/outboundDeferProcessInitialWait: [0]").start()?;
    site.stop()?;
    site.start_managed()?;
    Ok(site)
}

/// What `imservdisplay` says of a server.
fn shown(site: &Site, server: &str) -> Result<Value> {
    let said = site.command(&["imservdisplay", "-json"])?;
    ensure!(said.status.success(), "{}", site::tools::said(&said));
    let all: Vec<Value> = serde_json::from_slice(&said.stdout)?;
    all.into_iter().find(|shown| shown["server"] == server).with_context(|| format!("{server} is not shown"))
}

fn pid(site: &Site, server: &str) -> Result<Pid> {
    let shown = shown(site, server)?;
    let pid = shown["pid"].as_i64().with_context(|| format!("no process: {shown}"))?;
    Ok(Pid::from_raw(i32::try_from(pid)?))
}

/// Processes that the manager has begun, zombies included.
fn children(site: &Site) -> Result<Vec<String>> {
    let manager = site.pid().context("no manager")?;
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // `pid (name) state ppid`; the name is free text.
        let after = stat.rsplit_once(") ").map(|(_, after)| after).unwrap_or_default();
        if after.split(' ').nth(1).and_then(|parent| parent.parse().ok()) == Some(manager) {
            found.push(stat);
        }
    }
    Ok(found)
}

/// What came of clients that went on while `work` was done.
struct Load {
    /// Connections that were refused, or closed without a greeting.
    refused: Vec<String>,
    /// Connections that were greeted.
    greeted: usize,
    /// Messages that were acknowledged.
    acknowledged: Vec<usize>,
    /// Messages whose fate the client does not know: the connection broke after it had sent them.
    unknown: Vec<usize>,
}

/// Connects to every watched port again and again, and sends mail with a number each, while `work` is done.
fn under_load(site: &Site, work: impl FnOnce() -> Result<()>) -> Result<Load> {
    let (done, greeted) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let knock = |service: Service| {
            let (done, greeted) = (&done, &greeted);
            scope.spawn(move || {
                let mut refused = Vec::new();
                while !done.load(Ordering::Relaxed) {
                    match Connection::open(site.port(service)) {
                        // A greeting may be lost where a process is killed with the connection in its hands.
                        Ok(mut connection) => {
                            drop(connection.line().map(|_| greeted.fetch_add(1, Ordering::Relaxed)))
                        }
                        Err(error) => refused.push(format!("{service:?}: {error:#}")),
                    }
                }
                refused
            })
        };
        let knocking: Vec<_> = WATCHED.into_iter().map(knock).collect();
        let sending = scope.spawn(|| {
            let (mut acknowledged, mut unknown, mut number) = (Vec::new(), Vec::new(), 0);
            while !done.load(Ordering::Relaxed) {
                let Ok(mut smtp) = Smtp::connect(site, Service::Smtp) else { continue };
                loop {
                    number += 1;
                    let message = format!("Subject: number {number}\r\n\r\nbody\r\n");
                    match smtp.deliver("a@remote.test", &[ALICE.address], message.as_bytes()) {
                        Ok(_) => acknowledged.push(number),
                        Err(_) => {
                            unknown.push(number);
                            break;
                        }
                    }
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                }
            }
            (acknowledged, unknown)
        });
        let before = until("clients are greeted", || Ok(greeted.load(Ordering::Relaxed) > 20));
        let worked = before.and_then(|()| work());
        let mark = greeted.load(Ordering::Relaxed);
        let after = worked.and_then(|()| {
            until("clients are greeted again", || Ok(greeted.load(Ordering::Relaxed) > mark + 20))
        });
        done.store(true, Ordering::Relaxed);
        let refused = knocking.into_iter().flat_map(|client| client.join().unwrap_or_default()).collect();
        let (acknowledged, unknown) = sending.join().map_err(|_| anyhow::anyhow!("the sender panicked"))?;
        after?;
        Ok(Load { refused, greeted: greeted.load(Ordering::Relaxed), acknowledged, unknown })
    })
}

/// Every acknowledged message comes to be in the mailbox, once, and no other but those of unknown fate, at most once. What
/// could not be delivered at once comes from the queue.
fn reconcile(site: &Site, load: &Load) -> Result<()> {
    until("all that was acknowledged is there", || {
        let times = mailbox(site)?;
        Ok(load.acknowledged.iter().all(|number| times.contains_key(number)))
    })?;
    for (number, times) in &mailbox(site)? {
        ensure!(*times == 1, "message {number} is there {times} times");
        ensure!(load.acknowledged.contains(number) || load.unknown.contains(number), "nobody sent {number}");
    }
    Ok(())
}

/// How often each number is in the mailbox.
fn mailbox(site: &Site) -> Result<HashMap<usize, usize>> {
    let mut imap = Imap::login(site, ALICE)?;
    imap.select("INBOX")?;
    let mut times: HashMap<usize, usize> = HashMap::new();
    for said in imap.must("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")? {
        let literals = said.literals.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        for text in literals.chain([said.text.clone()]) {
            let number =
                text.split("number ").nth(1).map(|rest| rest.trim().split(char::is_whitespace).next());
            if let Some(number) = number.flatten().and_then(|number| number.parse().ok()) {
                *times.entry(number).or_default() += 1;
            }
        }
    }
    Ok(times)
}

/// Kills a server, and returns when it serves again as another process.
fn kill_and_wait(site: &Site, server: &str) -> Result<()> {
    let before = pid(site, server)?;
    kill(before, Signal::SIGKILL)?;
    until("another process", || {
        let shown = shown(site, server)?;
        Ok(shown["state"] == "running" && shown["pid"].as_i64() != Some(before.as_raw().into()))
    })
}

#[test]
fn its_8718_a_manager_runs_each_server_as_a_process_and_excludes_every_other_daemon() -> Result<()> {
    let mut site = managed()?;
    let manager = site.pid().context("no manager")?;
    let mut processes = BTreeSet::from([Pid::from_raw(i32::try_from(manager)?)]);
    for server in SERVERS {
        let shown = shown(&site, server)?;
        ensure!(shown["state"] == "running" && shown["version"] == env!("CARGO_PKG_VERSION"), "{shown}");
        ensure!(processes.insert(pid(&site, server)?), "{server} shares its process");
    }
    let ports = &shown(&site, "imapserv")?["ports"];
    ensure!(ports.to_string().contains(&site.port(Service::Imap).to_string()), "{ports}");
    // From the front end to the store, and back to the other two.
    site::smtp::deliver(&site, ALICE, b"Subject: x\r\n\r\nx\r\n")?;
    let mut pop = Pop3::login(&site, ALICE)?;
    ensure!(pop.count()? == 1 && String::from_utf8(pop.lines("RETR 1")?)?.contains("Subject: x"));
    pop.command("QUIT")?;
    let mut imap = Imap::login(&site, ALICE)?;
    ensure!(imap.select("INBOX")? == 1 && String::from_utf8(imap.fetch(1)?)?.contains("Subject: x"));
    ensure!(site.must(&["imservctrl", "status"])?.contains("running"));
    let second = site::program::program()?;
    for verb in ["serve", "manage"] {
        let mut command = std::process::Command::new(&second);
        command.arg(verb).arg("--site").arg(site.path()).stdin(std::process::Stdio::null());
        let refused = site::tools::output(command)?;
        ensure!(
            !refused.status.success() && said(&refused).contains(&manager.to_string()),
            "{verb}: {}",
            said(&refused)
        );
    }
    site.stop()?;
    site.start()
}

#[test]
fn its_18571_pid_files_and_sockets_are_private() -> Result<()> {
    let site = managed()?;
    let mut seen = 0;
    for entry in fs::read_dir(site.path().join("run"))? {
        let entry = entry?;
        let mode = entry.metadata()?.permissions().mode() & 0o777;
        ensure!(mode == 0o600, "{}: {mode:o}", entry.path().display());
        seen += 1;
    }
    ensure!(seen >= 5, "pid files and sockets of manager and servers are missing");
    let held = fs::read_to_string(site.path().join("run/immgrserv.pid"))?;
    ensure!(held.trim() == site.pid().unwrap_or(0).to_string(), "{held}");
    Ok(())
}

#[test]
fn its_16234_every_server_that_is_killed_under_load_comes_back_and_the_others_go_on() -> Result<()> {
    let site = managed()?;
    let load = under_load(&site, || {
        for server in SERVERS {
            let others = SERVERS.iter().filter(|other| **other != server);
            let others: Vec<_> =
                others.map(|other| Ok((*other, pid(&site, other)?))).collect::<Result<_>>()?;
            kill_and_wait(&site, server)?;
            for (other, process) in others {
                ensure!(pid(&site, other)? == process, "{other} went with {server}");
            }
        }
        Ok(())
    })?;
    // The sockets stay open while nobody accepts: who comes then waits.
    ensure!(load.refused.is_empty(), "{:?}", load.refused);
    ensure!(load.greeted > 40 && load.acknowledged.len() > 5, "no load");
    reconcile(&site, &load)?;
    let children = children(&site)?;
    ensure!(children.len() == SERVERS.len() && children.iter().all(|s| !s.contains(") Z ")), "{children:?}");
    until("each death is in the log", || Ok(site.logged("ProcServerDied")?.len() == SERVERS.len()))?;
    site.must(&["imservping"]).map(drop)
}

#[test]
fn what_a_crash_leaves_is_kept_under_a_name_of_its_own() -> Result<()> {
    let site = managed()?;
    for _ in 0..3 {
        kill_and_wait(&site, "mta")?;
    }
    let died = site.event("ProcServerDied")?;
    ensure!(died.contains("signal: 9"), "{died}");
    let kept = died.split("kept=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    let note = fs::read_to_string(Path::new(kept))?;
    ensure!(note.contains("signal: 9"), "{note}");
    let folder = Path::new(kept).parent().context("no folder")?;
    let notes =
        fs::read_dir(folder)?.flatten().filter(|e| e.file_name().to_string_lossy().starts_with("crash."));
    ensure!(notes.count() == 3, "a later crash has overwritten an earlier one");
    Ok(())
}

#[test]
fn a_restart_of_every_server_in_turn_refuses_nobody_and_loses_no_mail() -> Result<()> {
    let site = managed()?;
    let mut longest = Duration::ZERO;
    let load = under_load(&site, || {
        for server in SERVERS {
            let before = pid(&site, server)?;
            let begun = now();
            let said = site.must(&["imservctrl", "restart", server])?;
            longest = longest.max(begun.elapsed());
            ensure!(said.contains(&format!("{server} restarted")), "{said}");
            ensure!(pid(&site, server)? != before, "{server} is still the same process");
        }
        Ok(())
    })?;
    let Load { refused, greeted, acknowledged, unknown } = &load;
    println!("longest restart {longest:?}, {greeted} greeted");
    println!("{} messages acknowledged, {} not", acknowledged.len(), unknown.len());
    ensure!(refused.is_empty(), "{refused:?}");
    ensure!(*greeted > 40 && acknowledged.len() > 5, "no load");
    reconcile(&site, &load)
}

/// What the configuration server says of each process; that some are apart is in it.
fn drift(site: &Site) -> Result<Vec<Value>> {
    let said = site.command(&["imconfcontrol", "-drift", "-json"])?;
    let value: Value = serde_json::from_slice(&said.stdout).with_context(|| site::tools::said(&said))?;
    value["processes"].as_array().cloned().with_context(|| value.to_string())
}

#[test]
fn commands_reach_the_process_that_can_carry_them_out() -> Result<()> {
    let site = managed()?;
    site::smtp::deliver(&site, ALICE, b"Subject: x\r\n\r\nx\r\n")?;
    let stats = site.must(&["imboxstats", ALICE.address])?;
    ensure!(stats.contains("Total Messages Stored: 1"), "{stats}");
    site.must(&["imdbcontrol", "ca", "carol", "-", "-", "carol", "secret", "clear", "example.test"])?;
    // What is tried is watched by the configuration server, over all processes of the host.
    let tried = site.must(&[
        "imconfcontrol",
        "-stage",
        "localhost",
        "-watch",
        "2",
        "-key",
        "/*/mta/maxMessageSize=7000",
    ])?;
    ensure!(tried.contains("localhost stayed well for 2 s"), "{tried}");
    until("every process has it", || {
        let processes = drift(&site)?;
        let pids: BTreeSet<_> = processes.iter().filter_map(|process| process["pid"].as_u64()).collect();
        ensure!(pids.len() == SERVERS.len(), "{processes:?}");
        Ok(processes.iter().all(|process| process["current"] == true))
    })?;
    // A backup has the parts of three processes.
    let folder = site.scratch().join("backup").display().to_string();
    let made = site.must(&["imdbhotbackup", &folder])?;
    ensure!(made.contains("Generation 1 of "), "{made}");
    let verified: Value =
        serde_json::from_str(&site.must(&["imdbhotbackup", "-verify", &folder, "-json"])?)?;
    ensure!(verified["damaged"] == 0 && verified["shards"].as_u64() >= Some(2), "{verified}");
    let (mut again, restored) = (0, site.scratch().join("restored"));
    site.must(&["imdbhotbackup", "-restore", &restored.display().to_string(), &folder])?;
    for part in ["directory/isd.db", "mss", "imqueueserv", "config/config.db"] {
        again += usize::from(restored.join(part).exists());
    }
    ensure!(again == 4, "parts are missing in the backup");
    // A server that was stopped is not asked, and is the operator's to start again.
    site.must(&["imservctrl", "stop", "popserv"])?;
    let processes = drift(&site)?;
    ensure!(processes.len() == SERVERS.len() - 1, "{processes:?}");
    ensure!(Connection::open(site.port(Service::Pop3)).is_err(), "a server that was stopped has its port");
    site.must(&["imservctrl", "start", "popserv"])?;
    Pop3::login(&site, ALICE).map(drop)
}

#[test]
fn the_metrics_of_all_processes_are_one_page_of_their_host() -> Result<()> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let site = managed_as(Wish::default().entry(&format!("/*/common/metricsPort: [{port}]")))?;
    site::smtp::deliver(&site, ALICE, b"Subject: x\r\n\r\nx\r\n")?;
    let _imap = Imap::login(&site, ALICE)?;
    let page = http(port, "/metrics")?;
    for line in [
        "intermail_messages_received_total{process=\"mta\"} 1",
        "intermail_sessions{process=\"imapserv\",server=\"imapserv\"} 1",
        "intermail_queue_items{process=\"imqueueserv\"} 0",
    ] {
        ensure!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
    }
    for process in SERVERS.iter().chain(&["immgrserv"]) {
        ensure!(page.contains(&format!("intermail_build_info{{process=\"{process}\"")), "{process}");
    }
    let kinds: Vec<_> = page.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    ensure!(kinds.len() == kinds.iter().collect::<BTreeSet<_>>().len(), "a family stands twice");
    Ok(())
}

/// The answer to a request.
fn http(port: u16, path: &str) -> Result<String> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    connection.set_read_timeout(Some(REPORTED))?;
    write!(connection, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    connection.read_to_string(&mut text)?;
    Ok(text)
}

/// A site whose manager was begun by a command, and is no child of the test.
struct Begun<'a>(&'a Site);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        // A test that failed must not leave it behind.
        let _ = self.0.command(&["imservctrl", "stop"]);
    }
}

#[test]
fn its_22569_the_process_in_the_log_is_the_process_that_is_shown() -> Result<()> {
    let site = managed()?;
    for server in ["mss", "mta", "imapserv"] {
        let shown = pid(&site, server)?;
        until("the line of its start", || {
            let lines = site.logged("ProcServerStarted")?;
            Ok(lines.iter().any(|line| line.contains(&format!(" {server}[{shown}] "))))
        })?;
        let status = fs::read_to_string(format!("/proc/{shown}/status"))?;
        let thread_group = status.lines().find(|line| line.starts_with("Tgid:")).unwrap_or_default();
        ensure!(thread_group.ends_with(&format!("\t{shown}")), "{thread_group}");
    }
    Ok(())
}

#[test]
fn its_18083_its_20266_its_18712_imservctrl_works_through_the_manager_and_says_what_is_true() -> Result<()> {
    let mut site = Site::fresh()?;
    site.stop()?;
    let file = site.path().join("config/config.db");
    let text = fs::read_to_string(&file)?;
    fs::write(&file, format!("{text}/localhost/sysadmin/immgrserv_run: [on]\n"))?;
    let _begun = Begun(&site);
    let log = site.path().join("log");
    fs::set_permissions(&log, fs::Permissions::from_mode(0o751))?;
    let said = site.must(&["imservctrl", "start"])?;
    ensure!(said.contains("mta started") && said.contains("imapserv started"), "{said}");
    let manager = fs::read_to_string(site.path().join("run/immgrserv.pid"))?;
    let before = pid(&site, "mta")?;
    ensure!(before.to_string() != manager.trim(), "no process of its own");
    ensure!(site.must(&["imservctrl", "restart"])?.contains("mta restarted"));
    ensure!(pid(&site, "mta")? != before, "it was not restarted");
    ensure!(fs::read_to_string(site.path().join("run/immgrserv.pid"))? == manager, "the manager went, too");
    ensure!(site.must(&["imctrl", "localhost", "restart", "mta"])?.contains("mta restarted on localhost"));
    ensure!(site.must(&["imservctrl", "killStart"])?.contains("mta started"));
    ensure!(fs::metadata(&log)?.permissions().mode() & 0o777 == 0o751, "it changed what it need not");
    ensure!(site.must(&["imservctrl", "stop"])?.contains("mta stopped"));
    ensure!(!site.command(&["imservctrl", "status"])?.status.success());
    Ok(())
}

#[test]
fn a_start_that_fails_is_told_with_its_reason_and_exit_code() -> Result<()> {
    let site = managed()?;
    let file = site.path().join("directory/isd.db");
    let aside = site.path().join("directory/aside.db");
    // What the server stands on is broken while it is away.
    let before = pid(&site, "imdircacheserv")?;
    fs::rename(&file, &aside)?;
    for rest in ["-wal", "-shm"] {
        let _ = fs::remove_file(site.path().join(format!("directory/isd.db{rest}")));
    }
    fs::create_dir(&file)?;
    let failed = site.command(&["imservctrl", "restart", "imdircacheserv"])?;
    let told = said(&failed);
    ensure!(!failed.status.success(), "{told}");
    for part in ["did not start", "exit status: 1", "isd.db"] {
        ensure!(told.contains(part), "{part} is not in: {told}");
    }
    ensure!(site.event("ProcStartFailed")?.contains("exit status: 1"));
    fs::remove_dir(&file)?;
    fs::rename(&aside, &file)?;
    // It comes back by itself.
    until("it serves again", || Ok(shown(&site, "imdircacheserv")?["state"] == "running"))?;
    ensure!(pid(&site, "imdircacheserv")? != before);
    site.must(&["imservping"]).map(drop)
}

#[test]
fn a_server_that_hangs_is_reported_within_five_seconds() -> Result<()> {
    let site = managed()?;
    let hung = pid(&site, "mta")?;
    kill(hung, Signal::SIGSTOP)?;
    let begun = now();
    let pinged = site.command(&["imservping"]);
    let took = begun.elapsed();
    kill(hung, Signal::SIGCONT)?;
    let pinged = pinged?;
    ensure!(took < REPORTED, "{took:?}");
    ensure!(said(&pinged).contains("(Alarm) server mta did not respond"), "{}", said(&pinged));
    until("it responds again", || Ok(site.command(&["imservping", "mta"])?.status.success()))
}

#[test]
fn its_15871_a_stop_ends_every_process_in_time_with_sessions_open() -> Result<()> {
    let mut site = managed()?;
    let mut open: Vec<Connection> = Vec::new();
    for service in WATCHED {
        open.push(Connection::open(site.port(service))?);
    }
    let processes: Vec<Pid> = SERVERS.iter().map(|server| pid(&site, server)).collect::<Result<_>>()?;
    let took = site.stop()?;
    ensure!(took < STOPPED, "{took:?}");
    for process in processes {
        ensure!(kill(process, None).is_err(), "process {process} is still there");
    }
    for service in WATCHED {
        ensure!(Connection::open(site.port(service)).is_err(), "{service:?} is still open");
    }
    Ok(())
}

#[test]
fn servers_whose_manager_is_killed_end_and_the_next_manager_serves() -> Result<()> {
    let mut site = managed()?;
    let orphan = pid(&site, "mss")?;
    site.kill()?;
    site.start_managed()?;
    ensure!(pid(&site, "mss")? != orphan, "the orphan serves");
    // Whoever inherits it buries it in its own time: what counts is that it runs no more.
    let stat = fs::read_to_string(format!("/proc/{orphan}/stat")).unwrap_or_default();
    ensure!(stat.is_empty() || stat.contains(") Z "), "the orphan is still there: {stat}");
    Ok(())
}
