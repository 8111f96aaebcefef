use crate::command::Exit;
use crate::testing::house::House;

/// A site with something of everything.
async fn full() -> House {
    let house = House::new().await;
    for line in [
        "CreateCosAttribute Colour C S red",
        "CreateCos Gold",
        "SetCosAttribute Gold Colour blue",
        "SetCosAttribute default totalBytes 777",
        "CreateDomain relay.test relay mail.test:2525",
    ] {
        house.ok(&format!("imdbcontrol {line}")).await;
    }
    for name in ["anna", "bert", "carl"] {
        house.account(name).await;
    }
    for line in [
        "CreateAlias anna example.org a.nna@example.org",
        "CreateRemoteForward anna example.org x@elsewhere.test",
        "SetAccountCos anna example.org totalBytes 5",
        "SetAccountStatus bert example.org S",
        "ModifyAccount carl example.org cos Gold",
    ] {
        house.ok(&format!("imdbcontrol {line}")).await;
    }
    house
}

async fn extract(house: &House, options: &str) -> String {
    house.ok(format!("imbatchextract {options}").trim()).await
}

#[tokio::test]
async fn its_19876_its_19521_an_extract_loaded_into_an_empty_site_gives_the_same() {
    let house = full().await;
    for form in ["-passwords", "-passwords -json"] {
        let text = extract(&house, form).await;
        let other = House::new().await;
        let run = other.run_reading("imbatchload -", &text).await;
        assert_eq!((run.exit, run.errors().as_str()), (Exit::OK, ""), "{text}");
        assert_eq!(extract(&other, form).await, text);
        // Again: everything is so already (ITS 19400).
        let again = other.run_reading("imbatchload -json -", &text).await;
        assert!(again.output().contains("\"loaded\":0") && again.exit == Exit::OK, "{}", again.output());
    }
}

#[tokio::test]
async fn its_20137_passwords_are_written_only_when_that_is_asked_for() {
    let house = full().await;
    let hash = "passwordHash: ";
    for (options, expected) in [("", 0), ("-passwords", 3), ("-domain example.org", 0)] {
        assert_eq!(extract(&house, options).await.matches(hash).count(), expected, "{options}");
    }
    assert!(!extract(&house, "-json").await.contains("argon2id"));
    let one = extract(&house, "-domain relay.test").await;
    assert!(one.contains("relay.test") && !one.contains("anna"), "{one}");
    assert_eq!(house.run("imbatchextract -domain nowhere.test").await.exit, Exit::FAILED);
}

#[tokio::test]
async fn its_19411_what_fails_is_named_by_its_line_and_kept() {
    let house = full().await;
    let text = "dn: x\nobjectClass: intermailAccount\nlogin: dora@example.org\ncos: silver\n\n\
                objectClass: intermailAccount\nlogin: emil@example.org\n\n\
                objectClass: intermailAccount\nlogin: anna@example.org\n\n\
                nonsense\n";
    let errors = house.path().join("failed.ldif");
    let line = format!("imbatchload -Error {} -", errors.display());
    let run = house.run_reading(&line, text).await;
    assert_eq!((run.exit, run.output().as_str()), (Exit::FAILED, "1 loaded, 0 there already, 3 failed\n"));
    let said = run.errors();
    for named in ["line 1: ", "silver", "line 9: ", "anna@example.org", "line 12: ", "nonsense"] {
        assert!(said.contains(named), "{named}: {said}");
    }
    let kept = std::fs::read_to_string(&errors).unwrap();
    assert!(kept.contains("dora@example.org") && !kept.contains("emil"), "{kept}");
    let mended =
        kept.replace("silver", "Gold").replace("login: anna", "login: anne").replace("nonsense\n", "");
    let again = house.run_reading("imbatchload -", &mended).await;
    assert_eq!(again.output(), "2 loaded, 0 there already, 0 failed\n");
    assert_eq!(house.run_reading("imbatchload -Error failed.ldif -", "").await.exit, Exit::USAGE);
}

#[tokio::test]
async fn its_17306_its_17307_an_update_makes_an_account_what_its_record_says() {
    let house = full().await;
    let before = extract(&house, "-passwords -json").await;
    let account = before.lines().find(|line| line.contains("anna@")).unwrap().to_owned();
    let changed = account
        .replace(
            "[\"anna@example.org\",\"a.nna@example.org\"]",
            "[\"anna.b@example.org\",\"anna@example.org\"]",
        )
        .replace("\"forward\":[\"x@elsewhere.test\"],", "")
        .replace("\"totalbytes=5\"", "\"totalbytes=6\"")
        .replace("\"status\":\"A\"", "\"status\":\"M\"");
    assert_ne!(changed, account);
    let refused = house.run_reading("imbatchload -", &changed).await;
    assert_eq!((refused.exit, extract(&house, "-passwords -json").await), (Exit::FAILED, before.clone()));
    let tried = house.run_reading("imbatchload -update -n -", &changed).await;
    assert_eq!(tried.output(), "1 would be loaded, 0 there already, 0 failed\n");
    assert_eq!(extract(&house, "-passwords -json").await, before);
    let done = house.run_reading("imbatchload -update -", &changed).await;
    assert_eq!((done.exit, done.output().as_str()), (Exit::OK, "1 loaded, 0 there already, 0 failed\n"));
    let now = extract(&house, "-passwords -json").await;
    assert_eq!(now.lines().find(|line| line.contains("anna@")), Some(changed.as_str()));
}

#[tokio::test]
async fn a_run_goes_on_behind_the_line_that_is_marked() {
    let house = House::new().await;
    house.account("anna").await;
    let record =
        |n: u32| format!("{{\"objectClass\":\"intermailAccount\",\"login\":\"u{n}@example.org\"}}\n");
    let text: String = (1..=600).map(record).collect();
    let state = house.path().join("state");
    std::fs::write(&state, "598\n").unwrap();
    let line = format!("imbatchload -state {} -", state.display());
    let run = house.run_reading(&line, &text).await;
    assert_eq!(run.output(), "2 loaded, 0 there already, 0 failed\n", "{}", run.errors());
    assert!(!state.exists());
    std::fs::write(&state, "nonsense\n").unwrap();
    assert_eq!(house.run_reading(&line, &text).await.exit, Exit::FAILED);
    std::fs::remove_file(&state).unwrap();
    let all = house.run_reading(&line, &text).await;
    assert_eq!(all.output(), "598 loaded, 2 there already, 0 failed\n");
}

#[tokio::test]
async fn its_23752_a_password_in_the_clear_is_stored_hashed() {
    let house = House::new().await;
    house.account("anna").await;
    let text = "objectClass: intermailAccount\nlogin: bob@example.org\npassword: hunter2\n";
    assert_eq!(house.run_reading("imbatchload -", text).await.exit, Exit::OK);
    let written = extract(&house, "-passwords").await;
    let stored = written.matches("argon2id$").count();
    assert!(!written.contains("hunter2") && stored == 2, "{written}");
}
