//! `imconfcontrol`: changes the configuration, all of a set of changes or none, and puts it in force.

use super::{drift, stage};
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::connect::daemon_process;
use crate::context::{Context, Failure};
use crate::output::{Column, Console, Format, Layout, Listing};
use crate::site::Site;
use anyhow::Context as _;
use catalog::tree::{Path, write_values};
use control::configuration::accepted;
use control::configuration::change::{MAX_CHANGES, assess, install, parse_change};
use control::lock_file;
use env::clock::Clock;
use roles::configuration::{Accepted, Assessed, Change, Difference, Proposal, Version, Wish};
use roles::manager::Reloaded;
use roles::rollout::End;
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
            Every accepted change has a number and stays in a history with who made it, when and why. -list lists it, \
            -show prints what one changed, -rollback makes every entry what it was in that version, 0 being before the \
            first; that is a change like any other. With -from, the changes are refused where another version holds \
            by now.\n\n\
            -stage tries the changes on some hosts before all have them: as entries of these hosts, which stand in \
            config.db as long as it lasts. The hosts are watched for -watch seconds. Where their servers answer, none \
            has stopped or was restarted, and no more errors and refused connections come than before, the entries \
            become those that were wished for; else they are taken back, and the history says why. -promote and -abort \
            end it before its time. It ends also where nobody waits for it; with the configuration server stopped or \
            dead meanwhile, it is taken back.\n\n\
            -drift prints which process has which version, which files were changed by hand, and which keys wait for \
            a restart of their server.\n\n\
            -key is /HOST/SERVER/KEY=VALUE, where * stands for any host; several values are parted by line ends. \
            With - as argument, changes are read from standard input, one a line.",
    usage: &[
        "-install [-from VERSION] [-who NAME] [-why TEXT] [-key ENTRY=VALUE]... [-remove ENTRY]... [-]",
        "-assess [-from VERSION] [-key ENTRY=VALUE]... [-remove ENTRY]... [-]",
        "-rollback VERSION [-who NAME] [-why TEXT]",
        "[-json] -stage HOST[,HOST]... [-watch SECONDS] [-restart] [-from VERSION] [-who NAME] [-why TEXT] \
         [-key ENTRY=VALUE]... [-remove ENTRY]... [-]",
        "-promote|-abort [-who NAME]",
        "[-json] -drift",
        "[-json] -list",
        "[-json] -show VERSION",
        "-reload",
    ],
    options: &[
        Opt { name: "install", value: None, help: "Make the changes and put them in force" },
        Opt { name: "assess", value: None, help: "Only say what the changes would do" },
        Opt { name: "reload", value: None, help: "Tell the daemon that config.db was changed by hand" },
        Opt {
            name: "rollback",
            value: Some("VERSION"),
            help: "Make every entry what it was in that version",
        },
        Opt { name: "stage", value: Some("HOST[,HOST]"), help: "Try the changes on these hosts first" },
        Opt {
            name: "watch",
            value: Some("SECONDS"),
            help: "How long these hosts are watched; 60 as delivered",
        },
        Opt {
            name: "restart",
            value: None,
            help: "With -stage: restart the servers there that read a changed key only when they start",
        },
        Opt {
            name: "promote",
            value: None,
            help: "Make the changes that are being tried hold everywhere now",
        },
        Opt { name: "abort", value: None, help: "Take the changes that are being tried back now" },
        Opt {
            name: "drift",
            value: None,
            help: "Print how far the processes are from what they are to have",
        },
        Opt { name: "list", value: None, help: "List the accepted changes, the newest first" },
        Opt { name: "show", value: Some("VERSION"), help: "Print what an accepted change did" },
        Opt { name: "from", value: Some("VERSION"), help: "Refuse where another version holds by now" },
        Opt { name: "who", value: Some("NAME"), help: "Who makes the change, for the history" },
        Opt { name: "why", value: Some("TEXT"), help: "Why, for the history" },
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
        Example {
            line: "imconfcontrol -rollback 7 -why mistake",
            does: "Takes back all changes since version 7",
        },
        Example {
            line: "imconfcontrol -stage venus,mars -watch 300 -key \"/*/imapserv/maxSessions=20000\"",
            does: "Tries a value on two hosts for five minutes before all others get it",
        },
        Example { line: "imconfcontrol -drift", does: "Shows which process has which configuration" },
        Example { line: "imconfcontrol -install - <changes", does: "Makes all changes of a file, or none" },
    ],
    exits: &[(
        1,
        "nothing was changed, or it was changed and the daemon could not put it in force, or what was tried was taken \
         back, or -drift found something apart; it is said which",
    )],
    place: Place::Daemon,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

/// What is asked for, in the order of the manual.
const VERBS: [&str; 10] =
    ["install", "assess", "stage", "promote", "abort", "drift", "rollback", "list", "show", "reload"];

async fn run(context: &mut Context) -> Outcome {
    let arguments = &context.arguments;
    let verbs: Vec<_> = VERBS.into_iter().filter(|verb| arguments.has(verb)).collect();
    let [verb] = verbs.as_slice() else {
        let verbs = VERBS.map(|verb| format!("-{verb}")).join(", ");
        return Err(Failure::Usage(format!("one of {verbs} must be given")));
    };
    let site = context.site()?;
    match *verb {
        "install" => {
            let wish = Wish::Entries(changes(context).await?);
            change(context, &site, wish).await
        }
        "rollback" => {
            let wish = Wish::Version(version(context, "rollback")?.unwrap_or_default());
            change(context, &site, wish).await
        }
        "assess" => {
            let wish = Wish::Entries(changes(context).await?);
            let assessed = assess(&site.configuration_files(), &proposal(context, wish)?);
            report(&mut context.console, &assessed.map_err(Failure::because)?, "would hold at once").await?;
            Ok(Exit::OK)
        }
        "stage" => {
            let wish = Wish::Entries(changes(context).await?);
            let proposal = proposal(context, wish)?;
            stage::begin(context, proposal).await
        }
        "promote" => stage::end(context, End::Spread).await,
        "abort" => stage::end(context, End::TakenBack).await,
        "drift" => drift::print(context).await,
        "list" => list(context, &site).await,
        "show" => show(context, &site).await,
        _ => reload(context).await,
    }
}

/// Makes a change and puts it in force.
pub(super) async fn change(context: &mut Context, site: &Site, wish: Wish) -> Outcome {
    let proposal = proposal(context, wish)?;
    clear_stale(context, site).await?;
    let refused = |error| Failure::because(format!("{error}; nothing was changed"));
    let assessed = install(&site.configuration_files(), &proposal, Clock::system().now()).map_err(refused)?;
    put_in_force(context, site, &assessed).await
}

fn proposal(context: &Context, wish: Wish) -> Result<Proposal, Failure> {
    let text = |name: &str, default: &str| context.arguments.value(name).unwrap_or(default).to_owned();
    let from = version(context, "from")?;
    Ok(Proposal { from, wish, who: text("who", "operator"), why: text("why", "") })
}

/// The number that this option gives.
fn version(context: &Context, option: &str) -> Result<Option<Version>, Failure> {
    let Some(text) = context.arguments.value(option) else { return Ok(None) };
    let number = text.parse().map_err(|_| Failure::Usage(format!("-{option} {text}: expected a number")))?;
    Ok(Some(Version(number)))
}

const COLUMNS: &[Column] = &[
    Column { title: "Version", key: "version" },
    Column { title: "When", key: "when" },
    Column { title: "Who", key: "who" },
    Column { title: "Entries", key: "entries" },
    Column { title: "Why", key: "why" },
];

/// Lists the accepted changes.
async fn list(context: &mut Context, site: &Site) -> Outcome {
    let all = accepted(&site.configuration_files(), usize::MAX).map_err(Failure::because)?;
    let mut listing = Listing::new(COLUMNS, Layout::Table);
    for Accepted { version, at, who, why, differences } in all {
        let entries = differences.map(|all| all.len().to_string());
        let entries = entries.unwrap_or_else(|| "unknown".into());
        let cells = [
            version.to_string().into(),
            at.rfc3339().to_string().into(),
            who.into(),
            entries.into(),
            why.into(),
        ];
        listing.row(&mut context.console, cells).await?;
    }
    listing.end(&mut context.console).await?;
    Ok(Exit::OK)
}

/// Prints one accepted change.
async fn show(context: &mut Context, site: &Site) -> Outcome {
    let wanted = version(context, "show")?.unwrap_or_default();
    let all = accepted(&site.configuration_files(), usize::MAX).map_err(Failure::because)?;
    let found = all.into_iter().find(|accepted| accepted.version == wanted);
    let found = found.ok_or_else(|| Failure::because(format!("the history has no version {wanted}")))?;
    let console = &mut context.console;
    let unknown = found.differences.is_none();
    let differences = found.differences.unwrap_or_default();
    if console.format() == Format::Json {
        let entries = differences.iter().map(|Difference { path, before, after }| {
            json!({ "entry": path.to_string(), "before": before, "after": after })
        });
        let entries: Vec<_> = entries.collect();
        let at = found.at.rfc3339().to_string();
        let value = json!({
            "version": wanted.0, "when": at, "who": found.who, "why": found.why,
            "known": !unknown, "entries": entries,
        });
        console.json(&value).await?;
        return Ok(Exit::OK);
    }
    console.line(format!("version {wanted}, {}, {}: {}", found.at.rfc3339(), found.who, found.why)).await?;
    if unknown {
        console.line("what it changed is not known").await?;
    }
    for Difference { path, before, after } in differences {
        for (sign, values) in [('-', before), ('+', after)] {
            if let Some(values) = values {
                console.line(format!("{sign} {path}: {}", write_values(&values))).await?;
            }
        }
    }
    Ok(Exit::OK)
}

/// The changes of the command line and, where asked for, of standard input.
async fn changes(context: &mut Context) -> Result<Vec<Change>, Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
    let mut changes = Vec::new();
    for text in context.arguments.values("key") {
        changes.push(parse_change(text).map_err(|error| usage(&error))?);
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
                changes.push(parse_change(line).map_err(|error| Failure::because(error.to_string()))?);
            }
        }
        Some(word) => return Err(Failure::Usage(format!("unexpected argument {word}"))),
    }
    if changes.is_empty() { Err(Failure::Usage("no change is given".into())) } else { Ok(changes) }
}

/// Says what the changes do.
pub(super) async fn report(console: &mut Console, assessed: &Assessed, live: &str) -> Result<(), Failure> {
    let texts = |paths: &[Path]| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
    if console.format() == Format::Json {
        let (live, restart) = (texts(&assessed.live), texts(&assessed.restart));
        let value = json!({
            "version": assessed.version.0, "live": live, "restart": restart,
            "servers": assessed.servers, "warnings": assessed.warnings,
        });
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
    let done = Assessed { live: parse(applied), restart: parse(at_restart), ..Assessed::default() };
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
    use crate::testing::{Run, run, run_at};
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
        let said =
            "imconfcontrol: /*/mta/maxMessageSize: [much]: expected a whole number; nothing was changed\n";
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
    async fn changes_are_listed_shown_and_taken_back() {
        let first =
            control(&["-install", "-key", "/*/mta/maxMessageSize=8", "-who", "root", "-why", "more"]).await;
        let folder = first.folder();
        let listed = run_at("imconfcontrol -list", folder).done().await.output();
        assert!(listed.contains("root") && listed.contains("more"), "{listed}");
        let shown = run_at("imconfcontrol -show 1", folder).done().await.output();
        assert!(shown.ends_with("- /*/mta/maxMessageSize: [7]\n+ /*/mta/maxMessageSize: [8]\n"), "{shown}");
        let stale = "imconfcontrol -install -from 0 -key /*/mta/maxMessageSize=9";
        let stale = run_at(stale, folder).done().await;
        assert!(
            stale.exit == Exit::FAILED && stale.errors().contains("version 1 holds"),
            "{}",
            stale.errors()
        );
        let back = run_at("imconfcontrol -rollback 0", folder).done().await;
        assert_eq!((back.exit, back.configuration().as_str()), (Exit::OK, BEFORE));
        assert_eq!(run_at("imconfcontrol -show 9", folder).done().await.exit, Exit::FAILED);
        assert_eq!(run_at("imconfcontrol -show x", folder).done().await.exit, Exit::USAGE);
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
