//! Over a real socket: TLS, and what a session does when the server is to stop.

use super::*;
use bytes::BytesMut;
use net::listener::Listener;
use net::tls::ServerTls;
use net::tls_client::{Demand, TlsClient};
use rustls::RootCertStore;
use rustls::pki_types::UnixTime;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

fn certificate() -> Arc<ServerTls> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let pem = made.cert.pem() + &made.signing_key.serialize_pem();
    std::fs::write(file.path(), pem).unwrap();
    Arc::new(ServerTls::load(file.path()).unwrap())
}

/// A site with a certificate, and a connection to this service of it.
async fn site(service: Service, implicit: Option<Arc<ServerTls>>) -> (Site, TcpStream) {
    let tls = implicit.clone().unwrap_or_else(certificate);
    let site = Site::with("", Some(tls));
    site.directory.account("joe@here", "secret");
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), implicit).unwrap();
    let address = listener.address().unwrap();
    let port = Port::new(Arc::clone(&site.mta), service, address.port());
    site.env.tasks.spawn(listener.run(site.env.clone(), port));
    (site, TcpStream::connect(address).await.unwrap())
}

async fn say(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), text: &str) -> String {
    stream.write_all(text.as_bytes()).await.unwrap();
    hear(stream).await
}

/// All lines of one reply.
async fn hear(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut got = BytesMut::new();
    loop {
        let text = String::from_utf8_lossy(&got);
        let done = text.ends_with("\r\n") && text.lines().last().is_some_and(|l| l.as_bytes()[3] == b' ');
        if done || stream.read_buf(&mut got).await.unwrap() == 0 {
            return String::from_utf8(got.to_vec()).unwrap();
        }
    }
}

async fn shake(stream: TcpStream) -> impl AsyncRead + AsyncWrite + Unpin {
    let client = TlsClient::new(RootCertStore::empty()).unwrap();
    let at_most = Duration::from_secs(20);
    client.connect(stream, "localhost", Demand::Opportunistic, UnixTime::now(), at_most).await.unwrap().0
}

#[tokio::test]
async fn starttls_forgets_what_was_said_before() {
    let (site, mut stream) = site(Service::Submission, None).await;
    hear(&mut stream).await;
    assert!(say(&mut stream, "EHLO c\r\n").await.contains("250-STARTTLS\r\n"));
    assert!(say(&mut stream, "STARTTLS\r\n").await.starts_with("220"));
    let mut stream = shake(stream).await;
    assert!(say(&mut stream, "MAIL FROM:<joe@here>\r\n").await.starts_with("503"));
    let offers = say(&mut stream, "EHLO c\r\n").await;
    assert!(
        offers.contains("AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n") && !offers.contains("STARTTLS"),
        "{offers}"
    );
    assert!(say(&mut stream, "STARTTLS\r\n").await.starts_with("503"));
    assert!(say(&mut stream, &plain("joe@here", "secret")).await.starts_with("235"));
    for (command, code) in [("MAIL FROM:<joe@here>", "250"), ("RCPT TO:<joe@here>", "250"), ("DATA", "354")] {
        assert!(say(&mut stream, &format!("{command}\r\n")).await.starts_with(code));
    }
    assert!(say(&mut stream, "Subject: x\r\n\r\n.\r\n").await.starts_with("250"));
    let text = stored(&site);
    assert!(text.contains("with ESMTPSA\r\n\t(TLSv1_3 "), "{text}");
}

#[tokio::test]
async fn nothing_is_slipped_in_before_tls() {
    let (_site, mut stream) = site(Service::Relay, None).await;
    hear(&mut stream).await;
    say(&mut stream, "EHLO c\r\n").await;
    let answer = say(&mut stream, "STARTTLS\r\nNOOP\r\n").await;
    assert!(answer.starts_with("501 5.5.2"), "{answer}");
    assert_eq!(hear(&mut stream).await, "", "and the connection is closed");
}

#[tokio::test]
async fn tls_from_the_first_byte() {
    let (_site, stream) = site(Service::Submission, Some(certificate())).await;
    let mut stream = shake(stream).await;
    assert!(hear(&mut stream).await.starts_with("220"));
    let offers = say(&mut stream, "EHLO c\r\n").await;
    assert!(offers.contains("PLAIN") && !offers.contains("STARTTLS"), "{offers}");
}

#[tokio::test]
async fn a_waiting_session_is_told_that_the_server_stops() {
    let (site, mut stream) = site(Service::Relay, None).await;
    hear(&mut stream).await;
    say(&mut stream, "NOOP\r\n").await;
    site.env.tasks.stop();
    assert!(hear(&mut stream).await.starts_with("421 4.3.2"));
    assert_eq!(site.env.tasks.drain(Duration::from_secs(10)).await, 0);
}

#[tokio::test]
async fn a_message_on_its_way_is_finished_before_the_server_stops() {
    let (site, mut stream) = site(Service::Relay, None).await;
    hear(&mut stream).await;
    let begin = "EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<joe@here>\r\n";
    for command in begin.split_inclusive("\r\n") {
        say(&mut stream, command).await;
    }
    assert!(say(&mut stream, "DATA\r\n").await.starts_with("354"));
    site.env.tasks.stop();
    let answer = say(&mut stream, "Subject: x\r\n\r\n.\r\n").await;
    assert!(answer.starts_with("250 2.0.0 Ok "), "{answer}");
    assert_eq!(site.store.drops().len(), 1);
}
