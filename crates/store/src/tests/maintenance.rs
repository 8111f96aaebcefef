//! What checks find, what repairs and collections do, with faults put into a store by hand.

use super::*;
use bytes::Bytes;
use mail::flags::Flags;
use mail::id::{FolderId, ModSeq, Uid};
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::Body;
use roles::maintenance::{
    Collect, Collected, Finding, FindingKind, Keep, Maintenance, Mode, Order, OrphansRemoved, RemoveOrphans,
    Scope, Summary, Task, TaskState, TaskStatus, Verified, Verify,
};
use roles::store::{Append, Need, Page, Quota, Read};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use storage::mailboxes::{FolderRow, Mailbox, MessageRow, NewMessage, Writer};
use storage::pace::{Pace, Rate};
use storage::shard::{ShardError, Transaction, View};

const INBOX: FolderId = FolderId::INBOX;
/// So large that a segment of these tests holds three.
const LARGE: usize = 400_000;

/// A store with one shard, or more, and mailboxes to hurt.
struct Site {
    dir: tempfile::TempDir,
    store: Store,
    shards: u32,
    requests: AtomicU64,
}

impl Site {
    fn new(shards: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), shards).unwrap();
        Self { dir, store, shards, requests: AtomicU64::new(100) }
    }

    fn call(&self) -> Call {
        call(self.requests.fetch_add(1, Ordering::Relaxed).into())
    }

    /// Puts messages of this length into an Inbox; each says its mailbox and number.
    async fn fill(&self, mailbox: i64, count: u32, len: usize) {
        let mailbox = MailboxId(mailbox);
        self.store.mailbox_create(&self.call(), mailbox).await.unwrap();
        for _ in 0..count {
            let uid = self.store.folder_status(&self.call(), mailbox, "INBOX".into()).await.unwrap().uid_next;
            let mut text = format!("Message-ID: <{uid}@{mailbox}>\r\nSubject: {uid}\r\n\r\n");
            text += &format!("body {uid} of {mailbox} ").repeat(len.div_ceil(12));
            text.truncate(len.max(60));
            let append = Append {
                mailbox,
                folder: "INBOX".into(),
                flags: Flags::default(),
                received: Timestamp::from_secs(1),
                body: Body::from_bytes(text),
                quota: Quota::default(),
            };
            self.store.message_append(&self.call(), append).await.unwrap();
        }
    }

    async fn delete(&self, mailbox: i64, uids: std::ops::RangeInclusive<u32>) {
        let uids: NumberSet = uids.collect();
        self.store.message_delete(&self.call(), MailboxId(mailbox), INBOX, uids).await.unwrap();
    }

    async fn read(&self, mailbox: i64, need: Need) -> Page {
        let read = Read {
            mailbox: MailboxId(mailbox),
            folder: INBOX,
            uids: NumberSet::all(),
            need,
            changed_since: None,
            limit: 1000,
        };
        self.store.message_read(&self.call(), read).await.unwrap()
    }

    async fn reopen(&mut self) {
        self.store.close().await;
        self.store = open(self.dir.path(), self.shards).unwrap();
    }

    fn segments(&self) -> Vec<PathBuf> {
        let log = std::fs::read_dir(self.dir.path().join("shard-000/log")).unwrap();
        let mut all: Vec<_> = log.map(|entry| entry.unwrap().path()).collect();
        all.sort();
        all
    }

    /// The segment and the offset at which this text is stored.
    fn find(&self, text: &str) -> (PathBuf, u64) {
        for path in self.segments() {
            let content = std::fs::read(&path).unwrap();
            if let Some(at) = content.windows(text.len()).position(|w| w == text.as_bytes()) {
                return (path, at as u64);
            }
        }
        panic!("{text} is not stored");
    }

    /// Changes a byte of the body of a message.
    fn rot(&self, uid: u32, mailbox: i64) {
        let (path, at) = self.find(&format!("body {uid} of {mailbox} body"));
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.write_all_at(b"X", at + 2).unwrap();
    }

    /// Runs a change on the only shard, behind the back of the store.
    async fn hurt<T, F>(&self, task: F) -> T
    where
        F: FnOnce(&mut Transaction<'_>) -> Result<T, ShardError> + Send + 'static,
        T: Send + 'static,
    {
        self.store.inner().shards[0].commit(task).await.unwrap()
    }

    async fn row(&self, mailbox: i64, uid: u32) -> (FolderRow, MessageRow) {
        let look = move |view: &View<'_>| {
            let mailbox = Mailbox::new(view, MailboxId(mailbox));
            let folder = mailbox.folder(INBOX)?.unwrap();
            let row = mailbox.message(folder.volume, Uid(uid))?.unwrap();
            Ok::<_, ShardError>((folder, row))
        };
        self.store.inner().shards[0].read(look).await.unwrap()
    }

    /// Takes the body of a message away and leaves the message.
    async fn widow(&self, mailbox: i64, uid: u32) {
        let (_, row) = self.row(mailbox, uid).await;
        self.hurt(move |tx| tx.release(&row.blob)).await;
    }

    async fn orphan(&self, len: usize) {
        self.hurt(move |tx| tx.store(b"", &Bytes::from(vec![b'o'; len])).map(drop)).await;
    }

    async fn miscount(&self, mailbox: i64) {
        let when = self.store.inner().when();
        self.hurt(move |tx| {
            let mut writer = Writer::open(tx, MailboxId(mailbox), when)?.unwrap();
            let mut inbox = writer.mailbox().folder(INBOX)?.unwrap();
            (inbox.unseen, inbox.bytes, inbox.uid_next) = (inbox.unseen + 5, 3, Uid(1));
            writer.save_folder(&inbox)?;
            writer.save()
        })
        .await;
    }

    /// A message whose outline is of another one.
    async fn mismatch(&self, mailbox: i64) {
        let when = self.store.inner().when();
        let (_, other) = self.row(mailbox, 1).await;
        let meta = self.store.inner().shards[0].blob_meta(&other.blob).await.unwrap();
        self.hurt(move |tx| {
            let blob = tx.store(&meta, &Bytes::from_static(b"Subject: other\r\n\r\n"))?;
            let mut writer = Writer::open(tx, MailboxId(mailbox), when)?.unwrap();
            let mut inbox = writer.mailbox().folder(INBOX)?.unwrap();
            let (system, received) = (Flags::default().system, Timestamp::from_secs(1));
            let new = NewMessage {
                system,
                keywords: Vec::new(),
                received,
                ages_from: storage::mailboxes::AgesFrom::Received,
                sent: None,
                blob,
            };
            let modseq: ModSeq = writer.next_modseq();
            writer.add(&mut inbox, new, modseq)?;
            writer.save_folder(&inbox)?;
            writer.save()
        })
        .await;
    }

    async fn run(&self, task: Task) -> (TaskStatus, Vec<Finding>) {
        let id = self.store.task_start(&self.call(), task, Keep::WhileFollowed).await.unwrap();
        let mut findings = Vec::new();
        loop {
            let wait = Duration::from_secs(30);
            let status = self.store.task_status(&self.call(), id, findings.len() as u64, wait).await.unwrap();
            findings.extend(status.findings.iter().cloned());
            if status.state.is_over() && findings.len() as u64 == status.found {
                assert_eq!(status.state, TaskState::Done);
                return (status, findings);
            }
        }
    }

    async fn verify(&self, scope: Scope, repair: Mode) -> (Verified, Vec<Finding>) {
        let (status, mut findings) = self.run(Task::Verify(Verify { scope, jobs: 2, repair, rate: 0 })).await;
        findings.sort_by_key(|finding| (finding.kind, finding.uid));
        match status.summary {
            Some(Summary::Verified(verified)) => (verified, findings),
            other => panic!("{other:?}"),
        }
    }

    async fn collect(&self, mode: Mode) -> Collected {
        match self.run(Task::Collect(Collect { mode, rate: 0 })).await.0.summary {
            Some(Summary::Collected(collected)) => collected,
            other => panic!("{other:?}"),
        }
    }

    async fn remove_orphans(&self, mode: Mode, age: Duration) -> OrphansRemoved {
        match self.run(Task::RemoveOrphans(RemoveOrphans { mode, age })).await.0.summary {
            Some(Summary::OrphansRemoved(removed)) => removed,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until all segments but the last can be reclaimed.
    async fn settle(&self) {
        for shard in &self.store.inner().shards {
            for _ in 0..2000 {
                let last = shard.status().segment;
                if shard.segment_uses().await.unwrap().last().is_some_and(|one| one.segment + 1 >= last) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    }

    async fn damaged(&self) -> Vec<Finding> {
        // What was noted is written down by a task of its own.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.damaged_list(&self.call(), None, after).await.unwrap();
            all.extend(page.messages.into_iter().map(|damaged| damaged.finding));
            match page.next {
                Some(next) => after = Some(next),
                None => return all,
            }
        }
    }
}

fn words(findings: &[Finding]) -> Vec<(&'static str, Option<u32>)> {
    findings.iter().map(|finding| (finding.kind.word(), finding.uid.map(|uid| uid.0))).collect()
}

#[tokio::test]
async fn its_22121_the_check_finds_each_kind_of_damage_and_names_the_messages() {
    let mut site = Site::new(1);
    site.fill(1, 12, LARGE).await;
    site.mismatch(1).await;
    site.settle().await;
    site.store.close().await;
    let segments = site.segments();
    assert!(segments.len() >= 5, "{segments:?}");
    // The first segment is missing, the second is cut in the middle of its last message, in the third a byte is
    // another one.
    let second = std::fs::File::options().write(true).open(&segments[1]).unwrap();
    second.set_len(second.metadata().unwrap().len() - 1000).unwrap();
    site.rot(8, 1);
    std::fs::remove_file(&segments[0]).unwrap();
    site.reopen().await;
    let (verified, findings) = site.verify(Scope::Store, Mode::DryRun).await;
    let found: Vec<_> = words(&findings).into_iter().filter(|(_, uid)| uid.is_some()).collect();
    let expected = [
        ("missing", Some(1)),
        ("missing", Some(2)),
        ("missing", Some(3)),
        ("truncated", Some(6)),
        ("altered", Some(8)),
        ("mismatched", Some(13)),
    ];
    assert_eq!(found, expected, "{findings:?}");
    assert!(words(&findings).contains(&("segment", None)));
    assert_eq!((verified.mailboxes, verified.folders, verified.messages), (1, 1, 13));
    // By mailbox, folder, UID and, where the header is whole, Message-ID.
    let rotten = findings.iter().find(|finding| finding.kind == FindingKind::Altered).unwrap();
    assert_eq!((rotten.mailbox, rotten.folder.as_deref()), (Some(MailboxId(1)), Some("INBOX")));
    assert_eq!(rotten.message_id.as_deref(), Some("<8@1>"));
    // The list for operators has them from now on; it was made by reading, and costs no reading.
    let listed = words(&site.damaged().await);
    assert_eq!(listed.len(), 5, "{listed:?}");
    assert!(listed.contains(&("altered", Some(8))));
    site.store.close().await;
}

#[tokio::test]
async fn its_13587_damage_in_one_message_is_an_error_of_that_message_only() {
    let site = Site::new(1);
    site.fill(1, 4, 200_000).await;
    site.rot(2, 1);
    site.widow(1, 3).await;
    let page = site.read(1, Need::Outline).await;
    let outlines: Vec<_> = page.messages.iter().map(|m| m.outline.is_some()).collect();
    assert_eq!(outlines, [true, true, false, true]);
    // Bit rot is met while the body is read, and from then on before.
    let page = site.read(1, Need::Body).await;
    for message in &page.messages {
        let Some(body) = &message.body else { continue };
        let read = body.read(0, 200_000).await;
        assert_eq!(read.is_err(), message.uid == Uid(2), "{:?}", message.uid);
    }
    let page = site.read(1, Need::Body).await;
    let bodies: Vec<_> = page.messages.iter().map(|m| m.body.is_some()).collect();
    assert_eq!(bodies, [true, false, false, true]);
    // A search goes on past them.
    let needle = mail::search::Needle::new("body").unwrap();
    let criterion = mail::search::Criterion::Text(mail::search::Place::Body, needle);
    let found = site.store.message_search(&site.call(), MailboxId(1), INBOX, criterion).await.unwrap();
    assert_eq!(found.iter().collect::<Vec<_>>(), [1, 4]);
    // Each was said once, by mailbox and UID.
    let log = site.store.inner().env.log.lines();
    let said: Vec<_> = log.iter().filter(|line| line.contains("MsMsgDamaged")).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(words(&site.damaged().await), [("altered", Some(2)), ("widow", Some(3))]);
    site.store.close().await;
}

#[tokio::test]
async fn its_24247_the_list_of_bad_messages_forgets_what_is_gone_or_whole_again() {
    let site = Site::new(2);
    for mailbox in 1..5 {
        site.fill(mailbox, 3, 3000).await;
    }
    let (folder, row) = site.row(2, 1).await;
    assert!(folder.messages == 3);
    site.hurt(move |tx| tx.release(&row.blob)).await;
    site.rot(2, 2);
    let (_, findings) = site.verify(Scope::Mailbox(MailboxId(2)), Mode::DryRun).await;
    assert_eq!(words(&findings), [("widow", Some(1)), ("altered", Some(2))]);
    assert_eq!(words(&site.damaged().await), [("widow", Some(1)), ("altered", Some(2))]);
    let other = site.store.damaged_list(&site.call(), Some(MailboxId(3)), None).await.unwrap();
    assert!(other.messages.is_empty() && other.next.is_none());
    // ITS 22635: a widow can be deleted like any message.
    site.delete(2, 1..=1).await;
    // And a file can come back from a backup.
    let (path, at) = site.find("boXy 2 of 2");
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(b"d", at + 2).unwrap();
    let (_, findings) = site.verify(Scope::Store, Mode::DryRun).await;
    assert!(findings.is_empty(), "{findings:?}");
    assert!(site.damaged().await.is_empty());
    site.store.close().await;
}

#[tokio::test]
async fn its_23798_widows_are_found_and_removed_by_repair() {
    let site = Site::new(1);
    site.fill(1, 5, 3000).await;
    site.widow(1, 2).await;
    site.widow(1, 4).await;
    let (verified, findings) = site.verify(Scope::Store, Mode::DryRun).await;
    assert_eq!(words(&findings), [("widow", Some(2)), ("widow", Some(4))]);
    assert_eq!((verified.found, verified.mended), (vec![(FindingKind::Widow, 2)], 0));
    assert_eq!(site.read(1, Need::Flags).await.messages.len(), 5);
    let (verified, _) = site.verify(Scope::Store, Mode::Apply).await;
    assert_eq!(verified.mended, 2);
    assert_eq!(site.read(1, Need::Flags).await.messages.len(), 3);
    assert!(site.verify(Scope::Store, Mode::DryRun).await.1.is_empty());
    assert!(site.store.audit().await.unwrap().iter().all(storage::shard::Audit::is_clean));
    site.store.close().await;
}

#[tokio::test]
async fn its_22635_a_widow_is_deleted_like_any_message_and_nothing_is_counted_twice() {
    let site = Site::new(1);
    site.fill(1, 3, 3000).await;
    site.widow(1, 2).await;
    site.delete(1, 2..=2).await;
    let audit = &site.store.audit().await.unwrap()[0];
    assert!(audit.is_clean(), "{audit:?}");
    let usage = site.store.mailbox_usage(&site.call(), MailboxId(1)).await.unwrap();
    assert_eq!((usage.messages, usage.bytes), (2, 6000));
    site.store.close().await;
}

#[tokio::test]
async fn its_22350_counters_that_do_not_agree_are_found_and_counted_anew() {
    let site = Site::new(1);
    site.fill(1, 4, 3000).await;
    site.fill(2, 1, 3000).await;
    site.miscount(1).await;
    let (_, findings) = site.verify(Scope::Store, Mode::DryRun).await;
    assert_eq!(words(&findings), [("counters", None)]);
    let detail = &findings[0].detail;
    assert_eq!(detail, "unseen 9, counted 4; bytes 3, counted 12000; next UID 1, counted 5");
    let (verified, findings) = site.verify(Scope::Mailbox(MailboxId(1)), Mode::Apply).await;
    assert!(findings[0].mended && verified.mended == 1);
    let inbox = site.store.folder_status(&site.call(), MailboxId(1), "INBOX".into()).await.unwrap();
    assert_eq!((inbox.unseen, inbox.bytes, inbox.uid_next), (4, 12_000, Uid(5)));
    assert!(site.verify(Scope::Store, Mode::DryRun).await.1.is_empty());
    site.store.close().await;
}

#[tokio::test]
async fn counts_of_references_are_put_right() {
    let site = Site::new(1);
    site.fill(1, 2, 3000).await;
    let (_, row) = site.row(1, 1).await;
    site.hurt(move |tx| tx.retain(&row.blob, 3)).await;
    let (_, findings) = site.verify(Scope::Store, Mode::DryRun).await;
    assert_eq!(findings[0].detail, "3000 bytes referred to 1 times, counted 4");
    site.verify(Scope::Store, Mode::Apply).await;
    assert!(site.verify(Scope::Store, Mode::DryRun).await.1.is_empty());
    site.delete(1, 1..=2).await;
    assert_eq!(site.store.inner().shards[0].status().live_bytes, 0);
    site.store.close().await;
}

#[tokio::test]
async fn its_22198_orphans_are_removed_when_they_are_known_for_long_enough() {
    let site = Site::new(1);
    site.fill(1, 2, 3000).await;
    site.orphan(50_000).await;
    site.orphan(70_000).await;
    let (_, findings) = site.verify(Scope::Store, Mode::DryRun).await;
    assert_eq!(words(&findings), [("orphan", None); 2]);
    // ITS 18610: too young, then a dry run, then for real, then nothing is left.
    let day = site.remove_orphans(Mode::Apply, Duration::from_secs(86_400)).await;
    assert_eq!((day.found, day.young, day.removed), (2, 2, 0));
    let dry = site.remove_orphans(Mode::DryRun, Duration::ZERO).await;
    assert_eq!((dry.found, dry.removed), (2, 2));
    assert!(dry.removed_bytes > 120_000 && dry.removed_bytes < 121_000);
    let real = site.remove_orphans(Mode::Apply, Duration::ZERO).await;
    assert_eq!((real.found, real.removed, real.removed_bytes), (2, 2, dry.removed_bytes));
    assert_eq!(site.remove_orphans(Mode::Apply, Duration::ZERO).await, OrphansRemoved::default());
    assert!(site.store.audit().await.unwrap()[0].is_clean());
    assert_eq!(site.read(1, Need::Body).await.messages.len(), 2);
    site.store.close().await;
}

#[tokio::test]
async fn its_14513_the_scan_says_what_takes_space() {
    let site = Site::new(1);
    site.fill(1, 6, LARGE).await;
    site.delete(1, 1..=1).await;
    site.widow(1, 5).await;
    site.orphan(50_000).await;
    let Some(Summary::Scanned(shards)) = site.run(Task::Scan).await.0.summary else { panic!() };
    let space = &shards[0];
    assert_eq!((shards.len(), space.orphans.0, space.widows, space.damaged), (1, 1, 1, 0));
    let (live, dead) = (space.segments.iter().map(|s| s.live), space.segments.iter().map(|s| s.dead));
    assert!((live.sum::<u64>() - 4 * LARGE as u64) < 60_000 && dead.sum::<u64>() > 2 * LARGE as u64);
    assert!(space.segments.iter().all(|s| s.allocated > 0 && s.bytes >= s.live));
    site.store.close().await;
}

#[tokio::test]
async fn its_22430_space_comes_back_from_all_shards_and_the_summary_is_right() {
    let site = Site::new(3);
    for mailbox in 0..6 {
        site.fill(mailbox, 15, 200_000).await;
        site.delete(mailbox, 3..=9).await;
    }
    site.settle().await;
    let dry = site.collect(Mode::DryRun).await;
    assert!(dry.due >= 6 && dry.would_free > 4 << 20 && dry.freed == 0, "{dry:?}");
    let done = site.collect(Mode::Apply).await;
    // ITS 13673: examined, deleted, freed, errors.
    assert_eq!((done.shards, done.due, done.damaged), (3, dry.due, 0));
    assert!(done.freed > dry.would_free * 8 / 10 && done.freed <= dry.would_free, "{dry:?} {done:?}");
    assert!(done.allocated + done.freed <= dry.allocated + 100_000 && done.punched > 0);
    let again = site.collect(Mode::Apply).await;
    assert_eq!((again.due, again.freed), (0, 0), "{again:?}");
    for mailbox in 0..6 {
        for message in site.read(mailbox, Need::Body).await.messages {
            // ITS 13904: what nobody has read is there as what somebody has.
            assert_eq!(message.body.unwrap().read(0, 1 << 20).await.unwrap().len(), 200_000);
        }
    }
    assert!(site.store.audit().await.unwrap().iter().all(storage::shard::Audit::is_clean));
    site.store.close().await;
}

#[tokio::test]
async fn its_13904_mail_that_is_there_is_never_collected_read_or_not() {
    let site = Site::new(1);
    site.fill(1, 30, 60_000).await;
    site.delete(1, 3..=22).await;
    site.settle().await;
    assert!(site.collect(Mode::Apply).await.freed > 0);
    let page = site.read(1, Need::Body).await;
    assert_eq!(page.messages.len(), 10);
    assert!(page.messages.iter().all(|message| message.flags == Flags::default() && message.body.is_some()));
    assert!(site.verify(Scope::Store, Mode::DryRun).await.1.is_empty());
    site.store.close().await;
}

#[tokio::test]
async fn its_12990_a_collection_passes_over_what_is_damaged_or_without_rows_and_says_so() {
    let mut site = Site::new(1);
    site.fill(1, 900, 2500).await;
    site.orphan(50_000).await;
    site.fill(1, 300, 2500).await;
    site.widow(1, 5).await;
    for uid in (10..=700).filter(|uid| uid % 3 > 0) {
        site.delete(1, uid..=uid).await;
    }
    site.settle().await;
    // In a segment that is going to be copied.
    site.rot(2, 1);
    site.reopen().await;
    site.settle().await;
    let done = site.collect(Mode::Apply).await;
    assert!(done.freed > 0 && done.damaged == 1, "{done:?}");
    let (verified, findings) = site.verify(Scope::Store, Mode::DryRun).await;
    assert_eq!(words(&findings), [("widow", Some(5)), ("altered", Some(2)), ("orphan", None)]);
    assert_eq!(verified.messages, 1200 - 461);
    site.store.close().await;
}

#[tokio::test]
async fn its_22146_the_check_reads_as_many_messages_at_once_as_it_may() {
    let site = Site::new(1);
    site.fill(1, 12, LARGE).await;
    let verify = |jobs| Task::Verify(Verify { scope: Scope::Store, jobs, repair: Mode::DryRun, rate: 0 });
    for jobs in [1, 2, 4] {
        let Some(Summary::Verified(done)) = site.run(verify(jobs)).await.0.summary else { panic!() };
        // Pages of 2 MB: there are three. How many of them meet is the scheduler's business, but never more than asked.
        assert_eq!(done.messages, 12);
        assert!((u64::from(jobs).min(2)..=u64::from(jobs).min(3)).contains(&done.at_once), "{done:?}");
    }
    for (jobs, shard) in [(0, 0), (65, 0), (1, 1)] {
        let verify = Verify { scope: Scope::Shard(shard), jobs, repair: Mode::DryRun, rate: 0 };
        let refused = site.store.task_start(&site.call(), Task::Verify(verify), Keep::ToTheEnd).await;
        assert!(refused.is_err(), "{jobs} {shard}");
    }
    site.store.close().await;
}

#[tokio::test]
async fn a_task_can_be_paused_and_stopped_and_is_started_once() {
    let site = Site::new(1);
    site.fill(1, 40, 100_000).await;
    // At this rate it takes minutes.
    let verify = Verify { scope: Scope::Store, jobs: 1, repair: Mode::DryRun, rate: 20_000 };
    let start = || site.store.task_start(&SAME, Task::Verify(verify), Keep::ToTheEnd);
    static SAME: std::sync::LazyLock<Call> = std::sync::LazyLock::new(|| call(9999));
    let id = start().await.unwrap();
    assert_eq!(start().await.unwrap(), id);
    let order = |order| site.store.task_order(&SAME, id, order);
    let state = async || site.store.task_status(&SAME, id, 0, Duration::ZERO).await.unwrap().state;
    order(Order::Pause).await.unwrap();
    assert_eq!(state().await, TaskState::Paused);
    order(Order::Resume).await.unwrap();
    assert_eq!(state().await, TaskState::Running);
    while site.store.task_status(&SAME, id, 0, Duration::ZERO).await.unwrap().done == 0 {
        tokio::task::yield_now().await;
    }
    order(Order::Stop).await.unwrap();
    let over = site.store.task_status(&SAME, id, 0, Duration::from_secs(30)).await.unwrap();
    assert_eq!(over.state, TaskState::Stopped);
    assert!(matches!(over.summary, Some(Summary::Verified(Verified { messages: 1..40, .. }))), "{over:?}");
    assert_eq!(site.store.task_list(&SAME).await.unwrap().len(), 1);
    site.store.close().await;
}

#[tokio::test]
async fn the_background_check_goes_on_where_it_was_and_finds_damage() {
    let mut site = Site::new(1);
    for mailbox in 1..6 {
        site.fill(mailbox, 3, 3000).await;
    }
    site.rot(2, 4);
    let row = async |site: &Site| {
        site.store.inner().shards[0].read(|view| storage::mailboxes::scrub(view)).await.unwrap()
    };
    let day = Duration::from_secs(86_400);
    // Ended after the first mailbox.
    let ending = Pace::new(&site.store.inner().env.clock, || Rate::Unlimited);
    ending.end();
    crate::scrub::once(site.store.inner(), 0, &ending, day).await.unwrap();
    site.reopen().await;
    let going = Pace::new(&site.store.inner().env.clock, || Rate::Unlimited);
    crate::scrub::once(site.store.inner(), 0, &going, day).await.unwrap();
    let done = row(&site).await.unwrap();
    assert!(done.done && done.damaged == 1 && (15..=18).contains(&done.messages), "{done:?}");
    assert_eq!(words(&site.damaged().await), [("altered", Some(2))]);
    // Not again before its time.
    crate::scrub::once(site.store.inner(), 0, &going, day).await.unwrap();
    assert_eq!(row(&site).await.unwrap(), done);
    crate::scrub::once(site.store.inner(), 0, &going, Duration::ZERO).await.unwrap();
    assert_eq!(row(&site).await.unwrap().messages, 15);
    site.store.close().await;
}

#[tokio::test]
async fn rows_without_messages_are_no_widows_while_they_are_purged() {
    let site = Site::new(1);
    site.fill(1, 50, 1000).await;
    site.store.mailbox_delete(&site.call(), MailboxId(1)).await.unwrap();
    let (_, findings) = site.verify(Scope::Store, Mode::Apply).await;
    assert!(findings.is_empty(), "{findings:?}");
    let mut rows = 1;
    while rows > 0 {
        let count = |view: &View<'_>| {
            let mut rows = 0;
            storage::shard::Rows::scan(view, storage::shard::KeyRange::prefix(*b"p"), &mut |_, _| {
                rows += 1;
                ControlFlow::Continue(())
            })?;
            Ok::<_, ShardError>(rows)
        };
        rows = site.store.inner().shards[0].read(count).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(site.store.audit().await.unwrap()[0].live_bytes, 0);
    site.store.close().await;
}
