//! `imcachecontrol`: the state of the copy of the directory, and orders to it.

use crate::command::{Command, Example, Exit, Grammar, Group, Opt, Outcome, Place};
use crate::context::{Context, Failure};
use crate::output::{Cell, Column, Layout, Listing};
use roles::directory::cache::{CacheStatus, Control, Work};
use std::sync::Arc;

/// The row.
pub const COMMAND: Command = Command {
    name: "imcachecontrol",
    aliases: &[],
    group: Group::Directory,
    summary: "Shows the state of this host's copy of the directory, and gives it orders",
    about: "Without an option: where it is, how large, and how far behind the directory. Read-throughs and write-throughs are \
            switched by keys (cacheDisableReadThrus, cacheDisableWriteThrus, cacheAlwaysReadThru).",
    usage: &["[-update | -pause | -resume | -fold] [-json]"],
    options: &[
        Opt { name: "update", value: None, help: "Bring it up to date now" },
        Opt {
            name: "pause",
            value: None,
            help: "Do not bring it up to date until -resume; it serves what it has",
        },
        Opt { name: "resume", value: None, help: "End -pause, and bring it up to date" },
        Opt { name: "fold", value: None, help: "Fold what has changed into a table, however little it is" },
    ],
    words: &[],
    examples: &[
        Example { line: "imcachecontrol", does: "Shows the state" },
        Example { line: "imcachecontrol -update", does: "Brings it up to date now" },
    ],
    exits: &[(1, "this host keeps no copy, or the order could not be carried out")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

const COLUMNS: &[Column] = &[Column { title: "What", key: "what" }, Column { title: "Value", key: "value" }];
/// Options with the orders that they stand for.
const ORDERS: [(&str, Control); 4] = [
    ("update", Control::Update),
    ("pause", Control::Pause),
    ("resume", Control::Resume),
    ("fold", Control::Fold),
];

async fn run(context: &mut Context) -> Outcome {
    let cache = Arc::clone(&context.roles()?.cache);
    let asked: Vec<_> = ORDERS.iter().filter(|(name, _)| context.arguments.has(name)).collect();
    match asked.as_slice() {
        [] => {}
        [(_, order)] => {
            cache.cache_control(&context.call(), *order).await.map_err(Failure::because)?;
            return Ok(Exit::OK);
        }
        _ => return Err(Failure::Usage("only one order at a time".into())),
    }
    let status = cache.cache_status(&context.call()).await.map_err(Failure::because)?;
    let mut listing = Listing::new(COLUMNS, Layout::Table);
    for (what, value) in rows(&status) {
        listing.row(&mut context.console, [what.into(), value]).await?;
    }
    listing.end(&mut context.console).await?;
    Ok(Exit::OK)
}

fn rows(status: &CacheStatus) -> Vec<(&'static str, Cell)> {
    let behind = status.directory.map(|last| last.saturating_sub(status.position).unsigned_abs().to_string());
    let state = match (status.doing, status.paused) {
        (Some(doing), _) => {
            let word = if doing.work == Work::Build { "is being built" } else { "is being compared" };
            format!("{word}: {} of {} accounts", doing.done, doing.total)
        }
        (None, true) => "paused".to_owned(),
        (None, false) => "follows".to_owned(),
    };
    vec![
        ("folder", status.folder.clone().into()),
        ("state", state.into()),
        ("bytes", status.bytes.into()),
        ("entries", status.entries.into()),
        ("changes above", status.above.into()),
        ("tables", status.tables.into()),
        ("files", status.files.into()),
        ("position", status.position.to_string().into()),
        ("behind", behind.unwrap_or_else(|| "the directory is out of reach".into()).into()),
    ]
}
