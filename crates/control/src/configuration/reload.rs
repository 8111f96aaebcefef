//! Puts a changed configuration in force in a running daemon.

use super::history::{History, checksum, differences};
use super::load::{Files, LoadError, Loaded, Origin, judged, keep, parse, text};
use super::narrow::effective;
use catalog::event::Severity;
use catalog::events::conf::{ConfChanged, ConfNotAConfiguredHost, ConfParmError};
use catalog::key::Effect;
use catalog::keys;
use catalog::tree::check::{self, Finding};
use catalog::tree::{Path, Tree};
use env::log::Log;
use env::settings::Settings;
use roles::manager::Reloaded;
use roles::probe::{ConfigurationReport, MAX_WAITING, WaitingKey};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The configuration of a running process.
pub struct InForce {
    files: Files,
    settings: Settings,
    log: Log,
    /// Held while one reload runs: two at once could put the older one in force last (ITS 22751).
    turn: Mutex<()>,
    now: Mutex<Now>,
}

/// What holds in this process.
struct Now {
    /// Of the text in force.
    checksum: String,
    /// What each server began with.
    begun: BTreeMap<&'static str, Arc<Tree>>,
}

impl InForce {
    /// Follows these files with these settings, which hold what [`super::load`] gave with this checksum.
    pub fn new(files: Files, settings: Settings, log: Log, checksum: String) -> Self {
        let now = Mutex::new(Now { checksum, begun: BTreeMap::new() });
        Self { files, settings, log, turn: Mutex::new(()), now }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server begins with what is in force: from here on its restart keys are what they are now.
    pub fn begun(&self, server: &'static str) {
        self.now().begun.insert(server, self.settings.tree());
    }

    /// A server has ended.
    pub fn ended(&self, server: &str) {
        self.now().begun.remove(server);
    }

    /// What this process has of the configuration. Reads the files: for a thread that may wait for the disk.
    pub fn report(&self) -> ConfigurationReport {
        let (in_force, begun) = {
            let now = self.now();
            (now.checksum.clone(), now.begun.clone())
        };
        let (tree, host) = (self.settings.tree(), self.settings.host());
        let waiting = begun.iter().flat_map(|(server, then)| waiting(then, &tree, (host, server)));
        let text = text(&self.files.current).unwrap_or_default();
        let history = History::read(&self.files).unwrap_or_default();
        ConfigurationReport {
            in_force,
            file: checksum(&text),
            by_hand: history.by_hand(&text),
            waiting: waiting.take(MAX_WAITING).collect(),
        }
    }

    /// The files that are followed.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Reads `config.db` again and puts it in force: live keys hold from the next read on, others when their server
    /// starts next. Says so in the log.
    ///
    /// # Errors
    /// Where the file cannot be used: what was in force stays so.
    pub fn reload(&self) -> Result<Reloaded, LoadError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = self.read().inspect_err(|error| refuse(&self.log, error))?;
        self.now().checksum.clone_from(&loaded.checksum);
        report(&loaded, self.settings.host(), &self.log);
        let before = self.settings.tree();
        let done = compare(&before, &loaded.tree, self.settings.host());
        // Also what changed for other hosts: who they are and what they run is read from the same tree.
        if *before != loaded.tree {
            self.settings.replace(loaded.tree);
        }
        if done != Reloaded::default() {
            let (keys, restart) = (done.applied.join(","), done.at_restart.join(","));
            self.log.emit(&ConfChanged { keys, restart });
        }
        Ok(done)
    }

    fn read(&self) -> Result<Loaded, LoadError> {
        let text = text(&self.files.current)?;
        let tree = parse(&self.files.current, &text)?;
        keep(&self.files, &text);
        Ok(judged(tree, &text, Origin::Current))
    }
}

/// Says in the log what is to be said about a configuration: entries without effect, a host that has no entries, a
/// file that could not be used.
pub fn report(loaded: &Loaded, host: &str, log: &Log) {
    if let Origin::LastGood(error) = &loaded.origin {
        refuse(log, error);
    }
    for Finding { line, path, severity, reason } in &loaded.findings {
        let value = loaded.tree.get(path).map(catalog::tree::write_values).unwrap_or_default();
        if *severity >= Severity::Warn {
            log.emit(&ConfParmError { key: path, value, reason: format!("line {line}: {reason}") });
        }
    }
    let hosts = check::hosts(&loaded.tree);
    if !hosts.is_empty() && !hosts.contains(host) {
        log.emit(&ConfNotAConfiguredHost { host });
    }
}

fn refuse(log: &Log, error: &LoadError) {
    log.emit(&ConfParmError { key: "config.db", value: "", reason: error });
}

/// The entries that differ and may concern this host, by when their change takes effect. Sorted.
fn compare(before: &Tree, after: &Tree, host: &str) -> Reloaded {
    let paths = differences(before, after).into_iter().map(|difference| difference.path);
    let paths = paths.filter(|path| path.host == "*" || path.host == host);
    let (at_restart, applied): (Vec<_>, Vec<_>) = paths.partition(needs_restart);
    let texts = |paths: Vec<Path>| paths.iter().map(ToString::to_string).collect();
    Reloaded { applied: texts(applied), at_restart: texts(at_restart) }
}

/// The keys of a server that wait for a restart: it began with the one tree, and reads the other when it begins again.
fn waiting(then: &Tree, now: &Tree, (host, server): (&str, &str)) -> Vec<WaitingKey> {
    let restart = keys::rows().filter(|row| row.effect == Effect::Restart);
    let read =
        restart.filter(|row| row.servers.iter().any(|reader| *reader == server || *reader == "common"));
    let differs = |key: &str| effective(then, host, server, key) != effective(now, host, server, key);
    let keys = read.map(|row| row.name).filter(|key| differs(key));
    keys.map(|key| WaitingKey { server: server.to_owned(), key: key.to_owned() }).collect()
}

/// Whether a change of this entry waits for a restart.
pub(super) fn needs_restart(path: &Path) -> bool {
    keys::set_by(&path.server, &path.key).any(|row| row.effect == Effect::Restart)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::load;
    use catalog::keys::mta::MAX_MESSAGE_SIZE;

    fn running(text: &str) -> (tempfile::TempDir, Files, Settings, Log, InForce) {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::in_folder(folder.path());
        std::fs::write(&files.current, text).unwrap();
        let loaded = load(&files).unwrap();
        let settings = Settings::new("venus", "mta", loaded.tree);
        let log = Log::in_memory("immgrserv");
        let in_force = InForce::new(files.clone(), settings.clone(), log.clone(), loaded.checksum);
        (folder, files, settings, log, in_force)
    }

    #[test]
    fn live_keys_hold_at_once_and_others_are_named() {
        let (_folder, files, settings, log, in_force) = running("/*/mta/maxMessageSize: [7]\n");
        let text = "/*/mta/maxMessageSize: [8]\n/venus/mss/numMssPorts: [4]\n/mars/mss/numMssPorts: [9]\n";
        std::fs::write(&files.current, text).unwrap();
        let done = in_force.reload().unwrap();
        assert_eq!(done.applied, ["/*/mta/maxMessageSize"]);
        assert_eq!(done.at_restart, ["/venus/mss/numMssPorts"]);
        assert_eq!(settings.get(MAX_MESSAGE_SIZE), 8);
        assert!(
            log.lines()[0].contains("ConfChanged keys=/*/mta/maxMessageSize restart=/venus/mss/numMssPorts")
        );
        assert_eq!(in_force.reload().unwrap(), Reloaded::default());
        assert_eq!(log.lines().len(), 1, "a reload without a change says nothing");
    }

    #[test]
    fn what_waits_for_a_restart_is_known_until_the_server_has_begun_again() {
        let (_folder, files, _, _, in_force) = running("/*/mta/maxMessageSize: [7]\n");
        let before = in_force.report();
        assert_eq!((&before.in_force, before.waiting.len()), (&before.file, 0));
        in_force.begun("mta");
        in_force.begun("mss");
        let text = "/*/mta/maxMessageSize: [8]\n/venus/mss/numMssPorts: [4]\n/mars/mss/numMssPorts: [9]\n";
        std::fs::write(&files.current, text).unwrap();
        let unread = in_force.report();
        assert!(unread.in_force == before.in_force && unread.file == checksum(text), "{unread:?}");
        in_force.reload().unwrap();
        let waits = WaitingKey { server: "mss".into(), key: "numMssPorts".into() };
        let report = in_force.report();
        assert_eq!((report.waiting, report.in_force), (vec![waits], checksum(text)));
        in_force.begun("mss");
        assert_eq!(in_force.report().waiting, []);
        std::fs::write(&files.current, text.replace("[4]", "[2]")).unwrap();
        in_force.reload().unwrap();
        assert_eq!(in_force.report().waiting.len(), 1);
        in_force.ended("mss");
        assert_eq!(in_force.report().waiting, []);
    }

    #[test]
    fn what_changes_for_another_host_alone_is_known_here_too() {
        let own = "/venus/sysadmin/mss_run: [off]\n";
        let (_folder, files, settings, log, in_force) = running(own);
        std::fs::write(&files.current, format!("{own}/mars/sysadmin/mss_run: [on]\n")).unwrap();
        assert_eq!(in_force.reload().unwrap(), Reloaded::default());
        assert_eq!(settings.tree().hosts().into_iter().collect::<Vec<_>>(), ["mars", "venus"]);
        assert!(log.lines().is_empty(), "nothing changed for this host");
    }

    #[test]
    fn a_bad_file_changes_nothing_and_is_reported() {
        let (_folder, files, settings, log, in_force) = running("/*/mta/maxMessageSize: [7]\n");
        std::fs::write(&files.current, "/*/mta/maxMessageSize: 8\n").unwrap();
        assert!(in_force.reload().is_err());
        assert_eq!(settings.get(MAX_MESSAGE_SIZE), 7);
        let lines = log.lines();
        assert!(
            lines[0].contains("Erro ConfParmError key=config.db") && lines[0].contains("line 1: "),
            "{lines:?}"
        );
    }

    #[test]
    fn its_16835_entries_without_effect_and_a_host_without_entries_are_reported() {
        let (_folder, files, settings, log, _) = running("/mars/mta/bogus: [7]\n");
        report(&load(&files).unwrap(), settings.host(), &log);
        let lines = log.lines();
        assert!(
            lines[0].contains("ConfParmError key=/mars/mta/bogus value=[7] reason=\"line 1: unknown key\""),
            "{lines:?}"
        );
        assert!(lines[1].contains("Erro ConfNotAConfiguredHost host=venus"), "{lines:?}");
    }
}
