use super::*;

#[tokio::test]
async fn folders_are_made_listed_renamed_and_removed() {
    let site = Site::new();
    let mut client = site.joe().await;
    client.ok("CREATE a/b").await;
    client.ok("CREATE Sent (USE (\\Sent))").await;
    assert!(client.answer("CREATE X (USE (\\All))").await.starts_with("NO [USEATTR]"));
    assert!(client.answer("CREATE a/b").await.starts_with("NO [ALREADYEXISTS]"));
    assert!(client.answer("CREATE inbox").await.starts_with("NO [ALREADYEXISTS]"));
    assert!(client.answer("CREATE \"a*\"").await.starts_with("NO [CANNOT]"));
    assert!(client.answer("CREATE a&b").await.starts_with("NO [CANNOT]"));
    client.ok("SUBSCRIBE a/b").await;
    assert_eq!(
        client.ok("LIST \"\" *").await,
        [
            "* LIST (\\HasNoChildren) \"/\" \"INBOX\"",
            "* LIST (\\HasNoChildren \\Sent) \"/\" \"Sent\"",
            "* LIST (\\HasChildren) \"/\" \"a\"",
            "* LIST (\\HasNoChildren) \"/\" \"a/b\"",
        ]
    );
    assert_eq!(client.ok("LIST \"\" \"\"").await, ["* LIST (\\Noselect) \"/\" \"\""]);
    assert_eq!(
        client.ok("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %").await,
        ["* LIST (\\HasChildren) \"/\" \"a\" (\"CHILDINFO\" (\"SUBSCRIBED\"))"]
    );
    assert_eq!(
        client.ok("LIST \"a/\" % RETURN (SUBSCRIBED STATUS (MESSAGES UNSEEN))").await,
        ["* LIST (\\HasNoChildren \\Subscribed) \"/\" \"a/b\"", "* STATUS \"a/b\" (MESSAGES 0 UNSEEN 0)"]
    );
    assert!(client.answer("DELETE a").await.starts_with("NO [CANNOT]"));
    assert!(client.answer("DELETE INBOX").await.starts_with("NO [CANNOT]"));
    client.ok("RENAME a Entw&APw-rfe").await;
    assert!(client.answer("SELECT a/b").await.starts_with("NO [NONEXISTENT]"));
    client.ok("ENABLE IMAP4rev2").await;
    assert_eq!(client.ok("LIST \"\" Entwürfe/%").await, ["* LIST (\\HasNoChildren) \"/\" \"Entwürfe/b\""]);
    assert_eq!(client.ok("LSUB \"\" *").await, ["* LSUB () \"/\" \"Entwürfe/b\""]);
    client.ok("DELETE Entwürfe/b").await;
    assert!(client.answer("DELETE Entwürfe/b").await.starts_with("NO [NONEXISTENT]"));
}

#[tokio::test]
async fn select_tells_what_is_there_and_status_leaves_it_alone() {
    let site = Site::new();
    site.deliver("Subject: one\n\n").await;
    let mut client = site.joe().await;
    client.ok("CREATE other").await;
    let lines = client.ok("SELECT inbox").await;
    for expected in [
        "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)",
        "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] these are kept",
        "* 1 EXISTS",
        "* 0 RECENT",
        "* OK [UNSEEN 1] the first unseen",
        "* OK [UIDVALIDITY 1] these UIDs are valid",
        "* OK [UIDNEXT 2] the next UID",
        "* OK [HIGHESTMODSEQ 2] so far",
    ] {
        assert!(lines.iter().any(|l| l == expected), "{expected}: {lines:?}");
    }
    // ITS 14510.
    assert_eq!(
        client.ok("STATUS other (MESSAGES UIDNEXT)").await,
        ["* STATUS \"other\" (MESSAGES 0 UIDNEXT 1)"]
    );
    assert_eq!(client.ok("FETCH 1 UID").await, ["* 1 FETCH (UID 1)"]);
    assert!(client.ok("SELECT other").await[0].starts_with("* OK [CLOSED]"));
    assert!(client.answer("SELECT nowhere").await.starts_with("NO [NONEXISTENT]"));
    assert!(client.answer("FETCH 1 UID").await.starts_with("BAD"));
    let (lines, answer) = client.command("EXAMINE INBOX").await;
    assert!(answer.starts_with("OK [READ-ONLY]") && lines.iter().any(|l| l.contains("[PERMANENTFLAGS ()]")));
    for refused in ["STORE 1 +FLAGS (\\Seen)", "EXPUNGE", "MOVE 1 other"] {
        assert!(client.answer(refused).await.starts_with("NO"), "{refused}");
    }
}

#[tokio::test]
async fn copies_and_moves_say_where_to() {
    let site = Site::new();
    for n in 0..3 {
        site.deliver(&format!("Subject: {n}\n\n")).await;
    }
    let mut client = site.inbox().await;
    assert!(client.answer("COPY 1 there").await.starts_with("NO [TRYCREATE]"));
    client.ok("CREATE there").await;
    client.ok("STORE 1 FLAGS (\\Answered work)").await;
    assert!(client.answer("COPY 1,3 there").await.starts_with("OK [COPYUID 2 1,3 1:2]"));
    let (lines, _) = client.command("UID MOVE 1:2 there").await;
    assert_eq!(lines, ["* OK [COPYUID 2 1:2 3:4] moved", "* 2 EXPUNGE", "* 1 EXPUNGE"]);
    client.ok("SELECT there").await;
    assert_eq!(client.ok("FETCH 3 FLAGS").await, ["* 3 FETCH (FLAGS (\\Answered work))"]);
    client.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(client.ok("UID EXPUNGE 2").await, ["* 2 EXPUNGE"]);
    client.ok("CLOSE").await;
    assert_eq!(
        client.ok("STATUS there (MESSAGES DELETED)").await,
        ["* STATUS \"there\" (MESSAGES 2 DELETED 0)"]
    );
}

#[tokio::test]
async fn appends_are_judged_before_they_are_asked_for() {
    let site = Site::new();
    let mut client = site.inbox().await;
    assert!(client.answer("APPEND nowhere {5}").await.starts_with("NO [TRYCREATE]"));
    assert!(client.answer("APPEND INBOX {2000000}").await.starts_with("NO [OVERQUOTA]"));
    assert!(client.answer("APPEND INBOX {4294967296}").await.starts_with("NO [TOOBIG]"));
    assert!(client.answer("APPEND INBOX {0}").await.starts_with("NO"));
    client.send("x APPEND INBOX (\\Seen work) \" 1-Jan-2026 10:00:00 +0100\" {9}\r\n").await;
    assert!(client.line().await.starts_with("+ "));
    client.send("a: b\r\n\r\nc\r\n").await;
    let mut lines = Vec::new();
    while lines.last().is_none_or(|l: &String| !l.starts_with("x ")) {
        lines.push(client.line().await);
    }
    assert!(lines.contains(&"* 1 EXISTS".to_owned()), "{lines:?}");
    assert!(lines.last().unwrap().starts_with("x OK [APPENDUID 1 1]"), "{lines:?}");
    let fetched = client.ok("FETCH 1 FAST").await.remove(0);
    assert_eq!(
        fetched,
        "* 1 FETCH (FLAGS (\\Seen work) INTERNALDATE \"01-Jan-2026 09:00:00 +0000\" RFC822.SIZE 9)"
    );
    assert!(client.answer("APPEND nowhere {3+}\r\nabc").await.starts_with("NO [TRYCREATE]"));
    client.ok("NOOP").await;
}

#[tokio::test]
async fn quota_is_told() {
    let site = Site::new();
    site.deliver("Subject: one\n\n").await;
    let mut client = site.joe().await;
    let quota = "* QUOTA \"\" (STORAGE 1 1024 MESSAGE 1 100000)";
    assert_eq!(client.ok("GETQUOTA \"\"").await, [quota]);
    assert_eq!(client.ok("GETQUOTAROOT INBOX").await, ["* QUOTAROOT \"INBOX\" \"\"", quota]);
    assert!(client.answer("GETQUOTA x").await.starts_with("NO"));
}
