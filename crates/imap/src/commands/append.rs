//! APPEND. RFC 9051 6.3.12, RFC 3516 4.4.
//!
//! All that can be known is judged before the client is told to send: mailbox, size, quota. The message then
//! goes piece by piece into a spool, in memory or in a file, and from there to the store.

use super::answer;
use crate::replies::{Failed, Outcome, Reply};
use crate::session::{End, Session};
use crate::updates::May;
use catalog::metrics::Operation;
use net::spool::Spool;
use roles::Body;
use roles::store::{self, StoreError};
use std::sync::Arc;
use wire::imap::command::{Append, Tag};
use wire::imap::decoder::Waits;
use wire::imap::response::{Code, continuation};

/// Does an APPEND and answers it.
///
/// # Errors
/// Where the session is over.
pub(crate) async fn run(session: &mut Session<'_>, append: Append, waits: Waits) -> Result<(), End> {
    let (tag, imap) = (append.tag.clone(), session.imap);
    let _timed = imap.env.metrics.time(Operation::ImapAppend);
    if let Err(why) = judge(session, &append).await {
        session.decoder.refuse(&append, waits);
        return answer(session, &tag, Err(why), May::All).await;
    }
    let outcome = take(session, append, waits).await;
    answer(session, &tag, outcome, May::All).await
}

/// Whether the message would be taken.
async fn judge(session: &mut Session<'_>, append: &Append) -> Result<(), Failed> {
    if session.state().permits_append().is_err() {
        return Err(Failed::Bad("log in first"));
    }
    if append.size == 0 {
        return Err(Failed::No(Some(Code::Cannot), "there is no empty message"));
    }
    let account = session.account()?;
    let (mailbox, quota) = (account.mailbox, account.quota.clone());
    let name = append.mailbox.as_str().to_owned();
    session.store().folder_status(&session.call(), mailbox, name).await.map_err(Failed::Target)?;
    let usage = session.store().mailbox_usage(&session.call(), mailbox).await?;
    let bytes_over = quota.bytes > 0 && usage.bytes.saturating_add(append.size) > quota.bytes;
    if bytes_over || (quota.messages > 0 && usage.messages >= quota.messages) {
        return Err(StoreError::OverQuota.into());
    }
    Ok(())
}

async fn take(session: &mut Session<'_>, append: Append, waits: Waits) -> Outcome {
    session.decoder.accept(&append);
    if waits == Waits::Yes {
        continuation(session.connection.output(), "go on");
    }
    session.connection.flush().await?;
    let body = match receive(session).await {
        Ok(body) => body,
        Err(Failed::End(end)) => return Err(Failed::End(end)),
        Err(why) => {
            session.decoder.drop_message();
            return Err(why);
        }
    };
    end_of_command(session).await?;
    hand_over(session, append, body).await
}

/// Collects the message.
async fn receive(session: &mut Session<'_>) -> Result<Body, Failed> {
    let memory = session.rules.spool_memory;
    let run_dir = Arc::clone(&session.imap.parts.run_dir);
    let mut spool = Spool::new(memory, session.imap.env.budget.clone(), run_dir);
    loop {
        while let Some(piece) = session.decoder.message(session.connection.input()) {
            spool.push(&piece).await.map_err(no_spool)?;
        }
        if session.decoder.message_left() == 0 {
            return spool.finish().await.map_err(no_spool);
        }
        session.more().await?;
    }
}

fn no_spool(_: std::io::Error) -> Failed {
    StoreError::NoSpace.into()
}

async fn end_of_command(session: &mut Session<'_>) -> Result<(), Failed> {
    loop {
        match session.decoder.append_end(session.connection.input()) {
            Some(Ok(())) => return Ok(()),
            Some(Err(_)) => return Err(Failed::Bad("nothing may follow the message")),
            None => session.more().await?,
        }
    }
}

async fn hand_over(session: &mut Session<'_>, append: Append, body: Body) -> Outcome {
    let Append { tag, mailbox: name, flags, date, .. } = append;
    let account = session.account()?;
    let request = store::Append {
        mailbox: account.mailbox,
        folder: name.as_str().to_owned(),
        flags,
        received: date.unwrap_or_else(|| session.imap.env.clock.now()),
        body,
        quota: account.quota.clone(),
    };
    let placed = session.store().message_append(&session.call(), request).await.map_err(Failed::Target)?;
    Ok(done(&tag, placed))
}

fn done(tag: &Tag, placed: store::Placed) -> Reply {
    Reply::ok_with(tag, Code::AppendUid(placed.uid_validity, placed.uid), "appended")
}
