//! `imdirprobe`: does the directory answer, and how fast?

use crate::command::{Command, Example, Exit, Grammar, Group, Opt, Outcome, Place};
use crate::context::{Context, Failure};
use crate::output::{Column, Layout, Listing, Tint};
use roles::directory::cache::Control;
use std::sync::Arc;

/// The row.
pub const COMMAND: Command = Command {
    name: "imdirprobe",
    aliases: &[],
    group: Group::Directory,
    summary: "Asks the directory and its copy on this host for a sign of life",
    about: "Probes the database of the directory (latency, accounts, last change) and the copy on this host (how far behind). With \
            -master the database alone; with -update the copy is brought up to date first.",
    usage: &["[-master] [-update] [-json]"],
    options: &[
        Opt { name: "master", value: None, help: "Probe the database of the directory alone" },
        Opt { name: "update", value: None, help: "Bring the copy up to date first" },
    ],
    words: &[],
    examples: &[
        Example { line: "imdirprobe", does: "Probes both" },
        Example { line: "imdirprobe -master", does: "Probes the database alone" },
    ],
    exits: &[(1, "one of them does not answer, or the copy could not be brought up to date")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

const COLUMNS: &[Column] = &[
    Column { title: "What", key: "what" },
    Column { title: "State", key: "state" },
    Column { title: "Microseconds", key: "micros" },
    Column { title: "Accounts", key: "accounts" },
    Column { title: "Last change", key: "position" },
];

async fn run(context: &mut Context) -> Outcome {
    let cache = Arc::clone(&context.roles()?.cache);
    let call = context.call();
    if context.arguments.has("update") {
        cache.cache_control(&call, Control::Update).await.map_err(Failure::because)?;
    }
    let mut exit = Exit::OK;
    let mut listing = Listing::new(COLUMNS, Layout::Table);
    let cells = match cache.directory_probe(&call).await {
        Ok(probed) => {
            let micros = u64::try_from(probed.latency.as_micros()).unwrap_or(u64::MAX);
            let position = probed.last_change.to_string();
            ["directory".into(), "responds".into(), micros.into(), probed.accounts.into(), position.into()]
        }
        Err(error) => {
            exit = Exit::FAILED;
            let state = crate::output::Cell::Tinted(Tint::Red, error.to_string());
            ["directory".into(), state, None::<String>.into(), None::<String>.into(), None::<String>.into()]
        }
    };
    listing.row(&mut context.console, cells).await?;
    if !context.arguments.has("master") {
        let none = || None::<String>.into();
        let cells = match cache.cache_status(&call).await {
            Ok(status) => {
                let behind = status.directory.map(|last| last.saturating_sub(status.position));
                let state =
                    behind.map_or_else(|| "serves".to_owned(), |n| format!("serves, {n} changes behind"));
                ["cache".into(), state.into(), none(), none(), status.position.to_string().into()]
            }
            // A host without a copy is as it was set up.
            Err(error) => ["cache".into(), error.to_string().into(), none(), none(), none()],
        };
        listing.row(&mut context.console, cells).await?;
    }
    listing.end(&mut context.console).await?;
    Ok(exit)
}
