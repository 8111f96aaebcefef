//! What is wrong with what was found.

use crate::look::Seen;
use crate::model::{Folder, Mailbox, Past};
use mail::id::MailboxId;
use std::fmt;

/// How mail was wronged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// What was acknowledged is not there.
    Lost,
    /// A message is there once too often.
    Doubled,
    /// Bytes, flags, counters or numbers are others than they were.
    Altered,
    /// What was removed, or never came, is there.
    Resurrected,
    /// A UID names another message than before, or a number went back.
    Reused,
    /// Bytes of the log are counted as live and nothing refers to them, or the other way round.
    Leaked,
    /// The store did not answer, or said what it must not say.
    Refused,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Lost,
        Self::Doubled,
        Self::Altered,
        Self::Resurrected,
        Self::Reused,
        Self::Leaked,
        Self::Refused,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Doubled => "doubled",
            Self::Altered => "altered",
            Self::Resurrected => "resurrected",
            Self::Reused => "UIDs or ModSeqs reused",
            Self::Leaked => "bytes leaked",
            Self::Refused => "service refused",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

impl Finding {
    pub(crate) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.text)
    }
}

/// How a mailbox differs from what it must be.
pub(crate) fn compare(id: MailboxId, expected: &Mailbox, seen: &Seen, past: &Past) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |kind, text: String| findings.push(Finding::new(kind, format!("mailbox {}: {text}", id.0)));
    let found = &seen.mailbox;
    for text in &seen.wrong {
        add(Kind::Altered, text.clone());
    }
    for ((name, uid), why) in &seen.unreadable {
        add(Kind::Altered, format!("UID {uid} of {name} cannot be read: {why}"));
    }
    for name in expected.folders.keys().filter(|n| !found.folders.contains_key(*n)) {
        let lost = expected.folders[name].mails.len();
        add(Kind::Lost, format!("folder {name} with {lost} messages"));
    }
    for name in found.folders.keys().filter(|n| !expected.folders.contains_key(*n)) {
        add(Kind::Resurrected, format!("folder {name}"));
    }
    if expected.subscribed != found.subscribed {
        add(Kind::Altered, format!("subscribed {:?}, not {:?}", found.subscribed, expected.subscribed));
    }
    for (name, want) in &expected.folders {
        let Some(have) = found.folders.get(name) else { continue };
        compare_folder(name, want, have, &mut add);
        for (uid, mail) in have.mails.iter().filter(|(uid, _)| !want.mails.contains_key(uid)) {
            let doubled = found.count(mail.token) > expected.count(mail.token)
                && expected.count(mail.token) > 0
                && !past.removed.contains(&mail.token);
            let kind = if doubled { Kind::Doubled } else { Kind::Resurrected };
            add(kind, format!("{name} has message {} with UID {uid}", mail.token));
        }
    }
    for folder in found.folders.values() {
        for (uid, mail) in &folder.mails {
            let first = past.uids.get(&(folder.validity, *uid));
            if first.is_some_and(|token| *token != mail.token) {
                add(Kind::Reused, format!("UID {uid} of epoch {} was {first:?}", folder.validity.0));
            }
        }
    }
    findings
}

fn compare_folder(name: &str, want: &Folder, have: &Folder, add: &mut impl FnMut(Kind, String)) {
    if (want.id, want.validity) != (have.id, have.validity) {
        let (was, is) = ((want.id.0, want.validity.0), (have.id.0, have.validity.0));
        add(Kind::Altered, format!("{name} has id and epoch {is:?}, not {was:?}"));
    }
    if have.next < want.next {
        add(Kind::Reused, format!("the next UID of {name} is {}, not {}", have.next, want.next));
    }
    if have.next > want.next {
        add(Kind::Altered, format!("the next UID of {name} is {}, not {}", have.next, want.next));
    }
    for (uid, mail) in &want.mails {
        match have.mails.get(uid) {
            None => add(Kind::Lost, format!("message {} of {name} with UID {uid}", mail.token)),
            Some(there) if there != mail => {
                add(Kind::Altered, format!("UID {uid} of {name} is {there:?}, not {mail:?}"));
            }
            Some(_) => {}
        }
    }
}
