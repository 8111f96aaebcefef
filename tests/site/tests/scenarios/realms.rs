//! Accounts divided over the directory caches of two hosts: one that is down touches its own users alone.

use anyhow::{Result, ensure};
use site::hosts::{Hosts, Wish};
use site::imap::Imap;
use site::program::{Account, Service};
use site::tools::until;
use testkit::postgres::{Care, Postgres};

const USERS: [&str; 12] = [
    "u0@example.test",
    "u1@example.test",
    "u2@example.test",
    "u3@example.test",
    "u4@example.test",
    "u5@example.test",
    "u6@example.test",
    "u7@example.test",
    "u8@example.test",
    "u9@example.test",
    "u10@example.test",
    "u11@example.test",
];

fn user(address: &'static str) -> Account {
    Account { address, password: "realm-secret" }
}

fn logs_in(hosts: &Hosts, address: &'static str) -> bool {
    hosts.connect("jove", Service::Imap).and_then(|to| Imap::login_over(to, user(address))).is_ok()
}

#[test]
fn a_realm_that_is_down_touches_its_own_users_only() -> Result<()> {
    let server = Postgres::start(Care::Fast);
    let database = format!("/*/common/primaryDBUrl={}", server.database());
    let keys = [
        database.as_str(),
        "/*/common/realms=east:venus\nwest:mars",
        "/*/imdircacheserv/partitionUserData=true",
        "/*/imdircacheserv/partitionRouterData=true",
    ];
    let wishes: [Wish<'_>; 3] = [
        ("venus", "imconfserv,imdircacheserv,imqueueserv,mss", &keys),
        ("mars", "imdircacheserv", &[]),
        ("jove", "mta,popserv,imapserv", &[]),
    ];
    let mut hosts = Hosts::start(&wishes)?;
    for address in USERS {
        hosts.account(user(address), "venus")?;
    }
    // What each host keeps: every account is in one of the copies.
    let kept = |hosts: &Hosts, host: &str| -> Vec<&'static str> {
        USERS.into_iter().filter(|user| hosts.must(host, &["imcacheread", user]).is_ok()).collect()
    };
    until("both copies have their accounts", || {
        Ok(kept(&hosts, "venus").len() + kept(&hosts, "mars").len() == USERS.len())
    })?;
    let west = kept(&hosts, "mars");
    ensure!(!west.is_empty() && west.len() < USERS.len(), "{west:?}");
    ensure!(USERS.into_iter().all(|user| logs_in(&hosts, user)), "{}", hosts.log("venus")?);
    hosts.kill("mars")?;
    for user in USERS {
        ensure!(logs_in(&hosts, user) != west.contains(&user), "{user}: {}", hosts.log("venus")?);
    }
    ensure!(hosts.log("venus")?.contains("CacheRealmServerDown"), "{}", hosts.log("venus")?);
    hosts.begin("mars")?;
    until("the users of the realm log in again", || Ok(USERS.into_iter().all(|user| logs_in(&hosts, user))))
}
