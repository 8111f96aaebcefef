//! The role MessageStore.

use super::{Asked, Inner, Response, bad, begin, failed, grpc, piece, unknown};
use crate::convert::proto as p;
use crate::convert::store::{DeliverHead, append, use_in};
use env::tasks::Stopping;
use futures_util::{Stream, StreamExt as _};
use mail::attribute::AttributeName;
use mail::id::{FolderId, MailboxId, ModSeq};
use mail::sequence::NumberSet;
use prost::Message as _;
use roles::store::{
    Deliver, MAILBOX_PAGE, MessageStore, Need, Read, SpecialUse, StoreError, Subscription, Watch,
};
use roles::{Body, Call};
use std::pin::Pin;
use std::time::Duration;
use tonic::Status;

/// Bytes of bodies that one page brings along.
const BODIES: usize = 256 << 10;
/// Bytes of a body that come with its message where a page has several.
const BEGIN: usize = 16 << 10;
/// How long a body that was begun can be read on without its message.
const READING: Duration = Duration::from_secs(120);
/// Bytes of a page after which it is ended; the reader goes on from there.
const PAGE: usize = 4 << 20;

pub(super) async fn serve(inner: &Inner, store: &dyn MessageStore, method: &str, request: Asked) -> Response {
    match method.split_at_checked(6) {
        Some(("Mailbo" | "Attrib", _)) => of_mailboxes(inner, store, method, request).await,
        Some(("Folder", _)) => of_folders(inner, store, method, request).await,
        _ => of_messages(inner, store, method, request).await,
    }
}

async fn of_mailboxes(inner: &Inner, store: &dyn MessageStore, method: &str, request: Asked) -> Response {
    match method {
        "MailboxCreate" => {
            let ask = |call: Call, m: p::Mailbox| async move {
                store.mailbox_create(&call, MailboxId(m.mailbox)).await.map(done).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "MailboxDelete" => {
            let ask = |call: Call, m: p::Mailbox| async move {
                store.mailbox_delete(&call, MailboxId(m.mailbox)).await.map(done).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "MailboxUsage" => {
            let ask = |call: Call, m: p::Mailbox| async move {
                store.mailbox_usage(&call, MailboxId(m.mailbox)).await.map(p::Usage::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "MailboxList" => inner.unary(request, |call, m| mailbox_list(store, call, m)).await,
        "MailboxWatch" => watch(inner, store, request).await,
        "MailboxLock" => {
            let ask = |call: Call, m: p::Mailbox| async move {
                store.mailbox_lock(&call, MailboxId(m.mailbox)).await.map(done).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "MailboxUnlock" => {
            let ask = |call: Call, m: p::Mailbox| async move {
                store.mailbox_unlock(&call, MailboxId(m.mailbox));
                Ok(p::Empty {})
            };
            inner.unary(request, ask).await
        }
        "AttributeGet" => {
            let ask = |call: Call, m: p::AttributeRequest| async move {
                let (mailbox, name) = (MailboxId(m.mailbox), attribute(&m.name)?);
                let value = store.attribute_get(&call, mailbox, name).await.map_err(failed)?;
                Ok(p::AttributeValue { value })
            };
            inner.unary(request, ask).await
        }
        "AttributeSet" => {
            let ask = |call: Call, m: p::AttributeRequest| async move {
                let (mailbox, name) = (MailboxId(m.mailbox), attribute(&m.name)?);
                store.attribute_set(&call, mailbox, name, m.value).await.map(done).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "AttributeList" => inner.unary(request, |call, m| attribute_list(store, call, m)).await,
        _ => unknown(),
    }
}

async fn of_messages(inner: &Inner, store: &dyn MessageStore, method: &str, request: Asked) -> Response {
    match method {
        "MessageDeliver" => {
            let ask = |call: Call, head: p::Deliver, body| async move {
                let DeliverHead { to, received, repeatable } = head.try_into().map_err(bad)?;
                let deliver = Deliver { to, body, received, repeatable };
                let each = store.message_deliver(&call, deliver).await.map_err(failed)?;
                Ok(p::Delivered { each: each.iter().map(Into::into).collect() })
            };
            inner.with_body::<p::DeliverPart, _, _>(request, ask).await
        }
        "MessageAppend" => {
            let ask = |call: Call, head: p::Append, body| async move {
                let append = append(head, body).map_err(bad)?;
                store.message_append(&call, append).await.map(p::Placed::from).map_err(failed)
            };
            inner.with_body::<p::AppendPart, _, _>(request, ask).await
        }
        "MessageRead" => inner.unary(request, |call, m| message_read(inner, store, call, m)).await,
        "BodyRead" => inner.unary(request, |call, m| body_read(inner, store, call, m)).await,
        "MessageSearch" => {
            let ask = |call: Call, m: p::SearchRequest| async move {
                let criterion = m.criterion.unwrap_or_default().try_into().map_err(bad)?;
                let (mailbox, folder) = (MailboxId(m.mailbox), FolderId(m.folder));
                let found = store.message_search(&call, mailbox, folder, criterion).await;
                found.map(|set| p::Numbers::from(&set)).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "MessageCopy" => inner.unary(request, |call, m| message_copy(store, call, m)).await,
        "MessageMove" => {
            let ask = |call: Call, m: p::MessagesRequest| async move {
                let (mailbox, folder, uids) = messages(m.mailbox, m.folder, m.uids)?;
                let moved = store.message_move(&call, mailbox, folder, uids, m.target).await;
                moved.map(p::Copied::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "MessageExpunge" => {
            let ask = |call: Call, m: p::MessagesRequest| async move {
                let (mailbox, folder, uids) = messages(m.mailbox, m.folder, m.uids)?;
                let gone = store.message_expunge(&call, mailbox, folder, uids).await;
                gone.map(|set| p::Numbers::from(&set)).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "MessageDelete" => {
            let ask = |call: Call, m: p::MessagesRequest| async move {
                let (mailbox, folder, uids) = messages(m.mailbox, m.folder, m.uids)?;
                let gone = store.message_delete(&call, mailbox, folder, uids).await;
                gone.map(|set| p::Numbers::from(&set)).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "MessageExpire" => {
            let ask = |call: Call, m: p::ExpireRequest| async move {
                store.message_expire(&call, m.into()).await.map(p::Expired::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "FlagsChange" => {
            let ask = |call: Call, m: p::FlagsChangeRequest| async move {
                let change = m.try_into().map_err(bad)?;
                store.flags_change(&call, change).await.map(p::FlagsChanged::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        _ => unknown(),
    }
}

async fn of_folders(inner: &Inner, store: &dyn MessageStore, method: &str, request: Asked) -> Response {
    match method {
        "FolderList" => {
            let ask = |call: Call, m: p::Mailbox| async move {
                store.folder_list(&call, MailboxId(m.mailbox)).await.map(p::Folders::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "FolderStatus" => {
            let ask = |call: Call, m: p::FolderRequest| async move {
                let folder = store.folder_status(&call, MailboxId(m.mailbox), m.name).await;
                folder.map(p::Folder::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "FolderOpen" => {
            let ask = |call: Call, m: p::FolderRequest| async move {
                let opened = store.folder_open(&call, MailboxId(m.mailbox), m.name).await;
                opened.map(p::Opened::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "FolderCreate" => {
            let ask = |call: Call, m: p::FolderRequest| async move {
                let special: Option<SpecialUse> = use_in(m.special_use());
                let made = store.folder_create(&call, MailboxId(m.mailbox), m.name, special).await;
                made.map(|id| p::FolderId { folder: id.0 }).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "FolderDelete" => {
            let ask = |call: Call, m: p::FolderRequest| async move {
                store.folder_delete(&call, MailboxId(m.mailbox), m.name).await.map(done).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "FolderRename" => {
            let ask = |call: Call, m: p::FolderRequest| async move {
                let renamed = store.folder_rename(&call, MailboxId(m.mailbox), m.name, m.to).await;
                renamed.map(done).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "FolderSubscribe" => {
            let ask = |call: Call, m: p::FolderRequest| async move {
                let wish = if m.subscribe { Subscription::On } else { Subscription::Off };
                let changed = store.folder_subscribe(&call, MailboxId(m.mailbox), m.name, wish).await;
                changed.map(done).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "FolderChanges" => {
            let ask = |call: Call, m: p::ChangesRequest| async move {
                let (mailbox, folder, since) = (MailboxId(m.mailbox), FolderId(m.folder), ModSeq(m.since));
                let changes = store.folder_changes(&call, mailbox, folder, since).await;
                changes.map(p::Changes::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        _ => unknown(),
    }
}

fn done((): ()) -> p::Empty {
    p::Empty {}
}

fn attribute(name: &str) -> Result<AttributeName, Status> {
    AttributeName::parse(name).map_err(|error| Status::invalid_argument(error.to_string()))
}

fn messages(
    mailbox: i64,
    folder: u32,
    uids: Option<p::Numbers>,
) -> Result<(MailboxId, FolderId, NumberSet), Status> {
    Ok((MailboxId(mailbox), FolderId(folder), uids.unwrap_or_default().try_into().map_err(bad)?))
}

async fn message_copy(
    store: &dyn MessageStore,
    call: Call,
    m: p::MessagesRequest,
) -> Result<p::Copied, Status> {
    let (mailbox, folder, uids) = messages(m.mailbox, m.folder, m.uids)?;
    let quota = m.quota.unwrap_or_default().try_into().map_err(bad)?;
    let copied = store.message_copy(&call, mailbox, folder, uids, m.target, quota).await;
    copied.map(p::Copied::from).map_err(failed)
}

async fn mailbox_list(
    store: &dyn MessageStore,
    call: Call,
    m: p::MailboxListRequest,
) -> Result<p::MailboxLines, Status> {
    let limit = usize::try_from(m.limit).unwrap_or(MAILBOX_PAGE);
    let lines = store.mailbox_list(&call, m.after.map(MailboxId), limit).await.map_err(failed)?;
    Ok(p::MailboxLines { lines: lines.into_iter().map(Into::into).collect() })
}

async fn attribute_list(
    store: &dyn MessageStore,
    call: Call,
    m: p::Mailbox,
) -> Result<p::AttributeLines, Status> {
    let lines = store.attribute_list(&call, MailboxId(m.mailbox)).await.map_err(failed)?;
    let line = |l: roles::store::AttributeLine| p::AttributeLine {
        name: l.name.as_str().to_owned(),
        bytes: l.bytes,
    };
    Ok(p::AttributeLines { lines: lines.into_iter().map(line).collect() })
}

/// A page as large as the wire likes it, with the beginnings of its bodies.
async fn message_read(
    inner: &Inner,
    store: &dyn MessageStore,
    call: Call,
    m: p::ReadRequest,
) -> Result<p::Page, Status> {
    let page = store.message_read(&call, m.try_into().map_err(bad)?).await.map_err(failed)?;
    let mut left = BODIES;
    let each = if page.messages.len() == 1 { BODIES } else { BEGIN };
    let mut answer = p::Page { messages: Vec::new(), next: page.next.map(|uid| uid.0) };
    let mut size = 0;
    for message in page.messages {
        let mut out = p::Message::from(&message);
        if let Some(body) = message.body {
            let begun = begun(inner, body, each.min(left)).await;
            left -= begun.begin.len();
            out.body = Some(begun);
        }
        size += out.encoded_len();
        if size > PAGE && !answer.messages.is_empty() {
            answer.next = Some(out.uid);
            break;
        }
        answer.messages.push(out);
    }
    Ok(answer)
}

/// The beginning of a body; what does not fit can be read for a while, even when its message has gone.
async fn begun(inner: &Inner, body: Body, at_most: usize) -> p::Body {
    let mut begun = begin(&body, at_most).await;
    if (begun.begin.len() as u64) < begun.length {
        inner.reading.tidy(&inner.env.clock);
        let handle = inner.env.random.number().max(1);
        if inner.reading.keep(&inner.env.clock, handle, body, READING) {
            begun.handle = handle;
        }
    }
    begun
}

/// A stretch of the body of a message that was on a page before; it may be gone since.
async fn body_read(
    inner: &Inner,
    store: &dyn MessageStore,
    call: Call,
    m: p::BodyReadRequest,
) -> Result<p::Piece, Status> {
    if let Some(body) = inner.reading.get(&inner.env.clock, &m.handle) {
        return piece(&body, m.offset, m.at_most).await;
    }
    let read = Read {
        mailbox: MailboxId(m.mailbox),
        folder: FolderId(m.folder),
        uids: NumberSet::one(m.uid),
        need: Need::Body,
        changed_since: None,
        limit: 1,
    };
    let page = store.message_read(&call, read).await.map_err(failed)?;
    let body = page.messages.into_iter().next().and_then(|message| message.body);
    // Another length is another message: a mailbox that was removed and made anew.
    let body = body.filter(|body| body.len() == m.length);
    let body = body.ok_or_else(|| failed(StoreError::NoMessage))?;
    piece(&body, m.offset, m.at_most).await
}

type News = Pin<Box<dyn Stream<Item = Result<p::Empty, Status>> + Send>>;

/// One message at each change, for as long as the caller listens.
async fn watch(inner: &Inner, store: &dyn MessageStore, request: Asked) -> Response {
    let service = tower::service_fn(|request: tonic::Request<p::Mailbox>| {
        let call = inner.call(&request);
        async move {
            let (call, mailbox) = (call?, MailboxId(request.into_inner().mailbox));
            let watch = store.mailbox_watch(&call, mailbox).await.map_err(failed)?;
            let news: News = news(watch, inner.env.tasks.stopping()).boxed();
            Ok::<_, Status>(tonic::Response::new(news))
        }
    });
    grpc::<p::Empty, p::Mailbox>().server_streaming(service, request).await
}

/// Ends when the process is to end: the one who watches hears that the store goes away.
fn news(watch: Box<dyn Watch>, stopping: Stopping) -> impl Stream<Item = Result<p::Empty, Status>> + Send {
    futures_util::stream::unfold(Some((watch, stopping)), |state| async move {
        let (mut watch, mut stopping) = state?;
        let changed = tokio::select! {
            changed = watch.changed() => changed,
            () = stopping.wait() => Err(StoreError::Unavailable),
        };
        match changed {
            Ok(()) => Some((Ok(p::Empty {}), Some((watch, stopping)))),
            Err(error) => Some((Err(failed(error)), None)),
        }
    })
}
