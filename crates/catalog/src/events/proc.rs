//! Events of processes and their start and end.

use crate::events;

events! {
    #[doc = "A server is ready."]
    ProcServerStarted: Note { server, version }
        cause "It was started." action "None.";
    #[doc = "A server has ended in order."]
    ProcServerStopped: Note { server }
        cause "It was told to stop." action "None.";
}
