//! The connections to one peer: a few, made when they are needed, with back-off while the peer is away.
//!
//! A peer that was away when it was last tried is not waited for: every call is told at once that it is unavailable, so a
//! store that is down, or a host that swallows what is sent to it, costs its own users only. It is tried again beside the
//! calls, by one task, until it is back. The first failure is logged with host, port and cause; then nothing, until it
//! answers again.

use crate::body::{Part, Parts};
use crate::convert::{Bad, Fault, of_status, proto as p};
use crate::header;
use catalog::events::nio::{NioConnectReadFail, NioServerGoneDown};
use catalog::events::rme::{RmeConnectionRestored, RmeConnectionUnavailable};
use catalog::keys::common::{MAX_MSS_RETRIEVE_CONNECTION_LIST, MAX_MSS_RETRIEVE_CONNECTION_TIMEOUT};
use env::Env;
use env::clock::Moment;
use env::settings::Settings;
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use mail::id::{HostName, RequestId, TraceId};
use prost::Message;
use roles::{Call, Kind};
use std::collections::HashMap;
use std::error::Error as _;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status, Streaming};
use tonic_prost::ProstCodec;

/// Longest answer that is taken: the UIDs of a folder of a million messages with many gaps.
const LONGEST_ANSWER: usize = 64 << 20;
/// Connections to a peer where no key says otherwise: one is one socket and one lock.
pub const CONNECTIONS: usize = 4;
/// How long making a connection may take, certificates and greeting included.
const CONNECT: Duration = Duration::from_secs(5);
/// Pause after the first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause: how late, at most, a peer that is back is noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Bytes that may be on their way for one call and for one connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// An idle connection is tried this often, so that a host that vanished is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Releases that do not have to be waited for, at the same time.
const RELEASES: usize = 256;

/// A connected byte stream.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection in the making.
pub type Dialling = Pin<Box<dyn Future<Output = io::Result<Box<dyn Io>>> + Send>>;

/// Makes connections to one peer.
pub trait Dial: Send + Sync {
    /// A new connection, proven to lead to the peer.
    fn dial(&self) -> Dialling;

    /// The port, for the log.
    fn port(&self) -> u16;
}

/// A peer and the connections to it.
pub struct Peer {
    /// Itself, for the task that looks for it.
    own: Weak<Self>,
    host: HostName,
    dial: Arc<dyn Dial>,
    env: Env,
    slots: Vec<Slot>,
    next: AtomicUsize,
    weather: Mutex<Weather>,
    releases: Arc<tokio::sync::Semaphore>,
    /// What is being told about what, until it has arrived.
    telling: Mutex<HashMap<i64, watch::Receiver<()>>>,
    /// Whether somebody tries to reach it again.
    looking: AtomicBool,
    /// Where the number of requests is limited.
    gate: Option<Gate>,
}

/// Lets so many requests through at the same time.
struct Gate {
    passes: tokio::sync::Semaphore,
    /// How long a request waits for its turn.
    wait: Duration,
}

impl Gate {
    /// As `maxMSSRetrieveConnectionList` of this server says for a host.
    fn of(settings: &Settings, host: &HostName) -> Option<Self> {
        let most = most_requests(&settings.get(MAX_MSS_RETRIEVE_CONNECTION_LIST), host)?;
        let wait = settings.get(MAX_MSS_RETRIEVE_CONNECTION_TIMEOUT);
        Some(Self { passes: tokio::sync::Semaphore::new(most), wait })
    }
}

/// The number that belongs to a host in entries `host:number`; what is no such entry says nothing.
fn most_requests(entries: &[String], host: &HostName) -> Option<usize> {
    entries.iter().find_map(|entry| {
        let (name, most) = entry.rsplit_once(':')?;
        let most: u32 = most.trim().parse().ok().filter(|most| *most > 0)?;
        (HostName::new(name) == *host).then_some(usize::try_from(most).ok()?)
    })
}

/// One connection, or the place for it.
#[derive(Default)]
struct Slot {
    live: Mutex<Option<Live>>,
    making: tokio::sync::Mutex<()>,
}

/// A connection in use; its number tells it from the one that takes its place.
#[derive(Clone)]
struct Live {
    number: usize,
    channel: Channel,
}

/// What was last seen of a peer.
#[derive(Default)]
struct Weather {
    failures: u32,
    down_since: Option<Moment>,
    /// Until the next attempt.
    pause: Duration,
    made: usize,
}

/// Whether a call may be sent again on another connection when its own broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Safe {
    /// It changes nothing, or is known by its request id.
    Repeat,
    /// As [`Safe::Repeat`], and the answer may take all of the deadline although all is well.
    Wait,
    /// Its effect may have happened.
    Once,
}

/// Why a call has no answer.
pub(crate) enum Unanswered {
    /// It never went out.
    NotSent,
    /// It went out, and nobody knows what became of it.
    InDoubt,
    /// It never went out, because as many are under way as may.
    Busy,
    /// The peer ended it so.
    Ended(Status),
}

impl Unanswered {
    /// As an error of the role.
    pub(crate) fn error<E: Fault>(&self) -> E {
        match self {
            Self::NotSent | Self::InDoubt => E::unavailable(),
            Self::Busy => E::of_kind(Kind::Busy(Duration::from_secs(1)), "too many requests are under way"),
            Self::Ended(status) => of_status(status),
        }
    }
}

/// Somebody who can be asked: a peer, or several that have the same role.
pub(crate) trait Asks: Send + Sync + 'static {
    /// Asks, and gives the answer, or says why there is none.
    fn ask<M, R>(
        &self,
        call: &Call,
        safe: Safe,
        path: &'static str,
        message: M,
    ) -> impl Future<Output = Result<R, Unanswered>> + Send
    where
        M: Message + Clone + 'static,
        R: Message + Default + 'static;
}

impl Asks for Peer {
    async fn ask<M, R>(
        &self,
        call: &Call,
        safe: Safe,
        path: &'static str,
        message: M,
    ) -> Result<R, Unanswered>
    where
        M: Message + Clone + 'static,
        R: Message + Default + 'static,
    {
        let asked = |mut grpc: Grpc<Channel>| {
            let request = header::put(call, message.clone());
            async move {
                let codec = ProstCodec::<M, R>::default();
                grpc.unary(request, PathAndQuery::from_static(path), codec).await
            }
        };
        self.attempt(call, safe, asked).await.map(Response::into_inner)
    }
}

impl Peer {
    /// A peer that nobody has asked yet, with at most so many connections.
    pub fn new(env: Env, host: HostName, dial: Arc<dyn Dial>, connections: usize) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            own: Weak::clone(own),
            gate: Gate::of(&env.settings, &host),
            host,
            dial,
            env,
            slots: (0..connections.max(1)).map(|_| Slot::default()).collect(),
            next: AtomicUsize::new(0),
            weather: Mutex::default(),
            releases: Arc::new(tokio::sync::Semaphore::new(RELEASES)),
            telling: Mutex::default(),
            looking: AtomicBool::new(false),
        })
    }

    /// The surroundings of those who ask.
    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    /// Sends a request in parts. What has gone out is not sent twice.
    pub(crate) async fn send<P, R>(
        &self,
        call: &Call,
        path: &'static str,
        parts: Parts<P>,
    ) -> Result<R, Unanswered>
    where
        P: Part,
        R: Message + Default + 'static,
    {
        let sent = |mut grpc: Grpc<Channel>| {
            let request = header::put(call, parts.stream());
            async move {
                let codec = ProstCodec::<P, R>::default();
                grpc.client_streaming(request, PathAndQuery::from_static(path), codec).await
            }
        };
        self.attempt(call, Safe::Once, sent).await.map(Response::into_inner)
    }

    /// Asks for a stream that goes on after the answer; the deadline holds for its beginning.
    pub(crate) async fn follow<M, R>(
        &self,
        call: &Call,
        path: &'static str,
        message: M,
    ) -> Result<Streaming<R>, Unanswered>
    where
        M: Message + Clone + 'static,
        R: Message + Default + 'static,
    {
        let asked = |mut grpc: Grpc<Channel>| {
            let mut request = header::put(call, message.clone());
            request.metadata_mut().remove("grpc-timeout");
            async move {
                let codec = ProstCodec::<M, R>::default();
                grpc.server_streaming(request, PathAndQuery::from_static(path), codec).await
            }
        };
        self.attempt(call, Safe::Repeat, asked).await.map(Response::into_inner)
    }

    /// Says something about something that needs no answer, as far as there is room for it.
    pub(crate) fn tell<M>(self: &Arc<Self>, call: &Call, about: i64, path: &'static str, message: M)
    where
        M: Message + Clone + 'static,
    {
        // What finds no room runs out by itself on the other side.
        let Ok(permit) = Arc::clone(&self.releases).try_acquire_owned() else { return };
        let (peer, mut call) = (Arc::clone(self), call.clone());
        call.deadline = call.deadline.min(CONNECT);
        let (arrived, told) = watch::channel(());
        self.telling().insert(about, told.clone());
        self.env.tasks.spawn(async move {
            let _permit = permit;
            let _: Result<p::Empty, _> = peer.ask(&call, Safe::Repeat, path, message).await;
            let mut telling = peer.telling();
            if telling.get(&about).is_some_and(|last| last.same_channel(&told)) {
                telling.remove(&about);
            }
            drop((telling, arrived));
        });
    }

    /// Waits until what was told about something has arrived: who gives a lock back and takes it again gets it.
    pub(crate) async fn told(&self, about: i64) {
        let told = self.telling().get(&about).cloned();
        if let Some(mut told) = told {
            // Ends by the drop of the other end, at the latest with the deadline of the telling.
            let _ = told.changed().await;
        }
    }

    fn telling(&self) -> MutexGuard<'_, HashMap<i64, watch::Receiver<()>>> {
        self.telling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries a call out within its deadline, a second time on a fresh connection where that is safe.
    async fn attempt<R, F>(
        &self,
        call: &Call,
        safe: Safe,
        ask: impl Fn(Grpc<Channel>) -> F,
    ) -> Result<Response<R>, Unanswered>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let out = AtomicBool::new(false);
        let work = async {
            let (mut again, slot) = (true, self.slot());
            loop {
                let live = self.connected(slot).await.map_err(|Away| unanswered(&out))?;
                let asked = match ready(&live).await {
                    Ok(grpc) => {
                        let before = out.swap(true, Ordering::AcqRel);
                        let asked = ask(grpc).await;
                        if asked.as_ref().is_err_and(never_went_out) {
                            out.store(before, Ordering::Release);
                        }
                        asked
                    }
                    Err(status) => Err(status),
                };
                match asked {
                    Ok(answer) => return Ok(answer),
                    Err(status) if !broke(&status) => return Err(Unanswered::Ended(status)),
                    Err(status) => {
                        self.lost(slot, &live, &status);
                        if !again || safe == Safe::Once && out.load(Ordering::Acquire) {
                            return Err(unanswered(&out));
                        }
                        again = false;
                    }
                }
            }
        };
        let _pass = self.pass(call).await?;
        let answer = tokio::time::timeout(call.deadline, work).await;
        answer.unwrap_or_else(|_| Err(unanswered(&out)))
    }

    /// Waits for a request's turn, where there is a limit. Nobody waits longer than for the whole call.
    async fn pass(&self, call: &Call) -> Result<Option<tokio::sync::SemaphorePermit<'_>>, Unanswered> {
        let Some(gate) = &self.gate else { return Ok(None) };
        let turn = tokio::time::timeout(gate.wait.min(call.deadline), gate.passes.acquire()).await;
        match turn {
            Ok(Ok(pass)) => Ok(Some(pass)),
            Ok(Err(_)) | Err(_) => Err(Unanswered::Busy),
        }
    }

    /// Whether it was away when it was last tried.
    pub(crate) fn is_away(&self) -> bool {
        self.weather().failures > 0
    }

    /// Tries, without anybody waiting for it, whether a peer that is away is back, until it is or nobody has use for it.
    fn look_for(&self) {
        if self.looking.swap(true, Ordering::AcqRel) {
            return;
        }
        let (own, clock, mut stopping) =
            (Weak::clone(&self.own), self.env.clock.clone(), self.env.tasks.stopping());
        self.env.tasks.spawn(async move {
            while let Some(pause) = own.upgrade().map(|peer| peer.weather().pause) {
                tokio::select! {
                    () = clock.sleep(pause) => {}
                    () = stopping.wait() => return,
                }
                let Some(peer) = own.upgrade() else { return };
                if peer.connect(peer.empty_slot()).await.is_ok() {
                    peer.looking.store(false, Ordering::Release);
                    return;
                }
            }
        });
    }

    /// The connections take turns.
    fn slot(&self) -> &Slot {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len();
        self.slots.get(turn).unwrap_or(&self.slots[0])
    }

    /// A slot whose connection is to be made. One is there while the peer is away: that for which it was tried.
    fn empty_slot(&self) -> &Slot {
        self.slots.iter().find(|slot| slot.get().is_none()).unwrap_or(&self.slots[0])
    }

    /// The connection of a slot, made where there is none and the peer is not known to be away.
    async fn connected(&self, slot: &Slot) -> Result<Live, Away> {
        match slot.get() {
            Some(live) => Ok(live),
            None if self.is_away() => Err(Away),
            None => self.connect(slot).await,
        }
    }

    /// Makes the connection of a slot; one caller makes it, the others wait for that.
    async fn connect(&self, slot: &Slot) -> Result<Live, Away> {
        let failures = self.weather().failures;
        let _making = slot.making.lock().await;
        if let Some(live) = slot.get() {
            return Ok(live);
        }
        // Whoever made it meanwhile has failed.
        if self.weather().failures > failures {
            return Err(Away);
        }
        let made = tokio::time::timeout(CONNECT, self.make()).await;
        match made.unwrap_or_else(|_| Err(format!("no answer in {} seconds", CONNECT.as_secs()))) {
            Ok(channel) => {
                let live = Live { number: self.up(), channel };
                *slot.live.lock().unwrap_or_else(PoisonError::into_inner) = Some(live.clone());
                Ok(live)
            }
            Err(cause) => {
                self.down(&cause);
                Err(Away)
            }
        }
    }

    /// A connection that has answered: with certificates of TLS 1.3, only the first answer shows that we are let in.
    async fn make(&self) -> Result<Channel, String> {
        let dial = Arc::clone(&self.dial);
        let once = Mutex::new(Some(dial));
        // The channel would connect again by itself; how often is decided here, so it gets one connection only.
        let connector = tower::service_fn(move |_| {
            let dial = once.lock().unwrap_or_else(PoisonError::into_inner).take();
            async move {
                let dial = dial.ok_or(Spent)?;
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(TokioIo::new(dial.dial().await?))
            }
        });
        let endpoint = Endpoint::from_static("http://intermail")
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_while_idle(true);
        let channel = endpoint.connect_with_connector(connector).await.map_err(|e| chain(&e))?;
        let request = p::HelloRequest { host: self.env.settings.host().to_owned() };
        let codec = ProstCodec::<p::HelloRequest, p::HelloAnswer>::default();
        let mut grpc = Grpc::new(channel.clone());
        grpc.ready().await.map_err(|e| chain(&e))?;
        let id: RequestId = self.env.random.request_id();
        let call = Call { deadline: CONNECT, ..Call::new(id, TraceId::new("hello")) };
        let asked = grpc.unary(header::put(&call, request), PathAndQuery::from_static(HELLO), codec).await;
        match asked {
            Ok(answer) => self.agree(answer.into_inner()).map_err(|e| e.to_string())?,
            // A peer of protocol 1 does not know the question.
            Err(status) if status.code() == Code::Unimplemented => {}
            Err(status) => return Err(chain(&status)),
        }
        Ok(channel)
    }

    /// Whether the two of us understand each other.
    fn agree(&self, answer: p::HelloAnswer) -> Result<(), Bad> {
        if answer.oldest > header::PROTOCOL || answer.newest < header::OLDEST {
            return Err(Bad("the protocol number of the peer"));
        }
        Ok(())
    }

    fn weather(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a connection, and gives it a number.
    fn up(&self) -> usize {
        let (number, since) = {
            let mut weather = self.weather();
            weather.failures = 0;
            weather.made += 1;
            (weather.made, weather.down_since.take())
        };
        if let Some(since) = since {
            let (host, port, seconds) = (&self.host, self.dial.port(), since.elapsed().as_secs());
            self.env.log.emit(&RmeConnectionRestored { host, port, seconds });
        }
        number
    }

    /// Notes a failure: the next attempt comes later each time, and not of all hosts at the same moment.
    fn down(&self, cause: &str) {
        let now = self.env.clock.moment();
        let (first, was_used) = {
            let mut weather = self.weather();
            let pause = FIRST_PAUSE.saturating_mul(1 << weather.failures.min(10)).min(LONGEST_PAUSE);
            let half = u64::try_from(pause.as_millis() / 2).unwrap_or(0);
            let jitter = Duration::from_millis(self.env.random.below(half.max(1)));
            weather.failures = weather.failures.saturating_add(1);
            weather.pause = pause / 2 + jitter;
            let first = weather.down_since.is_none();
            weather.down_since.get_or_insert(now);
            (first, weather.made > 0)
        };
        if first {
            let (host, port) = (&self.host, self.dial.port());
            self.env.log.emit(&RmeConnectionUnavailable { host, port, cause });
            if was_used {
                self.env.log.emit(&NioServerGoneDown { host, port });
            }
        }
        self.look_for();
    }

    /// Gives a broken connection up, if nobody has done so.
    fn lost(&self, slot: &Slot, live: &Live, status: &Status) {
        let mut held = slot.live.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|now| now.number == live.number) {
            *held = None;
            drop(held);
            let cause = chain(status);
            let (host, port) = (&self.host, self.dial.port());
            self.env.log.emit(&NioConnectReadFail { host, port, cause });
        }
    }
}

impl Slot {
    fn get(&self) -> Option<Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The peer is out of reach, which has been logged.
struct Away;

/// A connection had ended before the call could go out by it.
#[derive(Debug, thiserror::Error)]
#[error("the connection has ended")]
struct Spent;

/// The first call on a connection.
const HELLO: &str = "/intermail.v1.Peer/Hello";

async fn ready(live: &Live) -> Result<Grpc<Channel>, Status> {
    let mut grpc = Grpc::new(live.channel.clone()).max_decoding_message_size(LONGEST_ANSWER);
    grpc.ready().await.map_err(|error| Status::unavailable(chain(&error)))?;
    Ok(grpc)
}

/// Whether the connection is to blame: no server of ours ends a call so without details.
fn broke(status: &Status) -> bool {
    status.details().is_empty() && matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Internal)
}

/// Whether the call is known not to have left this process.
fn never_went_out(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<Spent>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A call without an answer, by whether it went out.
fn unanswered(out: &AtomicBool) -> Unanswered {
    if out.load(Ordering::Acquire) { Unanswered::InDoubt } else { Unanswered::NotSent }
}

/// An error with what is behind it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_a_host_is_found_by_its_name() {
        let entries = ["bad", "mars:x", "mars:0", "Venus: 7", "mars:3"].map(String::from);
        let most = |host: &str| most_requests(&entries, &HostName::new(host));
        assert_eq!((most("mars"), most("VENUS"), most("pluto")), (Some(3), Some(7), None));
    }
}
