//! The name service of the host, through hickory-resolver.
//!
//! Promises the outcomes of [`Dns`] with a cache of at most [`CACHED`] answers and an end to every question
//! after [`PATIENCE`]. The resolver runs its own tasks for its sockets: the only ones that `env` does not know.

use super::{Dns, Exchange, Exchanges, Lookup, MAX_ADDRESSES, MAX_EXCHANGES, Pending, join};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup as Answer;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, rdata::MX};
use mail::address::Domain;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Answers that are remembered.
pub const CACHED: u64 = 16_384;
/// How long one name server may take.
const ONE_SERVER: Duration = Duration::from_secs(5);
/// After this, a question has no answer.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// However long an answer may be kept by its own word, it is asked for again after this.
const LONGEST_CACHED: Duration = Duration::from_secs(3600);

/// Why there is no name service.
#[derive(Debug, thiserror::Error)]
#[error("the name service cannot be set up")]
pub struct NoNameService(#[source] NetError);

/// Asks the name servers of the host.
pub struct SystemDns {
    resolver: TokioResolver,
}

impl SystemDns {
    /// With the servers of `/etc/resolv.conf` and the names of `/etc/hosts`.
    ///
    /// # Errors
    /// Where these files cannot be read.
    pub fn of_host() -> Result<Self, NoNameService> {
        let mut builder = TokioResolver::builder_tokio().map_err(NoNameService)?;
        bound(builder.options_mut());
        Ok(Self { resolver: builder.build().map_err(NoNameService)? })
    }

    /// With these servers alone.
    ///
    /// # Errors
    /// Where the resolver refuses its own configuration.
    pub fn of_servers(servers: &[SocketAddr]) -> Result<Self, NoNameService> {
        let servers = servers.iter().map(|server| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = server.port();
                connection
            });
            NameServerConfig::new(server.ip(), true, connections.into())
        });
        let config = ResolverConfig::from_name_servers(servers.collect());
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        bound(builder.options_mut());
        Ok(Self { resolver: builder.build().map_err(NoNameService)? })
    }

    async fn family<T>(&self, question: T) -> Lookup<Vec<IpAddr>>
    where
        T: Future<Output = Result<Answer, NetError>>,
    {
        outcome(question).await.and_then(|answer| {
            let address = |data: &RData| match data {
                RData::A(a) => Some(IpAddr::V4(a.0)),
                RData::AAAA(a) => Some(IpAddr::V6(a.0)),
                _ => None,
            };
            let some: Vec<_> =
                answer.answers().iter().filter_map(|r| address(&r.data)).take(MAX_ADDRESSES).collect();
            if some.is_empty() { Lookup::NoData } else { Lookup::Found(some) }
        })
    }
}

impl Dns for SystemDns {
    fn mx<'a>(&'a self, domain: &'a Domain) -> Pending<'a, Exchanges> {
        Box::pin(async move {
            let Some(name) = full_name(domain) else { return Lookup::NxDomain };
            outcome(self.resolver.mx_lookup(name)).await.and_then(|answer| {
                let mx = |data: &RData| if let RData::MX(mx) = data { Some(mx.clone()) } else { None };
                exchanges(answer.answers().iter().filter_map(|r| mx(&r.data)).collect())
            })
        })
    }

    fn addresses<'a>(&'a self, host: &'a Domain) -> Pending<'a, Vec<IpAddr>> {
        Box::pin(async move {
            if let Some(literal) = host.literal() {
                return Lookup::Found(vec![literal]);
            }
            let Some(name) = full_name(host) else { return Lookup::NxDomain };
            let (v4, v6) = tokio::join!(
                self.family(self.resolver.ipv4_lookup(name.clone())),
                self.family(self.resolver.ipv6_lookup(name))
            );
            join(v4, v6)
        })
    }
}

fn bound(options: &mut ResolverOpts) {
    options.cache_size = CACHED;
    options.timeout = ONE_SERVER;
    options.attempts = 2;
    options.positive_max_ttl = Some(LONGEST_CACHED);
    options.negative_max_ttl = Some(LONGEST_CACHED);
    // A truncated answer over UDP is asked for again over TCP anyway; this is for servers that drop UDP.
    options.try_tcp_on_error = true;
}

/// The name with its final dot, so that no search list is tried; a name in UTF-8 in its ASCII form (RFC 5890).
fn full_name(domain: &Domain) -> Option<Name> {
    let mut name = Name::from_utf8(domain.as_str()).ok()?;
    name.set_fqdn(true);
    Some(name)
}

/// Waits for an answer, but not for ever, and says what a failure means.
async fn outcome(question: impl Future<Output = Result<Answer, NetError>>) -> Lookup<Answer> {
    match tokio::time::timeout(PATIENCE, question).await {
        Ok(Ok(answer)) => Lookup::Found(answer),
        Ok(Err(NetError::Dns(DnsError::NoRecordsFound(none)))) => match none.response_code {
            ResponseCode::NoError => Lookup::NoData,
            ResponseCode::NXDomain => Lookup::NxDomain,
            _ => Lookup::TemporaryFailure,
        },
        Ok(Err(_)) | Err(_) => Lookup::TemporaryFailure,
    }
}

/// RFC 7505 3: one record with an empty host means that no mail is taken; beside others it means nothing.
fn exchanges(mut records: Vec<MX>) -> Lookup<Exchanges> {
    if records.is_empty() {
        return Lookup::NoData;
    }
    if records.iter().all(|mx| mx.exchange.is_root()) {
        return Lookup::Found(Exchanges::Null);
    }
    records.sort_by_key(|mx| mx.preference);
    let usable = records.iter().filter_map(|mx| {
        let host = Domain::parse(&mx.exchange.to_ascii()).ok()?;
        Some(Exchange { preference: mx.preference, host })
    });
    Lookup::Found(Exchanges::Hosts(usable.take(MAX_EXCHANGES).collect()))
}

#[cfg(test)]
mod tests;
