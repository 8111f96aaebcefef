//! Crashes: at every moment of a history the store is opened on what a crash would have left, compared with what had
//! been told by then, used on, and compared again.

use crate::caller::{Caller, World};
use crate::finding::{Finding, Kind};
use crate::history::{History, MAILBOXES, judge};
use crate::ledger::{Ledger, Resolved, Shown};
use crate::site::{Remains, Site, Watch};
use crate::tally::{Point, Tally};
use crate::tape::Player;
use anyhow::Result;
use env::random::Random;
use std::sync::Arc;

/// Crashes a history at all of its syncs and at some moments between them, until `enough` says so.
pub(crate) async fn everywhere(history: &History, tally: &Tally, enough: &dyn Fn() -> bool) -> Result<()> {
    let actions = history.site.tape.actions();
    let nothing = Remains::nothing();
    let chance = Random::seeded(history.setup.seed ^ CRASHES);
    let mut player = Player::new(&nothing.disks);
    let tape = &history.site.tape;
    for at in 0..=actions.len() {
        player.advance(&actions, at)?;
        let power_loss = |player: &Player| Remains::power_loss(player, tape, at, &nothing, &chance);
        let is_sync = |i: usize| actions.get(i).is_some_and(|(_, a)| a.is_sync());
        let mut points = Vec::new();
        if is_sync(at) {
            points.push((Point::BeforeSync, Remains::kill(&player, tape, at, &nothing)));
            points.push((Point::DuringSync, power_loss(&player)));
        }
        if at > 0 && is_sync(at - 1) {
            points.push((Point::AfterSync, power_loss(&player)));
        } else if !is_sync(at) && chance.below(BETWEEN_ONE_IN) == 0 {
            points.push((Point::Between, power_loss(&player)));
        }
        for (point, remains) in points {
            let crash = Crash { history, at, point, chance: &chance, tally };
            crash.survive(remains).await?;
            if enough() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What comes after a crash that was survived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Nothing,
    /// It is used on, and sometimes ended in order.
    Use,
    /// It is used on, and the power goes.
    CrashInUse,
    /// The power goes before it had recovered.
    CrashInRecovery,
}

/// One crash.
struct Crash<'a> {
    history: &'a History,
    at: usize,
    point: Point,
    chance: &'a Random,
    tally: &'a Tally,
}

impl Crash<'_> {
    async fn survive(&self, remains: Remains) -> Result<()> {
        self.tally.crash(self.point);
        let then = match self.chance.below(10) {
            0 | 1 => Then::CrashInRecovery,
            2 | 3 => Then::CrashInUse,
            4..7 => Then::Use,
            _ => Then::Nothing,
        };
        let crashes = matches!(then, Then::CrashInRecovery | Then::CrashInUse);
        let before = crashes.then(|| remains.again());
        let watch = if crashes { Watch::Index } else { Watch::Nothing };
        let Some(site) = self.open(&remains, watch) else { return Ok(()) };
        match (before, then) {
            (Some(before), Then::CrashInRecovery) => {
                let (ledger, end) = (&self.history.world.ledger, site.tape.len());
                site.close().await;
                let at = self.chance.below(end as u64 + 1) as usize;
                let remains = self.power_loss(&site, &before, at)?;
                self.check_again(&remains, Point::DuringRecovery, ledger, self.at).await;
            }
            (before, then) => {
                let resolved = judge(&site, &self.history.world.ledger, self.at).await;
                let sound = resolved.findings.is_empty();
                resolved.findings.iter().for_each(|f| self.report(f.clone()));
                let used = if sound && then != Then::Nothing {
                    Some(self.go_on(&site, resolved).await)
                } else {
                    None
                };
                site.close().await;
                if let Some((world, begun)) = used {
                    self.end_again(&site, before, &world, begun).await?;
                }
            }
        }
        Ok(())
    }

    fn open(&self, remains: &Remains, watch: Watch) -> Option<Site> {
        let opened = Site::open(remains, &self.history.setup, watch);
        opened.map_err(|e| self.report(Finding::new(Kind::Lost, format!("cannot be opened: {e:#}")))).ok()
    }

    /// What is left where the power goes at this moment of a store that was opened on `before`.
    fn power_loss(&self, site: &Site, before: &Remains, at: usize) -> Result<Remains> {
        let mut player = Player::new(&before.disks);
        player.advance(&site.tape.actions(), at)?;
        Ok(Remains::power_loss(&player, &site.tape, at, before, self.chance))
    }

    /// Repeats what was not answered, and some of what was; uses the store a little; looks again. Returns who knows what
    /// was told, and when that began.
    async fn go_on(&self, site: &Site, resolved: Resolved) -> (Arc<World>, usize) {
        let before = &self.history.world;
        let Resolved { mailboxes, past, delivered, .. } = resolved;
        let shown = before.ledger.shown(self.at).into_iter().map(|s| Shown { at: 0, ..s }).collect();
        let ledger = Ledger::new(site, mailboxes, past, shown);
        let world = Arc::new(World::new(site, ledger, &MAILBOXES, before.next_token()));
        let mut caller = Caller::new(&world, MAILBOXES.to_vec(), self.chance.number());
        let open = before.ledger.deliveries().into_iter().enumerate().filter(|(_, d)| d.begun < self.at);
        let begun = site.tape.len();
        for (number, delivery) in open.collect::<Vec<_>>().into_iter().rev().take(REPEATED) {
            let there = delivered.get(&number);
            caller.repeat(&delivery, &|id| there.is_some_and(|t| t.contains(&id))).await;
        }
        caller.go_on().await;
        world.ledger.findings().into_iter().for_each(|f| self.report(f));
        let again = judge(site, &world.ledger, site.tape.len()).await;
        again.findings.into_iter().for_each(|f| self.report(f));
        (world, begun)
    }

    /// Another end of a store that was used on: a crash while it was used, where what there was `before` is known; else,
    /// sometimes, an orderly one.
    async fn end_again(
        &self,
        site: &Site,
        before: Option<Remains>,
        world: &World,
        begun: usize,
    ) -> Result<()> {
        let end = site.tape.len();
        if let Some(before) = before {
            // What was found when it was opened had been told by the moment when use began.
            let at = begun + self.chance.below((end - begun) as u64 + 1) as usize;
            let remains = self.power_loss(site, &before, at)?;
            self.check_again(&remains, Point::InUseAgain, &world.ledger, at).await;
        } else if self.chance.below(REOPEN_ONE_IN) == 0 {
            self.check_again(&site.remains(), Point::OrderlyEnd, &world.ledger, end).await;
        }
        Ok(())
    }

    async fn check_again(&self, remains: &Remains, point: Point, ledger: &Ledger, at: usize) {
        self.tally.crash(point);
        let Some(site) = self.open(remains, Watch::Nothing) else { return };
        judge(&site, ledger, at).await.findings.into_iter().for_each(|f| self.report(f));
        site.close().await;
    }

    fn report(&self, finding: Finding) {
        self.tally.report(self.history.setup.seed, &format!("{} {}", self.point.name(), self.at), finding);
    }
}

/// Of so many moments between syncs one is tried.
const BETWEEN_ONE_IN: u64 = 6;
/// After so many uses, once, it is closed and opened again.
const REOPEN_ONE_IN: u64 = 3;
/// Deliveries that are repeated.
const REPEATED: usize = 6;
/// Told apart from other uses of the same seed.
const CRASHES: u64 = 0xc4a5;
