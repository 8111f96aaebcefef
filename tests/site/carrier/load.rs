//! The load: senders and readers, each a thread that always comes over the same front end, as many over each.

use crate::fault::{HOSTS, Part, Task};
use crate::ledger::{Found, INBOX, KEPT, Ledger, Verdict};
use crate::six::{Six, USERS, User, hosts_of};
use crate::tally::{End, Session, Tally};
use anyhow::{Context as _, Result, ensure};
use env::random::Random;
use site::connection::Connection;
use site::imap::{Imap, Untagged};
use site::pop3::Pop3;
use site::program::{Service, now};
use site::smtp::Smtp;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

/// What all threads share.
pub(crate) struct World {
    pub(crate) tally: Tally,
    ledger: Mutex<Ledger>,
    users: Vec<User>,
    fronts: Vec<Front>,
    ended: AtomicBool,
}

/// A front end, by the number of its host, and where its services are.
struct Front {
    number: usize,
    smtp: (Ipv4Addr, u16),
    pop: (Ipv4Addr, u16),
    imap: (Ipv4Addr, u16),
}

impl Front {
    fn open(&self, service: Service) -> Result<Connection> {
        let (address, port) = match service {
            Service::Pop3 => self.pop,
            Service::Imap => self.imap,
            _ => self.smtp,
        };
        Connection::open_at(address, port)
    }
}

impl World {
    pub(crate) fn of(six: &Six) -> Result<Self> {
        let front = |number: usize| -> Result<Front> {
            let place = |service| six.hosts.place(HOSTS[number].0, service);
            let (smtp, pop, imap) = (place(Service::Smtp)?, place(Service::Pop3)?, place(Service::Imap)?);
            Ok(Front { number, smtp, pop, imap })
        };
        Ok(Self {
            tally: Tally::default(),
            ledger: Mutex::default(),
            users: six.users.clone(),
            fronts: hosts_of(Part::Front).into_iter().map(front).collect::<Result<_>>()?,
            ended: AtomicBool::new(false),
        })
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads all folders of all users.
    pub(crate) fn compare(&self, six: &Six) -> Result<Verdict> {
        let mut there = BTreeMap::new();
        let (front, ..) = HOSTS[self.fronts[0].number];
        for (number, user) in self.users.iter().enumerate() {
            let mut imap = Imap::login_over(six.hosts.connect(front, Service::Imap)?, user.account)?;
            for folder in [INBOX, KEPT] {
                there.insert((number, folder), read_all(&mut imap, folder)?);
            }
        }
        Ok(self.ledger().compare(&there))
    }
}

/// The threads.
pub(crate) struct Load {
    world: Arc<World>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn begin(world: &Arc<World>) -> Self {
        let client = |number: usize| Client {
            world: Arc::clone(world),
            chance: Random::seeded(number as u64),
            front: number % world.fronts.len(),
        };
        let stores = hosts_of(Part::Store);
        let of_store = |store: Option<&usize>| -> Vec<usize> {
            let is_there = |user: &usize| store.is_none_or(|home| world.users[*user].home == *home);
            (0..USERS).filter(is_there).collect()
        };
        // For the users of each store, and for those of both: who waits for a store that stands still does nothing else.
        let sender = |number: usize| {
            let (client, to) = (client(number), of_store(stores.get(number / world.fronts.len())));
            spawn(move || client.run(|client| client.send(&to)))
        };
        // Each has users of its own: a POP session holds the mailbox.
        let reader = |number: usize| {
            let client = client(number);
            let (front, mut users) = (client.front, of_store(stores.get(number / world.fronts.len())));
            users.retain(|user| user / stores.len() % world.fronts.len() == front);
            spawn(move || client.run(|client| client.read(&users)))
        };
        let (readers, fronts) = (stores.len() * world.fronts.len(), world.fronts.len());
        let threads = (0..readers + fronts).map(sender).chain((0..readers).map(reader)).collect();
        Self { world: Arc::clone(world), threads }
    }

    /// Lets all sessions come to their end.
    pub(crate) fn end(self) {
        self.world.ended.store(true, Ordering::SeqCst);
        for thread in self.threads {
            // A thread that panicked has said so; its sessions are in the ledger.
            let _ = thread.join();
        }
    }
}

/// One thread.
struct Client {
    world: Arc<World>,
    chance: Random,
    /// Its front end: one that stands still holds up those alone who came to it.
    front: usize,
}

impl Client {
    fn run(self, session: impl Fn(&Self)) {
        while !self.world.ended.load(Ordering::SeqCst) {
            session(&self);
            sleep(PAUSE);
        }
    }

    /// Runs a session and notes how it ended.
    fn note(&self, task: Task, session: impl FnOnce(&Front) -> Result<()>) {
        let world = &*self.world;
        let front = &world.fronts[self.front];
        let begun = now();
        let end = match session(front) {
            Ok(()) => End::Well,
            Err(error) if format!("{error:#}").contains("[IN-USE]") => End::Busy,
            Err(error) => End::Badly(format!("{error:#}")),
        };
        world.tally.note(Session { task, front: front.number, begun, ended: now(), end });
    }

    /// One message to one or two of these users.
    fn send(&self, users: &[usize]) {
        let mut to = vec![self.one_of(users)];
        if self.chance.below(3) == 0 {
            to.push(self.one_of(users));
            to.dedup();
        }
        self.note(Task::Send, |front| {
            let mut smtp = Smtp::greet(front.open(Service::Smtp)?, Service::Smtp)?;
            let number = self.world.ledger().begin(to.iter().map(|&user| (user, INBOX)).collect());
            let addresses: Vec<_> = to.iter().map(|&user| self.world.users[user].account.address).collect();
            smtp.deliver("sender@remote.test", &addresses, message(number).as_bytes())?;
            self.world.ledger().told(number);
            smtp.must("QUIT", 221).map(drop)
        });
    }

    fn one_of(&self, users: &[usize]) -> usize {
        users[self.chance.below(users.len() as u64) as usize]
    }

    /// One session of one of these users: by IMAP or by POP.
    fn read(&self, users: &[usize]) {
        let user = self.one_of(users);
        let by_imap = self.chance.below(2) == 0;
        let home = self.world.users[user].home;
        self.note(Task::Read { home }, |front| {
            if by_imap { self.by_imap(front, user) } else { self.by_pop(front, user) }
        });
    }

    /// Sets a flag on the newest message, and appends another one to the other folder.
    fn by_imap(&self, front: &Front, user: usize) -> Result<()> {
        let mut imap = Imap::login_over(front.open(Service::Imap)?, self.world.users[user].account)?;
        let there = imap.select(INBOX)?;
        if there > 0 {
            let found = number_of(&imap.fetch(there)?).context("a message of nobody's")?;
            imap.must(&format!("STORE {there} +FLAGS (\\Flagged)"))?;
            self.world.ledger().flagged(user, found);
        }
        let number = self.world.ledger().begin(vec![(user, KEPT)]);
        let text = message(number);
        imap.must(&format!("APPEND {KEPT} {{{}+}}\r\n{text}", text.len()))?;
        self.world.ledger().told(number);
        imap.must("LOGOUT").map(drop)
    }

    /// Takes the first message and, sometimes, removes it.
    fn by_pop(&self, front: &Front, user: usize) -> Result<()> {
        let account = self.world.users[user].account;
        let mut pop = Pop3::login_over(front.open(Service::Pop3)?, account)?;
        let mut taken = None;
        if pop.count()? > 0 {
            let text = pop.lines("RETR 1")?;
            let number = number_of(&text).context("a message of nobody's")?;
            ensure!(is_whole(&text, number), "message {number} was altered");
            if self.chance.below(2) == 0 {
                self.world.ledger().remove(user, number);
                pop.command("DELE 1")?;
                taken = Some(number);
            }
        }
        pop.command("QUIT")?;
        taken.into_iter().for_each(|number| self.world.ledger().removed(user, number));
        Ok(())
    }
}

/// All messages of a folder.
fn read_all(imap: &mut Imap, folder: &'static str) -> Result<Vec<Found>> {
    if imap.select(folder)? == 0 {
        return Ok(Vec::new());
    }
    let found = imap.must("FETCH 1:* (FLAGS BODY.PEEK[])")?.into_iter().filter_map(|one: Untagged| {
        let text = one.literals.first()?;
        let number = number_of(text).unwrap_or(0);
        Some(Found { number, flagged: one.text.contains("\\Flagged"), whole: is_whole(text, number) })
    });
    Ok(found.collect())
}

/// The message of a number: another length and other bytes for each.
fn message(number: u64) -> String {
    format!("From: <sender@remote.test>\r\nSubject: carrier {number}\r\n\r\n{}", body(number))
}

fn body(number: u64) -> String {
    let mut text = String::new();
    for line in 0..=number * 7 % 61 {
        let _ =
            write!(text, "{:016x} {line} of {number}\r\n", number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ line);
    }
    text
}

fn number_of(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.lines().find_map(|line| line.strip_prefix("Subject: carrier "))?.trim().parse().ok()
}

fn is_whole(text: &[u8], number: u64) -> bool {
    text.ends_with(format!("\r\n\r\n{}", body(number)).as_bytes())
}

/// Between two sessions of a thread.
const PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_its_number_and_shows_what_was_changed() {
        let text = format!("Received: by x\r\n{}", message(41));
        assert_eq!(number_of(text.as_bytes()), Some(41));
        assert!(is_whole(text.as_bytes(), 41) && !is_whole(text.as_bytes(), 42));
        assert!(!is_whole(text.replace("1 of 41", "1 of 14").as_bytes(), 41));
        assert_eq!(number_of(b"Subject: else\r\n\r\n"), None);
    }
}
