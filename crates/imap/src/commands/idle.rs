//! IDLE. RFC 9051 6.3.13.
//!
//! While it lasts nothing is held but the session itself: news come from the store's watch, and the client's
//! DONE is the only thing it may send.

use crate::replies::{Failed, Outcome, Reply};
use crate::session::{End, Session};
use crate::updates::May;
use env::clock::Moment;
use wire::imap::command::Tag;
use wire::imap::decoder::Line;
use wire::imap::response::continuation;

pub(super) async fn idle(session: &mut Session<'_>, tag: &Tag) -> Outcome {
    session.watch().await?;
    continuation(session.connection.output(), "idling");
    // What has happened until now.
    session.tell_news(May::AskAll).await?;
    let since = session.imap.env.clock.moment();
    loop {
        match session.decoder.line(session.connection.input()) {
            Line::Text(text) if text.eq_ignore_ascii_case(b"DONE") => return Ok(Reply::ok(tag, "done")),
            Line::Text(_) | Line::TooLong => return Err(Failed::Bad("DONE expected")),
            Line::NeedMore => wait(session, since).await?,
        }
    }
}

/// Waits for the client or for news, and tells these.
async fn wait(session: &mut Session<'_>, since: Moment) -> Result<(), End> {
    session.connection.flush().await?;
    let left = session.rules.idle.saturating_sub(since.elapsed());
    if left.is_zero() {
        return Err(End::Timeout);
    }
    let Some(watch) = session.watch.as_mut() else { return Err(End::StoreGone) };
    let changed = tokio::select! {
        biased;
        () = session.stopping.wait() => return Err(End::Stopped),
        filled = session.connection.fill(left) => return Ok(filled.map(|_| ())?),
        changed = watch.changed() => changed,
    };
    if changed.is_err() {
        // The store may have begun anew. What has happened meanwhile is told as after any news.
        session.watch = None;
        session.watch().await.map_err(|_| End::StoreGone)?;
    }
    session.tell_news(May::AskAll).await
}
