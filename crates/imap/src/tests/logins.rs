use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncReadExt as _;

#[tokio::test]
async fn capabilities_change_with_the_login() {
    let site = Site::new();
    let mut client = site.connect().await;
    let before = client.ok("CAPABILITY").await.remove(0);
    assert!(
        before.contains("AUTH=PLAIN") && before.contains("AUTH=SCRAM-SHA-256") && before.contains("SASL-IR")
    );
    assert!(!before.contains("LOGINDISABLED") && !before.contains("STARTTLS"), "{before}");
    let answer = client.answer("LOGIN joe secret").await;
    assert!(answer.contains("[CAPABILITY IMAP4rev1 IMAP4rev2") && answer.contains("CONDSTORE"), "{answer}");
    assert!(client.answer("LOGIN joe secret").await.starts_with("BAD"));
    assert!(client.answer("STARTTLS").await.starts_with("BAD"));
    let bye = client.ok("LOGOUT").await.remove(0);
    assert!(bye.starts_with("* BYE"));
    assert_eq!(client.next_line().await, None);
}

#[tokio::test]
async fn passwords_are_not_taken_where_they_may_not_be_sent() {
    let site = Site::with("/*/imapserv/plainTextLogin: [never]\n");
    let mut client = site.connect().await;
    let list = client.ok("CAPABILITY").await.remove(0);
    assert!(list.contains("LOGINDISABLED") && !list.contains("AUTH=PLAIN") && list.contains("AUTH=SCRAM"));
    assert!(client.answer("LOGIN joe secret").await.starts_with("NO [PRIVACYREQUIRED]"));
    assert!(client.answer("AUTHENTICATE PLAIN").await.starts_with("NO [PRIVACYREQUIRED]"));
}

#[tokio::test]
async fn authenticate_with_and_without_initial_response() {
    let site = Site::new();
    let plain = STANDARD.encode("\0joe\0secret");
    let mut client = site.connect().await;
    assert!(client.answer(&format!("AUTHENTICATE PLAIN {plain}")).await.starts_with("OK [CAPABILITY"));
    let mut client = site.connect().await;
    client.send("a AUTHENTICATE PLAIN\r\n").await;
    assert_eq!(client.line().await, "+ ");
    client.send(format!("{plain}\r\n")).await;
    assert!(client.line().await.starts_with("a OK"));
    let mut client = site.connect().await;
    client.send("a AUTHENTICATE PLAIN\r\n*\r\n").await;
    assert_eq!(client.line().await, "+ ");
    assert!(client.line().await.starts_with("a BAD"));
    assert!(client.answer("AUTHENTICATE KERBEROS_V4").await.starts_with("NO"));
}

#[tokio::test]
async fn the_fifth_wrong_password_ends_the_connection() {
    let site = Site::new();
    let mut client = site.connect().await;
    for _ in 0..4 {
        assert!(client.answer("LOGIN joe wrong").await.starts_with("NO [AUTHENTICATIONFAILED]"));
    }
    assert!(client.answer("LOGIN nobody secret").await.starts_with("NO [AUTHENTICATIONFAILED]"));
    assert!(client.line().await.starts_with("* BYE"));
    assert_eq!(client.next_line().await, None);
    let log = site.env.log.lines().join("\n");
    assert!(log.contains("ImapSessionStart") && log.contains("reason=badLogins"), "{log}");
}

#[tokio::test]
async fn commands_have_their_state() {
    let site = Site::new();
    let mut client = site.connect().await;
    assert!(client.answer("SELECT INBOX").await.starts_with("BAD"));
    assert!(client.answer("APPEND INBOX {3+}\r\nabc").await.starts_with("BAD"));
    client.ok("LOGIN joe secret").await;
    assert!(client.answer("FETCH 1 FLAGS").await.starts_with("BAD"));
    client.ok("ID NIL").await;
    assert_eq!(client.ok("NAMESPACE").await, ["* NAMESPACE ((\"\" \"/\")) NIL NIL"]);
}

#[tokio::test]
async fn sessions_are_counted_in_all_and_by_user() {
    let site = Site::with("/*/imapserv/maxSessions: [2]\n/*/imapserv/maxSessionsPerUser: [1]\n");
    let mut first = site.joe().await;
    let mut second = site.connect().await;
    assert!(second.answer("LOGIN joe secret").await.starts_with("NO [LIMIT]"));
    let (ours, mut theirs) = tokio::io::duplex(1024);
    let address = "127.0.0.1:1".parse().unwrap();
    site.imap.serve(Connection::over(ours, address, address)).await;
    let mut refusal = String::new();
    theirs.read_to_string(&mut refusal).await.unwrap();
    assert!(refusal.starts_with("* BYE [UNAVAILABLE]"), "{refusal}");
    first.ok("LOGOUT").await;
    assert_eq!(first.next_line().await, None);
    second.ok("LOGIN joe secret").await;
    assert_eq!(site.imap.sessions(), 1);
}
