//! Events of the MTA.

use crate::events;

events! {
    #[doc = "A message was put into a mailbox."]
    MtaMessageDelivered: Note { id, from, to, mailbox, bytes }
        cause "Normal operation." action "None.";
}
