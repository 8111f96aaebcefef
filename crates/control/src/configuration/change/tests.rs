use super::*;
use roles::configuration::Accepted;

const BEFORE: &str = "# mine\n\n/*/mta/maxMessageSize:   [7]\r\n/*/mta/bogus: [1]\n# end";

fn site(text: &str) -> (tempfile::TempDir, Files) {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::in_folder(folder.path());
    std::fs::write(&files.current, text).unwrap();
    (folder, files)
}

fn set(text: &str) -> Change {
    parse_change(text).unwrap()
}

fn entries(changes: &[Change]) -> Proposal {
    let wish = Wish::Entries(changes.to_vec());
    Proposal { from: None, wish, who: "root".into(), why: "a test".into() }
}

fn install(files: &Files, changes: &[Change]) -> Result<Assessed, ConfigurationError> {
    propose(files, &entries(changes))
}

fn propose(files: &Files, proposal: &Proposal) -> Result<Assessed, ConfigurationError> {
    super::install(files, proposal, Timestamp::from_secs(1_795_437_325))
}

fn history(files: &Files) -> Vec<Accepted> {
    History::read(files).unwrap().newest(&now(files), 100)
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
fn its_21794_its_22040_one_bad_value_refuses_all_and_changes_nothing() {
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
    assess(&files, &entries(&[Change::Remove(path.clone())])).unwrap();
    assert_eq!(now(&files), BEFORE);
    install(&files, &[Change::Remove(path.clone())]).unwrap();
    assert!(!now(&files).contains("bogus"));
    assert!(matches!(install(&files, &[Change::Remove(path)]), Err(ConfigurationError::NotSet(_))));
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
    assert!(matches!(parse_change("mta/banners=x"), Err(BadForm(_))));
    assert!(matches!(parse_change("/*/mta/banners"), Err(BadForm(_))));
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

#[test]
fn every_accepted_change_has_a_number_and_leads_back() {
    let (_folder, files) = site(BEFORE);
    let done = install(&files, &[set("/*/mta/maxMessageSize=8"), set("/*/mss/numMssPorts=3")]).unwrap();
    assert_eq!((done.version, done.servers), (Version(1), vec!["mss".to_owned(), "mta".to_owned()]));
    install(&files, &[set("/*/mta/maxMessageSize=9")]).unwrap();
    assert_eq!(install(&files, &[set("/*/mta/maxMessageSize=9")]).unwrap().version, Version(2), "no change");
    let all = history(&files);
    assert_eq!((all.len(), all[0].version, all[0].who.as_str()), (2, Version(2), "root"));
    let back = Proposal { wish: Wish::Version(Version(0)), ..entries(&[]) };
    assert_eq!(propose(&files, &back).unwrap().version, Version(3));
    assert_eq!(now(&files).trim_end(), BEFORE, "but for the end of the last line");
    let back = Proposal { wish: Wish::Version(Version(2)), ..entries(&[]) };
    propose(&files, &back).unwrap();
    assert!(now(&files).contains("maxMessageSize:   [9]"));
    let never = Proposal { wish: Wish::Version(Version(9)), ..entries(&[]) };
    assert_eq!(propose(&files, &never), Err(ConfigurationError::NoVersion(Version(9))));
}

#[test]
fn its_22751_a_change_that_was_made_from_another_version_is_refused() {
    let (_folder, files) = site(BEFORE);
    let from = |version, value: &str| Proposal {
        from: Some(Version(version)),
        ..entries(&[set(&format!("/*/mta/maxMessageSize={value}"))])
    };
    propose(&files, &from(0, "8")).unwrap();
    let stale = propose(&files, &from(0, "9")).unwrap_err();
    assert_eq!(stale, ConfigurationError::Stale { from: Version(0), now: Version(1) });
    propose(&files, &from(1, "9")).unwrap();
    // What was changed by hand counts, too, and loses nothing.
    std::fs::write(&files.current, now(&files).replace("[9]", "[10]")).unwrap();
    assert!(matches!(propose(&files, &from(2, "11")), Err(ConfigurationError::Stale { .. })));
    assert_eq!(history(&files)[0].who, super::super::history::BY_HAND);
    propose(&files, &from(3, "11")).unwrap();
    assert_eq!(history(&files).len(), 4);
}

#[test]
fn its_9124_a_whole_text_is_assessed_by_what_differs() {
    let (_folder, files) = site(BEFORE);
    let text = BEFORE.replace("# end", "/*/popserv/banners: []\n/*/sysadmin/imapserv_run: [off]\n# end");
    let proposal = |text: &str| Proposal { wish: Wish::Text(text.to_owned()), ..entries(&[]) };
    let done = assess(&files, &proposal(&text)).unwrap();
    let paths: Vec<_> = done.differences.iter().map(|d| d.path.to_string()).collect();
    assert_eq!(paths, ["/*/popserv/banners", "/*/sysadmin/imapserv_run"]);
    assert_eq!(done.servers, ["popserv", "imapserv"]);
    assert_eq!(assess(&files, &proposal(&BEFORE.replace("# end", "# the end"))).unwrap().differences, []);
    let bad = propose(&files, &proposal(&text.replace("[off]", "off"))).unwrap_err();
    assert!(bad.to_string().contains("line 6: /*/sysadmin/imapserv_run: values must stand"), "{bad}");
    propose(&files, &proposal(&text)).unwrap();
    assert_eq!(now(&files), text);
}

#[test]
fn its_17477_many_changes_and_assessments_leave_a_good_file() {
    let (_folder, files) = site(BEFORE);
    for round in 1..60 {
        let change = [set(&format!("/*/mta/maxMessageSize={round}"))];
        assess(&files, &entries(&change)).unwrap();
        install(&files, &change).unwrap();
    }
    assert!(now(&files).contains("maxMessageSize:   [59]\r\n/*/mta/bogus: [1]\n# end"));
    assert_eq!(history(&files)[0].version, Version(59));
}
