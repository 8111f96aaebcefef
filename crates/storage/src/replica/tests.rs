use super::entry::Coded;
use super::*;
use crate::directory::{
    AccountRecord, AccountRow, AddressRow, DomainRow, ForwardPlace, ForwardRow, Forwarding, NameKey, Rank,
};
use catalog::account::{DomainKind, Status};
use mail::id::{AccountId, MailboxId};
use proptest::prelude::*;
use std::collections::BTreeMap;

const SEED: (u64, u64) = (7, 11);

fn key(name: &str) -> NameKey {
    NameKey::new(name, "Site.test")
}

/// An account of that id with these further addresses.
fn account(id: i64, version: i64, names: &[String]) -> AccountRecord {
    let address =
        |name: &String, rank| AddressRow { local_part: name.clone(), domain: "site.test".into(), rank };
    let login = format!("User{id}");
    let mut addresses = vec![address(&login, Rank::Primary)];
    addresses.extend(names.iter().map(|n| address(n, Rank::Alias)));
    AccountRecord {
        row: AccountRow {
            id: AccountId(id),
            name: login,
            domain: "site.test".into(),
            mailbox: MailboxId(id * 10),
            home: "mss1".into(),
            password: "{PLAIN}x".into(),
            scram: String::new(),
            status: Status::Active,
            class: "default".into(),
            forwarding: Forwarding::On,
            version,
        },
        addresses,
        aliases: vec![NameKey::new(&format!("also{id}"), "other.test")],
        forwards: vec![ForwardRow { address: "a@b.test".into(), place: ForwardPlace::Remote }],
        overrides: vec![("totalbytes".into(), "7".into())],
    }
}

fn entry_of(record: &AccountRecord) -> (Key, Entry) {
    (Key::Account(record.row.id), Entry::Account(Box::new(record.clone())))
}

/// A copy of these accounts.
fn copy(folder: &std::path::Path, records: &[AccountRecord], files: usize) -> Writer {
    let scratch = Writer::scratch(folder, "all").unwrap();
    let mut builder = Builder::new(&scratch, files, SEED).unwrap();
    for record in records {
        let (key, entry) = entry_of(record);
        builder.add(&key, &entry).unwrap();
    }
    let domain = DomainRow { name: "site.test".into(), kind: DomainKind::Local, target: String::new() };
    builder.add(&Key::Domain("site.test".into()), &Entry::Domain(domain)).unwrap();
    let built = builder.finish().unwrap();
    Writer::install(folder, &built, 5).unwrap()
}

#[test]
fn every_name_of_an_account_leads_to_it() {
    for files in [1, 2, 256] {
        let folder = tempfile::tempdir().unwrap();
        let all: Vec<_> = (1..200).map(|id| account(id, 1, &[format!("Ä{id}")])).collect();
        let writer = copy(folder.path(), &all, files);
        let reader = Reader::open(folder.path()).unwrap();
        assert_eq!((reader.position(), reader.size().files), (5, files as u64));
        for record in &all {
            let id = record.row.id;
            let names = [
                Key::Login(key(&format!("uSer{id}"))),
                Key::Login(NameKey::new(&format!("also{id}"), "other.test")),
                Key::Address(key(&format!("user{id}"))),
                Key::Address(key(&format!("ä{id}"))),
            ];
            assert_eq!(reader.account(id).unwrap().as_ref(), Some(record));
            for name in names {
                assert_eq!(reader.account_of(&name).unwrap().as_ref(), Some(record), "{name:?}");
            }
        }
        for nobody in [Key::Login(key("ä1")), Key::Address(key("also1")), Key::Account(AccountId(900))] {
            assert_eq!(reader.get(&nobody).unwrap(), None);
        }
        let domain = reader.get(&Key::Domain("site.test".into())).unwrap();
        assert!(matches!(domain, Some(Entry::Domain(row)) if row.kind == DomainKind::Local));
        drop(writer);
    }
}

/// Folding and putting a copy in force remove what they replace, and not what somebody builds beside them.
#[tokio::test]
async fn its_21737_a_fold_does_not_take_away_what_is_being_built() {
    let folder = tempfile::tempdir().unwrap();
    drop(copy(folder.path(), &[account(1, 1, &[])], 1));
    let left = Writer::scratch(folder.path(), "copy-9").unwrap();
    std::fs::create_dir(&left).unwrap();
    let (keeper, _) = Keeper::open(folder.path(), SEED).unwrap();
    assert!(!left.exists(), "what an earlier process was building stays");
    let building = keeper.build(1).unwrap();
    assert!(building.add(vec![entry_of(&account(2, 1, &[]))]).await);
    keeper.append(6, vec![entry_of(&account(3, 1, &[]))]).await.unwrap();
    keeper.fold().await.unwrap();
    let other = keeper.build(1).unwrap();
    assert!(other.add(vec![entry_of(&account(4, 1, &[]))]).await);
    keeper.install(other.finish().await.unwrap(), 7).await.unwrap();
    keeper.install(building.finish().await.unwrap(), 8).await.unwrap();
    let reader = keeper.reader().unwrap();
    assert_eq!((reader.position(), reader.size().entries), (8, 1));
    assert!(reader.account(AccountId(2)).unwrap().is_some());
}

#[test]
fn one_process_writes() {
    let folder = tempfile::tempdir().unwrap();
    let writer = copy(folder.path(), &[account(1, 1, &[])], 1);
    assert!(matches!(Writer::open(folder.path()), Err(ReplicaError::InUse(_))));
    drop(writer);
    assert!(Writer::open(folder.path()).is_ok());
}

#[test]
fn its_44236_what_changed_is_not_found_under_its_old_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = copy(folder.path(), &[account(1, 1, &["old".into()]), account(2, 1, &[])], 1);
    let reader = Reader::open(folder.path()).unwrap();
    let renamed = account(1, 2, &["new".into()]);
    let (old, new) = (Key::Address(key("old")), Key::Address(key("new")));
    let changes = [entry_of(&renamed), (old.clone(), Entry::Gone), (new.clone(), Entry::Name(AccountId(1)))];
    writer.append(6, &changes).unwrap();
    let followed = reader.follow().unwrap();
    assert_eq!(followed.keys, [Key::Account(AccountId(1)), old.clone(), new.clone()]);
    assert!(!followed.anew);
    for _ in 0..2 {
        assert_eq!((reader.position(), reader.get(&old).unwrap()), (6, None));
        assert_eq!(reader.account_of(&new).unwrap().as_ref(), Some(&renamed));
        assert_eq!(reader.account_of(&Key::Login(key("user1"))).unwrap().as_ref(), Some(&renamed));
        // The same of the copy that was folded, which keeps no entry of its own for the name.
        let fold = writer.fold(SEED).unwrap();
        writer.append(6, &[]).unwrap();
        writer.finish_fold(fold.run().unwrap()).unwrap();
        assert_eq!(reader.follow().unwrap(), Followed::default());
        assert_eq!((reader.size().above, reader.size().entries), (0, 3));
    }
}

#[test]
fn its_17856_what_was_cut_short_or_spoilt_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Reader::open(folder.path()), Err(ReplicaError::Missing(_))));
    drop(copy(folder.path(), &(1..50).map(|id| account(id, 1, &[])).collect::<Vec<_>>(), 1));
    let table = generation_folder(folder.path(), 1).join("users-0000.db");
    let whole = std::fs::read(&table).unwrap();
    for len in [0, 10, 100, 4096, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&table, &whole[..len]).unwrap();
        let error = Reader::open(folder.path()).err().unwrap();
        assert!(
            matches!(&error, ReplicaError::Damaged(what) if what.contains("users-0000")),
            "{len}: {error}"
        );
    }
    // One bad byte anywhere is an error of whom it touches, or of nobody; nothing wrong is ever read.
    let step = whole.len() / 97;
    for at in (0..whole.len()).step_by(step) {
        let mut bad = whole.clone();
        bad[at] ^= 0x55;
        std::fs::remove_file(&table).unwrap();
        std::fs::write(&table, &bad).unwrap();
        let Ok(reader) = Reader::open(folder.path()) else { continue };
        for id in 1..50 {
            match reader.account(AccountId(id)) {
                Ok(Some(found)) => assert_eq!(found, account(id, 1, &[])),
                Ok(None) | Err(ReplicaError::Damaged(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
    let manifest = folder.path().join("current");
    let said = std::fs::read(&manifest).unwrap();
    std::fs::write(&manifest, &said[..said.len() - 1]).unwrap();
    assert!(matches!(Reader::open(folder.path()), Err(ReplicaError::Damaged(_))));
}

#[test]
fn a_torn_frame_does_not_count_and_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = copy(folder.path(), &[account(1, 1, &[])], 1);
    writer.append(6, &[entry_of(&account(2, 1, &[]))]).unwrap();
    drop(writer);
    let path = folder.path().join("changes-0000000001.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(&[40, 0, 0, 0, 1, 2, 3, 4, 5]);
    std::fs::write(&path, &bytes).unwrap();
    let mut writer = Writer::open(folder.path()).unwrap();
    assert_eq!(writer.reader().position(), 6);
    writer.append(7, &[entry_of(&account(3, 1, &[]))]).unwrap();
    let reader = Reader::open(folder.path()).unwrap();
    assert_eq!(reader.position(), 7);
    assert!(
        reader.account(AccountId(2)).unwrap().is_some() && reader.account(AccountId(3)).unwrap().is_some()
    );
}

/// One step of a history.
#[derive(Debug, Clone)]
enum Step {
    /// The account has this one name beside its own from now on.
    Put(i64, u8),
    Remove(i64),
    Fold,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1..8i64, 0..6u8).prop_map(|(id, name)| Step::Put(id, name)),
        2 => (1..8i64).prop_map(Step::Remove),
        2 => Just(Step::Fold),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

/// What the accounts are, and the names that are given out.
#[derive(Default)]
struct Model {
    accounts: BTreeMap<i64, AccountRecord>,
    names: BTreeMap<String, i64>,
}

impl Model {
    /// What the directory's log would say of this step.
    fn step(&mut self, step: &Step, version: i64) -> Vec<(Key, Entry)> {
        let mut changes = Vec::new();
        let drop_names = |model: &mut Self, id: i64, changes: &mut Vec<(Key, Entry)>| {
            let gone: Vec<_> =
                model.names.iter().filter(|(_, of)| **of == id).map(|(n, _)| n.clone()).collect();
            for name in gone {
                changes.push((Key::Address(key(&name)), Entry::Gone));
                model.names.remove(&name);
            }
        };
        match *step {
            Step::Put(id, name) => {
                let name = format!("name{name}");
                if self.names.get(&name).is_some_and(|of| *of != id) {
                    return changes;
                }
                drop_names(self, id, &mut changes);
                let record = account(id, version, std::slice::from_ref(&name));
                let known = self.accounts.insert(id, record.clone());
                self.names.insert(name.clone(), id);
                changes.push((Key::Address(key(&name)), Entry::Name(AccountId(id))));
                if known.is_none() {
                    let login = key(&format!("user{id}"));
                    changes.push((Key::Login(login.clone()), Entry::Name(AccountId(id))));
                    changes.push((Key::Address(login), Entry::Name(AccountId(id))));
                }
                changes.push(entry_of(&record));
            }
            Step::Remove(id) if self.accounts.remove(&id).is_some() => {
                drop_names(self, id, &mut changes);
                let login = key(&format!("user{id}"));
                changes.push((Key::Login(login.clone()), Entry::Gone));
                changes.push((Key::Address(login), Entry::Gone));
                changes.push((Key::Account(AccountId(id)), Entry::Gone));
                changes.push((Key::Login(NameKey::new(&format!("also{id}"), "other.test")), Entry::Gone));
            }
            _ => {}
        }
        changes
    }

    fn compare(&self, reader: &Reader) {
        for id in 1..8 {
            let wanted = self.accounts.get(&id);
            assert_eq!(reader.account(AccountId(id)).unwrap().as_ref(), wanted, "account {id}");
            let login = Key::Login(key(&format!("user{id}")));
            assert_eq!(reader.account_of(&login).unwrap().as_ref(), wanted, "{login:?}");
        }
        for name in (0..6).map(|n| format!("name{n}")) {
            let wanted = self.names.get(&name).and_then(|id| self.accounts.get(id));
            let found = reader.account_of(&Key::Address(key(&name))).unwrap();
            assert_eq!(found.as_ref(), wanted, "{name}");
        }
        let mut seen = 0;
        reader
            .each(|_, entry| {
                seen += usize::from(matches!(entry, Entry::Account(_)));
                Ok::<_, ReplicaError>(())
            })
            .unwrap();
        assert_eq!(seen, self.accounts.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_copy_is_what_its_changes_say_however_it_is_folded(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let mut model = Model::default();
        model.step(&Step::Put(1, 0), 1);
        let all: Vec<_> = model.accounts.values().cloned().collect();
        let mut writer = copy(folder.path(), &all, 2);
        let other = Reader::open(folder.path()).unwrap();
        for (at, step) in (2i64..).zip(&steps) {
            match step {
                Step::Fold => {
                    let fold = writer.fold(SEED).unwrap();
                    // Something changes while it is folded.
                    let changes = model.step(&Step::Put(at % 7 + 1, (at % 5) as u8), at);
                    writer.append(at + 5, &changes).unwrap();
                    other.follow().unwrap();
                    writer.finish_fold(fold.run().unwrap()).unwrap();
                }
                Step::Reopen => {
                    drop(writer);
                    writer = Writer::open(folder.path()).unwrap();
                }
                step => {
                    let changes = model.step(step, at);
                    writer.append(at + 5, &changes).unwrap();
                }
            }
            other.follow().unwrap();
            model.compare(&other);
            model.compare(writer.reader());
        }
        model.compare(&Reader::open(folder.path()).unwrap());
    }

    #[test]
    fn no_bytes_make_an_entry_panic(bytes: Vec<u8>, kind in 0..9u8) {
        let _ = entry::decode(Coded::new(&bytes, &bytes).raw());
        let mut of_kind = vec![kind];
        of_kind.extend_from_slice(&bytes);
        let coded = Coded::new(&of_kind, &bytes);
        let raw = coded.raw();
        let _ = entry::decode(raw);
        let _ = entry::key_of(raw);
        let _ = entry::holder_of(raw);
        let _ = entry::stands_under(raw, Key::Login(key("a")).as_ref());
        let _ = entry::stands_under(raw, Key::Address(key("a")).as_ref());
    }
}

#[tokio::test]
async fn the_keeper_builds_appends_and_folds_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (keeper, why) = Keeper::open(folder.path(), SEED).unwrap();
    assert!(keeper.reader().is_none() && matches!(why, Some(ReplicaError::Missing(_))));
    let building = keeper.build(4).unwrap();
    for page in (0..10).map(|n| (n * 10..(n + 1) * 10).map(|id| entry_of(&account(id, 1, &[]))).collect()) {
        assert!(building.add(page).await);
    }
    keeper.install(building.finish().await.unwrap(), 3).await.unwrap();
    let follower = Reader::open(folder.path()).unwrap();
    // Enough for a fold of its own accord.
    for n in 0..9 {
        let page = (0..4000).map(|id| entry_of(&account(1000 + n * 4000 + id, 1, &[]))).collect();
        keeper.append(4 + n, page).await.unwrap();
    }
    let reader = keeper.reader().unwrap();
    for _ in 0..500 {
        if reader.size().above < 36_000 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(reader.size().above < 36_000, "{:?}", reader.size());
    follower.follow().unwrap();
    for reader in [&reader, &follower] {
        assert_eq!(reader.position(), 12);
        assert!([0, 99, 1000, 36_999].iter().all(|id| reader.account(AccountId(*id)).unwrap().is_some()));
    }
    keeper.fold().await.unwrap();
    follower.follow().unwrap();
    assert_eq!((follower.size().above, follower.size().tables), (0, 1));
    assert!(follower.account(AccountId(36_999)).unwrap().is_some());
}
