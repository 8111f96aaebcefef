//! The values of the roles of administration, there and back as bytes.

use super::super::provision::{replies, replies_of, requests};
use super::super::{Bad, proto as p};
use super::survives;
use ::roles::backup::{BackupError, Join, Made, Make, Progress, Recover, What};
use ::roles::configuration::{Accepted, Change, ConfigurationError, Difference, Proposal, Version, Wish};
use ::roles::directory::DirectoryError;
use ::roles::directory::cache::{Built, CacheStatus, Compared, Control, Doing, Probed, Work};
use ::roles::directory::provision::*;
use ::roles::maintenance::*;
use ::roles::manager::{ManagerError, ServerState, ServerStatus};
use ::roles::probe::{ConfigurationReport, MAX_PAGE, ProbeError, ProcessReport, WaitingKey};
use ::roles::store::{Quota, Run};
use ::roles::whole::{Restore, RestoreInto};
use catalog::account::{DomainKind, Status};
use catalog::cos::{Rule, Type};
use catalog::tree::Path;
use mail::address::{Address, Domain};
use mail::id::{AccountId, HostName, MailboxId, Uid};
use mail::password::{PasswordType, StoredPassword};
use mail::secret::Secret;
use mail::time::Timestamp;
use prost::Message;
use std::fmt::Debug;
use std::time::Duration;

/// There and back, through bytes.
fn returns<W, T>(value: T)
where
    W: From<T> + Message + Default,
    T: TryFrom<W, Error: Debug> + Clone + PartialEq + Debug,
{
    let bytes = W::from(value.clone()).encode_to_vec();
    let back = T::try_from(W::decode(&*bytes).expect("it is a message")).expect("it is a value");
    assert_eq!(back, value);
}

#[test]
fn errors_of_administration_survive_the_wire() {
    let text = || "ä b".to_owned();
    use ManagerError as M;
    survives(vec![M::NoServer(text()), M::Failed(text()), M::TimedOut, M::BadConfiguration(text())]);
    use ConfigurationError as C;
    survives(vec![
        C::Unreadable(text()),
        C::BadLine(text()),
        C::TooMany(7),
        C::NotSet(path("/*/mta/x")),
        C::Stale { from: Version(3), now: Version(u64::MAX) },
        C::NoVersion(Version(0)),
        C::Busy(text()),
        C::Write(text()),
        C::Unavailable(text()),
    ]);
    use MaintenanceError as N;
    survives(vec![N::NoTask, N::Refused(text()), N::Busy, N::Unavailable, N::Broken(text())]);
    survives(vec![
        BackupError::Busy,
        BackupError::Refused(text()),
        BackupError::Failed(text()),
        BackupError::Ended,
    ]);
    survives(vec![ProbeError::Unavailable(text())]);
}

#[test]
fn what_a_process_says_of_itself_goes_there_and_back() {
    let waiting = vec![WaitingKey { server: "mss".into(), key: "numMssPorts".into() }];
    for by_hand in [None, Some(Timestamp::from_micros(7))] {
        let (in_force, file) = ("a".into(), "b".into());
        let configuration = ConfigurationReport { in_force, file, by_hand, waiting: waiting.clone() };
        returns::<p::ProcessReported, _>(ProcessReport {
            host: "venus".into(),
            pid: u32::MAX,
            version: "5".into(),
            up: Duration::from_millis(1234),
            configuration,
            errors: 1,
            refused: u64::MAX,
        });
    }
    let long = p::MetricsPage { text: "x".repeat(MAX_PAGE + 1) };
    assert_eq!(String::try_from(long), Err(Bad("page")));
}

#[test]
fn a_long_text_is_cut_at_a_letter() {
    let status = super::status_of(&DirectoryError::Invalid("ä".repeat(9_000)));
    assert!(status.details().len() < 5_000);
    let DirectoryError::Invalid(text) = super::of_status(&status) else { panic!("another error") };
    assert_eq!(text, "ä".repeat(2_000));
}

fn path(text: &str) -> Path {
    Path::parse(text).expect("a path")
}

#[test]
fn servers_and_configuration_go_there_and_back() {
    for (state, pid) in
        [(ServerState::Running, Some(7)), (ServerState::Stopped, None), (ServerState::Stopping, Some(1))]
    {
        let since = Duration::from_millis(1234);
        let ports = vec![25, 65_535];
        returns::<p::ServerStatus, _>(ServerStatus {
            name: "mta".into(),
            state,
            pid,
            ports,
            version: "5".into(),
            since,
        });
    }
    let bad = p::ServerStatus { ports: vec![65_536], ..Default::default() };
    assert_eq!(ServerStatus::try_from(bad), Err(Bad("port")));
    let entries = vec![
        Change::Set(path("/*/mta/a"), vec![String::new(), "b]".into()]),
        Change::Remove(path("/h/mta/b")),
    ];
    for wish in
        [Wish::Entries(entries), Wish::Entries(vec![]), Wish::Text("# ä\n".into()), Wish::Version(Version(9))]
    {
        returns::<p::Proposal, _>(Proposal {
            from: Some(Version(0)),
            wish,
            who: "root".into(),
            why: String::new(),
        });
    }
    assert_eq!(Proposal::try_from(p::Proposal::default()), Err(Bad("wish")));
    let differences = vec![
        Difference { path: path("/*/mta/a"), before: None, after: Some(vec![]) },
        Difference { path: path("/*/mta/b"), before: Some(vec!["1".into(), "2".into()]), after: None },
    ];
    for differences in [Some(differences), Some(vec![]), None] {
        let (at, who, why) = (Timestamp::from_micros(-5), "a".into(), "b".into());
        returns::<p::AcceptedChange, _>(Accepted { version: Version(4), at, who, why, differences });
    }
}

fn user(name: &str) -> User {
    User { name: name.into(), domain: Domain::parse("one.example").expect("a domain") }
}

fn address() -> Address {
    Address::parse("a@b.example").expect("an address")
}

fn hashed() -> NewPassword {
    NewPassword::Hashed(StoredPassword::make(PasswordType::Sha, &Secret::new("x"), &[1; 16]).expect("a hash"))
}

/// One of each kind, with everything that can be left out once there and once not.
fn all_requests() -> Vec<Request> {
    let domain = || Domain::parse("one.example").expect("a domain");
    let full = NewAccount {
        mailbox: Some(MailboxId(-7)),
        home: Some(HostName::new("venus")),
        status: Status::Proxied,
        cos: Some("gold".into()),
        ..NewAccount::simple(&address(), NewPassword::Clear(Secret::new("hunter2")))
    };
    let change = |change| Request::ChangeAccount(user("u"), change);
    vec![
        Request::CreateAccount(Box::new(full)),
        Request::CreateAccount(Box::new(NewAccount::simple(&address(), hashed()))),
        Request::DeleteAccount(user("u")),
        change(AccountChange::Status(Status::Locked)),
        change(AccountChange::Password(NewPassword::Clear(Secret::new("hunter2")))),
        change(AccountChange::Cos("gold".into())),
        change(AccountChange::Home(HostName::new("mars"))),
        change(AccountChange::Forwarding(Forwarding::Off)),
        Request::ShowAccount(user("u")),
        Request::ListAccounts(domain(), "after".into()),
        Request::CreateAlias(user("u"), address()),
        Request::DeleteAlias(user("u"), address()),
        Request::CreateLoginAlias(user("u"), user("v")),
        Request::DeleteLoginAlias(user("u"), user("v")),
        Request::CreateForward(user("u"), Place::Local, address()),
        Request::DeleteForward(user("u"), Place::Remote, address()),
        Request::CreateDomain(domain(), DomainKind::Relay, Some("h:25".into())),
        Request::ChangeDomain(domain(), DomainKind::NonAuthoritative, None),
        Request::DeleteDomain(domain()),
        Request::ListDomains(String::new()),
        Request::CreateCos("gold".into()),
        Request::DeleteCos("gold".into()),
        Request::ListCos("a".into()),
        Request::ShowCos("gold".into()),
        Request::CreateAttribute("x".into(), Rule::Least, Type::Number, Some("7".into())),
        Request::DeleteAttribute("x".into(), Confirmation::Given),
        Request::ListAttributes,
        Request::SetAttribute(Holder::Cos("gold".into()), "x".into(), None),
        Request::SetAttribute(Holder::Account(user("u")), "x".into(), Some(String::new())),
        Request::FirstModified(-1),
        Request::LoadAccount(Box::new(whole()), Existing::Update, Run::Dry),
        Request::LoadAccount(Box::new(bare()), Existing::Refuse, Run::Real),
        Request::ListWhole(AccountId(-9), Hashes::With),
        Request::ListWhole(AccountId(9), Hashes::Without),
    ]
}

fn whole() -> WholeAccount {
    let proofs = Proofs { password: hashed(), scram: Some(Secret::new("hunter2")) };
    WholeAccount {
        user: user("u"),
        mailbox: Some(MailboxId(-7)),
        home: Some(HostName::new("venus")),
        proofs: Some(proofs),
        status: Status::Locked,
        cos: "gold".into(),
        addresses: vec![address(), address()],
        login_aliases: vec![user("v")],
        forwarding: Forwarding::Off,
        forwards: vec![address()],
        values: vec![("x".into(), String::new())],
    }
}

fn bare() -> WholeAccount {
    WholeAccount {
        mailbox: None,
        home: None,
        proofs: None,
        addresses: vec![],
        login_aliases: vec![],
        forwarding: Forwarding::On,
        forwards: vec![],
        values: vec![],
        ..whole()
    }
}

#[test]
fn requests_of_provisioning_go_there_and_back_and_their_passwords_do_not_print() {
    let all = all_requests();
    let message = p::ProvisionRequests { requests: all.iter().cloned().map(Into::into).collect() };
    let shown = format!("{message:?}");
    assert!(shown.contains("(secret)") && !shown.contains("hunter2") && !shown.contains("{SHA}"), "{shown}");
    let bytes = message.encode_to_vec();
    let back = requests(p::ProvisionRequests::decode(&*bytes).expect("a message")).expect("all are requests");
    assert_eq!(format!("{back:?}"), format!("{all:?}"));
    let again = p::ProvisionRequests { requests: back.into_iter().map(Into::into).collect() };
    assert_eq!(again.encode_to_vec(), bytes, "passwords too");
    let many = vec![p::ProvisionRequest::default(); MAX_REQUESTS + 1];
    assert_eq!(requests(p::ProvisionRequests { requests: many }).err(), Some(Bad("requests")));
    assert_eq!(NewPassword::try_from(p::NewPassword::default()).err(), Some(Bad("password")));
}

#[test]
fn replies_of_provisioning_go_there_and_back() {
    let line = || AccountLine {
        id: AccountId(-3),
        user: user("u"),
        mailbox: MailboxId(9),
        home: HostName::new("venus"),
        status: Status::Deleted,
        cos: "default".into(),
    };
    let attribute = || AttributeView {
        name: "x".into(),
        rule: Rule::Greatest,
        kind: Type::Flag,
        value: "yes".into(),
        source: Source::Account,
    };
    let view = AccountView {
        line: line(),
        password: None,
        addresses: vec![address()],
        login_aliases: vec![user("v")],
        forwarding: Forwarding::On,
        forwards: vec![(Place::Remote, address()), (Place::Local, address())],
        attributes: vec![attribute()],
    };
    let cos = || CosView { name: "gold".into(), users: 3 };
    let domain = DomainView { name: "d".into(), kind: DomainKind::Rewrite, target: "t".into() };
    let change = ChangeView { id: 5, at: Timestamp::from_micros(6), what: "account 17".into() };
    let all = vec![
        Ok(Reply::Done),
        Err(DirectoryError::Conflict("there".into())),
        Ok(Reply::Already("so".into())),
        Ok(Reply::Created(line(), None)),
        Ok(Reply::Created(line(), Some(user("u").domain))),
        Ok(Reply::Account(Box::new(AccountView { password: Some(PasswordType::Bcrypt), ..view.clone() }))),
        Ok(Reply::Account(Box::new(view))),
        Ok(Reply::Accounts(vec![line()])),
        Ok(Reply::Domains(vec![domain])),
        Ok(Reply::Classes(vec![cos()])),
        Ok(Reply::Class(cos(), vec![attribute()])),
        Ok(Reply::Attributes(vec![])),
        Ok(Reply::Change(Some(change))),
        Ok(Reply::Change(None)),
        Ok(Reply::Whole(vec![(AccountId(-4), whole()), (AccountId(5), bare())])),
    ];
    let count = all.len();
    let bytes = replies(all.clone()).encode_to_vec();
    let decode = || p::ProvisionReplies::decode(&*bytes).expect("a message");
    assert_eq!(replies_of(decode(), count), Ok(all));
    assert_eq!(replies_of(decode(), count - 1), Err(Bad("replies")));
}

#[test]
fn tasks_and_what_they_come_to_go_there_and_back() {
    let verify = |scope| Task::Verify(Verify { scope, jobs: 4, repair: Mode::Apply, rate: 7 });
    let moving = MoveFiles { mode: Mode::Apply, from: None, to: Some("/v".into()), at_most: 1, rate: 2 };
    let tasks = [
        Task::Collect(Collect { mode: Mode::DryRun, rate: 9 }),
        verify(Scope::Store),
        verify(Scope::Shard(0)),
        verify(Scope::Mailbox(MailboxId(-1))),
        Task::Scan,
        Task::RemoveOrphans(RemoveOrphans { mode: Mode::Apply, age: Duration::from_secs(3600) }),
        Task::MoveFiles(moving),
    ];
    for task in &tasks {
        returns::<p::MaintenanceTask, _>(task.clone());
    }
    let space = SegmentSpace { segment: 1, live: 2, dead: 3, bytes: 4, allocated: 5 };
    let shard = ShardSpace { shard: 3, segments: vec![space], orphans: (4, 5), widows: 6, damaged: 7 };
    let verified =
        Verified { found: vec![(FindingKind::Widow, 2), (FindingKind::Row, 1)], ..Verified::default() };
    let volumes = vec![VolumeSpace { path: "/v".into(), free: 8, ..VolumeSpace::default() }];
    let summaries = [
        Summary::Collected(Collected { shards: 1, damaged: 2, would_free: 3, ..Collected::default() }),
        Summary::Verified(verified),
        Summary::Scanned(vec![shard]),
        Summary::OrphansRemoved(OrphansRemoved { young: 3, removed_bytes: 9, ..OrphansRemoved::default() }),
        Summary::FilesMoved(FilesMoved { no_room: true, volumes, ..FilesMoved::default() }),
    ];
    let finding = Finding {
        kind: FindingKind::Altered,
        shard: 3,
        mailbox: Some(MailboxId(4)),
        folder: Some("INBOX".into()),
        uid: Some(Uid(5)),
        message_id: None,
        bytes: 6,
        detail: "ä".into(),
        mended: true,
    };
    for summary in summaries {
        for state in [TaskState::Running, TaskState::Failed("why".into()), TaskState::Done] {
            returns::<p::TaskState, _>(TaskStatus {
                id: TaskId(u64::MAX),
                task: Task::Scan,
                state,
                done: 1,
                total: 2,
                unit: Unit::Segments,
                found: 3,
                findings: vec![finding.clone()],
                summary: Some(summary.clone()),
            });
        }
    }
    let next = Some(DamagedAfter { shard: 1, last: Some((MailboxId(2), 3, Uid(4))) });
    let messages = vec![Damaged { finding, found: Timestamp::from_micros(5) }];
    returns::<p::DamagedPage, _>(DamagedPage { messages, next });
    for into in [RestoreInto::Place, RestoreInto::Below("x".into()), RestoreInto::Nowhere] {
        let (mailbox, at) = (MailboxId(1), Timestamp::from_micros(2));
        returns::<p::MailboxRestoreRequest, _>(Restore { mailbox, at, into });
    }
}

#[test]
fn copies_of_the_directory_go_there_and_back() {
    for doing in [None, Some(Doing { work: Work::Build, done: 1, total: 2 })] {
        let status = CacheStatus {
            folder: "/c".into(),
            position: -1,
            directory: Some(0),
            doing,
            ..CacheStatus::default()
        };
        returns::<p::CacheState, _>(status);
    }
    returns::<p::CacheState, _>(CacheStatus { paused: true, bytes: u64::MAX, ..CacheStatus::default() });
    returns::<p::CacheBuilt, _>(Built { accounts: 5, took: Duration::from_millis(77), position: 9 });
    returns::<p::DirectoryProbed, _>(Probed {
        latency: Duration::from_micros(3),
        accounts: 1,
        last_change: -1,
    });
    let differences = vec!["a@b".to_owned()];
    returns::<p::CacheCompared, _>(Compared {
        sum: 1,
        copied_sum: 2,
        different: 3,
        differences,
        ..Compared::default()
    });
    for control in [Control::Update, Control::Pause, Control::Resume, Control::Fold] {
        assert_eq!(Control::try_from(p::CacheOrder::from(control)), Ok(control));
    }
    assert!(Control::try_from(p::CacheOrder::CacheNothing).is_err());
}

#[test]
fn backups_go_there_and_back() {
    for what in [What::Site, What::Messages] {
        returns::<p::BackupMakeRequest, _>(Make { folder: "/b".into(), what, rate: 5, keep: 6 });
    }
    returns::<p::BackupJoinRequest, _>(Join { folder: "/b/gen.1".into(), rate: 5 });
    let progress = Progress { done: 1, total: 2, written: 3 };
    returns::<p::BackupDone, _>(progress);
    let taken = Timestamp::from_micros(7);
    let left_out = vec!["x".to_owned()];
    returns::<p::BackupMade, _>(Made { generation: 4, taken, progress, removed: vec![1, 2], left_out });
    returns::<p::MailboxRecoverRequest, _>(Recover {
        folder: "/b".into(),
        generation: None,
        from: MailboxId(1),
        into: MailboxId(2),
        below: "Old".into(),
        quota: Quota { bytes: 5, messages: 6, warning: None },
    });
}
