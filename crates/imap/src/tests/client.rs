//! A client that sends lines and reads answers.

use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// How long an answer may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Client {
    stream: DuplexStream,
    read: Vec<u8>,
    commands: u32,
}

impl Client {
    pub(super) fn new(stream: DuplexStream) -> Self {
        Self { stream, read: Vec::new(), commands: 0 }
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The next line, with the literals in it, without its end; `None` at the end of the connection.
    pub(super) async fn next_line(&mut self) -> Option<String> {
        let mut end = 0;
        loop {
            match self.read[end..].windows(2).position(|w| w == b"\r\n") {
                None => {
                    let mut piece = [0; 16 << 10];
                    let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut piece));
                    let n = read.await.expect("an answer in time").unwrap_or(0);
                    if n == 0 {
                        return None;
                    }
                    self.read.extend_from_slice(&piece[..n]);
                }
                Some(at) => {
                    let line = String::from_utf8_lossy(&self.read[end..end + at]).into_owned();
                    end += at + 2;
                    match literal(&line) {
                        None => {
                            let line: Vec<u8> = self.read.drain(..end).collect();
                            return Some(String::from_utf8_lossy(&line[..end - 2]).into_owned());
                        }
                        Some(size) => {
                            while self.read.len() < end + size {
                                let mut piece = [0; 16 << 10];
                                let n = self.stream.read(&mut piece).await.unwrap();
                                assert!(n > 0, "the connection ended in a literal");
                                self.read.extend_from_slice(&piece[..n]);
                            }
                            end += size;
                        }
                    }
                }
            }
        }
    }

    pub(super) async fn line(&mut self) -> String {
        self.next_line().await.expect("a line")
    }

    /// Sends a command; returns the untagged lines and the tagged answer without its tag.
    pub(super) async fn command(&mut self, command: &str) -> (Vec<String>, String) {
        self.commands += 1;
        let tag = format!("c{}", self.commands);
        self.send(format!("{tag} {command}\r\n")).await;
        let mut untagged = Vec::new();
        loop {
            let line = self.line().await;
            match line.strip_prefix(&format!("{tag} ")) {
                Some(answer) => return (untagged, answer.to_owned()),
                None => untagged.push(line),
            }
        }
    }

    /// A command that must succeed; its untagged lines.
    pub(super) async fn ok(&mut self, command: &str) -> Vec<String> {
        let (untagged, answer) = self.command(command).await;
        assert!(answer.starts_with("OK"), "{command}: {answer}");
        untagged
    }

    /// The tagged answer of a command.
    pub(super) async fn answer(&mut self, command: &str) -> String {
        self.command(command).await.1
    }
}

/// The size of a literal that a line ends with.
fn literal(line: &str) -> Option<usize> {
    let (_, size) = line.strip_suffix('}')?.rsplit_once('{')?;
    size.parse().ok()
}
