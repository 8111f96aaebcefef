//! Keys of the POP server.

use crate::key::Kind;
use crate::keys;

keys! {
    #[doc = "Most POP sessions at the same time; one more is refused and logged as PopMaxSessions."]
    MAX_SESSIONS: u64 = "maxSessions" in ["popserv"], Kind::Number(1..=1_000_000), ["10000"], Live, since "3.2";
}
