//! The TRANSACTION state and the update at its end. RFC 1939 5 to 7.

use crate::Pop;
use crate::login;
use crate::mailbox_view::{Item, MailboxView};
use crate::replies;
use crate::session::{End, Held, Session};
use catalog::events::pop::PopSyncError;
use mail::id::FolderId;
use mail::sequence::NumberSet;
use roles::Body;
use roles::store::{Need, Read, StoreError};
use wire::pop3::command::{Command, Number};
use wire::pop3::reply::{self, Stuffer, TopLimit};

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
        Command::List(Some(number)) => match view.get(number) {
            Some(item) => reply::ok_pair(out, u64::from(number), u64::from(item.size)),
            None => replies::no_such_message(out),
        },
        Command::Uidl(Some(number)) => match view.get(number) {
            Some(item) => {
                out.extend_from_slice(b"+OK ");
                reply::unique_id(out, u64::from(number), view.uid_validity.0, item.uid.0);
            }
            None => replies::no_such_message(out),
        },
        Command::List(None) => {
            reply::ok_number(out, view.totals().0, "messages");
            return list(session, |out, _, number, item| reply::pair(out, number, u64::from(item.size)))
                .await;
        }
        Command::Uidl(None) => {
            reply::ok(out, "unique ids follow");
            return list(session, |out, view, number, item| {
                reply::unique_id(out, number, view.uid_validity.0, item.uid.0);
            })
            .await;
        }
        Command::Dele(number) if view.mark(number) => reply::ok(out, "message marked"),
        Command::Dele(_) => replies::no_such_message(out),
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

/// One line for each message that is not marked.
async fn list(
    session: &mut Session<'_>,
    write: fn(&mut bytes::BytesMut, &MailboxView, u64, Item),
) -> Result<(), End> {
    let Some(held) = &session.held else { return Ok(()) };
    for (number, item) in held.view.iter() {
        write(session.connection.output(), &held.view, number, item);
        session.connection.flush_if_full().await?;
    }
    reply::end(session.connection.output());
    Ok(())
}

/// RETR and TOP.
async fn send(session: &mut Session<'_>, number: Number, limit: Option<TopLimit>) -> Result<(), End> {
    let found = session.held.as_ref().and_then(|held| Some((held, held.view.get(number)?)));
    let Some((held, item)) = found else {
        replies::no_such_message(session.connection.output());
        return Ok(());
    };
    let body = match find(session.pop, held, item).await {
        Ok(body) => body,
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

async fn find(pop: &Pop, held: &Held, item: Item) -> Result<Body, StoreError> {
    let read = Read {
        mailbox: held.mailbox,
        folder: FolderId::INBOX,
        uids: NumberSet::one(item.uid.0),
        need: Need::Body,
        changed_since: None,
        limit: 1,
    };
    let page = pop.store.message_read(held.call(), read).await?;
    let body = page.messages.into_iter().next().and_then(|message| message.body);
    let body = body.ok_or(StoreError::NoMessage)?;
    if body.len() != u64::from(item.size) {
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
        let store = &session.pop.store;
        match store.message_delete(&call, held.mailbox, FolderId::INBOX, marked).await {
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
