//! Whether an account whose proof is right may come in: by its state, its class, and the way it came. Pure.

use crate::classes::{Access, Rights};
use catalog::account::Status;
use roles::directory::{Protocol, Transport};

/// The judgement on a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Welcome,
    /// As if the account did not exist.
    Unknown,
    /// Later.
    Maintenance,
    /// Not while the account is in this state.
    NotActive,
    /// Not by this protocol.
    NotAllowed,
    /// Not through this interface.
    NotTrusted,
}

/// Whether our address that the client reached is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    Trusted,
    Open,
}

pub(crate) fn judge(
    status: Status,
    rights: &Rights,
    protocol: Protocol,
    transport: Transport,
    trust: Trust,
) -> Verdict {
    match status {
        Status::Active => {}
        Status::Maintenance => return Verdict::Maintenance,
        Status::Deleted => return Verdict::Unknown,
        Status::Suspended | Status::Locked | Status::Proxied => return Verdict::NotActive,
    }
    let access = match (protocol, transport) {
        (Protocol::Pop, Transport::Plain) => rights.pop,
        (Protocol::Pop, Transport::Tls) => rights.pop_tls,
        (Protocol::Imap, Transport::Plain) => rights.imap,
        (Protocol::Imap, Transport::Tls) => rights.imap_tls,
        (Protocol::Smtp, Transport::Plain) => rights.smtp,
        (Protocol::Smtp, Transport::Tls) => rights.smtp_tls,
        (Protocol::Web, _) => rights.web,
    };
    match (access, trust) {
        (Access::Everywhere, _) | (Access::Trusted, Trust::Trusted) => Verdict::Welcome,
        (Access::Trusted, Trust::Open) => Verdict::NotTrusted,
        (Access::Nowhere, _) => Verdict::NotAllowed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_come_before_rights() {
        let rights = Rights::of(&Vec::new(), &Vec::new());
        let cases = [
            (Status::Active, Verdict::Welcome),
            (Status::Maintenance, Verdict::Maintenance),
            (Status::Suspended, Verdict::NotActive),
            (Status::Locked, Verdict::NotActive),
            (Status::Proxied, Verdict::NotActive),
            (Status::Deleted, Verdict::Unknown),
        ];
        for (status, verdict) in cases {
            assert_eq!(judge(status, &rights, Protocol::Imap, Transport::Plain, Trust::Open), verdict);
        }
    }

    #[test]
    fn each_protocol_and_transport_has_its_own_attribute() {
        use Protocol::{Imap, Pop, Smtp, Web};
        use Transport::{Plain, Tls};
        let all =
            [(Pop, Plain), (Pop, Tls), (Imap, Plain), (Imap, Tls), (Smtp, Plain), (Smtp, Tls), (Web, Tls)];
        let names = [
            "pref_popaccess",
            "pref_popsslaccess",
            "pref_imapaccess",
            "pref_imapsslaccess",
            "pref_smtpaccess",
            "pref_smtpsslaccess",
            "pref_webaccess",
        ];
        for name in names {
            let set = |value: &str| Rights::of(&Vec::new(), &vec![(name.to_owned(), value.to_owned())]);
            let verdicts = |rights: &Rights, trust| {
                all.map(|(p, t)| judge(Status::Active, rights, p, t, trust)).to_vec()
            };
            let not =
                |v: &[Verdict]| v.iter().filter(|v| **v != Verdict::Welcome).copied().collect::<Vec<_>>();
            assert_eq!(not(&verdicts(&set("none"), Trust::Trusted)), [Verdict::NotAllowed], "{name}");
            assert_eq!(not(&verdicts(&set("trusted"), Trust::Open)), [Verdict::NotTrusted], "{name}");
            assert_eq!(not(&verdicts(&set("trusted"), Trust::Trusted)), [], "{name}");
            let at = names.iter().position(|n| *n == name).unwrap();
            assert_eq!(verdicts(&set("none"), Trust::Open)[at], Verdict::NotAllowed);
        }
    }
}
