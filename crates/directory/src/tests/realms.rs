//! Two realms on two hosts over one database.

use super::alone::Whole;
use super::copied::{a_login, followed, home_of};
use super::*;
use crate::Peer;
use roles::directory::cache::DirectoryCache as _;
use std::sync::Arc;
use std::time::Duration;

const REALMS: &str =
    "/*/common/realms: [east:east][west:west:5001]\n/*/imdircacheserv/partitionUserData: [true]\n";
const ROUTES_TOO: &str = "/*/imdircacheserv/partitionRouterData: [true]\n";
const USERS: usize = 40;

/// A host of the site, and the wire by which the others reach it.
struct Host {
    env: Env,
    directory: DirectoryServer,
    wire: Arc<Whole>,
}

impl Host {
    async fn new(site: &Site, name: &str, keys: &str) -> Self {
        let mut env = Env::for_test("imdircacheserv");
        env.settings = Settings::new(name, "imdircacheserv", Tree::parse(keys).unwrap());
        let directory = open(&env, &site.folder).await;
        directory.keep_copy(&site.folder.path().join(name)).unwrap();
        let wire = Whole::of(&directory);
        Self { env, directory, wire }
    }

    fn peer(&self) -> Peer {
        Peer { host: self.env.settings.host().to_owned(), directory: self.wire.clone() }
    }

    /// The accounts that its copy has, and how many of them with a password.
    fn held(&self, site: &Site) -> (Vec<String>, usize) {
        let reader =
            storage::replica::Reader::open(&site.folder.path().join(self.env.settings.host())).unwrap();
        let (mut names, mut secrets) = (Vec::new(), 0);
        let see = |_, entry| {
            if let storage::replica::Entry::Account(record) = entry {
                names.push(record.row.key().to_string());
                secrets += usize::from(!record.row.password.is_empty());
            }
            Ok::<_, storage::replica::ReplicaError>(())
        };
        reader.each(see).unwrap();
        names.sort();
        (names, secrets)
    }

    fn logged(&self, event: &str) -> usize {
        self.env.log.lines().iter().filter(|l| l.contains(event)).count()
    }
}

/// A site with users, and its two hosts, whose copies are built.
async fn two(keys: &str) -> (Site, Host, Host) {
    let site = Site::new().await;
    for n in 0..USERS {
        site.create(&format!("user{n}@one.test")).await;
    }
    let (east, west) = (Host::new(&site, "east", keys).await, Host::new(&site, "west", keys).await);
    for (host, other) in [(&east, &west), (&west, &east)] {
        host.directory.reach_realms(&[other.peer()]);
        let built = host.directory.cache_build(&site.call()).await;
        assert!(built.is_ok());
    }
    (site, east, west)
}

async fn logs_in(host: &Host, site: &Site, name: &str) -> Result<String, DirectoryError> {
    host.directory.authenticate(&site.call(), a_login(name, "secret")).await.map(|account| account.login)
}

#[tokio::test]
async fn each_host_keeps_its_realm_and_asks_for_the_others() {
    let (site, east, west) = two(&format!("{REALMS}{ROUTES_TOO}")).await;
    let ((mut all, _), (others, _)) = (east.held(&site), west.held(&site));
    assert!(!all.is_empty() && !others.is_empty());
    all.extend(others.iter().cloned());
    all.sort();
    all.dedup();
    assert_eq!(all.len(), USERS, "every account is in one copy, and no account in both");
    for n in 0..USERS {
        let name = format!("user{n}@one.test");
        assert_eq!(logs_in(&east, &site, &name).await.as_ref(), Ok(&name));
        assert_eq!(home_of(&east.directory, &site, &format!("user{n}+x@one.test")).await, Some(name.clone()));
        let found = east.directory.account_find(&site.call(), name.clone()).await.unwrap();
        assert!(east.directory.sender_allowed(&site.call(), found.id, address(&name)).await.unwrap());
    }
    assert_eq!(west.wire.asked(), 4 * others.len() as u64, "about its own, once for each question");
    for host in [&east, &west] {
        let found = host.directory.cache_compare(&site.call()).await.unwrap();
        assert_eq!((found.different, found.accounts), (0, found.copied), "{found:?}");
        assert!(host.logged("Note CacheRealmConfig realm=west") == 1);
    }
}

#[tokio::test]
async fn a_realm_that_is_down_touches_its_users_alone() {
    let (site, east, west) = two(&format!("{REALMS}{ROUTES_TOO}")).await;
    let ((own, _), (others, _)) = (east.held(&site), west.held(&site));
    west.wire.away.store(true, Ordering::Relaxed);
    for name in &own {
        assert_eq!(logs_in(&east, &site, name).await.as_ref(), Ok(name));
        assert_eq!(home_of(&east.directory, &site, name).await.as_ref(), Some(name));
    }
    for name in &others {
        assert_eq!(logs_in(&east, &site, name).await, Err(DirectoryError::Unavailable));
        let route = east.directory.address_route(&site.call(), address(name)).await;
        assert_eq!(route, Err(DirectoryError::Unavailable), "put off, not refused");
    }
    assert!(west.wire.asked() < others.len() as u64, "who does not answer is not asked every time");
    assert_eq!(east.logged("Urgt CacheRealmServerDown realm=west host=west port=5001"), 1);
    assert!(east.logged("Erro CacheRealmDataFetchFailed") >= 1);
    west.wire.away.store(false, Ordering::Relaxed);
    for _ in 0..1000 {
        if logs_in(&east, &site, &others[0]).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(logs_in(&east, &site, &others[0]).await.as_ref(), Ok(&others[0]));
    assert_eq!(east.logged("Note CacheRealmServerUp realm=west"), 1);
}

#[tokio::test]
async fn with_users_alone_divided_routes_are_everywhere_and_passwords_are_not() {
    let (site, east, west) = two(REALMS).await;
    let ((names, secrets), (_, others)) = (east.held(&site), west.held(&site));
    assert_eq!(names.len(), USERS);
    assert!(secrets > 0 && secrets < USERS && secrets + others == USERS, "{secrets} and {others}");
    west.wire.away.store(true, Ordering::Relaxed);
    let mut in_east = 0;
    for name in &names {
        assert_eq!(home_of(&east.directory, &site, name).await.as_ref(), Some(name));
        match logs_in(&east, &site, name).await {
            Ok(_) => in_east += 1,
            refused => assert_eq!(refused, Err(DirectoryError::Unavailable)),
        }
    }
    assert_eq!(in_east, secrets);
}

#[tokio::test]
async fn changes_go_to_the_realm_that_keeps_them() {
    let (site, east, west) = two(&format!("{REALMS}{ROUTES_TOO}")).await;
    let before = (east.held(&site).0.len(), west.held(&site).0.len());
    for n in 0..20 {
        site.create(&format!("later{n}@one.test")).await;
    }
    for host in [&east, &west] {
        followed(&host.directory).await;
        let found = host.directory.cache_compare(&site.call()).await.unwrap();
        assert_eq!((found.different, found.accounts), (0, found.copied), "{found:?}");
    }
    let after = (east.held(&site).0.len(), west.held(&site).0.len());
    assert_eq!(after.0 - before.0 + after.1 - before.1, 20);
}

#[tokio::test]
async fn a_copy_of_another_division_is_built_anew() {
    let site = Site::new().await;
    for n in 0..USERS {
        site.create(&format!("user{n}@one.test")).await;
    }
    let east = Host::new(&site, "east", REALMS).await;
    east.directory.cache_build(&site.call()).await.unwrap();
    let Host { env, directory, wire } = east;
    drop((directory, wire));
    for _ in 0..1000 {
        let lock = std::fs::File::open(site.folder.path().join("east/lock")).unwrap();
        if lock.try_lock().is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    env.settings.replace(Tree::parse(&format!("{REALMS}{ROUTES_TOO}")).unwrap());
    let directory = open(&env, &site.folder).await;
    directory.keep_copy(&site.folder.path().join("east")).unwrap();
    let wire = Whole::of(&directory);
    let east = Host { env, directory, wire };
    assert_eq!(east.held(&site).0.len(), USERS);
    followed(&east.directory).await;
    assert_eq!(east.logged("Erro CacheConfigInfoMismatch what=realms"), 1);
    assert!(east.held(&site).0.len() < USERS);
}

#[tokio::test]
async fn hosts_that_disagree_do_not_send_a_question_round_and_round() {
    let keys = format!("{REALMS}{ROUTES_TOO}");
    let site = Site::new().await;
    let east = Host::new(&site, "east", &keys).await;
    // This one believes that everything is the other way round.
    let swapped = keys.replace("[east:east][west:west:5001]", "[east:west][west:east]");
    let confused = Host::new(&site, "west", &swapped).await;
    east.directory.reach_realms(&[confused.peer()]);
    confused.directory.reach_realms(&[east.peer()]);
    let mut put_off = 0;
    for n in 0..USERS {
        site.create(&format!("user{n}@one.test")).await;
        followed(&east.directory).await;
        match east.directory.address_route(&site.call(), address(&format!("user{n}@one.test"))).await {
            Ok(Route::Local(_)) => {}
            other => {
                assert_eq!(other, Err(DirectoryError::Unavailable));
                put_off += 1;
            }
        }
    }
    assert!(put_off > 0 && east.wire.asked() > 0, "a question has come back");
    assert!(confused.wire.asked() <= put_off);
}
