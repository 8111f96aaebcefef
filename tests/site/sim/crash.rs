//! Crashes: at every moment of a history the store is opened on what a crash would have left, compared with what had
//! been told by then, used on, and compared again.

use crate::caller::{Caller, World};
use crate::finding::{Finding, Kind};
use crate::history::{History, MAILBOXES, judge};
use crate::ledger::{Ledger, Resolved};
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
        let twice = self.chance.below(TWICE_ONE_IN) == 0;
        let before = twice.then(|| remains.again());
        let watch = if twice { Watch::Index } else { Watch::Nothing };
        self.tally.crash(self.point);
        let Some(site) = self.open(&remains, watch) else { return Ok(()) };
        let Some(before) = before else { return self.verify(site).await };
        // The second crash, at some moment of the recovery from the first.
        let actions = site.tape.actions();
        site.close().await;
        let at = self.chance.below(actions.len() as u64 + 1) as usize;
        let mut player = Player::new(&before.disks);
        player.advance(&actions, at)?;
        let remains = Remains::power_loss(&player, &site.tape, at, &before, self.chance);
        self.tally.crash(Point::DuringRecovery);
        match self.open(&remains, Watch::Nothing) {
            Some(site) => self.verify(site).await,
            None => Ok(()),
        }
    }

    fn open(&self, remains: &Remains, watch: Watch) -> Option<Site> {
        let opened = Site::open(remains, &self.history.setup, watch);
        opened.map_err(|e| self.report(Finding::new(Kind::Lost, format!("cannot be opened: {e:#}")))).ok()
    }

    async fn verify(&self, site: Site) -> Result<()> {
        let resolved = judge(&site, &self.history.world.ledger, self.at).await;
        let sound = resolved.findings.is_empty();
        resolved.findings.iter().for_each(|f| self.report(f.clone()));
        if sound && self.chance.below(GO_ON_ONE_IN) == 0 {
            self.go_on(&site, resolved).await?;
        }
        site.close().await;
        Ok(())
    }

    /// Repeats what was not answered, and some of what was; uses the store a little; looks again, also after an orderly
    /// end.
    async fn go_on(&self, site: &Site, resolved: Resolved) -> Result<()> {
        let before = &self.history.world;
        let Resolved { mailboxes, past, delivered, .. } = resolved;
        let ledger = Ledger::new(site.tape.clone(), mailboxes, past, before.ledger.shown(self.at));
        let world = Arc::new(World::new(site, ledger, &MAILBOXES, before.next_token()));
        let mut caller = Caller::new(&world, MAILBOXES.to_vec(), self.chance.number());
        let begun = before.ledger.deliveries().into_iter().enumerate().filter(|(_, d)| d.begun < self.at);
        for (number, delivery) in begun.collect::<Vec<_>>().into_iter().rev().take(REPEATED) {
            let there = delivered.get(&number);
            caller.repeat(&delivery, &|id| there.is_some_and(|t| t.contains(&id))).await;
        }
        caller.go_on().await;
        world.ledger.findings().into_iter().for_each(|f| self.report(f));
        self.compare_again(site, &world.ledger).await;
        if self.chance.below(REOPEN_ONE_IN) == 0 {
            let now = site.tape.len();
            site.close().await;
            if let Some(site) = self.open(&site.remains(), Watch::Nothing) {
                let again = judge(&site, &world.ledger, now).await;
                again.findings.into_iter().for_each(|f| self.report(f));
                site.close().await;
            }
        }
        Ok(())
    }

    async fn compare_again(&self, site: &Site, ledger: &Ledger) {
        let again = judge(site, ledger, site.tape.len()).await;
        again.findings.into_iter().for_each(|f| self.report(f));
    }

    fn report(&self, finding: Finding) {
        self.tally.report(self.history.setup.seed, &format!("{} {}", self.point.name(), self.at), finding);
    }
}

/// Of so many moments between syncs one is tried.
const BETWEEN_ONE_IN: u64 = 6;
/// Of so many crashes one is followed by another during recovery.
const TWICE_ONE_IN: u64 = 5;
/// After so many crashes, once, the store is used on.
const GO_ON_ONE_IN: u64 = 2;
/// After so many uses, once, it is closed and opened again.
const REOPEN_ONE_IN: u64 = 3;
/// Deliveries that are repeated.
const REPEATED: usize = 6;
/// Told apart from other uses of the same seed.
const CRASHES: u64 = 0xc4a5;
