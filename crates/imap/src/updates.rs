//! Untagged news of the selected mailbox: what is gone, what is new, which flags have changed. RFC 9051 7.5.
//!
//! News come before the tagged answer of the command during which they were found. EXPUNGE may not come
//! during FETCH, STORE and SEARCH by message number (RFC 9051 7.5.1): what is gone then waits, and keeps its
//! number. Flags come in ModSeq order; what this session changed itself it has been told already.

use crate::selected::{News, Selected};
use crate::session::{Enabled, End, Session};
use bytes::BytesMut;
use mail::flags::{Flags, Keyword};
use mail::id::{ModSeq, Uid};
use roles::store::{FlagsChanged, StoreError};
use std::ops::RangeInclusive;
use std::task::Poll;
use wire::imap::command::{Access, By, Command};
use wire::imap::response::{FetchWriter, Put};

/// What may be told after a command, and whether the store is asked in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum May {
    /// Everything; the store is asked even where nothing has been heard of it.
    AskAll,
    /// Everything.
    All,
    /// Everything but what is gone.
    KeepNumbers,
    /// Nothing: the command has left the mailbox, or comes before it.
    Nothing,
}

impl May {
    /// After this command.
    pub(crate) fn after(command: &Command) -> Self {
        match command {
            Command::Noop | Command::Check => Self::AskAll,
            Command::Search(_) => Self::KeepNumbers,
            Command::Fetch(fetch) if fetch.by == By::Sequence => Self::KeepNumbers,
            Command::Store(store) if store.by == By::Sequence => Self::KeepNumbers,
            Command::Select(_) | Command::Close | Command::Unselect | Command::Logout => Self::Nothing,
            _ => Self::All,
        }
    }
}

/// Tells the news.
///
/// # Errors
/// Where the mailbox is not what it was, or the client has gone.
pub(crate) async fn tell(session: &mut Session<'_>, may: May) -> Result<(), End> {
    if may == May::Nothing {
        return Ok(());
    }
    let mut ask = heard(session) || may == May::AskAll || session.selected()?.behind;
    let mut grown = false;
    while ask {
        let (news, more) = match learn(session).await {
            Ok(learned) => learned,
            Err(StoreError::Busy | StoreError::Unavailable | StoreError::Elsewhere | StoreError::NoSpace)
                if !grown =>
            {
                session.selected()?.behind = true;
                break;
            }
            Err(_) => return Err(End::StoreGone),
        };
        let Some(news) = news else { return Err(End::MailboxGone) };
        session.selected()?.behind = false;
        if news.keywords {
            tell_keywords(session)?;
        }
        grown |= news.grown;
        // What is gone still has its number, and what is new comes behind: the numbers are the old ones.
        tell_flags(session, &news.flags, WithUid::IfEnabled).await?;
        ask = more;
    }
    if matches!(may, May::All | May::AskAll) {
        tell_gone(session).await?;
    }
    if grown {
        let (selected, out) = parts(session)?;
        out.raw("* ").number(selected.exists()).raw(" EXISTS").crlf();
    }
    Ok(())
}

/// Whether the store has said that something has changed.
fn heard(session: &mut Session<'_>) -> bool {
    let Some(watch) = session.watch.as_mut() else { return true };
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let polled = watch.changed().as_mut().poll(&mut context);
    // The store may have begun anew: it is asked, and without a watch it is asked each time.
    if matches!(polled, Poll::Ready(Err(_))) {
        session.watch = None;
    }
    polled.is_ready()
}

/// Asks once. `None` where the mailbox is not what it was; `true` where there is more.
async fn learn(session: &mut Session<'_>) -> Result<(Option<News>, bool), StoreError> {
    let gone = |_| StoreError::Unavailable;
    let mailbox = session.account().map_err(gone)?.mailbox;
    let selected = session.selected().map_err(gone)?;
    let (folder, since) = (selected.folder, selected.modseq);
    let changes = session.store().folder_changes(&session.call(), mailbox, folder, since).await?;
    let selected = session.selected().map_err(gone)?;
    let Some(now) = changes.folder.as_ref().filter(|f| f.uid_validity == selected.uid_validity) else {
        return Ok((None, false));
    };
    let more = changes.up_to < now.highest_modseq && changes.up_to > since;
    Ok((Some(selected.learn(changes)), more))
}

/// EXPUNGE for each message that is gone.
pub(crate) async fn tell_gone(session: &mut Session<'_>) -> Result<(), End> {
    let gone: Vec<RangeInclusive<u32>> = session.selected()?.take_gone();
    for range in gone {
        for number in range.rev() {
            session.connection.output().raw("* ").number(number).raw(" EXPUNGE").crlf();
            session.connection.flush_if_full().await?;
        }
    }
    Ok(())
}

/// Whether the UID is told with the flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WithUid {
    /// The command was one with `UID`.
    Always,
    /// The client speaks IMAP4rev2 or CONDSTORE, which both ask for it.
    IfEnabled,
}

/// Takes in what this session has changed itself: only new keywords are news.
pub(crate) fn note_own(session: &mut Session<'_>, changed: &FlagsChanged) -> Result<(), End> {
    if session.selected()?.note_own(changed) { tell_keywords(session) } else { Ok(()) }
}

/// RFC 9051 7.3.5: FLAGS again, where keywords have come up.
fn tell_keywords(session: &mut Session<'_>) -> Result<(), End> {
    let (selected, out) = parts(session)?;
    put_flags(out, selected);
    Ok(())
}

/// FETCH responses with the flags of messages, and what else is told with them.
pub(crate) async fn tell_flags(
    session: &mut Session<'_>,
    changed: &[(Uid, Flags, ModSeq)],
    uid: WithUid,
) -> Result<(), End> {
    tell_each(session, changed, uid, Tell::Flags).await
}

/// FETCH responses with the ModSeqs alone: the client knows the flags, it has set them.
pub(crate) async fn tell_modseqs(
    session: &mut Session<'_>,
    changed: &[(Uid, Flags, ModSeq)],
    uid: WithUid,
) -> Result<(), End> {
    tell_each(session, changed, uid, Tell::ModSeq).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tell {
    Flags,
    ModSeq,
}

async fn tell_each(
    session: &mut Session<'_>,
    changed: &[(Uid, Flags, ModSeq)],
    uid: WithUid,
    tell: Tell,
) -> Result<(), End> {
    let Enabled { condstore, rev2 } = session.enabled;
    for (at, flags, modseq) in changed {
        let Some(number) = session.selected()?.number(*at) else { continue };
        let mut fetch = FetchWriter::begin(session.connection.output(), number);
        if uid == WithUid::Always || condstore || rev2 {
            fetch.uid(*at);
        }
        if tell == Tell::Flags {
            fetch.flags(flags);
        }
        if condstore {
            fetch.modseq(*modseq);
        }
        fetch.end();
        session.connection.flush_if_full().await?;
    }
    Ok(())
}

/// FLAGS, and whether new ones may be made. RFC 9051 7.3.5.
pub(crate) fn put_flags(out: &mut BytesMut, selected: &Selected) {
    out.raw("* FLAGS (");
    put_all_flags(out, selected);
    out.raw(")").crlf();
    let permanent = permanent_flags(selected);
    out.raw("* OK [PERMANENTFLAGS (").raw(permanent).raw(")] these are kept").crlf();
}

fn permanent_flags(selected: &Selected) -> BytesMut {
    let mut out = BytesMut::new();
    if selected.access == Access::ReadWrite {
        put_all_flags(&mut out, selected);
        out.raw(" \\*");
    }
    out
}

fn put_all_flags(out: &mut BytesMut, selected: &Selected) {
    out.raw("\\Answered \\Flagged \\Deleted \\Seen \\Draft");
    for keyword in selected.keywords().map(Keyword::as_str) {
        out.raw(" ").raw(keyword);
    }
}

fn parts<'a>(session: &'a mut Session<'_>) -> Result<(&'a Selected, &'a mut BytesMut), End> {
    let selected = session.selected.as_deref().ok_or(End::Broken)?;
    Ok((selected, session.connection.output()))
}
