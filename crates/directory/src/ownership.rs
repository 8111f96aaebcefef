//! Which host has which store: who may take it, who keeps it, who gets it.
//!
//! Decisions are functions from the row that is there to the row that is to be; each is made and written in one transaction,
//! so that two processes that claim a store at the same moment take turns. Epochs only grow, here as in the fence of the
//! store's folder: whichever is greater is believed.

use crate::fault::Fault;
use crate::server::{DirectoryServer, Shared};
use catalog::events::ms::MsStoreOrdered;
use mail::id::HostName;
use mail::time::Timestamp;
use roles::directory::DirectoryError;
use roles::ownership::{Claim, Files, LEASE, MAX_STORES, Order, Owned, Ownership, Proof, Successor};
use roles::{Answer, Call};
use storage::directory::StoreRow;

type Of<'a, T> = Answer<'a, T, DirectoryError>;

impl Ownership for DirectoryServer {
    fn store_list<'a>(&'a self, _: &'a Call) -> Of<'a, Vec<Owned>> {
        Box::pin(async move { self.shared.store_list().await.map_err(|f| f.0) })
    }

    fn store_claim<'a>(&'a self, _: &'a Call, claim: Claim) -> Of<'a, Owned> {
        let now = self.shared.env.clock.now();
        let name = claim.store.clone();
        Box::pin(self.shared.decide(name, move |row| claimed(row, &claim, now)))
    }

    fn store_release<'a>(&'a self, _: &'a Call, claim: Claim) -> Of<'a, Owned> {
        let now = self.shared.env.clock.now();
        let name = claim.store.clone();
        Box::pin(self.shared.decide(name, move |row| released(row, &claim, now)))
    }

    fn store_order<'a>(&'a self, call: &'a Call, store: HostName, order: Order) -> Of<'a, Owned> {
        Box::pin(async move {
            let now = self.shared.env.clock.now();
            let (word, to) = said(&order);
            let owned = match order {
                Order::Forget(proof) => self.shared.forget(store, proof, now).await?,
                order => self.shared.decide(store, move |row| ordered(row, &order, now)).await?,
            };
            let log = &self.shared.env.log;
            log.emit(&MsStoreOrdered { store: &owned.store, order: word, to, trace: &call.trace });
            Ok(owned)
        })
    }
}

impl Shared {
    async fn store_list(&self) -> Result<Vec<Owned>, Fault> {
        let limit = u32::try_from(MAX_STORES).unwrap_or(u32::MAX);
        let rows = self.tables()?.read(move |rows| Ok::<_, Fault>(rows.stores(limit)?)).await;
        Ok(self.noted(rows)?.into_iter().map(owned).collect())
    }

    /// Reads the row of a store, decides, and writes what is decided where it is another.
    async fn decide<F>(&self, store: HostName, decision: F) -> Result<Owned, DirectoryError>
    where
        F: FnOnce(Option<StoreRow>) -> Result<StoreRow, DirectoryError> + Send + 'static,
    {
        let change = move |e: &storage::directory::Edit<'_>| {
            let before = e.store(store.as_str())?;
            let row = decision(before.clone())?;
            if before.as_ref() != Some(&row) {
                e.put_store(&row)?;
            }
            Ok::<_, Fault>(row)
        };
        let tables = self.tables().map_err(|f| f.0)?;
        let row = tables.write(self.env.clock.now(), String::new(), change).await;
        self.noted(row).map(owned).map_err(|f| f.0)
    }

    async fn forget(&self, store: HostName, proof: Proof, now: Timestamp) -> Result<Owned, DirectoryError> {
        let change = move |e: &storage::directory::Edit<'_>| {
            let row = known(e.store(store.as_str())?)?;
            proven(&row, proof, now)?;
            e.forget_store(&row.name)?;
            Ok::<_, Fault>(row)
        };
        let tables = self.tables().map_err(|f| f.0)?;
        let row = tables.write(self.env.clock.now(), String::new(), change).await;
        self.noted(row).map(owned).map_err(|f| f.0)
    }
}

/// What becomes of a claim.
fn claimed(row: Option<StoreRow>, claim: &Claim, now: Timestamp) -> Result<StoreRow, DirectoryError> {
    let least = i64::try_from(claim.epoch).unwrap_or(i64::MAX).max(1);
    let expires = now.plus(LEASE);
    let Some(row) = row else {
        return Ok(StoreRow {
            name: claim.store.as_str().to_owned(),
            owner: claim.host.as_str().to_owned(),
            incarnation: claim.incarnation.clone(),
            epoch: least,
            expires,
            folder: String::new(),
            successor: None,
        });
    };
    if row.owner != claim.host.as_str() {
        return Err(DirectoryError::Conflict(format!("the store {} is {}'s", row.name, row.owner)));
    }
    if claim.files == Files::Missing {
        let reason = format!(
            "the files of the store {} are not where they are looked for: is the storage there? If they are lost: immssshare",
            row.name
        );
        return Err(DirectoryError::Missing(reason));
    }
    // A process that opened the store while the directory was away may have a greater epoch than the row: it keeps that.
    let renews = row.epoch == least && row.incarnation == claim.incarnation;
    let epoch = if renews { row.epoch } else { least.max(row.epoch.saturating_add(1)) };
    Ok(StoreRow { incarnation: claim.incarnation.clone(), epoch, expires, ..row })
}

/// What becomes of a store whose process lets go of it.
fn released(row: Option<StoreRow>, claim: &Claim, now: Timestamp) -> Result<StoreRow, DirectoryError> {
    let row = known(row)?;
    let holds = row.owner == claim.host.as_str()
        && (row.incarnation == claim.incarnation || row.incarnation.is_empty());
    if !holds {
        return Ok(row);
    }
    let row = StoreRow { incarnation: String::new(), expires: now, ..row };
    Ok(match row.successor.clone() {
        Some((owner, folder)) => given(row, owner, folder, now),
        None => row,
    })
}

/// What becomes of a store by the order of an operator.
fn ordered(row: Option<StoreRow>, order: &Order, now: Timestamp) -> Result<StoreRow, DirectoryError> {
    let row = known(row)?;
    match order {
        Order::HandOver(to) => {
            must_be_another(&row, to)?;
            let (owner, folder) = parts(to);
            // Nobody has it open: there is nothing to wait for.
            if row.incarnation.is_empty() {
                return Ok(given(row, owner, folder, now));
            }
            Ok(StoreRow { successor: Some((owner, folder)), ..row })
        }
        Order::Stay => Ok(StoreRow { successor: None, ..row }),
        Order::TakeOver(to, proof) => {
            must_be_another(&row, to)?;
            proven(&row, *proof, now)?;
            let (owner, folder) = parts(to);
            Ok(given(row, owner, folder, now))
        }
        Order::Forget(_) => Err(DirectoryError::Broken("a store that is forgotten has no row".into())),
    }
}

/// The store as another host's, who has not opened it yet.
fn given(row: StoreRow, owner: String, folder: String, now: Timestamp) -> StoreRow {
    let epoch = row.epoch.saturating_add(1);
    StoreRow { owner, folder, epoch, incarnation: String::new(), expires: now, successor: None, ..row }
}

fn parts(to: &Successor) -> (String, String) {
    (to.host.as_str().to_owned(), to.folder.clone())
}

fn must_be_another(row: &StoreRow, to: &Successor) -> Result<(), DirectoryError> {
    if row.owner == to.host.as_str() {
        return Err(DirectoryError::Conflict(format!("{} has the store {} already", row.owner, row.name)));
    }
    // A host opens its own store in its own folder; elsewhere the files must be named.
    if to.folder.is_empty() && row.name != to.host.as_str() {
        let reason =
            format!("where does {} find the files of the store {}? Name the folder", to.host, row.name);
        return Err(DirectoryError::Invalid(reason));
    }
    Ok(())
}

fn proven(row: &StoreRow, proof: Proof, now: Timestamp) -> Result<(), DirectoryError> {
    if proof == Proof::Silent && now < row.expires {
        let reason = format!(
            "{} has renewed the lease of the store {} a moment ago: it lives. Hand the store over, or stop {} first",
            row.owner, row.name, row.owner
        );
        return Err(DirectoryError::Conflict(reason));
    }
    Ok(())
}

fn known(row: Option<StoreRow>) -> Result<StoreRow, DirectoryError> {
    row.ok_or_else(|| DirectoryError::Missing("there is no such store: see immssshare".into()))
}

fn owned(row: StoreRow) -> Owned {
    let successor = |(host, folder): (String, String)| Successor { host: HostName::new(&host), folder };
    Owned {
        store: HostName::new(&row.name),
        owner: HostName::new(&row.owner),
        incarnation: row.incarnation,
        epoch: u64::try_from(row.epoch).unwrap_or(0),
        expires: row.expires,
        folder: row.folder,
        successor: row.successor.map(successor),
    }
}

/// An order as the log has it, and whom it is for.
fn said(order: &Order) -> (&'static str, String) {
    match order {
        Order::HandOver(to) => ("handOver", to.host.to_string()),
        Order::TakeOver(to, _) => ("takeOver", to.host.to_string()),
        Order::Stay => ("stay", String::new()),
        Order::Forget(_) => ("forget", String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1000);

    fn claim(host: &str, process: &str, epoch: u64) -> Claim {
        let (store, host) = (HostName::new("mars"), HostName::new(host));
        Claim { store, host, incarnation: process.into(), epoch, files: Files::There }
    }

    fn to(host: &str) -> Successor {
        Successor { host: HostName::new(host), folder: "/srv/mars".into() }
    }

    /// `mars`, open in process `p1` of its host.
    fn held() -> StoreRow {
        claimed(None, &claim("mars", "p1", 0), NOW).unwrap()
    }

    #[test]
    fn who_comes_first_has_it_and_who_renews_keeps_its_epoch() {
        let row = held();
        assert_eq!((row.epoch, row.owner.as_str(), row.expires), (1, "mars", NOW.plus(LEASE)));
        let later = NOW.plus(LEASE);
        let renewed = claimed(Some(row.clone()), &claim("mars", "p1", 1), later).unwrap();
        assert_eq!(renewed, StoreRow { expires: later.plus(LEASE), ..row.clone() });
        let restarted = claimed(Some(row.clone()), &claim("mars", "p2", 2), later).unwrap();
        assert_eq!((restarted.epoch, restarted.incarnation.as_str()), (2, "p2"));
        // Not even a lease that has run out goes to another host by itself.
        let other = claimed(Some(row), &claim("minerva", "p3", 9), later.plus(LEASE));
        assert!(matches!(other, Err(DirectoryError::Conflict(_))));
    }

    #[test]
    fn an_epoch_of_the_time_without_the_directory_is_kept() {
        let kept = claimed(Some(held()), &claim("mars", "p2", 5), NOW).unwrap();
        assert_eq!((kept.epoch, kept.incarnation.as_str()), (5, "p2"));
        assert_eq!(claimed(None, &claim("mars", "p2", 5), NOW).unwrap().epoch, 5);
        // Where the directory has gone on meanwhile, the greater epoch is its own.
        let ahead = StoreRow { epoch: 9, ..held() };
        assert_eq!(claimed(Some(ahead), &claim("mars", "p2", 5), NOW).unwrap().epoch, 10);
    }

    #[test]
    fn files_that_are_gone_are_not_made_anew() {
        let gone = Claim { files: Files::Missing, ..claim("mars", "p2", 0) };
        assert!(matches!(claimed(Some(held()), &gone, NOW), Err(DirectoryError::Missing(_))));
        assert_eq!(claimed(None, &gone, NOW).unwrap().epoch, 1);
    }

    #[test]
    fn a_hand_over_waits_until_the_owner_lets_go() {
        let handing = ordered(Some(held()), &Order::HandOver(to("minerva")), NOW).unwrap();
        assert_eq!((handing.owner.as_str(), handing.epoch), ("mars", 1));
        // Its own restart does not make the owner forget it.
        let restarted = claimed(Some(handing.clone()), &claim("mars", "p2", 1), NOW).unwrap();
        assert_eq!(restarted.successor, handing.successor);
        let stranger = released(Some(handing.clone()), &claim("mars", "p9", 1), NOW).unwrap();
        assert_eq!(stranger, handing);
        let gone = released(Some(handing.clone()), &claim("mars", "p1", 1), NOW).unwrap();
        assert_eq!((gone.owner.as_str(), gone.folder.as_str(), gone.epoch), ("minerva", "/srv/mars", 2));
        assert!(gone.incarnation.is_empty() && gone.successor.is_none());
        let opened = claimed(Some(gone), &claim("minerva", "p3", 1), NOW).unwrap();
        assert_eq!(opened.epoch, 3);
        let stays = ordered(Some(handing), &Order::Stay, NOW).unwrap();
        assert_eq!(stays, held());
    }

    #[test]
    fn a_store_that_nobody_has_open_is_given_at_once() {
        let closed = released(Some(held()), &claim("mars", "p1", 1), NOW).unwrap();
        assert_eq!((closed.owner.as_str(), closed.incarnation.as_str()), ("mars", ""));
        let given = ordered(Some(closed), &Order::HandOver(to("minerva")), NOW).unwrap();
        assert_eq!((given.owner.as_str(), given.epoch), ("minerva", 2));
    }

    #[test]
    fn it_is_taken_only_from_an_owner_that_is_silent_or_said_to_be_dead() {
        let take = |proof| Order::TakeOver(to("minerva"), proof);
        let lives = ordered(Some(held()), &take(Proof::Silent), NOW);
        assert!(matches!(lives, Err(DirectoryError::Conflict(_))));
        let later = NOW.plus(LEASE);
        for (proof, now) in [(Proof::Word, NOW), (Proof::Silent, later)] {
            let taken = ordered(Some(held()), &take(proof), now).unwrap();
            assert_eq!((taken.owner.as_str(), taken.epoch), ("minerva", 2));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let own = ordered(Some(held()), &Order::HandOver(to("mars")), NOW);
        assert!(matches!(own, Err(DirectoryError::Conflict(_))));
        let nowhere = Successor { host: HostName::new("minerva"), folder: String::new() };
        let nowhere = ordered(Some(held()), &Order::HandOver(nowhere), NOW);
        assert!(matches!(nowhere, Err(DirectoryError::Invalid(_))));
        assert!(matches!(ordered(None, &Order::Stay, NOW), Err(DirectoryError::Missing(_))));
    }
}
