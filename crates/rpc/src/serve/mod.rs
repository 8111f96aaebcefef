//! The serving side: every request of the wire to whoever implements the role.
//!
//! It reads what came, asks, and writes what was answered; it decides nothing. A role that is not served here and a
//! method that is not known are `Unimplemented`, a message that is no value is `InvalidArgument`; what the role itself
//! refuses travels with its own error. A caller that has gone, or whose deadline has passed, has its call dropped: what
//! was begun on disk ends there by itself.

mod backup;
mod cache;
mod configuration;
mod directory;
mod kept;
mod maintenance;
mod manager;
mod ownership;
mod probe;
mod provision;
mod queue;
mod store;

use crate::body::{self, Part};
use crate::convert::{Bad, Fault, proto as p, status_of};
use crate::header;
use bytes::Bytes;
use catalog::events::rme::RmeProtoBadVersion;
use env::Env;
use http::Request;
use kept::Kept;
use prost::Message;
use roles::backup::Backup;
use roles::configuration::Configuration;
use roles::directory::Directory;
use roles::directory::cache::DirectoryCache;
use roles::directory::provision::Provisioning;
use roles::maintenance::Maintenance;
use roles::manager::Manager;
use roles::ownership::Ownership;
use roles::probe::Probe;
use roles::queue::MailQueue;
use roles::store::MessageStore;
use roles::submission::Submission;
use roles::{Body, Call};
use std::convert::Infallible;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::server::Grpc;
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;

/// Longest message that is taken: a request without its body.
const LONGEST_REQUEST: usize = 16 << 20;

/// What of a host is served to others.
#[derive(Clone, Default)]
pub struct Served {
    /// The mailboxes.
    pub store: Option<Arc<dyn MessageStore>>,
    /// Who is who.
    pub directory: Option<Arc<dyn Directory>>,
    /// Mail that waits.
    pub queue: Option<Arc<dyn MailQueue>>,
    /// New mail of the house.
    pub submission: Option<Arc<dyn Submission>>,
    /// The servers of this host.
    pub manager: Option<Arc<dyn Manager>>,
    /// The configuration of the site.
    pub configuration: Option<Arc<dyn Configuration>>,
    /// Changing the directory.
    pub provisioning: Option<Arc<dyn Provisioning>>,
    /// The copy of the directory on this host.
    pub cache: Option<Arc<dyn DirectoryCache>>,
    /// Long work on the mailboxes.
    pub maintenance: Option<Arc<dyn Maintenance>>,
    /// Who has which store.
    pub ownership: Option<Arc<dyn Ownership>>,
    /// Backups of this host.
    pub backup: Option<Arc<dyn Backup>>,
    /// The process itself.
    pub probe: Option<Arc<dyn Probe>>,
}

impl Served {
    /// The names of the roles, as a peer is told.
    fn names(&self) -> Vec<String> {
        let roles = [
            ("MessageStore", self.store.is_some()),
            ("Directory", self.directory.is_some()),
            ("MailQueue", self.queue.is_some()),
            ("Submission", self.submission.is_some()),
            ("Manager", self.manager.is_some()),
            ("Configuration", self.configuration.is_some()),
            ("Provisioning", self.provisioning.is_some()),
            ("DirectoryCache", self.cache.is_some()),
            ("Maintenance", self.maintenance.is_some()),
            ("Ownership", self.ownership.is_some()),
            ("Backup", self.backup.is_some()),
            ("Probe", self.probe.is_some()),
        ];
        roles.iter().filter(|(_, served)| *served).map(|(name, _)| (*name).to_owned()).collect()
    }
}

/// The roles of a host as a service of HTTP/2. Cloning shares it.
#[derive(Clone)]
pub struct Dispatch(Arc<Inner>);

struct Inner {
    env: Env,
    run_dir: Arc<PathBuf>,
    served: Served,
    /// Bodies of claimed items, by item and claim.
    claimed: Kept<(u64, u64)>,
    /// Bodies of messages, by handle.
    reading: Kept<u64>,
}

/// What every answer is.
type Response = http::Response<tonic::body::Body>;
type Asked = Request<tonic::body::Body>;

impl Dispatch {
    /// Serves these roles; bodies that do not fit into memory lie in `run_dir`.
    pub fn new(env: Env, run_dir: PathBuf, served: Served) -> Self {
        let (run_dir, claimed, reading) = (Arc::new(run_dir), Kept::default(), Kept::default());
        let inner = Inner { env, run_dir, served, claimed, reading };
        Self(Arc::new(inner))
    }
}

impl tower::Service<Asked> for Dispatch {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Asked) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { Ok(inner.answer(request).await) })
    }
}

impl Inner {
    async fn answer(&self, request: Asked) -> Response {
        let path = request.uri().path().to_owned();
        let Some((role, method)) = path.strip_prefix("/intermail.v1.").and_then(|p| p.split_once('/')) else {
            return unknown();
        };
        match role {
            "Peer" if method == "Hello" => self.hello(request).await,
            _ => self.ask(role, method, request).await.unwrap_or_else(unknown),
        }
    }

    /// Asks the role, where it is served.
    async fn ask(&self, role: &str, method: &str, request: Asked) -> Option<Response> {
        let served = &self.served;
        // The futures of the large ones are boxed, so that a call of a small one costs what it needs.
        Some(match role {
            "MessageStore" => Box::pin(store::serve(self, served.store.as_deref()?, method, request)).await,
            "Directory" => directory::serve(self, served.directory.as_deref()?, method, request).await,
            "MailQueue" => Box::pin(queue::serve(self, served.queue.as_deref()?, method, request)).await,
            "Submission" => {
                queue::serve_submission(self, served.submission.as_deref()?, method, request).await
            }
            "Manager" => manager::serve(self, served.manager.as_deref()?, method, request).await,
            "Configuration" => {
                let configuration = served.configuration.as_deref()?;
                Box::pin(configuration::serve(self, configuration, method, request)).await
            }
            "Provisioning" => {
                let provisioning = served.provisioning.as_deref()?;
                Box::pin(provision::serve(self, provisioning, method, request)).await
            }
            "DirectoryCache" => Box::pin(cache::serve(self, served.cache.as_deref()?, method, request)).await,
            "Maintenance" => {
                let maintenance = served.maintenance.as_deref()?;
                Box::pin(maintenance::serve(self, maintenance, method, request)).await
            }
            "Ownership" => {
                let ownership = served.ownership.as_deref()?;
                Box::pin(ownership::serve(self, ownership, method, request)).await
            }
            "Probe" => probe::serve(self, served.probe.as_deref()?, method, request).await,
            "Backup" => Box::pin(backup::serve(self, served.backup.as_deref()?, method, request)).await,
            _ => return None,
        })
    }

    async fn hello(&self, request: Asked) -> Response {
        self.unary(request, |_, _: p::HelloRequest| async {
            Ok(p::HelloAnswer {
                newest: header::PROTOCOL,
                oldest: header::OLDEST,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                host: self.env.settings.host().to_owned(),
                roles: self.served.names(),
            })
        })
        .await
    }

    /// One message in, one out.
    async fn unary<M, R, F>(&self, request: Asked, ask: impl Fn(Call, M) -> F) -> Response
    where
        M: Message + Default + 'static,
        R: Message + 'static,
        F: Future<Output = Result<R, Status>>,
    {
        let service = tower::service_fn(|request: tonic::Request<M>| {
            let call = self.call(&request);
            let asked = call.map(|call| ask(call, request.into_inner()));
            async move { asked?.await.map(tonic::Response::new) }
        });
        grpc::<R, M>().unary(service, request).await
    }

    /// A head and a body in, one message out.
    async fn with_body<P, R, F>(&self, request: Asked, ask: impl Fn(Call, P::Head, Body) -> F) -> Response
    where
        P: Part,
        R: Message + 'static,
        F: Future<Output = Result<R, Status>>,
    {
        let ask = &ask;
        let service = tower::service_fn(|request: tonic::Request<Streaming<P>>| {
            let call = self.call(&request);
            async move {
                let call = call?;
                let (head, body) = body::collect(&self.env, &self.run_dir, request.into_inner()).await?;
                ask(call, head, body).await.map(tonic::Response::new)
            }
        });
        grpc::<R, P>().client_streaming(service, request).await
    }

    /// The circumstances of a call; a protocol that is not served is logged.
    fn call<M>(&self, request: &tonic::Request<M>) -> Result<Call, Status> {
        header::read(request.metadata()).inspect_err(|status| {
            let peer = request.extensions().get::<crate::access::PeerName>();
            let peer = peer.map_or("", crate::access::PeerName::as_str);
            self.env.log.emit(&RmeProtoBadVersion { peer, reason: status.message() });
        })
    }
}

fn grpc<R, M>() -> Grpc<ProstCodec<R, M>>
where
    M: Message + Default + 'static,
    R: Message + 'static,
{
    Grpc::new(ProstCodec::default()).max_decoding_message_size(LONGEST_REQUEST)
}

/// What is not served here, or not known in this version.
fn unknown() -> Response {
    Status::unimplemented("not served here").into_http()
}

/// The end of a call whose message is no value.
fn bad(bad: Bad) -> Status {
    Status::invalid_argument(bad.to_string())
}

/// The end of a call that the role did not do.
fn failed<E: Fault>(error: E) -> Status {
    status_of(&error)
}

/// A stretch of a body, for those who read it by range.
async fn piece(body: &Body, offset: u64, at_most: u32) -> Result<p::Piece, Status> {
    let at_most = usize::try_from(at_most).unwrap_or(usize::MAX);
    match body.read(offset, at_most).await {
        Ok(bytes) => Ok(p::Piece { bytes }),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            Err(Status::data_loss("the body is damaged"))
        }
        Err(error) => Err(Status::unavailable(error.to_string())),
    }
}

/// As much of a body as goes into an answer.
async fn begin(body: &Body, at_most: usize) -> p::Body {
    // What cannot be read now says so when it is read: one damaged message does not hide the others.
    let begin = body::beginning(body, at_most).await.unwrap_or_else(|_| Bytes::new());
    p::Body { length: body.len(), begin, handle: 0 }
}
