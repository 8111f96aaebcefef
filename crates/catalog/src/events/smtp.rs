//! Events of the SMTP library: sessions in both directions.

use crate::events;

events! {
    #[doc = "A client has connected by SMTP or LMTP."]
    SmtpConnectionReceived: Note { session, peer, port, tls }
        cause "Normal operation." action "None.";
    #[doc = "An SMTP or LMTP session has ended."]
    SmtpSessionEnd: Note { session, peer, user, reason, messages, seconds }
        cause "Normal operation." action "None.";
    #[doc = "A sender was refused at MAIL."]
    SmtplibSenderAddrInvalid: Warn { address, peer, reason }
        cause "The address is malformed or its domain does not exist; see rejectSenderBadAddress." action "None.";
    #[doc = "An entry of relaySourceList cannot be read and was skipped."]
    SmtplibBadRelayPolicy: Erro { value, used }
        cause "It is neither an address nor a network." action "Correct the entry.";
    #[doc = "A remote server sent a longer reply than allowed; the delivery is tried again later."]
    SmtpServerResponseOverflow: Warn { host, limit }
        cause "A fault or an attack over there." action "None, or raise serverLineLengthLimit.";
}
