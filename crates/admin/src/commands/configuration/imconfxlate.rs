//! `imconfxlate`: translates the `config.db` of a former release, and says by line what is to be said (ITS 16018, 16523).

use crate::command::{Command, Count, Example, Exit, Grammar, Group, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::output::{Console, Format};
use catalog::event::Severity;
use catalog::keys::obsolete;
use catalog::tree::check::{self, Finding};
use catalog::tree::{Path, Tree, edit};
use control::configuration::{Files, snapshot};
use serde_json::json;
use std::fmt::Display;
use std::path::PathBuf;

/// The row.
pub const COMMAND: Command = Command {
    name: "imconfxlate",
    aliases: &[],
    group: Group::Configuration,
    summary: "Translates the configuration of a former release",
    about: "Prints the configuration with obsolete keys replaced by what took their place; every other line stays as it \
            is. What is to be said about an entry goes to standard error with the number of its line: keys that are \
            translated, keys that have no successor, unknown keys, bad values, lines outside the grammar. Nothing is \
            changed: give the result to imconfcontrol or make it the site's config.db.",
    usage: &["[-json] [FILE]"],
    options: &[],
    words: &[Word {
        name: "FILE",
        count: Count::Optional,
        help: "The file; without it, the site's config.db",
    }],
    examples: &[Example {
        line: "imconfxlate /old/config.db >config.db",
        does: "Makes a configuration for this release of an older one",
    }],
    exits: &[(1, "some entries have no effect in this release; each is named")],
    place: Place::Here,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    let files = match context.arguments.word(0) {
        Some(path) => Files { current: PathBuf::from(path) },
        None => context.site()?.configuration_files(),
    };
    if !files.current.exists() {
        return Err(Failure::because(format!("{} is not there", files.current.display())));
    }
    let text = snapshot(&files).map_err(Failure::because)?.text;
    let Translated { text, remarks } = translate(&text);
    let wrong = remarks.iter().any(|remark| remark.severity >= Severity::Erro);
    match context.console.format() {
        Format::Json => {
            let remarks = remarks
                .iter()
                .map(|r| json!({ "line": r.line, "severity": r.severity.to_string(), "text": r.text }));
            let remarks: Vec<_> = remarks.collect();
            context.console.json(&json!({ "configuration": text, "remarks": remarks })).await?;
        }
        Format::Text => say(&mut context.console, &text, &remarks).await?,
    }
    Ok(if wrong { Exit::FAILED } else { Exit::OK })
}

async fn say(console: &mut Console, text: &str, remarks: &[Remark]) -> Result<(), Failure> {
    console.bytes(text.as_bytes()).await?;
    for Remark { line, severity, text } in remarks {
        console.error(format!("line {line}: {severity}: {text}")).await?;
    }
    Ok(())
}

/// What is to be said about a line.
struct Remark {
    line: usize,
    severity: Severity,
    text: String,
}

struct Translated {
    text: String,
    remarks: Vec<Remark>,
}

/// The text of this release, and what is to be said about the old one in order of its lines.
fn translate(old: &str) -> Translated {
    let remark = |line, severity, text: &dyn Display| Remark { line, severity, text: text.to_string() };
    let mut remarks = Vec::new();
    // One bad line must not hide the others: they are judged one by one and left out of the tree.
    let mut good = String::new();
    for (at, line) in old.lines().enumerate() {
        match Tree::parse(line) {
            Ok(_) => good.push_str(line),
            Err(bad) => {
                let text = format!("{}: {}", bad.key, bad.reason);
                remarks.push(remark(at + 1, Severity::Erro, &text));
            }
        }
        good.push('\n');
    }
    let tree = Tree::parse(&good).unwrap_or_default();
    for Finding { line, path, severity, reason } in check::check(&tree) {
        remarks.push(remark(line, severity, &format!("{path}: {reason}")));
    }
    remarks.sort_by_key(|remark| remark.line);
    let mut text = old.to_owned();
    for (path, _, values) in tree.entries() {
        let Some(row) = obsolete::find(&path.server, &path.key) else { continue };
        let successor = row.translate(values);
        text = edit::remove(&text, path).unwrap_or(text);
        if let Some((key, values)) = successor {
            let new = Path { key: key.to_owned(), ..path.clone() };
            if tree.get(&new).is_none() {
                text = edit::set(&text, &new, &values);
            }
        }
    }
    Translated { text, remarks }
}

#[cfg(test)]
mod tests {
    use crate::command::Exit;
    use crate::testing::run;

    const OLD: &str = "# old\n/*/mta/maxQueueTimeInDays: [2]\nbogus\n\n/*/mta/maxMessageSize: [7]\n/*/mta/colour: [red]\nworse\n";

    #[tokio::test]
    async fn its_16018_its_16523_an_old_configuration_is_translated_and_lines_are_counted() {
        let run = run("imconfxlate").with_configuration(OLD).done().await;
        let text = "# old\nbogus\n\n/*/mta/maxMessageSize: [7]\n/*/mta/colour: [red]\n/*/mta/maxQueueTimeInHours: [48]\nworse\n";
        assert_eq!((run.exit, run.output().as_str()), (Exit::FAILED, text));
        let errors = run.errors();
        let lines: Vec<_> =
            errors.lines().map(|line| line.split(": ").take(3).collect::<Vec<_>>().join(": ")).collect();
        let said =
            ["2: Warn", "3: Erro", "6: Erro", "7: Erro"].map(|said| format!("imconfxlate: line {said}"));
        assert_eq!(lines, said);
        assert_eq!(run.configuration(), OLD);
    }

    #[tokio::test]
    async fn a_good_configuration_stays_as_it_is() {
        let good = "# fine\n/*/mta/maxMessageSize:  [7]\n";
        let run = run("imconfxlate").with_configuration(good).done().await;
        assert_eq!((run.exit, run.output().as_str(), run.errors().as_str()), (Exit::OK, good, ""));
    }
}
