//! Sends events on to a receiver of OpenTelemetry: OTLP over HTTP/1.1, in JSON, one request at a time.
//!
//! What the log gathers is bounded there; while a receiver does not answer, one request waits here and is tried again with
//! growing pauses. What is refused for good is counted and forgotten: the log files have it all.

use bytes::Bytes;
use catalog::events::run::{RunLogExportFailed, RunLogExportRestored};
use catalog::keys::common::OTLP_ENDPOINT;
use catalog::metrics::LOG_DROPPED;
use env::Env;
use env::log::Batch;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::TcpStream;

/// Time between two requests while all goes well.
const EVERY: Duration = Duration::from_secs(1);
/// Longest pause after failures.
const LONGEST: Duration = Duration::from_secs(60);
/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last one may take, at the end of the process.
const LAST_TIMEOUT: Duration = Duration::from_millis(500);
/// The port of OTLP over HTTP.
const PORT: u16 = 4318;

/// What came of a request.
#[derive(Debug)]
enum Failed {
    /// It may go well later.
    ForNow(String),
    /// It will not.
    ForGood(String),
}

/// Sends until the process ends.
pub(super) async fn run(env: Env) {
    let mut stopping = env.tasks.stopping();
    let mut sender = Sender { env: env.clone(), kept: None, pause: EVERY, is_down: false };
    loop {
        tokio::select! {
            biased;
            () = stopping.wait() => {
                let _ = tokio::time::timeout(LAST_TIMEOUT, sender.round()).await;
                return;
            }
            () = env.clock.sleep(sender.pause) => {}
        }
        tokio::select! {
            biased;
            () = stopping.wait() => {}
            () = sender.round() => {}
        }
    }
}

struct Sender {
    env: Env,
    /// What was not taken yet.
    kept: Option<Batch>,
    pause: Duration,
    is_down: bool,
}

impl Sender {
    /// Sends what there is.
    async fn round(&mut self) {
        let endpoint = self.env.settings.get(OTLP_ENDPOINT);
        if self.kept.is_none() {
            self.kept = self.env.log.take_batch();
        }
        let Some(batch) = &self.kept else { return };
        if endpoint.is_empty() {
            self.kept = None;
            return;
        }
        let sent = tokio::time::timeout(TIMEOUT, post(&endpoint, &batch.body)).await;
        match sent.unwrap_or_else(|_| Err(Failed::ForNow("no answer in time".into()))) {
            Ok(()) => {
                (self.kept, self.pause) = (None, EVERY);
                if std::mem::take(&mut self.is_down) {
                    self.env.log.emit(&RunLogExportRestored { endpoint });
                }
            }
            Err(failed) => self.failed(&endpoint, failed),
        }
    }

    fn failed(&mut self, endpoint: &str, failed: Failed) {
        let reason = match failed {
            Failed::ForNow(reason) => {
                self.pause = (self.pause * 2).min(LONGEST);
                reason
            }
            Failed::ForGood(reason) => {
                let records = self.kept.take().map_or(0, |batch| batch.records);
                self.env.metrics.add_as(LOG_DROPPED, &["otlp"], records);
                reason
            }
        };
        // Once for each time that it is away: what it says would be sent, too.
        if !std::mem::replace(&mut self.is_down, true) {
            self.env.log.emit(&RunLogExportFailed { endpoint, reason });
        }
    }
}

async fn post(endpoint: &str, body: &str) -> Result<(), Failed> {
    let for_now = |error: &dyn std::fmt::Display| Failed::ForNow(error.to_string());
    let uri: Uri = endpoint.parse().map_err(|e| Failed::ForGood(format!("{e}")))?;
    let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return Err(Failed::ForGood("it is not of the form http://host:port/path".into()));
    };
    let port = uri.port_u16().unwrap_or(PORT);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let socket = TcpStream::connect((bare, port)).await.map_err(|e| for_now(&e))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::post(path)
        .header(HOST, format!("{host}:{port}"))
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .map_err(|e| Failed::ForGood(e.to_string()))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.map_err(|e| for_now(&e))?;
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(sender.send_request(request));
    let response = tokio::select! {
        biased;
        response = &mut answer => response,
        // The connection ends by itself after the answer, or before it where it broke.
        _ = &mut connection => answer.await,
    };
    judge(response.map_err(|e| for_now(&e))?.status())
}

/// The retryable codes are those that OTLP names; what is taken in part counts as taken.
fn judge(status: StatusCode) -> Result<(), Failed> {
    match status.as_u16() {
        200..=299 => Ok(()),
        429 | 502 | 503 | 504 => Err(Failed::ForNow(status.to_string())),
        _ => Err(Failed::ForGood(status.to_string())),
    }
}

#[cfg(test)]
mod tests;
