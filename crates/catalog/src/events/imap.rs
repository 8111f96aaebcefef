//! Events of the IMAP server.

use crate::events;

events! {
    #[doc = "An IMAP session has begun."]
    ImapSessionStart: Note { session, peer, tls }
        cause "Normal operation." action "None.";
    #[doc = "An IMAP session has ended. authentication_ms is how long its login waited for the directory, store_ms how long for the store."]
    ImapSessionEnd: Note { session, peer, user, reason, seconds, authentication_ms, store_ms }
        cause "Normal operation." action "None.";
    #[doc = "A connection was refused because maxSessions are open."]
    ImapMaxSessions: Warn { limit, peer }
        cause "More clients than planned, or one that opens too many."
        action "Raise maxSessions if the host has room, or limit the client with clientConnectionLimitTable.";
    #[doc = "A connection was refused because the client is not in allowedIPs."]
    ImapConnectionNotAllowed: Warn { peer }
        cause "allowedIPs does not name the client's network." action "None, or add it.";
    #[doc = "What a session knows of a folder and what the store holds do not fit."]
    ImapSyncError: Erro { mailbox, folder, detail }
        cause "A fault in the program." action "Report it; the session was ended and the mail is intact.";
}
