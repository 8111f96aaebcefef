use super::*;
use mail::address::Address;
use mail::envelope::{BodyKind, Notify, Sender};

fn settings(dialect: Dialect) -> Settings {
    Settings {
        dialect,
        hello: "us.example".into(),
        tls: Tls::IfOffered,
        login: None,
        chunking: Chunking::IfOffered,
        line_limit: 1000,
    }
}

fn message(recipients: &[&str]) -> Transaction {
    let address = |text: &str| Address::parse(text).unwrap();
    Transaction {
        origin: Origin { sender: Sender::from(address("from@us.example")), ..Origin::default() },
        recipients: recipients.iter().map(|r| address(r).into()).collect(),
        size: 7,
    }
}

/// Plays a script: what the server says, and what the client must write in answer.
struct Play {
    client: Client,
    input: BytesMut,
}

impl Play {
    fn new(settings: Settings) -> Self {
        Self { client: Client::new(settings), input: BytesMut::new() }
    }

    /// After the greeting and an EHLO that offers these.
    fn ready(settings: Settings, offers: &[&str]) -> Self {
        let mut play = Self::new(settings);
        play.says("220 them.example ESMTP\r\n");
        let answer: String = offers.iter().map(|o| format!("250-{o}\r\n")).collect();
        assert_eq!(play.says(&format!("250-them.example\r\n{answer}250 HELP\r\n")), ("".into(), Next::Ready));
        play
    }

    fn says(&mut self, text: &str) -> (String, Next) {
        let mut out = BytesMut::new();
        self.input.extend_from_slice(text.as_bytes());
        let next = self.client.push(&mut self.input, &mut out);
        (String::from_utf8(out.to_vec()).unwrap(), next)
    }

    fn sends(&mut self, transaction: Transaction) -> (String, Next) {
        let mut out = BytesMut::new();
        let next = self.client.send(transaction, &mut out);
        (String::from_utf8(out.to_vec()).unwrap(), next)
    }
}

fn going(text: &str) -> (String, Next) {
    (text.into(), Next::Read)
}

fn codes(next: Next) -> Vec<(u16, Stage)> {
    match next {
        Next::Finished(fates) => fates.into_iter().map(|f| (f.reply.code, f.stage)).collect(),
        other => panic!("not finished: {other:?}"),
    }
}

#[test]
fn one_command_at_a_time_without_pipelining() {
    let mut play = Play::ready(settings(Dialect::Smtp), &["SIZE"]);
    assert_eq!(play.sends(message(&["a@b", "c@d"])), going("MAIL FROM:<from@us.example> SIZE=7\r\n"));
    assert_eq!(play.says("250 Ok\r\n"), going("RCPT TO:<a@b>\r\n"));
    assert_eq!(play.says("550 No\r\n"), going("RCPT TO:<c@d>\r\n"));
    assert_eq!(play.says("250 Ok\r\n"), going("DATA\r\n"));
    assert_eq!(play.says("354 Go\r\n"), ("".into(), Next::Content(Transfer::Dots)));
    play.client.content_sent();
    let (_, next) = play.says("250 Taken\r\n");
    assert_eq!(codes(next), [(550, Stage::Rcpt), (250, Stage::Content)]);
    assert_eq!(play.sends(message(&["a@b"])).1, Next::Read, "the session can be used again");
}

#[test]
fn all_at_once_with_pipelining() {
    let mut play = Play::ready(settings(Dialect::Smtp), &["PIPELINING"]);
    let (out, _) = play.sends(message(&["a@b", "c@d"]));
    assert_eq!(out, "MAIL FROM:<from@us.example>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n");
    assert_eq!(play.says("250 Ok\r\n250 Ok\r\n450 Lat"), going(""));
    assert_eq!(play.says("er\r\n354 Go\r\n"), ("".into(), Next::Content(Transfer::Dots)));
    play.client.content_sent();
    assert_eq!(codes(play.says("554 Spam\r\n").1), [(554, Stage::Content), (450, Stage::Rcpt)]);
}

#[test]
fn nobody_is_accepted() {
    let mut play = Play::ready(settings(Dialect::Smtp), &["PIPELINING"]);
    play.sends(message(&["a@b"]));
    assert_eq!(play.says("250 Ok\r\n550 No\r\n354 Go\r\n"), going(".\r\n"), "RFC 2920 3.1");
    assert_eq!(codes(play.says("554 No valid recipients\r\n").1), [(550, Stage::Rcpt)]);

    play.sends(message(&["a@b"]));
    assert_eq!(play.says("250 Ok\r\n550 No\r\n554 None\r\n"), going("RSET\r\n"));
    assert_eq!(codes(play.says("250 Ok\r\n").1), [(550, Stage::Rcpt)]);

    let mut slow = Play::ready(settings(Dialect::Smtp), &[]);
    slow.sends(message(&["a@b"]));
    slow.says("250 Ok\r\n");
    assert_eq!(slow.says("550 No\r\n"), going("RSET\r\n"));
    assert_eq!(codes(slow.says("250 Ok\r\n").1), [(550, Stage::Rcpt)]);
}

#[test]
fn the_sender_is_refused() {
    let mut play = Play::ready(settings(Dialect::Smtp), &["PIPELINING"]);
    play.sends(message(&["a@b", "c@d"]));
    let (out, next) = play.says("451 Later\r\n503 Mail first\r\n503 Mail first\r\n503 Mail first\r\n");
    assert_eq!((out.as_str(), codes(next)), ("", vec![(451, Stage::Mail); 2]));

    let mut slow = Play::ready(settings(Dialect::Smtp), &[]);
    slow.sends(message(&["a@b", "c@d"]));
    assert_eq!(codes(slow.says("550 No\r\n").1), [(550, Stage::Mail); 2]);
}

#[test]
fn chunks_follow_the_replies() {
    let mut play = Play::ready(settings(Dialect::Smtp), &["PIPELINING", "CHUNKING", "8BITMIME"]);
    let mut transaction = message(&["a@b"]);
    transaction.origin.body = BodyKind::EightBitMime;
    let (out, _) = play.sends(transaction);
    assert_eq!(out, "MAIL FROM:<from@us.example> BODY=8BITMIME\r\nRCPT TO:<a@b>\r\n");
    assert_eq!(play.says("250 Ok\r\n250 Ok\r\n"), ("BDAT 7 LAST\r\n".into(), Next::Content(Transfer::Chunk)));
    play.client.content_sent();
    assert_eq!(codes(play.says("250 Ok\r\n").1), [(250, Stage::Content)]);
}

#[test]
fn the_window_bounds_what_is_unanswered() {
    let mut play = Play::ready(settings(Dialect::Smtp), &["PIPELINING"]);
    let many: Vec<String> = (0..200).map(|n| format!("u{n}@b")).collect();
    let (out, _) = play.sends(message(&many.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!(out.lines().count(), 64);
    let (out, _) = play.says(&"250 Ok\r\n".repeat(10));
    assert_eq!(out.lines().count(), 10);
    let (out, next) = play.says(&("250 Ok\r\n".repeat(191) + "354 Go\r\n"));
    assert_eq!((out.lines().count(), next), (128, Next::Content(Transfer::Dots)));
}

#[test]
fn lmtp_answers_for_each_recipient() {
    let mut play = Play::new(settings(Dialect::Lmtp));
    assert_eq!(play.says("220 Hi\r\n"), going("LHLO us.example\r\n"));
    play.says("250-them\r\n250 PIPELINING\r\n");
    play.sends(message(&["a@b", "c@d", "e@f"]));
    play.says("250 Ok\r\n250 Ok\r\n550 No\r\n250 Ok\r\n354 Go\r\n");
    play.client.content_sent();
    assert_eq!(play.says("250 Ok\r\n"), going(""));
    assert_eq!(
        codes(play.says("452 Full\r\n").1),
        [(250, Stage::Content), (550, Stage::Rcpt), (452, Stage::Content)]
    );
}

#[test]
fn tls_is_started_and_the_server_asked_again() {
    let mut play = Play::new(settings(Dialect::Smtp));
    play.says("220 Hi\r\n");
    assert_eq!(play.says("250-them\r\n250-STARTTLS\r\n250 DSN\r\n"), going("STARTTLS\r\n"));
    assert_eq!(play.says("220 Go\r\n"), ("".into(), Next::StartTls));
    let mut out = BytesMut::new();
    assert_eq!(play.client.tls_started(&mut out), Next::Read);
    assert_eq!(&out[..], b"EHLO us.example\r\n");
    assert_eq!(play.says("250 them\r\n").1, Next::Ready);
    assert!(!play.client.extensions().dsn);
}

#[test]
fn octets_behind_starttls_are_an_attack() {
    let mut play = Play::new(settings(Dialect::Smtp));
    play.says("220 Hi\r\n");
    play.says("250-them\r\n250 STARTTLS\r\n");
    assert_eq!(play.says("220 Go\r\n250 DSN\r\n").1, Next::Closed(Closed::Injection));
}

#[test]
fn required_tls_is_required() {
    let strict = Settings { tls: Tls::Required, ..settings(Dialect::Smtp) };
    let mut play = Play::new(strict.clone());
    play.says("220 Hi\r\n");
    assert_eq!(play.says("250 them\r\n").1, Next::Closed(Closed::NoTls));
    let mut play = Play::new(strict);
    play.says("220 Hi\r\n");
    play.says("250-them\r\n250 STARTTLS\r\n");
    assert_eq!(play.says("454 Not now\r\n").1, Next::Closed(Closed::NoTls));
    let mut lax = Play::new(settings(Dialect::Smtp));
    lax.says("220 Hi\r\n");
    lax.says("250-them\r\n250 STARTTLS\r\n");
    assert_eq!(lax.says("454 Not now\r\n").1, Next::Ready);
}

#[test]
fn logging_in() {
    let login = Some(("joe".into(), Secret::new("pw")));
    let with = Settings { tls: Tls::Already, login, ..settings(Dialect::Smtp) };
    let mut play = Play::new(with.clone());
    play.says("220 Hi\r\n");
    assert_eq!(play.says("250-them\r\n250 AUTH PLAIN\r\n"), going("AUTH PLAIN AGpvZQBwdw==\r\n"));
    assert_eq!(play.says("235 Ok\r\n").1, Next::Ready);
    let mut play = Play::new(with.clone());
    play.says("220 Hi\r\n");
    assert_eq!(play.says("250-them\r\n250 AUTH LOGIN\r\n"), going("AUTH LOGIN\r\n"));
    assert_eq!(play.says("334 VXNlcm5hbWU6\r\n"), going("am9l\r\n"));
    assert_eq!(play.says("334 UGFzc3dvcmQ6\r\n"), going("cHc=\r\n"));
    assert!(matches!(play.says("535 No\r\n").1, Next::Closed(Closed::LoginRefused(_))));
    let mut open = Play::new(Settings { tls: Tls::Never, ..with });
    open.says("220 Hi\r\n");
    assert_eq!(open.says("250-them\r\n250 AUTH PLAIN\r\n").1, Next::Closed(Closed::NoLogin), "no TLS");
}

#[test]
fn servers_that_do_not_want_us() {
    let mut play = Play::new(settings(Dialect::Smtp));
    assert!(matches!(play.says("554 Go away\r\n").1, Next::Closed(Closed::Refused(_))));
    let mut old = Play::new(settings(Dialect::Smtp));
    old.says("220 Hi\r\n");
    assert_eq!(old.says("502 What?\r\n"), going("HELO us.example\r\n"));
    assert_eq!(old.says("250 Hi\r\n").1, Next::Ready);
    let mut tired = Play::ready(settings(Dialect::Smtp), &["PIPELINING"]);
    tired.sends(message(&["a@b", "c@d"]));
    assert_eq!(
        codes(tired.says("250 Ok\r\n550 No\r\n421 Bye\r\n").1),
        [(550, Stage::Rcpt), (421, Stage::Rcpt)]
    );
    assert!(tired.client.is_closed());
}

#[test]
fn what_is_known_survives_a_broken_connection() {
    let mut play = Play::ready(settings(Dialect::Smtp), &["PIPELINING"]);
    play.sends(message(&["a@b", "c@d"]));
    play.says("250 Ok\r\n550 No\r\n250 Ok\r\n");
    let fates = play.client.abandon();
    assert_eq!(fates.iter().map(|f| f.as_ref().map(|f| f.reply.code)).collect::<Vec<_>>(), [Some(550), None]);
}

#[test]
fn nonsense_ends_the_session_and_keeps_what_is_known() {
    let mut play = Play::ready(settings(Dialect::Smtp), &["PIPELINING"]);
    play.sends(message(&["a@b", "c@d"]));
    assert!(matches!(play.says("250 Ok\r\n550 No\r\n354 Huh\r\n").1, Next::Closed(Closed::Unexpected(_))));
    assert_eq!(play.client.abandon().iter().flatten().count(), 1);
}

#[test]
fn a_message_that_the_server_cannot_take_is_not_sent() {
    let mut play = Play::ready(settings(Dialect::Smtp), &["SIZE 5"]);
    assert_eq!(codes(play.sends(message(&["a@b"])).1), [(552, Stage::Offer)]);
    let (out, next) = play.sends(Transaction { size: 5, ..message(&["jürgen@b"]) });
    assert_eq!((out.as_str(), codes(next)), ("", vec![(550, Stage::Offer)]));
}

#[test]
fn wishes_for_reports_travel_where_they_are_understood() {
    let mut transaction = message(&["a@b"]);
    transaction.origin.envelope_id = Some("Q 1".into());
    transaction.recipients[0].notify = Notify::NEVER;
    transaction.recipients[0].original = Some("rfc822;a+x@b".into());
    let mut play = Play::ready(settings(Dialect::Smtp), &["DSN", "PIPELINING"]);
    let (out, _) = play.sends(transaction);
    let expected = "MAIL FROM:<from@us.example> RET=HDRS ENVID=Q+201\r\nRCPT TO:<a@b> NOTIFY=NEVER ORCPT=rfc822;a+2Bx@b\r\nDATA\r\n";
    assert_eq!(out, expected);
}
