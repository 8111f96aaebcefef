//! One history: several callers use a store at the same time, all of it recorded.

use crate::caller::{Caller, World};
use crate::finding::{Finding, Kind};
use crate::ledger::{Ledger, Resolved};
use crate::site::{Remains, Setup, Site, Watch};
use crate::tape::Fault;
use anyhow::{Result, bail};
use env::random::Random;
use mail::id::MailboxId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The mailboxes, one a caller; two in each shard.
pub(crate) const MAILBOXES: [MailboxId; 4] = [MailboxId(-3), MailboxId(2), MailboxId(7), MailboxId(40)];

/// A history that has come to its end.
pub(crate) struct History {
    pub(crate) setup: Setup,
    pub(crate) world: Arc<World>,
    pub(crate) site: Site,
    pub(crate) fault: Option<Fault>,
    /// What was found wrong before anything crashed.
    pub(crate) findings: Vec<Finding>,
    /// What there is after an orderly end.
    pub(crate) end: Remains,
}

/// Runs the history of a seed. With a fault, that strikes somewhere in its middle.
pub(crate) async fn run(setup: Setup, steps: usize, fault: Option<Fault>) -> Result<History> {
    let seed = setup.seed;
    let chance = Random::seeded(seed);
    let site = Site::open(&Remains::nothing(), &setup, Watch::Index)?;
    let ledger = Ledger::new(&site, BTreeMap::new(), BTreeMap::new(), Vec::new());
    // Tokens of different seeds differ, and so do the lengths of messages.
    let world = Arc::new(World::new(&site, ledger, &MAILBOXES, 1 + (chance.below(1 << 40) << 16)));
    if let Some(fault) = fault {
        site.tape.arm(site.tape.len() + chance.below(FAULT_WITHIN) as usize, fault);
    }
    let mut callers = tokio::task::JoinSet::new();
    for id in MAILBOXES {
        let mut caller = Caller::new(&world, vec![id], chance.number());
        callers.spawn(async move { caller.run(steps).await });
    }
    end(callers, &site).await?;
    site.tape.make_room();
    let mut findings = world.ledger.findings();
    findings.extend(judge(&site, &world.ledger, site.tape.len()).await.findings);
    site.close().await;
    let end = site.remains();
    Ok(History { setup, world, site, fault, findings, end })
}

/// Waits until all callers have ended. A move that a full disk interrupts goes on until there is space, so whoever still
/// waits after a while gets it; who waits after that has found a store that hangs.
async fn end(mut callers: tokio::task::JoinSet<()>, site: &Site) -> Result<()> {
    for patience in [SPACE_AFTER, HANGS_AFTER] {
        let ended = async {
            while let Some(ended) = callers.join_next().await {
                ended?;
            }
            Ok(())
        };
        if let Ok(ended) = tokio::time::timeout(patience, ended).await {
            return ended;
        }
        site.tape.make_room();
    }
    bail!("{} callers hang", callers.len())
}

/// Compares what is there with what was told by this moment of the ledger.
pub(crate) async fn judge(site: &Site, ledger: &Ledger, at: usize) -> Resolved {
    match site.look(&MAILBOXES, &ledger.shown(at)).await {
        Ok(seen) => {
            let mut resolved = ledger.resolve(at, &seen);
            resolved.findings.extend(audit(site).await);
            resolved
        }
        Err(error) => {
            let mut resolved = ledger.resolve(at, &BTreeMap::new());
            resolved.findings.push(Finding::new(Kind::Refused, format!("cannot be read: {error}")));
            resolved
        }
    }
}

/// Whether every byte that is kept belongs to something, and everything has its bytes.
async fn audit(site: &Site) -> Vec<Finding> {
    let audits = match site.store.audit().await {
        Ok(audits) => audits,
        Err(error) => return vec![Finding::new(Kind::Refused, format!("cannot be audited: {error}"))],
    };
    let unclean = audits.into_iter().filter(|audit| !audit.is_clean());
    unclean.map(|audit| Finding::new(Kind::Leaked, format!("{audit:?}"))).collect()
}

/// How long callers may wait for space; without a fault, a history takes a second or two.
const SPACE_AFTER: Duration = Duration::from_secs(15);
/// How long they may take from then on.
const HANGS_AFTER: Duration = Duration::from_secs(120);

/// A fault strikes within this many actions of the disks.
const FAULT_WITHIN: u64 = 400;
