//! The copy of the directory on a host.

use super::alone::Whole;
use super::*;
use roles::directory::cache::{CacheStatus, Control, DirectoryCache as _};
use std::path::PathBuf;
use std::sync::Arc;

impl Site {
    pub(super) fn copy_folder(&self) -> PathBuf {
        self.folder.path().join("dirCacheDB")
    }

    /// This process keeps the copy, and has built it.
    pub(super) async fn keep(&self) {
        self.directory.keep_copy(&self.copy_folder()).unwrap();
        self.directory.cache_build(&self.call()).await.unwrap();
    }

    /// A front end of the same host that nobody but the copy tells anything.
    fn front_end(&self) -> DirectoryServer {
        DirectoryServer::follow(self.env.clone(), &self.copy_folder(), Arc::new(Whole::nobody())).unwrap()
    }

    /// Ends the process that keeps the copy.
    pub(super) async fn end(self) -> (tempfile::TempDir, Env) {
        let Self { folder, env, directory, .. } = self;
        drop(directory);
        for _ in 0..1000 {
            // The thread that holds the copy ends with its last user, a moment later.
            if std::fs::File::open(folder.path().join("dirCacheDB/lock")).unwrap().try_lock().is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        (folder, env)
    }

    pub(super) async fn compare(&self) {
        let mut found = self.directory.cache_compare(&self.call()).await;
        for _ in 0..1000 {
            // A database that was away is taken up a moment after it has come back.
            if !matches!(found, Err(DirectoryError::Unavailable)) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            found = self.directory.cache_compare(&self.call()).await;
        }
        let found = found.unwrap();
        assert_eq!(
            (found.different, found.accounts, found.sum),
            (0, found.copied, found.copied_sum),
            "{found:?}"
        );
    }

    pub(super) async fn status(&self) -> CacheStatus {
        self.directory.cache_status(&self.call()).await.unwrap()
    }
}

pub(super) fn a_login(name: &str, password: &str) -> Login {
    let proof = Proof::Password(Secret::new(password));
    Login { name: name.into(), proof, origin: origin(Protocol::Imap, Transport::Tls) }
}

pub(super) async fn home_of(directory: &DirectoryServer, site: &Site, address: &str) -> Option<String> {
    let address = Address::parse(address).unwrap();
    match directory.address_route(&site.call(), address).await.unwrap() {
        Route::Local(local) => local.account.map(|a| a.login),
        _ => None,
    }
}

/// What a front end does every tenth of a second.
pub(super) async fn followed(directory: &DirectoryServer) {
    directory.shared.catch_up().await.unwrap();
}

#[tokio::test]
async fn its_15974_its_17062_a_copy_is_complete_and_a_front_end_lives_from_it() {
    let site = Site::new().await;
    for n in 0..50 {
        site.create(&format!("user{n}@one.test")).await;
    }
    site.set("user1@one.test", "totalBytes", "777").await;
    site.keep().await;
    site.compare().await;
    let front = site.front_end();
    assert_eq!(home_of(&front, &site, "User7@One.test").await.as_deref(), Some("user7@one.test"));
    let account = front.authenticate(&site.call(), a_login("user1@one.test", "secret")).await.unwrap();
    assert_eq!(account.quota.bytes, 777);
    let wrong = front.authenticate(&site.call(), a_login("user1@one.test", "wrong")).await;
    assert_eq!(wrong, Err(DirectoryError::BadCredentials));
}

#[tokio::test]
async fn its_20284_its_18295_its_18197_its_12035_changes_reach_those_who_follow() {
    // What the copy has not is nobody's: every answer is the copy's.
    let site = Site::with("/*/imdircacheserv/cacheDisableReadThrus: [true]\n").await;
    site.create("ann@one.test").await;
    site.keep().await;
    let front = site.front_end();
    assert_eq!(home_of(&front, &site, "ann@one.test").await.as_deref(), Some("ann@one.test"));
    assert_eq!(home_of(&front, &site, "bob@one.test").await, None);
    // Created, renamed, disabled, of another class: each seen after one look, and no old name is left (ITS 44236).
    site.create("bob@one.test").await;
    site.ask(Request::CreateAlias(user("ann@one.test"), Address::parse("a@one.test").unwrap()))
        .await
        .unwrap();
    site.ask(Request::CreateCos("gold".into())).await.unwrap();
    site.change("ann@one.test", AccountChange::Cos("gold".into())).await;
    site.ask(Request::SetAttribute(Holder::Cos("gold".into()), "totalBytes".into(), Some("9".into())))
        .await
        .unwrap();
    followed(&front).await;
    assert_eq!(home_of(&front, &site, "bob@one.test").await.as_deref(), Some("bob@one.test"));
    assert_eq!(home_of(&front, &site, "a@one.test").await.as_deref(), Some("ann@one.test"));
    let ann = front.account_find(&site.call(), "ann@one.test".into()).await.unwrap();
    assert_eq!(ann.quota.bytes, 9);
    site.ask(Request::DeleteAlias(user("ann@one.test"), Address::parse("a@one.test").unwrap()))
        .await
        .unwrap();
    site.change("bob@one.test", AccountChange::Status(Status::Locked)).await;
    site.change("ann@one.test", AccountChange::Cos("default".into())).await;
    site.ask(Request::DeleteCos("gold".into())).await.unwrap();
    followed(&front).await;
    assert_eq!(home_of(&front, &site, "a@one.test").await, None);
    assert_eq!(home_of(&front, &site, "bob@one.test").await, None);
    site.ask(Request::DeleteAccount(user("ann@one.test"))).await.unwrap();
    followed(&front).await;
    assert_eq!(home_of(&front, &site, "ann@one.test").await, None);
    site.compare().await;
}

#[tokio::test]
async fn its_21737_its_17994_what_is_made_while_a_copy_is_built_is_in_it() {
    let site = Site::new().await;
    for n in 0..200 {
        site.create(&format!("old{n}@one.test")).await;
    }
    site.directory.keep_copy(&site.copy_folder()).unwrap();
    let calls = (site.call(), site.call());
    let builds = async {
        let (one, two) =
            tokio::join!(site.directory.cache_build(&calls.0), site.directory.cache_build(&calls.1));
        assert!(one.is_ok() != two.is_ok(), "one of two at once is refused: {one:?} {two:?}");
    };
    let creations = async {
        for n in 0..100 {
            site.create(&format!("new{n}@one.test")).await;
        }
    };
    tokio::join!(builds, creations);
    site.compare().await;
    assert_eq!(site.status().await.directory, Some(site.status().await.position));
}

#[tokio::test]
async fn its_16178_its_15226_a_copy_that_cannot_be_read_is_reported_and_built_anew() {
    let site = Site::new().await;
    site.create("ann@one.test").await;
    site.keep().await;
    let table = std::fs::read_dir(site.copy_folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.is_dir())
        .unwrap()
        .join("users-0000.db");
    let whole = std::fs::read(&table).unwrap();
    let (folder, env) = site.end().await;
    std::fs::write(&table, &whole[..whole.len() / 2]).unwrap();
    let directory = open(&env, &folder).await;
    let site = Site { folder, env, directory, calls: AtomicU64::new(100) };
    site.directory.keep_copy(&site.copy_folder()).unwrap();
    let lines = site.env.log.lines();
    assert!(lines.iter().any(|l| l.contains("CacheOpenFail") && l.contains("users-0000.db")), "{lines:?}");
    // Until it is there the database answers.
    assert!(home_of(&site.directory, &site, "ann@one.test").await.is_some());
    followed(&site.directory).await;
    site.compare().await;
}

#[tokio::test]
async fn its_21650_a_copy_older_than_the_log_is_built_anew() {
    let site = Site::new().await;
    site.create("ann@one.test").await;
    site.keep().await;
    site.directory.cache_control(&site.call(), Control::Pause).await.unwrap();
    site.create("bob@one.test").await;
    let later = site.env.clock.now().plus(std::time::Duration::from_secs(60));
    let purged = site
        .directory
        .shared
        .tables()
        .unwrap()
        .write(later, String::new(), move |e| Ok::<_, crate::fault::Fault>(e.purge_changes(later)?));
    assert!(purged.await.unwrap() > 0);
    site.create("eve@one.test").await;
    assert!(site.status().await.paused);
    site.directory.cache_control(&site.call(), Control::Resume).await.unwrap();
    let lines = site.env.log.lines();
    assert!(lines.iter().any(|l| l.contains("Urgt CacheUpdateOutOfRange")), "{lines:?}");
    site.compare().await;
}

#[tokio::test]
async fn its_19428_its_17440_read_throughs_can_be_switched() {
    let keys = "/*/imdircacheserv/cacheDisableReadThrus: [true]\n";
    let (on, off) = (Site::new().await, Site::with(keys).await);
    for (site, there) in [(&on, true), (&off, false)] {
        site.keep().await;
        site.directory.cache_control(&site.call(), Control::Pause).await.unwrap();
        site.create("ann@one.test").await;
        // The copy has neither the domain nor the account: a login asks the database, if it may.
        let found = site.directory.account_find(&site.call(), "ann@one.test".into()).await;
        assert_eq!(found.is_ok(), there);
    }
    let keys = "/*/imdircacheserv/cacheAuthoritativeForMTA: [true]\n";
    let mail = Site::with(keys).await;
    mail.create("first@one.test").await;
    mail.keep().await;
    mail.directory.cache_control(&mail.call(), Control::Pause).await.unwrap();
    mail.create("ann@one.test").await;
    assert_eq!(home_of(&mail.directory, &mail, "ann@one.test").await, None);
    assert!(mail.directory.account_find(&mail.call(), "ann@one.test".into()).await.is_ok());
}

#[tokio::test]
async fn its_19061_its_16365_its_16702_another_number_of_files_holds_from_the_next_building_on() {
    let site = Site::new().await;
    site.create("ann@one.test").await;
    site.keep().await;
    for files in [2, 256] {
        let keys = format!("/venus/imdircacheserv/numUserDbFiles: [{files}]\n");
        site.env.settings.replace(Tree::parse(&keys).unwrap());
        assert_ne!(site.status().await.files, files);
        site.directory.cache_build(&site.call()).await.unwrap();
        assert_eq!(site.status().await.files, files);
        site.compare().await;
    }
}

#[tokio::test]
async fn its_46820_its_25765_a_copy_of_the_copy_is_whole_or_nothing() {
    let site = Site::new().await;
    site.create("ann@one.test").await;
    site.keep().await;
    site.create("bob@one.test").await;
    let other = site.folder.path().join("other");
    for _ in 0..2 {
        let bytes = site.directory.cache_copy(&site.call(), other.display().to_string()).await.unwrap();
        assert!(bytes > 0);
        let reader = storage::replica::Reader::open(&other).unwrap();
        assert_eq!(reader.position(), site.status().await.position);
    }
    let nowhere = site.folder.path().join("no/such/folder").display().to_string();
    assert!(site.directory.cache_copy(&site.call(), nowhere).await.is_err());
    assert_eq!(
        std::fs::read_dir(site.folder.path()).unwrap().flatten().filter(|e| e.path().is_dir()).count(),
        2
    );
    site.compare().await;
}

#[tokio::test]
async fn its_16222_an_entry_is_read_without_its_password() {
    let site = Site::new().await;
    site.create("ann@one.test").await;
    site.ask(Request::CreateForward(
        user("ann@one.test"),
        roles::directory::provision::Place::Remote,
        Address::parse("x@elsewhere.test").unwrap(),
    ))
    .await
    .unwrap();
    site.keep().await;
    for name in ["ann@one.test", "ANN@one.test", "account:1"] {
        let fields = site.directory.cache_read(&site.call(), name.into()).await.unwrap();
        assert!(fields.contains(&("forward".into(), "x@elsewhere.test".into())), "{fields:?}");
        assert!(!format!("{fields:?}").contains("argon2"));
    }
    let domain = site.directory.cache_read(&site.call(), "domain:one.test".into()).await.unwrap();
    assert_eq!(domain[1], ("kind".into(), "local".into()));
    assert!(matches!(
        site.directory.cache_read(&site.call(), "nobody@one.test".into()).await,
        Err(DirectoryError::Missing(_))
    ));
}

#[tokio::test]
async fn its_19067_an_account_without_a_password_is_copied_and_nobody_logs_in_to_it() {
    let site = Site::new().await;
    site.create("ann@one.test").await;
    let new = storage::directory::NewAccount {
        name: "bob".into(),
        domain: "one.test".into(),
        mailbox: None,
        home: "venus".into(),
        password: String::new(),
        scram: String::new(),
        status: Status::Active,
        class: "default".into(),
        address: Some("bob".into()),
    };
    let add = move |e: &storage::directory::Edit<'_>| Ok::<_, crate::fault::Fault>(e.add_account(&new)?);
    let tables = site.directory.shared.tables().unwrap();
    tables.write(site.env.clock.now(), String::new(), add).await.unwrap();
    site.keep().await;
    site.compare().await;
    assert_eq!(home_of(&site.directory, &site, "bob@one.test").await.as_deref(), Some("bob@one.test"));
    for password in ["", "secret"] {
        let login = site.directory.authenticate(&site.call(), a_login("bob@one.test", password)).await;
        assert_eq!(login, Err(DirectoryError::BadCredentials));
    }
}

#[tokio::test]
async fn its_15981_a_copy_that_is_far_behind_is_reported() {
    let site = Site::with("/*/imdircacheserv/dirCacheUpdateThreshold: [5]\n").await;
    site.keep().await;
    site.create("ann@one.test").await;
    assert_eq!(site.logged("CacheUpdateTimeTooLong"), 0);
    site.directory.cache_control(&site.call(), Control::Pause).await.unwrap();
    for n in 0..3 {
        site.create(&format!("user{n}@one.test")).await;
    }
    site.directory.cache_control(&site.call(), Control::Resume).await.unwrap();
    assert_eq!(site.logged("CacheUpdateTimeTooLong"), 1);
    site.compare().await;
}

#[tokio::test]
async fn its_18995_its_19197_a_build_that_is_broken_off_leaves_what_was_there() {
    let site = Site::new().await;
    for n in 0..50 {
        site.create(&format!("user{n}@one.test")).await;
    }
    site.keep().await;
    let (front, call) = (site.front_end(), site.call());
    for polls in [1, 2, 3, 5] {
        let mut build = site.directory.cache_build(&call);
        let mut left = polls;
        let broken_off = std::future::poll_fn(|context| {
            left -= 1;
            match build.as_mut().poll(context) {
                std::task::Poll::Pending if left > 0 => std::task::Poll::Pending,
                _ => std::task::Poll::Ready(()),
            }
        });
        broken_off.await;
        assert_eq!(home_of(&front, &site, "user7@one.test").await.as_deref(), Some("user7@one.test"));
        drop(build);
        followed(&front).await;
        assert_eq!(home_of(&front, &site, "user8@one.test").await.as_deref(), Some("user8@one.test"));
    }
    site.directory.cache_build(&site.call()).await.unwrap();
    site.compare().await;
}

/// The other process does not look by itself: it is told.
#[tokio::test]
async fn a_copy_of_another_host_has_a_change_as_soon_as_it_is_told_of_it() {
    let site = Site::new().await;
    site.create("ann@one.test").await;
    let other = site.other().await;
    other.keep_copy(&site.folder.path().join("other")).unwrap();
    other.cache_build(&site.call()).await.unwrap();
    let unmoved = other.cache_status(&site.call()).await.unwrap().position;
    let third = site.other().await;
    site.directory.nudge(vec![Arc::new(other.clone()), Arc::new(third.clone())]);
    for n in 0..20 {
        site.create(&format!("user{n}@one.test")).await;
    }
    let last = site.directory.directory_probe(&site.call()).await.unwrap().last_change;
    assert!(last > unmoved);
    for _ in 0..1000 {
        if other.cache_status(&site.call()).await.unwrap().position == last
            && third.shared.heard.load(std::sync::atomic::Ordering::Acquire) == last
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it was not told");
}

#[tokio::test]
async fn its_20612_the_copy_is_brought_up_to_date_in_the_period_of_the_key() {
    use catalog::keys::imdircacheserv::DIR_CACHE_UPDATE_PERIOD;
    use std::time::Duration;
    for (keys, seconds) in [("", 1), ("/*/imdircacheserv/dirCacheUpdatePeriod: [7]\n", 7)] {
        let site = Site::with(keys).await;
        site.keep().await;
        let configured = site.env.settings.get(DIR_CACHE_UPDATE_PERIOD);
        assert_eq!(site.directory.shared.period(configured), Duration::from_secs(seconds));
        // What another process of the host writes is followed without a look at the database, and so more often.
        assert!(site.front_end().shared.period(configured) < Duration::from_secs(1));
    }
}

/// More than one round takes is not left to the periods of many.
#[tokio::test]
async fn a_copy_that_is_far_behind_does_not_wait_between_its_rounds() {
    let site = Site::with("/*/imdircacheserv/maxLogUpdates: [1000]\n").await;
    site.keep().await;
    site.directory.cache_control(&site.call(), Control::Pause).await.unwrap();
    for part in 0..4 {
        let new =
            |n: usize| Request::CreateAccount(Box::new(new_account(&format!("user{part}.{n}@one.test"))));
        let made = site.all((0..200).map(new).collect()).await;
        assert!(made.iter().all(Result::is_ok));
    }
    let period = || site.directory.shared.period(std::time::Duration::from_secs(60)).as_secs();
    site.directory.cache_control(&site.call(), Control::Resume).await.unwrap();
    let status = site.status().await;
    assert!(status.position < status.directory.unwrap() && period() == 0, "{status:?}");
    while period() == 0 {
        followed(&site.directory).await;
    }
    site.compare().await;
}
