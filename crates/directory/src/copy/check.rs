//! Comparing the copy with the directory, and the role by which administrators see it.

use super::{Copy, Held, feed};
use crate::fault::Fault;
use crate::server::{DirectoryServer, Shared};
use mail::id::AccountId;
use roles::directory::DirectoryError;
use roles::directory::cache::{
    Built, CacheStatus, Compared, Control, DirectoryCache, Fields, MAX_DIFFERENCES, Probed, Work,
};
use roles::{Answer, Call};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::path::Path;
use std::sync::atomic::Ordering;
use storage::directory::{AccountRecord, AddressRow, Changed, Forwarding, MAX_PAGE, NameKey, Rank, Rows};
use storage::replica::{Entry, Key, Reader, ReplicaError};

impl Shared {
    fn copy_here(&self) -> Result<(&Copy, Reader), Fault> {
        let none =
            || DirectoryError::Missing("this host keeps no directory cache: see the key dirCache".into());
        let copy = self.copy.get().ok_or_else(none)?;
        let building = || DirectoryError::Missing("the directory cache of this host is not built yet".into());
        let reader = copy.reader().ok_or_else(building)?;
        Ok((copy, reader))
    }

    async fn cache_status(&self) -> Result<CacheStatus, Fault> {
        let none =
            || DirectoryError::Missing("this host keeps no directory cache: see the key dirCache".into());
        let copy = self.copy.get().ok_or_else(none)?;
        let last = self.read(|rows| Ok::<_, Fault>(rows.last_change()?)).await.ok();
        let paused = copy.paused().load(Ordering::Acquire);
        let doing = *copy.doing();
        let Some(reader) = copy.reader() else {
            return Ok(CacheStatus { directory: last, paused, doing, ..CacheStatus::default() });
        };
        let size = reader.size();
        Ok(CacheStatus {
            folder: reader.folder().display().to_string(),
            bytes: size.bytes,
            entries: size.entries,
            above: size.above,
            tables: size.tables,
            files: size.files,
            position: reader.position(),
            directory: last,
            paused,
            doing,
        })
    }

    async fn cache_build(&self) -> Result<Built, Fault> {
        let none =
            || DirectoryError::Missing("this host keeps no directory cache: see the key dirCache".into());
        let copy = self.copy.get().ok_or_else(none)?;
        let built = self.build_copy(copy).await?;
        self.catch_up().await?;
        while copy.is_behind() && !copy.paused().load(Ordering::Acquire) {
            self.catch_up().await?;
        }
        Ok(built)
    }

    async fn cache_compare(&self) -> Result<Compared, Fault> {
        let (copy, reader) = self.copy_here()?;
        let _doing = copy.begin(Work::Compare)?;
        self.catch_up().await?;
        let total = self.read(|rows| Ok::<_, Fault>(rows.account_count()?)).await?;
        let (mut found, mut suspects) = (Compared::default(), Vec::new());
        let mut after = AccountId(i64::MIN);
        loop {
            let page = self.read(move |rows| Ok::<_, Fault>(rows.records_after(after, MAX_PAGE)?)).await?;
            let Some(last) = page.last() else { break };
            after = last.row.id;
            for record in page.into_iter().filter_map(|record| self.kept(record)) {
                found.accounts += 1;
                found.sum = found.sum.wrapping_add(sum_of(&record));
                let copied = reader.account(record.row.id);
                if !matches!(&copied, Ok(Some(copied)) if *copied == record) || !is_named(&reader, &record) {
                    suspects.push(record.row.id);
                }
            }
            copy.progress(found.accounts, total);
        }
        let counted = reader.each(|_, entry| {
            if let Entry::Account(record) = entry {
                found.copied += 1;
                found.copied_sum = found.copied_sum.wrapping_add(sum_of(&record));
            }
            Ok::<_, ReplicaError>(())
        });
        counted.map_err(|reason| DirectoryError::Broken(reason.to_string()))?;
        self.judge(&reader, suspects, &mut found).await?;
        Ok(found)
    }

    /// Looks again at what differed: it may have changed while the copy was read.
    async fn judge(
        &self,
        reader: &Reader,
        suspects: Vec<AccountId>,
        found: &mut Compared,
    ) -> Result<(), Fault> {
        self.catch_up().await?;
        for id in suspects {
            let now = self.read(move |rows| Ok::<_, Fault>(rows.record(id)?)).await?;
            let now = now.and_then(|record| self.kept(record));
            let copied = reader.account(id).ok().flatten();
            let named = now.as_ref().is_none_or(|record| is_named(reader, record));
            if now != copied || !named {
                found.different += 1;
                if found.differences.len() < MAX_DIFFERENCES {
                    found.differences.push(format!("account {id}"));
                }
            }
        }
        Ok(())
    }

    fn cache_read(&self, name: &str) -> Result<Fields, Fault> {
        let (_, reader) = self.copy_here()?;
        let missing = || DirectoryError::Missing(format!("the directory cache has no {name}"));
        let broken = |reason: ReplicaError| Fault(DirectoryError::Broken(reason.to_string()));
        if let Some(key) = name
            .strip_prefix("domain:")
            .map(|d| Key::Domain(d.to_lowercase()))
            .or_else(|| name.strip_prefix("class:").map(|c| Key::Class(c.to_lowercase())))
        {
            let entry = reader.get(&key).map_err(broken)?.ok_or_else(missing)?;
            return Ok(fields_of(entry));
        }
        let record = match name.strip_prefix("account:").and_then(|id| id.parse().ok()) {
            Some(id) => reader.account(AccountId(id)).map_err(broken)?,
            None => {
                let key = NameKey::parse(name).ok_or_else(missing)?;
                let login = reader.account_of(&Key::Login(key.clone())).map_err(broken)?;
                match login {
                    Some(record) => Some(record),
                    None => reader.account_of(&Key::Address(key)).map_err(broken)?,
                }
            }
        };
        Ok(fields(&record.ok_or_else(missing)?))
    }

    async fn cache_copy(&self, to: &str) -> Result<u64, Fault> {
        let (_, reader) = self.copy_here()?;
        let to = to.to_owned();
        let copied = self.env.compute.run(move || reader.copy_to(Path::new(&to))).await;
        let copied = copied.map_err(|_| Fault(DirectoryError::Busy))?;
        copied.map_err(|reason| DirectoryError::Invalid(reason.to_string()).into())
    }

    async fn cache_push(&self, name: &str) -> Result<(), Fault> {
        let (copy, reader) = self.copy_here()?;
        let Held::Written(keeper) = &copy.held else { return self.catch_up().await };
        let _turn = copy.turn().await;
        let wanted = name.to_owned();
        let read = self.read(move |rows| {
            let touched = touched(rows, &wanted)?;
            let entries =
                touched.iter().map(|what| feed::entry(rows, what)).collect::<Result<Vec<_>, _>>()?;
            Ok::<_, Fault>((touched, entries))
        });
        let (touched, entries) = read.await?;
        let appended = keeper.append(reader.position(), self.divided(entries)).await;
        appended.map_err(|reason| self.copy_failed(&reader, &reason))?;
        touched.iter().for_each(|what| self.cache.forget(what));
        Ok(())
    }

    async fn cache_control(&self, control: Control) -> Result<(), Fault> {
        if control == Control::Update && self.copy.get().is_none() {
            // What is in memory is a copy, too.
            return self.catch_up().await;
        }
        let (copy, reader) = self.copy_here()?;
        match control {
            Control::Pause => copy.paused().store(true, Ordering::Release),
            Control::Resume => copy.paused().store(false, Ordering::Release),
            Control::Update => {}
            Control::Fold => {
                let Held::Written(keeper) = &copy.held else {
                    let text = "another process writes the directory cache of this host";
                    return Err(DirectoryError::Missing(text.into()).into());
                };
                let _turn = copy.turn().await;
                keeper.fold().await.map_err(|reason| self.copy_failed(&reader, &reason))?;
            }
        }
        if control == Control::Pause { Ok(()) } else { self.catch_up().await }
    }

    async fn directory_probe(&self) -> Result<Probed, Fault> {
        let begun = self.env.clock.moment();
        let read = self.read(|rows| Ok::<_, Fault>((rows.account_count()?, rows.last_change()?)));
        let (accounts, last_change) = read.await?;
        let latency = self.env.clock.moment().saturating_duration_since(begun);
        Ok(Probed { latency, accounts, last_change })
    }
}

/// What is to be read for a name: the account that has it in the directory with all its names, and the name itself.
fn touched(rows: &Rows<'_>, name: &str) -> Result<Vec<Changed>, Fault> {
    if let Some(domain) = name.strip_prefix("domain:") {
        return Ok(vec![Changed::Domain(domain.to_lowercase())]);
    }
    if let Some(class) = name.strip_prefix("class:") {
        return Ok(vec![Changed::Class(class.to_lowercase())]);
    }
    let id = match name.strip_prefix("account:") {
        Some(id) => id.parse().ok().map(AccountId),
        None => None,
    };
    let key = NameKey::parse(name);
    let mut touched = Vec::new();
    let found = match (id, &key) {
        (Some(id), _) => Some(id),
        (None, Some(key)) => {
            touched.extend([Changed::Login(key.clone()), Changed::Address(key.clone())]);
            rows.login(key)?.map_or_else(|| rows.address(key), |id| Ok(Some(id)))?
        }
        (None, None) => return Err(DirectoryError::Invalid(format!("{name} is no name of an entry")).into()),
    };
    let Some(id) = found else { return Ok(touched) };
    if let Some(record) = rows.record(id)? {
        touched.push(Changed::Login(record.row.key()));
        touched.extend(record.aliases.iter().cloned().map(Changed::Login));
        let address = |a: &AddressRow| Changed::Address(NameKey::new(&a.local_part, &a.domain));
        touched.extend(record.addresses.iter().map(address));
    }
    touched.push(Changed::Account(id));
    Ok(touched)
}

/// Whether each name of an account leads to it.
fn is_named(reader: &Reader, record: &AccountRecord) -> bool {
    let leads =
        |key: Key| matches!(reader.account_of(&key), Ok(Some(found)) if found.row.id == record.row.id);
    let addresses = record.addresses.iter().map(|a| Key::Address(NameKey::new(&a.local_part, &a.domain)));
    leads(Key::Login(record.row.key()))
        && record.aliases.iter().cloned().map(Key::Login).all(leads)
        && addresses.into_iter().all(leads)
}

/// The sum of one account; both sides of a comparison are in one process.
fn sum_of(record: &AccountRecord) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{record:?}").hash(&mut hasher);
    hasher.finish()
}

fn fields_of(entry: Entry) -> Fields {
    let field = |name: &str, value: String| (name.to_owned(), value);
    match entry {
        Entry::Domain(row) => {
            vec![field("domain", row.name), field("kind", row.kind.to_string()), field("target", row.target)]
        }
        Entry::Class(name, values) => {
            let mut all = vec![field("class", name)];
            all.extend(values);
            all
        }
        _ => Fields::new(),
    }
}

/// An account without its password.
fn fields(record: &AccountRecord) -> Fields {
    let row = &record.row;
    let field = |name: &str, value: String| (name.to_owned(), value);
    let mut all = vec![
        field("id", row.id.to_string()),
        field("login", format!("{}@{}", row.name, row.domain)),
        field("mailbox", row.mailbox.to_string()),
        field("home", row.home.clone()),
        field("status", row.status.to_string()),
        field("cos", row.class.clone()),
        field("version", row.version.to_string()),
        field("forwarding", if row.forwarding == Forwarding::On { "on" } else { "off" }.into()),
    ];
    for address in &record.addresses {
        let name = if address.rank == Rank::Primary { "psmtp" } else { "smtp" };
        all.push(field(name, format!("{}@{}", address.local_part, address.domain)));
    }
    all.extend(record.aliases.iter().map(|alias| field("alias", alias.to_string())));
    all.extend(record.forwards.iter().map(|forward| field("forward", forward.address.clone())));
    all.extend(record.overrides.iter().cloned());
    all
}

impl DirectoryCache for DirectoryServer {
    fn cache_status<'a>(&'a self, _: &'a Call) -> Answer<'a, CacheStatus, DirectoryError> {
        Box::pin(async move { self.shared.cache_status().await.map_err(|f| f.0) })
    }

    fn cache_build<'a>(&'a self, _: &'a Call) -> Answer<'a, Built, DirectoryError> {
        Box::pin(async move { self.shared.cache_build().await.map_err(|f| f.0) })
    }

    fn cache_compare<'a>(&'a self, _: &'a Call) -> Answer<'a, Compared, DirectoryError> {
        Box::pin(async move { self.shared.cache_compare().await.map_err(|f| f.0) })
    }

    fn cache_read<'a>(&'a self, _: &'a Call, name: String) -> Answer<'a, Fields, DirectoryError> {
        Box::pin(async move { self.shared.cache_read(name.trim()).map_err(|f| f.0) })
    }

    fn cache_copy<'a>(&'a self, _: &'a Call, to: String) -> Answer<'a, u64, DirectoryError> {
        Box::pin(async move { self.shared.cache_copy(&to).await.map_err(|f| f.0) })
    }

    fn cache_control<'a>(&'a self, _: &'a Call, control: Control) -> Answer<'a, (), DirectoryError> {
        Box::pin(async move { self.shared.cache_control(control).await.map_err(|f| f.0) })
    }

    fn cache_push<'a>(&'a self, _: &'a Call, name: String) -> Answer<'a, (), DirectoryError> {
        Box::pin(async move { self.shared.cache_push(name.trim()).await.map_err(|f| f.0) })
    }

    fn directory_probe<'a>(&'a self, _: &'a Call) -> Answer<'a, Probed, DirectoryError> {
        Box::pin(async move { self.shared.directory_probe().await.map_err(|f| f.0) })
    }
}
