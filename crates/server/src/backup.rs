//! Backups of this host: the queue, the store, the directory and the site's own files, in one generation.
//!
//! In this order: mail goes from the queue to the store, so what is in neither copy was in neither place, and what is in
//! both is known by its request when it is delivered again. A mailbox whose account came later is of nobody; an account
//! whose mailbox comes later gets it at its first use. A server that is another process of this host is asked to add its
//! part in its turn.

use crate::folder;
use crate::here::Here;
use crate::partners::Partners;
use admin::site::Site;
use env::Env;
use roles::backup::{Backup, BackupError, Join, Made, Make, Progress, Recover, Recovered, What};
use roles::{Answer, Call};
use rpc::client::Remote;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storage::backup::{self, Backups, Current, Joining, Kind, Name, New, Steps, Work, servers};
use storage::pace::{Pace, Rate};

/// Folders of a site whose files belong to its backup.
const FOLDERS: [&str; 2] = ["config", "lib"];
/// Folders in folders there.
const MAX_DEPTH: usize = 8;
/// Files there.
const MAX_FILES: usize = 10_000;

/// Makes the backups of a site. Clones share it.
#[derive(Clone)]
pub(crate) struct SiteBackup(Arc<Inner>);

struct Inner {
    env: Env,
    site: Arc<Site>,
    here: Here,
    partners: Arc<Partners>,
    current: Current,
}

impl SiteBackup {
    /// Of what this host has: in this process, or in others that are asked for it.
    pub(crate) fn new(env: Env, site: Arc<Site>, here: Here, partners: Arc<Partners>) -> Self {
        Self(Arc::new(Inner { env, site, here, partners, current: Current::default() }))
    }
}

impl Inner {
    async fn make(&self, call: &Call, make: Make) -> Result<Made, BackupError> {
        let Make { folder, what, rate, keep } = make;
        let pace = Pace::new(&self.env.clock, move || Rate::per_second(rate));
        let (work, _begun) = self.current.begin(pace).ok_or(BackupError::Busy)?;
        let (host, now) = (self.site.host().as_str().to_owned(), self.env.clock.now());
        let begin = move |_: &Steps| {
            let backups = Backups::create(Path::new(&folder))?;
            let new = backups.begin(kind(what), &host, now)?;
            Ok((backups, new))
        };
        let (backups, new) = work.run(begin).await.map_err(tell)?;
        let mut elsewhere = Progress::default();
        for server in parts(what) {
            let joined = self.add(server, (new.folder(), rate), &work, call).await?;
            elsewhere = sum(elsewhere, joined);
        }
        let left_out = match what {
            What::Site => self.add_site(&new, &work).await.map_err(tell)?,
            What::Messages => Vec::new(),
        };
        let generation = new.number();
        let finish = move |_: &Steps| {
            new.finish()?;
            if keep == 0 { Ok(Vec::new()) } else { backups.prune(keep) }
        };
        let removed = work.run(finish).await.map_err(tell)?;
        let progress = sum(shown(work.progress()), elsewhere);
        Ok(Made { generation, taken: now, progress, removed, left_out })
    }

    /// Adds the part of one server, if this host has it; returns what another process has done for it.
    async fn add(
        &self,
        server: &'static str,
        (folder, rate): (&Path, u64),
        work: &Work,
        call: &Call,
    ) -> Result<Progress, BackupError> {
        if self.here.parts.has(server) {
            return self.add_own(server, folder, work).await.map(|()| Progress::default()).map_err(tell);
        }
        let Some(other) = self.elsewhere(server) else { return Ok(Progress::default()) };
        let join = Join { folder: folder.to_string_lossy().into_owned(), rate };
        let named = |error: BackupError| match error {
            BackupError::Failed(why) => BackupError::Failed(format!("{server}: {why}")),
            other => other,
        };
        other.backup_join(call, join).await.map_err(named)
    }

    /// A server of this host that is another process.
    fn elsewhere(&self, server: &'static str) -> Option<Remote> {
        let other = !self.here.is_whole() && !self.here.parts.has(server);
        let runs = other && self.partners.topology().own().runs(server);
        runs.then(|| self.partners.of_host(&self.env, self.site.host(), server))
    }

    /// Adds what a server of this process has.
    async fn add_own(&self, server: &str, folder: &Path, work: &Work) -> Result<(), backup::BackupError> {
        let (Here { directory, queue, .. }, store) = (&self.here, self.here.store());
        match (server, queue, store, directory) {
            (servers::QUEUE, Some(queue), ..) => queue.back_up(folder, work).await,
            (servers::STORE, _, Some(store), _) => store.back_up(folder, work).await,
            (servers::DIRECTORY, .., Some(directory)) => {
                let name = name_in(&self.site, &folder::directory_file(&self.site));
                let no_name = || backup::BackupError::Refused("the name of the directory".into());
                directory.back_up(folder, &name.ok_or_else(no_name)?, work).await
            }
            _ => Ok(()),
        }
    }

    /// For a generation that another process has begun.
    async fn join(&self, Join { folder, rate }: Join) -> Result<Progress, BackupError> {
        let pace = Pace::new(&self.env.clock, move || Rate::per_second(rate));
        let (work, _begun) = self.current.begin(pace).ok_or(BackupError::Busy)?;
        for server in parts(What::Site) {
            if self.here.parts.has(server) {
                self.add_own(server, Path::new(&folder), &work).await.map_err(tell)?;
            }
        }
        Ok(shown(work.progress()))
    }

    /// Adds the files of the site itself; returns which of them could not be read.
    async fn add_site(&self, new: &New, work: &Work) -> Result<Vec<String>, backup::BackupError> {
        let mut joining = Joining::new(new.folder(), servers::SITE)?;
        let site = Arc::clone(&self.site);
        let copy = move |steps: &Steps| {
            let left_out = add_files(&site, &mut joining, steps)?;
            joining.finish()?;
            Ok(left_out)
        };
        work.run(copy).await
    }
}

/// The servers that have something, in the order of the module's header.
fn parts(what: What) -> &'static [&'static str] {
    match what {
        What::Site => &[servers::QUEUE, servers::STORE, servers::DIRECTORY],
        What::Messages => &[servers::STORE],
    }
}

fn sum(a: Progress, b: Progress) -> Progress {
    Progress { done: a.done + b.done, total: a.total + b.total, written: a.written + b.written }
}

impl Backup for SiteBackup {
    fn backup_make<'a>(&'a self, call: &'a Call, make: Make) -> Answer<'a, Made, BackupError> {
        Box::pin(self.0.make(call, make))
    }

    fn backup_join<'a>(&'a self, _: &'a Call, join: Join) -> Answer<'a, Progress, BackupError> {
        Box::pin(self.0.join(join))
    }

    fn backup_progress<'a>(&'a self, _: &'a Call) -> Answer<'a, Option<Progress>, BackupError> {
        Box::pin(std::future::ready(Ok(self.0.current.progress().map(shown))))
    }

    fn mailbox_recover<'a>(&'a self, call: &'a Call, recover: Recover) -> Answer<'a, Recovered, BackupError> {
        Box::pin(async move {
            match (self.0.here.store(), self.0.elsewhere(servers::STORE)) {
                (Some(store), _) => store.recover(call, recover).await,
                (None, Some(other)) => other.mailbox_recover(call, recover).await,
                (None, None) => Err(BackupError::Refused("this host has no message store".into())),
            }
        })
    }
}

/// Copies the site's own files. Links are followed, also to folders; one that leads nowhere is told and left out (ITS
/// 22698).
fn add_files(site: &Site, joining: &mut Joining, steps: &Steps) -> Result<Vec<String>, backup::BackupError> {
    let (mut left_out, mut seen, mut files) = (Vec::new(), BTreeSet::new(), 0);
    let mut folders: Vec<(PathBuf, usize)> =
        FOLDERS.iter().map(|name| (site.folder().join(name), 0)).collect();
    while let Some((folder, depth)) = folders.pop() {
        let real = folder.canonicalize();
        if depth > MAX_DEPTH || real.as_ref().is_ok_and(|real| !seen.insert(real.clone())) {
            left_out.push(format!("{}: a folder in itself", folder.display()));
            continue;
        }
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                left_out.push(format!("{}: {error}", folder.display()));
                continue;
            }
        };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            match fs::metadata(&path) {
                Ok(data) if data.is_dir() => folders.push((path, depth + 1)),
                Ok(data) if data.is_file() && files < MAX_FILES => {
                    files += 1;
                    match name_in(site, &path) {
                        Some(name) => joining.copy_file(name, &path, steps)?,
                        None => left_out.push(format!("{}: not a name for a file", path.display())),
                    }
                }
                Ok(_) => left_out.push(format!("{}: not a file", path.display())),
                Err(error) => left_out.push(format!("{}: {error}", path.display())),
            }
        }
    }
    Ok(left_out)
}

/// What a file of the site is called in it.
fn name_in(site: &Site, path: &Path) -> Option<Name> {
    Name::parse(path.strip_prefix(site.folder()).ok()?.to_str()?)
}

fn kind(what: What) -> Kind {
    match what {
        What::Site => Kind::Site,
        What::Messages => Kind::Messages,
    }
}

fn shown(progress: backup::Progress) -> Progress {
    let backup::Progress { done, total, written } = progress;
    Progress { done, total, written }
}

fn tell(error: backup::BackupError) -> BackupError {
    match error {
        backup::BackupError::Refused(why) => BackupError::Refused(why),
        backup::BackupError::Ended => BackupError::Ended,
        other => BackupError::Failed(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use env::clock::Clock;
    use std::os::unix::fs::symlink;

    #[tokio::test]
    async fn its_22698_links_are_followed_and_what_leads_nowhere_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let site = Arc::new(folder::create(&dir.path().join("site"), "venus").unwrap());
        let at = |name: &str| site.folder().join(name);
        fs::create_dir_all(dir.path().join("outside/deep")).unwrap();
        fs::write(dir.path().join("outside/deep/text"), "linked").unwrap();
        symlink(dir.path().join("outside"), at("config/linked")).unwrap();
        symlink(dir.path().join("nowhere"), at("config/dangling")).unwrap();
        symlink(at("config"), at("config/deeper")).unwrap();
        let work = Work::new(Pace::new(&Clock::system(), || Rate::Unlimited));
        let backups = Backups::create(&dir.path().join("backups")).unwrap();
        let new = backups.begin(Kind::Site, "venus", Clock::system().now()).unwrap();
        let (mut joining, of) = (Joining::new(new.folder(), "site").unwrap(), Arc::clone(&site));
        let add = move |steps: &Steps| Ok((add_files(&of, &mut joining, steps)?, joining.finish()?));
        let (left_out, part) = work.run(add).await.unwrap();
        let names: Vec<_> = part.files.iter().map(|file| file.name.as_str()).collect();
        assert!(
            names.contains(&"config/linked/deep/text") && names.contains(&"config/config.db"),
            "{names:?}"
        );
        let told = |word: &str| left_out.iter().any(|line| line.contains(word));
        assert!(left_out.len() == 2 && told("dangling") && told("deeper"), "{left_out:?}");
    }
}
