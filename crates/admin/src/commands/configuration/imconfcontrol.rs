//! `imconfcontrol`: changes the configuration, all of a set of changes or none, and puts it in force.

use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::connect::daemon_process;
use crate::context::{Context, Failure};
use crate::output::{Console, Format};
use crate::site::Site;
use anyhow::Context as _;
use catalog::tree::Path;
use control::configuration::change::{Assessed, Change, MAX_CHANGES, assess, install};
use control::lock_file;
use roles::manager::Reloaded;
use serde_json::json;

/// The row.
pub const COMMAND: Command = Command {
    name: "imconfcontrol",
    aliases: &[],
    group: Group::Configuration,
    summary: "Changes the configuration and puts it in force",
    about: "Checks each change against what its key takes; where one is refused, nothing is changed. Otherwise the \
            file is replaced in one step that survives a crash, all untouched lines staying as they are, and a \
            running daemon is told: live keys hold at once, and the entries that wait for a restart are named.\n\n\
            -key is /HOST/SERVER/KEY=VALUE, where * stands for any host; several values are parted by line ends. \
            With - as argument, changes are read from standard input, one a line.",
    usage: &[
        "-install [-key ENTRY=VALUE]... [-remove ENTRY]... [-]",
        "-assess [-key ENTRY=VALUE]... [-remove ENTRY]... [-]",
        "-reload",
    ],
    options: &[
        Opt { name: "install", value: None, help: "Make the changes and put them in force" },
        Opt { name: "assess", value: None, help: "Only say what the changes would do" },
        Opt { name: "reload", value: None, help: "Tell the daemon that config.db was changed by hand" },
        Opt { name: "key", value: Some("ENTRY=VALUE"), help: "An entry and its new value" },
        Opt {
            name: "remove",
            value: Some("ENTRY"),
            help: "An entry that is to go, so that the next nearest holds",
        },
    ],
    words: &[Word { name: "-", count: Count::Optional, help: "Read ENTRY=VALUE lines from standard input" }],
    examples: &[
        Example {
            line: "imconfcontrol -install -key \"/*/mta/relaySourcePolicy=allowAll\"",
            does: "Sets a key for every host",
        },
        Example {
            line: "imconfcontrol -assess -key /venus/mss/numMssPorts=4",
            does: "Says whether the value is good and whether it needs a restart",
        },
        Example { line: "imconfcontrol -install - <changes", does: "Makes all changes of a file, or none" },
    ],
    exits: &[(
        1,
        "nothing was changed, or it was changed and the daemon could not put it in force; it is said which",
    )],
    place: Place::Daemon,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    let site = context.site()?;
    let arguments = &context.arguments;
    let verbs: Vec<_> =
        ["install", "assess", "reload"].into_iter().filter(|verb| arguments.has(verb)).collect();
    match verbs.as_slice() {
        ["install"] => {
            let changes = changes(context).await?;
            clear_stale(context, &site).await?;
            let refused = |error| Failure::because(format!("{error}; nothing was changed"));
            let assessed = install(&site.configuration_files(), &changes).map_err(refused)?;
            put_in_force(context, &site, &assessed).await
        }
        ["assess"] => {
            let changes = changes(context).await?;
            let assessed = assess(&site.configuration_files(), &changes);
            let assessed = assessed.map_err(|error| Failure::because(error.to_string()))?;
            report(&mut context.console, &assessed, "would hold at once").await?;
            Ok(Exit::OK)
        }
        ["reload"] => reload(context).await,
        _ => Err(Failure::Usage("one of -install, -assess and -reload must be given".into())),
    }
}

/// The changes of the command line and, where asked for, of standard input.
async fn changes(context: &mut Context) -> Result<Vec<Change>, Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
    let mut changes = Vec::new();
    for text in context.arguments.values("key") {
        changes.push(Change::parse(text).map_err(|error| usage(&error))?);
    }
    for text in context.arguments.values("remove") {
        let path = Path::parse(text);
        changes.push(Change::Remove(
            path.ok_or_else(|| usage(&format!("{text} is not of the form /host/server/key")))?,
        ));
    }
    match context.arguments.word(0) {
        None => {}
        Some("-") => {
            while let Some(line) = context.console.read_line().await? {
                let line = line.trim();
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                if changes.len() == MAX_CHANGES {
                    return Err(Failure::because(format!("more than {MAX_CHANGES} changes")));
                }
                changes.push(Change::parse(line).map_err(|error| Failure::because(error.to_string()))?);
            }
        }
        Some(word) => return Err(Failure::Usage(format!("unexpected argument {word}"))),
    }
    if changes.is_empty() { Err(Failure::Usage("no change is given".into())) } else { Ok(changes) }
}

/// Says what the changes do.
async fn report(console: &mut Console, assessed: &Assessed, live: &str) -> Result<(), Failure> {
    let texts = |paths: &[Path]| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
    if console.format() == Format::Json {
        let (live, restart) = (texts(&assessed.live), texts(&assessed.restart));
        let value = json!({ "live": live, "restart": restart, "warnings": assessed.warnings });
        return console.json(&value).await;
    }
    for warning in &assessed.warnings {
        console.error(format!("(Warning) {warning}")).await?;
    }
    for path in &assessed.live {
        console.line(format!("{path} {live}")).await?;
    }
    for path in &assessed.restart {
        let server = match path.server.as_str() {
            "common" | "sysadmin" => "the servers that read it",
            server => server,
        };
        console.line(format!("{path} needs a restart of {server}")).await?;
    }
    Ok(())
}

/// Tells a running daemon; with none running, what is configured holds from the next start on.
async fn put_in_force(context: &mut Context, site: &Site, assessed: &Assessed) -> Outcome {
    if let Some(roles) = &context.servers {
        let reloaded = roles.manager.configuration_reload(&context.call()).await;
        reloaded.map_err(|error| Failure::because(format!("changed, but not in force: {error}")))?;
        report(&mut context.console, assessed, "holds now").await?;
        return Ok(Exit::OK);
    }
    report(&mut context.console, assessed, "holds from the next start on").await?;
    match daemon_process(site).await? {
        None => Ok(Exit::OK),
        Some(daemon) => {
            let why = format!("changed, but the daemon (process {}) does not answer", daemon.pid());
            Err(Failure::because(why))
        }
    }
}

/// Puts in force what was changed by hand.
async fn reload(context: &mut Context) -> Outcome {
    let reloaded = context.roles()?.manager.configuration_reload(&context.call()).await;
    let Reloaded { applied, at_restart } = reloaded.map_err(Failure::because)?;
    let parse = |texts: Vec<String>| texts.iter().filter_map(|text| Path::parse(text)).collect();
    let done = Assessed { warnings: Vec::new(), live: parse(applied), restart: parse(at_restart) };
    report(&mut context.console, &done, "holds now").await?;
    Ok(Exit::OK)
}

/// Takes away what a daemon that is dead has left, so that nobody takes it for a living one (ITS 18500).
async fn clear_stale(context: &mut Context, site: &Site) -> Result<(), Failure> {
    if context.servers.is_some() {
        return Ok(());
    }
    let cleared = lock_file::clear_stale(&site.pid_file()).context("cannot remove the stale pid file")?;
    match cleared {
        Some(pid) => {
            context.console.error(format!("(Info) removed the pid file that process {pid} left")).await
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::roles::Double;
    use crate::testing::{Run, run};
    use roles::manager::ManagerError;

    const BEFORE: &str = "# mine\n/*/mta/maxMessageSize: [7]\n";

    async fn control(arguments: &[&str]) -> Run {
        run("imconfcontrol").with_arguments(arguments).with_configuration(BEFORE).done().await
    }

    #[tokio::test]
    async fn a_good_value_is_installed_and_untouched_bytes_stay() {
        let run =
            control(&["-install", "-key", "/*/mta/maxMessageSize=8", "-key", "/*/mss/numMssPorts=4"]).await;
        assert_eq!((run.exit, run.errors().as_str()), (Exit::OK, ""));
        let said =
            "/*/mta/maxMessageSize holds from the next start on\n/*/mss/numMssPorts needs a restart of mss\n";
        assert_eq!(run.output(), said);
        assert_eq!(run.configuration(), "# mine\n/*/mta/maxMessageSize: [8]\n/*/mss/numMssPorts: [4]\n");
    }

    #[tokio::test]
    async fn a_bad_value_is_refused_with_its_reason_and_nothing_changes() {
        let run =
            control(&["-install", "-key", "/*/mss/numMssPorts=4", "-key", "/*/mta/maxMessageSize=much"])
                .await;
        assert_eq!(run.exit, Exit::FAILED);
        let said = "imconfcontrol: /*/mta/maxMessageSize: expected a whole number; nothing was changed\n";
        assert_eq!((run.errors().as_str(), run.configuration().as_str()), (said, BEFORE));
    }

    #[tokio::test]
    async fn changes_come_from_standard_input_too() {
        let input = ["# wishes\n/*/mta/maxMessageSize=9\n\n", "/*/mta/banners=x=y\n"];
        let run = run("imconfcontrol -install -").with_configuration(BEFORE).with_input(input).done().await;
        assert_eq!(run.exit, Exit::OK);
        let text = run.configuration();
        assert!(text.contains("maxMessageSize: [9]") && text.contains("/*/mta/banners: [x=y]"), "{text}");
    }

    #[tokio::test]
    async fn assessing_and_wrong_lines_change_nothing() {
        let run = control(&["-assess", "-remove", "/*/mta/maxMessageSize"]).await;
        assert_eq!(
            (run.exit, run.output().as_str()),
            (Exit::OK, "/*/mta/maxMessageSize would hold at once\n")
        );
        assert_eq!(run.configuration(), BEFORE);
        for line in
            [&["-install"][..], &["-key", "/*/mta/x=1"], &["-install", "-assess"], &["-install", "-key", "x"]]
        {
            assert_eq!(control(line).await.exit, Exit::USAGE, "{line:?}");
        }
    }

    #[tokio::test]
    async fn a_running_daemon_is_told() {
        let line = "imconfcontrol -install -key /*/mta/maxMessageSize=8";
        let told = run(line).with_configuration(BEFORE).with_roles(Double::default()).done().await;
        assert_eq!((told.exit, told.output().as_str()), (Exit::OK, "/*/mta/maxMessageSize holds now\n"));
        let refusing = Double::default().with_reload(Err(ManagerError::Failed("no".into())));
        let run = run(line).with_configuration(BEFORE).with_roles(refusing).done().await;
        assert_eq!(
            (run.exit, run.errors().as_str()),
            (Exit::FAILED, "imconfcontrol: changed, but not in force: no\n")
        );
    }

    #[tokio::test]
    async fn a_change_by_hand_is_put_in_force() {
        let done = Reloaded { applied: vec!["/*/mta/maxMessageSize".into()], at_restart: Vec::new() };
        let double = Double::default().with_reload(Ok(done));
        let told = run("imconfcontrol -reload").with_roles(double).done().await;
        assert_eq!((told.exit, told.output().as_str()), (Exit::OK, "/*/mta/maxMessageSize holds now\n"));
        assert_eq!(run("imconfcontrol -reload").done().await.exit, Exit::FAILED);
    }

    #[tokio::test]
    async fn what_a_dead_daemon_left_is_cleared() {
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let line = "imconfcontrol -install -key /*/mta/maxMessageSize=8";
        let pid = format!("{}\n", dead.id());
        let run = run(line)
            .with_file("run/intermail.pid", &pid)
            .with_file("config/config.db.lock", &pid)
            .done()
            .await;
        assert_eq!(run.exit, Exit::OK);
        assert!(run.errors().contains("removed the pid file"), "{}", run.errors());
    }
}
