//! Directory and provisioning, as the operator types it.

use anyhow::{Result, ensure};
use site::pop3::Pop3;
use site::program::{Account, Service, Site};
use site::smtp::Smtp;
use site::tools::said;

/// The account that the classic example line makes.
const TESTMAN: Account = Account { address: "testman@software.com", password: "testman" };
const EXAMPLE: [&str; 12] = [
    "imdbcontrol",
    "ca",
    "testman",
    "venus",
    "432234",
    "testman",
    "testman",
    "clear",
    "software.com",
    "A",
    "S",
    "default",
];

#[test]
fn its_26002_the_classic_example_line_makes_an_account_that_can_log_in() -> Result<()> {
    let site = Site::fresh()?;
    site.must(&["imdbcontrol", "CreateDomain", "software.com", "local"])?;
    site.must(&EXAMPLE)?;
    Smtp::connect(&site, Service::Smtp)?.deliver(
        "a@remote.test",
        &[TESTMAN.address],
        b"Subject: x\r\n\r\nx\r\n",
    )?;
    ensure!(Pop3::login(&site, TESTMAN)?.count()? == 1);
    Ok(())
}

#[test]
fn its_16167_a_command_that_failed_says_so_with_its_exit_code() -> Result<()> {
    let site = Site::fresh()?;
    let missing = site.command(&["imdbcontrol", "DeleteAccount", "nobody", "example.test"])?;
    ensure!(!missing.status.success(), "{missing:?}");
    let twice =
        [&EXAMPLE[..2], &["alice", "-", "-", "alice", "x", "clear", "example.test", "A", "S", "default"]]
            .concat();
    let twice = site.command(&twice)?;
    ensure!(!twice.status.success() && !said(&twice).is_empty(), "{twice:?}");
    let usage = site.command(&["imdbcontrol", "NoSuchCommand"])?;
    ensure!(!usage.status.success(), "{usage:?}");
    Ok(())
}

#[test]
fn its_20436_accounts_are_listed_and_classes_made() -> Result<()> {
    let site = Site::fresh()?;
    let listed = site.must(&["imdbcontrol", "la"])?;
    ensure!(listed.contains("alice") && listed.contains("bob"), "{listed}");
    site.must(&["imdbcontrol", "cc", "gold"])?;
    ensure!(site.must(&["imdbcontrol", "ListCosNames"])?.contains("gold"));
    Ok(())
}

#[test]
fn its_16125_a_batch_answers_each_line_and_nothing_else() -> Result<()> {
    let site = Site::fresh()?;
    let batch = "# three users\nca u1 - - u1 secret clear example.test A S default\n\n\
                 CA u2 - - u2 secret clear example.test A S default\ncreateaccount u3 - - u3 secret clear example.test A S default\n";
    let answers = site.must_reading(&["imdbcontrol", "-"], batch)?;
    ensure!(!answers.is_empty());
    for name in ["u1@example.test", "u2@example.test", "u3@example.test"] {
        let account = Account { address: name, password: "secret" };
        ensure!(Pop3::login(&site, account)?.count()? == 0);
    }
    Ok(())
}

#[test]
fn its_17587_an_alias_may_hold_every_character_that_an_address_may() -> Result<()> {
    let site = Site::fresh()?;
    for alias in
        ["a+b", "o'neil", "a#b!c", "x=y", "{curly}", "a/b", "a&b", "wow*", "q?", "~tilde", "per%cent"]
    {
        let to = format!("{alias}@example.test");
        site.must(&["imdbcontrol", "CreateAlias", "alice", "example.test", &to])?;
        Smtp::connect(&site, Service::Smtp)?.deliver("a@remote.test", &[&to], b"Subject: x\r\n\r\nx\r\n")?;
    }
    Ok(())
}

#[test]
fn its_14929_a_name_that_is_too_long_for_a_domain_is_refused() -> Result<()> {
    let site = Site::fresh()?;
    let label = "a".repeat(64);
    let long = ["abcdefgh."; 30].concat();
    for domain in [format!("{label}.test"), format!("{long}test")] {
        let refused = site.command(&["imdbcontrol", "CreateDomain", &domain, "local"])?;
        ensure!(!refused.status.success() && !said(&refused).is_empty(), "{domain}: {refused:?}");
    }
    Ok(())
}
