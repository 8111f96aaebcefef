//! What a mailbox should look like: a plain model, and what each request does to it.
//!
//! A request is written down before it is sent, with the numbers that only the store knows left open; its answer
//! fills them in. Where there was no answer, they are taken from what is found ([`Mailbox::apply`]).

use env::random::Random;
use mail::flags::{FlagAction, Flags};
use mail::id::{FolderId, UidValidity};
use std::collections::{BTreeMap, BTreeSet};

/// Which message: names its bytes.
pub(crate) type Token = u64;

/// A message as its sender knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mail {
    pub(crate) token: Token,
    pub(crate) flags: Flags,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folder {
    pub(crate) id: FolderId,
    pub(crate) validity: UidValidity,
    /// The UID of the next message.
    pub(crate) next: u32,
    pub(crate) mails: BTreeMap<u32, Mail>,
}

/// A mailbox; without folders: none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Mailbox {
    pub(crate) folders: BTreeMap<String, Folder>,
    pub(crate) subscribed: BTreeSet<String>,
}

/// A folder after a change of folders.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) name: String,
    /// Its id and epoch; `None`: the store chooses them.
    pub(crate) numbers: Option<(FolderId, UidValidity)>,
    /// The folder whose messages it has from now on; `None`: it is new and empty.
    pub(crate) mails_of: Option<FolderId>,
}

/// What a request does to a mailbox.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    /// A message is there. `None`: the store chooses the UID.
    Add { folder: FolderId, uid: Option<u32>, mail: Mail },
    /// Messages have other flags.
    Flag { folder: FolderId, uids: Vec<u32>, action: FlagAction, flags: Flags },
    /// Messages are gone.
    Remove { folder: FolderId, uids: Vec<u32> },
    /// These are the folders now; none: the mailbox is gone.
    Shape(Vec<Kept>),
    /// A name is subscribed, or no longer.
    Subscribe { name: String, on: bool },
}

/// What was ever shown: UIDs are never used for another message, and what is gone stays so.
#[derive(Debug, Clone, Default)]
pub(crate) struct Past {
    /// The message that had an epoch and UID.
    pub(crate) uids: BTreeMap<(UidValidity, u32), Token>,
    /// Messages that were removed from somewhere.
    pub(crate) removed: BTreeSet<Token>,
}

impl Mailbox {
    /// Whether it exists.
    pub(crate) fn exists(&self) -> bool {
        !self.folders.is_empty()
    }

    pub(crate) fn folder(&self, id: FolderId) -> Option<(&String, &Folder)> {
        self.folders.iter().find(|(_, f)| f.id == id)
    }

    fn folder_mut(&mut self, id: FolderId) -> Option<&mut Folder> {
        self.folders.values_mut().find(|f| f.id == id)
    }

    /// How often a message is in it.
    pub(crate) fn count(&self, token: Token) -> usize {
        self.folders.values().flat_map(|f| f.mails.values()).filter(|m| m.token == token).count()
    }

    /// Does to it what the request did. Numbers that are not known are those in `found`.
    pub(crate) fn apply(&mut self, effect: &Effect, found: &Self, past: &mut Past) {
        match effect {
            Effect::Add { folder, uid, mail } => self.add(*folder, *uid, mail, found, past),
            Effect::Flag { folder, uids, action, flags } => {
                let Some(folder) = self.folder_mut(*folder) else { return };
                for uid in uids {
                    if let Some(mail) = folder.mails.get_mut(uid) {
                        mail.flags = action.apply(&mail.flags, flags);
                    }
                }
            }
            Effect::Remove { folder, uids } => {
                let Some(folder) = self.folder_mut(*folder) else { return };
                let gone = uids.iter().filter_map(|uid| folder.mails.remove(uid));
                past.removed.extend(gone.map(|m| m.token));
            }
            Effect::Shape(kept) => self.shape(kept, found, past),
            Effect::Subscribe { name, on: true } => drop(self.subscribed.insert(name.clone())),
            Effect::Subscribe { name, on: false } => drop(self.subscribed.remove(name)),
        }
    }

    fn add(&mut self, id: FolderId, uid: Option<u32>, mail: &Mail, found: &Self, past: &mut Past) {
        let there = found.folder(id).map(|(_, f)| &f.mails);
        let Some(folder) = self.folder_mut(id) else { return };
        let is_it = |(uid, m): (&u32, &Mail)| m.token == mail.token && !folder.mails.contains_key(uid);
        let of_found = || there?.iter().find(|(uid, m)| is_it((uid, m))).map(|(uid, _)| *uid);
        let uid = uid.or_else(of_found).unwrap_or(folder.next);
        folder.next = folder.next.max(uid + 1);
        folder.mails.insert(uid, mail.clone());
        past.uids.insert((folder.validity, uid), mail.token);
    }

    fn shape(&mut self, kept: &[Kept], found: &Self, past: &mut Past) {
        let before = std::mem::take(&mut self.folders);
        let of = |id| before.values().find(|f| f.id == id);
        for Kept { name, numbers, mails_of } in kept {
            let numbers = numbers.or_else(|| found.folders.get(name).map(|f| (f.id, f.validity)));
            let (id, validity) = numbers.unwrap_or((FolderId(u32::MAX), UidValidity(0)));
            let (next, mails) =
                mails_of.and_then(of).map_or((1, BTreeMap::new()), |f| (f.next, f.mails.clone()));
            past.uids.extend(mails.iter().map(|(uid, m)| ((validity, *uid), m.token)));
            self.folders.insert(name.clone(), Folder { id, validity, next, mails });
        }
        let inherited = |f: &&Folder| kept.iter().any(|k| k.mails_of == Some(f.id));
        let gone = before.values().filter(|f| !inherited(f)).flat_map(|f| f.mails.values());
        past.removed.extend(gone.map(|m| m.token));
        if !self.exists() {
            self.subscribed.clear();
        }
    }
}

/// A change of folders, as it was asked for.
#[derive(Debug, Clone)]
pub(crate) enum Reshape {
    /// Makes the mailbox.
    Begin,
    /// Removes the mailbox.
    End,
    Create(String),
    Delete(String),
    Rename(String, String),
}

impl Reshape {
    /// The folders afterwards; `None` where it must be refused.
    pub(crate) fn plan(&self, mailbox: &Mailbox) -> Option<Vec<Kept>> {
        let stays = |(name, f): (&String, &Folder)| Kept {
            name: name.clone(),
            numbers: Some((f.id, f.validity)),
            mails_of: Some(f.id),
        };
        let new = |name: &str| Kept { name: name.into(), numbers: None, mails_of: None };
        let mut kept: Vec<Kept> = mailbox.folders.iter().map(stays).collect();
        let parents = |to: &str, kept: &mut Vec<Kept>| {
            let above = to.match_indices('/').map(|(at, _)| &to[..at]);
            let missing: Vec<&str> = above.filter(|name| !mailbox.folders.contains_key(*name)).collect();
            kept.extend(missing.into_iter().map(new));
        };
        let is_below = |name: &str, top: &str| name.strip_prefix(top).is_some_and(|r| r.starts_with('/'));
        let there = |name: &String| mailbox.folders.contains_key(name);
        match self {
            Self::Begin if mailbox.exists() => return None,
            Self::Begin => kept.push(new(INBOX)),
            Self::End => return mailbox.exists().then(Vec::new),
            Self::Create(name) => {
                (mailbox.exists() && !there(name)).then_some(())?;
                parents(name, &mut kept);
                kept.push(new(name));
            }
            Self::Delete(name) => {
                let has_below = mailbox.folders.keys().any(|k| is_below(k, name));
                (there(name) && name != INBOX && !has_below).then_some(())?;
                kept.retain(|k| k.name != *name);
            }
            Self::Rename(from, to) => {
                // The Inbox itself stays where it is, so its messages may go below it.
                (there(from) && !there(to) && (from == INBOX || !is_below(to, from))).then_some(())?;
                parents(to, &mut kept);
                if from == INBOX {
                    let messages = mailbox.folders[INBOX].id;
                    kept.retain(|k| k.name != INBOX);
                    kept.push(new(INBOX));
                    kept.push(Kept { name: to.clone(), numbers: None, mails_of: Some(messages) });
                } else {
                    for one in kept.iter_mut().filter(|k| k.name == *from || is_below(&k.name, from)) {
                        one.name = format!("{to}{}", &one.name[from.len()..]);
                        one.numbers = None;
                    }
                }
            }
        }
        Some(kept)
    }
}

/// The bytes of a message. Its lowest digit says how long it is: mostly short, some longer than a block of a segment.
pub(crate) fn body(token: Token) -> Vec<u8> {
    let chance = Random::seeded(token);
    let longest = [300, 300, 300, 300, 2_000, 2_000, 2_000, 9_000, 30_000, 90_000];
    let len = chance.below(longest[(token % 10) as usize]) as usize;
    let mut bytes = format!("{MARK}{token}\r\nSubject: {token}\r\n\r\n").into_bytes();
    let begin = bytes.len();
    bytes.resize(begin + len, 0);
    chance.fill(&mut bytes[begin..]);
    bytes
}

/// Which message these bytes say that they are.
pub(crate) fn token_of(bytes: &[u8]) -> Option<Token> {
    let line = bytes.strip_prefix(MARK.as_bytes())?.split(|&b| b == b'\r').next()?;
    std::str::from_utf8(line).ok()?.parse().ok()
}

pub(crate) const INBOX: &str = "INBOX";
const MARK: &str = "X-Token: ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_says_which_it_is() {
        for token in 0..20 {
            assert_eq!(token_of(&body(token)), Some(token));
            assert_eq!(body(token), body(token));
        }
        assert_eq!(token_of(b"Subject: x\r\n"), None);
    }
}
