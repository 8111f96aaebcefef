//! Events that follow one message.

use crate::events;

events! {
    #[doc = "One step in the life of a message; logged with messageTracing only."]
    MsgTrace: Note { event, id, mailbox, uid, bytes }
        cause "Normal operation." action "None.";
}
