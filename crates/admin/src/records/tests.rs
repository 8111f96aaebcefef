use super::*;
use mail::password::PasswordType;
use proptest::prelude::*;

fn read(text: &str) -> Vec<Read> {
    let mut reader = Reader::default();
    let mut all: Vec<_> = text.lines().filter_map(|line| reader.line(line.to_owned())).collect();
    all.extend(reader.end());
    all
}

fn records(text: &str) -> Vec<Record> {
    read(text).into_iter().map(|read| Record::of(read.fields.unwrap()).unwrap()).collect()
}

fn wrong(text: &str) -> String {
    read(text).remove(0).fields.and_then(Record::of).unwrap_err()
}

fn account() -> WholeAccount {
    let hash = StoredPassword::make(PasswordType::Ssha256, &Secret::new("x"), &[1; 16]).unwrap();
    let user = |name: &str| User { name: name.into(), domain: Domain::parse("one.test").unwrap() };
    let address = |text: &str| Address::parse(text).unwrap();
    WholeAccount {
        user: user("Anna"),
        mailbox: Some(MailboxId(-7)),
        home: Some(HostName::new("venus")),
        proofs: Some(Proofs { password: NewPassword::Hashed(hash), scram: Some(Secret::new("keys")) }),
        status: Status::Locked,
        cos: " Gold ä".into(),
        addresses: vec![address("anna@one.test"), address("a.b@two.test")],
        login_aliases: vec![user("ann")],
        forwarding: Forwarding::Off,
        forwards: vec![address("x@elsewhere.test")],
        values: vec![("quota_msg".into(), "Tidy up: 100%=full ".into())],
    }
}

#[test]
fn what_is_written_is_read_in_both_forms() {
    let all = [
        Record::Domain(Domain::parse("one.test").unwrap(), DomainKind::Relay, Some("h:25".into())),
        Record::Domain(Domain::parse("two.test").unwrap(), DomainKind::Local, None),
        Record::Attribute("Colour".into(), Rule::Class, Type::Text, Some("red\nblue".into())),
        Record::Cos("Gold's".into(), vec![("totalBytes".into(), "7".into())]),
        Record::Account(Box::new(account())),
    ];
    for form in [Form::Ldif, Form::Json] {
        let text: String = all.iter().map(|record| form.write(record)).collect();
        assert_eq!(records(&format!("{}{text}", form.head())), all, "{text}");
    }
}

#[test]
fn an_account_needs_no_more_than_its_login() {
    let expected = |text: &str| match records(text).remove(0) {
        Record::Account(whole) => *whole,
        other => panic!("{other:?}"),
    };
    let ldif = expected("dn: x\nobjectclass: intermailAccount\nlogin: bob@one.test\n");
    let json = expected("{\"objectClass\":\"intermailAccount\",\"login\":\"bob@one.test\"}\n");
    assert_eq!(ldif, json);
    assert_eq!((ldif.addresses.len(), ldif.cos.as_str(), ldif.status), (1, "default", Status::Active));
    assert!(ldif.proofs.is_none() && ldif.mailbox.is_none());
}

#[test]
fn lines_that_go_on_comments_and_line_numbers() {
    let text = "version: 1\n\n# a\n  comment\ndn: x\nobjectClass: intermailCos\nname: Go\n ld\n\n\n# only this\n\ndn: y\nnot a field\n";
    let all = read(text);
    let at = |n: usize| (all[n].line, all[n].last, all[n].fields.is_ok());
    assert_eq!((all.len(), at(0), at(1)), (2, (3, 8, true), (13, 14, false)));
    assert_eq!(Record::of(read(text).remove(0).fields.unwrap()), Ok(Record::Cos("Gold".into(), vec![])));
}

#[test]
fn what_is_wrong_is_named() {
    let account = |field: &str| format!("objectClass: intermailAccount\nlogin: a@one.test\n{field}\n");
    for (text, named) in [
        ("login: a@b.test\n".to_owned(), "objectClass"),
        ("objectClass: person\n".to_owned(), "person"),
        ("objectClass: intermailAccount\n".to_owned(), "login"),
        (account("colour: red"), "colour"),
        (account("status: A\nstatus: S"), "more than once"),
        (account("address: nonsense"), "nonsense"),
        (account("passwordHash: nonsense"), "passwordHash"),
        (account("scram: x"), "passwordHash"),
        (account("value: x"), "NAME=VALUE"),
        (account("mailbox: x"), "mailbox"),
        (account("cos:: !!"), "base64"),
        (account("cos:< file:///etc/passwd"), "other files"),
        (account("changetype: delete"), "changetype"),
        ("{\"objectClass\":true}".to_owned(), "objectClass"),
        ("{nonsense".to_owned(), "JSON"),
    ] {
        let error = wrong(&text);
        assert!(error.contains(named), "{text:?}: {error}");
    }
}

proptest! {
    #[test]
    fn no_lines_make_it_panic(lines in prop::collection::vec("[ #:{a-c\"}]{0,12}|\\PC{0,20}", 0..20)) {
        for read in read(&lines.join("\n")) {
            let _ = read.fields.map(Record::of);
        }
    }

    #[test]
    fn any_text_is_a_value(text in "\\PC{0,40}") {
        for form in [Form::Ldif, Form::Json] {
            let record = Record::Cos("gold".into(), vec![("a".into(), text.clone())]);
            prop_assert_eq!(records(&form.write(&record)), vec![record]);
        }
    }
}
