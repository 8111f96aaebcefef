//! Events of the wire between servers.

use crate::events;

events! {
    #[doc = "A peer cannot be reached, or a connection to it broke. Said once until it answers again."]
    RmeConnectionUnavailable: Erro { host, port, cause }
        cause "The server on that host is down, the network is cut, or its certificate is not of this site."
        action "Look at that server; mail for it waits, its users are told to try again.";
    #[doc = "A peer answers again."]
    RmeConnectionRestored: Note { host, port, seconds }
        cause "It was out of reach before." action "None.";
    #[doc = "A peer ended a call in a way that no server of this site does, or sent what is no frame."]
    RmeProtoBadLength: Erro { peer, reason }
        cause "Something that does not speak this protocol reaches the port, or a fault in the program."
        action "Find out who connects; rmeAccessList keeps others away.";
    #[doc = "A call came with a protocol number that is not served, or without what every call carries."]
    RmeProtoBadVersion: Erro { peer, reason }
        cause "A server of a release that is too old runs beside this one." action "Upgrade it.";
    #[doc = "Something that was named in an earlier answer is gone."]
    RmeStaleRef: Warn { mailbox, folder, uid }
        cause "A message was expunged while another session read it." action "None.";
    #[doc = "A peer was refused: it has no certificate of this site."]
    RmeBadCertificate: Erro { peer, reason }
        cause "Its certificate is of another site or has run out, or it is no server of ours."
        action "Give the host a certificate of this site, or keep the peer away by rmeAccessList.";
    #[doc = "This host has no certificate for the wire between servers: it can neither ask other hosts nor be asked."]
    RmeNoIdentity: Erro { folder, reason }
        cause "The host was never given one, or the files are damaged."
        action "Make them with `intermail invite` on a host that has the site's authority, and `intermail init --join` here.";
}
