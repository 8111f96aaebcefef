//! The scanner, the outline and its stored form against each other and against hostile messages.

use super::*;
use proptest::prelude::*;

fn scan(message: &[u8]) -> Outline {
    scan_in_chunks(message, message.len().max(1), Limits::default())
}

fn scan_in_chunks(message: &[u8], chunk: usize, limits: Limits) -> Outline {
    let mut scanner = Scanner::new(limits);
    message.chunks(chunk).for_each(|c| scanner.push(c));
    scanner.finish()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn section<'a>(message: &'a str, path: &[u32], what: SectionText) -> Option<&'a str> {
    let range = scan(message.as_bytes()).section(path, what)?;
    Some(&message[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()])
}

/// All parts in document order, indented by depth: `type/subtype header body lines`.
fn tree(outline: &Outline) -> String {
    fn walk(part: Part<'_>, depth: usize, out: &mut String) {
        let (h, b) = (part.header(), part.body());
        let media = format!("{}/{}", text(part.media_type()), text(part.subtype()));
        let sizes = format!("{} {} {}", h.end - h.start, b.end - b.start, part.lines());
        out.push_str(&format!("{}{media} {sizes}\n", "  ".repeat(depth)));
        part.children().for_each(|child| walk(child, depth + 1, out));
    }
    let mut out = String::new();
    walk(outline.root(), 0, &mut out);
    out
}

/// Ranges lie in the message and in each other, in order.
fn assert_nested(outline: &Outline) {
    fn walk(part: Part<'_>) {
        let (header, body) = (part.header(), part.body());
        assert!(header.start <= header.end && header.end == body.start && body.start <= body.end);
        let mut free_from = body.start;
        for child in part.children() {
            assert!(child.header().start >= free_from && child.body().end <= body.end);
            free_from = child.body().end;
            walk(child);
        }
    }
    assert_eq!((outline.root().header().start, outline.root().body().end), (0, outline.size()));
    walk(outline.root());
}

const SIMPLE: &str = "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nFROM: \"A B\" <a@b.example>\r\nSubject: folded\r\n \
    subject\r\nTo: x@y,\r\n\tz@y\r\nMessage-ID: <1@b>\r\nSubject: second\r\n\r\nline one\r\n\r\nline three\r\n";

#[test]
fn a_plain_message() {
    let outline = scan(SIMPLE.as_bytes());
    let envelope = outline.envelope();
    assert_eq!(envelope.subject(), Some(&b"folded subject"[..]));
    assert_eq!(envelope.from(), Some(&b"\"A B\" <a@b.example>"[..]));
    assert_eq!(envelope.to(), Some(&b"x@y,\tz@y"[..]));
    assert_eq!(envelope.cc(), None);
    assert_eq!(outline.root().lines(), 3);
    assert_eq!(
        (outline.root().media_type(), outline.root().param("charset")),
        (&b"text"[..], Some(&b"us-ascii"[..]))
    );
    assert_eq!(section(SIMPLE, &[], SectionText::Text), Some("line one\r\n\r\nline three\r\n"));
    assert_eq!(section(SIMPLE, &[1], SectionText::Whole), Some("line one\r\n\r\nline three\r\n"));
    assert_eq!(section(SIMPLE, &[1], SectionText::Mime), section(SIMPLE, &[], SectionText::Header));
    for none in [&[2][..], &[1, 1], &[0]] {
        assert_eq!(section(SIMPLE, none, SectionText::Whole), None);
    }
    assert_eq!(section(SIMPLE, &[1], SectionText::Text), None);
    assert_eq!(section(SIMPLE, &[], SectionText::Mime), None);
}

/// Shaped like the example of RFC 9051 6.4.5.1.
const NESTED: &str = "Subject: all\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=A\r\n\r\npreamble\r\n\
    --A\r\n\r\none\r\n\
    --A  \r\nContent-Type: application/octet-stream; name=\"x.bin\"\r\nContent-Transfer-Encoding: BASE64\r\n\
    Content-Disposition: attachment; filename=x.bin\r\nContent-ID: <i@d>\r\nContent-Language: en, de\r\n\r\nAAAA\r\n\r\n\
    --A\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nFrom: i@n\r\n\r\ninner text\r\n\
    --A\r\nContent-Type: multipart/mixed; boundary=AB\r\n\r\n\
    --AB\r\nContent-Type: image/gif\r\n\r\nG\r\n\
    --AB\r\nContent-Type: message/rfc822\r\n\r\nSubject: deep\r\nContent-Type: multipart/alternative; boundary=C\r\n\r\n\
    --C\r\n\r\nplain\r\n--C\r\nContent-Type: text/html\r\n\r\nhtml\r\n--C--\r\n\
    --AB--\r\n--A--\r\nepilogue\r\n";

#[test]
fn sections_of_a_nested_message() {
    use SectionText::{Header, Mime, Text, Whole};
    let cases = [
        (&[1][..], Whole, "one"),
        (&[1], Mime, "\r\n"),
        (&[2], Whole, "AAAA\r\n"),
        (&[3], Whole, "Subject: inner\r\nFrom: i@n\r\n\r\ninner text"),
        (&[3], Header, "Subject: inner\r\nFrom: i@n\r\n\r\n"),
        (&[3], Text, "inner text"),
        (&[3], Mime, "Content-Type: message/rfc822\r\n\r\n"),
        (&[3, 1], Whole, "inner text"),
        (&[3, 1], Mime, "Subject: inner\r\nFrom: i@n\r\n\r\n"),
        (&[4, 1], Whole, "G"),
        (&[4, 2, 1], Whole, "plain"),
        (&[4, 2, 2], Whole, "html"),
        (&[4, 2, 2], Mime, "Content-Type: text/html\r\n\r\n"),
        (&[4, 2], Text, "--C\r\n\r\nplain\r\n--C\r\nContent-Type: text/html\r\n\r\nhtml\r\n--C--"),
    ];
    for (path, what, expected) in cases {
        assert_eq!(section(NESTED, path, what), Some(expected), "{path:?} {what:?}");
    }
    for (path, what) in
        [(&[5][..], Whole), (&[2, 1], Whole), (&[4], Header), (&[3, 2], Whole), (&[4, 2, 3], Mime)]
    {
        assert_eq!(section(NESTED, path, what), None, "{path:?} {what:?}");
    }
}

#[test]
fn what_a_bodystructure_needs() {
    let outline = scan(NESTED.as_bytes());
    let part = outline.part(&[2]).unwrap();
    assert_eq!((part.encoding(), part.lines()), (&b"base64"[..], 1));
    assert_eq!((part.disposition(), part.content_id()), (Some(&b"attachment"[..]), Some(&b"<i@d>"[..])));
    assert_eq!(part.param("name"), Some(&b"x.bin"[..]));
    assert_eq!(part.disposition_params().next(), Some((&b"filename"[..], &b"x.bin"[..])));
    assert_eq!(part.languages().collect::<Vec<_>>(), [b"en", b"de"]);
    let inner = outline.part(&[4, 2]).unwrap().message().unwrap();
    assert_eq!(inner.envelope().unwrap().subject(), Some(&b"deep"[..]));
    assert_eq!(outline.part(&[4, 2]).unwrap().envelope(), None);
    assert_eq!(outline.part_count(), 11);
}

#[test]
fn boundaries_that_real_mail_has() {
    // The last boundary missing, no line end at the end, LF only, a boundary inside a header.
    let open =
        "Content-Type: multipart/mixed; boundary=\"b b\"\n\n--b b\nContent-Type: text/html\n\nx\n--b b--";
    assert_eq!(tree(&scan(open.as_bytes())), "multipart/mixed 47 40 4\n  text/html 25 1 0\n");
    let cut =
        "Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\nContent-Type: text/x\r\n--b\r\n\r\nx\r\ny\r\n";
    assert_eq!(tree(&scan(cut.as_bytes())), "multipart/x 41 40 6\n  text/x 20 0 0\n  text/plain 2 6 2\n");
    let inner_open = "Content-Type: multipart/a; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/b; boundary=i\r\n\r\n\
        --i\r\n--o\r\n\r\nz\r\n--o--\r\n";
    assert_eq!(
        tree(&scan(inner_open.as_bytes())),
        "multipart/a 41 68 8\n  multipart/b 41 3 0\n    text/plain 0 0 0\n  text/plain 2 1 0\n"
    );
}

#[test]
fn multiparts_without_parts_are_text() {
    for header in
        ["multipart/mixed; boundary=x", "multipart/mixed", "multipart/mixed; boundary=\"\"", "nonsense"]
    {
        let message = format!("Content-Type: {header}\r\n\r\n--y\r\nhello\r\n");
        let outline = scan(message.as_bytes());
        assert_eq!(
            (outline.root().kind(), outline.root().media_type()),
            (Kind::Leaf, &b"text"[..]),
            "{header}"
        );
    }
    let outline = scan(b"Content-Type: multipart/mixed; boundary=x\r\n");
    assert_eq!((outline.root().kind(), outline.root().subtype()), (Kind::Leaf, &b"plain"[..]));
}

#[test]
fn a_digest_holds_messages() {
    let digest = "Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: in\r\n\r\nx\r\n\
        --d\r\nContent-Type: text/plain\r\n\r\ny\r\n--d--\r\n";
    let outline = scan(digest.as_bytes());
    assert_eq!(outline.part(&[1]).unwrap().kind(), Kind::Message);
    assert_eq!(section(digest, &[1, 1], SectionText::Whole), Some("x"));
    assert_eq!(outline.part(&[2]).unwrap().kind(), Kind::Leaf);
}

#[test]
fn hostile_messages_stay_within_the_limits() {
    let deep: String = (0..10_000)
        .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"))
        .chain(["\r\nx\r\n".into()])
        .collect();
    let outline = scan(deep.as_bytes());
    assert_eq!(outline.part_count(), 100);
    let deepest = outline.part(&[1; 99]).unwrap();
    assert_eq!((deepest.media_type(), deepest.kind()), (&b"application"[..], Kind::Leaf));
    assert_nested(&outline);

    let messages = "Content-Type: message/rfc822\r\n\r\n".repeat(10_000);
    assert_eq!(scan(messages.as_bytes()).part_count(), 100);

    let wide =
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", "--b\r\n\r\nx\r\n".repeat(20_000));
    let outline = scan(wide.as_bytes());
    assert_eq!((outline.part_count(), outline.size()), (10_000, u64::try_from(wide.len()).unwrap()));
    assert!(outline.encode().len() < 1 << 20);
    assert_eq!(Outline::decode(&outline.encode()), Ok(outline));

    let headers = "Content-Description: x\r\nTo: a@b,\r\nX: y\r\n".repeat(33_000);
    assert_eq!(scan(headers.as_bytes()).envelope().to(), Some(&b"a@b,"[..]));
}

#[test]
fn long_fields_are_cut_and_address_lists_at_a_comma() {
    let limits = Limits { field: 1000, ..Limits::default() };
    let message = format!("To: {}\r\nSubject: {}", "abc@def, ".repeat(1000), "s".repeat(9_000_000));
    let outline = scan_in_chunks(message.as_bytes(), 4096, limits);
    assert!(outline.envelope().to().unwrap().ends_with(b", abc@def"));
    assert_eq!(outline.envelope().subject().unwrap().len(), 999);
    let limits = Limits { text: 100, ..Limits::default() };
    let outline = scan_in_chunks(NESTED.as_bytes(), 7, limits);
    assert_eq!(outline.envelope().subject(), Some(&b"all"[..]));
    assert_nested(&outline);
}

#[test]
fn the_stored_form_is_small_and_its_head_reads_alone() {
    let outline = scan(NESTED.as_bytes());
    let stored = outline.encode();
    assert!(stored.len() < 500, "{}", stored.len());
    assert!(scan(SIMPLE.as_bytes()).encode().len() < 150);
    let head = Head::decode(&stored[..60]).unwrap();
    assert_eq!((head.size, head.header_len), (outline.size(), outline.header_len()));
    assert_eq!(head.envelope, outline.envelope());
    for cut in 0..stored.len() {
        assert_eq!(Outline::decode(&stored[..cut]), Err(BadOutline::CutOff), "{cut}");
    }
    let mut newer = stored.clone();
    newer[0] = 9;
    assert_eq!(Outline::decode(&newer), Err(BadOutline::Version(9)));
    newer[0] = 1;
    newer.push(0);
    assert_eq!(Outline::decode(&newer), Err(BadOutline::Garbled));
}

/// Lines that matter to a scanner, in any order: the messages that chance alone would never make.
fn mail_like() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("\r\n".to_string()),
        Just("\n".to_string()),
        Just("Content-Type: message/rfc822\r\n".to_string()),
        Just("Content-Type: text/plain; charset=\"utf-8\"; format=flowed\r\n".to_string()),
        Just("Content-Disposition: inline; filename=a\r\n".to_string()),
        Just(" continued, more\r\n".to_string()),
        "Content-Type: multipart/(mixed|digest); boundary=[abc]{1,2}\r\n",
        "--[abc]{1,2}(--)?[ ]{0,2}(\r\n|\n|\r)",
        "(Subject|To|X-Y|content-id)[ ]?: [ -~]{0,30}\r\n",
        "[ -~]{0,40}(\r\n|\n|\r|\0)",
    ];
    proptest::collection::vec(line, 0..40).prop_map(|lines| lines.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn chunks_change_nothing(message in mail_like(), chunk in 1usize..30, depth in 1usize..6, parts in 1usize..8) {
        for limits in [Limits::default(), Limits { depth, parts, field: 20, text: 120 }] {
            let whole = scan_in_chunks(&message, message.len().max(1), limits);
            let pieces = scan_in_chunks(&message, chunk, limits);
            prop_assert_eq!(whole.encode(), pieces.encode());
            assert_nested(&whole);
            prop_assert_eq!(whole.size(), u64::try_from(message.len()).unwrap());
            prop_assert!(whole.part_count() <= limits.parts);
        }
    }

    #[test]
    fn stored_and_read_back(message in mail_like()) {
        let outline = scan(&message);
        let stored = outline.encode();
        let back = Outline::decode(&stored).unwrap();
        prop_assert_eq!(back.encode(), stored);
        prop_assert_eq!(tree(&back), tree(&outline));
        prop_assert_eq!(back.envelope(), outline.envelope());
    }

    #[test]
    fn any_octets_are_a_message(message in proptest::collection::vec(any::<u8>(), 0..2000), chunk in 1usize..99) {
        let outline = scan_in_chunks(&message, chunk, Limits::default());
        assert_nested(&outline);
        prop_assert_eq!(outline, scan(&message));
    }

    #[test]
    fn a_damaged_outline_is_refused_or_sound(message in mail_like(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut stored = scan(&message).encode();
        let at = at.index(stored.len());
        stored[at] = to;
        let _ = Head::decode(&stored);
        if let Ok(outline) = Outline::decode(&stored) {
            assert_nested(&outline);
            prop_assert_eq!(Outline::decode(&outline.encode()), Ok(outline));
        }
    }

    #[test]
    fn any_octets_are_an_outline_or_not(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut octets = octets;
        if let Some(version) = octets.first_mut() {
            *version = 1;
        }
        if let Ok(outline) = Outline::decode(&octets) {
            assert_nested(&outline);
            prop_assert!(outline.part_count() <= octets.len());
        }
    }

    #[test]
    fn any_octets_are_header_values(value in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(addresses::parse(&value).count() <= 2 * value.len() + 1);
        let _ = date::parse(&value);
        let joined: usize = header::fields(&value).map(|f| f.raw.len()).sum();
        prop_assert!(joined <= value.len());
    }

    #[test]
    fn address_and_date_like_values_end(value in "[a-zA-Z0-9@<>(),:;\"\\\\. +-]{0,80}") {
        prop_assert!(addresses::parse(value.as_bytes()).count() <= 2 * value.len() + 1);
        let _ = date::parse(value.as_bytes());
    }
}
