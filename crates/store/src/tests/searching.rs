//! The text index: what is found with it is what is found without, at any state of it, and it saves looking.

use super::size::{deliver, rows, search, to};
use super::*;
use crate::search::feed;
use mail::id::FolderId;
use mail::search::{Criterion, Needle, Place};
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use proptest::prelude::*;
use storage::mailboxes::{TextRow, Volume, put_text_row, text_row};
use storage::pace::{Pace, Rate};

const BOX: MailboxId = MailboxId(2);
const OFF: &str = "/*/mss/searchIndexFromMessages: [0]\n";
const ON: &str = "/*/mss/searchIndexFromMessages: [20]\n";

fn pace() -> Pace {
    Pace::new(&env::clock::Clock::system(), || Rate::Unlimited)
}

async fn feed(store: &Store) {
    assert!(feed::once(store.inner(), &pace()).await);
}

/// Messages of a volume of the mailbox that the index holds.
async fn held(store: &Store, volume: u32) -> u64 {
    store.inner().texts[0].count(BOX, Volume(volume)).await.unwrap()
}

/// Lets a day go by since what is gone was taken out of the index.
async fn age(store: &Store) {
    let shard = &store.inner().shards[0];
    let aged = TextRow { swept: Timestamp::from_secs(0), ..shard.read(|view| text_row(view)).await.unwrap() };
    shard.commit(move |tx| put_text_row(tx, &aged)).await.unwrap();
}

/// The folder of the text index, copied.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn set(store: &Store, configuration: &str) {
    store.inner().env.settings.replace(Tree::parse(configuration).unwrap());
}

async fn fill(store: &Store, texts: &[String]) {
    for (n, text) in texts.iter().enumerate() {
        let charset = if n % 2 == 0 { "utf-8" } else { "us-ascii" };
        let kind = format!("Content-Type: text/plain; charset={charset}");
        deliver(store, vec![to(BOX)], format!("Subject: {text}x\r\n{kind}\r\n\r\n{text}\r\nline {n}\r\n"))
            .await;
    }
}

fn text(place: Place, needle: &str) -> Criterion {
    Criterion::Text(place, Needle::new(needle).unwrap())
}

/// The same searches without the index and with it.
async fn agrees(store: &Store, needles: &[String]) {
    for pair in needles.windows(2) {
        let places = [Place::Body, Place::Anywhere, Place::Header("subject".into())];
        let one = places.iter().map(|place| text(place.clone(), &pair[0]));
        let either = Criterion::Any(places.iter().map(|place| text(place.clone(), &pair[1])).collect());
        let neither = Criterion::Not(Box::new(either.clone()));
        for criterion in one.chain([either, neither]) {
            set(store, OFF);
            let scanned = search(store, BOX, criterion.clone()).await;
            set(store, ON);
            assert_eq!(search(store, BOX, criterion.clone()).await, scanned, "{criterion:?}");
        }
    }
}

async fn open_empty(path: &Path) -> Store {
    let store = open_with(path, 1, &format!("/*/mss/restoreWindowInMinutes: [0]\n{OFF}")).unwrap();
    store.mailbox_create(&call(1), BOX).await.unwrap();
    store
}

async fn delete(store: &Store, uids: impl IntoIterator<Item = u32>) {
    let uids: NumberSet = uids.into_iter().collect();
    store.message_delete(&call(1), BOX, FolderId::INBOX, uids).await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]
    #[test]
    fn the_same_is_found_with_and_without_the_index(
        texts in prop::collection::vec("[abcÄß ]{0,30}", 40),
        later in prop::collection::vec("[abcÄß ]{0,30}", 5),
        needles in prop::collection::vec("[abcäß ]{0,6}", 6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = open_empty(dir.path()).await;
            fill(&store, &texts).await;
            set(&store, ON);
            feed(&store).await;
            // Some that the index does not have, some that it has and that are gone.
            fill(&store, &later).await;
            delete(&store, [1, 7, 20]).await;
            agrees(&store, &needles).await;
            store.close().await;
        });
    }
}

#[tokio::test]
async fn an_indexed_folder_is_searched_without_reading_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_empty(dir.path()).await;
    let mut texts = vec!["nothing of interest".to_owned(); 300];
    texts[123] = "the Quarterly figures".into();
    fill(&store, &texts).await;
    let look = || rows(&store, search(&store, BOX, text(Place::Anywhere, "quarterly FIG")));
    let (before, found) = look().await;
    assert!(before >= 300 && found == NumberSet::one(124), "{before} rows");
    set(&store, ON);
    feed(&store).await;
    let (after, found) = look().await;
    assert!(after <= 20 && found == NumberSet::one(124), "{after} rows");
    // Nothing is fed twice.
    assert_eq!(held(&store, 1).await, 300);
    feed(&store).await;
    assert_eq!(held(&store, 1).await, 300);
    // What the index holds of messages that are gone goes too, in a day.
    delete(&store, 130..=300).await;
    feed(&store).await;
    assert_eq!(held(&store, 1).await, 300);
    age(&store).await;
    feed(&store).await;
    assert_eq!(held(&store, 1).await, 129);
    assert_eq!(look().await.1, NumberSet::one(124));
    store.close().await;
}

#[tokio::test]
async fn an_index_that_is_lost_is_made_anew_and_missed_by_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_empty(dir.path()).await;
    fill(&store, &vec!["some words".to_owned(); 30]).await;
    set(&store, ON);
    feed(&store).await;
    store.close().await;
    drop(store);
    std::fs::remove_dir_all(dir.path().join("text")).unwrap();
    let store = open_with(dir.path(), 1, OFF).unwrap();
    set(&store, ON);
    let found = || search(&store, BOX, text(Place::Body, "words"));
    assert_eq!(found().await.len(), 30);
    feed(&store).await;
    assert_eq!(found().await.len(), 30);
    assert_eq!(held(&store, 1).await, 30);
    // Without it there is nothing of it.
    set(&store, OFF);
    feed(&store).await;
    assert!(!dir.path().join("text/000").exists());
    assert_eq!(found().await.len(), 30);
    store.close().await;
}

#[tokio::test]
async fn an_index_that_is_older_than_the_store_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let (text_dir, kept) = (dir.path().join("text"), dir.path().join("kept"));
    let store = open_empty(dir.path()).await;
    fill(&store, &vec!["early words".to_owned(); 30]).await;
    set(&store, ON);
    feed(&store).await;
    copy(&text_dir, &kept);
    fill(&store, &vec!["late words".to_owned(); 30]).await;
    feed(&store).await;
    assert_eq!(held(&store, 1).await, 60);
    store.close().await;
    drop(store);
    // As if the last commit of the index had been lost with the power, though the shard knows of it.
    std::fs::remove_dir_all(&text_dir).unwrap();
    copy(&kept, &text_dir);
    let store = open_with(dir.path(), 1, ON).unwrap();
    for _ in 0..2 {
        assert_eq!(search(&store, BOX, text(Place::Body, "late")).await.len(), 30);
        assert_eq!(search(&store, BOX, text(Place::Body, "words")).await.len(), 60);
        feed(&store).await;
        assert_eq!(held(&store, 1).await, 60);
    }
    store.close().await;
}

#[tokio::test]
async fn a_mailbox_that_comes_again_or_comes_back_is_searched_as_it_is_now() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with(dir.path(), 2, &format!("/*/mss/restoreWindowInMinutes: [0]\n{ON}")).unwrap();
    store.mailbox_create(&call(1), BOX).await.unwrap();
    let home = store.shard_of(BOX);
    fill(&store, &vec!["first life".to_owned(); 30]).await;
    feed(&store).await;
    // Away, where it gets mail and loses some, and back before anybody has looked.
    store.move_mailbox(BOX, 1 - home).await.unwrap();
    fill(&store, &vec!["abroad".to_owned(); 25]).await;
    delete(&store, 1..=5).await;
    store.move_mailbox(BOX, home).await.unwrap();
    for _ in 0..2 {
        assert_eq!(search(&store, BOX, text(Place::Body, "abroad")).await.len(), 25);
        assert_eq!(search(&store, BOX, text(Place::Body, "first")).await.len(), 25);
        feed(&store).await;
    }
    // Deleted, and made again.
    store.mailbox_delete(&call(1), BOX).await.unwrap();
    store.mailbox_create(&call(1), BOX).await.unwrap();
    fill(&store, &vec!["second life".to_owned(); 40]).await;
    for _ in 0..2 {
        assert_eq!(search(&store, BOX, text(Place::Body, "second")).await.len(), 40);
        assert!(search(&store, BOX, text(Place::Body, "first")).await.is_empty());
        feed(&store).await;
    }
    store.close().await;
}

#[tokio::test]
async fn encoded_texts_are_found_by_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_empty(dir.path()).await;
    let mail = [
        "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n\r\nplain\r\n",
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nUXVhcnRhbHNiZXJpY2h0IGbDvHIgTcO8bmNoZW4=\r\n",
        "Content-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<b>F=FCr M=FC=\r\nnchen</b>\r\n",
        "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: application/octet-stream\r\n\r\nhidden bytes\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner one\r\n\r\ninner text\r\n--x--\r\n",
    ];
    for body in mail.iter().cycle().take(40) {
        deliver(&store, vec![to(BOX)], *body).await;
    }
    set(&store, ON);
    feed(&store).await;
    let needles = [
        "GRÜSSE",
        "grüße",
        "rüße",
        "quartalsbericht",
        "für münchen",
        "MÜNCHEN",
        "hidden",
        "inner one",
        "inner text",
        "utf-8",
        "UXVhcnRhbHNiZXJpY2h0",
        "plain",
        "nirgends",
    ];
    agrees(&store, &needles.map(str::to_owned)).await;
    assert_eq!(search(&store, BOX, text(Place::Body, "für münchen")).await.len(), 20);
    assert_eq!(search(&store, BOX, text(Place::Anywhere, "rüße")).await.len(), 10);
    assert!(search(&store, BOX, text(Place::Anywhere, "hidden")).await.is_empty());
    store.close().await;
}

#[tokio::test]
async fn a_store_that_was_closed_leaves_the_index_of_the_next_one_alone() {
    let dir = tempfile::tempdir().unwrap();
    let closed = open(dir.path(), 1).unwrap();
    set(&closed, OFF);
    closed.close().await;
    let store = open(dir.path(), 1).unwrap();
    set(&store, ON);
    fill(&store, &vec!["hello".to_owned(); 30]).await;
    feed(&store).await;
    assert_eq!(held(&store, 1).await, 30);
    let files = || std::fs::read_dir(dir.path().join("text")).unwrap().count();
    let before = files();
    assert!(!feed::once(closed.inner(), &pace()).await, "it goes on where there is nothing to do");
    assert_eq!((files(), before > 0), (before, true));
    store.close().await;
}
