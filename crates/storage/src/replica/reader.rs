//! Looking up, and following what the writer does.
//!
//! A reader holds the tables that belong together and, in memory, the changes above them. [`Reader::follow`], called every
//! few moments, takes what was appended since and changes over where the writer has put other tables in force. A
//! look-up waits for neither.

use super::delta::{Overlay, Tail, load};
use super::entry::{self, Entry, Key, KeyRef, Lead, Raw, Seed};
use super::manifest::{Manifest, delta_path};
use super::record::Account;
use super::table::Table;
use super::{ReplicaError, generation_folder};
use crate::directory::AccountRecord;
use arc_swap::ArcSwap;
use mail::id::AccountId;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

/// How often opening is tried where the writer has just removed what was to be opened.
const TRIES: u32 = 8;

/// A copy of the directory that is open. Clones share it.
#[derive(Clone)]
pub struct Reader {
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    state: ArcSwap<State>,
    /// Held by whoever follows.
    tails: Mutex<Vec<Tail>>,
    position: AtomicI64,
}

/// What belongs together.
pub(super) struct State {
    pub(super) manifest: Manifest,
    /// The newest first.
    pub(super) tables: Vec<Arc<Table>>,
    overlay: RwLock<Overlay>,
    /// How many entries the overlay has: most copies have none most of the time, and then it is not even locked.
    above: AtomicUsize,
    sieve: Sieve,
}

/// What following has brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Followed {
    /// Keys under which something else stands now.
    pub keys: Vec<Key>,
    /// Whether the copy was built anew: anything may be other.
    pub anew: bool,
}

/// What a copy consists of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes of all tables.
    pub bytes: u64,
    /// Entries in all tables; those that a newer one hides count too.
    pub entries: u64,
    /// Changes above them, which are in the memory of every process.
    pub above: u64,
    /// Tables.
    pub tables: u64,
    /// Files of the oldest table.
    pub files: u64,
}

impl Reader {
    /// Opens the copy in a folder.
    ///
    /// # Errors
    /// Where there is none, it is damaged or of another format.
    pub fn open(folder: &Path) -> Result<Self, ReplicaError> {
        let (state, tails, position) = State::open(folder)?;
        Ok(Self {
            shared: Arc::new(Shared {
                folder: folder.to_owned(),
                state: ArcSwap::from_pointee(state),
                tails: Mutex::new(tails),
                position: AtomicI64::new(position),
            }),
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.shared.folder
    }

    /// The position in the directory's log of changes up to which this reader has followed.
    pub fn position(&self) -> i64 {
        self.shared.position.load(Ordering::Acquire)
    }

    /// What stands under a key.
    ///
    /// # Errors
    /// Where an entry is damaged.
    pub fn get(&self, key: &Key) -> Result<Option<Entry>, ReplicaError> {
        let state = self.shared.state.load();
        let found = state.find(key.as_ref(), |raw| {
            entry::decode(raw).map(|(_, entry)| entry).ok_or_else(|| self.damaged())
        })?;
        Ok(found.filter(|entry| *entry != Entry::Gone))
    }

    /// An account by its id.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub fn account(&self, id: AccountId) -> Result<Option<AccountRecord>, ReplicaError> {
        self.copied(KeyRef::Account(id))
    }

    /// The account that a login name or an address leads to.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub fn account_of(&self, name: &Key) -> Result<Option<AccountRecord>, ReplicaError> {
        self.copied(name.as_ref())
    }

    fn copied(&self, name: KeyRef<'_>) -> Result<Option<AccountRecord>, ReplicaError> {
        let record = self.look(name, |account| account.record())?;
        record.map(|all| all.ok_or_else(|| self.damaged())).transpose()
    }

    /// What the closure makes of the account of an id, or of the one that a login name or an address leads to: one search where the
    /// account's own entry says so, and nothing is copied.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub fn look<T>(
        &self,
        name: KeyRef<'_>,
        make: impl Fn(&Account<'_>) -> T,
    ) -> Result<Option<T>, ReplicaError> {
        enum Way<T> {
            Here(T),
            There(AccountId),
            Nowhere,
        }
        let state = self.shared.state.load();
        let step = |raw: Raw<'_>, depth: usize| {
            Ok(match entry::lead(raw).ok_or_else(|| self.damaged())? {
                // Where the account was changed since, the name was not, or it would stand above.
                Lead::Account(account) if state.hidden(KeyRef::Account(account.id), depth)? => {
                    Way::There(account.id)
                }
                Lead::Account(account) => Way::Here(make(&account)),
                Lead::Id(id) => Way::There(id),
                Lead::Nowhere => Way::Nowhere,
            })
        };
        let found = match state.find_at(name, step)? {
            Some(Way::There(id)) => state.find_at(KeyRef::Account(id), step)?,
            found => found,
        };
        Ok(match found {
            Some(Way::Here(made)) => Some(made),
            _ => None,
        })
    }

    fn damaged(&self) -> ReplicaError {
        ReplicaError::Damaged(format!("{}: an entry is not of this format", self.shared.folder.display()))
    }

    /// Takes what the writer has done since.
    ///
    /// # Errors
    /// Where a file is damaged or cannot be read: what was there holds on.
    pub fn follow(&self) -> Result<Followed, ReplicaError> {
        let shared = &*self.shared;
        let mut tails = lock(&shared.tails);
        let mut followed = Followed::default();
        shared.take(&mut tails, &mut followed)?;
        let manifest = Manifest::read(&shared.folder)?;
        if manifest == shared.state.load().manifest {
            return Ok(followed);
        }
        // All that the files of before have is known: whatever is in the new tables beyond that is in the new files of
        // changes too, or the copy was built anew.
        followed.anew |= manifest.epoch != shared.state.load().manifest.epoch;
        let known = shared.position.load(Ordering::Acquire);
        let (state, new_tails, position) = State::open(&shared.folder)?;
        for tail in &new_tails {
            if !tails.iter().any(|old| old.number == tail.number) {
                keys_after(&shared.folder, tail.number, known, &mut followed.keys)?;
            }
        }
        *tails = new_tails;
        shared.state.store(Arc::new(state));
        shared.position.store(position, Ordering::Release);
        Ok(followed)
    }

    /// Sees the newest entry of every key that an entry is filed under first, until the closure returns an error.
    ///
    /// # Errors
    /// What the closure returns, or where an entry is damaged.
    pub fn each<E: From<ReplicaError>>(
        &self,
        mut see: impl FnMut(Key, Entry) -> Result<(), E>,
    ) -> Result<(), E> {
        let state = self.shared.state.load_full();
        state.each(|key, raw, _| {
            let decoded = entry::decode(raw).ok_or_else(|| self.damaged())?;
            if decoded.1 == Entry::Gone { Ok(()) } else { see(key, decoded.1) }
        })
    }

    /// How large it is.
    pub fn size(&self) -> Size {
        let state = self.shared.state.load();
        Size {
            bytes: state.tables.iter().map(|t| t.bytes()).sum(),
            entries: state.tables.iter().map(|t| t.entries()).sum(),
            above: state.above.load(Ordering::Acquire) as u64,
            tables: state.tables.len() as u64,
            files: state.tables.last().map_or(0, |t| t.files() as u64),
        }
    }

    pub(super) fn state(&self) -> Arc<State> {
        self.shared.state.load_full()
    }

    /// Bytes of the newest file of changes that were taken.
    pub(super) fn taken(&self) -> u64 {
        lock(&self.shared.tails).last().map_or(0, |tail| tail.at)
    }
}

impl Shared {
    fn take(&self, tails: &mut [Tail], followed: &mut Followed) -> Result<(), ReplicaError> {
        let state = self.state.load();
        for tail in tails {
            while let Some(frame) = tail.next()? {
                let mut overlay = state.overlay.write().unwrap_or_else(PoisonError::into_inner);
                for (key, coded) in frame.entries {
                    followed.keys.push(key.clone());
                    state.sieve.put(key.as_ref().hash(state.tables[0].seed()));
                    overlay.put(key, coded);
                }
                state.above.store(overlay.len(), Ordering::Release);
                drop(overlay);
                self.position.store(frame.position, Ordering::Release);
            }
        }
        Ok(())
    }
}

/// The keys that a file of changes has beyond a position.
fn keys_after(folder: &Path, number: u64, known: i64, keys: &mut Vec<Key>) -> Result<(), ReplicaError> {
    let mut tail = Tail::open(delta_path(folder, number), number)?;
    while let Some(frame) = tail.next()? {
        if frame.position > known {
            keys.extend(frame.entries.into_iter().map(|(key, _)| key));
        }
    }
    Ok(())
}

impl State {
    /// Opens what the manifest names; again, where the writer has just put others in their place.
    fn open(folder: &Path) -> Result<(Self, Vec<Tail>, i64), ReplicaError> {
        let mut tries = 0;
        loop {
            let manifest = Manifest::read(folder)?;
            match Self::open_as(folder, &manifest) {
                Err(error) if tries < TRIES && Manifest::read(folder)? != manifest => {
                    tries += 1;
                    drop(error);
                }
                done => return done,
            }
        }
    }

    fn open_as(folder: &Path, manifest: &Manifest) -> Result<(Self, Vec<Tail>, i64), ReplicaError> {
        let open = |&number: &u64| Ok(Arc::new(Table::open(&generation_folder(folder, number))?));
        let tables = manifest.tables.iter().map(open).collect::<Result<Vec<_>, ReplicaError>>()?;
        if tables.is_empty() {
            return Err(ReplicaError::Damaged(format!("{} has no table", folder.display())));
        }
        let (mut overlay, mut position) = (Overlay::default(), manifest.position);
        let mut tails = Vec::new();
        for &number in &manifest.deltas {
            tails.push(load(&delta_path(folder, number), number, &mut overlay, &mut position)?);
        }
        let above = AtomicUsize::new(overlay.len());
        let sieve = Sieve::new();
        overlay.iter().for_each(|(key, _)| sieve.put(key.as_ref().hash(tables[0].seed())));
        let state = Self { manifest: manifest.clone(), tables, overlay: RwLock::new(overlay), above, sieve };
        Ok((state, tails, position))
    }

    pub(super) fn overlay(&self) -> RwLockReadGuard<'_, Overlay> {
        self.overlay.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the newest entry under a key and makes something of its bytes.
    fn find<T>(
        &self,
        key: KeyRef<'_>,
        make: impl Fn(Raw<'_>) -> Result<T, ReplicaError>,
    ) -> Result<Option<T>, ReplicaError> {
        self.find_at(key, |raw, _| make(raw))
    }

    /// The same with the depth at which it is.
    fn find_at<T>(
        &self,
        key: KeyRef<'_>,
        make: impl Fn(Raw<'_>, usize) -> Result<T, ReplicaError>,
    ) -> Result<Option<T>, ReplicaError> {
        self.newer(key, self.tables.len() + 1, make)
    }

    /// Sees every entry that no newer one of its own key hides, with the depth at which it is: 0 for the changes, then the tables.
    pub(super) fn each<E: From<ReplicaError>>(
        &self,
        see: impl FnMut(Key, Raw<'_>, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each_to(self.tables.len(), see)
    }

    /// As [`State::each`], of the changes and this many tables.
    pub(super) fn each_to<E: From<ReplicaError>>(
        &self,
        tables: usize,
        mut see: impl FnMut(Key, Raw<'_>, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let overlay: Vec<_> = self.overlay().iter().map(|(k, c)| (k.clone(), Arc::clone(c))).collect();
        for (key, coded) in overlay {
            see(key, coded.raw(), 0)?;
        }
        for (depth, table) in (1..).zip(self.tables.iter().take(tables)) {
            table.each(|raw| {
                let key = entry::key_of(raw)
                    .ok_or_else(|| ReplicaError::Damaged("an entry without a key".into()))?;
                if self.hidden(key.as_ref(), depth)? { Ok(()) } else { see(key, raw, depth) }
            })?;
        }
        Ok(())
    }

    /// Whether something newer than this depth stands under the key.
    fn hidden(&self, key: KeyRef<'_>, depth: usize) -> Result<bool, ReplicaError> {
        Ok(self.newer(key, depth, |_, _| Ok(()))?.is_some())
    }

    /// What is newer than this depth says of a name: whose it is, or nobody's; `None` where nothing newer says anything.
    pub(super) fn renamed(
        &self,
        name: &Key,
        depth: usize,
    ) -> Result<Option<Option<AccountId>>, ReplicaError> {
        self.newer(name.as_ref(), depth, |raw, _| Ok(entry::holder_of(raw)))
    }

    /// Whether the newest entry of an account, within the changes and this many tables, says that the name is its own.
    pub(super) fn says(&self, id: AccountId, name: &Key, tables: usize) -> Result<bool, ReplicaError> {
        let says = |raw: Raw<'_>, _| Ok(entry::stands_under(raw, name.as_ref()));
        Ok(self.newer(KeyRef::Account(id), tables + 1, says)?.unwrap_or(false))
    }

    fn newer<T>(
        &self,
        key: KeyRef<'_>,
        depth: usize,
        make: impl Fn(Raw<'_>, usize) -> Result<T, ReplicaError>,
    ) -> Result<Option<T>, ReplicaError> {
        let mut hashed = Hashed::of(key);
        if depth > 0 && self.may_be_above(&mut hashed) {
            let coded = self.overlay().get(&key.to_key()).cloned();
            if let Some(coded) = coded {
                return make(coded.raw(), 0).map(Some);
            }
        }
        for (at, table) in (1..).zip(self.tables.iter().take(depth.saturating_sub(1))) {
            if let Some(raw) = table.find(key, hashed.by(table.seed()))? {
                return make(raw, at).map(Some);
            }
        }
        Ok(None)
    }

    /// Whether the changes have something under a key, or something that shares a bit of the sieve with it.
    fn may_be_above(&self, hashed: &mut Hashed<'_>) -> bool {
        self.above.load(Ordering::Acquire) > 0 && self.sieve.may_have(hashed.by(self.tables[0].seed()))
    }
}

/// A key and its hash, made once for all tables of one seed.
struct Hashed<'a> {
    key: KeyRef<'a>,
    known: Option<(Seed, u64)>,
}

impl<'a> Hashed<'a> {
    fn of(key: KeyRef<'a>) -> Self {
        Self { key, known: None }
    }

    fn by(&mut self, seed: Seed) -> u64 {
        match self.known {
            Some((of, hash)) if of == seed => hash,
            _ => {
                let hash = self.key.hash(seed);
                self.known = Some((seed, hash));
                hash
            }
        }
    }
}

/// Which keys may be among the changes: most look-ups are for others, and need not look into them, nor lock them.
struct Sieve(Box<[AtomicU64]>);

/// Bits of a sieve: with as many changes as are ever above the tables one look-up in sixteen looks for nothing.
const SIEVE: u64 = 1 << 19;

impl Sieve {
    fn new() -> Self {
        Self((0..SIEVE / 64).map(|_| AtomicU64::new(0)).collect())
    }

    fn place(hash: u64) -> (usize, u64) {
        let bit = hash % SIEVE;
        ((bit / 64) as usize, 1 << (bit % 64))
    }

    fn put(&self, hash: u64) {
        let (word, bit) = Self::place(hash);
        self.0[word].fetch_or(bit, Ordering::Release);
    }

    fn may_have(&self, hash: u64) -> bool {
        let (word, bit) = Self::place(hash);
        self.0[word].load(Ordering::Acquire) & bit != 0
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
