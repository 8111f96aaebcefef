use super::*;
use bytes::Buf as _;
use proptest::prelude::*;

/// The content and the end of what arrives in pieces that end at `cuts`, and what is left behind the end.
fn decode(encoded: &[u8], cuts: &[usize]) -> Option<(Vec<u8>, Option<BadData>, Vec<u8>)> {
    let (mut decoder, mut buffer, mut content) = (Decoder::new(), BytesMut::new(), Vec::new());
    let mut cuts: Vec<usize> =
        cuts.iter().map(|c| c % (encoded.len() + 1)).chain([0, encoded.len()]).collect();
    cuts.sort_unstable();
    let mut end = None;
    for piece in cuts.windows(2) {
        buffer.extend_from_slice(&encoded[piece[0]..piece[1]]);
        while end.is_none() {
            match decoder.next(&buffer) {
                Piece::NeedMore => break,
                Piece::Content { skip, keep } => {
                    buffer.advance(skip);
                    content.extend_from_slice(&buffer.split_to(keep));
                }
                Piece::End { skip, fault } => {
                    buffer.advance(skip);
                    end = Some(fault);
                }
            }
        }
        assert!(end.is_some() || buffer.len() < 4, "too much is held back");
    }
    end.map(|fault| (content, fault, buffer.to_vec()))
}

fn stuff(content: &[u8], cut: usize) -> Vec<u8> {
    let (mut stuffer, mut out) = (Stuffer::new(), BytesMut::new());
    let (a, b) = content.split_at(cut % (content.len() + 1));
    stuffer.push(a, &mut out);
    stuffer.push(b, &mut out);
    stuffer.finish(&mut out);
    out.to_vec()
}

#[test]
fn dots_are_dropped_and_the_end_is_found() {
    let good = |text: &str| Some((text.as_bytes().to_vec(), None, b"QUIT\r\n".to_vec()));
    assert_eq!(decode(b"a\r\n..b\r\n.\r\nQUIT\r\n", &[]), good("a\r\n.b\r\n"));
    assert_eq!(decode(b".\r\nQUIT\r\n", &[]), good(""));
    assert_eq!(decode(b".x\r\n...\r\n.\r\nQUIT\r\n", &[]), good("x\r\n..\r\n"));
    assert_eq!(decode(b"a\r\n", &[]), None);
}

#[test]
fn nothing_but_the_true_end_ends_a_message() {
    for fake in [
        "a\n.\n",
        "a\n.\r\n",
        "a\r\n.\n",
        "a\r.\r",
        "a\r.\r\n",
        "a\r\n.\r",
        "a\r\n\r.\r\n",
        "\n.\r\n",
        "\n.\n",
    ] {
        for cut in 0..12 {
            let smuggled = format!("{fake}MAIL FROM:<b@c>\r\n.\r\nNOOP\r\n");
            let (_, fault, rest) = decode(smuggled.as_bytes(), &[cut]).unwrap();
            assert!(fault.is_some(), "{fake:?} is not noticed when cut at {cut}");
            assert_eq!(rest, b"NOOP\r\n", "{fake:?} ends the message when cut at {cut}");
        }
    }
}

#[test]
fn bare_cr_and_lf_are_told_apart() {
    assert_eq!(decode(b"a\nb\r\n.\r\n", &[]).unwrap().1, Some(BadData::BareLf));
    assert_eq!(decode(b"a\rb\r\n.\r\n", &[]).unwrap().1, Some(BadData::BareCr));
    assert_eq!(decode(b"a\r\r\n.\r\n", &[]).unwrap().1, Some(BadData::BareCr));
    assert_eq!(decode(b"a\0b\r\n.\r\n", &[]).unwrap().1, None);
}

#[test]
fn chunks_are_counted() {
    let mut chunk = Chunk::new(10);
    assert_eq!((chunk.take(4), chunk.take(100), chunk.take(1), chunk.left()), (4, 6, 0, 0));
    assert_eq!(Chunk::new(u64::MAX).take(5), 5);
}

proptest! {
    #[test]
    fn what_is_stuffed_comes_back(
        lines in proptest::collection::vec("[.a]{0,5}|[^\r\n]{0,9}", 0..9), cut: usize,
        cuts in proptest::collection::vec(any::<usize>(), 0..9),
    ) {
        let content: String = lines.iter().map(|l| format!("{l}\r\n")).collect();
        let encoded = stuff(content.as_bytes(), cut);
        let decoded = decode(&encoded, &cuts);
        prop_assert_eq!(decoded, Some((content.into_bytes(), None, vec![])));
    }

    #[test]
    fn an_open_last_line_is_closed(content in "[.a]{1,9}", cut: usize) {
        let decoded = decode(&stuff(content.as_bytes(), cut), &[]);
        prop_assert_eq!(decoded, Some((format!("{content}\r\n").into_bytes(), None, vec![])));
    }

    #[test]
    fn the_pieces_do_not_matter(
        input in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a')], 0..60),
        cuts in proptest::collection::vec(any::<usize>(), 0..20),
    ) {
        let mut input = input;
        input.extend_from_slice(b"\r\n.\r\n");
        let whole = decode(&input, &[]).map(|(c, f, r)| (f.is_none().then_some(c), f.is_some(), r));
        let pieces = decode(&input, &cuts).map(|(c, f, r)| (f.is_none().then_some(c), f.is_some(), r));
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn a_fault_is_a_bare_cr_or_lf(
        input in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'a')], 0..40),
        cut: usize,
    ) {
        let text = String::from_utf8(input.clone()).unwrap();
        let bare = text.replace("\r\n", "").contains(['\r', '\n']);
        let mut check = LineCheck::default();
        let (a, b) = input.split_at(cut % (input.len() + 1));
        check.push(a);
        check.push(b);
        prop_assert_eq!(check.finish().is_some(), bare);
        let encoded = [&input[..], b"a\r\n.\r\n"].concat();
        let bare = String::from_utf8(encoded.clone()).unwrap().replace("\r\n", "").contains(['\r', '\n']);
        prop_assert_eq!(decode(&encoded, &[cut]).unwrap().1.is_some(), bare);
    }
}
