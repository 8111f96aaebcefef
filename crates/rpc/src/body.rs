//! Bodies over the wire: outgoing ones in chunks behind their head, incoming ones collected, remote ones read by range.
//!
//! An outgoing body is read as fast as the other side takes it. An incoming one is whole before a role sees it: what is
//! small lies in memory under the budget of the process, what is large in a file of the run directory. A remote one has
//! its beginning at hand and asks for the rest where it is read.

use crate::convert::proto as p;
use bytes::Bytes;
use env::Env;
use futures_util::Stream;
use net::spool::Spool;
use roles::body::MAX_CHUNK;
use roles::{Body, BodySource};
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tonic::{Status, Streaming};

/// Bytes of a body that travel in its head; a small message is one message of the wire.
const FIRST: usize = 64 << 10;
/// Bytes of each chunk after that.
const CHUNK: usize = 128 << 10;
/// Bodies up to here are collected in memory.
const IN_MEMORY: usize = 256 << 10;
/// Longest body that is taken.
const LONGEST: u64 = 4 << 30;
/// How long a thread waits for a stretch of a remote body.
const BLOCKED: Duration = Duration::from_secs(60);

/// A message that has the head of a request or the next stretch of its body.
pub(crate) trait Part: prost::Message + Clone + Default + 'static {
    /// What the request says beside its body.
    type Head: Send;

    /// The first part.
    fn first(head: Self::Head, body: p::Body) -> Self;

    /// A part with bytes only.
    fn chunk(bytes: Bytes) -> Self;

    /// The head, where it has one, with the beginning of the body.
    fn head(&mut self) -> Option<(Self::Head, p::Body)>;

    /// The bytes of a later part.
    fn bytes(self) -> Bytes;
}

macro_rules! part {
    ($part:ident, $head:ident) => {
        impl Part for p::$part {
            type Head = p::$head;

            fn first(head: p::$head, body: p::Body) -> Self {
                Self { head: Some(p::$head { body: Some(body), ..head }), chunk: Bytes::new() }
            }

            fn chunk(chunk: Bytes) -> Self {
                Self { head: None, chunk }
            }

            fn head(&mut self) -> Option<(p::$head, p::Body)> {
                let mut head = self.head.take()?;
                let body = head.body.take()?;
                Some((head, body))
            }

            fn bytes(self) -> Bytes {
                self.chunk
            }
        }
    };
}

part!(DeliverPart, Deliver);
part!(AppendPart, Append);
part!(ItemPart, NewItem);
part!(SubmitPart, Submit);

/// A request and its body, to be sent in parts.
pub(crate) struct Parts<P> {
    first: P,
    body: Body,
    /// Bytes of the body that are in the first part.
    begun: u64,
}

impl<P: Part> Parts<P> {
    /// All parts from the first on. Where the body cannot be read on, the stream ends early, which the other side sees.
    pub(crate) fn stream(&self) -> impl Stream<Item = P> + Send + 'static {
        let rest = futures_util::stream::unfold((self.body.clone(), self.begun), |(body, sent)| async move {
            let bytes = body.read(sent, CHUNK).await.ok().filter(|bytes| !bytes.is_empty())?;
            let sent = sent + bytes.len() as u64;
            Some((P::chunk(bytes), (body, sent)))
        });
        futures_util::StreamExt::chain(futures_util::stream::iter([self.first.clone()]), rest)
    }
}

/// A request and its body as parts.
///
/// # Errors
/// Where not even the beginning can be read.
pub(crate) async fn parts<P: Part>(head: P::Head, body: Body) -> io::Result<Parts<P>> {
    let begin = beginning(&body, FIRST).await?;
    let begun = begin.len() as u64;
    let first = P::first(head, p::Body { length: body.len(), begin, handle: 0 });
    Ok(Parts { first, body, begun })
}

/// Up to so many of the first bytes; a source may give fewer at a time.
pub(crate) async fn beginning(body: &Body, at_most: usize) -> io::Result<Bytes> {
    let wanted = usize::try_from(body.len()).unwrap_or(usize::MAX).min(at_most);
    let first = body.read(0, wanted).await?;
    if first.len() == wanted {
        return Ok(first);
    }
    let mut all = first.to_vec();
    while all.len() < wanted {
        let next = body.read(all.len() as u64, wanted - all.len()).await?;
        if next.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        all.extend_from_slice(&next);
    }
    Ok(all.into())
}

/// Collects what comes: the head, and the body once all of it is here.
///
/// # Errors
/// `InvalidArgument` without a head, for a body that is too long or longer than it said; `Aborted` for one that ends
/// early; `Unavailable` where it cannot be kept.
pub(crate) async fn collect<P: Part>(
    env: &Env,
    run_dir: &Arc<PathBuf>,
    mut stream: Streaming<P>,
) -> Result<(P::Head, Body), Status> {
    let first = stream.message().await?.and_then(|mut part| part.head());
    let (head, body) = first.ok_or_else(|| Status::invalid_argument("the request has no head"))?;
    if body.length > LONGEST || body.begin.len() as u64 > body.length {
        return Err(Status::invalid_argument("the body is too long"));
    }
    if body.begin.len() as u64 == body.length {
        return Ok((head, Body::from_bytes(body.begin)));
    }
    let no_room = |error: io::Error| Status::unavailable(format!("the body cannot be kept: {error}"));
    let mut spool = Spool::new(IN_MEMORY, env.budget.clone(), Arc::clone(run_dir));
    spool.push(&body.begin).await.map_err(no_room)?;
    while let Some(part) = stream.message().await? {
        let bytes = part.bytes();
        if spool.len() + bytes.len() as u64 > body.length {
            return Err(Status::invalid_argument("the body is longer than it said"));
        }
        spool.push(&bytes).await.map_err(no_room)?;
    }
    if spool.len() != body.length {
        return Err(Status::aborted("the body ended early"));
    }
    Ok((head, spool.finish().await.map_err(no_room)?))
}

/// Reads a stretch of a body where it lies.
pub(crate) trait Fetch: Send + Sync {
    /// Up to so many bytes from `offset`.
    fn fetch<'a>(
        &'a self,
        offset: u64,
        at_most: usize,
    ) -> Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send + 'a>>;
}

/// A body on the other side.
pub(crate) struct RemoteBody<F> {
    len: u64,
    begin: Bytes,
    fetch: Arc<F>,
    env: Env,
    runtime: Handle,
}

impl<F: Fetch + 'static> RemoteBody<F> {
    /// Of this length, the beginning of which is known.
    ///
    /// # Panics
    /// Outside of a runtime; answers of a wire come inside of one.
    pub(crate) fn body(env: &Env, begin: p::Body, fetch: F) -> Body {
        if begin.begin.len() as u64 == begin.length {
            return Body::from_bytes(begin.begin);
        }
        let (env, fetch, runtime) = (env.clone(), Arc::new(fetch), Handle::current());
        Body::new(Arc::new(Self { len: begin.length, begin: begin.begin, fetch, env, runtime }))
    }

    fn at_hand(&self, offset: u64, at_most: usize) -> Option<Bytes> {
        let start = usize::try_from(offset).ok().filter(|start| *start < self.begin.len())?;
        Some(self.begin.slice(start..self.begin.len().min(start.saturating_add(at_most))))
    }
}

/// As many bytes as were asked for, no more.
async fn fetched<F: Fetch>(fetch: &F, offset: u64, at_most: usize) -> io::Result<Bytes> {
    let at_most = at_most.min(MAX_CHUNK);
    let bytes = fetch.fetch(offset, at_most).await?;
    if bytes.is_empty() || bytes.len() > at_most {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

impl<F: Fetch + 'static> BodySource for RemoteBody<F> {
    fn len(&self) -> u64 {
        self.len
    }

    fn in_memory(&self) -> Option<Bytes> {
        None
    }

    /// Storage threads read here; the call itself runs on the runtime, and the thread waits for it, but not for ever.
    fn read_blocking(&self, offset: u64, at_most: usize) -> io::Result<Bytes> {
        if let Some(bytes) = self.at_hand(offset, at_most) {
            return Ok(bytes);
        }
        let (answer, read) = std::sync::mpsc::sync_channel(1);
        let fetch = Arc::clone(&self.fetch);
        {
            let _inside = self.runtime.enter();
            self.env.tasks.spawn(async move {
                let _ = answer.try_send(fetched(&*fetch, offset, at_most).await);
            });
        }
        read.recv_timeout(BLOCKED).map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    fn read<'a>(
        &'a self,
        offset: u64,
        at_most: usize,
    ) -> Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send + 'a>> {
        if let Some(bytes) = self.at_hand(offset, at_most) {
            return Box::pin(std::future::ready(Ok(bytes)));
        }
        Box::pin(fetched(&*self.fetch, offset, at_most))
    }
}
