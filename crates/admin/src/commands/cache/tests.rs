//! The commands over a real directory that keeps a copy.

use crate::command::Exit;
use crate::testing::house::House;
use serde_json::Value;

async fn house() -> House {
    let house = House::new().await;
    house.account("anna").await;
    house.keep_copy();
    house
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn its_15974_its_17531_a_copy_is_built_compared_and_read() {
    let house = house().await;
    let built = json(&house.ok("imdirsync -json").await);
    assert_eq!((&built["accounts"], &built["files"]), (&1.into(), &1.into()));
    assert!(house.ok("imdirsync").await.contains("The new copy is in force."));
    house.account("bert").await;
    let found = json(&house.ok("imcachecheck -json").await);
    assert_eq!((&found["alike"], &found["accounts"], &found["copied"]), (&true.into(), &2.into(), &2.into()));
    assert!(house.ok("imcachecheck").await.contains("0 differ"));
    let entry = house.ok("imcacheread bert@example.org").await;
    assert!(entry.contains("psmtp") && !entry.contains("argon2"), "{entry}");
    let missing = house.run("imcacheread nobody@example.org").await;
    assert!(missing.exit == Exit::FAILED && missing.errors().contains("nobody@example.org"));
}

#[tokio::test]
async fn its_16222_the_forwards_of_an_account_are_read_as_ever() {
    let house = house().await;
    house.ok("imdbcontrol crf anna example.org x@elsewhere.test").await;
    house.ok("imdirsync").await;
    assert_eq!(
        json(&house.ok("imcacheread -json -f anna@example.org secret").await),
        json(r#"[{"field": "forward", "value": "x@elsewhere.test"}]"#)
    );
}

#[tokio::test]
async fn its_14257_its_14883_one_entry_is_pushed_while_the_rest_waits() {
    let house = house().await;
    house.ok("imdirsync").await;
    house.ok("imcachecontrol -pause").await;
    house.account("bert").await;
    house.account("carl").await;
    house.ok("imdbcontrol sca default totalBytes 5").await;
    assert_eq!(house.run("imcacheread bert@example.org").await.exit, Exit::FAILED);
    house.ok("imdirupdate bert@example.org class:default").await;
    assert!(house.ok("imcacheread bert@example.org").await.contains("bert"));
    assert!(house.ok("imcacheread class:default").await.contains("totalbytes"));
    assert_eq!(house.run("imcacheread carl@example.org").await.exit, Exit::FAILED);
    let state = house.ok("imcachecontrol").await;
    assert!(state.contains("paused"), "{state}");
    house.ok("imcachecontrol -resume").await;
    assert!(house.ok("imcacheread carl@example.org").await.contains("carl"));
    house.ok("imcachecontrol -fold").await;
    let rows = json(&house.ok("imcachecontrol -json").await);
    let of = |what: &str| {
        rows.as_array().unwrap().iter().find(|row| row["what"] == what).unwrap()["value"].clone()
    };
    assert_eq!((of("changes above"), of("behind")), (0.into(), "0".into()));
    let both = house.run("imcachecontrol -pause -fold").await;
    assert_eq!(both.exit, Exit::USAGE);
}

#[tokio::test]
async fn its_15358_its_14002_its_21121_its_21122_the_directory_is_probed() {
    let house = house().await;
    house.ok("imdirsync").await;
    house.account("bert").await;
    let rows = json(&house.ok("imdirprobe -update -json").await);
    assert_eq!((&rows[0]["what"], &rows[0]["accounts"]), (&"directory".into(), &2.into()));
    assert_eq!(rows[1]["state"], "serves, 0 changes behind");
    assert_eq!(json(&house.ok("imdirprobe -master -json").await).as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn its_46820_its_16211_the_copy_is_copied_while_it_is_used() {
    let house = house().await;
    house.ok("imdirsync").await;
    let to = house.path().join("for-another-host");
    let said = house.ok(&format!("imcachecopy -json {}", to.display())).await;
    assert!(json(&said)["bytes"].as_u64().unwrap() > 4096);
    assert!(to.join("current").exists());
    let run = house.run("imcachecopy /proc/no-such-place/copy").await;
    assert_eq!(run.exit, Exit::FAILED);
}

#[tokio::test]
async fn a_host_without_a_copy_says_so() {
    let house = House::new().await;
    for line in
        ["imdirsync", "imcachecheck", "imcachecontrol", "imcacheread a@b.test", "imdirupdate a@b.test"]
    {
        let run = house.run(line).await;
        assert!(run.exit == Exit::FAILED && run.errors().contains("dirCache"), "{line}: {}", run.errors());
    }
    assert_eq!(house.run("imdirprobe").await.exit, Exit::OK);
}

#[tokio::test]
async fn its_16771_accounts_that_change_their_class_are_copied_and_looked_up_as_before() {
    let house = house().await;
    house.ok("imdirsync").await;
    house.ok("imdbcontrol cc gold").await;
    house.ok("imdbcontrol sca gold totalBytes 4711").await;
    let many: Vec<_> = (0..300).map(|n| format!("u{n}")).collect();
    let accounts: String = many
        .iter()
        .map(|name| format!("objectClass: intermailAccount\nlogin: {name}@example.org\n\n"))
        .collect();
    assert_eq!(house.run_reading("imbatchload -", &accounts).await.exit, Exit::OK);
    let classes: String = many.iter().map(|name| format!("{name}@example.org gold\n")).collect();
    assert_eq!(house.run_reading("cosupgrade -", &classes).await.exit, Exit::OK);
    assert_eq!(json(&house.ok("imcachecheck -json").await)["alike"], true);
    assert!(house.ok("imcacheread u299@example.org").await.contains("gold"));
}
