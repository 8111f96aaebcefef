//! `immssshare`: which host has which store, and giving a store to another host (ITS 20492, 21948, 21999).

use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::output::{Cell, Column, Layout, Listing};
use env::clock::Clock;
use mail::id::HostName;
use mail::time::Timestamp;
use roles::ownership::{MAX_FOLDER, Order, Owned, Proof, Successor};
use std::sync::Arc;
use std::time::Duration;

/// The row.
pub const COMMAND: Command = Command {
    name: "immssshare",
    aliases: &[],
    group: Group::Store,
    summary: "Shows which host has which message store, and gives a store to another host",
    about: "A store is called by the host that made it, and accounts name it as their home. Without an option, lists all \
            stores: who has each, by which epoch, and whether the owner has renewed its lease of late.\n\n\
            -handover gives a store to another host: its owner finishes what it has begun, closes the files and lets go; \
            the other host opens them. That is one change, however many mailboxes there are. Mail that comes meanwhile \
            waits, sessions go on at the other host. The files must be on storage that both hosts reach, or that is moved \
            by hand while the store is closed: -folder says where the other host finds them; it is not needed for the \
            host that the store is called by, whose own folder it is. The volumes of messageFileDir must have the same \
            paths on both.\n\n\
            -takeover gives a store to another host although its owner does not let go: it is dead. It is refused while the \
            owner renews its lease; -force takes your word for it that the owner is dead or cut off from the storage. An \
            owner that comes back finds the new epoch in the folder and neither opens nor writes.\n\n\
            -stay takes a hand-over back that has not happened yet. -forget makes the directory forget a store whose files \
            are lost, so that its host makes a new and empty one.",
    usage: &[
        "[-json]",
        "-handover [-folder DIR] [-n] STORE HOST",
        "-takeover [-force] [-folder DIR] [-n] STORE HOST",
        "-stay STORE",
        "-forget [-force] [-n] STORE",
    ],
    options: &[
        Opt {
            name: "handover",
            value: None,
            help: "Give the store to the host once its owner has let go of it",
        },
        Opt { name: "takeover", value: None, help: "Give the store to the host at once" },
        Opt { name: "stay", value: None, help: "Take a hand-over back that has not happened yet" },
        Opt { name: "forget", value: None, help: "Forget a store whose files are lost" },
        Opt { name: "force", value: None, help: "The owner is dead, although its lease has not run out" },
        Opt { name: "folder", value: Some("DIR"), help: "Where the host finds the files of the store" },
        Opt { name: "n", value: None, help: "Only say what would be done" },
    ],
    words: &[
        Word { name: "STORE", count: Count::Optional, help: "The store: the name of the host that made it" },
        Word { name: "HOST", count: Count::Optional, help: "The host that is to have it" },
    ],
    examples: &[
        Example { line: "immssshare", does: "Lists the stores" },
        Example {
            line: "immssshare -handover -folder /srv/mars/mss mars minerva",
            does: "Gives the store mars to the host minerva, which finds its files in that folder",
        },
        Example { line: "immssshare -handover mars mars", does: "Gives it back" },
        Example {
            line: "immssshare -takeover -folder /srv/mars/mss mars minerva",
            does: "Gives it to minerva after mars has died",
        },
    ],
    exits: &[(3, "it is ordered, and the other host had not opened the store within a minute")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

const COLUMNS: &[Column] = &[
    Column { title: "Store", key: "store" },
    Column { title: "Owner", key: "owner" },
    Column { title: "State", key: "state" },
    Column { title: "Epoch", key: "epoch" },
    Column { title: "Folder", key: "folder" },
    Column { title: "Goes to", key: "successor" },
];

/// How long the other host may take to open the store before this gives up watching.
const OPEN_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

async fn run(context: &mut Context) -> Outcome {
    let orders = ["handover", "takeover", "stay", "forget"];
    let named: Vec<_> = orders.into_iter().filter(|name| context.arguments.has(name)).collect();
    match named.as_slice() {
        [] => show(context).await,
        [order] => carry_out(context, order).await,
        _ => Err(Failure::Usage(format!("-{} and -{} are two orders", named[0], named[1]))),
    }
}

async fn show(context: &mut Context) -> Outcome {
    if let Some(word) = context.arguments.word(0) {
        return Err(Failure::Usage(format!("what is to become of {word}? See the options")));
    }
    let stores = list(context).await?;
    let now = Clock::system().now();
    let mut listing = Listing::new(COLUMNS, Layout::Table);
    for owned in &stores {
        listing.row(&mut context.console, cells(owned, now)).await?;
    }
    listing.end(&mut context.console).await?;
    Ok(Exit::OK)
}

fn cells(owned: &Owned, now: Timestamp) -> [Cell; 6] {
    let folder = match owned.folder.as_str() {
        "" => Cell::Nothing,
        folder => folder.into(),
    };
    let successor = owned.successor.as_ref().map_or(Cell::Nothing, |to| to.host.as_str().into());
    [
        owned.store.as_str().into(),
        owned.owner.as_str().into(),
        state(owned, now).into(),
        owned.epoch.into(),
        folder,
        successor,
    ]
}

/// One word for how a store is.
fn state(owned: &Owned, now: Timestamp) -> &'static str {
    match (owned.incarnation.is_empty(), now > owned.expires) {
        (true, _) => "closed",
        (false, true) => "silent",
        (false, false) => "open",
    }
}

async fn list(context: &Context) -> Result<Vec<Owned>, Failure> {
    context.roles()?.ownership.store_list(&context.call()).await.map_err(Failure::because)
}

async fn carry_out(context: &mut Context, what: &str) -> Outcome {
    let store = context.arguments.word(0).ok_or_else(|| Failure::Usage("STORE is missing".into()))?;
    let store = HostName::new(store);
    let known = list(context).await?;
    let before = known.into_iter().find(|owned| owned.store == store);
    let before = before.ok_or_else(|| Failure::because(format!("there is no store {store}")))?;
    let proof = if context.arguments.has("force") { Proof::Word } else { Proof::Silent };
    let order = match what {
        "handover" => Order::HandOver(successor(context, &before)?),
        "takeover" => Order::TakeOver(successor(context, &before)?, proof),
        "forget" => Order::Forget(proof),
        _ => Order::Stay,
    };
    if context.arguments.has("n") {
        let said = would(&before, &order, Clock::system().now()).map_err(Failure::because)?;
        context.console.line(&said).await?;
        return Ok(Exit::OK);
    }
    let ownership = Arc::clone(&context.roles()?.ownership);
    let ordered = ownership.store_order(&context.call(), store.clone(), order.clone()).await;
    let ordered = ordered.map_err(Failure::because)?;
    match order {
        Order::HandOver(to) | Order::TakeOver(to, _) => follow(context, &store, &to).await,
        Order::Stay => {
            context.console.line(&format!("{store} stays with {}", ordered.owner)).await?;
            Ok(Exit::OK)
        }
        Order::Forget(_) => {
            context.console.line(&format!("{store} is forgotten")).await?;
            Ok(Exit::OK)
        }
    }
}

fn successor(context: &Context, before: &Owned) -> Result<Successor, Failure> {
    let host = context.arguments.word(1).ok_or_else(|| Failure::Usage("HOST is missing".into()))?;
    let host = HostName::new(host);
    if !context.roles()?.hosts.names().contains(&host) {
        return Err(Failure::because(format!("the site has no host {host}")));
    }
    let folder = match context.arguments.value("folder") {
        Some(folder) => folder.to_owned(),
        // Shared storage is mostly at the same place everywhere; a host's own store is in its own folder.
        None if before.store == host => String::new(),
        None => before.folder.clone(),
    };
    if folder.len() > MAX_FOLDER || !(folder.is_empty() || folder.starts_with('/')) {
        return Err(Failure::Usage(format!("{folder} is no absolute path of at most {MAX_FOLDER} bytes")));
    }
    Ok(Successor { host, folder })
}

/// What an order would do, or why it would be refused.
fn would(before: &Owned, order: &Order, now: Timestamp) -> Result<String, String> {
    let (store, owner) = (&before.store, &before.owner);
    let lives = !before.incarnation.is_empty() && now <= before.expires;
    let must_be_dead = |proof: &Proof| match proof {
        Proof::Silent if lives => Err(format!("{owner} lives, and has the store {store}")),
        _ => Ok(()),
    };
    let goes = |to: &Successor| {
        if to.host == *owner {
            return Err(format!("{owner} has the store {store} already"));
        }
        match to.folder.as_str() {
            "" if to.host != *store => Err(format!("where does {} find the files? Say -folder", to.host)),
            "" => Ok(format!("{} would open it in its own folder", to.host)),
            folder => Ok(format!("{} would open it in {folder}", to.host)),
        }
    };
    match order {
        Order::HandOver(to) => Ok(format!("{owner} would close the store {store}, and {}", goes(to)?)),
        Order::TakeOver(to, proof) => {
            must_be_dead(proof)?;
            Ok(format!("the store {store} would be taken from {owner}, and {}", goes(to)?))
        }
        Order::Stay => Ok(format!("the store {store} would stay with {owner}")),
        Order::Forget(proof) => {
            must_be_dead(proof)?;
            Ok(format!("the store {store} would be forgotten; its host would make an empty one"))
        }
    }
}

/// Watches until the host has opened the store, and says how far it is.
async fn follow(context: &mut Context, store: &HostName, to: &Successor) -> Outcome {
    let clock = Clock::system();
    let (begun, mut let_go) = (clock.moment(), false);
    while begun.elapsed() < OPEN_WITHIN {
        // The directory may be asked in vain for a moment: the order stands.
        let stores = list(context).await.unwrap_or_default();
        if let Some(owned) = stores.iter().find(|owned| owned.store == *store && owned.owner == to.host) {
            if !let_go {
                context.console.line(&format!("{store} is given to {}", to.host)).await?;
                let_go = true;
            }
            if !owned.incarnation.is_empty() {
                let said = format!("{store} is open on {} by epoch {}", to.host, owned.epoch);
                context.console.line(&said).await?;
                return Ok(Exit::OK);
            }
        }
        clock.sleep(LOOK_EVERY).await;
    }
    let what =
        if let_go { "has not been opened yet: see the log of that host" } else { "is not let go of yet" };
    Err(Failure::With(Exit(3), format!("{store} {what}; the order stands")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::house::House;
    use crate::testing::run;
    use roles::ownership::{Claim, Files, Ownership as _};

    fn claim(house: &House, host: &str) -> (roles::Call, Claim) {
        let (store, host) = (HostName::new("jove"), HostName::new(host));
        let claim = Claim { store, host, incarnation: "p1".into(), epoch: 1, files: Files::There };
        (crate::people::call(&house.random), claim)
    }

    #[tokio::test]
    async fn its_21948_who_has_which_store_is_shown_and_changed() {
        let house = House::new().await;
        let (call, claim) = claim(&house, "jove");
        house.directory.store_claim(&call, claim.clone()).await.unwrap();
        let shown = house.ok("immssshare").await;
        assert!(shown.contains("jove") && shown.contains("open"), "{shown}");
        let would = house.ok("immssshare -handover -n -folder /srv/jove jove mars").await;
        assert_eq!(would, "jove would close the store jove, and mars would open it in /srv/jove\n");
        assert_eq!(house.directory.store_list(&call).await.unwrap()[0].successor, None);
        let lives = house.run("immssshare -takeover -folder /srv/jove jove mars").await;
        assert_eq!(lives.exit, Exit::FAILED);
        assert!(lives.errors().contains("it lives"), "{}", lives.errors());
        // The owner lets go when it sees the order, and the other opens it.
        let opener = async {
            loop {
                let owned = house.directory.store_list(&call).await.unwrap().remove(0);
                if owned.successor.is_some() {
                    house.directory.store_release(&call, claim.clone()).await.unwrap();
                } else if owned.owner.as_str() == "mars" {
                    let host = HostName::new("mars");
                    let opened = Claim { host, incarnation: "p2".into(), epoch: 2, ..claim.clone() };
                    return house.directory.store_claim(&call, opened).await.unwrap();
                }
                tokio::task::yield_now().await;
            }
        };
        let (said, opened) =
            tokio::join!(house.run("immssshare -handover -folder /srv/jove jove mars"), opener);
        assert_eq!(said.output(), "jove is given to mars\njove is open on mars by epoch 3\n");
        assert_eq!((opened.epoch, opened.folder.as_str()), (3, "/srv/jove"));
    }

    #[tokio::test]
    async fn what_cannot_be_is_refused_with_the_reason() {
        let house = House::new().await;
        let (call, claim) = claim(&house, "jove");
        house.directory.store_claim(&call, claim).await.unwrap();
        let table = [
            ("immssshare -handover jove", Exit::USAGE, "HOST is missing"),
            ("immssshare -handover venus mars", Exit::FAILED, "there is no store venus"),
            ("immssshare -handover jove pluto", Exit::FAILED, "the site has no host pluto"),
            ("immssshare -handover -folder srv jove mars", Exit::USAGE, "no absolute path"),
            ("immssshare -handover jove mars", Exit::FAILED, "Name the folder"),
            ("immssshare -n -forget jove", Exit::FAILED, "jove lives"),
            ("immssshare -forget jove", Exit::FAILED, "it lives"),
            ("immssshare -stay -forget jove", Exit::USAGE, "two orders"),
            ("immssshare jove", Exit::USAGE, "what is to become of jove"),
        ];
        for (line, exit, reason) in table {
            let said = house.run(line).await;
            assert_eq!(said.exit, exit, "{line}");
            assert!(said.errors().contains(reason), "{line}: {}", said.errors());
        }
        assert_eq!(house.ok("immssshare -forget -force jove").await, "jove is forgotten\n");
        assert!(house.directory.store_list(&call).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_site_without_a_directory_says_so() {
        let said = run("immssshare").with_roles(crate::testing::roles::Double::default()).done().await;
        assert_eq!(
            (said.exit, said.errors().as_str()),
            (Exit::FAILED, "immssshare: the directory is not available\n")
        );
    }
}
