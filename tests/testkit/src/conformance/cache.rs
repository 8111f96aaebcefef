//! The promises of [`DirectoryCache`], of a host that keeps a copy and of one that keeps none.

use super::call;
use roles::directory::DirectoryError;
use roles::directory::cache::{Control, DirectoryCache};

/// Runs every check on the copy of a directory that has an account with this login name, and that may be copied to a
/// folder that is not there yet.
pub async fn all(cache: &dyn DirectoryCache, name: &str, folder: &str) {
    a_copy_is_built_and_does_not_differ(cache).await;
    an_entry_can_be_read_but_not_its_password(cache, name).await;
    orders_are_followed(cache).await;
    it_can_be_copied(cache, folder).await;
    the_database_can_be_probed(cache).await;
}

async fn a_copy_is_built_and_does_not_differ(cache: &dyn DirectoryCache) {
    let call = call(1).for_long_work();
    let built = cache.cache_build(&call).await.expect("it can be built");
    assert!(built.accounts > 0);
    let compared = cache.cache_compare(&call).await.expect("it can be compared");
    assert_eq!((compared.accounts, compared.copied), (built.accounts, built.accounts));
    assert_eq!((compared.different, compared.differences.len()), (0, 0));
    assert_eq!(compared.sum, compared.copied_sum);
    let status = cache.cache_status(&call).await.expect("it has a state");
    assert!(status.position >= built.position && status.directory.is_some() && status.doing.is_none());
    assert!(!status.folder.is_empty() && status.bytes > 0);
}

async fn an_entry_can_be_read_but_not_its_password(cache: &dyn DirectoryCache, name: &str) {
    let fields = cache.cache_read(&call(2), name.to_owned()).await.expect("the account is in it");
    assert!(!fields.is_empty());
    let hash = |value: &str| ["$argon2", "{SSHA", "$6$", "SCRAM"].iter().any(|mark| value.contains(mark));
    assert!(fields.iter().all(|(name, value)| !name.contains("password") && !hash(value)), "{fields:?}");
    let missing = cache.cache_read(&call(3), format!("no-{name}")).await;
    assert!(matches!(missing, Err(DirectoryError::Missing(_))), "{missing:?}");
    cache.cache_push(&call(4), name.to_owned()).await.expect("one entry can be brought up to date");
}

async fn orders_are_followed(cache: &dyn DirectoryCache) {
    for (order, paused) in [(Control::Pause, true), (Control::Resume, false), (Control::Update, false)] {
        cache.cache_control(&call(5), order).await.expect("it takes orders");
        assert_eq!(cache.cache_status(&call(6)).await.expect("it has a state").paused, paused, "{order:?}");
    }
    cache.cache_control(&call(7), Control::Fold).await.expect("it folds");
}

async fn it_can_be_copied(cache: &dyn DirectoryCache, folder: &str) {
    let bytes = cache.cache_copy(&call(8).for_long_work(), folder.to_owned()).await;
    assert!(bytes.expect("it can be copied") > 0);
}

async fn the_database_can_be_probed(cache: &dyn DirectoryCache) {
    assert!(cache.directory_probe(&call(9)).await.expect("the database answers").accounts > 0);
}

/// Runs every check on a host without a copy.
pub async fn none(cache: &dyn DirectoryCache) {
    let missing = |error: Option<DirectoryError>| {
        assert!(matches!(error, Some(DirectoryError::Missing(_))), "{error:?}")
    };
    missing(cache.cache_status(&call(20)).await.err());
    missing(cache.cache_build(&call(21)).await.err());
    missing(cache.cache_compare(&call(22)).await.err());
    missing(cache.cache_read(&call(23), "anna@example.com".into()).await.err());
    missing(cache.cache_copy(&call(24), "/nowhere".into()).await.err());
    missing(cache.cache_control(&call(25), Control::Pause).await.err());
    // What is kept in memory is brought up to date all the same.
    assert!(cache.cache_control(&call(28), Control::Update).await.is_ok());
    missing(cache.cache_push(&call(26), "anna@example.com".into()).await.err());
    assert!(cache.directory_probe(&call(27)).await.is_ok(), "the database is there all the same");
}
