//! Keys of the IMAP server.

use crate::key::Kind;
use crate::keys;

keys! {
    #[doc = "Most IMAP sessions at the same time; one more is refused with BYE."]
    MAX_SESSIONS: u64 = "maxSessions" in ["imapserv"], Kind::Number(1..=1_000_000), ["20000"], Live, since "3.2";
}
