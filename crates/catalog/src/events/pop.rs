//! Events of the POP server.

use crate::events;

events! {
    #[doc = "A POP session has begun."]
    PopSessionStart: Note { session, peer, tls }
        cause "Normal operation." action "None.";
    #[doc = "A POP session has ended. authentication_ms is how long its login waited for the directory, store_ms how long for the store."]
    PopSessionEnd: Note { session, peer, user, reason, retrieved, deleted, seconds, authentication_ms, store_ms }
        cause "Normal operation." action "None.";
    #[doc = "A connection was refused because maxSessions are open."]
    PopMaxSessions: Warn { limit, peer }
        cause "More clients than planned, or one that opens too many."
        action "Raise maxSessions if the host has room, or limit the client with clientConnectionLimitTable.";
    #[doc = "A connection was refused because the client is not in allowedIPs."]
    PopConnectionNotAllowed: Warn { peer }
        cause "allowedIPs does not name the client's network." action "None, or add it.";
    #[doc = "An entry of loginDefaultDomainTable cannot be read and was skipped."]
    PopDomainTableEntryError: Erro { entry }
        cause "It is not of the form address=domain." action "Correct the entry.";
    #[doc = "What a session knows of a mailbox and what the store holds do not fit."]
    PopSyncError: Erro { mailbox, detail }
        cause "A message was removed behind the session's lock, or a fault in the program."
        action "If no operator removed it, report it; the mail that is left is intact.";
}
