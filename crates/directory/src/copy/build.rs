//! Building the copy from nothing: all of the directory, page by page, into new tables beside the old ones.
//!
//! The position in the log of changes is read first. What changes while it is built is brought in from there once the new
//! tables are in force (ITS 21737), so it does not matter which pages have seen it; building may go on while accounts are made.

use super::Copy;
use crate::fault::Fault;
use crate::server::Shared;
use catalog::events::cache::{CacheUpdateCompleted, CacheUpdateStarted};
use catalog::keys::imdircacheserv::NUM_USER_DB_FILES;
use mail::id::AccountId;
use roles::directory::DirectoryError;
use roles::directory::cache::{Built, Doing, Work};
use storage::directory::{MAX_PAGE, Rows};
use storage::replica::{Building, Entry, Key, ReplicaError};
use storage::sql::SqlError;

impl Shared {
    /// Builds the copy, unless something else goes on with it: then that is enough for now.
    pub(super) async fn build_alone(&self, copy: &Copy) -> Result<(), Fault> {
        match self.build_copy(copy).await {
            Err(Fault(DirectoryError::Conflict(_))) => Ok(()),
            done => done.map(|_| ()),
        }
    }

    /// Builds the copy and puts it in force.
    pub(super) async fn build_copy(&self, copy: &Copy) -> Result<Built, Fault> {
        let no_writer =
            || DirectoryError::Missing("another process writes the directory cache of this host".into());
        let keeper = copy.keeper().ok_or_else(no_writer)?;
        let _doing = copy.begin(Work::Build)?;
        let begun = self.env.clock.moment();
        let first = self.read(|rows| Ok::<_, Fault>((rows.last_change()?, rows.account_count()?)));
        let (position, total) = first.await?;
        copy.progress(0, total);
        self.env.log.emit(&CacheUpdateStarted { from: position, accounts: total });
        let files = usize::try_from(self.env.settings.get(NUM_USER_DB_FILES)).unwrap_or(1);
        let failed = |reason: ReplicaError| self.build_failed(&reason);
        let building = keeper.build(files).map_err(failed)?;
        let accounts = self.fill(copy, &building, total).await?;
        let built = building.finish().await.map_err(failed)?;
        let turn = copy.turn().await;
        keeper.install(built, position).await.map_err(failed)?;
        self.cache.forget_all();
        drop(turn);
        let took = self.env.clock.moment().saturating_duration_since(begun);
        let entries = keeper.reader().map_or(0, |reader| reader.size().entries);
        self.env.log.emit(&CacheUpdateCompleted { entries, millis: took.as_millis(), position });
        Ok(Built { accounts, took, position })
    }

    /// Hands everything to the tables that are built; how many accounts.
    async fn fill(&self, copy: &Copy, building: &Building, total: u64) -> Result<u64, Fault> {
        let mut small = self.read(|rows| Ok::<_, Fault>(small_rows(rows)?)).await?;
        small.push(self.layout());
        let mut open = building.add(small).await;
        let (mut after, mut done) = (AccountId(i64::MIN), 0);
        while open {
            let page = self.read(move |rows| Ok::<_, Fault>(rows.records_after(after, MAX_PAGE)?)).await?;
            let Some(last) = page.last() else { break };
            after = last.row.id;
            done += page.len() as u64;
            let kept = page.into_iter().filter_map(|record| self.kept(record));
            let entries = kept.map(|r| (Key::Account(r.row.id), Entry::Account(Box::new(r))));
            open = building.add(entries.collect()).await;
            copy.progress(done, total);
        }
        Ok(done)
    }

    fn build_failed(&self, reason: &ReplicaError) -> Fault {
        let path = "dirCacheDB";
        self.env.log.emit(&catalog::events::cache::CacheGenericMsg { path, reason });
        Fault(DirectoryError::Unavailable)
    }
}

/// All that is not an account: domains, classes, attributes, the keys of the site. In memory at once: a hundred bytes a
/// domain.
fn small_rows(rows: &Rows<'_>) -> Result<Vec<(Key, Entry)>, SqlError> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let page = rows.domains_after(&after, MAX_PAGE)?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.name);
        all.extend(page.into_iter().map(|row| (Key::Domain(row.name.clone()), Entry::Domain(row))));
    }
    after.clear();
    loop {
        let page = rows.classes_after(&after, MAX_PAGE)?;
        let Some(last) = page.last() else { break };
        after = last.name.to_lowercase();
        for row in page {
            let key = row.name.to_lowercase();
            let values = rows.class_values(&key)?;
            all.push((Key::Class(key), Entry::Class(row.name, values)));
        }
    }
    after.clear();
    loop {
        let page = rows.attributes_after(&after, MAX_PAGE)?;
        let Some(last) = page.last() else { break };
        after = last.name.to_lowercase();
        let entry = |row: storage::directory::AttributeRow| {
            (Key::Attribute(row.name.to_lowercase()), Entry::Attribute(row))
        };
        all.extend(page.into_iter().map(entry));
    }
    if let Some(key) = rows.secret(crate::server::SITE_KEY)? {
        all.push((Key::Secret(crate::server::SITE_KEY.into()), Entry::Secret(key)));
    }
    Ok(all)
}

/// Work on a copy: nothing else begins until it is dropped.
pub(super) struct Busy<'a>(&'a Copy);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        *self.0.doing() = None;
    }
}

impl Copy {
    /// Begins work.
    pub(super) fn begin(&self, work: Work) -> Result<Busy<'_>, Fault> {
        let mut doing = self.doing();
        if let Some(Doing { work, done, total }) = *doing {
            let word = match work {
                Work::Build => "built",
                Work::Compare => "compared",
            };
            let text = format!("the directory cache is being {word} ({done} of {total} accounts)");
            return Err(DirectoryError::Conflict(text).into());
        }
        *doing = Some(Doing { work, done: 0, total: 0 });
        Ok(Busy(self))
    }

    /// Says how far it is.
    pub(super) fn progress(&self, done: u64, total: u64) {
        if let Some(doing) = self.doing().as_mut() {
            (doing.done, doing.total) = (done, total);
        }
    }
}
