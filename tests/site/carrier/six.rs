//! The site: six hosts made by `init`, `invite` and `init --join`, over a PostgreSQL server of its own; its users.

use crate::fault::{Fault, HOSTS, Kind, Part, Target, hosts};
use anyhow::{Context as _, Result};
use site::hosts::{Hosts, Wish};
use site::imap::Imap;
use site::pop3::Pop3;
use site::program::{Account, Service};
use site::smtp::Smtp;
use testkit::postgres::{Care, Postgres};

/// Users, half of them on each store.
pub(crate) const USERS: usize = 24;

/// Whose mailbox is where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User {
    pub(crate) account: Account,
    /// The number of its store's host.
    pub(crate) home: usize,
}

/// The running site.
pub(crate) struct Six {
    pub(crate) hosts: Hosts,
    database: Postgres,
    pub(crate) users: Vec<User>,
}

impl Six {
    /// Makes and starts everything. The users have a folder [`crate::ledger::KEPT`].
    pub(crate) fn start() -> Result<Self> {
        let database = Postgres::start(Care::Durable);
        let url = format!("/*/common/primaryDBUrl={}", database.database());
        let everywhere = [url.as_str(), "/*/mta/outboundDeferProcessInitialWait=0"];
        let wish = |(name, _, servers): &(&'static str, Part, &'static str)| -> Wish<'_> {
            (name, servers, if *name == HOSTS[0].0 { &everywhere } else { &[] })
        };
        let wishes: Vec<Wish<'_>> = HOSTS.iter().map(wish).collect();
        let hosts = Hosts::start(&wishes)?.quietly();
        let mut six = Self { hosts, database, users: Vec::new() };
        let stores: Vec<usize> = hosts_of(Part::Store);
        for number in 0..USERS {
            six.add(number, stores[number % stores.len()])?;
        }
        Ok(six)
    }

    fn add(&mut self, number: usize, home: usize) -> Result<()> {
        // Kept to the end of the program: a test names its accounts by constants.
        let address: &'static str = format!("u{number:02}@example.test").leak();
        let account = Account { address, password: "a-secret" };
        self.hosts.account(account, HOSTS[home].0)?;
        let front = hosts(Part::Front).next().context("a site has a front end")?;
        let mut imap = Imap::login_over(self.hosts.connect(HOSTS[front].0, Service::Imap)?, account)?;
        imap.must(&format!("CREATE {}", crate::ledger::KEPT))?;
        self.users.push(User { account, home });
        Ok(())
    }

    /// Takes something away.
    pub(crate) fn strike(&mut self, fault: Fault) -> Result<()> {
        match (fault.target, fault.kind) {
            (Target::Host(n), Kind::Killed) => self.hosts.kill(HOSTS[n].0),
            (Target::Host(n), Kind::Ended) => self.hosts.stop(HOSTS[n].0),
            (Target::Host(n), Kind::Frozen) => self.hosts.freeze(HOSTS[n].0),
            (Target::Database, Kind::Killed) => {
                self.database.kill();
                Ok(())
            }
            (Target::Database, _) => {
                self.database.stop();
                Ok(())
            }
        }
    }

    /// Brings it back.
    pub(crate) fn mend(&mut self, fault: Fault) -> Result<()> {
        match (fault.target, fault.kind) {
            (Target::Host(n), Kind::Frozen) => self.hosts.thaw(HOSTS[n].0),
            (Target::Host(n), _) => self.hosts.begin(HOSTS[n].0),
            (Target::Database, _) => {
                self.database.start_again();
                Ok(())
            }
        }
    }

    /// Whether those who need it are served again, over every front end.
    pub(crate) fn serves(&self, target: Target) -> bool {
        let concerned = |user: &&User| match target {
            Target::Host(n) if HOSTS[n].1 == Part::Store => user.home == n,
            _ => true,
        };
        let Some(user) = self.users.iter().find(concerned) else { return false };
        hosts(Part::Front).all(|front| self.look(HOSTS[front].0, user.account).is_ok())
    }

    fn look(&self, front: &str, account: Account) -> Result<()> {
        Smtp::greet(self.hosts.connect(front, Service::Smtp)?, Service::Smtp)?;
        Imap::login_over(self.hosts.connect(front, Service::Imap)?, account)?.select("INBOX")?;
        // Each server has its own connections to a store.
        Pop3::login_over(self.hosts.connect(front, Service::Pop3)?, account)?.command("QUIT").map(drop)
    }
}

/// The numbers of the hosts that are this part.
pub(crate) fn hosts_of(part: Part) -> Vec<usize> {
    hosts(part).collect()
}
