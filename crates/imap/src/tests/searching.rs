use super::*;

async fn three() -> (Site, Client) {
    let site = Site::new();
    site.deliver("From: ann@example.test\nSubject: Grüße\nDate: Mon, 2 Nov 2026 10:00:00 +0000\n\napples\n")
        .await;
    site.deliver("From: bob@example.test\nSubject: two\nDate: Tue, 3 Nov 2026 23:30:00 -0500\n\npears\n")
        .await;
    site.deliver("From: ann@example.test\nSubject: three\n\napples and pears\n").await;
    let client = site.inbox().await;
    (site, client)
}

#[tokio::test]
async fn keys() {
    let (_site, mut client) = three().await;
    client.ok("STORE 2 FLAGS.SILENT (\\Seen)").await;
    for (key, found) in [
        ("FROM ann", "* SEARCH 1 3"),
        ("OR SEEN SUBJECT three", "* SEARCH 2 3"),
        ("NOT BODY pears", "* SEARCH 1"),
        ("TEXT APPLES NOT 1", "* SEARCH 3"),
        ("CHARSET UTF-8 SUBJECT {6+}\r\nGRÜSS", "* SEARCH 1"),
        ("SUBJECT {6+}\r\nGRÜß", "* SEARCH 1"),
        ("SENTON 3-Nov-2026", "* SEARCH 2"),
        ("SENTSINCE 3-Nov-2026", "* SEARCH 2"),
        ("ON 23-Nov-2026", "* SEARCH 1 2 3"),
        ("BEFORE 23-Nov-2026", "* SEARCH"),
        ("UID 2:*", "* SEARCH 2 3"),
        ("2:* UNSEEN", "* SEARCH 3"),
        ("NEW", "* SEARCH"),
        ("OLD SMALLER 1000", "* SEARCH 1 2 3"),
    ] {
        assert_eq!(client.ok(&format!("SEARCH {key}")).await, [found], "{key}");
    }
    assert!(
        client.answer("SEARCH CHARSET KOI8-R TEXT x").await.starts_with("NO [BADCHARSET (US-ASCII UTF-8)]")
    );
    assert!(client.answer("SEARCH 9").await.starts_with("BAD"));
}

#[tokio::test]
async fn extended_results() {
    let (_site, mut client) = three().await;
    let tagged = |n: u32, rest: &str| format!("* ESEARCH (TAG \"c{n}\"){rest}");
    assert_eq!(client.ok("SEARCH RETURN (MIN COUNT) FROM ann").await, [tagged(3, " MIN 1 COUNT 2")]);
    assert_eq!(client.ok("UID SEARCH RETURN () FROM ann").await, [tagged(4, " UID ALL 1,3")]);
    assert_eq!(client.ok("SEARCH RETURN (ALL) FROM nobody").await, [tagged(5, "")]);
    assert!(client.ok("SEARCH RETURN (SAVE) FROM ann").await.is_empty());
    assert_eq!(client.ok("SEARCH RETURN (SAVE MAX) $ BODY pears").await, [tagged(7, " MAX 3")]);
    assert_eq!(client.ok("UID SEARCH $").await, ["* SEARCH 3"]);
    client.ok("ENABLE IMAP4rev2").await;
    assert_eq!(client.ok("SEARCH FROM bob").await, [tagged(10, " ALL 2")]);
}
