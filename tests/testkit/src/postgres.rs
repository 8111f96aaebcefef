//! A PostgreSQL server of a test's own: in a folder of its own, on a socket of its own, under an ordinary user.
//!
//! It needs Debian's package `postgresql`, and uses nothing of the system's cluster. A shell between the test and the
//! server waits for the end of the test's process, however that comes, and ends the server then.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Where Debian puts the server's programs; the newest version is used.
const DEBIAN: &str = "/usr/lib/postgresql";
/// The server's user. Nobody else can come to the folder of its socket.
pub const USER: &str = "imail";
/// How long a start may take.
const START: Duration = Duration::from_secs(60);
/// Ends the server when the test has ended, and removes its folder. `$1` is the folder, the rest is the server.
const GUARD: &str = r#"folder=$1; shift
"$@" </dev/null >>"$folder/server.log" 2>&1 &
cat >/dev/null
kill -INT $! 2>/dev/null; wait $!
[ -e "$folder/keep" ] || rm -rf "$folder""#;

/// What a server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// Its data must survive its end.
    Durable,
    /// It may forget everything.
    Fast,
}

/// A server.
pub struct Postgres {
    folder: PathBuf,
    programs: PathBuf,
    care: Care,
    databases: AtomicU32,
    running: Mutex<Option<Child>>,
}

impl Postgres {
    /// The server that all tests of this process share. It is fast, not durable.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Care::Fast))
    }

    /// A new server, started.
    ///
    /// # Panics
    /// Where the server's programs are missing or do not work: says what to install.
    pub fn start(care: Care) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let programs = programs();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("intermail-pg-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let (databases, running) = (AtomicU32::new(0), Mutex::new(None));
        let server = Self { folder, programs, care, databases, running };
        server.make();
        server.start_again();
        server
    }

    /// A new, empty database; its address in the form of `storage::sql::postgres::Address`.
    pub fn database(&self) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.run("postgres", &format!("CREATE DATABASE {name}"));
        self.address(&name)
    }

    /// The address of a database of this server.
    pub fn address(&self, database: &str) -> String {
        format!("postgres://{USER}@/{database}?host={}", self.folder.display())
    }

    /// The folder of the socket.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a statement as an operator would, with `psql`; what it prints.
    ///
    /// # Panics
    /// Where it fails.
    pub fn run(&self, database: &str, sql: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", USER, "-d", database, "-c", sql]);
        let out = psql.arg("-h").arg(&self.folder).output().expect("psql");
        assert!(out.status.success(), "{sql}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    /// From now on this role must prove its password.
    ///
    /// # Panics
    /// Where the server does not take that.
    pub fn ask_password_of(&self, role: &str) {
        let file = self.folder.join("data/pg_hba.conf");
        let rules = std::fs::read_to_string(&file).expect("pg_hba.conf");
        std::fs::write(&file, format!("local all {role} scram-sha-256\n{rules}")).expect("pg_hba.conf");
        self.run("postgres", "SELECT pg_reload_conf()");
    }

    /// Ends the server at once, as `kill -9` of its first process does.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn kill(&self) {
        self.end("-KILL");
    }

    /// Ends the server in order, without waiting for those who are connected.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn stop(&self) {
        self.end("-INT");
    }

    fn end(&self, signal: &str) {
        let file = self.folder.join("data/postmaster.pid");
        let text = std::fs::read_to_string(&file).expect("the server runs");
        let pid = text.lines().next().expect("a process id").trim().to_owned();
        let kill = Command::new("sh").args(["-c", "kill \"$0\" \"$1\"", signal, &pid]).status().expect("sh");
        assert!(kill.success());
        let mut guard =
            self.running.lock().unwrap_or_else(PoisonError::into_inner).take().expect("a running server");
        // The guard must not take the folder along: the server is started again from it.
        std::fs::write(self.folder.join("keep"), "").expect("the folder can be written");
        drop(guard.stdin.take());
        guard.wait().expect("the guard ends");
        std::fs::remove_file(self.folder.join("keep")).expect("the folder can be written");
        if signal == "-KILL" {
            // Its children end by themselves when they see that it is gone; until then they hold its memory.
            wait_until("the rest of the killed server ends", || !self.is_worked_in());
            let _ = std::fs::remove_file(&file);
        }
    }

    /// Whether somebody still works in the folder of a server whose first process is gone.
    fn is_worked_in(&self) -> bool {
        let data = self.folder.join("data");
        let link = |entry: std::fs::DirEntry| std::fs::read_link(entry.path().join("cwd")).ok();
        let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
        processes.filter_map(link).any(|folder| folder == data)
    }

    /// Starts the server that was ended.
    ///
    /// # Panics
    /// Where it does not come up.
    pub fn start_again(&self) {
        let mut command = self.as_user("sh");
        command.args(["-c", GUARD, "guard"]).arg(&self.folder).arg(self.programs.join("postgres"));
        command.arg("-D").arg(self.folder.join("data")).arg("-k").arg(&self.folder);
        command.args(["-c", "listen_addresses=", "-c", "shared_buffers=64MB", "-c", "max_connections=200"]);
        if self.care == Care::Fast {
            command.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
        }
        let child = command.stdin(Stdio::piped()).spawn().expect("sh");
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        wait_until("the server answers", || self.answers());
    }

    fn answers(&self) -> bool {
        let mut ready = Command::new(self.programs.join("pg_isready"));
        ready.arg("-q").arg("-h").arg(&self.folder);
        ready.status().is_ok_and(|s| s.success())
    }

    fn make(&self) {
        std::fs::create_dir(&self.folder).expect("a new folder");
        if let Some((uid, gid)) = other_user() {
            std::os::unix::fs::chown(&self.folder, Some(uid), Some(gid)).expect("chown");
        }
        let mut initdb = self.as_user(self.programs.join("initdb"));
        // A locale whose order is not that of the bytes, which the schema has to ask for.
        initdb.args(["--no-sync", "--no-instructions", "-A", "trust", "-E", "UTF8", "-U", USER]);
        initdb.args(["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en"]);
        let out = initdb.arg("-D").arg(self.folder.join("data")).output().expect("initdb");
        assert!(out.status.success(), "initdb: {}", String::from_utf8_lossy(&out.stderr));
    }

    /// PostgreSQL does not run as root.
    fn as_user(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = match other_user() {
            None => Command::new(program),
            Some((uid, gid)) => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}")).arg("--clear-groups");
                command.arg(program);
                command
            }
        };
        command.current_dir(&self.folder).env("LC_ALL", "C.UTF-8").env("HOME", &self.folder);
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut guard) = self.running.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(guard.stdin.take());
            let _ = guard.wait();
        }
    }
}

fn programs() -> PathBuf {
    let version = |p: &PathBuf| p.file_name().and_then(|n| n.to_str()?.parse::<u32>().ok());
    let installed = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten().map(|e| e.path());
    let newest = installed.filter(|p| p.join("bin/initdb").is_file()).max_by_key(version);
    newest.expect("the tests need a PostgreSQL server: apt-get install postgresql").join("bin")
}

/// Whom to become: the owner of nothing, where we are root.
fn other_user() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    let me = std::fs::metadata("/proc/self").ok()?.uid();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let ids = |name: &str| {
        let line = users.lines().find(|l| l.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    if me == 0 { ids("postgres").or_else(|| ids("nobody")) } else { None }
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let step = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    while !done() {
        assert!(waited < START, "timed out: {what}");
        std::thread::sleep(step);
        waited += step;
    }
}
