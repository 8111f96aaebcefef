//! What a server offers, read from its answer to EHLO or LHLO. RFC 5321 4.1.1.1.

use super::reply::Reply;
use crate::sasl::Mechanism;

/// The extensions that a client of ours can use; others are passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extensions {
    /// RFC 2920.
    pub pipelining: bool,
    /// RFC 6152.
    pub eight_bit_mime: bool,
    /// RFC 6531.
    pub smtp_utf8: bool,
    /// RFC 3030.
    pub chunking: bool,
    /// RFC 3461.
    pub dsn: bool,
    /// RFC 3207.
    pub start_tls: bool,
    /// RFC 1870: whether SIZE is offered, and the largest message in octets where there is a limit.
    pub size: Option<Option<u64>>,
    /// RFC 4954: the mechanisms that are known here.
    pub auth: Vec<Mechanism>,
}

impl Extensions {
    /// From the answer: each line but the first is one keyword with its parameters.
    pub fn read(answer: &Reply) -> Self {
        let mut found = Self::default();
        for line in answer.text.split('\n').skip(1) {
            // `AUTH=PLAIN` is what servers wrote before RFC 2554; some still do.
            let mut words = line.split([' ', '=']).filter(|w| !w.is_empty());
            let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
            match keyword.as_str() {
                "PIPELINING" => found.pipelining = true,
                "8BITMIME" => found.eight_bit_mime = true,
                "SMTPUTF8" => found.smtp_utf8 = true,
                "CHUNKING" => found.chunking = true,
                "DSN" => found.dsn = true,
                "STARTTLS" => found.start_tls = true,
                // RFC 1870 4: zero says that there is no fixed limit.
                "SIZE" => found.size = Some(words.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0)),
                "AUTH" => found.auth.extend(words.filter_map(Mechanism::parse)),
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_found_in_any_case() {
        let text =
            "mx.example greets you\nPipelining\nSIZE 1000\nAUTH=LOGIN\nAUTH PLAIN X-NEW\nDSN\nX-OTHER 1";
        let found = Extensions::read(&Reply::plain(250, text.into()));
        assert!(found.pipelining && found.dsn && !found.start_tls);
        assert_eq!(found.size, Some(Some(1000)));
        assert_eq!(found.auth, [Mechanism::Login, Mechanism::Plain]);
    }

    #[test]
    fn the_greeting_line_offers_nothing() {
        let found = Extensions::read(&Reply::plain(250, "PIPELINING\nSIZE 0".into()));
        assert_eq!(found, Extensions { size: Some(None), ..Extensions::default() });
    }
}
