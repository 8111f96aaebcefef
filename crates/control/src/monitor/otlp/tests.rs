use super::*;
use catalog::events::db::DbWritesUnblocked;
use catalog::tree::Tree;
use env::log::Options;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A receiver that takes one request a connection and gives the answers that it is told, then 200.
struct Receiver {
    listener: TcpListener,
}

impl Receiver {
    async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    fn environment(&self) -> Env {
        let env = Env::for_test("mss");
        let address = self.listener.local_addr().unwrap();
        let entry = format!("/*/common/otlpEndpoint: [http://{address}/v1/logs]");
        env.settings.replace(Tree::parse(&entry).unwrap());
        env.log.configure(Options::read(&env.settings));
        env
    }

    /// The next request: its head, and its body as JSON.
    async fn request(&self, answer: &str) -> (String, serde_json::Value) {
        let accepted = tokio::time::timeout(Duration::from_secs(20), self.listener.accept());
        let (mut socket, _) = accepted.await.expect("nobody came").unwrap();
        let mut bytes = Vec::new();
        let (head, body) = loop {
            assert!(socket.read_buf(&mut bytes).await.unwrap() > 0, "the request broke off");
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length =
                head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                break (head.to_owned(), serde_json::from_str(body).unwrap());
            }
        };
        let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
        socket.write_all(answer.as_bytes()).await.unwrap();
        (head, body)
    }
}

fn names(request: &serde_json::Value) -> Vec<&str> {
    let records = request["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().unwrap();
    records.iter().map(|record| record["eventName"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn events_arrive_as_log_records_once_and_in_order() {
    let receiver = Receiver::start().await;
    let env = receiver.environment();
    env.log.emit(&DbWritesUnblocked { database: "a", seconds: 7 });
    env.log.emit(&DbWritesUnblocked { database: "b", seconds: 8 });
    env.tasks.spawn(run(env.clone()));
    let (head, body) = receiver.request("200 OK").await;
    assert!(head.starts_with("POST /v1/logs HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
    assert_eq!(names(&body), ["DbWritesUnblocked", "DbWritesUnblocked"]);
    let second = &body["resourceLogs"][0]["scopeLogs"][0]["logRecords"][1]["attributes"];
    assert_eq!(
        (&second[0]["value"]["stringValue"], &second[1]["value"]["intValue"]),
        (&"b".into(), &"8".into())
    );
    env.log.emit(&DbWritesUnblocked { database: "c", seconds: 9 });
    let (_, body) = receiver.request("200 OK").await;
    assert_eq!(names(&body).len(), 1);
}

#[tokio::test]
async fn what_is_refused_for_now_is_sent_again_and_what_is_refused_for_good_is_counted() {
    let receiver = Receiver::start().await;
    let env = receiver.environment();
    env.log.emit(&DbWritesUnblocked { database: "a", seconds: 7 });
    env.tasks.spawn(run(env.clone()));
    receiver.request("503 Busy").await;
    let (_, again) = receiver.request("400 Bad").await;
    assert_eq!(names(&again), ["DbWritesUnblocked"]);
    let dropped = || env.metrics.value(LOG_DROPPED.0, &["otlp"]);
    let (_, after) = receiver.request("200 OK").await;
    assert_eq!(names(&after), ["RunLogExportFailed"], "said once");
    assert_eq!(dropped(), 1);
    let (_, restored) = receiver.request("200 OK").await;
    assert_eq!(names(&restored), ["RunLogExportRestored"]);
}

#[tokio::test]
async fn an_address_that_is_none_is_said_and_holds_up_nothing() {
    for endpoint in ["https://127.0.0.1:1/", "no address", "http:///x"] {
        assert!(matches!(post(endpoint, "{}").await, Err(Failed::ForGood(_))), "{endpoint}");
    }
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(matches!(post(&format!("http://{free}/"), "{}").await, Err(Failed::ForNow(_))));
}
