//! What comes back is what went; what is no value is said to be none.

mod roles;

use super::proto as p;
use super::{Bad, Fault, failure_of, of_status, status_of};
use ::roles::directory::DirectoryError;
use ::roles::queue::QueueError;
use ::roles::store::StoreError;
use ::roles::submission::SubmitError;
use mail::flags::{Keyword, SystemFlags};
use mail::id::ModSeq;
use mail::search::{Criterion, Day, Needle, Place};
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use prost::Message as _;
use tonic::{Code, Status};

fn survives<E: Fault + PartialEq + std::fmt::Debug>(errors: Vec<E>) {
    for error in errors {
        let back: E = of_status(&status_of(&error));
        assert_eq!(back, error);
    }
}

#[test]
fn every_error_survives_the_wire() {
    use StoreError as S;
    let text = || "ä b".to_owned();
    survives(vec![
        S::NoMailbox,
        S::NoFolder,
        S::NoMessage,
        S::FolderExists,
        S::Refused(text()),
        S::Limit(text()),
        S::OverQuota,
        S::Locked,
        S::Busy,
        S::NoSpace,
        S::Unavailable,
        S::Broken(text()),
    ]);
    use DirectoryError as D;
    survives(vec![
        D::BadCredentials,
        D::NotAllowed(text()),
        D::Maintenance,
        D::NotActive,
        D::Missing(text()),
        D::Conflict(text()),
        D::Invalid(text()),
        D::Busy,
        D::Unavailable,
        D::Broken(text()),
    ]);
    use QueueError as Q;
    survives(vec![Q::NoItem, Q::NotClaimed, Q::Busy, Q::NoSpace, Q::Unavailable, Q::Broken(text())]);
    let address = "a@b.example".parse().unwrap();
    survives(vec![SubmitError::NoUser(address), SubmitError::Refused(text()), SubmitError::TryLater(text())]);
}

#[test]
fn an_error_of_a_later_version_keeps_its_kind() {
    for error in [StoreError::NoMessage, StoreError::OverQuota, StoreError::Locked, StoreError::NoSpace] {
        let mut failure = failure_of(&error);
        failure.name = "InventedLater".into();
        let back: StoreError = failure.error();
        assert_eq!(back.kind(), error.kind());
    }
}

#[test]
fn ends_without_details_are_of_the_wire() {
    let of = |code| of_status::<StoreError>(&Status::new(code, "x"));
    assert!(matches!(of(Code::Unimplemented), StoreError::Refused(_)));
    for code in [Code::Unavailable, Code::Unknown, Code::Aborted, Code::Cancelled, Code::DeadlineExceeded] {
        assert_eq!(of(code), StoreError::Unavailable);
    }
    let garbage = Status::with_details(Code::NotFound, "x", vec![0xff; 9].into());
    assert_eq!(of_status::<StoreError>(&garbage), StoreError::Unavailable);
}

#[test]
fn number_sets_go_there_and_back_and_disorder_is_bad() {
    let set: NumberSet = [1_u32, 2, 3, 7, 9, 10, u32::MAX].into_iter().collect();
    assert_eq!(NumberSet::try_from(p::Numbers::from(&set)), Ok(set));
    for bounds in [vec![1], vec![0, 1], vec![5, 4], vec![1, 5, 3, 9], vec![1, 2, 2, 3]] {
        assert_eq!(NumberSet::try_from(p::Numbers { bounds }), Err(Bad("numbers")));
    }
}

#[test]
fn searches_go_there_and_back_within_their_limits() {
    let moment = Timestamp::from_micros(1_234_567_890_123);
    let all = Criterion::All(vec![
        Criterion::Any(vec![
            Criterion::Not(Box::new(Criterion::Uids(NumberSet::one(7)))),
            Criterion::every(),
        ]),
        Criterion::Flags(SystemFlags::SEEN.union(SystemFlags::DRAFT)),
        Criterion::Keyword(Keyword::new("$Label1").unwrap()),
        Criterion::Larger(u64::MAX),
        Criterion::Smaller(0),
        Criterion::Received(moment..Timestamp::from_micros(i64::MAX)),
        Criterion::Sent(Day::MIN..Day::new(2026, 2, 28).unwrap()),
        Criterion::Sent(Day::new(1969, 7, 20).unwrap()..Day::MAX),
        Criterion::ChangedSince(ModSeq(9)),
        Criterion::Text(Place::Header("subject".into()), Needle::new("Grüße").unwrap()),
        Criterion::Text(Place::Body, Needle::new("").unwrap()),
        Criterion::Text(Place::Anywhere, Needle::new("x").unwrap()),
    ]);
    let bytes = p::Criterion::from(&all).encode_to_vec();
    assert_eq!(Criterion::try_from(p::Criterion::decode(&*bytes).unwrap()), Ok(all));
    let mut deep = Criterion::every();
    for _ in 0..mail::search::MAX_DEPTH {
        deep = Criterion::Not(Box::new(deep));
    }
    assert!(Criterion::try_from(p::Criterion::from(&deep)).is_err());
    let wide = Criterion::All(vec![Criterion::Smaller(1); mail::search::MAX_KEYS]);
    assert!(Criterion::try_from(p::Criterion::from(&wide)).is_err());
    assert!(Criterion::try_from(p::Criterion { what: None }).is_err());
}
