use super::super::command::*;
use super::super::name::NameForm;
use super::*;
use mail::id::{ModSeq, Uid, UidValidity};
use mail::message::{Limits, Outline, Scanner};
use mail::time::Timestamp;

fn written(write: impl FnOnce(&mut BytesMut)) -> String {
    let mut out = BytesMut::new();
    write(&mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

fn outline(message: &str) -> Outline {
    let mut scanner = Scanner::new(Limits::default());
    scanner.push(message.replace('\n', "\r\n").as_bytes());
    scanner.finish()
}

#[test]
fn strings_are_quoted_where_they_may_be() {
    let string = |text: &[u8]| written(|o| _ = o.string(text));
    assert_eq!(string(b"a\"b\\c"), r#""a\"b\\c""#);
    assert_eq!(string(b""), r#""""#);
    assert_eq!(string("é".as_bytes()), "{2}\r\né");
    assert_eq!(string(b"a\r\nb\0"), "{5}\r\na\r\nb?");
    assert_eq!(string(&[b'x'; 2000]).len(), "{2000}\r\n".len() + 2000);
}

#[test]
fn names_are_written_in_the_form_of_the_connection() {
    let name = |name: &str, form| written(|o| _ = o.mailbox(name, form));
    assert_eq!(name("a/Entwürfe", NameForm::Utf7), "\"a/Entw&APw-rfe\"");
    assert_eq!(name("a/Entwürfe", NameForm::Utf8), "\"a/Entwürfe\"");
    assert_eq!(name("ü\"", NameForm::Utf8), "\"ü\\\"\"");
}

#[test]
fn codes() {
    let code = |code| written(|o| untagged(o, Status::Ok, Some(code), "x"));
    let uids = |n: &[u32]| n.iter().copied().map(Uid).collect::<Vec<_>>();
    assert_eq!(code(Code::AppendUid(UidValidity(7), Uid(9))), "* OK [APPENDUID 7 9] x\r\n");
    let (from, to) = (uids(&[1, 2, 3, 9]), uids(&[5, 6, 8, 7]));
    assert_eq!(code(Code::CopyUid(UidValidity(7), &from, &to)), "* OK [COPYUID 7 1:3,9 5:6,8,7] x\r\n");
    assert_eq!(code(Code::TryCreate), "* OK [TRYCREATE] x\r\n");
    assert_eq!(written(|o| untagged(o, Status::No, None, "a\r\n* b")), "* NO a* b\r\n");
}

#[test]
fn list_and_status() {
    let entry = ListEntry {
        verb: ListVerb::List,
        attributes: MailboxAttributes::HAS_CHILDREN.union(MailboxAttributes::SUBSCRIBED),
        special_use: Some(SpecialUse::Sent),
        name: "Sent",
        old_name: None,
        child_info: Some(SubscribedBelow),
    };
    assert_eq!(
        written(|o| list(o, &entry, NameForm::Utf7)),
        "* LIST (\\HasChildren \\Subscribed \\Sent) \"/\" \"Sent\" (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n"
    );
    let old = ListEntry { old_name: Some("a b"), child_info: None, ..entry };
    assert!(written(|o| list(o, &old, NameForm::Utf7)).ends_with("\"Sent\" (\"OLDNAME\" (\"a b\"))\r\n"));
    let values = StatusValues {
        messages: 3,
        uid_next: Uid(9),
        uid_validity: UidValidity(1),
        unseen: 2,
        deleted: 1,
        size: 5_000_000_000,
        highest_modseq: ModSeq(77),
    };
    let items = StatusItems::MESSAGES.union(StatusItems::SIZE).union(StatusItems::HIGHESTMODSEQ);
    assert_eq!(
        written(|o| mailbox_status(o, "INBOX", NameForm::Utf7, items, &values)),
        "* STATUS \"INBOX\" (MESSAGES 3 SIZE 5000000000 HIGHESTMODSEQ 77)\r\n"
    );
}

#[test]
fn searches() {
    let found: NumberSet = [2, 3, 7].into_iter().collect();
    let none = NumberSet::new();
    let tag = crate::imap::parse::tag_of(b"a1 ").unwrap();
    let answer = |found, modseq| SearchAnswer { found, modseq };
    assert_eq!(written(|o| search(o, answer(&found, Some(ModSeq(5))))), "* SEARCH 2 3 7 (MODSEQ 5)\r\n");
    assert_eq!(written(|o| search(o, answer(&none, Some(ModSeq(5))))), "* SEARCH\r\n");
    let give = SearchReturn { min: true, max: true, all: true, count: true, save: false };
    assert_eq!(
        written(|o| esearch(o, &tag, By::Uid, give, answer(&found, None))),
        "* ESEARCH (TAG \"a1\") UID MIN 2 MAX 7 ALL 2:3,7 COUNT 3\r\n"
    );
    assert_eq!(
        written(|o| esearch(o, &tag, By::Sequence, give, answer(&none, None))),
        "* ESEARCH (TAG \"a1\") COUNT 0\r\n"
    );
}

#[test]
fn an_envelope_shows_from_where_sender_is_missing() {
    let outline = outline(
        "From: \"Joe \\\"Q\\\" Public\" <joe@example.com>\nTo: A: x@a.example, y;\nSubject: Grüße\nDate: today\n\n",
    );
    let mut out = BytesMut::new();
    envelope(&mut out, &outline.envelope());
    let from = r#"(("Joe \"Q\" Public" NIL "joe" "example.com"))"#;
    let to = r#"((NIL NIL "A" NIL)(NIL NIL "x" "a.example")(NIL NIL "y" "")(NIL NIL NIL NIL))"#;
    let expected =
        format!("(\"today\" {{8}}\r\nGrüße {from} {from} {from} {to} NIL NIL NIL NIL)").replace("{8}", "{7}");
    assert_eq!(String::from_utf8(out.to_vec()).unwrap(), expected);
}

#[test]
fn structure_of_a_nested_message() {
    let outline = outline(concat!(
        "Content-Type: multipart/mixed; boundary=b\n\n",
        "--b\nContent-Disposition: attachment; filename=\"a b.txt\"\n\nhello\n",
        "--b\nContent-Type: message/rfc822\n\nFrom: in@ner.example\n\nline\n\n--b--\n",
    ));
    let shown = written(|o| body_structure(o, outline.root()));
    let text = "(\"TEXT\" \"PLAIN\" (\"charset\" \"us-ascii\") NIL NIL \"7BIT\"";
    let inner = r#"((NIL NIL "in" "ner.example"))"#;
    // ITS 23266 and 17563.
    let attachment = r#"NIL ("attachment" ("filename" "a b.txt")) NIL NIL)"#;
    let expected = format!(
        "({text} 5 0 {attachment}(\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 30 \
         (NIL NIL {inner} {inner} {inner} NIL NIL NIL NIL NIL) {text} 6 1 NIL NIL NIL NIL) 3 NIL NIL NIL NIL) \
         \"MIXED\" (\"boundary\" \"b\") NIL NIL NIL)"
    );
    assert_eq!(shown, expected);
    assert!(written(|o| body(o, outline.root())).ends_with(" \"MIXED\")"));
}

#[test]
fn a_fetch_response_is_built_item_by_item() {
    let mut out = BytesMut::new();
    let mut fetch = FetchWriter::begin(&mut out, 3);
    fetch.uid(Uid(9));
    fetch.flags(&Flags::system(mail::flags::SystemFlags::SEEN));
    fetch.internal_date(Timestamp::from_secs(1_795_437_325));
    fetch.size(1234);
    fetch.modseq(ModSeq(8));
    let section = Section {
        part: PartPath(vec![1, 2]),
        text: SectionText::HeaderFields(vec!["From".into(), "X Y".into()]),
    };
    let partial = Some(Partial { offset: 5, count: std::num::NonZeroU32::new(2).unwrap() });
    let mut item = SectionItem { section, partial, seen: MarkSeen::Yes, named: SectionName::Body };
    fetch.section(&item, Some(2));
    fetch.out().raw("xy");
    item.named = SectionName::Rfc822;
    fetch.section(&item, None);
    fetch.binary(&PartPath(vec![2]), None, Some(0));
    fetch.binary_size(&PartPath(vec![2]), 7);
    fetch.end();
    assert_eq!(
        String::from_utf8(out.to_vec()).unwrap(),
        "* 3 FETCH (UID 9 FLAGS (\\Seen) INTERNALDATE \"23-Nov-2026 12:35:25 +0000\" RFC822.SIZE 1234 \
         MODSEQ (8) BODY[1.2.HEADER.FIELDS (From \"X Y\")]<5> {2}\r\nxy RFC822 NIL BINARY[2] ~{0}\r\n \
         BINARY.SIZE[2] 7)\r\n"
    );
}
