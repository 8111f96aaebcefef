//! Servers that live from the copy of their host: without the database, and without the server that writes the copy.

use super::copied::{a_login, followed, home_of};
use super::*;
use roles::Answer;
use roles::directory::{Directory, ScramKeys};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use testkit::postgres::Care;

/// The server that has the whole directory, as a front end sees it; what it is asked is counted.
pub(super) struct Whole {
    directory: Option<DirectoryServer>,
    pub(super) away: AtomicBool,
    asked: AtomicU64,
}

impl Whole {
    /// A wire to nobody.
    pub(super) fn nobody() -> Self {
        Self { directory: None, away: AtomicBool::new(true), asked: AtomicU64::new(0) }
    }

    pub(super) fn of(directory: &DirectoryServer) -> Arc<Self> {
        let (away, asked) = (AtomicBool::new(false), AtomicU64::new(0));
        Arc::new(Self { directory: Some(directory.clone()), away, asked })
    }

    fn ask<'a, T: Send + 'a>(
        &'a self,
        ask: impl FnOnce(&'a DirectoryServer) -> Answer<'a, T, DirectoryError>,
    ) -> Answer<'a, T, DirectoryError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match &self.directory {
            Some(directory) if !self.away.load(Ordering::Relaxed) => ask(directory),
            _ => Box::pin(std::future::ready(Err(DirectoryError::Unavailable))),
        }
    }

    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Directory for Whole {
    fn authenticate<'a>(&'a self, call: &'a Call, login: Login) -> Answer<'a, Account, DirectoryError> {
        self.ask(|d| d.authenticate(call, login))
    }

    fn scram_keys<'a>(
        &'a self,
        call: &'a Call,
        name: String,
        origin: Origin,
    ) -> Answer<'a, ScramKeys, DirectoryError> {
        self.ask(|d| d.scram_keys(call, name, origin))
    }

    fn address_route<'a>(&'a self, call: &'a Call, address: Address) -> Answer<'a, Route, DirectoryError> {
        self.ask(|d| d.address_route(call, address))
    }

    fn account_find<'a>(&'a self, call: &'a Call, name: String) -> Answer<'a, Account, DirectoryError> {
        self.ask(|d| d.account_find(call, name))
    }

    fn sender_allowed<'a>(
        &'a self,
        call: &'a Call,
        account: mail::id::AccountId,
        sender: Address,
    ) -> Answer<'a, bool, DirectoryError> {
        self.ask(|d| d.sender_allowed(call, account, sender))
    }
}

/// Everything that a user of the site does must go on; `ann@one.test` with an alias, a class and SCRAM keys is in the copy.
async fn lives(directory: &DirectoryServer, site: &Site) {
    let call = site.call();
    for name in ["ann@one.test", "ANN@One.test", "a@one.test"] {
        let account = directory.authenticate(&call, a_login(name, "secret")).await.unwrap();
        assert_eq!((account.login.as_str(), account.quota.bytes), ("ann@one.test", 777));
    }
    let wrong = directory.authenticate(&call, a_login("ann@one.test", "wrong")).await;
    assert_eq!(wrong, Err(DirectoryError::BadCredentials));
    let over = origin(Protocol::Imap, Transport::Tls);
    let keys = directory.scram_keys(&call, "ann@one.test".into(), over).await.unwrap();
    let own = mail::password::ScramKeys::derive(&Secret::new("secret"), &keys.salt, keys.iterations);
    assert_eq!(keys.stored_key, own.stored_key);
    for to in ["ann@one.test", "a@one.test", "ann+lists@one.test"] {
        assert_eq!(home_of(directory, site, to).await.as_deref(), Some("ann@one.test"), "{to}");
    }
    let elsewhere = directory.address_route(&call, address("x@elsewhere.test")).await;
    assert_eq!(elsewhere, Ok(Route::Remote));
    let found = directory.account_find(&call, "a@one.test".into()).await.unwrap();
    assert!(directory.sender_allowed(&call, found.id, address("a@one.test")).await.unwrap());
    assert!(!directory.sender_allowed(&call, found.id, address("b@one.test")).await.unwrap());
}

/// What nobody here can know is put off, never refused.
async fn puts_off(directory: &DirectoryServer, site: &Site) {
    let call = site.call();
    let unknown = "nobody@one.test";
    assert_eq!(directory.address_route(&call, address(unknown)).await, Err(DirectoryError::Unavailable));
    let login = directory.authenticate(&call, a_login(unknown, "secret")).await;
    assert_eq!(login, Err(DirectoryError::Unavailable));
    let over = origin(Protocol::Imap, Transport::Tls);
    let keys = directory.scram_keys(&call, unknown.into(), over).await;
    assert!(matches!(keys, Err(DirectoryError::Unavailable)));
    let found = directory.account_find(&call, unknown.into()).await;
    assert_eq!(found, Err(DirectoryError::Unavailable));
}

/// The password is stored in today's form, with SCRAM keys.
async fn make_ann(site: &Site) {
    let password = NewPassword::Clear(Secret::new("secret"));
    let new = NewAccount::simple(&address("ann@one.test"), password);
    assert!(site.ask(Request::CreateAccount(Box::new(new))).await.is_ok());
    site.ask(Request::CreateAlias(user("ann@one.test"), address("a@one.test"))).await.unwrap();
    site.ask(Request::CreateCos("gold".into())).await.unwrap();
    site.change("ann@one.test", AccountChange::Cos("gold".into())).await;
    let value = Request::SetAttribute(Holder::Cos("gold".into()), "totalBytes".into(), Some("777".into()));
    site.ask(value).await.unwrap();
}

fn follow(site: &Site, whole: &Arc<Whole>) -> DirectoryServer {
    DirectoryServer::follow(site.env.clone(), &site.copy_folder(), Arc::clone(whole) as Arc<dyn Directory>)
        .unwrap()
}

#[tokio::test]
async fn its_22570_its_13931_a_front_end_lives_from_the_copy_while_nobody_answers() {
    let site = Site::new().await;
    make_ann(&site).await;
    site.keep().await;
    let whole = Whole::of(&site.directory);
    let front = follow(&site, &whole);
    lives(&front, &site).await;
    assert_eq!(whole.asked(), 0, "who is in the copy costs no question");
    whole.away.store(true, Ordering::Relaxed);
    lives(&front, &site).await;
    puts_off(&front, &site).await;
    whole.away.store(false, Ordering::Relaxed);
    let unknown = front.address_route(&site.call(), address("nobody@one.test")).await;
    assert_eq!(unknown, Ok(Route::Unknown));
    let changed = front.provision(&site.call(), vec![Request::DeleteAccount(user("ann@one.test"))]).await;
    assert!(changed.unwrap()[0].is_err(), "a front end changes nothing");
}

#[tokio::test]
async fn who_is_not_in_the_copy_yet_is_asked_for() {
    let site = Site::new().await;
    make_ann(&site).await;
    site.keep().await;
    let whole = Whole::of(&site.directory);
    let front = follow(&site, &whole);
    // The front end has not looked since.
    site.create("bob@one.test").await;
    assert_eq!(home_of(&front, &site, "bob@one.test").await.as_deref(), Some("bob@one.test"));
    assert!(front.authenticate(&site.call(), a_login("bob@one.test", "secret")).await.is_ok());
    assert!(front.account_find(&site.call(), "bob".into()).await.is_ok(), "in whatever domain");
    assert_eq!(whole.asked(), 3);
    followed(&front).await;
    assert_eq!(home_of(&front, &site, "bob@one.test").await.as_deref(), Some("bob@one.test"));
    assert_eq!(whole.asked(), 3);
}

#[tokio::test]
async fn who_is_nobody_is_asked_for_once_and_known_when_he_is_created() {
    let site = Site::new().await;
    make_ann(&site).await;
    site.keep().await;
    let whole = Whole::of(&site.directory);
    let front = follow(&site, &whole);
    for _ in 0..5 {
        assert_eq!(home_of(&front, &site, "bob+x@one.test").await, None);
    }
    assert_eq!(whole.asked(), 1);
    site.create("bob@one.test").await;
    followed(&front).await;
    assert_eq!(home_of(&front, &site, "bob+x@one.test").await.as_deref(), Some("bob@one.test"));
    assert_eq!(whole.asked(), 1);
}

#[tokio::test]
async fn the_keys_say_whether_others_are_asked() {
    let keys = [("cacheDisableReadThrus", 0), ("cacheAuthoritativeForMTA", 1), ("cacheAlwaysReadThru", 3)];
    for (key, questions) in keys {
        let site = Site::with(&format!("/*/imdircacheserv/{key}: [true]\n")).await;
        make_ann(&site).await;
        site.keep().await;
        let whole = Whole::of(&site.directory);
        let front = follow(&site, &whole);
        assert_eq!(home_of(&front, &site, "ann@one.test").await.as_deref(), Some("ann@one.test"));
        assert_eq!(home_of(&front, &site, "nobody@one.test").await, None);
        let login = front.authenticate(&site.call(), a_login("nobody@one.test", "secret")).await;
        assert_eq!(login, Err(DirectoryError::BadCredentials));
        assert_eq!(whole.asked(), questions, "{key}");
        whole.away.store(true, Ordering::Relaxed);
        assert_eq!(home_of(&front, &site, "ann@one.test").await.as_deref(), Some("ann@one.test"), "{key}");
    }
}

#[tokio::test]
async fn a_password_of_an_old_form_is_renewed_by_who_can() {
    let site = Site::new().await;
    site.create("ann@one.test").await;
    site.keep().await;
    let whole = Whole::of(&site.directory);
    let front = follow(&site, &whole);
    for _ in 0..1000 {
        assert!(front.authenticate(&site.call(), a_login("ann@one.test", "secret")).await.is_ok());
        if site.logged("AcctPasswordRehashed") > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    followed(&front).await;
    let before = whole.asked();
    assert!(before > 0);
    assert!(front.authenticate(&site.call(), a_login("ann@one.test", "secret")).await.is_ok());
    assert_eq!(whole.asked(), before, "in today's form it is judged here");
}

#[tokio::test]
async fn a_front_end_starts_before_there_is_a_copy() {
    let site = Site::new().await;
    make_ann(&site).await;
    let whole = Whole::of(&site.directory);
    let front = follow(&site, &whole);
    lives(&front, &site).await;
    let asked = whole.asked();
    assert!(asked > 0);
    whole.away.store(true, Ordering::Relaxed);
    let login = front.authenticate(&site.call(), a_login("ann@one.test", "secret")).await;
    assert_eq!(login, Err(DirectoryError::Unavailable));
    let missing = front.shared.catch_up().await;
    assert!(missing.is_err() && front.shared.catch_up().await.is_err());
    assert_eq!(site.logged("CacheOpenFail"), 1, "that there is none yet is said once");
    site.keep().await;
    followed(&front).await;
    lives(&front, &site).await;
}

/// Takes a database away and brings it back.
trait Outage {
    fn begin(&self);
    fn end(&self);
}

struct FileGone<'a>(&'a Path);

impl Outage for FileGone<'_> {
    fn begin(&self) {
        std::fs::rename(self.0.join("directory.db"), self.0.join("away.db")).unwrap();
    }

    fn end(&self) {
        std::fs::rename(self.0.join("away.db"), self.0.join("directory.db")).unwrap();
    }
}

impl Outage for Postgres {
    fn begin(&self) {
        self.stop();
    }

    fn end(&self) {
        self.start_again();
    }
}

/// Starts the server that keeps the copy while the database is away, and brings the database back.
async fn starts_alone(site: Site, outage: impl FnOnce(&Path) -> Box<dyn Outage + '_>) {
    make_ann(&site).await;
    site.keep().await;
    let (folder, env) = site.end().await;
    let outage = outage(folder.path());
    outage.begin();
    let (file, copy) = (folder.path().join("directory.db"), folder.path().join("dirCacheDB"));
    let directory = DirectoryServer::open_with_copy(env.clone(), &file, &copy).await.unwrap();
    assert!(!file.exists(), "a file that is gone is not made anew");
    let begun = tempfile::tempdir().unwrap();
    let site = Site { folder: begun, env, directory, calls: AtomicU64::new(1000) };
    assert_eq!(site.logged("DbAwayAtStart"), 1);
    for _ in 0..3 {
        lives(&site.directory, &site).await;
        puts_off(&site.directory, &site).await;
        assert!(site.directory.shared.catch_up().await.is_err());
    }
    let refused = site.ask(Request::DeleteAccount(user("ann@one.test"))).await;
    assert_eq!(refused, Err(DirectoryError::Unavailable));
    outage.end();
    for _ in 0..3000 {
        if site.directory.shared.catch_up().await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Who writes finds the database again by itself, not with those who read.
    for _ in 0..3000 {
        let bob = Request::CreateAccount(Box::new(new_account("bob@one.test")));
        match site.directory.provision(&site.call(), vec![bob]).await {
            Err(DirectoryError::Unavailable) => tokio::time::sleep(Duration::from_millis(10)).await,
            taken => {
                assert!(matches!(taken.unwrap()[..], [Ok(Reply::Created(..))]));
                break;
            }
        }
    }
    assert_eq!(home_of(&site.directory, &site, "bob@one.test").await.as_deref(), Some("bob@one.test"));
    lives(&site.directory, &site).await;
    site.compare().await;
}

#[tokio::test]
async fn a_server_starts_from_its_copy_while_the_file_is_gone() {
    starts_alone(Site::new().await, |folder| Box::new(FileGone(folder))).await;
}

#[tokio::test]
async fn a_server_starts_from_its_copy_while_the_database_is_stopped() {
    let server = Postgres::start(Care::Durable);
    let keys =
        format!("/*/common/primaryDBUrl: [{}]\n/*/common/dbReconnectInterval: [1]\n", server.database());
    starts_alone(Site::with(&keys).await, |_| Box::new(server)).await;
}

#[tokio::test]
async fn the_database_of_another_site_is_not_believed() {
    let site = Site::new().await;
    make_ann(&site).await;
    site.keep().await;
    let (folder, env) = site.end().await;
    let (stranger, copy) = (folder.path().join("stranger.db"), folder.path().join("dirCacheDB"));
    drop(DirectoryServer::open(env.clone(), &stranger).await.unwrap());
    let refused = DirectoryServer::open_with_copy(env.clone(), &stranger, &copy).await;
    assert!(matches!(refused.err(), Some(DirectoryError::Broken(_))));
    assert!(env.log.lines().iter().any(|l| l.contains("Erro CacheConfigInfoMismatch")));
}

#[tokio::test]
async fn a_directory_that_was_brought_back_from_a_backup_is_copied_anew() {
    let site = Site::new().await;
    make_ann(&site).await;
    site.keep().await;
    let backup = site.folder.path().join("backup.db");
    site.directory.shared.tables().unwrap().copy_to(&backup).unwrap();
    site.create("bob@one.test").await;
    assert!(home_of(&site.directory, &site, "bob@one.test").await.is_some());
    let (folder, env) = site.end().await;
    let directory =
        DirectoryServer::open_with_copy(env.clone(), &backup, &folder.path().join("dirCacheDB")).await;
    let site = Site { folder, env, directory: directory.unwrap(), calls: AtomicU64::new(1000) };
    followed(&site.directory).await;
    assert_eq!(home_of(&site.directory, &site, "bob@one.test").await, None);
    lives(&site.directory, &site).await;
    site.compare().await;
}
