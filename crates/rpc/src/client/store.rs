//! The role MessageStore.

use super::{Remote, done, garbled};
use crate::body::{Fetch, RemoteBody, parts};
use crate::convert::proto as p;
use crate::convert::store::{message, use_out};
use crate::pool::Safe::{self, Once, Repeat};
use crate::pool::{Asks as _, Peer};
use bytes::Bytes;
use catalog::events::rme::RmeStaleRef;
use mail::attribute::AttributeName;
use mail::id::{FolderId, MailboxId, ModSeq, Uid};
use mail::search::Criterion;
use mail::sequence::NumberSet;
use prost::Message;
use roles::store::{
    Append, AttributeLine, Changes, Copied, Deliver, Delivered, Expire, Expired, FlagsChange, FlagsChanged,
    Folder, Folders, MailboxLine, MessageStore, Opened, Page, Placed, Quota, Read, SpecialUse, StoreError,
    Subscription, Usage, Watch,
};
use roles::{Answer, Call};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use tonic::Streaming;

impl Remote {
    /// Asks for something and gives it as the role has it.
    async fn store<M, R, T>(
        &self,
        call: &Call,
        safe: Safe,
        path: &'static str,
        request: M,
    ) -> Result<T, StoreError>
    where
        M: Message + Clone + 'static,
        R: Message + Default + 'static,
        T: TryFrom<R, Error = crate::convert::Bad>,
    {
        let answer: R = self.peer.ask(call, safe, path, request).await?;
        answer.try_into().map_err(garbled)
    }

    /// Asks for something to be done.
    async fn done<M>(&self, call: &Call, safe: Safe, path: &'static str, request: M) -> Result<(), StoreError>
    where
        M: Message + Clone + 'static,
    {
        done(self.peer.ask(call, safe, path, request).await)
    }
}

fn folder(mailbox: MailboxId, name: String) -> p::FolderRequest {
    p::FolderRequest { mailbox: mailbox.0, name, ..p::FolderRequest::default() }
}

fn messages(mailbox: MailboxId, folder: FolderId, uids: &NumberSet) -> p::MessagesRequest {
    let uids = Some(uids.into());
    p::MessagesRequest { mailbox: mailbox.0, folder: folder.0, uids, ..p::MessagesRequest::default() }
}

impl MessageStore for Remote {
    fn mailbox_create<'a>(&'a self, call: &'a Call, mailbox: MailboxId) -> Answer<'a, (), StoreError> {
        let path = "/intermail.v1.MessageStore/MailboxCreate";
        Box::pin(self.done(call, Repeat, path, p::Mailbox::from(mailbox)))
    }

    fn mailbox_delete<'a>(&'a self, call: &'a Call, mailbox: MailboxId) -> Answer<'a, (), StoreError> {
        let path = "/intermail.v1.MessageStore/MailboxDelete";
        Box::pin(self.done(call, Once, path, p::Mailbox::from(mailbox)))
    }

    fn mailbox_usage<'a>(&'a self, call: &'a Call, mailbox: MailboxId) -> Answer<'a, Usage, StoreError> {
        Box::pin(async move {
            let path = "/intermail.v1.MessageStore/MailboxUsage";
            let usage: p::Usage = self.peer.ask(call, Repeat, path, p::Mailbox::from(mailbox)).await?;
            Ok(usage.into())
        })
    }

    fn mailbox_list<'a>(
        &'a self,
        call: &'a Call,
        after: Option<MailboxId>,
        limit: usize,
    ) -> Answer<'a, Vec<MailboxLine>, StoreError> {
        Box::pin(async move {
            let limit = u32::try_from(limit).unwrap_or(u32::MAX);
            let message = p::MailboxListRequest { after: after.map(|m| m.0), limit };
            let path = "/intermail.v1.MessageStore/MailboxList";
            let lines: p::MailboxLines = self.peer.ask(call, Repeat, path, message).await?;
            lines.lines.into_iter().map(|line| line.try_into().map_err(garbled)).collect()
        })
    }

    fn attribute_get<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        name: AttributeName,
    ) -> Answer<'a, Option<Bytes>, StoreError> {
        Box::pin(async move {
            let message =
                p::AttributeRequest { mailbox: mailbox.0, name: name.as_str().to_owned(), value: None };
            let path = "/intermail.v1.MessageStore/AttributeGet";
            let value: p::AttributeValue = self.peer.ask(call, Repeat, path, message).await?;
            Ok(value.value)
        })
    }

    fn attribute_set<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        name: AttributeName,
        value: Option<Bytes>,
    ) -> Answer<'a, (), StoreError> {
        let message = p::AttributeRequest { mailbox: mailbox.0, name: name.as_str().to_owned(), value };
        Box::pin(self.done(call, Once, "/intermail.v1.MessageStore/AttributeSet", message))
    }

    fn attribute_list<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
    ) -> Answer<'a, Vec<AttributeLine>, StoreError> {
        Box::pin(async move {
            let path = "/intermail.v1.MessageStore/AttributeList";
            let lines: p::AttributeLines =
                self.peer.ask(call, Repeat, path, p::Mailbox::from(mailbox)).await?;
            let one = |line: p::AttributeLine| {
                let name = AttributeName::parse(&line.name);
                let name = name.map_err(|_| garbled::<StoreError>(crate::convert::Bad("attribute")))?;
                Ok(AttributeLine { name, bytes: line.bytes })
            };
            lines.lines.into_iter().map(one).collect()
        })
    }

    fn mailbox_watch<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
    ) -> Answer<'a, Box<dyn Watch>, StoreError> {
        Box::pin(async move {
            let path = "/intermail.v1.MessageStore/MailboxWatch";
            let news = self.peer.follow(call, path, p::Mailbox::from(mailbox)).await?;
            Ok(Box::new(RemoteWatch(news)) as Box<dyn Watch>)
        })
    }

    fn mailbox_lock<'a>(&'a self, call: &'a Call, mailbox: MailboxId) -> Answer<'a, (), StoreError> {
        Box::pin(async move {
            self.peer.told(mailbox.0).await;
            let path = "/intermail.v1.MessageStore/MailboxLock";
            self.done(call, Repeat, path, p::Mailbox::from(mailbox)).await
        })
    }

    fn mailbox_unlock(&self, call: &Call, mailbox: MailboxId) {
        let path = "/intermail.v1.MessageStore/MailboxUnlock";
        self.peer.tell(call, mailbox.0, path, p::Mailbox::from(mailbox));
    }

    fn message_deliver<'a>(&'a self, call: &'a Call, deliver: Deliver) -> Answer<'a, Delivered, StoreError> {
        Box::pin(async move {
            let (head, copies) = (p::Deliver::from(&deliver), deliver.to.len());
            let parts = parts::<p::DeliverPart>(head, deliver.body).await;
            let parts = parts.map_err(|_| StoreError::Unavailable)?;
            let path = "/intermail.v1.MessageStore/MessageDeliver";
            let delivered: p::Delivered = self.peer.send(call, path, parts).await?;
            if delivered.each.len() != copies {
                return Err(garbled(crate::convert::Bad("each")));
            }
            Ok(delivered.each.into_iter().map(Into::into).collect())
        })
    }

    fn message_append<'a>(&'a self, call: &'a Call, append: Append) -> Answer<'a, Placed, StoreError> {
        Box::pin(async move {
            let head = p::Append::from(&append);
            let parts = parts::<p::AppendPart>(head, append.body).await;
            let parts = parts.map_err(|_| StoreError::Unavailable)?;
            let placed: p::Placed =
                self.peer.send(call, "/intermail.v1.MessageStore/MessageAppend", parts).await?;
            Ok(placed.into())
        })
    }

    fn message_read<'a>(&'a self, call: &'a Call, read: Read) -> Answer<'a, Page, StoreError> {
        Box::pin(async move {
            let path = "/intermail.v1.MessageStore/MessageRead";
            let page: p::Page = self.peer.ask(call, Repeat, path, p::ReadRequest::from(&read)).await?;
            let one = |mut m: p::Message| {
                let body = m.body.take().map(|begin| {
                    let fetch = MessageBody {
                        peer: Arc::clone(&self.peer),
                        call: call.clone(),
                        mailbox: read.mailbox,
                        folder: read.folder,
                        uid: Uid(m.uid),
                        handle: begin.handle,
                        length: begin.length,
                    };
                    RemoteBody::body(self.peer.env(), begin, fetch)
                });
                message(m, body).map_err(garbled::<StoreError>)
            };
            let messages = page.messages.into_iter().map(one).collect::<Result<_, _>>()?;
            Ok(Page { messages, next: page.next.map(Uid) })
        })
    }

    fn message_search<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        criterion: Criterion,
    ) -> Answer<'a, NumberSet, StoreError> {
        let criterion = Some((&criterion).into());
        let message = p::SearchRequest { mailbox: mailbox.0, folder: folder.0, criterion };
        let path = "/intermail.v1.MessageStore/MessageSearch";
        Box::pin(self.store::<_, p::Numbers, _>(call, Repeat, path, message))
    }

    fn message_copy<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        uids: NumberSet,
        target: String,
        quota: Quota,
    ) -> Answer<'a, Copied, StoreError> {
        let quota = Some((&quota).into());
        let message = p::MessagesRequest { target, quota, ..messages(mailbox, folder, &uids) };
        let path = "/intermail.v1.MessageStore/MessageCopy";
        Box::pin(self.store::<_, p::Copied, _>(call, Once, path, message))
    }

    fn message_move<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        uids: NumberSet,
        target: String,
    ) -> Answer<'a, Copied, StoreError> {
        let message = p::MessagesRequest { target, ..messages(mailbox, folder, &uids) };
        let path = "/intermail.v1.MessageStore/MessageMove";
        Box::pin(self.store::<_, p::Copied, _>(call, Once, path, message))
    }

    fn message_expunge<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        uids: NumberSet,
    ) -> Answer<'a, NumberSet, StoreError> {
        let path = "/intermail.v1.MessageStore/MessageExpunge";
        Box::pin(self.store::<_, p::Numbers, _>(call, Once, path, messages(mailbox, folder, &uids)))
    }

    fn message_delete<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        uids: NumberSet,
    ) -> Answer<'a, NumberSet, StoreError> {
        let path = "/intermail.v1.MessageStore/MessageDelete";
        Box::pin(self.store::<_, p::Numbers, _>(call, Once, path, messages(mailbox, folder, &uids)))
    }

    fn message_expire<'a>(&'a self, call: &'a Call, expire: Expire) -> Answer<'a, Expired, StoreError> {
        Box::pin(async move {
            let path = "/intermail.v1.MessageStore/MessageExpire";
            let expired: p::Expired =
                self.peer.ask(call, Once, path, p::ExpireRequest::from(&expire)).await?;
            Ok(expired.into())
        })
    }

    fn flags_change<'a>(
        &'a self,
        call: &'a Call,
        change: FlagsChange,
    ) -> Answer<'a, FlagsChanged, StoreError> {
        let message = p::FlagsChangeRequest::from(&change);
        let path = "/intermail.v1.MessageStore/FlagsChange";
        Box::pin(self.store::<_, p::FlagsChanged, _>(call, Once, path, message))
    }

    fn folder_list<'a>(&'a self, call: &'a Call, mailbox: MailboxId) -> Answer<'a, Folders, StoreError> {
        let path = "/intermail.v1.MessageStore/FolderList";
        Box::pin(self.store::<_, p::Folders, _>(call, Repeat, path, p::Mailbox::from(mailbox)))
    }

    fn folder_status<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        name: String,
    ) -> Answer<'a, Folder, StoreError> {
        let path = "/intermail.v1.MessageStore/FolderStatus";
        Box::pin(self.store::<_, p::Folder, _>(call, Repeat, path, folder(mailbox, name)))
    }

    fn folder_open<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        name: String,
    ) -> Answer<'a, Opened, StoreError> {
        let path = "/intermail.v1.MessageStore/FolderOpen";
        Box::pin(self.store::<_, p::Opened, _>(call, Repeat, path, folder(mailbox, name)))
    }

    fn folder_create<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        name: String,
        special_use: Option<SpecialUse>,
    ) -> Answer<'a, FolderId, StoreError> {
        Box::pin(async move {
            let message = p::FolderRequest { special_use: use_out(special_use), ..folder(mailbox, name) };
            let path = "/intermail.v1.MessageStore/FolderCreate";
            let made: p::FolderId = self.peer.ask(call, Once, path, message).await?;
            Ok(FolderId(made.folder))
        })
    }

    fn folder_delete<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        name: String,
    ) -> Answer<'a, (), StoreError> {
        let path = "/intermail.v1.MessageStore/FolderDelete";
        Box::pin(self.done(call, Once, path, folder(mailbox, name)))
    }

    fn folder_rename<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        from: String,
        to: String,
    ) -> Answer<'a, (), StoreError> {
        let message = p::FolderRequest { to, ..folder(mailbox, from) };
        Box::pin(self.done(call, Once, "/intermail.v1.MessageStore/FolderRename", message))
    }

    fn folder_subscribe<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        name: String,
        subscription: Subscription,
    ) -> Answer<'a, (), StoreError> {
        let subscribe = subscription == Subscription::On;
        let message = p::FolderRequest { subscribe, ..folder(mailbox, name) };
        Box::pin(self.done(call, Repeat, "/intermail.v1.MessageStore/FolderSubscribe", message))
    }

    fn folder_changes<'a>(
        &'a self,
        call: &'a Call,
        mailbox: MailboxId,
        folder: FolderId,
        since: ModSeq,
    ) -> Answer<'a, Changes, StoreError> {
        let message = p::ChangesRequest { mailbox: mailbox.0, folder: folder.0, since: since.0 };
        let path = "/intermail.v1.MessageStore/FolderChanges";
        Box::pin(self.store::<_, p::Changes, _>(call, Repeat, path, message))
    }
}

/// One stream of the connection, on which the store says that something has changed.
struct RemoteWatch(Streaming<p::Empty>);

impl Watch for RemoteWatch {
    fn changed<'a>(&'a mut self) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>> {
        Box::pin(async move {
            match self.0.message().await {
                Ok(Some(_)) => Ok(()),
                Ok(None) | Err(_) => Err(StoreError::Unavailable),
            }
        })
    }
}

/// The body of a message that was on a page.
struct MessageBody {
    peer: Arc<Peer>,
    call: Call,
    mailbox: MailboxId,
    folder: FolderId,
    uid: Uid,
    handle: u64,
    length: u64,
}

impl Fetch for MessageBody {
    fn fetch<'a>(
        &'a self,
        offset: u64,
        at_most: usize,
    ) -> Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send + 'a>> {
        Box::pin(async move {
            let (mailbox, folder, uid) = (self.mailbox, self.folder, self.uid);
            let at_most = u32::try_from(at_most).unwrap_or(u32::MAX);
            let (handle, length) = (self.handle, self.length);
            let message = p::BodyReadRequest {
                mailbox: mailbox.0,
                folder: folder.0,
                uid: uid.0,
                offset,
                at_most,
                handle,
                length,
            };
            let path = "/intermail.v1.MessageStore/BodyRead";
            let piece: Result<p::Piece, _> = self.peer.ask(&self.call, Repeat, path, message).await;
            let piece = piece.map_err(StoreError::from);
            piece.map(|piece| piece.bytes).map_err(|error| match error {
                StoreError::NoMessage | StoreError::NoFolder | StoreError::NoMailbox => {
                    self.peer.env().log.emit(&RmeStaleRef { mailbox, folder, uid });
                    io::Error::new(io::ErrorKind::NotFound, error)
                }
                error => io::Error::other(error),
            })
        })
    }
}
