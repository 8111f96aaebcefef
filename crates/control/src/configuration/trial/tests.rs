use super::super::change::{install, parse_change};
use super::super::server::{accepted, snapshot};
use super::*;
use roles::configuration::Accepted;
use std::fs;

const BEFORE: &str = "# mine\n/*/mta/maxMessageSize: [7]\n";

fn site(text: &str) -> (tempfile::TempDir, Files) {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::in_folder(folder.path());
    fs::write(&files.current, text).unwrap();
    (folder, files)
}

fn proposal(changes: &[&str]) -> Proposal {
    let changes = changes.iter().map(|text| parse_change(text).unwrap()).collect();
    Proposal { from: None, wish: Wish::Entries(changes), who: "root".into(), why: "more room".into() }
}

fn at() -> Timestamp {
    Timestamp::from_secs(1_795_437_325)
}

fn on_venus(restarts: Restarts) -> Trial {
    Trial { hosts: vec!["venus".into()], watch: Duration::from_secs(60), restarts }
}

fn try_on_venus(files: &Files, changes: &[&str]) -> Result<Assessed, ConfigurationError> {
    begin(files, &proposal(changes), &on_venus(Restarts::None), at())
}

fn finish(files: &Files, version: u64, how: End) -> Ended {
    end(files, Version(version), how, ("imconfserv", "it was seen"), at()).unwrap()
}

fn now(files: &Files) -> String {
    fs::read_to_string(&files.current).unwrap()
}

fn newest(files: &Files) -> Accepted {
    accepted(files, 1).unwrap().remove(0)
}

#[test]
fn a_change_is_an_entry_of_its_hosts_until_it_is_one_of_all_or_of_none() {
    for (how, left) in [(End::TakenBack, BEFORE.to_owned()), (End::Spread, BEFORE.replace("[7]", "[8]"))] {
        let (_folder, files) = site(BEFORE);
        let begun = try_on_venus(&files, &["/*/mta/maxMessageSize=8"]).unwrap();
        assert_eq!(now(&files), format!("{BEFORE}/venus/mta/maxMessageSize: [8]\n"));
        let open = open(&files).unwrap().unwrap();
        assert_eq!((open.under_way.version, open.under_way.hosts.len()), (begun.version, 1));
        assert_eq!(ended(&files, begun.version).unwrap(), None);
        let done = finish(&files, 1, how);
        assert_eq!((done.end, done.version, now(&files)), (how, Version(2), left));
        assert_eq!(super::open(&files).unwrap(), None);
        assert_eq!(ended(&files, begun.version).unwrap(), Some(done));
        let last = newest(&files);
        assert_eq!((last.who.as_str(), last.why.as_str()), ("imconfserv", "it was seen"));
        let none = end(&files, Version(1), how, ("x", ""), at()).unwrap_err();
        assert_eq!(none, ConfigurationError::NoVersion(Version(1)));
    }
}

#[test]
fn what_is_said_of_a_host_itself_is_tried_there_and_of_others_waits() {
    let (_folder, files) = site("");
    try_on_venus(&files, &["/venus/mta/banners=v", "/mars/mta/banners=m", "/*/popserv/banners=p"]).unwrap();
    assert_eq!(now(&files), "/venus/mta/banners: [v]\n/venus/popserv/banners: [p]\n");
    finish(&files, 1, End::Spread);
    let all = Tree::parse(&now(&files)).unwrap();
    let said: Vec<_> = all.entries().map(|(path, _, values)| format!("{path}={}", values[0])).collect();
    assert_eq!(said, ["/*/popserv/banners=p", "/mars/mta/banners=m", "/venus/mta/banners=v"]);
}

#[test]
fn what_no_host_could_take_is_not_tried() {
    let (_folder, files) = site(BEFORE);
    for (change, why) in [
        ("/*/mta/maxMessageSize=much", "expected a whole number"),
        ("/*/mta/noSuchKey=1", "unknown key"),
        ("/*/mss/numMssPorts=4", "only after a restart"),
        ("/mars/mta/banners=x", "would notice nothing"),
        ("/*/mta/maxMessageSize=7", "no difference"),
        // The port is free on venus; it would not be where IMAP has it.
        ("/*/popserv/pop3Port=143", "has this port"),
    ] {
        let error = try_on_venus(&files, &[change]).unwrap_err().to_string();
        assert!(error.contains(why), "{change}: {error}");
        assert_eq!(now(&files), BEFORE);
    }
    assert_eq!(accepted(&files, 9).unwrap(), []);
    begin(&files, &proposal(&["/*/mss/numMssPorts=4"]), &on_venus(Restarts::Done), at()).unwrap();
    assert_eq!(to_restart(&open(&files).unwrap().unwrap()), ["mss"]);
}

#[test]
fn a_trial_is_let_be_by_other_changes() {
    let (_folder, files) = site(BEFORE);
    try_on_venus(&files, &["/*/mta/maxMessageSize=8"]).unwrap();
    for change in ["/*/mta/maxMessageSize=9", "/venus/mta/maxMessageSize=9"] {
        let error = install(&files, &proposal(&[change]), at()).unwrap_err();
        assert!(matches!(&error, ConfigurationError::Busy(why) if why.contains("tried on venus")), "{error}");
    }
    let back = Proposal { wish: Wish::Version(Version(0)), ..proposal(&[]) };
    assert!(matches!(install(&files, &back, at()), Err(ConfigurationError::Busy(_))));
    assert!(matches!(try_on_venus(&files, &["/*/mta/banners=x"]), Err(ConfigurationError::Busy(_))));
    install(&files, &proposal(&["/*/mta/banners=x"]), at()).unwrap();
    finish(&files, 1, End::Spread);
    assert_eq!(now(&files), "# mine\n/*/mta/maxMessageSize: [8]\n/*/mta/banners: [x]\n");
}

#[test]
fn who_changes_a_tried_entry_by_hand_has_the_last_word_about_it() {
    for (by_hand, left) in [
        (("[8]", "[9]"), format!("{BEFORE}/venus/mta/maxMessageSize: [9]\n")),
        (("[7]", "[6]"), BEFORE.replace("[7]", "[6]")),
    ] {
        let (_folder, files) = site(BEFORE);
        try_on_venus(&files, &["/*/mta/maxMessageSize=8"]).unwrap();
        fs::write(&files.current, now(&files).replace(by_hand.0, by_hand.1)).unwrap();
        let done = finish(&files, 1, End::Spread);
        assert_eq!((done.end, now(&files)), (End::TakenBack, left));
        assert!(done.why.contains("was changed by hand meanwhile"), "{}", done.why);
    }
}

/// What a crash can leave: the history of one moment with the file of the same or of the one before.
#[test]
fn a_crash_leaves_a_trial_under_way_or_ended_and_nothing_between() {
    for how in [End::Spread, End::TakenBack] {
        let (_folder, files) = site(BEFORE);
        let history = || fs::read(files.history()).unwrap_or_default();
        try_on_venus(&files, &["/*/mta/maxMessageSize=8"]).unwrap();
        let (begun, tried) = (history(), now(&files));
        finish(&files, 1, how);
        let (over, last) = (history(), now(&files));
        let leave = |history: &[u8], text: &str| {
            fs::write(files.history(), history).unwrap();
            fs::write(&files.current, text).unwrap();
            (open(&files).unwrap().is_some(), ended(&files, Version(1)).unwrap().is_some())
        };
        assert_eq!(leave(&begun, BEFORE), (false, false), "never begun");
        assert_eq!(snapshot(&files).unwrap().version, Version(0));
        assert_eq!(leave(&begun, &tried), (true, false));
        assert_eq!(leave(&over, &tried), (true, false), "not ended yet");
        let half_a_line = &over[..over.len() - 20];
        assert_eq!(leave(half_a_line, &tried), (true, false));
        assert_eq!(leave(&over, &last), (false, true));
        // Wherever it was left under way, it can be ended, and wherever it was not, another can begin.
        leave(&over, &tried);
        finish(&files, 1, End::TakenBack);
        assert_eq!(now(&files), BEFORE);
        leave(&begun, BEFORE);
        try_on_venus(&files, &["/*/mta/maxMessageSize=9"]).unwrap();
        assert_eq!(open(&files).unwrap().unwrap().tried[0].after, Some(vec!["9".to_owned()]));
    }
}
