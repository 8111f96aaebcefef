use super::*;
use crate::testing::Site;
use mail::secret::Secret;
use roles::directory::{Route, ScramKeys};
use roles::queue::QueueError;
use roles::store::{Quota, StoreError, Usage};
use testkit::directory::Down;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wire::sasl;

mod network;

/// Sends all of this at once from this address, hangs up, and gives all that was answered.
async fn talk_from(site: &Site, service: Service, peer: &str, input: impl AsRef<[u8]>) -> String {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let peer = format!("{peer}:40000").parse().unwrap();
    let port = Port::new(Arc::clone(&site.mta), service, 25);
    let connection = Connection::over(ours, peer, "127.0.0.1:25".parse().unwrap());
    let (mut read, mut write) = tokio::io::split(theirs);
    let mut answer = Vec::new();
    let send = async {
        let _ = write.write_all(input.as_ref()).await;
        let _ = write.shutdown().await;
    };
    let (_, _, got) = tokio::join!(port.serve(connection), send, read.read_to_end(&mut answer));
    got.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn talk(site: &Site, service: Service, input: impl AsRef<[u8]>) -> String {
    talk_from(site, service, "192.0.2.1", input).await
}

/// The codes of the replies after the greeting.
fn codes(answer: &str) -> Vec<&str> {
    let last = |line: &&str| line.as_bytes().get(3) == Some(&b' ');
    answer.lines().filter(last).skip(1).map(|line| line.split(' ').next().unwrap_or_default()).collect()
}

fn line(answer: &str, n: usize) -> String {
    answer.lines().filter(|l| l.as_bytes().get(3) == Some(&b' ')).nth(n).unwrap_or_default().to_owned()
}

fn stored(site: &Site) -> String {
    String::from_utf8(site.store.drops().last().expect("nothing was delivered").text.clone()).unwrap()
}

fn letter(to: &str, content: &str) -> String {
    format!(
        "EHLO c.example\r\nMAIL FROM:<f@far.example>\r\nRCPT TO:<{to}>\r\nDATA\r\n{content}\r\n.\r\nQUIT\r\n"
    )
}

#[tokio::test]
async fn a_message_goes_into_its_mailbox() {
    let site = Site::new();
    let account = site.directory.account("joe@here", "x");
    let answer = talk(&site, Service::Relay, letter("Joe@HERE", "Subject: a\r\n\r\n..dots")).await;
    assert_eq!(codes(&answer), ["250", "250", "250", "354", "250", "221"], "{answer}");
    assert!(answer.starts_with("220 localhost ESMTP InterMail "), "{answer}");
    let text = stored(&site);
    let expected = "Return-Path: <f@far.example>\r\nReceived: from c.example ([192.0.2.1])\r\n\tby localhost with ESMTP\r\n\tid ";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains(" for <Joe@here>;\r\n\t"), "{text}");
    assert!(text.ends_with("+0000\r\nSubject: a\r\n\r\n.dots\r\n"), "{text}");
    assert_eq!(site.store.drops()[0].to, [(account.mailbox, None)]);
    let log = site.env.log.lines().join("\n");
    for event in ["SmtpConnectionReceived", "MtaMessageReceived", "MtaMessageDelivered", "SmtpSessionEnd"] {
        assert!(log.contains(event), "{event} is not in the log:\n{log}");
    }
}

#[tokio::test]
async fn what_is_offered_depends_on_the_service() {
    let site = Site::new();
    let relay = talk(&site, Service::Relay, "EHLO c\r\n").await;
    for word in [
        "PIPELINING",
        "8BITMIME",
        "SIZE 52428800",
        "CHUNKING",
        "SMTPUTF8",
        "ENHANCEDSTATUSCODES",
        "DSN",
        "ETRN",
    ] {
        assert!(relay.contains(&format!("250-{word}\r\n")), "{word}: {relay}");
    }
    assert!(!relay.contains("AUTH") && !relay.contains("STARTTLS"), "{relay}");
    let far = talk(&site, Service::Submission, "EHLO c\r\n").await;
    assert!(far.contains("250-AUTH SCRAM-SHA-256\r\n"), "no password in the clear: {far}");
    let near = talk_from(&site, Service::Submission, "127.0.0.1", "EHLO c\r\n").await;
    assert!(near.contains("250-AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n"), "{near}");
    let lmtp = talk(&site, Service::Lmtp, "EHLO c\r\nLHLO c\r\n").await;
    assert_eq!(codes(&lmtp), ["500", "250"]);
    assert!(lmtp.starts_with("220 localhost LMTP "));
}

#[tokio::test]
async fn order_is_kept() {
    let site = Site::new();
    let input = "MAIL FROM:<a@b>\r\nEHLO c\r\nRCPT TO:<a@b>\r\nDATA\r\nMAIL FROM:<a@b>\r\nMAIL FROM:<a@b>\r\nDATA\r\nRSET\r\nNOOP\r\nVRFY a\r\nEXPN a\r\nHELP\r\nFOO\r\nMAIL FROM:<a@b> FOO=1\r\nRCPT\r\nSTARTTLS\r\n";
    let expected = [
        "503", "250", "503", "503", "250", "503", "503", "250", "250", "252", "502", "214", "500", "555",
        "503", "454",
    ];
    assert_eq!(codes(&talk(&site, Service::Relay, input).await), expected);
}

#[tokio::test]
async fn recipients_are_verified_and_relaying_is_denied() {
    let site = Site::new();
    site.directory.account("joe@here", "x");
    site.directory.route("off@here", Route::Disabled);
    site.directory.route("busy@here", Route::Deferred);
    site.directory.route("x@relayed", Route::Relay(None));
    let input = "EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<joe@here>\r\nRCPT TO:<nobody@here>\r\nRCPT TO:<x@far>\r\n\
        RCPT TO:<off@here>\r\nRCPT TO:<busy@here>\r\nRCPT TO:<x@relayed>\r\n";
    let answer = talk(&site, Service::Relay, input).await;
    let replies: Vec<String> = (3..9).map(|n| line(&answer, n)[..9].to_owned()).collect();
    assert_eq!(replies, ["250 2.1.5", "550 5.1.1", "550 5.7.1", "550 5.2.1", "450 4.2.1", "250 2.1.5"]);
    let near = talk_from(&site, Service::Relay, "127.0.0.1", input).await;
    assert!(line(&near, 5).starts_with("250 2.1.5"), "this host may relay: {near}");
    site.directory.set_down(Down::Yes);
    let answer =
        talk(&site, Service::Relay, "EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<joe@here>\r\nDATA\r\n").await;
    assert_eq!(codes(&answer), ["250", "250", "451", "503"]);
}

#[tokio::test]
async fn a_full_mailbox_is_refused_at_rcpt() {
    let site = Site::new();
    let mut account = site.directory.account("joe@here", "x");
    account.quota = Quota { bytes: 1000, ..Quota::default() };
    site.directory.local("joe@here", Some(account.clone()), &[]);
    site.store.usage(account.mailbox, Usage { bytes: 500, messages: 1 });
    let input = "EHLO c\r\nMAIL FROM:<a@b> SIZE=500\r\nRCPT TO:<joe@here>\r\nRSET\r\nMAIL FROM:<a@b> SIZE=501\r\nRCPT TO:<joe@here>\r\n";
    let answer = talk(&site, Service::Relay, input).await;
    assert_eq!(codes(&answer), ["250", "250", "250", "250", "250", "552"]);
    assert!(line(&answer, 6).starts_with("552 5.2.2"), "{answer}");
}

#[tokio::test]
async fn there_is_a_limit_of_recipients() {
    let site = Site::with("/*/mta/maxRecipients: [100]\n", None);
    let mut input = String::from("EHLO c\r\nMAIL FROM:<a@b>\r\n");
    for n in 0..10_000 {
        input += &format!("RCPT TO:<u{n}@here>\r\n");
        if n < 100 {
            site.directory.account(&format!("u{n}@here"), "x");
        }
    }
    let answer = talk(&site, Service::Relay, input + "DATA\r\n\r\nx\r\n.\r\nQUIT\r\n").await;
    assert_eq!(answer.matches("250 2.1.5").count(), 100);
    assert_eq!(answer.matches("452 4.5.3").count(), 9_900, "that costs no patience");
    assert!(answer.contains("250 2.0.0 Ok") && answer.ends_with("Goodbye\r\n"));
    assert_eq!(site.store.drops()[0].to.len(), 100, "one call, one body");
}

#[tokio::test]
async fn nothing_is_smuggled() {
    let site = Site::new();
    site.directory.account("joe@here", "x");
    for fake in ["\n.\r\n", "\r\n.\n", "\n.\n", "\r.\r\n", "\r\n.\r"] {
        let content =
            format!("Subject: a\r\n\r\nx{fake}MAIL FROM:<evil@b>\r\nRCPT TO:<joe@here>\r\nDATA\r\nevil");
        let answer = talk(&site, Service::Relay, letter("joe@here", &content)).await;
        assert_eq!(codes(&answer), ["250", "250", "250", "354", "554", "221"], "{fake:?}");
        assert!(answer.contains("554 5.6.0"));
    }
    assert!(site.store.drops().is_empty());
}

#[tokio::test]
async fn chunks_make_a_message() {
    let site = Site::new();
    site.directory.account("joe@here", "x");
    let begin = "EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<joe@here>\r\n";
    let answer = talk(
        &site,
        Service::Relay,
        format!("{begin}BDAT 12\r\nSubject: a\r\nBDAT 6 LAST\r\n\r\nx\r\n.QUIT\r\n"),
    )
    .await;
    assert_eq!(codes(&answer), ["250", "250", "250", "250", "250", "221"], "{answer}");
    assert!(stored(&site).ends_with("\r\nSubject: a\r\n\r\nx\r\n."));
    let early = "BDAT 5\r\nNOOP\rEHLO c\r\nMAIL FROM:<a@b>\r\nBDAT 5 LAST\r\nNOOP\rQUIT\r\n";
    assert_eq!(codes(&talk(&site, Service::Relay, early).await), ["503", "250", "250", "503", "221"]);
    let bare = format!("{begin}BDAT 3\r\na\nbBDAT 1 LAST\r\ncQUIT\r\n");
    assert_eq!(codes(&talk(&site, Service::Relay, bare).await), ["250", "250", "250", "250", "554", "221"]);
    let mixed = format!("{begin}BDAT 1\r\naDATA\r\nRCPT TO:<joe@here>\r\nRSET\r\nQUIT\r\n");
    assert_eq!(
        codes(&talk(&site, Service::Relay, mixed).await),
        ["250", "250", "250", "250", "503", "503", "250", "221"]
    );
}

#[tokio::test]
async fn a_message_can_be_too_large() {
    let site = Site::with("/*/mta/maxMessageSize: [1]\n", None);
    site.directory.account("joe@here", "x");
    let big = "x".repeat(2000);
    let answer = talk(&site, Service::Relay, letter("joe@here", &big)).await;
    assert_eq!(codes(&answer), ["250", "250", "250", "354", "552", "221"]);
    let begin = "EHLO c\r\nMAIL FROM:<a@b> SIZE=1025\r\nMAIL FROM:<a@b>\r\nRCPT TO:<joe@here>\r\n";
    let chunk = format!("{begin}BDAT 2000\r\n{big}BDAT 1 LAST\r\nxQUIT\r\n");
    let answer = talk(&site, Service::Relay, chunk).await;
    assert_eq!(codes(&answer), ["250", "552", "250", "250", "552", "503", "221"], "{answer}");
    let endless = format!("{begin}BDAT 9223372036854775807\r\n");
    let answer = talk(&site, Service::Relay, endless + &big).await;
    assert_eq!(codes(&answer), ["250", "552", "250", "250", "552"], "and hangs up");
    assert!(site.store.drops().is_empty());
}

#[tokio::test]
async fn hostile_messages_are_refused() {
    let site = Site::new();
    site.directory.account("joe@here", "x");
    let many = letter("joe@here", &"X-A: b\r\n".repeat(100_000));
    assert!(
        talk(&site, Service::Relay, many).await.contains("552 5.3.4 The message has too many header fields")
    );
    let hops = letter("joe@here", &"Received: x\r\n".repeat(101));
    assert!(talk(&site, Service::Relay, hops).await.contains("554 5.4.6"));
    let mut nul = letter("joe@here", "a\0b").into_bytes();
    assert_eq!(codes(&talk(&site, Service::Relay, &nul).await)[4], "250", "NUL is an octet of a message");
    nul.splice(0..0, *b"NO\0OP\r\n");
    assert_eq!(codes(&talk(&site, Service::Relay, &nul).await)[0], "500", "but not of a command");
    let endless = [vec![b'x'; 1 << 20], b"\r\nQUIT\r\n".to_vec()].concat();
    assert_eq!(codes(&talk(&site, Service::Relay, endless).await), ["500", "221"]);
}

#[tokio::test]
async fn patience_ends() {
    let site = Site::with("/*/mta/maxBadCommands: [10]\n", None);
    let answer = talk(&site, Service::Relay, "FOO\r\n".repeat(100)).await;
    assert_eq!(answer.matches("500 5.5.1").count(), 10);
    assert!(answer.ends_with("421 4.7.0 Too many errors, closing the connection\r\n"));
}

#[tokio::test]
async fn trouble_is_not_answered_with_250() {
    let site = Site::new();
    site.directory.account("joe@here", "x");
    site.store.fail_all(Some(StoreError::Broken("x".into())));
    site.queue.fail(Some(QueueError::Broken("x".into())));
    assert_eq!(codes(&talk(&site, Service::Relay, letter("joe@here", "x")).await)[4], "451");
    site.queue.fail(Some(QueueError::NoSpace));
    let answer = talk(&site, Service::Relay, letter("joe@here", "x")).await;
    assert!(line(&answer, 5).starts_with("452 4.3.1"), "{answer}");
}

#[tokio::test]
async fn lmtp_answers_for_each_recipient() {
    let site = Site::new();
    let (a, _) = (site.directory.account("a@here", "x"), site.directory.account("b@here", "x"));
    site.store.fail(a.mailbox, StoreError::OverQuota);
    let begin =
        "LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@here>\r\nRCPT TO:<no@here>\r\nRCPT TO:<b@here>\r\nDATA\r\n";
    let answer = talk(&site, Service::Lmtp, format!("{begin}x\r\n.\r\nQUIT\r\n")).await;
    assert_eq!(codes(&answer), ["250", "250", "250", "550", "250", "354", "552", "250", "221"], "{answer}");
    assert!(stored(&site).contains("with LMTP"));
    let answer = talk(&site, Service::Lmtp, format!("{begin}x\n\r\n.\r\nQUIT\r\n")).await;
    assert_eq!(codes(&answer)[6..], ["554", "554", "221"], "{answer}");
}

fn plain(user: &str, password: &str) -> String {
    format!("AUTH PLAIN {}\r\n", sasl::encode(format!("\0{user}\0{password}").as_bytes()))
}

#[tokio::test]
async fn submission_asks_who_it_is() {
    let site = Site::new();
    site.directory.account("joe@here", "secret");
    site.directory.account("ann@here", "x");
    let near = |input: String| talk_from(&site, Service::Submission, "127.0.0.1", input);
    assert_eq!(codes(&near("EHLO c\r\nMAIL FROM:<joe@here>\r\n".into()).await), ["250", "530"]);
    let wrong = format!("EHLO c\r\n{}{}", plain("joe@here", "wrong"), plain("nobody@here", "x"));
    assert_eq!(codes(&near(wrong).await), ["250", "535", "535"]);
    let good = format!(
        "EHLO c\r\n{}AUTH PLAIN\r\nMAIL FROM:<ann@here>\r\nMAIL FROM:<joe@far>\r\nRSET\r\nMAIL FROM:<JOE@here>\r\nRCPT TO:<x@far>\r\nDATA\r\nSubject: a\r\n\r\nx\r\n.\r\n",
        plain("joe@here", "secret")
    );
    let answer = near(good).await;
    assert_eq!(
        codes(&answer),
        ["250", "235", "503", "553", "250", "250", "250", "250", "354", "250"],
        "{answer}"
    );
    let queued = site.queue.items()[0].body.in_memory().unwrap();
    let text = String::from_utf8(queued.to_vec()).unwrap();
    assert!(text.contains("with ESMTPA\r\n") && !text.contains("Return-Path"), "{text}");
    assert!(
        text.contains("+0000\r\nDate: ") && text.contains("@localhost>\r\nSubject: a\r\n\r\nx\r\n"),
        "{text}"
    );
}

#[tokio::test]
async fn the_other_mechanisms() {
    let site = Site::new();
    site.directory.account("joe@here", "secret");
    let (user, password) = (sasl::encode(b"joe@here"), sasl::encode(b"secret"));
    let near = |input: String| talk_from(&site, Service::Submission, "127.0.0.1", input);
    let login = near(format!("EHLO c\r\nAUTH LOGIN\r\n{user}\r\n{password}\r\n")).await;
    assert_eq!(codes(&login), ["250", "334", "334", "235"]);
    let given_up = near("EHLO c\r\nAUTH LOGIN\r\n*\r\nAUTH PLAIN !\r\nAUTH X\r\n".into()).await;
    assert_eq!(codes(&given_up), ["250", "334", "501", "501", "504"]);
    let far = talk(&site, Service::Submission, format!("EHLO c\r\n{}", plain("joe@here", "secret"))).await;
    assert_eq!(codes(&far), ["250", "538"]);
    let keys = ScramKeys {
        salt: vec![1; 16],
        iterations: 4096,
        stored_key: vec![2; 32],
        server_key: Secret::new([3; 32]),
    };
    site.directory.scram(keys);
    let first = sasl::encode(b"n,,n=joe@here,r=abc");
    let scram =
        talk(&site, Service::Submission, format!("EHLO c\r\nAUTH SCRAM-SHA-256 {first}\r\n*\r\n")).await;
    assert_eq!(codes(&scram), ["250", "334", "501"]);
    let challenge = sasl::decode(&line(&scram, 2).as_bytes()[4..]).unwrap();
    assert!(String::from_utf8(challenge).unwrap().ends_with(",s=AQEBAQEBAQEBAQEBAQEBAQ==,i=4096"));
}

#[tokio::test]
async fn senders_are_judged() {
    let strict = Site::with("/*/mta/rejectSenderBadAddress: [domain]\n", None);
    let input = "EHLO c\r\nMAIL FROM:<a@nowhere>\r\nMAIL FROM:<a>\r\nMAIL FROM:<a@-b>\r\nMAIL FROM:<>\r\n";
    assert_eq!(codes(&talk(&strict, Service::Relay, input).await), ["250", "550", "553", "501", "250"]);
    assert!(strict.env.log.lines().iter().any(|l| l.contains("SmtplibSenderAddrInvalid address=a@nowhere")));
    let near = talk_from(&strict, Service::Relay, "127.0.0.1", "EHLO c\r\nMAIL FROM:<root>\r\n").await;
    assert_eq!(codes(&near), ["250", "250"], "programs of this host");
    let utf8 = "EHLO c\r\nMAIL FROM:<jürgen@b>\r\nMAIL FROM:<jürgen@b> SMTPUTF8\r\n";
    assert_eq!(codes(&talk(&Site::new(), Service::Relay, utf8).await), ["250", "553", "250"]);
}

#[tokio::test]
async fn connections_are_refused_by_address_and_by_number() {
    let tree = "/*/mta/blockTheseIPs: [203.0.113.0/24]\n/*/mta/clientConnectionLimitTable: [198.51.100.0/24:0]\n/*/mta/maxSessions: [5]\n";
    let site = Site::with(tree, None);
    let port = Port::new(Arc::clone(&site.mta), Service::Relay, 25);
    let admit = |peer: &str, in_all| port.admit(peer.parse().unwrap(), Count { from_peer: 1, in_all });
    assert!(admit("192.0.2.1", 5).is_ok());
    assert!(admit("192.0.2.1", 6).is_err_and(|text| text.starts_with(b"421 4.3.2")));
    assert!(admit("203.0.113.9", 1).is_err_and(|text| text.starts_with(b"554 5.7.1")));
    assert!(site.env.log.lines().iter().any(|l| l.contains("NioConnNotAllowed peer=203.0.113.9 port=25")));
    assert!(talk_from(&site, Service::Relay, "198.51.100.1", "QUIT\r\n").await.starts_with("421 4.7.0"));
}

#[tokio::test]
async fn etrn_starts_what_waits() {
    let site = Site::new();
    let near = talk_from(&site, Service::Relay, "127.0.0.1", letter("x@far.example", "x")).await;
    assert_eq!(codes(&near)[4], "250");
    let input = "EHLO c\r\nETRN far.example\r\nETRN other.example\r\n";
    assert_eq!(codes(&talk_from(&site, Service::Relay, "127.0.0.1", input).await), ["250", "253", "251"]);
    assert_eq!(codes(&talk(&site, Service::Relay, input).await), ["250", "458", "458"]);
}

#[tokio::test]
async fn a_large_message_goes_through_a_file() {
    let site = Site::with("/*/mta/cacheLimitInKB: [4]\n", None);
    site.directory.account("joe@here", "x");
    let content = format!("Subject: a\r\n\r\n{}", "0123456789abcdef0123456789abcdef\r\n".repeat(100_000));
    let answer = talk(&site, Service::Relay, letter("joe@here", &content)).await;
    assert_eq!(codes(&answer)[4], "250");
    assert!(stored(&site).ends_with(&format!("{content}\r\n")));
}
