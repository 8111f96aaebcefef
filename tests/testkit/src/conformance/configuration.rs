//! The promises of [`Configuration`].

use super::call;
use catalog::tree::Path;
use roles::Call;
use roles::configuration::{
    Assessed, Change, Configuration, ConfigurationError, Difference, Proposal, Snapshot, Version, Wish,
};
use std::time::Duration;

/// Runs every check on a tree in which nothing is said about the greatest size of a message.
pub async fn all(configuration: &dyn Configuration) {
    an_accepted_change_is_a_version(configuration).await;
    an_assessment_changes_nothing(configuration).await;
    a_batch_is_accepted_whole_or_not_at_all(configuration).await;
    errors_say_what_they_say_by_value(configuration).await;
    an_earlier_version_and_a_whole_text_can_be_wished_for(configuration).await;
    the_history_begins_with_the_newest(configuration).await;
    a_watch_answers_at_the_change_and_at_its_deadline(configuration).await;
}

fn path(key: &str) -> Path {
    Path::parse(&format!("/*/mta/{key}")).expect("a path")
}

fn set(key: &str, value: &str) -> Change {
    Change::Set(path(key), vec![value.to_owned()])
}

fn wish(wish: Wish) -> Proposal {
    Proposal { from: None, wish, who: "root".into(), why: "a reason: ä".into() }
}

fn entry(value: &str) -> Proposal {
    wish(Wish::Entries(vec![set("maxMessageSize", value)]))
}

async fn get(configuration: &dyn Configuration) -> Snapshot {
    configuration.configuration_get(&call(1)).await.expect("what holds can be read")
}

async fn apply(configuration: &dyn Configuration, proposal: Proposal) -> Assessed {
    configuration.configuration_apply(&call(2), proposal).await.expect("a good change is accepted")
}

async fn an_accepted_change_is_a_version(configuration: &dyn Configuration) {
    let before = get(configuration).await;
    let done = apply(configuration, entry("11111")).await;
    assert!(done.version > before.version);
    let expected =
        Difference { path: path("maxMessageSize"), before: None, after: Some(vec!["11111".to_owned()]) };
    assert_eq!(done.differences, [expected]);
    assert!(!done.servers.is_empty(), "those who read it are named");
    assert_eq!((done.live.len() + done.restart.len(), done.warnings.len()), (1, 0));
    let after = get(configuration).await;
    assert_eq!(after.version, done.version);
    assert!(after.text.contains("11111"));
    let again = apply(configuration, entry("11111")).await;
    assert_eq!((again.version, again.differences.len()), (done.version, 0), "no difference, no version");
}

async fn an_assessment_changes_nothing(configuration: &dyn Configuration) {
    let before = get(configuration).await;
    let proposal = Proposal { from: Some(before.version), ..entry("22222") };
    let assessed = configuration.configuration_assess(&call(3), proposal).await.expect("it can be assessed");
    assert_eq!(assessed.differences.len(), 1);
    assert_eq!(get(configuration).await, before);
}

async fn a_batch_is_accepted_whole_or_not_at_all(configuration: &dyn Configuration) {
    let before = get(configuration).await;
    let batch =
        vec![set("maxMessageSize", "33333"), set("maxMessageSize", "ä lot"), set("noSuchKeyAtAll", "1")];
    let refused = configuration.configuration_apply(&call(4), wish(Wish::Entries(batch))).await;
    let Err(ConfigurationError::Refused(list)) = refused else { panic!("{refused:?}") };
    assert!(list.iter().any(|refusal| refusal.path == path("maxMessageSize") && !refusal.rule.is_empty()));
    assert_eq!(get(configuration).await, before);
}

async fn errors_say_what_they_say_by_value(configuration: &dyn Configuration) {
    let now = get(configuration).await.version;
    let gone = path("sizeOfNothing");
    let remove = wish(Wish::Entries(vec![Change::Remove(gone.clone())]));
    let not_set = configuration.configuration_apply(&call(5), remove).await;
    assert_eq!(not_set.err(), Some(ConfigurationError::NotSet(gone)));
    let from = Version(now.0 + 7);
    let stale = Proposal { from: Some(from), ..entry("44444") };
    let stale = configuration.configuration_apply(&call(6), stale).await;
    assert_eq!(stale.err(), Some(ConfigurationError::Stale { from, now }));
    let unknown = configuration.configuration_apply(&call(7), wish(Wish::Version(Version(u64::MAX)))).await;
    assert_eq!(unknown.err(), Some(ConfigurationError::NoVersion(Version(u64::MAX))));
    let bad = configuration.configuration_apply(&call(8), wish(Wish::Text("no such line\n".into()))).await;
    assert!(matches!(bad, Err(ConfigurationError::BadLine(_))), "{bad:?}");
}

async fn an_earlier_version_and_a_whole_text_can_be_wished_for(configuration: &dyn Configuration) {
    let before = get(configuration).await;
    apply(configuration, entry("55555")).await;
    let back = apply(configuration, wish(Wish::Version(before.version))).await;
    assert_eq!(back.differences.len(), 1);
    let text = format!("# words that stay\n{}", before.text);
    apply(configuration, wish(Wish::Text(text.clone()))).await;
    assert_eq!(get(configuration).await.text, text);
}

async fn the_history_begins_with_the_newest(configuration: &dyn Configuration) {
    let done = apply(configuration, entry("66666")).await;
    let history = configuration.configuration_history(&call(9), 2).await.expect("it can be read");
    assert_eq!(history.len(), 2);
    let newest = &history[0];
    assert_eq!((newest.version, &*newest.who, &*newest.why), (done.version, "root", "a reason: ä"));
    assert_eq!(newest.differences.as_ref(), Some(&done.differences));
    assert!(history[1].version < newest.version);
}

async fn a_watch_answers_at_the_change_and_at_its_deadline(configuration: &dyn Configuration) {
    let now = get(configuration).await;
    let brief = Call { deadline: Duration::from_millis(30), ..call(10) };
    let same = configuration.configuration_watch(&brief, now.version).await;
    assert_eq!(same.as_ref(), Ok(&now), "at the end of the deadline: what holds then");
    let other = configuration.configuration_watch(&call(11), Version(now.version.0 + 1)).await;
    assert_eq!(other.as_ref(), Ok(&now), "another version than the one that holds: at once");
    let long = call(12);
    let (watched, applied) = tokio::join!(
        configuration.configuration_watch(&long, now.version),
        apply(configuration, entry("77777"))
    );
    assert_eq!(watched.expect("the watch goes on").version, applied.version);
}
