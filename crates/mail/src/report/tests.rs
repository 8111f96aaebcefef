use super::*;
use crate::envelope::{Notify, Sender};

const ARRIVED: Timestamp = Timestamp::from_secs(1_795_437_325);

fn origin(sender: &str) -> Origin {
    Origin { sender: Sender::from(Address::parse(sender).unwrap()), ..Origin::default() }
}

fn recipient(address: &str) -> Recipient {
    Recipient::from(Address::parse(address).unwrap())
}

fn failed<'a>(recipient: &'a Recipient, reason: &'a str) -> Fate<'a> {
    Fate {
        recipient,
        action: Action::Failed,
        status: Status::BAD_MAILBOX,
        reason,
        remote: Some("mx.example.net"),
        last_attempt: Some(ARRIVED),
        retry_until: None,
    }
}

fn report(origin: &Origin, fates: &[Fate<'_>]) -> Option<Report> {
    let host = HostName::new("mail.example.org");
    let reporter = Reporter { host: &host, now: ARRIVED, token: 0xabc, max_returned: 10_000 };
    compose(&reporter, &Original { origin, arrived: ARRIVED, header: 300, total: 5000 }, fates)
}

fn text(report: &Report) -> String {
    String::from_utf8(report.head.clone()).unwrap()
}

#[test]
fn a_bounce_has_its_three_parts_and_returns_the_header() {
    let to = recipient("nobody@example.net");
    let made = report(&origin("a@example.org"), &[failed(&to, "550 5.1.1 no such user")]).unwrap();
    let head = text(&made);
    assert_eq!(made.to.to_string(), "a@example.org");
    assert_eq!(made.original, 0..300);
    assert!(head.contains("Auto-Submitted: auto-replied\r\n"));
    assert!(head.contains("Content-Type: multipart/report; report-type=delivery-status;\r\n"));
    assert!(head.contains("    The server mx.example.net answered: 550 5.1.1 no such user\r\n"));
    assert!(head.contains(
        "\r\n\r\nFinal-Recipient: rfc822; nobody@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n\
         Remote-MTA: dns; mx.example.net\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
    ));
    assert!(head.ends_with("Content-Description: Original header\r\n\r\n"));
    assert!(head.contains("Content-Type: text/rfc822-headers\r\n"));
    assert_eq!(made.tail, b"\r\n--=_report_00000000000000000000000000000abc--\r\n");
    assert_eq!(made.body, BodyKind::SevenBit);
}

#[test]
fn every_line_ends_with_crlf_and_fits() {
    let to = recipient("nobody@example.net");
    let long = "550 ".to_owned() + &"x".repeat(5000) + "\nX-Forged: yes";
    let head = text(&report(&origin("a@example.org"), &[failed(&to, &long)]).unwrap());
    assert!(head.split("\r\n").all(|l| l.len() <= 998 && !l.contains(['\r', '\n'])));
    assert!(!head.contains("\nX-Forged"));
}

#[test]
fn parts_are_where_the_boundary_says() {
    let to = recipient("nobody@example.net");
    let made = report(&origin("a@example.org"), &[failed(&to, "550 no")]).unwrap();
    let head = text(&made);
    let boundary = "\r\n--=_report_00000000000000000000000000000abc\r\n";
    assert_eq!(head.matches(boundary).count(), 3);
    for part in head.split(boundary).skip(1) {
        assert!(part.starts_with("Content-Type: "), "{part}");
    }
}

#[test]
fn nobody_is_told_who_did_not_ask_and_never_the_null_sender() {
    let to = Recipient { notify: Notify::NEVER, ..recipient("b@example.net") };
    assert_eq!(report(&origin("a@example.org"), &[failed(&to, "550 no")]), None);
    let to = recipient("b@example.net");
    assert_eq!(report(&Origin::default(), &[failed(&to, "550 no")]), None);
    let late = Fate { action: Action::Delayed, ..failed(&to, "451 later") };
    assert_eq!(
        report(&origin("a@example.org"), std::slice::from_ref(&late)),
        None,
        "the default is failures only"
    );
    let asked = Recipient { notify: Notify { delay: true, ..Notify::NEVER }, ..to.clone() };
    let late = Fate { recipient: &asked, retry_until: Some(ARRIVED), ..late };
    let head = text(&report(&origin("a@example.org"), &[late]).unwrap());
    assert!(head.contains("Subject: Your message is delayed\r\n"));
    assert!(head.contains("Will-Retry-Until: Mon, 23 Nov 2026 12:35:25 +0000\r\n"));
}

#[test]
fn only_those_who_are_concerned_are_named() {
    let (told, untold) = (recipient("b@example.net"), recipient("c@example.net"));
    let untold = Recipient { notify: Notify::NEVER, ..untold };
    let head = text(&report(&origin("a@example.org"), &[failed(&untold, "x"), failed(&told, "y")]).unwrap());
    assert!(head.contains("b@example.net") && !head.contains("c@example.net"));
}

#[test]
fn the_whole_message_comes_back_if_asked_for_and_not_too_long() {
    let mut from = origin("a@example.org");
    from.ret = Return::Full;
    from.body = BodyKind::EightBitMime;
    let to = recipient("b@example.net");
    let made = report(&from, &[failed(&to, "550 no")]).unwrap();
    assert_eq!((made.original.clone(), made.body), (0..5000, BodyKind::EightBitMime));
    assert!(text(&made).contains("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n"));
    let done = Fate { action: Action::Relayed, ..failed(&to, "250 ok") };
    assert_eq!(report(&from, &[done]), None, "success was not asked for");
    let host = HostName::new("h");
    let reporter = Reporter { host: &host, now: ARRIVED, token: 1, max_returned: 4999 };
    let original = Original { origin: &from, arrived: ARRIVED, header: 1 << 20, total: 1 << 30 };
    let made = compose(&reporter, &original, &[failed(&to, "550 no")]).unwrap();
    assert_eq!(made.original, 0..MAX_RETURNED_HEADER);
}

#[test]
fn what_the_sender_gave_comes_back() {
    let mut from = origin("a@example.org");
    from.envelope_id = Some("QQ 31\r\nX".into());
    let to = Recipient { original: Some("rfc822;Old@example.com".into()), ..recipient("b@example.net") };
    let head = text(&report(&from, &[failed(&to, "550 no")]).unwrap());
    assert!(head.contains("Original-Envelope-Id: QQ 31  X\r\n"));
    assert!(head.contains("Original-Recipient: rfc822;Old@example.com\r\nFinal-Recipient: rfc822; b@"));
}

#[test]
fn internationalised_addresses_use_the_forms_of_rfc_6533() {
    let to = recipient("jürgen@exämple.net");
    let made = report(&origin("a@example.org"), &[failed(&to, "550 nö")]).unwrap();
    let head = text(&made);
    assert!(!made.utf8, "the header of the report itself is ASCII");
    assert!(head.contains("report-type=global-delivery-status;"));
    assert!(head.contains("Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit"));
    assert!(head.contains("Final-Recipient: utf-8; jürgen@exämple.net\r\n"));
    assert!(head.contains("Content-Type: message/global-headers\r\n"));
    assert!(head.contains("Diagnostic-Code: smtp; 550 n?\r\n"));
    assert!(report(&origin("ü@example.org"), &[failed(&to, "550 no")]).unwrap().utf8);
}

#[test]
fn long_lists_are_cut() {
    let many: Vec<_> = (0..MAX_FATES + 5).map(|n| recipient(&format!("u{n}@example.net"))).collect();
    let fates: Vec<_> = many.iter().map(|r| failed(r, "550 no")).collect();
    let head = text(&report(&origin("a@example.org"), &fates).unwrap());
    assert_eq!(head.matches("Final-Recipient").count(), MAX_FATES);
}

#[test]
fn status_codes() {
    for good in ["2.0.0", "4.4.7", "5.1.10", "5.999.1"] {
        assert_eq!(Status::parse(good).unwrap().to_string(), good);
    }
    for bad in ["", "5", "5.1", "3.1.1", "5.1.1.1", "5.1000.1", "5..1", "5.1.+1", "5.1.1 "] {
        assert_eq!(Status::parse(bad), None, "{bad}");
    }
    assert_eq!(Status::new(Class::Permanent, 5000, 1).to_string(), "5.999.1");
}
