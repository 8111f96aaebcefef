use super::*;
use hickory_resolver::proto::op::{Message, MessageType, OpCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA};
use hickory_resolver::proto::rr::{Record, RecordType};
use tokio::net::UdpSocket;

/// A name server on loopback that knows a handful of names.
async fn name_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test's own name server")]
    tokio::spawn(async move {
        let mut packet = [0; 1500];
        while let Ok((len, from)) = socket.recv_from(&mut packet).await {
            let question = Message::from_vec(&packet[..len]).unwrap();
            let _ = socket.send_to(&reply(&question).to_vec().unwrap(), from).await;
        }
    });
    address
}

fn reply(question: &Message) -> Message {
    let query = question.queries.first().unwrap().clone();
    let mut reply = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
    reply.metadata.recursion_desired = true;
    reply.metadata.recursion_available = true;
    let name = query.name().to_ascii().to_lowercase();
    reply.add_query(query.clone());
    let mx = |preference, host: &str| RData::MX(MX::new(preference, Name::from_ascii(host).unwrap()));
    let data = match (name.as_str(), query.query_type()) {
        ("many.example.", RecordType::MX) => {
            vec![mx(20, "b.many.example."), mx(10, "a.many.example."), mx(5, ".")]
        }
        ("null.example.", RecordType::MX) => vec![mx(0, ".")],
        ("xn--bcher-kva.example.", RecordType::MX) => vec![mx(1, "mx.example.")],
        ("a.many.example.", RecordType::A) => vec![RData::A(A::new(192, 0, 2, 1))],
        ("a.many.example.", RecordType::AAAA) => {
            vec![RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))]
        }
        ("b.many.example.", RecordType::A) => vec![RData::A(A::new(192, 0, 2, 2))],
        ("broken.example.", _) => {
            reply.metadata.response_code = ResponseCode::ServFail;
            vec![]
        }
        ("gone.example.", _) => {
            reply.metadata.response_code = ResponseCode::NXDomain;
            vec![]
        }
        _ => vec![],
    };
    for data in data {
        reply.add_answer(Record::from_rdata(query.name().clone(), 60, data));
    }
    reply
}

async fn dns() -> SystemDns {
    SystemDns::of_servers(&[name_server().await]).unwrap()
}

fn domain(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

#[tokio::test]
async fn every_outcome_of_mx_is_told_apart() {
    let dns = dns().await;
    let exchange = |preference, host| Exchange { preference, host: domain(host) };
    assert_eq!(
        dns.mx(&domain("many.example")).await,
        Lookup::Found(Exchanges::Hosts(vec![exchange(10, "a.many.example"), exchange(20, "b.many.example")])),
        "a null record beside others is no host and says nothing"
    );
    assert_eq!(dns.mx(&domain("null.example")).await, Lookup::Found(Exchanges::Null));
    assert_eq!(dns.mx(&domain("bare.example")).await, Lookup::NoData);
    assert_eq!(dns.mx(&domain("gone.example")).await, Lookup::NxDomain);
    assert_eq!(dns.mx(&domain("broken.example")).await, Lookup::TemporaryFailure);
}

#[tokio::test]
async fn addresses_of_both_families_come_together() {
    let dns = dns().await;
    let both = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    assert_eq!(dns.addresses(&domain("a.many.example")).await, Lookup::Found(both));
    let one = vec!["192.0.2.2".parse().unwrap()];
    assert_eq!(dns.addresses(&domain("b.many.example")).await, Lookup::Found(one));
    assert_eq!(dns.addresses(&domain("bare.example")).await, Lookup::NoData);
    assert_eq!(dns.addresses(&domain("gone.example")).await, Lookup::NxDomain);
    assert_eq!(dns.addresses(&domain("broken.example")).await, Lookup::TemporaryFailure);
    let literal = vec!["127.0.0.1".parse().unwrap()];
    assert_eq!(dns.addresses(&domain("[127.0.0.1]")).await, Lookup::Found(literal));
}

#[tokio::test]
async fn names_beyond_ascii_are_asked_for_in_ascii() {
    assert!(matches!(dns().await.mx(&domain("bücher.example")).await, Lookup::Found(_)));
}

#[tokio::test]
async fn without_name_servers_nothing_is_certain() {
    let dns = SystemDns::of_servers(&[]).unwrap();
    assert_eq!(dns.mx(&domain("many.example")).await, Lookup::TemporaryFailure);
    assert_eq!(dns.addresses(&domain("many.example")).await, Lookup::TemporaryFailure);
}
