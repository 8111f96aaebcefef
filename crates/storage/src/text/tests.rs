use super::*;
use crate::pace::Rate;
use env::clock::Clock;

fn document(mailbox: i64, uid: u32, text: &str) -> Document {
    let mut grams = Grams::default();
    grams.add(text);
    Document { mailbox: MailboxId(mailbox), volume: Volume(1), uid: Uid(uid), grams }
}

async fn found(index: &TextIndex, mailbox: i64, needle: &str) -> String {
    let needle = Needle::new(needle).unwrap();
    let found = index.candidates(MailboxId(mailbox), Volume(1), &needle).await.unwrap();
    found.map_or("all".into(), |(_, set)| set.to_string())
}

fn opened(path: &Path) -> TextIndex {
    TextIndex::new(path, &Random::system(), &TextThreads::default())
}

fn pace() -> Pace {
    Pace::new(&Clock::system(), || Rate::Unlimited)
}

/// As the shard notes an index at this commit.
fn at(generation: u64, commit: u64) -> TextRow {
    TextRow { generation, commit, next: commit, ..TextRow::default() }
}

/// An index of 200 messages at commit 1, closed.
async fn filled(path: &Path) -> TextRow {
    let index = opened(path);
    let generation = index.ready(&TextRow::default(), &pace()).await.unwrap();
    index
        .add((1..=200).map(|uid| document(1, uid, &format!("some text, number {uid}"))).collect())
        .await
        .unwrap();
    index.commit(1).await.unwrap();
    at(generation, 1)
}

fn all_files(path: &Path) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(path).unwrap().next().unwrap().unwrap().path();
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn what_was_committed_is_found_until_it_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let index = opened(dir.path());
    assert!(matches!(index.generation(), Err(TextError::NotReady)));
    let generation = index.ready(&TextRow::default(), &pace()).await.unwrap();
    let always = Document { grams: Grams::always(), ..document(1, 9, "") };
    let other = document(2, 4, "quarterly figures");
    let documents = vec![document(1, 3, "Quarterly FIGURES"), document(1, 4, "a quarter"), always, other];
    index.add(documents).await.unwrap();
    index.commit(7).await.unwrap();
    assert_eq!(found(&index, 1, "figures").await, "3,9");
    assert_eq!(found(&index, 1, "quarter").await, "3:4,9");
    assert_eq!(found(&index, 1, "qu").await, "all");
    assert_eq!(found(&index, 2, "FIGURES").await, "4");
    assert_eq!(index.count(MailboxId(1), Volume(1)).await.unwrap(), 3);
    drop(index);
    // It is there when it is opened again, of the same generation.
    let index = opened(dir.path());
    assert_eq!(index.ready(&at(generation, 7), &pace()).await.unwrap(), generation);
    assert_eq!(found(&index, 1, "figures").await, "3,9");
    index.forget(MailboxId(1), Volume(1)).await.unwrap();
    index.add(vec![document(1, 5, "other figures")]).await.unwrap();
    index.commit(8).await.unwrap();
    assert_eq!(found(&index, 1, "figures").await, "5");
    assert_eq!(found(&index, 2, "figures").await, "4");
    index.discard().await.unwrap();
    assert!(!dir.path().exists());
    assert!(matches!(index.generation(), Err(TextError::NotReady)));
}

#[tokio::test]
async fn what_is_taken_out_leaves_the_files_too() {
    let dir = tempfile::tempdir().unwrap();
    let index = opened(dir.path());
    index.ready(&TextRow::default(), &pace()).await.unwrap();
    let mut documents: Vec<_> = (1..=200).map(|uid| document(1, uid, &format!("text of {uid}"))).collect();
    documents.push(document(2, 7, "another's"));
    index.add(documents).await.unwrap();
    index.commit(1).await.unwrap();
    let bytes = || all_files(dir.path()).iter().map(|f| f.metadata().unwrap().len()).sum::<u64>();
    let before = bytes();
    index.keep(MailboxId(1), Volume(1), [3, 150].into_iter().collect()).await.unwrap();
    index.commit(2).await.unwrap();
    assert_eq!(found(&index, 1, "text").await, "3,150");
    assert_eq!(index.count(MailboxId(1), Volume(1)).await.unwrap(), 2);
    index.expunge(&pace()).await.unwrap();
    assert_eq!(found(&index, 1, "text").await, "3,150");
    assert_eq!(found(&index, 2, "another").await, "7");
    let part = index.shared.proven().unwrap().parts_with_gone().unwrap();
    assert!(part.is_empty() && bytes() < before / 2, "{before} bytes, then {}", bytes());
}

#[tokio::test]
async fn an_index_with_any_file_damaged_cut_or_lost_is_made_anew() {
    type Damage = fn(&Path);
    let damages: [Damage; 3] = [
        |file| {
            let mut bytes = std::fs::read(file).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x10;
            std::fs::write(file, bytes).unwrap();
        },
        |file| std::fs::write(file, &std::fs::read(file).unwrap()[1..]).unwrap(),
        |file| std::fs::remove_file(file).unwrap(),
    ];
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    let kind = |path: &PathBuf| path.extension().unwrap().to_owned();
    let kinds: Vec<_> = all_files(dir.path()).iter().map(kind).collect();
    assert!(kinds.len() > 4);
    for which in &kinds {
        for damage in damages {
            std::fs::remove_dir_all(dir.path()).unwrap();
            let noted = filled(dir.path()).await;
            let file = all_files(dir.path()).into_iter().find(|f| kind(f) == *which).unwrap();
            damage(&file);
            let index = opened(dir.path());
            let generation = index.ready(&noted, &pace()).await.unwrap();
            assert_ne!(generation, noted.generation, "{} was damaged", file.display());
            assert_eq!(found(&index, 1, "text").await, "");
        }
    }
}

#[tokio::test]
async fn an_index_of_another_commit_than_the_noted_is_made_anew() {
    for (known, is_kept) in [((1, 1), true), ((0, 1), true), ((1, 2), true), ((0, 2), false), ((2, 2), false)]
    {
        let dir = tempfile::tempdir().unwrap();
        let noted = filled(dir.path()).await;
        let noted = TextRow { commit: known.0, next: known.1, ..noted };
        let index = opened(dir.path());
        let generation = index.ready(&noted, &pace()).await.unwrap();
        assert_eq!(generation == noted.generation, is_kept, "{known:?}");
    }
}

#[tokio::test]
async fn what_was_not_committed_is_as_if_it_had_never_been() {
    let dir = tempfile::tempdir().unwrap();
    let noted = filled(dir.path()).await;
    let index = opened(dir.path());
    index.ready(&noted, &pace()).await.unwrap();
    index.add(vec![document(1, 201, "some more")]).await.unwrap();
    drop(index);
    let index = opened(dir.path());
    assert_eq!(index.ready(&noted, &pace()).await.unwrap(), noted.generation);
    assert_eq!(found(&index, 1, "some").await, "1:200");
}
