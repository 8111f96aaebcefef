//! Keys of the POP server.

use crate::key::Kind;
use crate::keys;

keys! {
    #[doc = "Most POP sessions at the same time; one more is refused and logged as PopMaxSessions."]
    MAX_SESSIONS: u64 = "maxSessions" in ["popserv"], Kind::Number(1..=1_000_000), ["10000"], Live, since "3.2";
    #[doc = "Port for POP3 (RFC 1939); 0: none."]
    POP3_PORT: u64 = "pop3Port" in ["popserv"], Kind::Number(0..=65_535), ["110"], Restart, since "3.2";
    #[doc = "Port for POP3 with TLS from the first byte (RFC 8314); 0: none."]
    SSL_POP3_PORT: u64 = "sslPop3Port" in ["popserv"], Kind::Number(0..=65_535), ["995"], Restart, since "4.0";
}
