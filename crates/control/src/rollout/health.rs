//! Whether a host is as well with a change as it was without it: a verdict over what was seen before and what is seen now.

use roles::manager::ServerState;
use std::time::Duration;

/// What was seen of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// Checksums of the configuration in force in its processes.
    pub(super) in_force: Vec<String>,
    /// Its servers.
    pub(super) servers: Vec<ServerFacts>,
    /// Errors that its processes have counted.
    pub(super) errors: u64,
    /// Connections that they have refused.
    pub(super) refused: u64,
    /// How long the youngest of them has counted.
    pub(super) up: Duration,
}

/// What was seen of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerFacts {
    /// Its name.
    pub(super) name: String,
    /// What it is doing.
    pub(super) state: ServerState,
    /// Its process.
    pub(super) pid: Option<u32>,
    /// For how long it has been doing that.
    pub(super) since: Duration,
    /// Why it gave no sign of life; `None`: it gave one, or was not asked because it does not run.
    pub(super) failure: Option<String>,
}

/// How a host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As well as before, and with the change.
    Well,
    /// It may be ill or only busy: ill where it stays so.
    Doubtful(String),
    /// Worse than before.
    Ill(String),
}

/// Errors and refused connections that mean nothing during a trial.
const FEW: u64 = 5;
/// By how many times they may grow beyond what was usual.
const GROWTH: u64 = 3;
/// By how much the age of a server may be wrong without meaning that it was restarted.
const CLOCKS: Duration = Duration::from_secs(2);

/// Whether a trial may begin: a host that is ill already says nothing about a change.
///
/// # Errors
/// What is wrong with it.
pub(super) fn fit(facts: &Facts) -> Result<(), String> {
    let running = facts.servers.iter().filter(|server| server.state != ServerState::Stopped);
    let mut count = 0;
    for server in running {
        count += 1;
        if server.state != ServerState::Running {
            return Err(format!("{} is starting or stopping", server.name));
        }
        if let Some(why) = &server.failure {
            return Err(format!("{} does not answer: {why}", server.name));
        }
    }
    if count == 0 { Err("no server runs there".into()) } else { Ok(()) }
}

/// Compares what was seen before the trial with what is seen after it has gone on for this long; `wanted` is the
/// checksum of the configuration that the host is to have.
pub(super) fn judge(before: &Facts, now: &Result<Facts, String>, wanted: &str, elapsed: Duration) -> Verdict {
    let now = match now {
        Ok(now) => now,
        Err(why) => return Verdict::Doubtful(format!("it does not answer: {why}")),
    };
    for server in before.servers.iter().filter(|server| server.state == ServerState::Running) {
        match of_server(server, now, elapsed) {
            Verdict::Well => {}
            verdict => return verdict,
        }
    }
    for (what, before_it, now_it) in [
        ("errors were logged", before.errors, now.errors),
        ("connections were refused", before.refused, now.refused),
    ] {
        let since = now_it.saturating_sub(before_it);
        if since > allowed(before_it, before.up, elapsed) {
            return Verdict::Ill(format!("{since} {what} in {} s", elapsed.as_secs()));
        }
    }
    match now.in_force.iter().all(|sum| sum == wanted) {
        true => Verdict::Well,
        false => Verdict::Doubtful("it has not taken the change over".into()),
    }
}

fn of_server(before: &ServerFacts, now: &Facts, elapsed: Duration) -> Verdict {
    let name = &before.name;
    let Some(now) = now.servers.iter().find(|server| server.name == *name) else {
        return Verdict::Ill(format!("{name} is gone"));
    };
    if now.state == ServerState::Stopped {
        return Verdict::Ill(format!("{name} has stopped"));
    }
    let age = before.since + elapsed;
    if now.pid != before.pid || (now.state == ServerState::Running && now.since + CLOCKS < age) {
        return Verdict::Ill(format!("{name} was restarted"));
    }
    match (&now.failure, now.state) {
        (Some(why), _) => Verdict::Doubtful(format!("{name} does not answer: {why}")),
        (None, ServerState::Running) => Verdict::Well,
        (None, _) => Verdict::Doubtful(format!("{name} is starting or stopping")),
    }
}

/// What may come in this time where that many came in the time before.
fn allowed(before: u64, up: Duration, elapsed: Duration) -> u64 {
    let usual = before.saturating_mul(ms(elapsed)) / ms(up).max(1);
    FEW + usual.saturating_mul(GROWTH)
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn server(name: &str, since: u64) -> ServerFacts {
        let (state, pid) = (ServerState::Running, Some(1));
        ServerFacts { name: name.into(), state, pid, since: S(since), failure: None }
    }

    /// A host after so many seconds.
    fn host(at: u64) -> Facts {
        let servers = vec![server("mta", at), server("popserv", at)];
        Facts { in_force: vec!["new".into()], servers, errors: 10, refused: 0, up: S(at) }
    }

    fn after_ten(change: impl FnOnce(&mut Facts)) -> Verdict {
        let mut now = host(110);
        change(&mut now);
        judge(&host(100), &Ok(now), "new", S(10))
    }

    #[test]
    fn a_host_that_goes_on_as_before_is_well() {
        assert_eq!(after_ten(|_| ()), Verdict::Well);
        // One error in ten seconds was usual: three times that and a few more are no sign.
        assert_eq!(after_ten(|now| now.errors += 8), Verdict::Well);
        assert_eq!(after_ten(|now| now.refused += 5), Verdict::Well);
        assert_eq!(after_ten(|now| now.servers[0].since = S(109)), Verdict::Well, "clocks differ a little");
    }

    /// What happens to a healthy server, and a word of what is said of it.
    type Case = (fn(&mut Facts), &'static str);

    #[test]
    fn what_is_worse_than_before_is_told() {
        let ill: [Case; 6] = [
            (|now| now.servers[1].state = ServerState::Stopped, "popserv has stopped"),
            (|now| now.servers[1].since = S(4), "popserv was restarted"),
            (|now| now.servers[1].pid = Some(2), "popserv was restarted"),
            (|now| drop(now.servers.pop()), "popserv is gone"),
            (|now| now.errors += 9, "9 errors were logged in 10 s"),
            (|now| now.refused += 6, "6 connections were refused in 10 s"),
        ];
        for (change, why) in ill {
            assert_eq!(after_ten(change), Verdict::Ill(why.into()));
        }
        let doubtful: [Case; 3] = [
            (|now| now.servers[0].failure = Some("no greeting".into()), "mta does not answer: no greeting"),
            (|now| now.servers[0].state = ServerState::Stopping, "mta is starting or stopping"),
            (|now| now.in_force.push("old".into()), "it has not taken the change over"),
        ];
        for (change, why) in doubtful {
            assert_eq!(after_ten(change), Verdict::Doubtful(why.into()));
        }
        let silent = judge(&host(100), &Err("no route".into()), "new", S(10));
        assert_eq!(silent, Verdict::Doubtful("it does not answer: no route".into()));
    }

    #[test]
    fn a_server_that_did_not_run_before_need_not_run_now() {
        let mut before = host(100);
        before.servers[1].state = ServerState::Stopped;
        let mut now = host(110);
        now.servers[1].state = ServerState::Stopped;
        assert_eq!(judge(&before, &Ok(now), "new", S(10)), Verdict::Well);
        assert_eq!(fit(&before), Ok(()));
    }

    #[test]
    fn a_trial_begins_on_well_hosts_only() {
        assert_eq!(fit(&host(1)), Ok(()));
        let mut ill = host(1);
        ill.servers[0].failure = Some("no greeting".into());
        assert_eq!(fit(&ill), Err("mta does not answer: no greeting".into()));
        ill.servers.clear();
        assert_eq!(fit(&ill), Err("no server runs there".into()));
    }
}
