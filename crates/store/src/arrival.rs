//! What every message that comes into a mailbox meets, whatever brought it: the quota, and the warning before it.
//!
//! Both are decided inside the commit that brings the message, so usage is exact and nobody is warned twice, whatever
//! crashes or is repeated.

use crate::letter::Letter;
use crate::open::Switches;
use crate::quota::{self, Over};
use crate::source::note_bytes;
use bytes::Bytes;
use mail::flags::SystemFlags;
use mail::id::{FolderId, Uid};
use mail::time::Timestamp;
use roles::store::{Quota, Usage, Warning};
use storage::mailboxes::{AgesFrom, FolderRow, NewMessage, Writer};
use storage::shard::ShardError;

/// What a mailbox holds in the middle of a change.
pub(crate) fn usage(writer: &Writer<'_, '_>) -> Usage {
    Usage { bytes: writer.row().bytes, messages: writer.row().messages }
}

/// A warning that was put into a mailbox, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Warned {
    pub(crate) percent: u8,
    pub(crate) usage: Usage,
    /// The warning's UID in the Inbox; `None`: it did not fit any more.
    pub(crate) uid: Option<Uid>,
}

/// Warns the user where the change since `before` has crossed the threshold. `folder` is the one that has been changed
/// and is not written yet.
pub(crate) fn warn(
    writer: &mut Writer<'_, '_>,
    folder: &mut FolderRow,
    before: Usage,
    quota: &Quota,
    switches: &Switches,
    now: Timestamp,
) -> Result<Option<Warned>, ShardError> {
    let Some(warning) = &quota.warning else { return Ok(None) };
    let after = usage(writer);
    if !quota::crosses(before, after, quota, warning.percent) {
        return Ok(None);
    }
    let letter = compose(writer, warning, after, quota, switches, now);
    let more = Usage { bytes: letter.len() as u64, messages: 1 };
    let mut warned = Warned { percent: warning.percent, usage: after, uid: None };
    if quota::judge(after, more, quota).is_err() {
        return Ok(Some(warned));
    }
    if folder.id == FolderId::INBOX {
        warned.uid = Some(put(writer, folder, letter, now)?);
    } else if let Some(mut inbox) = writer.mailbox().folder(FolderId::INBOX)? {
        warned.uid = Some(put(writer, &mut inbox, letter, now)?);
        writer.save_folder(&inbox)?;
    }
    Ok(Some(warned))
}

/// Puts a message of the store itself into a folder.
pub(crate) fn put(
    writer: &mut Writer<'_, '_>,
    folder: &mut FolderRow,
    letter: Vec<u8>,
    now: Timestamp,
) -> Result<Uid, ShardError> {
    let noted = note_bytes(&letter);
    let blob = writer.transaction().store(&noted.outline, &Bytes::from(letter))?;
    let (system, keywords) = (SystemFlags::NONE, Vec::new());
    let new =
        NewMessage { system, keywords, received: now, ages_from: AgesFrom::Received, sent: noted.sent, blob };
    let modseq = writer.next_modseq();
    writer.add(folder, new, modseq)
}

fn compose(
    writer: &Writer<'_, '_>,
    warning: &Warning,
    usage: Usage,
    quota: &Quota,
    switches: &Switches,
    now: Timestamp,
) -> Vec<u8> {
    let own = || {
        "Your mailbox is nearly full. When it is full, no more mail can be put into it: please delete \
                  what you no longer need."
    };
    let said = if warning.text.is_empty() { own().to_owned() } else { warning.text.clone() };
    let mut text = vec![said, String::new()];
    if quota.bytes > 0 {
        text.push(format!("It holds {} of {} bytes.", usage.bytes, quota.bytes));
    }
    if quota.messages > 0 {
        text.push(format!("It holds {} of {} messages.", usage.messages, quota.messages));
    }
    let letter = Letter {
        from: &warning.from,
        to: &warning.to,
        subject: "Your mailbox is nearly full",
        text: &text,
        id: format!("quota.{}.{}.{}", writer.id().0, writer.row().modseq, now.as_micros()),
        host: &switches.host,
        now,
    };
    letter.write()
}

/// Whether a message of these bytes fits.
pub(crate) fn judge(writer: &Writer<'_, '_>, more: Usage, quota: &Quota) -> Result<(), Over> {
    quota::judge(usage(writer), more, quota)
}
