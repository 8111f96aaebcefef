//! Where a PostgreSQL server is: `postgres://[user@]host[:port][,host...]/database` or, by a socket of this host,
//! `postgres://[user@]/database?host=/folder[&port=5432]`.
//!
//! Of several hosts the first that answers as it should is used. No password stands in an address: it is in a file of
//! its own.

use std::fmt;
use std::path::PathBuf;

/// Most hosts in one address.
const MAX_HOSTS: usize = 16;
/// Longest name of a user or a database (PostgreSQL's NAMEDATALEN is 64).
const MAX_NAME: usize = 63;
/// PostgreSQL's own port.
const PORT: u16 = 5432;

/// A parsed address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Who connects; `None`: whoever is configured.
    pub user: Option<String>,
    /// Where, in the order in which they are tried; at least one.
    pub hosts: Vec<Host>,
    /// The name of the database.
    pub database: String,
}

/// One way to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// Name or address, and port.
    Tcp(String, u16),
    /// The folder of the socket, and the port that its name ends in.
    Socket(PathBuf, u16),
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}: expected postgres://[user@]host[:port]/database or postgres:///database?host=/folder")]
pub struct BadAddress(&'static str);

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it, without showing it: somebody may have put a password there.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        let rest = rest.ok_or(BadAddress("the address does not begin with postgres://"))?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) =
            place.split_once('/').ok_or(BadAddress("the address names no database"))?;
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, _)) if user.contains(':') => {
                return Err(BadAddress("the address holds a password, which belongs in a file"));
            }
            Some((user, hosts)) => (Some(name(user)?), hosts),
            None => (None, authority),
        };
        let hosts = if hosts.is_empty() { socket(query)? } else { tcp(hosts, query)? };
        Ok(Self { user, hosts, database: name(database)? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self.hosts.iter().map(Host::to_string).collect();
        write!(f, "postgres://{}/{}", hosts.join(","), self.database)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Socket(folder, port) => write!(f, "{}/.s.PGSQL.{port}", folder.display()),
        }
    }
}

fn name(text: &str) -> Result<String, BadAddress> {
    let name = unescape(text)?;
    match name.len() {
        1..=MAX_NAME if !name.contains(['\0', '/']) => Ok(name),
        _ => Err(BadAddress("the name of the user or the database is empty, too long or not valid")),
    }
}

fn tcp(hosts: &str, query: &str) -> Result<Vec<Host>, BadAddress> {
    if !query.is_empty() {
        return Err(BadAddress("an address with a host has no options"));
    }
    let hosts: Vec<_> = hosts.split(',').take(MAX_HOSTS + 1).map(tcp_host).collect::<Result<_, _>>()?;
    if hosts.len() > MAX_HOSTS { Err(BadAddress("there are more than 16 hosts")) } else { Ok(hosts) }
}

fn tcp_host(text: &str) -> Result<Host, BadAddress> {
    let (host, port) = match text.strip_prefix('[').and_then(|t| t.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let fine = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:".contains(c));
    if !fine {
        return Err(BadAddress("a host is empty or not valid"));
    }
    let port = port.map_or(Some(PORT), |p| p.parse().ok().filter(|p| *p > 0));
    Ok(Host::Tcp(host.to_owned(), port.ok_or(BadAddress("a port is not a number from 1 to 65535"))?))
}

fn socket(query: &str) -> Result<Vec<Host>, BadAddress> {
    let (mut folder, mut port) = (None, PORT);
    for option in query.split('&') {
        match option.split_once('=') {
            Some(("host", value)) => folder = Some(PathBuf::from(unescape(value)?)),
            Some(("port", value)) => port = value.parse().map_err(|_| BadAddress("the port is no number"))?,
            _ => return Err(BadAddress("the options are host and port")),
        }
    }
    match folder {
        Some(folder) if folder.is_absolute() => Ok(vec![Host::Socket(folder, port)]),
        _ => Err(BadAddress("the folder of the socket is not an absolute path")),
    }
}

/// RFC 3986 2.1: `%` and two hexadecimal digits are an octet.
fn unescape(text: &str) -> Result<String, BadAddress> {
    let bad = BadAddress("an escape with % is not valid");
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).ok_or_else(|| bad.clone())?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad.clone())?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).map_err(|_| bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let one = Address::parse("postgres://imail@db1.example.com,[2001:db8::1]:6000/isd").unwrap();
        assert_eq!(one.user.as_deref(), Some("imail"));
        assert_eq!(
            one.hosts,
            [Host::Tcp("db1.example.com".into(), 5432), Host::Tcp("2001:db8::1".into(), 6000)]
        );
        assert_eq!(one.to_string(), "postgres://db1.example.com:5432,[2001:db8::1]:6000/isd");
        let two = Address::parse("postgresql:///is%20d?host=/run/postgresql&port=5433").unwrap();
        assert_eq!((two.user, two.database.as_str()), (None, "is d"));
        assert_eq!(two.hosts, [Host::Socket("/run/postgresql".into(), 5433)]);
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_is_shown() {
        let cases = [
            ("mysql://h/d", "does not begin"),
            ("postgres://h", "no database"),
            ("postgres://h/", "empty"),
            ("postgres://u:secret@h/d", "password"),
            ("postgres://h:0/d", "port"),
            ("postgres://h /d", "host"),
            ("postgres:///d", "options"),
            ("postgres:///d?host=run", "absolute"),
            ("postgres://h/d?sslmode=none", "options"),
            ("postgres://h/d%zz", "escape"),
        ];
        for (text, reason) in cases {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains("secret"), "{text}: {error}");
        }
    }
}
