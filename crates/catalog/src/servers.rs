//! The servers: their names, what they are for, the order in which they start, their ports.

use crate::key::Key;
use crate::keys::{imapserv, mta, popserv, sysadmin};

/// What a client speaks on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Mail from other servers.
    Smtp,
    /// Mail from users, STARTTLS.
    Submission,
    /// Mail from users, TLS from the first byte.
    Submissions,
    /// Mail from another MTA in front of this site.
    Lmtp,
    /// POP3, STLS.
    Pop3,
    /// POP3, TLS from the first byte.
    Pop3s,
    /// IMAP, STARTTLS.
    Imap,
    /// IMAP, TLS from the first byte.
    Imaps,
}

impl Service {
    /// The name that IANA gave it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Lmtp => "lmtp",
            Self::Pop3 => "pop3",
            Self::Pop3s => "pop3s",
            Self::Imap => "imap",
            Self::Imaps => "imaps",
        }
    }

    /// Whether TLS is spoken from the first byte.
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Submissions | Self::Pop3s | Self::Imaps)
    }
}

/// A port that a server listens on.
#[derive(Debug, Clone, Copy)]
pub struct Port {
    /// What is spoken there.
    pub service: Service,
    /// The standard's number. A site that starts at a base port adds it to the base.
    pub standard: u16,
    /// The key that says the number of this site.
    pub key: Key<u64>,
}

/// One server.
#[derive(Debug)]
pub struct Server {
    /// The name in paths of keys, in the log, in `imservctrl`.
    pub name: &'static str,
    /// Says whether a host runs it.
    pub run: Key<bool>,
    /// The ports for clients.
    pub ports: &'static [Port],
    /// Where other servers ask it: its distance from `rmePort`.
    pub rme: Option<u16>,
    /// One line for the manual.
    pub doc: &'static str,
}

const fn port(service: Service, standard: u16, key: Key<u64>) -> Port {
    Port { service, standard, key }
}

/// All servers in the order in which they start; they stop in the opposite one.
pub const SERVERS: &[Server] = &[
    Server {
        name: "imconfserv",
        run: sysadmin::IMCONFSERV_RUN,
        ports: &[],
        rme: Some(0),
        doc: "Configuration server: tries changes on some hosts first, tells how far the hosts are apart.",
    },
    Server {
        name: "imdircacheserv",
        run: sysadmin::IMDIRCACHESERV_RUN,
        ports: &[],
        rme: Some(2),
        doc: "Directory: accounts, addresses, domains, classes of service, passwords.",
    },
    Server {
        name: "mss",
        run: sysadmin::MSS_RUN,
        ports: &[],
        rme: Some(3),
        doc: "Message store: mailboxes, folders, messages, flags, quotas.",
    },
    Server {
        name: "imqueueserv",
        run: sysadmin::IMQUEUESERV_RUN,
        ports: &[],
        rme: Some(4),
        doc: "Queue: mail that could not be delivered yet, with its retry schedule.",
    },
    Server {
        name: "mta",
        run: sysadmin::MTA_RUN,
        ports: &[
            port(Service::Smtp, 25, mta::SMTP_PORT),
            port(Service::Submission, 587, mta::SUBMISSION_PORT),
            port(Service::Submissions, 465, mta::SSL_SMTP_PORT),
            port(Service::Lmtp, 24, mta::LMTP_PORT),
        ],
        rme: Some(5),
        doc: "MTA: takes mail in by SMTP and LMTP, delivers to the store, sends to other hosts.",
    },
    Server {
        name: "popserv",
        run: sysadmin::POPSERV_RUN,
        ports: &[
            port(Service::Pop3, 110, popserv::POP3_PORT),
            port(Service::Pop3s, 995, popserv::SSL_POP3_PORT),
        ],
        rme: None,
        doc: "POP server: mail for clients that fetch and delete.",
    },
    Server {
        name: "imapserv",
        run: sysadmin::IMAPSERV_RUN,
        ports: &[
            port(Service::Imap, 143, imapserv::IMAP4_PORT),
            port(Service::Imaps, 993, imapserv::SSL_IMAP4_PORT),
        ],
        rme: None,
        doc: "IMAP server: mail for clients that keep it on the server.",
    },
];

/// Ports from `rmePort` on that belong to the servers of a host.
pub const RME_PORTS: u16 = 10;

/// Where the manager of a host is asked: its distance from `rmePort`.
pub const RME_OF_MANAGER: u16 = 1;

/// Names that may stand in the server part of a key's path without being a server that runs.
pub const PATH_ONLY: &[&str] = &["common", "sysadmin"];

/// The server of that name, in whatever case.
pub fn find(name: &str) -> Option<&'static Server> {
    SERVERS.iter().find(|s| s.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys;

    #[test]
    fn every_key_belongs_to_a_server_or_a_path_name() {
        for row in keys::rows() {
            for server in row.servers {
                assert!(find(server).is_some() || PATH_ONLY.contains(server), "{} of {server}", row.name);
            }
        }
    }

    #[test]
    fn no_two_servers_are_asked_on_one_port() {
        let asked: Vec<u16> = SERVERS.iter().filter_map(|s| s.rme).chain([RME_OF_MANAGER]).collect();
        let different: std::collections::BTreeSet<u16> = asked.iter().copied().collect();
        assert_eq!(different.len(), asked.len());
        assert!(different.iter().all(|distance| *distance < RME_PORTS));
    }

    #[test]
    fn its_14826_the_configuration_server_begins_before_any_other() {
        assert_eq!(SERVERS[0].name, "imconfserv");
    }

    #[test]
    fn the_run_key_of_a_server_carries_its_name() {
        for server in SERVERS {
            assert_eq!(server.run.row.name, format!("{}_run", server.name));
        }
    }
}
