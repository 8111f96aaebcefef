//! Everything that a client can see of a mailbox, and whether it agrees with itself.

use crate::finding::{Finding, Kind};
use crate::ledger::Shown;
use crate::model::{Folder, Mail, Mailbox, Past, body, token_of};
use mail::flags::{Flags, SystemFlags};
use mail::id::{FolderId, MailboxId, ModSeq, RequestId, TraceId, Uid};
use mail::message::Outline;
use mail::sequence::NumberSet;
use roles::Call;
use roles::store::{Changes, Message, MessageStore, Need, Read, StoreError};
use std::collections::BTreeMap;
use store::Store;

/// What was found in a mailbox.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) mailbox: Mailbox,
    /// The highest ModSeq of each folder.
    pub(crate) highest: BTreeMap<FolderId, ModSeq>,
    /// The last change of each message.
    modseqs: BTreeMap<(FolderId, u32), ModSeq>,
    /// What is new to who had last seen a folder as [`Shown`] says.
    changes: BTreeMap<(FolderId, ModSeq), Changes>,
    /// Where it contradicts itself.
    pub(crate) wrong: Vec<String>,
    /// Messages whose bytes could not be read, by folder and UID, and why.
    pub(crate) unreadable: BTreeMap<(String, u32), String>,
}

/// A call of the simulation; requests that can be repeated have ids of their own.
pub(crate) fn call(request: RequestId) -> Call {
    Call::new(request, TraceId::new("sim"))
}

/// Looks at a mailbox, and asks for what is new since these were shown.
///
/// # Errors
/// Where the store does not show something: that alone is not wrong where reads fail on purpose.
pub(crate) async fn look(store: &Store, id: MailboxId, shown: &[Shown]) -> Result<Seen, StoreError> {
    let (mut seen, call) = (Seen::default(), call(RequestId(0)));
    let folders = match store.folder_list(&call, id).await {
        Err(StoreError::NoMailbox) => return Ok(seen),
        other => other?,
    };
    let subscribed = folders.folders.iter().filter(|f| f.subscribed).map(|f| f.name.clone());
    seen.mailbox.subscribed = subscribed.chain(folders.ghosts).collect();
    let (mut bytes, mut messages) = (0, 0);
    for folder in folders.folders {
        bytes += folder.bytes;
        messages += u64::from(folder.messages);
        seen.folder(store, id, &folder).await?;
        for shown in shown.iter().filter(|s| s.folder == folder.id && s.validity == folder.uid_validity) {
            let changes = store.folder_changes(&call, id, folder.id, shown.up_to).await?;
            seen.changes.insert((folder.id, shown.up_to), changes);
        }
    }
    let usage = store.mailbox_usage(&call, id).await?;
    if (usage.bytes, usage.messages) != (bytes, messages) {
        seen.wrong.push(format!("usage {usage:?}, folders {bytes} bytes in {messages} messages"));
    }
    Ok(seen)
}

impl Seen {
    async fn folder(
        &mut self,
        store: &Store,
        id: MailboxId,
        folder: &roles::store::Folder,
    ) -> Result<(), StoreError> {
        let opened = store.folder_open(&call(RequestId(0)), id, folder.name.clone()).await?;
        let (mut mails, mut counted) = (BTreeMap::new(), (0, 0, 0, 0));
        let mut from = Some(Uid(1));
        while let Some(first) = from {
            let mut uids = NumberSet::new();
            uids.insert_range(first.0..=u32::MAX);
            let read = Read {
                mailbox: id,
                folder: folder.id,
                uids,
                need: Need::Body,
                changed_since: None,
                limit: 1000,
            };
            let page = store.message_read(&call(RequestId(0)), read).await?;
            for message in page.messages {
                let system = message.flags.system;
                counted.0 += 1;
                counted.1 += u32::from(!system.contains(SystemFlags::SEEN));
                counted.2 += u32::from(system.contains(SystemFlags::DELETED));
                counted.3 += message.size;
                self.modseqs.insert((folder.id, message.uid.0), message.modseq);
                let token = self.token(&folder.name, &message);
                mails.insert(message.uid.0, Mail { token, flags: message.flags });
            }
            from = page.next;
        }
        let name = &folder.name;
        if counted != (folder.messages, folder.unseen, folder.deleted, folder.bytes) {
            self.wrong.push(format!("{name} counts {folder:?}, has {counted:?}"));
        }
        if opened.uids.iter().ne(mails.keys().copied()) || opened.folder != *folder {
            self.wrong.push(format!("{name} opens with {:?}", opened.uids.to_string()));
        }
        self.highest.insert(folder.id, folder.highest_modseq);
        let (id, validity, next) = (folder.id, folder.uid_validity, folder.uid_next.0);
        self.mailbox.folders.insert(name.clone(), Folder { id, validity, next, mails });
        Ok(())
    }

    /// Which message it is; notes where its bytes are not those that it had.
    fn token(&mut self, folder: &str, message: &Message) -> u64 {
        let uid = message.uid.0;
        let Some(stored) = &message.body else {
            // Told as damaged: right where reads fail, and nowhere else.
            self.unreadable.insert((folder.to_owned(), uid), "it has no body".into());
            return 0;
        };
        let mut bytes = vec![0; usize::try_from(stored.len()).unwrap_or(0)];
        if let Err(error) = stored.fill_blocking(0, &mut bytes) {
            self.unreadable.insert((folder.to_owned(), uid), error.to_string());
            return 0;
        }
        let outline = message.outline.as_ref().and_then(|o| Outline::decode(o).ok());
        let token = token_of(&bytes).unwrap_or(0);
        let whole = bytes == body(token) && message.size == bytes.len() as u64;
        if !whole || outline.is_none_or(|o| o.size() != message.size) {
            self.wrong.push(format!("UID {uid} is not message {token} byte for byte"));
        }
        token
    }

    /// Takes for what they should be the messages that could not be read: an error is no wrong answer.
    pub(crate) fn trust(&mut self, expected: &Mailbox) {
        for (name, uid) in self.unreadable.keys() {
            let should = expected.folders.get(name).and_then(|f| f.mails.get(uid));
            let mail = self.mailbox.folders.get_mut(name).and_then(|f| f.mails.get_mut(uid));
            if let (Some(should), Some(mail)) = (should, mail) {
                mail.token = should.token;
            }
        }
    }

    /// What a client that has seen a folder must not find: numbers that went back, other flags at the same ModSeq,
    /// news that do not lead to what is there, messages gone that nobody removed.
    pub(crate) fn check_shown(&self, shown: &Shown, past: &Past) -> Vec<Finding> {
        let mut findings = Vec::new();
        let Some((name, folder)) = self.mailbox.folder(shown.folder) else { return findings };
        if folder.validity != shown.validity {
            return findings;
        }
        let mut add = |kind, text: String| {
            findings.push(Finding::new(kind, format!("mailbox {}, {name}: {text}", shown.mailbox.0)));
        };
        let highest = self.highest.get(&shown.folder).copied().unwrap_or(ModSeq::ZERO);
        if highest < shown.up_to {
            add(Kind::Reused, format!("highest ModSeq {} after {}", highest.0, shown.up_to.0));
        }
        for (uid, modseq, flags) in &shown.marks {
            let Some(mail) = folder.mails.get(uid) else { continue };
            let now = self.modseqs.get(&(shown.folder, *uid)).copied().unwrap_or(ModSeq::ZERO);
            if now < *modseq || now == *modseq && mail.flags != *flags {
                add(Kind::Reused, format!("UID {uid} at ModSeq {} after {}", now.0, modseq.0));
            }
        }
        let Some(known) = &shown.known else { return findings };
        for uid in known.keys().filter(|uid| !folder.mails.contains_key(uid)) {
            let token = past.uids.get(&(folder.validity, *uid));
            if token.is_none_or(|t| !past.removed.contains(t)) {
                add(Kind::Lost, format!("UID {uid} was seen, and nobody removed it"));
            }
        }
        if let Some(changes) = self.changes.get(&(shown.folder, shown.up_to)) {
            let now: BTreeMap<u32, Flags> =
                folder.mails.iter().map(|(uid, m)| (*uid, m.flags.clone())).collect();
            if catch_up(known, changes) != now {
                add(Kind::Altered, format!("what is new since ModSeq {} does not lead there", shown.up_to.0));
            }
        }
        findings
    }
}

/// What a client knows that has heard what is new.
pub(crate) fn catch_up(known: &BTreeMap<u32, Flags>, changes: &Changes) -> BTreeMap<u32, Flags> {
    let mut known = known.clone();
    known.retain(|uid, _| !changes.vanished.contains(*uid));
    known.extend(changes.changed.iter().map(|(uid, flags, _)| (uid.0, flags.clone())));
    known
}
