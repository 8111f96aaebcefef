use super::*;
use proptest::prelude::*;

fn parse(line: &str) -> Result<Command, BadCommand> {
    Command::parse(line.as_bytes())
}

fn mail(line: &str) -> Mail {
    match parse(line) {
        Ok(Command::Mail(mail)) => mail,
        other => panic!("{line}: {other:?}"),
    }
}

fn rcpt(line: &str) -> Rcpt {
    match parse(line) {
        Ok(Command::Rcpt(rcpt)) => rcpt,
        other => panic!("{line}: {other:?}"),
    }
}

fn address(text: &str) -> Path {
    Path::Address(Address::parse(text).unwrap())
}

#[test]
fn simple_commands_in_any_case() {
    assert_eq!(parse("data"), Ok(Command::Data));
    assert_eq!(parse("QUIT  "), Ok(Command::Quit));
    assert_eq!(parse("NOOP whatever"), Ok(Command::Noop));
    assert_eq!(parse("starttls"), Ok(Command::StartTls));
    assert_eq!(parse("bdat 17 last"), Ok(Command::Bdat { size: 17, last: true }));
    assert_eq!(parse("BDAT 0"), Ok(Command::Bdat { size: 0, last: false }));
    assert_eq!(
        parse("ehlo [192.0.2.1]"),
        Ok(Command::Hello { verb: Verb::Ehlo, name: "[192.0.2.1]".into() })
    );
    assert_eq!(parse("VRFY joe x"), Ok(Command::Vrfy("joe x".into())));
    assert_eq!(parse("ETRN @example.org"), Ok(Command::Etrn(Domain::parse("example.org").unwrap())));
}

#[test]
fn auth_takes_one_response_at_most() {
    let plain =
        |initial: Option<&str>| Command::Auth { mechanism: "PLAIN".into(), initial: initial.map(Into::into) };
    assert_eq!(parse("AUTH plain"), Ok(plain(None)));
    assert_eq!(parse("AUTH PLAIN ="), Ok(plain(Some("="))));
    for bad in ["AUTH", "AUTH PLAIN a b", "AUTH PLA!N", "AUTH AAAAAAAAAAAAAAAAAAAAA"] {
        assert_eq!(parse(bad), Err(BadCommand::Arguments(Verb::Auth)), "{bad}");
    }
}

#[test]
fn paths_of_all_kinds() {
    assert_eq!(mail("MAIL FROM:<>").from, Path::Null);
    assert_eq!(mail("MAIL FROM: <a@b.org>").from, address("a@b.org"));
    assert_eq!(mail("mail from:a@b.org SIZE=1").from, address("a@b.org"));
    assert_eq!(mail("MAIL FROM:<@x.org,@y.org:a@b.org>").from, address("a@b.org"));
    assert_eq!(mail(r#"MAIL FROM:<"a > b\"@"@b.org> SIZE=2"#).from, address(r#""a > b\"@"@b.org"#));
    assert_eq!(mail("MAIL FROM:<jürgen@exämple.org> SMTPUTF8").from, address("jürgen@exämple.org"));
    assert_eq!(rcpt("RCPT TO:<Postmaster>").to, Path::Local("Postmaster".into()));
    assert_eq!(rcpt("RCPT TO:<a@[IPv6:::1]>").to, address("a@[IPv6:::1]"));
}

#[test]
fn bad_paths_say_why() {
    use BadAddress::*;
    let long = format!("RCPT TO:<{}>", "x".repeat(65));
    for (line, why) in [
        ("RCPT TO:<a@>", BadDomain),
        ("RCPT TO:<a b@c>", BadLocalPart),
        ("RCPT TO:<>", EmptyLocalPart),
        ("RCPT TO:<@x.org:>", EmptyLocalPart),
        ("RCPT TO:<@x.org>", BadLocalPart),
        ("RCPT TO:<@-x:a@b>", BadDomain),
        (&long, LongLocalPart),
    ] {
        assert_eq!(parse(line), Err(BadCommand::Path(Verb::Rcpt, why)), "{line}");
    }
    for line in
        ["RCPT", "RCPT TO", "RCPT TO:", "RCPT FROM:<a@b>", "RCPT TO:<a@b", "RCPT TO:<a@b>x", "RCPT TO:<\"a>"]
    {
        assert_eq!(parse(line), Err(BadCommand::Arguments(Verb::Rcpt)), "{line}");
    }
}

#[test]
fn mail_parameters() {
    let m = mail("MAIL FROM:<a@b> SIZE=1000 BODY=8bitmime SMTPUTF8 RET=HDRS ENVID=Q+2B1 AUTH=<>");
    assert_eq!((m.size, m.body, m.utf8), (Some(1000), BodyKind::EightBitMime, true));
    assert_eq!((m.ret, m.envelope_id.as_deref()), (Some(Return::Headers), Some("Q+1")));
    assert_eq!(mail("MAIL FROM:<> SIZE=99999999999999999999").size, Some(u64::MAX));
    for bad in
        ["SIZE", "SIZE=-1", "SIZE=1 SIZE=1", "BODY=BINARYMIME", "SMTPUTF8=1", "RET=ALL", "ENVID=a=b", "AUTH"]
    {
        let line = format!("MAIL FROM:<a@b> {bad}");
        assert_eq!(parse(&line), Err(BadCommand::BadParameter(Verb::Mail)), "{bad}");
    }
    assert_eq!(parse("MAIL FROM:<a@b> FOO=1"), Err(BadCommand::UnknownParameter(Verb::Mail)));
}

#[test]
fn rcpt_parameters() {
    let r = rcpt("RCPT TO:<a@b> NOTIFY=success,DELAY ORCPT=rfc822;a+2Bx@b");
    assert_eq!(r.notify, Notify { success: true, failure: false, delay: true });
    assert_eq!(r.original.as_deref(), Some("rfc822;a+x@b"));
    assert_eq!(rcpt("RCPT TO:<a@b> NOTIFY=NEVER").notify, Notify::NEVER);
    for bad in ["NOTIFY", "NOTIFY=NEVER,DELAY", "NOTIFY=", "ORCPT=a@b", "ORCPT=;a", "ORCPT=rfc822;a+0D+0Ab"] {
        let line = format!("RCPT TO:<a@b> {bad}");
        assert_eq!(parse(&line), Err(BadCommand::BadParameter(Verb::Rcpt)), "{bad}");
    }
    assert_eq!(parse("RCPT TO:<a@b> SIZE=1"), Err(BadCommand::UnknownParameter(Verb::Rcpt)));
}

#[test]
fn lines_that_are_no_commands() {
    assert_eq!(parse(""), Err(BadCommand::UnknownVerb));
    assert_eq!(parse("MAILFROM:<a@b>"), Err(BadCommand::UnknownVerb));
    assert_eq!(parse("NOOP \u{1}"), Err(BadCommand::NotText));
    assert_eq!(Command::parse(b"NOOP \xff"), Err(BadCommand::NotText));
    for (line, verb) in [
        ("DATA x", Verb::Data),
        ("HELO", Verb::Helo),
        ("EHLO a b", Verb::Ehlo),
        ("EHLO a)(b", Verb::Ehlo),
        ("BDAT", Verb::Bdat),
        ("BDAT -1", Verb::Bdat),
        ("BDAT 1 LUST", Verb::Bdat),
        ("BDAT 99999999999999999999 LAST", Verb::Bdat),
        ("VRFY", Verb::Vrfy),
    ] {
        assert_eq!(parse(line), Err(BadCommand::Arguments(verb)), "{line}");
    }
}

proptest! {
    #[test]
    fn no_line_panics(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Command::parse(&line);
    }

    #[test]
    fn nothing_after_a_verb_panics(
        verb in proptest::sample::select(&Verb::NAMES[..]),
        text in "( |FROM:|TO:|<|>|@|\"|\\\\|,|:|[a-z+=;]|SIZE=|ORCPT=|\\PC){0,20}",
    ) {
        let _ = parse(&format!("{} {text}", verb.0));
    }

    #[test]
    fn an_address_comes_back(local in "[^\\p{Cc}]{1,16}", domain in "[a-z]{1,9}(\\.[a-z]{1,9}){0,3}") {
        let a = Address::new(&local, Domain::parse(&domain).unwrap()).unwrap();
        prop_assert_eq!(rcpt(&format!("RCPT TO:<{a}> NOTIFY=NEVER")).to, Path::Address(a));
    }
}
