//! The header lines that this hop puts in front of a message. RFC 5321 4.4, RFC 3848, RFC 6531 4.3.

use crate::headers::HeaderScan;
use mail::address::Address;
use mail::envelope::Sender;
use mail::id::{HostName, TraceId};
use mail::time::Timestamp;
use roles::directory::Transport;
use std::fmt::Write as _;
use std::net::IpAddr;
use wire::smtp::Dialect;

/// How a message came.
#[derive(Debug, Clone, Copy)]
pub struct Way<'a> {
    /// SMTP or LMTP.
    pub dialect: Dialect,
    /// Whether the client said EHLO.
    pub hello: Hello,
    /// Whether TLS runs.
    pub transport: Transport,
    /// Whether the client has logged in.
    pub identity: crate::policy::relay::Identity,
    /// Whether SMTPUTF8 was asked for.
    pub utf8: bool,
    /// What the client calls itself: safe within a header.
    pub name: &'a str,
    /// Its address.
    pub peer: IpAddr,
    /// Version and cipher suite.
    pub tls: Option<&'a str>,
}

/// How a client said hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hello {
    /// HELO.
    Old,
    /// EHLO or LHLO.
    Extended,
}

/// The word after `with`: `ESMTPSA`, `UTF8LMTP`, `SMTP`. RFC 3848, RFC 6531 4.3.
fn protocol(way: &Way<'_>) -> String {
    let base = match (way.dialect, way.hello, way.utf8) {
        (Dialect::Smtp, Hello::Old, _) => return "SMTP".into(),
        (Dialect::Smtp, Hello::Extended, false) => "ESMTP",
        (Dialect::Smtp, Hello::Extended, true) => "UTF8SMTP",
        (Dialect::Lmtp, _, false) => "LMTP",
        (Dialect::Lmtp, _, true) => "UTF8LMTP",
    };
    let secure = if way.transport == Transport::Tls { "S" } else { "" };
    let known = if way.identity == crate::policy::relay::Identity::Authenticated { "A" } else { "" };
    format!("{base}{secure}{known}")
}

/// `Return-Path`, which a message gets with its final delivery. RFC 5321 4.4.
pub fn return_path(sender: &Sender) -> String {
    format!("Return-Path: <{sender}>\r\n")
}

/// `Received` for a message from a client. The recipient is named only where there is no other.
pub fn received(
    way: &Way<'_>,
    by: &HostName,
    trace: &TraceId,
    only: Option<&Address>,
    at: Timestamp,
) -> String {
    let mut line =
        format!("Received: from {} ({})\r\n\tby {by} with {}", way.name, literal(way.peer), protocol(way));
    if let Some(tls) = way.tls {
        let _ = write!(line, "\r\n\t({tls})");
    }
    finish(line, trace, only, at)
}

/// `Received` for a message from inside the house.
pub fn received_locally(by: &HostName, trace: &TraceId, only: Option<&Address>, at: Timestamp) -> String {
    finish(format!("Received: by {by}"), trace, only, at)
}

fn finish(mut line: String, trace: &TraceId, only: Option<&Address>, at: Timestamp) -> String {
    let _ = write!(line, "\r\n\tid {trace}");
    if let Some(address) = only {
        let _ = write!(line, " for <{address}>");
    }
    let _ = write!(line, ";\r\n\t{}\r\n", at.rfc5322());
    line
}

/// What a submitted message lacks. RFC 6409 8.
pub fn missing_fields(scan: &HeaderScan, host: &HostName, trace: &TraceId, at: Timestamp) -> String {
    let mut fields = String::new();
    if !scan.has_date() {
        let _ = write!(fields, "Date: {}\r\n", at.rfc5322());
    }
    if !scan.has_message_id() {
        let _ = write!(fields, "Message-ID: <{trace}@{host}>\r\n");
    }
    if scan.begins_with_text() {
        // What follows is text: it must not be taken for header fields.
        fields.push_str("\r\n");
    }
    fields
}

/// RFC 5321 4.1.3.
fn literal(peer: IpAddr) -> String {
    match peer.to_canonical() {
        IpAddr::V4(v4) => format!("[{v4}]"),
        IpAddr::V6(v6) => format!("[IPv6:{v6}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::relay::Identity;

    fn way() -> Way<'static> {
        Way {
            dialect: Dialect::Smtp,
            hello: Hello::Extended,
            transport: Transport::Plain,
            identity: Identity::Anonymous,
            utf8: false,
            name: "client.example",
            peer: "192.0.2.1".parse().unwrap(),
            tls: None,
        }
    }

    #[test]
    fn the_received_line() {
        let (host, trace) = (HostName::new("mx.example"), TraceId::new("T1"));
        let to = Address::parse("a@b.example").unwrap();
        let secure =
            Way { transport: Transport::Tls, tls: Some("TLSv1_3 TLS13_AES_256_GCM_SHA384"), ..way() };
        let line = received(&secure, &host, &trace, Some(&to), Timestamp::from_secs(1_795_437_325));
        let expected = "Received: from client.example ([192.0.2.1])\r\n\tby mx.example with ESMTPS\r\n\t\
            (TLSv1_3 TLS13_AES_256_GCM_SHA384)\r\n\tid T1 for <a@b.example>;\r\n\t\
            Mon, 23 Nov 2026 12:35:25 +0000\r\n";
        assert_eq!(line, expected);
    }

    #[test]
    fn the_word_after_with() {
        let (tls, known) = (Transport::Tls, Identity::Authenticated);
        assert_eq!(protocol(&Way { hello: Hello::Old, ..way() }), "SMTP");
        assert_eq!(protocol(&way()), "ESMTP");
        assert_eq!(protocol(&Way { transport: tls, identity: known, ..way() }), "ESMTPSA");
        assert_eq!(protocol(&Way { identity: known, utf8: true, ..way() }), "UTF8SMTPA");
        assert_eq!(protocol(&Way { dialect: Dialect::Lmtp, transport: tls, ..way() }), "LMTPS");
    }

    #[test]
    fn only_what_is_missing_is_added() {
        let (host, trace) = (HostName::new("mx.example"), TraceId::new("T1"));
        let missing = |text: &str| {
            let mut scan = HeaderScan::new();
            scan.push(text.as_bytes());
            missing_fields(&scan, &host, &trace, Timestamp::from_secs(0))
        };
        let date = "Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n";
        assert_eq!(missing("Date: x\r\nMessage-ID: <y>\r\n\r\n"), "");
        assert_eq!(missing("Message-ID: <y>\r\n\r\n"), date);
        assert_eq!(missing("Date: x\r\n\r\n"), "Message-ID: <T1@mx.example>\r\n");
        assert_eq!(missing("Message-ID: <y>\r\n\r\n"), date);
        assert_eq!(missing("\r\ntext\r\n"), format!("{date}Message-ID: <T1@mx.example>\r\n"));
        assert_eq!(missing("just text\r\n"), format!("{date}Message-ID: <T1@mx.example>\r\n\r\n"));
    }

    #[test]
    fn nobody_has_an_empty_return_path() {
        assert_eq!(return_path(&Sender::NULL), "Return-Path: <>\r\n");
    }
}
