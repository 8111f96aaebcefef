//! FETCH. RFC 9051 6.4.5, RFC 3501 6.4.5, RFC 7162 3.1.4.
//!
//! Messages come from the store a page at a time, with as much of each as the items need, and leave as they
//! are written. What the fetch has read is marked `\Seen` in one change after the last message. A message that cannot be
//! read hides no other (ITS 13587): the others are sent, and the answer at the end says that some could not be.

use super::session::enable_condstore;
use crate::fetch_items::{self, Plan, Sent};
use crate::replies::{Failed, Outcome, Reply};
use crate::session::Session;
use crate::updates::{self, WithUid};
use mail::flags::{FlagAction, Flags, SystemFlags};
use mail::id::Uid;
use mail::sequence::NumberSet;
use roles::store::{FlagsChange, Message, Need, Page, Read};
use std::num::NonZeroU32;
use wire::imap::command::{Access, By, Fetch, FetchItem, Tag};
use wire::imap::response::Code;

/// UIDs asked for in one request: of a set with many gaps only a part goes with each.
const PIECE: NonZeroU32 = NonZeroU32::new(1000).expect("not zero");

pub(super) async fn fetch(session: &mut Session<'_>, tag: &Tag, fetch: Fetch) -> Outcome {
    let selected = session.selected()?;
    let access = selected.access;
    let uids = selected.resolve(fetch.by, &fetch.set).map_err(|_| Failed::Bad("no such message"))?;
    if fetch.changed_since.is_some() || fetch.items.contains(&FetchItem::ModSeq) {
        enable_condstore(session);
    }
    let plan = Plan::new(&fetch);
    let Done { unseen, damaged } = send(session, &fetch, &plan, uids).await?;
    if access == Access::ReadWrite && plan.marks_seen {
        mark_seen(session, fetch.by, unseen).await?;
    }
    match damaged {
        0 => Ok(Reply::ok(tag, "fetched")),
        _ => Err(Failed::No(Some(Code::Corruption), "some of the messages cannot be read")),
    }
}

/// What a fetch has met.
#[derive(Default)]
struct Done {
    /// Messages that were sent and had no `\Seen`.
    unseen: NumberSet,
    /// How many messages could not be read.
    damaged: u64,
}

/// Sends what is asked of each message.
async fn send(
    session: &mut Session<'_>,
    fetch: &Fetch,
    plan: &Plan,
    uids: NumberSet,
) -> Result<Done, Failed> {
    let mut done = Done::default();
    // What has changed is few of many: the store finds it for the whole set at once.
    let most = if fetch.changed_since.is_some() { NonZeroU32::MAX } else { PIECE };
    for mut piece in uids.pieces(most) {
        while !piece.is_empty() {
            let page = read(session, fetch, plan, &piece).await?;
            for message in &page.messages {
                let Some(number) = session.selected()?.number(message.uid) else { continue };
                match fetch_items::send(&mut session.connection, number, message, plan).await? {
                    Sent::Whole => note_unseen(&mut done.unseen, message),
                    Sent::InPart => done.damaged += 1,
                }
            }
            let Some(Uid(next)) = page.next else { break };
            piece = super::search::from(&piece, next);
        }
    }
    Ok(done)
}

fn note_unseen(unseen: &mut NumberSet, message: &Message) {
    if !message.flags.system.contains(SystemFlags::SEEN) {
        unseen.insert(message.uid.0);
    }
}

async fn read(
    session: &mut Session<'_>,
    fetch: &Fetch,
    plan: &Plan,
    uids: &NumberSet,
) -> Result<Page, Failed> {
    let mailbox = session.account()?.mailbox;
    let read = Read {
        mailbox,
        folder: session.selected()?.folder,
        uids: uids.clone(),
        need: plan.need,
        changed_since: fetch.changed_since,
        limit: page_size(plan.need),
    };
    Ok(session.store().message_read(&session.call(), read).await?)
}

/// Messages asked for at a time: a page is held while it is sent.
fn page_size(need: Need) -> usize {
    match need {
        Need::Flags => 1000,
        Need::Outline => 256,
        Need::Body => 64,
    }
}

/// RFC 9051 6.4.5: where that changes flags, they are told.
async fn mark_seen(session: &mut Session<'_>, by: By, unseen: NumberSet) -> Result<(), Failed> {
    let mailbox = session.account()?.mailbox;
    let folder = session.selected()?.folder;
    for uids in unseen.pieces(super::store::PAGE) {
        let flags = Flags::system(SystemFlags::SEEN);
        let change =
            FlagsChange { mailbox, folder, uids, action: FlagAction::Add, flags, unchanged_since: None };
        let changed = session.store().flags_change(&session.call(), change).await?;
        updates::note_own(session, &changed)?;
        let with_uid = if by == By::Uid { WithUid::Always } else { WithUid::IfEnabled };
        updates::tell_flags(session, &changed.now, with_uid).await?;
    }
    Ok(())
}
