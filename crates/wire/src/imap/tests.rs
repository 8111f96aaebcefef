//! The decoder and the parser together, as a connection uses them.

use super::command::*;
use super::decoder::{Decoder, Event, Line, Refused, TooMuch, Waits};
use super::name::{MailboxName, NameForm};
use super::parse::BadCommand;
use super::response::Put;
use super::{Limits, Unwaited};
use bytes::BytesMut;
use mail::flags::{FlagAction, SystemFlags};
use mail::id::ModSeq;
use mail::search::{Criterion, Day, Needle, Place};
use proptest::prelude::*;

/// What happens to a stream in pieces of this size; `+` is answered at once, messages are accepted.
fn run(bytes: &[u8], piece: usize, limits: Limits) -> Vec<String> {
    let mut decoder = Decoder::new(limits);
    let mut buffer = BytesMut::new();
    let mut out = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        buffer.extend_from_slice(piece);
        if drain(&mut decoder, &mut buffer, &mut out) {
            return out;
        }
    }
    out
}

/// `true` where the connection has ended.
fn drain(decoder: &mut Decoder, buffer: &mut BytesMut, out: &mut Vec<String>) -> bool {
    loop {
        while let Some(piece) = decoder.message(buffer) {
            out.extend(piece.iter().map(|b| format!("octet {b}")));
        }
        if decoder.message_left() > 0 {
            return false;
        }
        if out.last().is_some_and(|l| l.starts_with("octet") || l.starts_with("append")) {
            match decoder.append_end(buffer) {
                None => return false,
                Some(end) => out.push(format!("{end:?}")),
            }
        }
        match decoder.next(buffer, NameForm::Utf7) {
            Event::NeedMore => return false,
            Event::Continue => out.push("+".into()),
            Event::Fatal(why) => {
                out.push(format!("fatal {why:?}"));
                return true;
            }
            Event::Append(append, waits) => {
                decoder.accept(&append);
                out.push(format!("append {append:?} {waits:?}"));
            }
            other => out.push(format!("{other:?}")),
        }
    }
}

fn one(line: &str) -> Result<Command, BadCommand> {
    let mut decoder = Decoder::new(Limits::default());
    let mut buffer = BytesMut::from(format!("a1 {line}\r\n").as_bytes());
    loop {
        match decoder.next(&mut buffer, NameForm::Utf7) {
            Event::Command(tagged) => return Ok(tagged.command),
            Event::Bad(Refused { why, .. }) => return Err(why),
            Event::Continue => {}
            other => panic!("{line}: {other:?}"),
        }
    }
}

fn name(text: &str) -> MailboxName {
    MailboxName::new(text).unwrap()
}

#[test]
fn simple_commands() {
    assert_eq!(one("noop"), Ok(Command::Noop));
    assert_eq!(one("CREATE \"a b\""), Ok(Command::Create(name("a b"), vec![])));
    let used = Command::Create(name("S"), vec![SpecialUse::Sent]);
    assert_eq!(one("CREATE S (USE (\\sent))"), Ok(used));
    assert_eq!(one("RENAME inbox {3+}\r\nold"), Ok(Command::Rename(name("INBOX"), name("old"))));
    assert_eq!(one("DELETE &AOk-"), Ok(Command::Delete(name("é"))));
    let select = Select { mailbox: name("INBOX"), access: Access::ReadOnly, condstore: true };
    assert_eq!(one("EXAMINE InBox (CONDSTORE)"), Ok(Command::Select(select)));
    assert_eq!(
        one("ENABLE condstore IMAP4rev2"),
        Ok(Command::Enable(vec!["CONDSTORE".into(), "IMAP4REV2".into()]))
    );
    let id = vec![("name".into(), Some("x\"y".into())), ("v".into(), None)];
    assert_eq!(one(r#"ID ("name" "x\"y" "v" NIL)"#), Ok(Command::Id(id)));
    assert_eq!(one("ID NIL"), Ok(Command::Id(vec![])));
    assert_eq!(one("GETQUOTA \"\""), Ok(Command::GetQuota("".into())));
    let items = StatusItems::MESSAGES.union(StatusItems::DELETED);
    assert_eq!(one("STATUS a (messages DELETED)"), Ok(Command::Status(name("a"), items)));
}

#[test]
fn logins_take_every_kind_of_string() {
    for line in ["LOGIN joe \"a b\"", "LOGIN {3}\r\njoe {3+}\r\na b", "LOGIN \"joe\" {3}\r\na b"] {
        let Ok(Command::Login(login)) = one(line) else { panic!("{line}") };
        assert_eq!((&*login.user, login.password.0.expose()), ("joe", &b"a b"[..]), "{line}");
    }
    let Ok(Command::Authenticate(auth)) = one("AUTHENTICATE plain AGpvZQBh") else { panic!() };
    assert_eq!((&*auth.mechanism, auth.initial.unwrap().0.expose()), ("PLAIN", &b"\0joe\0a"[..]));
    let Ok(Command::Authenticate(auth)) = one("AUTHENTICATE PLAIN =") else { panic!() };
    assert!(auth.initial.unwrap().0.expose().is_empty());
    assert!(!format!("{:?}", one("LOGIN joe sesame")).contains("sesame"));
}

#[test]
fn what_is_wrong_is_said() {
    for (line, why) in [
        ("XYZZY", BadCommand::Unknown),
        ("UID XYZZY 1", BadCommand::Unknown),
        ("SELECT &", BadCommand::BadName),
        ("SEARCH CHARSET KOI8-R TEXT x", BadCommand::BadCharset),
        ("NOOP x", BadCommand::Syntax("unexpected text at the end")),
        ("SELECT \"a", BadCommand::Syntax("quoted string is not closed")),
        ("STORE 1 +FLAGS (\\Bogus)", BadCommand::Syntax("no such flag")),
        ("FETCH 0 FLAGS", BadCommand::Syntax("number must not be zero")),
        ("FETCH 4294967296 FLAGS", BadCommand::Syntax("number too large")),
        ("LIST (RECURSIVEMATCH) \"\" *", BadCommand::Syntax("RECURSIVEMATCH needs another selection option")),
    ] {
        assert_eq!(one(line), Err(why), "{line}");
    }
}

#[test]
fn lists() {
    let Ok(Command::List(list)) = one("LIST \"\" %/*") else { panic!() };
    assert!(!list.extended && list.patterns[0].as_str() == "%/*");
    let Ok(Command::List(list)) =
        one("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (a \"b c\") RETURN (CHILDREN STATUS (UNSEEN SIZE))")
    else {
        panic!()
    };
    assert!(list.extended && list.select.subscribed && list.select.recursive_match && list.give.children);
    assert_eq!(list.patterns.len(), 2);
    assert_eq!(list.give.status, Some(StatusItems::UNSEEN.union(StatusItems::SIZE)));
    assert!(matches!(one("LIST () \"\" () RETURN ()"), Err(BadCommand::Syntax(_))));
    assert!(matches!(one("LSUB \"\" *"), Ok(Command::Lsub(..))));
}

#[test]
fn fetches() {
    let Ok(Command::Fetch(fetch)) = one("UID FETCH 1:*,7 FULL (CHANGEDSINCE 12)") else { panic!() };
    assert_eq!((fetch.by, fetch.items.len(), fetch.changed_since), (By::Uid, 5, Some(ModSeq(12))));
    let Ok(Command::Fetch(fetch)) = one(
        "FETCH $ (UID BODY.PEEK[1.2.HEADER.FIELDS.NOT (To \"Cc\")]<0.10> BODY[] BODY[TEXT] BODY[3.MIME] BODY[4] \
         BINARY.PEEK[1]<1.2> BINARY.SIZE[] RFC822.HEADER BODY BODYSTRUCTURE)",
    ) else {
        panic!()
    };
    assert_eq!(fetch.set, SequenceSet::Saved);
    assert_eq!(fetch.items.len(), 11);
    let FetchItem::Section(first) = &fetch.items[1] else { panic!() };
    assert_eq!(first.section.part, PartPath(vec![1, 2]));
    assert_eq!(first.section.text, SectionText::HeaderFieldsNot(vec!["To".into(), "Cc".into()]));
    assert_eq!((first.seen, first.partial.map(|p| p.count.get())), (MarkSeen::No, Some(10)));
    let seen: Vec<bool> = fetch.items.iter().map(FetchItem::marks_seen).collect();
    assert_eq!(seen.iter().filter(|s| **s).count(), 4);
    for bad in ["FETCH 1 BODY[MIME]", "FETCH 1 BODY[1.]", "FETCH 1 BODY[]<1>", "FETCH 1 (ALL)", "FETCH 1 ()"]
    {
        assert!(one(bad).is_err(), "{bad}");
    }
}

#[test]
fn stores_and_transfers() {
    let Ok(Command::Store(store)) = one("STORE 1 (UNCHANGEDSINCE 5) -flags.silent (\\Seen work)") else {
        panic!()
    };
    assert_eq!(
        (store.action, store.answer, store.unchanged_since),
        (FlagAction::Remove, StoreAnswer::Silent, Some(ModSeq(5)))
    );
    assert!(store.flags.system == SystemFlags::SEEN && store.flags.keywords.len() == 1);
    assert!(matches!(one("STORE 1 FLAGS \\Seen \\Draft"), Ok(Command::Store(_))));
    assert!(matches!(one("UID MOVE 1:4 a"), Ok(Command::Move(Transfer { by: By::Uid, .. }))));
    assert!(matches!(one("UID EXPUNGE 1:4"), Ok(Command::UidExpunge(_))));
}

#[test]
fn searches() {
    let key = |line: &str| match one(line) {
        Ok(Command::Search(search)) => search.key,
        other => panic!("{line}: {other:?}"),
    };
    let is = SearchKey::Is;
    let text = |place, needle: &str| is(Criterion::Text(place, Needle::new(needle).unwrap()));
    assert_eq!(key("SEARCH ALL"), is(Criterion::every()));
    assert_eq!(
        key("SEARCH OR NOT SEEN (FROM \"x\" header Subject {1}\r\ny) UID 3"),
        SearchKey::All(vec![
            SearchKey::Or(Box::new((
                SearchKey::Not(Box::new(is(Criterion::Flags(SystemFlags::SEEN)))),
                SearchKey::All(vec![
                    text(Place::Header("from".into()), "x"),
                    text(Place::Header("subject".into()), "y"),
                ]),
            ))),
            SearchKey::Uids(SequenceSet::Ranges(vec![bounds(3, 3)])),
        ])
    );
    let day = Day::new(2026, 11, 3).unwrap();
    assert_eq!(key("SEARCH ON 3-Nov-2026"), is(Criterion::Received(day.start()..day.next().start())));
    assert_eq!(key("SEARCH SENTSINCE \"03-nov-2026\""), is(Criterion::Sent(day..Day::MAX)));
    assert_eq!(key("SEARCH MODSEQ \"/flags/\\\\draft\" all 620"), is(Criterion::ChangedSince(ModSeq(620))));
    let Ok(Command::Search(search)) = one("UID SEARCH RETURN (SAVE COUNT) CHARSET utf-8 TEXT gr\u{fc}n")
    else {
        panic!()
    };
    let give = search.give.unwrap();
    assert!(give.save && give.count && !give.all && search.by == By::Uid);
    let Ok(Command::Search(search)) = one("SEARCH RETURN () 1:5") else { panic!() };
    assert!(search.give.unwrap().all);
    let deep = format!("SEARCH {}ALL{}", "(".repeat(1000), ")".repeat(1000));
    assert_eq!(one(&deep), Err(BadCommand::TooMany("levels of search keys")));
    assert_eq!(
        one(&format!("SEARCH {}", "SEEN ".repeat(1000).trim_end())),
        Err(BadCommand::TooMany("search keys"))
    );
}

fn bounds(a: u32, b: u32) -> (Bound, Bound) {
    let bound = |n| std::num::NonZeroU32::new(n).map_or(Bound::Last, Bound::Number);
    (bound(a), bound(b))
}

#[test]
fn a_literal_is_judged_before_it_is_asked_for() {
    let limits = Limits { literal: 10, ..Limits::default() };
    assert_eq!(run(b"a LOGIN {4294967296}\r\na NOOP\r\n", 1, limits).len(), 2);
    let out = run(b"a LOGIN {11}\r\nb NOOP\r\n", 3, limits);
    assert!(out[0].contains("LiteralTooBig") && out[1].contains("Noop"), "{out:?}");
    let out = run(b"a LOGIN {11+}\r\n01234567890 {2+}\r\nxy\r\nb NOOP\r\n", 3, limits);
    assert!(out[0].contains("LiteralTooBig") && out[1].contains("Noop"), "{out:?}");
    let out = run(b"a LOGIN {4294967296+}\r\nxxxx", 3, limits);
    assert_eq!(out[1], format!("fatal {:?}", TooMuch::Literal));
    let out = run(b"a LOGIN {99999999999999999999+}\r\n", 3, limits);
    assert_eq!(out[0], format!("fatal {:?}", TooMuch::Literal));
    let small = Limits { unwaited: Unwaited::Small, ..Limits::default() };
    let out = run(format!("a LOGIN {{5000+}}\r\n{} x\r\nb NOOP\r\n", "y".repeat(5000)).as_bytes(), 99, small);
    assert!(out[0].contains("LiteralNotWaited") && out[1].contains("Noop"), "{out:?}");
}

#[test]
fn the_message_of_an_append_is_handed_over() {
    let out = run(
        b"a APPEND {1+}\r\nx (\\Seen) \"01-Jan-2026 10:00:00 +0100\" {3}\r\nabc\r\nb NOOP\r\n",
        4,
        Limits::default(),
    );
    assert!(out[0].starts_with("append") && out[0].contains("Yes"), "{out:?}");
    assert_eq!(&out[1..5], ["octet 97", "octet 98", "octet 99", "Ok(())"]);
    assert!(out[5].contains("Noop"));
    let out = run(b"a APPEND x {3+}\r\nabc {3+}\r\ndef\r\nb NOOP\r\n", 5, Limits::default());
    assert!(out[4].contains("nothing may follow") && out[5].contains("Noop"), "{out:?}");
    let out = run(b"a APPEND x ~{0+}\r\n\r\n", 5, Limits::default());
    assert!(out[0].starts_with("append") && out[1] == "Ok(())", "{out:?}");
    let limits = Limits { message: 2, skip: 1 << 20, ..Limits::default() };
    let out = run(b"a APPEND x {3}\r\nb APPEND x {3+}\r\nabc\r\nc APPEND x {4294967296+}\r\n", 5, limits);
    assert!(
        out[0].contains("MessageTooBig") && out[1].contains("MessageTooBig") && out[3].starts_with("fatal"),
        "{out:?}"
    );
}

#[test]
fn a_refused_message_is_read_past() {
    let mut decoder = Decoder::new(Limits::default());
    let mut buffer = BytesMut::from(&b"a APPEND x {3+}\r\nabc\r\nb NOOP\r\n"[..]);
    let Event::Append(append, Waits::No) = decoder.next(&mut buffer, NameForm::Utf7) else { panic!() };
    decoder.refuse(&append, Waits::No);
    assert!(
        matches!(decoder.next(&mut buffer, NameForm::Utf7), Event::Command(t) if t.command == Command::Noop)
    );
    assert!(decoder.is_idle());
}

#[test]
fn a_line_without_end_is_refused_and_then_ends_the_connection() {
    let limits = Limits { line: 100, skip: 1000, ..Limits::default() };
    let out = run(&[b"a NOOP ".as_slice(), &[b'x'; 500], b"\r\nb NOOP\r\n"].concat(), 7, limits);
    assert!(
        out[0].contains("LineTooLong") && out[0].contains("Some(a)") && out[1].contains("Noop"),
        "{out:?}"
    );
    let out = run(&[b'x'; 5000], 7, limits);
    assert!(out[0].contains("LineTooLong") && out[1] == "fatal Line", "{out:?}");
}

#[test]
fn plain_lines() {
    let mut decoder = Decoder::new(Limits { line: 10, ..Limits::default() });
    let mut buffer = BytesMut::from(&b"DON"[..]);
    assert_eq!(decoder.line(&mut buffer), Line::NeedMore);
    buffer.extend_from_slice(b"E\r\nx");
    assert_eq!(decoder.line(&mut buffer), Line::Text("DONE".into()));
    buffer.extend_from_slice(b"0123456789");
    assert_eq!(decoder.line(&mut buffer), Line::TooLong);
}

/// Pieces that commands are made of, so that random input gets past the first word.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "a1 ",
        "\r\n",
        "\n",
        " ",
        "(",
        ")",
        "[",
        "]",
        "<",
        ">",
        "\"",
        "\\",
        "{3}\r\n",
        "{3+}\r\n",
        "~{2+}\r\n",
        "{99}",
        "{99999999999+}\r\n",
        "NIL",
        "*",
        "%",
        "1:*",
        "$",
        "1,2:4",
        "FETCH ",
        "UID ",
        "SEARCH ",
        "STORE ",
        "BODY[",
        "HEADER.FIELDS (",
        "+FLAGS ",
        "\\Seen",
        "APPEND x ",
        "LIST ",
        "RETURN (",
        "STATUS ",
        "OR ",
        "NOT ",
        "1-Jan-2026",
        "LOGIN ",
        "AUTHENTICATE PLAIN ",
        "SELECT ",
        "CREATE ",
        "USE (",
        "ID (",
        "&AOk-",
        "INBOX",
    ]);
    let piece = prop_oneof![
        6 => known.prop_map(|s| s.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(piece, 0..25).prop_map(|pieces| pieces.concat())
}

fn tiny() -> Limits {
    Limits { line: 60, literal: 20, command: 100, message: 50, skip: 200, unwaited: Unwaited::All }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_panics_and_the_cut_does_not_matter(bytes in fragments(), piece in 1usize..20) {
        for limits in [Limits::default(), tiny()] {
            prop_assert_eq!(run(&bytes, piece, limits), run(&bytes, usize::MAX, limits));
        }
    }

    #[test]
    fn strings_come_back_as_they_were_written(user in "[ -~é\"\\\\]{1,20}", pass in any::<Vec<u8>>()) {
        let pass: Vec<u8> = pass.into_iter().filter(|b| *b != 0).collect();
        let mut out = BytesMut::new();
        out.raw("t LOGIN ").string(user.as_bytes()).raw(" ").string(&pass).crlf();
        let mut decoder = Decoder::new(Limits::default());
        let tagged = loop {
            match decoder.next(&mut out, NameForm::Utf7) {
                Event::Continue => {}
                Event::Command(tagged) => break tagged,
                other => panic!("{other:?}"),
            }
        };
        let Command::Login(login) = tagged.command else { panic!() };
        prop_assert_eq!(&*login.user, user.as_str());
        prop_assert_eq!(login.password.0.expose(), &pass[..]);
    }

    #[test]
    fn names_come_back_as_they_were_written(text in "[a-z&é台/ \"\\\\*%]{1,20}", utf8 in any::<bool>()) {
        let form = if utf8 { NameForm::Utf8 } else { NameForm::Utf7 };
        let Some(name) = MailboxName::new(&text) else { return Ok(()) };
        let mut out = BytesMut::new();
        out.raw("t SELECT ").mailbox(name.as_str(), form).crlf();
        let event = Decoder::new(Limits::default()).next(&mut out, form);
        let Event::Command(Tagged { command: Command::Select(select), .. }) = event else { panic!("{event:?}") };
        prop_assert_eq!(select.mailbox, name);
    }

    #[test]
    fn sets_come_back_as_they_were_written(numbers in prop::collection::btree_set(1u32..200, 1..40)) {
        let set: mail::sequence::NumberSet = numbers.into_iter().collect();
        let mut out = BytesMut::new();
        out.raw("t UID EXPUNGE ").set(&set).crlf();
        let event = Decoder::new(Limits::default()).next(&mut out, NameForm::Utf7);
        let Event::Command(Tagged { command: Command::UidExpunge(read), .. }) = event else { panic!("{event:?}") };
        prop_assert_eq!(read.resolve(1, &Default::default()), set);
    }
}
