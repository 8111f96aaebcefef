use super::*;
use roles::store::StoreError;

#[tokio::test]
async fn idle_hears_of_new_mail_and_of_flags() {
    let site = Site::new();
    site.deliver("Subject: one\n\n").await;
    let mut idler = site.inbox().await;
    idler.send("i IDLE\r\n").await;
    assert!(idler.line().await.starts_with("+ "));
    site.deliver("Subject: two\n\n").await;
    assert_eq!(idler.line().await, "* 2 EXISTS");
    let mut other = site.inbox().await;
    other.ok("STORE 1 +FLAGS (\\Seen)").await;
    assert_eq!(idler.line().await, "* 1 FETCH (FLAGS (\\Seen))");
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(idler.line().await, "* 1 FETCH (FLAGS (\\Deleted \\Seen))");
    other.ok("EXPUNGE").await;
    assert_eq!(idler.line().await, "* 1 EXPUNGE");
    idler.send("DONE\r\n").await;
    assert_eq!(idler.line().await, "i OK done");
    idler.ok("FETCH 1 UID").await;
}

#[tokio::test]
async fn numbers_stay_while_a_command_uses_them() {
    let site = Site::new();
    for n in 0..3 {
        site.deliver(&format!("Subject: {n}\n\n")).await;
    }
    let (mut one, mut two) = (site.inbox().await, site.inbox().await);
    two.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    two.ok("EXPUNGE").await;
    site.deliver("Subject: 4\n\n").await;
    // RFC 9051 7.5.1: no EXPUNGE in FETCH, STORE, SEARCH; what is gone keeps its number and is not found.
    assert_eq!(one.ok("FETCH 1:3 UID").await, ["* 2 FETCH (UID 2)", "* 3 FETCH (UID 3)", "* 4 EXISTS"]);
    assert_eq!(one.ok("SEARCH ALL").await, ["* SEARCH 2 3 4"]);
    assert_eq!(one.ok("STORE 2 +FLAGS (\\Seen)").await, ["* 2 FETCH (FLAGS (\\Seen))"]);
    assert_eq!(one.ok("NOOP").await, ["* 1 EXPUNGE"]);
    assert_eq!(one.ok("FETCH 1:3 UID").await.len(), 3);
    assert!(one.ok("NOOP").await.is_empty());
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let site = Site::new();
    let mut client = site.connect().await;
    client
        .send(
            "a LOGIN joe {6+}\r\nsecret\r\nb SELECT INBOX\r\nc NOOP\r\nd UNSELECT\r\ne XYZZY\r\nf LOGOUT\r\n",
        )
        .await;
    let mut tagged = Vec::new();
    while let Some(line) = client.next_line().await {
        if !line.starts_with('*') {
            tagged.push(line.split(' ').take(2).collect::<Vec<_>>().join(" "));
        }
    }
    assert_eq!(tagged, ["a OK", "b OK", "c OK", "d OK", "e BAD", "f OK"]);
}

#[tokio::test]
async fn a_mailbox_that_is_removed_or_renamed_ends_its_sessions() {
    let site = Site::new();
    let mut owner = site.joe().await;
    owner.ok("CREATE x").await;
    let mut other = site.joe().await;
    other.ok("SELECT x").await;
    owner.ok("SELECT x").await;
    assert!(owner.ok("DELETE x").await[0].starts_with("* OK [CLOSED]"));
    assert!(owner.answer("FETCH 1 UID").await.starts_with("BAD"));
    other.send("n NOOP\r\n").await;
    assert!(other.line().await.starts_with("* BYE"));
    assert_eq!(other.next_line().await, None);
}

#[tokio::test]
async fn renaming_the_inbox_moves_its_messages() {
    let site = Site::new();
    site.deliver("Subject: one\n\n").await;
    let mut client = site.inbox().await;
    assert_eq!(client.ok("RENAME INBOX old").await, ["* OK [CLOSED] left"]);
    assert_eq!(client.ok("STATUS old (MESSAGES)").await, ["* STATUS \"old\" (MESSAGES 1)"]);
    assert_eq!(client.ok("STATUS INBOX (MESSAGES)").await, ["* STATUS \"INBOX\" (MESSAGES 0)"]);
}

#[tokio::test]
async fn a_store_that_is_out_of_reach_is_told_and_survived() {
    let site = Site::new();
    site.deliver("Subject: one\n\n").await;
    let mut client = site.inbox().await;
    site.store.fail(Some(StoreError::Unavailable));
    for command in
        ["FETCH 1 FLAGS", "STATUS INBOX (MESSAGES)", "SELECT INBOX", "LIST \"\" *", "APPEND INBOX {5}"]
    {
        let answer = client.answer(command).await;
        assert!(answer.starts_with("NO [UNAVAILABLE]"), "{command}: {answer}");
    }
    site.store.fail(None);
    client.ok("SELECT INBOX").await;
    assert_eq!(client.ok("FETCH 1 UID").await, ["* 1 FETCH (UID 1)"]);
}

#[tokio::test]
async fn stopping_says_goodbye() {
    let site = Site::new();
    let mut client = site.inbox().await;
    let mut idler = site.inbox().await;
    idler.send("i IDLE\r\n").await;
    idler.line().await;
    site.env.tasks.stop();
    for mut client in [client, idler] {
        assert!(client.line().await.starts_with("* BYE [UNAVAILABLE]"));
        assert_eq!(client.next_line().await, None);
    }
    client = site.connect().await;
    assert!(client.next_line().await.is_some_and(|l| l.starts_with("* BYE")));
}

#[tokio::test]
async fn new_keywords_are_announced() {
    let site = Site::new();
    site.deliver("Subject: one\n\n").await;
    let mut client = site.inbox().await;
    let lines = client.ok("STORE 1 +FLAGS (work)").await;
    assert_eq!(lines[0], "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft work)");
    assert_eq!(lines.last().unwrap(), "* 1 FETCH (FLAGS (work))");
    assert_eq!(client.ok("SEARCH KEYWORD WORK").await, ["* SEARCH 1"]);
}
