//! `cosupgrade`: gives accounts the classes of service that a file names.

use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::output::Format;
use mail::address::Domain;
use roles::directory::provision::{AccountChange, MAX_REQUESTS, Request, User};
use serde_json::json;
use std::collections::HashMap;

/// The row.
pub const COMMAND: Command = Command {
    name: "cosupgrade",
    aliases: &[],
    group: Group::Directory,
    summary: "Gives accounts the classes of service that a file names",
    about: "Each line of the file is a login name with domain, blanks, and the name of a class of service, which may have \
            blanks itself; lines that begin with # are comments. Every class must have been created before (imdbcontrol \
            CreateCos). A line that cannot be carried out is named, and the others are carried out. The same file may be \
            run again: what was done stays done. Mail and logins go on meanwhile.",
    usage: &["[-v] [-dry-run] [-json] FILE"],
    options: &[
        Opt { name: "v", value: None, help: "Name every account as it is done" },
        Opt { name: "dry-run", value: None, help: "Only check the lines: accounts and classes" },
        Opt { name: "n", value: None, help: "The same as -dry-run" },
    ],
    words: &[Word { name: "FILE", count: Count::One, help: "Accounts and classes; - is standard input" }],
    examples: &[
        Example { line: "cosupgrade -n gold.txt", does: "Says which lines would fail" },
        Example { line: "cosupgrade -v gold.txt", does: "Carries it out and names every account" },
    ],
    exits: &[(1, "some lines were not carried out; standard error names them")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

/// One line that can be read.
struct Line {
    number: u64,
    user: User,
    class: String,
}

#[derive(Default)]
struct Counts {
    done: u64,
    failed: u64,
}

async fn run(context: &mut Context) -> Outcome {
    let dry = context.arguments.has("dry-run") || context.arguments.has("n");
    let verbose = context.arguments.has("v");
    let (mut counts, mut batch, mut number) = (Counts::default(), Vec::new(), 0);
    // Whether each class that was met is there, or what the directory says of it.
    let mut classes = HashMap::new();
    while let Some(text) = context.console.read_line().await? {
        number += 1;
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        match read(number, text) {
            Ok(line) => match class(context, &mut classes, &line.class).await? {
                None => batch.push(line),
                Some(reason) => fail(context, &mut counts, number, &reason).await?,
            },
            Err(reason) => fail(context, &mut counts, number, reason).await?,
        }
        if batch.len() == MAX_REQUESTS {
            carry_out(context, &mut batch, &mut counts, (dry, verbose)).await?;
        }
    }
    carry_out(context, &mut batch, &mut counts, (dry, verbose)).await?;
    let Counts { done, failed } = counts;
    match context.console.format() {
        Format::Json => {
            context.console.json(&json!({ "dry_run": dry, "done": done, "failed": failed })).await?;
        }
        Format::Text => {
            let word = if dry { "would be changed" } else { "changed" };
            context.console.line(format!("{done} {word}, {failed} not")).await?;
        }
    }
    Ok(if failed == 0 { Exit::OK } else { Exit::FAILED })
}

fn read(number: u64, text: &str) -> Result<Line, &'static str> {
    let (login, class) =
        text.split_once(char::is_whitespace).ok_or("expected a login name and a class of service")?;
    let (name, domain) = login.rsplit_once('@').ok_or("expected a login name with its domain")?;
    let domain = Domain::parse(domain).map_err(|_| "the domain of the login name is not valid")?;
    Ok(Line { number, user: User { name: name.to_owned(), domain }, class: class.trim().to_owned() })
}

/// Asks once for each class; what is wrong with it, where something is.
async fn class(
    context: &mut Context,
    known: &mut HashMap<String, Option<String>>,
    name: &str,
) -> Result<Option<String>, Failure> {
    if let Some(known) = known.get(name) {
        return Ok(known.clone());
    }
    let provisioning = &context.roles()?.provisioning;
    let asked = provisioning.provision(&context.call(), vec![Request::ShowCos(name.to_owned())]).await;
    let mut answers = asked.map_err(Failure::because)?;
    let wrong = answers.pop().and_then(Result::err).map(|error| error.to_string());
    known.insert(name.to_owned(), wrong.clone());
    Ok(wrong)
}

async fn carry_out(
    context: &mut Context,
    batch: &mut Vec<Line>,
    counts: &mut Counts,
    (dry, verbose): (bool, bool),
) -> Result<(), Failure> {
    let lines = std::mem::take(batch);
    let request = |line: &Line| match dry {
        true => Request::ShowAccount(line.user.clone()),
        false => Request::ChangeAccount(line.user.clone(), AccountChange::Cos(line.class.clone())),
    };
    let requests: Vec<_> = lines.iter().map(request).collect();
    if requests.is_empty() {
        return Ok(());
    }
    let answers = context.roles()?.provisioning.provision(&context.call(), requests).await;
    for (line, answer) in lines.iter().zip(answers.map_err(Failure::because)?) {
        match answer {
            Ok(_) => {
                counts.done += 1;
                if verbose {
                    let User { name, domain } = &line.user;
                    context.console.line(format!("{name}@{domain}: {}", line.class)).await?;
                }
            }
            Err(reason) => fail(context, counts, line.number, &reason.to_string()).await?,
        }
    }
    Ok(())
}

async fn fail(context: &mut Context, counts: &mut Counts, line: u64, reason: &str) -> Result<(), Failure> {
    counts.failed += 1;
    context.console.error(format!("line {line}: {reason}")).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::house::House;

    #[tokio::test]
    async fn its_16632_its_20537_its_17139_what_can_be_done_is_done_and_the_rest_is_named() {
        let house = House::new().await;
        for name in ["anna", "bert"] {
            house.account(name).await;
        }
        house.ok("imdbcontrol cc Gold's").await;
        let file = "# comment\nanna@example.org Gold's\nbert@example.org silver\n\nnobody@example.org Gold's\nanna\n";
        let run = house.run_reading("cosupgrade -v -", file).await;
        assert_eq!(
            (run.exit, run.output().as_str()),
            (Exit::FAILED, "anna@example.org: Gold's\n1 changed, 3 not\n")
        );
        let errors = run.errors();
        for named in ["line 3: ", "silver", "line 5: ", "nobody@example.org", "line 6: "] {
            assert!(errors.contains(named), "{errors}");
        }
        assert!(house.ok("imdbcontrol gac anna example.org").await.contains("Gold's"));
        // Again: nothing is different, and nothing fails that did not.
        let again = house.run_reading("cosupgrade -", "anna@example.org Gold's\n").await;
        assert_eq!((again.exit, again.output().as_str()), (Exit::OK, "1 changed, 0 not\n"));
    }

    #[tokio::test]
    async fn its_46403_a_dry_run_changes_nothing_and_a_run_counts_the_users_of_both_classes() {
        let house = House::new().await;
        house.account("anna").await;
        house.ok("imdbcontrol cc gold").await;
        let file = "anna@example.org gold\n";
        let before = house.ok("imdbcontrol lcn").await;
        let dry = house.run_reading("cosupgrade -n -json -", file).await;
        assert_eq!(dry.output(), "{\"done\":1,\"dry_run\":true,\"failed\":0}\n");
        assert_eq!(house.ok("imdbcontrol lcn").await, before);
        assert_eq!(house.run_reading("cosupgrade -", file).await.exit, Exit::OK);
        assert_ne!(house.ok("imdbcontrol lcn").await, before);
        assert!(house.ok("imdbcontrol gac anna example.org").await.contains("gold"));
    }
}
