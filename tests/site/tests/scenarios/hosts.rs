//! A site of several hosts: mail goes over the wire, and a host that is away costs its own users only.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use site::hosts::{Hosts, Wish};
use site::imap::Imap;
use site::program::{ALICE, Account, BOB, Service, now};
use site::smtp::Smtp;
use site::tools::until;
use std::collections::BTreeMap;
use std::time::Duration;

/// Directory and queue on one host, two stores, and a front end.
pub(crate) fn four() -> Result<Hosts> {
    let wishes: [Wish<'_>; 4] = [
        ("venus", "imconfserv,imdircacheserv,imqueueserv", &["/*/mta/outboundDeferProcessInitialWait=0"]),
        ("mars", "mss", &[]),
        ("minerva", "mss", &[]),
        ("jove", "mta,popserv,imapserv", &[]),
    ];
    let hosts = Hosts::start(&wishes)?;
    hosts.account(ALICE, "mars")?;
    hosts.account(BOB, "minerva")?;
    Ok(hosts)
}

pub(crate) fn send(hosts: &Hosts, to: &[Account], subject: &str) -> Result<()> {
    let text = format!("From: x@elsewhere.test\r\nSubject: {subject}\r\n\r\nIt is said once.\r\n");
    let to: Vec<_> = to.iter().map(|account| account.address).collect();
    let mut smtp = Smtp::greet(hosts.connect("jove", Service::Smtp)?, Service::Smtp)?;
    smtp.deliver("x@elsewhere.test", &to, text.as_bytes())
}

/// How often each of these subjects is in the Inbox.
pub(crate) fn count(hosts: &Hosts, account: Account, subjects: &[String]) -> Result<Vec<usize>> {
    let mut imap = Imap::login_over(hosts.connect("jove", Service::Imap)?, account)?;
    let there = imap.select("INBOX")?;
    let mut texts = Vec::new();
    for number in 1..=there {
        texts.push(String::from_utf8_lossy(&imap.fetch(number)?).into_owned());
    }
    let of = |subject: &String| {
        let line = format!("Subject: {subject}\r\n");
        texts.iter().filter(|text| text.contains(&line)).count()
    };
    Ok(subjects.iter().map(of).collect())
}

#[test]
fn mail_goes_over_the_wire_and_commands_find_the_host_of_a_mailbox() -> Result<()> {
    let hosts = four()?;
    send(&hosts, &[ALICE, BOB], "both")?;
    let both = ["both".to_owned()];
    ensure!(count(&hosts, ALICE, &both)? == [1] && count(&hosts, BOB, &both)? == [1]);
    for host in ["venus", "mars", "jove"] {
        let said = hosts.must(host, &["imboxstats", ALICE.address])?;
        ensure!(said.contains("on mars") && said.contains("Total Messages Stored: 1"), "{host}: {said}");
        let said = hosts.must(host, &["imboxstats", BOB.address])?;
        ensure!(said.contains("on minerva") && said.contains("Total Messages Stored: 1"), "{host}: {said}");
    }
    // A new account of which nobody says where: on one of the stores.
    hosts.must(
        "jove",
        &["imdbcontrol", "ca", "carol", "-", "-", "carol", "secret", "clear", "example.test"],
    )?;
    let said = hosts.must("venus", &["imboxstats", "carol@example.test"]);
    ensure!(said.as_ref().is_err_and(|e| format!("{e:#}").contains("no such mailbox")), "{said:?}");
    let said = hosts.must("venus", &["imctrl", "jove", "restart", "popserv"])?;
    ensure!(said.contains("popserv restarted on jove"), "{said}");
    Ok(())
}

#[test]
fn its_16876_a_store_that_dies_costs_its_own_users_only_and_its_mail_comes_later() -> Result<()> {
    let mut hosts = four()?;
    send(&hosts, &[ALICE, BOB], "before")?;
    let mut attached = Imap::login_over(hosts.connect("jove", Service::Imap)?, ALICE)?;
    attached.select("INBOX")?;
    hosts.kill("mars")?;
    // To both: bob's is delivered, alice's waits, and the sender is told that it is taken.
    let begun = now();
    send(&hosts, &[ALICE, BOB], "during")?;
    ensure!(begun.elapsed() < Duration::from_secs(5), "the dead store held up the sender");
    ensure!(count(&hosts, BOB, &["before".into(), "during".into()])? == [1, 1]);
    let told = attached.command("FETCH 1 BODY.PEEK[]");
    ensure!(told.is_err() || told.is_ok_and(|(_, end)| end.starts_with("NO")), "a message without a store");
    let mut pop = hosts.connect("jove", Service::Pop3)?;
    pop.line()?;
    for (line, good) in [("USER alice@example.test", "+OK"), ("PASS alice-secret", "-ERR [SYS/TEMP]")] {
        pop.send_line(line)?;
        let said = pop.line()?;
        ensure!(said.starts_with(good), "{line}: {said}");
    }
    hosts.begin("mars")?;
    let subjects = ["before".to_owned(), "during".to_owned()];
    until("the mail that waited has come", || {
        Ok(count(&hosts, ALICE, &subjects).unwrap_or_default() == [1, 1])
    })?;
    ensure!(count(&hosts, BOB, &subjects)? == [1, 1], "nothing comes twice");
    Ok(())
}

#[test]
fn a_queue_or_a_directory_that_is_away_loses_nothing() -> Result<()> {
    let mut hosts = four()?;
    send(&hosts, &[ALICE], "before")?;
    hosts.stop("venus")?;
    // Without the directory nobody knows who somebody is: later.
    let mut smtp = Smtp::greet(hosts.connect("jove", Service::Smtp)?, Service::Smtp)?;
    smtp.must("MAIL FROM:<x@elsewhere.test>", 250)?;
    let reply = smtp.command("RCPT TO:<alice@example.test>")?;
    ensure!((400..500).contains(&reply.code), "{reply:?}");
    hosts.begin("venus")?;
    until("mail is taken again", || Ok(send(&hosts, &[ALICE], "after").is_ok()))?;
    let subjects = ["before".to_owned(), "after".to_owned()];
    let counted = count(&hosts, ALICE, &subjects).context("after the return")?;
    ensure!(counted == [1, 1], "{counted:?}");
    Ok(())
}

/// The process of each server that runs, on all hosts, as a command on one of them is told.
fn processes(hosts: &Hosts, asked: &str) -> Result<BTreeMap<(String, String), u64>> {
    let said = hosts.must(asked, &["imservdisplay", "-json", "-host", "allhosts"])?;
    let all: Vec<Value> = serde_json::from_str(&said)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let running = all
        .iter()
        .filter_map(|shown| Some(((text(&shown["host"]), text(&shown["server"])), shown["pid"].as_u64()?)));
    Ok(running.collect())
}

#[test]
fn its_16187_imctrl_acts_on_all_hosts_through_their_managers_and_says_what_is_true() -> Result<()> {
    let hosts = Hosts::start_managed(&[
        ("venus", "imconfserv,imdircacheserv,mss,imqueueserv,mta,popserv,imapserv", &[]),
        ("jove", "mta,popserv,imapserv", &[]),
    ])?;
    hosts.account(ALICE, "venus")?;
    send(&hosts, &[ALICE], "before")?;
    let before = processes(&hosts, "venus")?;
    ensure!(before.len() == 10, "{before:?}");
    let said = hosts.must("venus", &["imctrl", "allhosts", "restart", "mta"])?;
    for host in ["venus", "jove"] {
        ensure!(said.contains(&format!("imctrl: mta restarted on {host}")), "{said}");
    }
    // The other host sees the same.
    let after = processes(&hosts, "jove")?;
    for (key, pid) in &before {
        ensure!((after.get(key) == Some(pid)) != (key.1 == "mta"), "{key:?}: {before:?} {after:?}");
    }
    let said = hosts.must("jove", &["imservping", "-host", "allhosts"])?;
    ensure!(said.matches(" responded").count() == 10 && said.contains("(Info) mss on venus resp"), "{said}");
    let said = hosts.must("jove", &["imctrl", "venus", "stop", "popserv"])?;
    ensure!(said.contains("popserv stopped on venus"), "{said}");
    let is_there =
        || anyhow::Ok(processes(&hosts, "jove")?.contains_key(&("venus".into(), "popserv".into())));
    ensure!(!is_there()?, "popserv still runs on venus");
    let said = hosts.must("jove", &["imctrl", "venus", "start", "popserv"])?;
    ensure!(said.contains("popserv started on venus") && is_there()?, "{said}");
    let failed = hosts.must("jove", &["imctrl", "venus,jove", "restart", "mss"]);
    let failed = failed.err().map(|error| format!("{error:#}")).unwrap_or_default();
    ensure!(failed.contains("*** SERVER mss does not run on HOST(S) jove ***"), "{failed}");
    ensure!(failed.contains("mss restarted on venus"), "{failed}");
    send(&hosts, &[ALICE], "after")?;
    ensure!(count(&hosts, ALICE, &["before".into(), "after".into()])? == [1, 1]);
    Ok(())
}
