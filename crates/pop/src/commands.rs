//! The TRANSACTION state and the update at its end. RFC 1939 5 to 7.

use crate::Pop;
use crate::login;
use crate::replies;
use crate::session::{End, Held, Session};
use catalog::events::pop::PopSyncError;
use mail::id::{FolderId, Uid};
use mail::sequence::NumberSet;
use roles::Body;
use roles::store::{Need, Page, Read, StoreError};
use std::num::NonZeroU32;
use wire::pop3::command::{Command, Number};
use wire::pop3::reply::{self, Stuffer, TopLimit};

/// Messages asked of the store at a time.
const PAGE: NonZeroU32 = NonZeroU32::new(1000).expect("not zero");
/// Octets of a body asked for at a time.
const PIECE: usize = 64 << 10;

/// Does a command that the state allows after a login.
pub(crate) async fn run(session: &mut Session<'_>, command: Command) -> Result<(), End> {
    let Some(Held { view, .. }) = &mut session.held else { return Ok(()) };
    let out = session.connection.output();
    match command {
        Command::Noop => reply::ok(out, "nothing done"),
        Command::Stat => {
            let (count, octets) = view.totals();
            reply::ok_pair(out, count, octets);
        }
        Command::List(Some(number)) => {
            if let Some((_, octets)) = size(session, number).await {
                reply::ok_pair(session.connection.output(), u64::from(number), octets);
            }
        }
        Command::Uidl(Some(number)) => match view.get(number) {
            Some(uid) => {
                out.extend_from_slice(b"+OK ");
                reply::unique_id(out, u64::from(number), view.uid_validity.0, uid.0);
            }
            None => replies::no_such_message(out),
        },
        Command::List(None) => {
            reply::ok_number(out, view.totals().0, "messages");
            return list(session).await;
        }
        Command::Uidl(None) => {
            reply::ok(out, "unique ids follow");
            return unique_ids(session).await;
        }
        Command::Dele(number) => {
            if let Some((uid, octets)) = size(session, number).await {
                session.held.iter_mut().for_each(|held| held.view.mark(uid, octets));
                reply::ok(session.connection.output(), "message marked");
            }
        }
        Command::Rset => {
            view.unmark_all();
            reply::ok_number(out, view.totals().0, "messages");
        }
        Command::Retr(number) => return send(session, number, None).await,
        Command::Top(number, lines) => return send(session, number, Some(TopLimit::new(lines))).await,
        Command::Capa => login::capabilities(session),
        Command::Quit => return quit(session).await,
        // The state has let none of these through.
        Command::Stls | Command::User(_) | Command::Pass(_) | Command::Auth(..) | Command::AuthList => {}
    }
    Ok(())
}

/// UID and octets of a message that is not marked; where it has none, the client has been told why.
async fn size(session: &mut Session<'_>, number: Number) -> Option<(Uid, u64)> {
    let found = session.held.as_ref().and_then(|held| Some((held, held.view.get(number)?)));
    let Some((held, uid)) = found else {
        replies::no_such_message(session.connection.output());
        return None;
    };
    match page(held, NumberSet::one(uid.0), Need::Flags).await {
        Ok(Page { messages, .. }) if !messages.is_empty() => Some((uid, messages[0].size)),
        Ok(_) => {
            replies::store_failed(session.connection.output(), &StoreError::NoMessage);
            None
        }
        Err(why) => {
            replies::store_failed(session.connection.output(), &why);
            None
        }
    }
}

/// Number and octets of each message that is not marked. One that was removed by other means meanwhile has none.
async fn list(session: &mut Session<'_>) -> Result<(), End> {
    let Some(held) = &session.held else { return Ok(()) };
    for mut piece in held.view.listed().pieces(PAGE) {
        while !piece.is_empty() {
            // Once the answer has begun there is no way to take it back.
            let page = page(held, piece.clone(), Need::Flags).await.map_err(|_| End::Broken)?;
            for message in &page.messages {
                let Some(number) = held.view.number(message.uid) else { continue };
                reply::pair(session.connection.output(), u64::from(number), message.size);
                session.connection.flush_if_full().await?;
            }
            let Some(next) = page.next.filter(|_| !page.messages.is_empty()) else { break };
            let mut rest = NumberSet::new();
            rest.insert_range(next.0..=u32::MAX);
            piece = piece.intersection(&rest);
        }
    }
    reply::end(session.connection.output());
    Ok(())
}

/// Number and unique id of each message that is not marked.
async fn unique_ids(session: &mut Session<'_>) -> Result<(), End> {
    let Some(held) = &session.held else { return Ok(()) };
    let (listed, validity) = (held.view.listed(), held.view.uid_validity.0);
    for uid in listed.iter() {
        let Some(number) = held.view.number(Uid(uid)) else { continue };
        reply::unique_id(session.connection.output(), u64::from(number), validity, uid);
        session.connection.flush_if_full().await?;
    }
    reply::end(session.connection.output());
    Ok(())
}

async fn page(held: &Held, uids: NumberSet, need: Need) -> Result<Page, StoreError> {
    let (mailbox, folder, limit) = (held.mailbox, FolderId::INBOX, PAGE.get() as usize);
    let read = Read { mailbox, folder, uids, need, changed_since: None, limit };
    held.store().message_read(held.call(), read).await
}

/// RETR and TOP.
async fn send(session: &mut Session<'_>, number: Number, limit: Option<TopLimit>) -> Result<(), End> {
    let found = session.held.as_ref().and_then(|held| Some((held, held.view.get(number)?)));
    let Some((held, uid)) = found else {
        replies::no_such_message(session.connection.output());
        return Ok(());
    };
    let body = match find(session.pop, held, uid).await {
        // ITS 13587: its beginning is read before it is promised.
        Ok(body) if body.is_empty() || body.read(0, PIECE).await.is_ok() => body,
        Ok(_) | Err(StoreError::Broken(_)) => {
            replies::damaged(session.connection.output());
            return Ok(());
        }
        Err(why) => {
            replies::store_failed(session.connection.output(), &why);
            return Ok(());
        }
    };
    match limit {
        None => {
            session.retrieved += 1;
            reply::ok_number(session.connection.output(), body.len(), "octets");
        }
        Some(_) => reply::ok(session.connection.output(), "top of message follows"),
    }
    stream(session, &body, limit).await
}

async fn find(pop: &Pop, held: &Held, uid: Uid) -> Result<Body, StoreError> {
    let page = page(held, NumberSet::one(uid.0), Need::Body).await?;
    let message = page.messages.into_iter().next().ok_or(StoreError::NoMessage)?;
    let damaged = || StoreError::Broken("the message cannot be read".into());
    let (size, body) = (message.size, message.body.ok_or_else(damaged)?);
    if body.len() != size {
        let detail = "the size is not the one that was listed";
        pop.env.log.emit(&PopSyncError { mailbox: held.mailbox, detail });
    }
    Ok(body)
}

/// Sends the body piece by piece: no more of it is in memory than the connection's buffer and one piece.
async fn stream(session: &mut Session<'_>, body: &Body, mut limit: Option<TopLimit>) -> Result<(), End> {
    let (mut stuffer, mut offset) = (Stuffer::default(), 0);
    while offset < body.len() && !limit.as_ref().is_some_and(TopLimit::is_over) {
        // Once the answer has begun there is no way to take it back: only the connection can end.
        let piece = body.read(offset, PIECE).await.map_err(|_| End::Broken)?;
        if piece.is_empty() {
            return Err(End::Broken);
        }
        let wanted = limit.as_mut().map_or(piece.len(), |limit| limit.take(&piece));
        stuffer.push(&piece[..wanted], session.connection.output());
        offset += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        session.connection.flush_if_full().await?;
        session.renew_lock().await?;
    }
    stuffer.finish(session.connection.output());
    Ok(())
}

/// RFC 1939 6: the UPDATE state. What cannot be removed stays, and the client is told.
async fn quit(session: &mut Session<'_>) -> Result<(), End> {
    let call = session.call();
    let Some(held) = &session.held else { return Err(End::Quit) };
    let marked = held.view.marked();
    if !marked.is_empty() {
        match held.store().message_delete(&call, held.mailbox, FolderId::INBOX, marked).await {
            Ok(removed) => session.deleted = removed.len(),
            Err(why) => {
                replies::store_failed(session.connection.output(), &why);
                return Err(End::Quit);
            }
        }
    }
    reply::ok(session.connection.output(), "InterMail POP3 server signing off.");
    Err(End::Quit)
}
