use super::*;
use crate::testing::roles::Double;
use crate::testing::{Run, run};
use mail::envelope::{Notify, Return};

const DOMAIN: &str = "/*/common/defaultDomain: [example.org]\n/*/mta/maxMessageSize: [1024]\n";

async fn send(double: &Double, line: &str, text: &str) -> Run {
    let pieces: Vec<&str> = text.split_inclusive('\n').collect();
    run(&format!("sendmail {line}"))
        .with_configuration(DOMAIN)
        .with_file("tmp/mta/.keep", "")
        .with_roles(double.clone())
        .with_input(pieces)
        .done()
        .await
}

fn text(submit: &Submit) -> String {
    let mut all = Vec::new();
    while (all.len() as u64) < submit.body.len() {
        all.extend_from_slice(&submit.body.read_blocking(all.len() as u64, 1 << 16).unwrap());
    }
    String::from_utf8(all).unwrap()
}

fn to(submit: &Submit) -> Vec<String> {
    submit.to.iter().map(|recipient| recipient.address.to_string()).collect()
}

#[tokio::test]
async fn a_message_goes_to_the_recipients_of_its_header() {
    let double = Double::default();
    let message = "From: Me <me@x.net>\nTo: a@b.net, root\nBcc: s@d.net\nSubject: x\n\nHello\n.\nnot this\n";
    let run = send(&double, "-t", message).await;
    assert_eq!((run.exit, run.errors().as_str(), run.output().as_str()), (Exit::OK, "", ""));
    let [submit] = &double.submitted()[..] else { panic!("one message") };
    assert_eq!(to(submit), ["a@b.net", "root@example.org", "s@d.net"]);
    assert_eq!(submit.origin.sender.to_string(), "me@x.net");
    assert_eq!(text(submit), "From: Me <me@x.net>\r\nTo: a@b.net, root\r\nSubject: x\r\n\r\nHello\r\n");
}

#[tokio::test]
async fn options_reach_the_envelope() {
    let double = Double::default();
    let line = "-i -f <> -F Robot -N never -R full -V id1 b@c.net B@c.net,d";
    assert_eq!(send(&double, line, "Subject: grün\n\n.\nx").await.exit, Exit::OK);
    let [submit] = &double.submitted()[..] else { panic!("one message") };
    assert_eq!(to(submit), ["b@c.net", "d@example.org"]);
    let expected = Origin {
        sender: Sender::NULL,
        ret: Return::Full,
        envelope_id: Some("id1".into()),
        body: BodyKind::EightBitMime,
        utf8: false,
    };
    assert_eq!(submit.origin, expected);
    assert!(submit.to.iter().all(|recipient| recipient.notify == Notify::NEVER));
    let from = "From: \"Robot\" <postmaster@example.org>\r\n";
    assert_eq!(text(submit), format!("{from}Subject: grün\r\n\r\n.\r\nx\r\n"));
}

#[tokio::test]
async fn text_without_a_header_gets_one_and_stays_text() {
    for (given, expected) in [
        ("just text\nTo: not@a.recipient\n", "From: me@x.net\r\n\r\njust text\r\nTo: not@a.recipient\r\n"),
        ("\nbody\n", "From: me@x.net\r\n\r\nbody\r\n"),
        ("", "From: me@x.net\r\n\r\n"),
        ("Subject: only", "From: me@x.net\r\nSubject: only\r\n\r\n"),
        ("Subject: x\ntext\n\nmore\n", "From: me@x.net\r\nSubject: x\r\n\r\ntext\r\n\r\nmore\r\n"),
    ] {
        let double = Double::default();
        assert_eq!(send(&double, "-fme@x.net a@b.net", given).await.exit, Exit::OK, "{given:?}");
        assert_eq!(text(&double.submitted()[0]), expected, "{given:?}");
    }
}

#[tokio::test]
async fn a_large_message_is_streamed_and_one_too_large_refused() {
    let double = Double::default();
    let body = "0123456789 0123456789 0123456789\n".repeat(10_000);
    assert_eq!(send(&double, "-t", &format!("To: a@b.net\n\n{body}")).await.exit, Exit::OK);
    assert!(text(&double.submitted()[0]).ends_with(&body.replace('\n', "\r\n")));
    let run = send(&double, "-t", &format!("To: a@b.net\n\n{}", body.repeat(4))).await;
    assert_eq!(
        (run.exit, run.errors().as_str()),
        (EX_DATAERR, "sendmail: the message is larger than 1048576 bytes\n")
    );
}

#[tokio::test]
async fn exit_codes_say_whether_to_try_again() {
    let double = Double::default();
    for (line, message, exit) in [
        ("-Z", "", EX_USAGE),
        ("-t", "Subject: nobody\n\n", EX_USAGE),
        ("-bs", "", EX_USAGE),
        ("a@-b-", "\n", EX_DATAERR),
        ("-f x@-y- a@b.net", "\n", EX_DATAERR),
        ("-bi", "", Exit::OK),
    ] {
        assert_eq!(send(&double, line, message).await.exit, exit, "{line}");
    }
    double.refuse(SubmitError::NoUser(Address::parse("a@b.net").unwrap()));
    let refused = send(&double, "a@b.net", "\n").await;
    assert_eq!(
        (refused.exit, refused.errors().as_str()),
        (EX_NOUSER, "sendmail: a@b.net: no such user here\n")
    );
    double.refuse(SubmitError::Refused("too large".into()));
    assert_eq!(send(&double, "a@b.net", "\n").await.exit, EX_UNAVAILABLE);
    double.refuse(SubmitError::TryLater("full".into()));
    assert_eq!(send(&double, "a@b.net", "\n").await.exit, EX_TEMPFAIL);
    assert!(double.submitted().is_empty());
}

#[tokio::test]
async fn without_a_running_site_nothing_is_taken() {
    let run = run("sendmail a@b.net").with_input(["x"]).done().await;
    assert_eq!((run.exit, run.errors().as_str()), (EX_TEMPFAIL, "sendmail: the site is not running\n"));
}

#[tokio::test]
async fn a_header_without_end_is_refused() {
    let endless = "X-Long: y\n".repeat(120_000);
    assert_eq!(send(&Double::default(), "a@b.net", &endless).await.exit, EX_DATAERR);
}
