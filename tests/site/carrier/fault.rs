//! What is done to the site, and who may notice: rules, and no deeds.

use std::fmt;

/// What is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The host with this number in [`HOSTS`].
    Host(usize),
    /// The database of the directory.
    Database,
}

/// A part of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Configuration and directory.
    Head,
    /// MTA, POP, IMAP, and a copy of the directory.
    Front,
    Store,
    Queue,
}

/// The hosts: name, part, servers.
pub(crate) const HOSTS: [(&str, Part, &str); 6] = [
    ("venus", Part::Head, "imconfserv,imdircacheserv"),
    ("jove", Part::Front, "imdircacheserv,mta,popserv,imapserv"),
    ("juno", Part::Front, "imdircacheserv,mta,popserv,imapserv"),
    ("mars", Part::Store, "mss"),
    ("minerva", Part::Store, "mss"),
    ("vulcan", Part::Queue, "imqueueserv"),
];

/// The numbers of the hosts that are this part.
pub(crate) fn hosts(part: Part) -> impl Iterator<Item = usize> {
    HOSTS.iter().enumerate().filter(move |(_, (_, of, _))| *of == part).map(|(number, _)| number)
}

impl Target {
    pub(crate) const ALL: [Self; 7] = [
        Self::Host(0),
        Self::Host(1),
        Self::Host(2),
        Self::Host(3),
        Self::Host(4),
        Self::Host(5),
        Self::Database,
    ];
}

/// How it is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// At once, and begun again.
    Killed,
    /// In order, and begun again.
    Ended,
    /// It stands still and goes on: its connections stay open and nothing is answered.
    Frozen,
}

impl Kind {
    pub(crate) fn fits(self, target: Target) -> bool {
        target != Target::Database || self != Self::Frozen
    }
}

/// Something that is done to the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) target: Target,
    pub(crate) kind: Kind,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.target {
            Target::Host(number) => {
                let (name, part, _) = HOSTS[number];
                format!("{name} ({})", format!("{part:?}").to_lowercase())
            }
            Target::Database => "database".into(),
        };
        let how = match self.kind {
            Kind::Killed => "killed",
            Kind::Ended => "ended in order",
            Kind::Frozen => "frozen",
        };
        f.pad(&format!("{what} {how}"))
    }
}

/// What a client does in one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Hands mail in, for anybody.
    Send,
    /// Reads and changes a mailbox on this host.
    Read { home: usize },
}

/// Whether a session over this front end may fail while that is away.
pub(crate) fn may_fail(target: Target, front: usize, task: Task) -> bool {
    let Target::Host(away) = target else { return false };
    match HOSTS[away].1 {
        Part::Front => front == away,
        // Mail for it waits in the queue: who sends does not notice.
        Part::Store => task == Task::Read { home: away },
        // Front ends have a copy of the directory, and stores take mail themselves.
        Part::Head | Part::Queue => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_needs_what_is_away_may_notice() {
        let (front, other, store) = (1, 2, 3);
        let read = |home| Task::Read { home };
        assert!(
            may_fail(Target::Host(front), front, Task::Send) && may_fail(Target::Host(front), front, read(4))
        );
        assert!(
            !may_fail(Target::Host(front), other, Task::Send)
                && !may_fail(Target::Host(front), other, read(3))
        );
        assert!(
            may_fail(Target::Host(store), front, read(3)) && !may_fail(Target::Host(store), front, read(4))
        );
        assert!(!may_fail(Target::Host(store), front, Task::Send));
        for target in [Target::Host(0), Target::Host(5), Target::Database] {
            assert!(!may_fail(target, front, Task::Send) && !may_fail(target, front, read(3)));
        }
    }

    #[test]
    fn every_host_is_a_target_and_a_database_is_not_frozen() {
        assert_eq!(Target::ALL.len(), HOSTS.len() + 1);
        assert!(!Kind::Frozen.fits(Target::Database) && Kind::Frozen.fits(Target::Host(0)));
    }
}
