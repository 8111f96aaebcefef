//! Many lines: read, grouped, carried out in order, each with its line of result.
//!
//! A group is what has arrived already, so that its changes share syncs and a line that is typed is answered at once.

use super::answer::{Answers, explain};
use super::table::{self, Act};
use super::{print, unknown, words};
use crate::command::{Exit, Outcome};
use crate::context::{Context, Failure};
use crate::output::Format;
use roles::directory::DirectoryError;
use roles::directory::provision::{MAX_REQUESTS, Request};
use serde_json::json;

/// A line of the batch.
struct Entry {
    number: usize,
    name: String,
    act: Result<Act, String>,
}

/// What became of the lines so far.
#[derive(Default)]
struct Tally {
    done: usize,
    failed: usize,
}

pub(super) async fn run(context: &mut Context) -> Outcome {
    let (mut number, mut group, mut tally) = (0, Vec::new(), Tally::default());
    while let Some(line) = context.console.read_line().await? {
        number += 1;
        group.extend(entry(number, &line));
        if group.len() >= MAX_REQUESTS || !context.console.has_line() {
            carry_out(context, std::mem::take(&mut group), &mut tally).await?;
        }
    }
    carry_out(context, group, &mut tally).await?;
    let Tally { done, failed } = tally;
    context.console.error(format!("{} commands, {done} done, {failed} failed", done + failed)).await?;
    Ok(if failed == 0 { Exit::OK } else { Exit::FAILED })
}

/// The entry of a line; `None` where there is nothing on it.
fn entry(number: usize, line: &str) -> Option<Entry> {
    let words = match words::split(line) {
        Ok(words) => words,
        Err(bad) => return Some(Entry { number, name: "-".to_owned(), act: Err(bad.to_string()) }),
    };
    let (name, rest) = words.split_first()?;
    Some(match table::find(name) {
        Some(sub) => Entry { number, name: sub.name.to_owned(), act: sub.read(rest) },
        None => Entry { number, name: name.clone(), act: Err(unknown(name)) },
    })
}

/// Carries out a group in order. Requests that follow each other go in one call.
async fn carry_out(context: &mut Context, group: Vec<Entry>, tally: &mut Tally) -> Result<(), Failure> {
    let mut waiting = Vec::new();
    for Entry { number, name, act } in group {
        match act {
            Ok(Act::Ask(request)) => waiting.push((number, name, *request)),
            act => {
                call(context, std::mem::take(&mut waiting), tally).await?;
                let roles = context.roles()?.clone();
                let call = context.call();
                let answers = Answers::of_line(&mut context.console, number, &name);
                let said = match act {
                    Ok(act) => answers.act(&roles, &call, act).await?,
                    Err(reason) => Err(reason),
                };
                count(context, tally, number, &name, said).await?;
            }
        }
    }
    call(context, waiting, tally).await
}

/// One call with these requests, and a result for each.
async fn call(
    context: &mut Context,
    waiting: Vec<(usize, String, Request)>,
    tally: &mut Tally,
) -> Result<(), Failure> {
    if waiting.is_empty() {
        return Ok(());
    }
    let (lines, requests): (Vec<_>, Vec<_>) = waiting.into_iter().map(|(n, name, r)| ((n, name), r)).unzip();
    let answers = context.roles()?.provisioning.provision(&context.call(), requests).await;
    let mut answers = answers.unwrap_or_else(|error| vec![Err(error); lines.len()]);
    answers.resize(lines.len(), Err(DirectoryError::Unavailable));
    for ((number, name), answer) in lines.into_iter().zip(answers) {
        let said = match answer {
            Ok(reply) => {
                let mut answers = Answers::of_line(&mut context.console, number, &name);
                answers.whole(print::reply(&reply)).await?;
                Ok(())
            }
            Err(error) => Err(explain(&error)),
        };
        count(context, tally, number, &name, said).await?;
    }
    Ok(())
}

/// Counts a result and says why it failed: on standard output, since it is the result of its line.
async fn count(
    context: &mut Context,
    tally: &mut Tally,
    number: usize,
    name: &str,
    said: Result<(), String>,
) -> Result<(), Failure> {
    let Err(reason) = said else {
        tally.done += 1;
        return Ok(());
    };
    tally.failed += 1;
    match context.console.format() {
        Format::Text => context.console.line(format!("{number}: failed {name}: {reason}")).await,
        Format::Json => {
            let value = json!({ "line": number, "command": name, "ok": false, "error": reason });
            context.console.json(&value).await
        }
    }
}
