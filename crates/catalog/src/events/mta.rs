//! Events of the MTA.

use crate::events;

events! {
    #[doc = "The MTA has taken responsibility for a message."]
    MtaMessageReceived: Note { id, from, recipients, peer, bytes, ms }
        counts MESSAGES_RECEIVED()
        cause "Normal operation." action "None.";
    #[doc = "A message was put into a mailbox."]
    MtaMessageDelivered: Note { id, from, to, mailbox, bytes }
        counts RECIPIENTS("delivered")
        cause "Normal operation." action "None.";
    #[doc = "A message was handed over to a remote server."]
    MtaMessageRelayed: Note { id, from, to, host, reply, seconds }
        counts RECIPIENTS("relayed")
        cause "Normal operation." action "None.";
    #[doc = "A message could not be delivered now and stays in the queue."]
    MtaMessageDeferred: Note { id, from, to, reason, retry }
        counts RECIPIENTS("deferred")
        cause "The store, the directory or the remote server refused for the moment or did not answer."
        action "None, unless many name the same host.";
    #[doc = "A message was returned to its sender."]
    MtaMessageBounced: Note { id, from, to, reason }
        counts RECIPIENTS("bounced")
        cause "It was refused for good, or its time in the queue is over." action "None.";
    #[doc = "A message was refused during its transfer."]
    MtaMessageRefused: Note { from, peer, reply }
        counts MESSAGES_REFUSED()
        cause "A limit or a rule; the reply names it." action "None.";
    #[doc = "A remote server closed the connection in the middle of a delivery."]
    MtaServerSocketClosed: Warn { host, id, step }
        cause "A fault or a restart over there." action "None: the message is tried again.";
    #[doc = "A report to the sender of a message could not be handed in."]
    MtaReportFailed: Erro { id, to, reason }
        cause "The sender's address is refused, or neither store nor queue takes mail."
        action "See the reason. Where it is temporary, the message stays in the queue and the report is tried again.";
}
