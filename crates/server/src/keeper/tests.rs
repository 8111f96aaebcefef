//! Two hosts and one folder, round by round: who opens it, who lets go, and what is left where one of them dies.

use super::*;
use crate::here::open_store;
use directory::DirectoryServer;
use mail::id::{MailboxId, RequestId, TraceId};
use mail::time::Timestamp;
use roles::ownership::{Order, Ownership, Proof};
use roles::store::MessageStore as _;
use roles::{Answer, Call};
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

#[test]
fn what_is_to_be_done_follows_from_the_row_and_from_what_is_open() {
    let (own, other) = (HostName::new("mars"), HostName::new("minerva"));
    let row = |owner: &HostName, epoch: u64, successor: Option<Successor>| Owned {
        store: own.clone(),
        owner: owner.clone(),
        incarnation: "p1".into(),
        epoch,
        expires: Timestamp::from_secs(1),
        folder: String::new(),
        successor,
    };
    let held = |incarnation: &str, epoch: u64| {
        let (store, owner) = ("mars".to_owned(), "mars".to_owned());
        Some(Title { store, owner, incarnation: incarnation.into(), epoch })
    };
    let to = Successor { host: other.clone(), folder: "/srv".into() };
    let table = [
        (row(&own, 3, None), None, Renewal::Due, Due::Open),
        (row(&own, 3, None), held("p1", 3), Renewal::Fresh, Due::Nothing),
        (row(&own, 3, None), held("p1", 3), Renewal::Due, Due::Renew),
        // Opened while the directory was away.
        (row(&own, 3, None), held("p2", 4), Renewal::Fresh, Due::Renew),
        (row(&own, 3, Some(to.clone())), held("p1", 3), Renewal::Fresh, Due::HandOver(to.clone())),
        (row(&own, 3, Some(to.clone())), None, Renewal::Due, Due::HandOver(to)),
        (row(&other, 4, None), held("p1", 3), Renewal::Fresh, Due::Close(other.clone())),
        (row(&other, 4, None), None, Renewal::Due, Due::Nothing),
    ];
    for (row, held, renewal, expected) in table {
        assert_eq!(due(&row, &own, held.as_ref(), renewal), expected, "{row:?} {held:?}");
    }
}

/// A directory that may be cut off.
#[derive(Clone)]
struct Line {
    to: DirectoryServer,
    cut: Arc<AtomicBool>,
}

impl Line {
    fn cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }
}

type Of<'a, T> = Answer<'a, T, DirectoryError>;

impl Ownership for Line {
    fn store_list<'a>(&'a self, call: &'a Call) -> Of<'a, Vec<Owned>> {
        if self.cut() {
            Box::pin(std::future::ready(Err(DirectoryError::Unavailable)))
        } else {
            self.to.store_list(call)
        }
    }

    fn store_claim<'a>(&'a self, call: &'a Call, claim: Claim) -> Of<'a, Owned> {
        if self.cut() {
            return Box::pin(std::future::ready(Err(DirectoryError::Unavailable)));
        }
        self.to.store_claim(call, claim)
    }

    fn store_release<'a>(&'a self, call: &'a Call, claim: Claim) -> Of<'a, Owned> {
        if self.cut() {
            return Box::pin(std::future::ready(Err(DirectoryError::Unavailable)));
        }
        self.to.store_release(call, claim)
    }

    fn store_order<'a>(&'a self, call: &'a Call, store: HostName, order: Order) -> Of<'a, Owned> {
        self.to.store_order(call, store, order)
    }
}

/// A directory, and a folder for each host.
struct House {
    folder: TempDir,
    directory: DirectoryServer,
}

const MAILBOX: MailboxId = MailboxId(7);

fn call() -> Call {
    Call::new(RequestId(1), TraceId::new("t"))
}

fn mars() -> HostName {
    HostName::new("mars")
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let env = Env::for_test("imdircacheserv");
        let directory = DirectoryServer::open(env, &folder.path().join("isd.db")).await.unwrap();
        Self { folder, directory }
    }

    /// A process of a host, which has opened nothing yet.
    fn process(&self, host: &str) -> (Arc<Keeper>, Line) {
        let line = Line { to: self.directory.clone(), cut: Arc::default() };
        let mut env = Env::for_test("mss");
        // Processes differ by chance.
        env.random = env::random::Random::system();
        let owners = Owners::new(
            env.clone(),
            Arc::new(line.clone()),
            self.folder.path().join(format!("{host}.stores")),
        );
        let keeper = Keeper::new(HostName::new(host), self.path(host), env, owners, Arc::new(open_store));
        (keeper, line)
    }

    fn path(&self, host: &str) -> PathBuf {
        self.folder.path().join(host)
    }

    async fn started(&self, host: &str) -> (Arc<Keeper>, Line) {
        let (keeper, line) = self.process(host);
        keeper.begin().await.unwrap();
        (keeper, line)
    }

    fn to_minerva(&self) -> Successor {
        Successor { host: HostName::new("minerva"), folder: self.path("mars").display().to_string() }
    }

    async fn order(&self, order: Order) {
        self.directory.store_order(&call(), mars(), order).await.unwrap();
    }

    async fn row(&self) -> Owned {
        let rows = self.directory.store_list(&call()).await.unwrap();
        rows.into_iter().find(|row| row.store == mars()).unwrap()
    }
}

/// A round that sees what is so now.
async fn round(keeper: &Keeper) {
    tokio::time::sleep(Duration::from_millis(60)).await;
    keeper.round().await;
}

async fn write(keeper: &Keeper) {
    keeper.find(&mars()).unwrap().mailbox_create(&call(), MAILBOX).await.unwrap();
}

async fn exists(keeper: &Keeper) -> bool {
    let store = keeper.find(&mars()).unwrap();
    store.folder_list(&call(), MAILBOX).await.is_ok()
}

/// As a process that dies: the files are let go of, nobody is told.
async fn die(keeper: &Keeper) {
    for kept in keeper.open.load_full().values() {
        kept.tasks.stop();
        kept.store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_goes_to_another_host_and_back() {
    let house = House::new().await;
    let ((a, _), (b, _)) = (house.started("mars").await, house.started("minerva").await);
    write(&a).await;
    house.order(Order::HandOver(house.to_minerva())).await;
    round(&b).await;
    assert!(b.find(&mars()).is_none(), "not before its owner lets go");
    round(&a).await;
    round(&b).await;
    assert!(a.own().is_none() && exists(&b).await);
    assert!(b.own().is_some(), "its own store is another one");
    let back = Successor { host: mars(), folder: String::new() };
    house.order(Order::HandOver(back)).await;
    round(&b).await;
    round(&a).await;
    assert!(b.find(&mars()).is_none() && exists(&a).await);
    a.close().await;
    let row = house.row().await;
    assert!(row.incarnation.is_empty() && row.owner == mars(), "{row:?}");
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dies_in_the_middle_of_a_hand_over_does_not_stop_it() {
    let house = House::new().await;
    let (a, _) = house.started("mars").await;
    write(&a).await;
    house.order(Order::HandOver(house.to_minerva())).await;
    die(&a).await;
    // The process that takes its place has never opened the store, and lets go of it all the same.
    let (a, _) = house.started("mars").await;
    assert!(a.own().is_none());
    let (b, _) = house.process("minerva");
    b.begin().await.unwrap();
    assert!(exists(&b).await);
    die(&b).await;
    let (b, _) = house.started("minerva").await;
    assert!(exists(&b).await);
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_is_cut_off_goes_on_until_the_fence_says_otherwise() {
    let house = House::new().await;
    let ((a, line), (b, _)) = (house.started("mars").await, house.started("minerva").await);
    line.cut.store(true, Ordering::Release);
    round(&a).await;
    write(&a).await;
    house.order(Order::TakeOver(house.to_minerva(), Proof::Word)).await;
    round(&b).await;
    assert!(b.find(&mars()).is_none(), "the other has the files");
    // Nobody writes: it hears of it all the same.
    round(&a).await;
    assert!(a.find(&mars()).is_none());
    round(&b).await;
    assert!(exists(&b).await);
    // And does not open it again, with or without the directory.
    round(&a).await;
    line.cut.store(false, Ordering::Release);
    round(&a).await;
    assert!(a.find(&mars()).is_none());
    b.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_directory_a_host_opens_what_is_its_own_and_makes_nothing_new() {
    let house = House::new().await;
    let (a, line) = house.process("mars");
    line.cut.store(true, Ordering::Release);
    a.begin().await.unwrap();
    assert!(a.own().is_none() && a.trouble_with_own().is_some(), "nobody knows whether there was one");
    line.cut.store(false, Ordering::Release);
    round(&a).await;
    write(&a).await;
    die(&a).await;
    let (a, line) = house.process("mars");
    line.cut.store(true, Ordering::Release);
    a.begin().await.unwrap();
    assert!(exists(&a).await);
    line.cut.store(false, Ordering::Release);
    round(&a).await;
    let title = a.open.load()[&mars()].holder.title();
    let row = house.row().await;
    assert_eq!((row.epoch, &row.incarnation), (title.epoch, &title.incarnation));
    assert_eq!(title.epoch, 2);
    a.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_folder_is_empty_is_not_made_anew_until_it_is_forgotten() {
    let house = House::new().await;
    let (a, _) = house.started("mars").await;
    write(&a).await;
    a.close().await;
    let elsewhere = house.folder.path().join("unmounted");
    std::fs::rename(house.path("mars"), &elsewhere).unwrap();
    let (a, _) = house.started("mars").await;
    assert!(a.own().is_none() && a.trouble_with_own().unwrap().contains("is the storage there"));
    std::fs::rename(&elsewhere, house.path("mars")).unwrap();
    round(&a).await;
    assert!(exists(&a).await);
    a.close().await;
    std::fs::remove_dir_all(house.path("mars")).unwrap();
    house.order(Order::Forget(Proof::Silent)).await;
    let (a, _) = house.started("mars").await;
    assert!(!exists(&a).await);
    a.close().await;
}
