use super::*;
use tokio::io::AsyncReadExt as _;

#[test]
fn an_idle_session_is_small() {
    let site = Site::new();
    let (ours, _theirs) = tokio::io::duplex(64);
    let address = "127.0.0.1:1".parse().unwrap();
    let serving = site.imap.serve_one(Connection::over(ours, address, address));
    let size = std::mem::size_of_val(&serving);
    assert!(size < 4096, "the future of a session takes {size} octets");
}

#[tokio::test]
async fn a_literal_of_four_gigabytes_is_refused() {
    let site = Site::new();
    let mut client = site.connect().await;
    assert!(client.answer("LOGIN {4294967296}").await.starts_with("BAD [TOOBIG]"));
    client.ok("LOGIN joe secret").await;
    assert!(client.answer("APPEND INBOX {4294967296}").await.starts_with("NO [TOOBIG]"));
    client.send("z APPEND INBOX {4294967296+}\r\nxyz").await;
    assert!(client.line().await.starts_with("z NO [TOOBIG]"));
    assert!(client.line().await.starts_with("* BYE [TOOBIG]"));
    assert_eq!(client.next_line().await, None);
}

#[tokio::test]
async fn a_line_without_end_is_refused() {
    let site = Site::new();
    let mut client = site.joe().await;
    client.send(format!("a NOOP {}\r\nb NOOP\r\n", "x".repeat(100_000))).await;
    assert!(client.line().await.starts_with("a BAD"));
    assert!(client.line().await.starts_with("b OK"));
}

#[tokio::test]
async fn rubbish_before_a_login_ends_the_connection() {
    let site = Site::new();
    let (ours, mut theirs) = tokio::io::duplex(1 << 16);
    let address = "127.0.0.1:1".parse().unwrap();
    let rubbish = "\0\x01\r\r\n".repeat(30);
    tokio::io::AsyncWriteExt::write_all(&mut theirs, rubbish.as_bytes()).await.unwrap();
    site.imap.serve(Connection::over(ours, address, address)).await;
    let mut said = String::new();
    theirs.read_to_string(&mut said).await.unwrap();
    assert_eq!(said.matches("* BAD").count(), 20, "{said}");
    assert!(said.lines().last().unwrap().starts_with("* BYE"));
}

#[tokio::test]
async fn a_message_whose_client_goes_away_is_not_stored() {
    let site = Site::new();
    let mut client = site.inbox().await;
    client.send("a APPEND INBOX {100+}\r\nSubject: half").await;
    drop(client);
    assert_eq!(site.env.tasks.drain(std::time::Duration::from_secs(20)).await, 0);
    let usage = site.store.mailbox_usage(&Call::new(RequestId(1), TraceId::new("t")), JOE).await.unwrap();
    assert_eq!(usage.messages, 0);
}
