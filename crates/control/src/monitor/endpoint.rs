//! The metrics over HTTP/1.1: `GET /metrics`, one request a connection, few at a time, each with little time.

use super::Sources;
use bytes::Bytes;
use catalog::events::nio::NioAcceptFail;
use catalog::metrics::{QUEUE_DUE, QUEUE_ITEMS, QUEUE_OLDEST};
use env::Env;
use env::clock::Moment;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use mail::id::TraceId;
use roles::Call;
use roles::queue::{MailQueue, QueueError};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Most connections at the same time; who comes then is let go.
const MAX_CONNECTIONS: usize = 8;
/// How long the head of a request may take to come.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may take in all.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Largest head of a request, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long the queue may take to say how full it is; without an answer the last one stands.
const QUEUE_DEADLINE: Duration = Duration::from_secs(5);
/// Counting the queue reads all of it. It is done so seldom that it takes at most one part in this many of the time.
const QUEUE_SHARE: u32 = 100;
/// The media type of the text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

struct Pages {
    env: Env,
    sources: Sources,
    /// Before this the queue is not counted again.
    next_count: Mutex<Option<Moment>>,
}

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, env: Env, sources: Sources) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let pages = Arc::new(Pages { env, sources, next_count: Mutex::default() });
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
                let shown = Arc::clone(&pages);
                pages.env.tasks.spawn(async move {
                    let _place = place;
                    // What is wrong with a scrape, the scraper says.
                    let _ = tokio::time::timeout(TIMEOUT, connection(socket, shown)).await;
                });
            }
            Err(error) => {
                pages.env.log.emit(&NioAcceptFail { error });
                pages.env.clock.sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(socket: TcpStream, pages: Arc<Pages>) -> hyper::Result<()> {
    let answer = service_fn(move |request: Request<Incoming>| {
        let pages = Arc::clone(&pages);
        async move { Ok::<_, Infallible>(pages.answer(request.method(), request.uri().path()).await) }
    });
    http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(socket), answer)
        .await
}

impl Pages {
    async fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let (status, text) = match (path, method) {
            ("/metrics", &Method::GET | &Method::HEAD) => {
                self.ask().await;
                (StatusCode::OK, self.env.metrics.page())
            }
            ("/metrics", _) => (StatusCode::METHOD_NOT_ALLOWED, "GET only\n".to_owned()),
            _ => (StatusCode::NOT_FOUND, "see /metrics\n".to_owned()),
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(TEXT));
        response
    }

    /// Brings what nobody counts as it happens up to now.
    async fn ask(&self) {
        let Some(queue) = &self.sources.queue else { return };
        let begun = self.env.clock.moment();
        if self.next().is_some_and(|next| begun < next) {
            return;
        }
        let counted = tokio::time::timeout(QUEUE_DEADLINE, self.count(&**queue)).await;
        *self.next() = Some(self.env.clock.moment() + begun.elapsed() * QUEUE_SHARE);
        if let Ok(Ok((items, due, oldest))) = counted {
            self.env.metrics.set(QUEUE_ITEMS, &[], items);
            self.env.metrics.set(QUEUE_DUE, &[], due);
            self.env.metrics.set(QUEUE_OLDEST, &[], oldest);
        }
    }

    fn next(&self) -> std::sync::MutexGuard<'_, Option<Moment>> {
        self.next_count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Items, items due, seconds since the oldest came in. Ids grow, so the first of the list is the oldest.
    async fn count(&self, queue: &dyn MailQueue) -> Result<(u64, u64, u64), QueueError> {
        let call = Call::new(self.env.random.request_id(), TraceId::new("metrics"));
        let counts = queue.counts(&call).await?;
        let first = queue.item_list(&call, None, 1).await?;
        let oldest = first.first().map_or(0, |item| self.env.clock.now().since(item.arrived).as_secs());
        Ok((counts.items, counts.due, oldest))
    }
}
