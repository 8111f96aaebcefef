//! Keys of the IMAP server.

use crate::key::Kind;
use crate::keys;

keys! {
    #[doc = "Most IMAP sessions at the same time; one more is refused with BYE."]
    MAX_SESSIONS: u64 = "maxSessions" in ["imapserv"], Kind::Number(1..=1_000_000), ["20000"], Live, since "3.2";
    #[doc = "Port for IMAP (RFC 9051); 0: none."]
    IMAP4_PORT: u64 = "imap4Port" in ["imapserv"], Kind::Number(0..=65_535), ["143"], Restart, since "3.2";
    #[doc = "Port for IMAP with TLS from the first byte (RFC 8314); 0: none."]
    SSL_IMAP4_PORT: u64 = "sslImap4Port" in ["imapserv"], Kind::Number(0..=65_535), ["993"], Restart, since "4.0";
    #[doc = "Which literals a client may send without waiting (RFC 7888): `all` (LITERAL+), or `small`, those of at most 4096 octets (LITERAL-)."]
    UNWAITED_LITERALS: String = "unwaitedLiterals" in ["imapserv"], Kind::Choice(&["all", "small"]), ["all"], Live, since "5.0";
}
