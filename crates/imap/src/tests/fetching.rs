use super::*;

const MESSAGE: &str = "From: Ann <ann@example.test>\nSubject: one\nContent-Type: multipart/mixed; boundary=b\n\n\
    --b\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\naGVsbG8K\n--b\n\nsecond\n--b--\n";

#[tokio::test]
async fn items_of_a_message() {
    let site = Site::new();
    site.deliver(MESSAGE).await;
    let mut client = site.inbox().await;
    let all = client.ok("FETCH 1 ALL").await.remove(0);
    assert!(
        all.starts_with("* 1 FETCH (FLAGS () INTERNALDATE \"23-Nov-2026 12:35:25 +0000\" RFC822.SIZE "),
        "{all}"
    );
    assert!(all.contains(r#"ENVELOPE (NIL "one" (("Ann" NIL "ann" "example.test"))"#), "{all}");
    let structure = client.ok("FETCH 1 BODYSTRUCTURE").await.remove(0);
    assert!(structure.contains("\"BASE64\" 8") && structure.ends_with("NIL NIL NIL))"), "{structure}");
    assert_eq!(client.ok("FETCH 1 BODY.PEEK[2]").await, ["* 1 FETCH (BODY[2] {6}\r\nsecond)"]);
    assert_eq!(
        client.ok("FETCH 1 BODY.PEEK[1.MIME]<13.5>").await,
        ["* 1 FETCH (BODY[1.MIME]<13> {5}\r\n text)"]
    );
    assert_eq!(client.ok("FETCH 1 BODY.PEEK[9]").await, ["* 1 FETCH (BODY[9] NIL)"]);
    assert_eq!(client.ok("FETCH 1 BODY.PEEK[2]<99.5>").await, ["* 1 FETCH (BODY[2]<99> {0}\r\n)"]);
    assert_eq!(
        client.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]").await,
        ["* 1 FETCH (BODY[HEADER.FIELDS (SUBJECT)] {16}\r\nSubject: one\r\n\r\n)"]
    );
    assert_eq!(
        client.ok("FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1] BINARY.PEEK[1]<2.2>)").await,
        ["* 1 FETCH (BINARY[1] ~{6}\r\nhello\n BINARY.SIZE[1] 6 BINARY[1]<2> ~{2}\r\nll)"]
    );
    let whole = client.ok("FETCH 1 RFC822").await;
    assert!(whole[0].contains(&MESSAGE.replace('\n', "\r\n")), "{whole:?}");
}

#[tokio::test]
async fn reading_marks_seen_once_and_after_the_last_message() {
    let site = Site::new();
    site.deliver(MESSAGE).await;
    site.deliver("Subject: two\n\ntext\n").await;
    let mut client = site.inbox().await;
    client.ok("FETCH 1:2 BODY.PEEK[TEXT]").await;
    assert_eq!(client.ok("SEARCH UNSEEN").await, ["* SEARCH 1 2"]);
    let lines = client.ok("FETCH 1:2 BODY[TEXT]<0.2>").await;
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(&lines[2..], ["* 1 FETCH (FLAGS (\\Seen))", "* 2 FETCH (FLAGS (\\Seen))"]);
    assert_eq!(client.ok("FETCH 1:2 BODY[TEXT]<0.2>").await.len(), 2);
    assert!(client.ok("NOOP").await.is_empty());
    let mut reader = site.joe().await;
    site.deliver("Subject: three\n\ntext\n").await;
    reader.ok("EXAMINE INBOX").await;
    assert_eq!(reader.ok("FETCH 3 BODY[TEXT]").await.len(), 1);
}

#[tokio::test]
async fn sets_by_number_and_by_uid() {
    let site = Site::new();
    for n in 0..5 {
        site.deliver(&format!("Subject: {n}\n\n")).await;
    }
    let mut client = site.inbox().await;
    client.ok("STORE 2:3 +FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(client.ok("EXPUNGE").await, ["* 3 EXPUNGE", "* 2 EXPUNGE"]);
    assert_eq!(client.ok("FETCH 2:* UID").await, ["* 2 FETCH (UID 4)", "* 3 FETCH (UID 5)"]);
    assert_eq!(client.ok("UID FETCH 4,2 FLAGS").await, ["* 2 FETCH (UID 4 FLAGS ())"]);
    assert!(client.ok("UID FETCH 100:200 FLAGS").await.is_empty());
    assert_eq!(client.ok("UID FETCH 100:* UID").await, ["* 3 FETCH (UID 5)"]);
    assert!(client.answer("FETCH 4 FLAGS").await.starts_with("BAD"));
    client.ok("UID SEARCH RETURN (SAVE) UID 4").await;
    assert_eq!(client.ok("FETCH $ UID").await, ["* 2 FETCH (UID 4)"]);
}

#[tokio::test]
async fn modseqs_and_conditional_stores() {
    let site = Site::new();
    site.deliver("Subject: 1\n\n").await;
    site.deliver("Subject: 2\n\n").await;
    let mut client = site.joe().await;
    client.ok("SELECT INBOX (CONDSTORE)").await;
    let lines = client.ok("FETCH 1:2 MODSEQ").await;
    assert_eq!(lines, ["* 1 FETCH (MODSEQ (2))", "* 2 FETCH (MODSEQ (3))"]);
    assert_eq!(client.ok("FETCH 1:2 FLAGS (CHANGEDSINCE 2)").await, ["* 2 FETCH (FLAGS () MODSEQ (3))"]);
    let (told, answer) = client.command("STORE 1:2 (UNCHANGEDSINCE 2) +FLAGS.SILENT (\\Seen)").await;
    assert_eq!(told, ["* 1 FETCH (UID 1 MODSEQ (4))"]);
    assert!(answer.starts_with("OK [MODIFIED 2]"), "{answer}");
    assert_eq!(client.ok("SEARCH MODSEQ 4").await, ["* SEARCH 1 (MODSEQ 4)"]);
}

#[tokio::test]
async fn a_large_message_comes_in_pieces_and_goes_in_pieces() {
    let site = Site::with("/*/common/cacheLimitInKB: [4]\n");
    let mut client = site.inbox().await;
    let message = format!("Subject: large\r\n\r\n{}", "0123456789abcde\n".repeat(50_000));
    let answer =
        client.answer(&format!("APPEND INBOX (\\Flagged) {{{}+}}\r\n{message}", message.len())).await;
    assert!(answer.starts_with("OK [APPENDUID 1 1]"), "{answer}");
    let lines = client.ok("FETCH 1 (FLAGS BODY.PEEK[])").await;
    assert!(lines[0].starts_with("* 1 FETCH (FLAGS (\\Flagged) BODY[] {"), "{}", &lines[0][..60]);
    assert!(lines[0].ends_with(&format!("{message})")));
}
