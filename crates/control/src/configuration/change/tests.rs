use super::*;

const BEFORE: &str = "# mine\n\n/*/mta/maxMessageSize:   [7]\r\n/*/mta/bogus: [1]\n# end";

fn site(text: &str) -> (tempfile::TempDir, Files) {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::in_folder(folder.path());
    std::fs::write(&files.current, text).unwrap();
    (folder, files)
}

fn set(text: &str) -> Change {
    Change::parse(text).unwrap()
}

fn now(files: &Files) -> String {
    std::fs::read_to_string(&files.current).unwrap()
}

#[test]
fn a_good_value_is_written_and_nothing_else_is_touched() {
    let (_folder, files) = site(BEFORE);
    let done = install(&files, &[set("/*/mta/maxMessageSize=8"), set("/Venus/mss/numMssPorts=3")]).unwrap();
    assert_eq!(done.live, [Path::parse("/*/mta/maxMessageSize").unwrap()]);
    assert_eq!(done.restart, [Path::parse("/venus/mss/numMssPorts").unwrap()]);
    let text = now(&files);
    assert!(text.starts_with("# mine\n\n/*/mta/maxMessageSize:   [8]\r\n/*/mta/bogus: [1]\n"), "{text}");
    assert!(text.contains("/venus/mss/numMssPorts: [3]"), "{text}");
    assert_eq!(std::fs::read_to_string(files.last_good()).unwrap(), text);
}

#[test]
fn one_bad_value_refuses_all_and_changes_nothing() {
    let (_folder, files) = site(BEFORE);
    for (bad, why) in [
        ("/*/mta/maxMessageSize=none", "expected a whole number"),
        ("/*/mta/maxMessageSize=0", "expected 1 to"),
        ("/*/mta/maxmessagesize=8", "is maxMessageSize meant?"),
        ("/*/nobody/maxMessageSize=8", "no server is called nobody"),
        ("/*/mta/maxMessageSize=8\n9", "one value expected, 2 found"),
    ] {
        let error = install(&files, &[set("/*/mss/numMssPorts=3"), set(bad)]).unwrap_err();
        assert!(error.to_string().contains(why), "{bad:?}: {error}");
        assert_eq!(now(&files), BEFORE);
    }
}

#[test]
fn entries_can_be_removed_and_changes_assessed() {
    let (_folder, files) = site(BEFORE);
    let path = Path::parse("/*/mta/bogus").unwrap();
    assess(&files, &[Change::Remove(path.clone())]).unwrap();
    assert_eq!(now(&files), BEFORE);
    install(&files, &[Change::Remove(path.clone())]).unwrap();
    assert!(!now(&files).contains("bogus"));
    assert!(matches!(install(&files, &[Change::Remove(path)]), Err(ChangeError::NotSet(_))));
}

#[test]
fn several_values_are_parted_by_line_ends() {
    let values = |text: &str| match set(text) {
        Change::Set(_, values) => values,
        Change::Remove(_) => unreachable!("not parsed from text"),
    };
    assert_eq!(values("/*/mta/allowedIPs=10.0.0.0/8\n192.0.2.1\n"), ["10.0.0.0/8", "192.0.2.1"]);
    assert_eq!(values("/*/mta/banners=a=b"), ["a=b"]);
    assert_eq!(values("/*/mta/banners="), [""]);
    assert!(values("/*/mta/allowedIPs=").is_empty());
    assert!(matches!(Change::parse("mta/banners=x"), Err(ChangeError::Form(_))));
    assert!(matches!(Change::parse("/*/mta/banners"), Err(ChangeError::Form(_))));
}

#[test]
fn a_stale_lock_does_not_stand_in_the_way_and_a_held_one_does() {
    let (_folder, files) = site(BEFORE);
    std::fs::write(files.lock(), "999999\n").unwrap();
    install(&files, &[set("/*/mta/maxMessageSize=8")]).unwrap();
    let _held = LockFile::take(&files.lock()).unwrap();
    let error = install(&files, &[set("/*/mta/maxMessageSize=9")]).unwrap_err();
    assert!(error.to_string().contains(&format!("held by process {}", std::process::id())), "{error}");
}

#[test]
fn a_file_with_a_bad_line_must_be_put_right_first() {
    let (_folder, files) = site("bogus\n");
    let error = install(&files, &[set("/*/mta/maxMessageSize=8")]).unwrap_err();
    assert!(error.to_string().contains("line 1: bogus"), "{error}");
}
