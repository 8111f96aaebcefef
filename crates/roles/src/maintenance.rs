//! Long work on the store that an operator starts: giving space back, checking, reports about space, cleaning up.
//!
//! A [`Task`] is started, followed while it runs, paused, ended; it reports what it finds while it works and a
//! [`Summary`] at the end. Another kind of work is one more variant of [`Task`] and of [`Summary`], and a file in the
//! server that does it.

use crate::whole::{Moved, Restore, Restored};
use crate::{Answer, Call, Kind};
use mail::id::{MailboxId, Uid};
use mail::time::Timestamp;
use std::time::Duration;

/// Why it was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaintenanceError {
    /// No task of this number (any more): ended ones are remembered for a while.
    #[error("there is no such task")]
    NoTask,
    /// There is no such shard, or a number is out of its limits; says which.
    #[error("{0}")]
    Refused(String),
    /// As many tasks run as may.
    #[error("too many tasks are running")]
    Busy,
    /// The store is out of reach.
    #[error("the store is not available")]
    Unavailable,
    /// Damage or a bug; already logged.
    #[error("the store is broken: {0}")]
    Broken(String),
}

impl MaintenanceError {
    /// What it means for the caller.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoTask => Kind::Missing,
            Self::Refused(_) => Kind::Refused,
            Self::Busy => Kind::Busy(Duration::from_secs(10)),
            Self::Unavailable => Kind::Unavailable,
            Self::Broken(_) => Kind::Broken,
        }
    }
}

/// The number of a task: never used twice by one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub u64);

/// Whether something is done or only said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Do it.
    Apply,
    /// Say what would be done.
    DryRun,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Gives the space of deleted mail back, in all shards.
    Collect(Collect),
    /// Reads messages and compares everything with everything.
    Verify(Verify),
    /// Says what takes space.
    Scan,
    /// Removes what nothing refers to.
    RemoveOrphans(RemoveOrphans),
    /// Moves message files from one volume to another.
    MoveFiles(MoveFiles),
}

/// See [`Task::MoveFiles`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveFiles {
    /// Whether to do it.
    pub mode: Mode,
    /// The folder of the volume from which, which is to be emptied; `None`: the one with the least room, until it has as
    /// much as the other.
    pub from: Option<String>,
    /// The folder of the volume to which; `None`: the one with the most room.
    pub to: Option<String>,
    /// Bytes after which no further file is begun; 0: no limit of this kind.
    pub at_most: u64,
    /// Bytes a second that it may move; 0: no limit.
    pub rate: u64,
}

/// See [`Task::Collect`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collect {
    /// Whether to do it.
    pub mode: Mode,
    /// Bytes a second that it may move; 0: no limit.
    pub rate: u64,
}

/// See [`Task::Verify`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verify {
    /// How much.
    pub scope: Scope,
    /// Messages that are read at the same time, 1 to 64.
    pub jobs: u32,
    /// [`Mode::Apply`]: counters and counts of references are put right, and widows removed. Nothing else changes.
    pub repair: Mode,
    /// Bytes a second that it may read; 0: no limit.
    pub rate: u64,
}

/// How much of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    Store,
    /// One shard, by number from 0.
    Shard(u32),
    /// One mailbox.
    Mailbox(MailboxId),
}

/// See [`Task::RemoveOrphans`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoveOrphans {
    /// Whether to do it.
    pub mode: Mode,
    /// Only what has been known as an orphan for this long.
    pub age: Duration,
}

/// Whether a task goes on where nobody asks for it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It ends a minute after the last question: whoever started it has gone away.
    WhileFollowed,
    /// It goes on to its end.
    ToTheEnd,
}

/// What a task is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Rest between two steps.
    Pause,
    /// Go on.
    Resume,
    /// End after the step that it is in; what was done stays.
    Stop,
}

/// What a task is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// It works.
    Running,
    /// It rests.
    Paused,
    /// It has come to its end.
    Done,
    /// It was ended before.
    Stopped,
    /// It failed; says why.
    Failed(String),
}

impl TaskState {
    /// Whether nothing more will come.
    pub fn is_over(&self) -> bool {
        !matches!(self, Self::Running | Self::Paused)
    }
}

/// What progress is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Segments of shards.
    Segments,
}

/// A task as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStatus {
    /// Its number.
    pub id: TaskId,
    /// What it does.
    pub task: Task,
    /// Whether it still does.
    pub state: TaskState,
    /// How far it is.
    pub done: u64,
    /// Of how much, as far as that is known.
    pub total: u64,
    /// Of what.
    pub unit: Unit,
    /// How much it has found so far; not all may be kept.
    pub found: u64,
    /// What it has found, from where was asked, a page of it.
    pub findings: Vec<Finding>,
    /// What it came to, once it is done or stopped.
    pub summary: Option<Summary>,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// In which shard.
    pub shard: u32,
    /// Whose message or counters.
    pub mailbox: Option<MailboxId>,
    /// The name of the folder.
    pub folder: Option<String>,
    /// The message.
    pub uid: Option<Uid>,
    /// Its Message-ID, where that can be read.
    pub message_id: Option<String>,
    /// Bytes of the message, or that an orphan takes.
    pub bytes: u64,
    /// More words for people; may be empty.
    pub detail: String,
    /// Whether it was put right.
    pub mended: bool,
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// A message whose body is not there.
    Widow,
    /// A message whose segment file is missing.
    Missing,
    /// A message whose file ends too early.
    Truncated,
    /// A message whose bytes have changed.
    Altered,
    /// A message that the disk does not give.
    Unreadable,
    /// A message that is whole, but not the one that its rows describe.
    Mismatched,
    /// A body that nothing refers to.
    Orphan,
    /// Counters that do not agree with what they count.
    Counters,
    /// A count of references that does not agree with the references.
    References,
    /// A segment whose records cannot be told apart.
    Segment,
    /// A mailbox or message row that cannot be read.
    Row,
}

impl FindingKind {
    /// One word for lists; never changed once released.
    pub fn word(self) -> &'static str {
        match self {
            Self::Widow => "widow",
            Self::Missing => "missing",
            Self::Truncated => "truncated",
            Self::Altered => "altered",
            Self::Unreadable => "unreadable",
            Self::Mismatched => "mismatched",
            Self::Orphan => "orphan",
            Self::Counters => "counters",
            Self::References => "references",
            Self::Segment => "segment",
            Self::Row => "row",
        }
    }
}

/// What a task came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Summary {
    /// Of [`Task::Collect`].
    Collected(Collected),
    /// Of [`Task::Verify`].
    Verified(Verified),
    /// Of [`Task::Scan`]: by shard.
    Scanned(Vec<ShardSpace>),
    /// Of [`Task::RemoveOrphans`].
    OrphansRemoved(OrphansRemoved),
    /// Of [`Task::MoveFiles`].
    FilesMoved(FilesMoved),
}

/// What a move of message files came to; in a dry run: would come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilesMoved {
    /// From which volume; empty where there was nothing to do.
    pub from: String,
    /// To which.
    pub to: String,
    /// Files.
    pub segments: u64,
    /// Bytes of disk that they take.
    pub bytes: u64,
    /// Files that could not be read where they are, and are there still.
    pub unreadable: u64,
    /// Whether more would have been moved if there were room for it.
    pub no_room: bool,
    /// All volumes as they are now, the store's own folder first; none where it has no other.
    pub volumes: Vec<VolumeSpace>,
}

/// What a volume holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VolumeSpace {
    /// Its folder.
    pub path: String,
    /// Message files.
    pub segments: u64,
    /// Bytes of disk that they take.
    pub bytes: u64,
    /// Of those, in files that can be moved.
    pub movable: u64,
    /// Bytes that are free on its file system.
    pub free: u64,
    /// Bytes of its file system.
    pub total: u64,
}

/// What giving space back came to; in a dry run `due` and `would_free` alone, with what was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// Shards that were gone through.
    pub shards: u64,
    /// Segments that were looked at.
    pub segments: u64,
    /// Those of them where there was something to do.
    pub due: u64,
    /// Segments in which holes were made.
    pub punched: u64,
    /// Segments that were emptied by copying what lives in them.
    pub emptied: u64,
    /// Bytes that were copied.
    pub copied_bytes: u64,
    /// Bytes of disk that came free, less those of the copies.
    pub freed: u64,
    /// Bytes that a run would free at most.
    pub would_free: u64,
    /// Bytes of disk that the logs take now.
    pub allocated: u64,
    /// Bodies and segments that cannot be read and stay where they are.
    pub damaged: u64,
}

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// Mailboxes.
    pub mailboxes: u64,
    /// Folders.
    pub folders: u64,
    /// Messages that were read.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How often each kind of fault was found; kinds that were not found do not stand here.
    pub found: Vec<(FindingKind, u64)>,
    /// How many faults were put right.
    pub mended: u64,
    /// Most messages that were read at the same moment.
    pub at_once: u64,
    /// How long it took.
    pub took: Duration,
}

/// What takes space in a shard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShardSpace {
    /// Its number.
    pub shard: u32,
    /// Its segments, by number.
    pub segments: Vec<SegmentSpace>,
    /// Bodies that nothing refers to, and their bytes.
    pub orphans: (u64, u64),
    /// Messages whose body is not there.
    pub widows: u64,
    /// Segments whose records cannot be told apart.
    pub damaged: u64,
}

/// What takes space in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SegmentSpace {
    /// Its number.
    pub segment: u32,
    /// Bytes of what is referred to.
    pub live: u64,
    /// Bytes of what is not.
    pub dead: u64,
    /// Bytes of its file, holes included.
    pub bytes: u64,
    /// Bytes of disk.
    pub allocated: u64,
}

/// What the removal of orphans came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OrphansRemoved {
    /// Orphans that were found.
    pub found: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that are not known for long enough.
    pub young: u64,
    /// Those that were removed; in a dry run: would be.
    pub removed: u64,
    /// Their bytes.
    pub removed_bytes: u64,
}

/// A message that is known to be damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// What is wrong, and where.
    pub finding: Finding,
    /// When that was found first.
    pub found: Timestamp,
}

/// Where a list of damaged messages goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DamagedAfter {
    /// The shard.
    pub shard: u32,
    /// The last message of the page before: mailbox, volume of the store, UID. `None`: from the beginning.
    pub last: Option<(MailboxId, u32, Uid)>,
}

/// Some damaged messages, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DamagedPage {
    /// In order of shard and mailbox.
    pub messages: Vec<Damaged>,
    /// `None`: that was all.
    pub next: Option<DamagedAfter>,
}

/// Long work on the store.
pub trait Maintenance: Send + Sync {
    /// Starts a task. The same request again gives the same task.
    fn task_start<'a>(
        &'a self,
        call: &'a Call,
        task: Task,
        keep: Keep,
    ) -> Answer<'a, TaskId, MaintenanceError>;

    /// All tasks that run, and some that have ended, without their findings.
    fn task_list<'a>(&'a self, call: &'a Call) -> Answer<'a, Vec<TaskStatus>, MaintenanceError>;

    /// A task with what it has found from finding number `from` (counted from 0) on. Waits, at most this long, until
    /// there is such a finding or the task is over.
    fn task_status<'a>(
        &'a self,
        call: &'a Call,
        id: TaskId,
        from: u64,
        wait: Duration,
    ) -> Answer<'a, TaskStatus, MaintenanceError>;

    /// Tells a task to rest, to go on, to end. One that is over is left alone.
    fn task_order<'a>(&'a self, call: &'a Call, id: TaskId, order: Order)
    -> Answer<'a, (), MaintenanceError>;

    /// Messages that reading, the last check or the background check found damaged and that are still there, of one
    /// mailbox or of all. Costs what is found, not what is stored.
    fn damaged_list<'a>(
        &'a self,
        call: &'a Call,
        mailbox: Option<MailboxId>,
        after: Option<DamagedAfter>,
    ) -> Answer<'a, DamagedPage, MaintenanceError>;

    /// Moves a mailbox to the shard of this number while it is used. Where it fails the mailbox is where it was.
    fn mailbox_move<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        shard: u32,
    ) -> Answer<'a, Moved, MaintenanceError>;

    /// Copies a mailbox with all that it has, also UIDs, to one without messages.
    fn mailbox_copy<'a>(
        &'a self,
        call: &'a Call,
        from: MailboxId,
        to: MailboxId,
    ) -> Answer<'a, Moved, MaintenanceError>;

    /// Brings a mailbox back to what it was at a moment of the window that is kept.
    fn mailbox_restore<'a>(
        &'a self,
        call: &'a Call,
        restore: Restore,
    ) -> Answer<'a, Restored, MaintenanceError>;
}
