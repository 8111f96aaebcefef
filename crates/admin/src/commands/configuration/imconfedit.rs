//! `imconfedit`: changes the configuration in an editor, assessed before it is accepted (ITS 9124, 9924, 15790, 24943).

use super::imconfcontrol::report;
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::connect::ask;
use crate::context::{Context, Failure};
use crate::output::{Console, Format};
use crate::site::Site;
use anyhow::Context as _;
use catalog::tree::write_values;
use control::configuration::change::{assess, install};
use control::configuration::{Files, MAX_SIZE, load, snapshot};
use env::clock::Clock;
use roles::configuration::{Assessed, Difference, Proposal, Snapshot, Wish};
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

/// The row.
pub const COMMAND: Command = Command {
    name: "imconfedit",
    aliases: &[],
    group: Group::Configuration,
    summary: "Changes the configuration in an editor",
    about: "Opens $EDITOR (else vi) on a copy of the configuration. Afterwards it says which entries have changed, which \
            servers read them and what waits for a restart, and puts the change in force: all of it or, where an entry \
            is refused, nothing. Then it asks whether to start or stop servers whose _run entry has changed.\n\n\
            With FILE, or - for standard input, the text comes from there instead of an editor. The change is refused \
            where another one was accepted meanwhile. No copy is left behind.",
    usage: &["[-json] [-yes|-no] [-who NAME] [-why TEXT] [FILE]"],
    options: &[
        Opt { name: "yes", value: None, help: "Start and stop the servers without asking" },
        Opt { name: "no", value: None, help: "Do not start or stop servers, and do not ask" },
        Opt { name: "who", value: Some("NAME"), help: "Who makes the change, for the history" },
        Opt { name: "why", value: Some("TEXT"), help: "Why, for the history" },
    ],
    words: &[Word { name: "FILE", count: Count::Optional, help: "The new text; - is standard input" }],
    examples: &[
        Example { line: "imconfedit", does: "Opens the configuration in an editor" },
        Example { line: "imconfedit -yes -why window new.db", does: "Makes the file the configuration" },
    ],
    exits: &[(
        1,
        "the change was refused and nothing was changed, or a server could not be started or stopped",
    )],
    place: Place::Here,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    if context.arguments.has("yes") && context.arguments.has("no") {
        return Err(Failure::Usage("-yes and -no cannot be given together".into()));
    }
    let site = context.site()?;
    let files = site.configuration_files();
    // Notes what was changed by hand, so that it counts as the version that this one is made from.
    let _ = load(&files);
    let Snapshot { version, text } = snapshot(&files).map_err(Failure::because)?;
    let edited = edited(context, &files, &text).await?;
    let value = |name: &str, default: &str| context.arguments.value(name).unwrap_or(default).to_owned();
    let (who, why) = (value("who", "operator"), value("why", ""));
    let proposal = Proposal { from: Some(version), wish: Wish::Text(edited), who, why };
    let refused = |error| Failure::because(format!("{error}; nothing was changed"));
    let assessed = assess(&files, &proposal).map_err(refused)?;
    show(context, &assessed).await?;
    install(&files, &proposal, Clock::system().now()).map_err(refused)?;
    let told = ask(&site, "imconfcontrol", &["-reload"]).await?;
    if told.as_ref().is_some_and(|said| said.exit != Exit::OK) {
        return Err(Failure::because("changed, but the daemon could not put it in force"));
    }
    let live = if told.is_some() { "holds now" } else { "holds from the next start on" };
    report(&mut context.console, &assessed, live).await?;
    match told.is_some() {
        true => start_and_stop(context, &site, &assessed.differences).await,
        false => Ok(Exit::OK),
    }
}

/// The new text: from the file that is named, from standard input, or from the editor.
async fn edited(context: &mut Context, files: &Files, text: &str) -> Result<String, Failure> {
    match context.arguments.word(0) {
        Some("-") => input(&mut context.console).await,
        Some(path) => Ok(read(Path::new(path))?),
        None => {
            context.console.flush().await?;
            Ok(in_editor(files, text)?)
        }
    }
}

/// All of the standard input.
pub(super) async fn input(console: &mut Console) -> Result<String, Failure> {
    let mut all = String::new();
    while let Some(line) = console.read_line().await? {
        if (all.len() + line.len()) as u64 > MAX_SIZE {
            return Err(Failure::because("the text is larger than 64 MB"));
        }
        all.push_str(&line);
        all.push('\n');
    }
    Ok(all)
}

/// A file of this host.
pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    let shown = || format!("cannot read {}", path.display());
    let mut text = String::new();
    std::fs::File::open(path)
        .with_context(shown)?
        .take(MAX_SIZE)
        .read_to_string(&mut text)
        .with_context(shown)?;
    Ok(text)
}

/// A copy that goes when it is no longer needed.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Waits for the editor: the copy lies beside `config.db`, where nobody else may read.
fn in_editor(files: &Files, text: &str) -> anyhow::Result<String> {
    let copy = Copy(files.current.with_extension(format!("db.edit.{}", std::process::id())));
    let open = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&copy.0);
    let shown = || format!("cannot write {}", copy.0.display());
    open.with_context(shown)?.write_all(text.as_bytes()).with_context(shown)?;
    let editor = std::env::var("EDITOR").unwrap_or_else(|_| "vi".into());
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let ended = Process::new(program).args(words).arg(&copy.0).status();
    let ended = ended.with_context(|| format!("cannot run the editor {editor}"))?;
    anyhow::ensure!(ended.success(), "the editor {editor} failed ({ended}); nothing was changed");
    read(&copy.0)
}

/// Says exactly what has changed, and whom it concerns.
async fn show(context: &mut Context, assessed: &Assessed) -> Result<(), Failure> {
    if context.console.format() == Format::Json {
        return Ok(());
    }
    for Difference { path, before, after } in &assessed.differences {
        for (sign, values) in [('-', before), ('+', after)] {
            if let Some(values) = values {
                context.console.line(format!("{sign} {path}: {}", write_values(values))).await?;
            }
        }
    }
    let count = assessed.differences.len();
    let servers = assessed.servers.join(", ");
    let readers = if servers.is_empty() { String::new() } else { format!("; read by {servers}") };
    context.console.line(format!("{count} entries changed{readers}")).await
}

/// Starts and stops the servers whose `_run` entry has changed, where that is wanted.
async fn start_and_stop(context: &mut Context, site: &Site, differences: &[Difference]) -> Outcome {
    let concerned = |d: &&Difference| d.path.server == "sysadmin" && d.path.key.ends_with("_run");
    let names = differences.iter().filter(concerned).filter_map(|d| d.path.key.strip_suffix("_run"));
    let names: Vec<_> = names.collect();
    if names.is_empty() || context.arguments.has("no") {
        return Ok(Exit::OK);
    }
    if !context.arguments.has("yes") {
        context.console.line("Do you want to start/stop the servers now? (Y/N)").await?;
        let answer = context.console.read_line().await?.unwrap_or_default();
        if !answer.trim().eq_ignore_ascii_case("y") {
            return Ok(Exit::OK);
        }
    }
    let wanted = crate::commands::servers::configured(site)?;
    let mut exit = Exit::OK;
    for name in names {
        let verb = if wanted.iter().any(|server| server.name == name) { "start" } else { "stop" };
        let said = ask(site, "imctrl", &[site.host().as_str(), verb, name]).await?;
        let Some(said) = said else { return Err(Failure::because("the daemon has ended meanwhile")) };
        context.console.bytes(&said.output).await?;
        if said.exit != Exit::OK {
            context.console.error(String::from_utf8_lossy(&said.errors).trim()).await?;
            exit = Exit::FAILED;
        }
    }
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;

    const BEFORE: &str = "# mine\n/*/mta/maxMessageSize: [7]\n";

    #[tokio::test]
    async fn its_9924_its_15790_a_text_is_assessed_reported_and_installed_as_it_is() {
        let input = ["# ours\n/*/mta/maxMessageSize:  [8]\n\n/*/mss/numMssPorts: [2]\n"];
        let run = run("imconfedit -who root -").with_configuration(BEFORE).with_input(input).done().await;
        let said = "+ /*/mss/numMssPorts: [2]\n- /*/mta/maxMessageSize: [7]\n+ /*/mta/maxMessageSize: [8]\n\
            2 entries changed; read by mss, mta\n/*/mta/maxMessageSize holds from the next start on\n\
            /*/mss/numMssPorts needs a restart of mss\n";
        assert_eq!((run.exit, run.errors().as_str(), run.output().as_str()), (Exit::OK, "", said));
        assert_eq!(run.configuration(), input[0]);
    }

    #[tokio::test]
    async fn its_14094_its_21794_an_empty_value_is_refused_and_nothing_changes() {
        let input = ["/*/mta/maxMessageSize: []\n/*/mss/numMssPorts: [2]\n"];
        let run = run("imconfedit -").with_configuration(BEFORE).with_input(input).done().await;
        assert_eq!((run.exit, run.configuration().as_str()), (Exit::FAILED, BEFORE));
        assert!(
            run.errors().contains("/*/mta/maxMessageSize: []: expected a whole number"),
            "{}",
            run.errors()
        );
    }

    #[test]
    fn its_24943_the_copy_of_the_editor_does_not_stay() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::in_folder(folder.path());
        let copy = Copy(files.current.with_extension("db.edit.1"));
        std::fs::write(&copy.0, "x").unwrap();
        drop(copy);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
