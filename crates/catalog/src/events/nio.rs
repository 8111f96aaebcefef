//! Events of the network.

use crate::events;

events! {
    #[doc = "A connection could not be accepted; the listener pauses and goes on."]
    NioAcceptFail: Erro { error }
        cause "The process has no file descriptors left, or the system no memory."
        action "Raise the limit of open files; look for clients that open too many connections.";
}
