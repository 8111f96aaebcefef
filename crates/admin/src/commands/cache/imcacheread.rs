//! `imcacheread`: shows what the copy of the directory has.

use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::output::{Column, Layout, Listing};
use std::sync::Arc;

/// The row.
pub const COMMAND: Command = Command {
    name: "imcacheread",
    aliases: &["imcachread"],
    group: Group::Directory,
    summary: "Shows an entry of this host's copy of the directory",
    about: "Finds an account by its login name, an alias or an SMTP address, by account:ID, or a domain or class of service by \
            domain:NAME and class:NAME, in the copy alone. Passwords are not shown. Of former releases' form (with -f and a \
            password behind the name) the password is not looked at.",
    usage: &["[-f] [-json] NAME [PASSWORD]"],
    options: &[Opt { name: "f", value: None, help: "Show the forwards alone" }],
    words: &[
        Word { name: "NAME", count: Count::One, help: "What to look for" },
        Word { name: "PASSWORD", count: Count::Optional, help: "Not looked at" },
    ],
    examples: &[
        Example { line: "imcacheread ann@example.org", does: "Shows an account" },
        Example { line: "imcacheread -f ann@example.org", does: "Shows its forwards" },
        Example { line: "imcacheread class:default", does: "Shows a class of service" },
    ],
    exits: &[(1, "the copy has no such entry, or this host keeps none")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

const COLUMNS: &[Column] =
    &[Column { title: "Field", key: "field" }, Column { title: "Value", key: "value" }];

async fn run(context: &mut Context) -> Outcome {
    let cache = Arc::clone(&context.roles()?.cache);
    let name = context.arguments.words().first().cloned().unwrap_or_default();
    let fields = cache.cache_read(&context.call(), name).await.map_err(Failure::because)?;
    let forwards = context.arguments.has("f");
    let mut listing = Listing::new(COLUMNS, Layout::Table);
    for (field, value) in fields.into_iter().filter(|(field, _)| !forwards || field == "forward") {
        listing.row(&mut context.console, [field.into(), value.into()]).await?;
    }
    listing.end(&mut context.console).await?;
    Ok(Exit::OK)
}
