//! Keys of the message store.

use crate::key::Kind;
use crate::keys;

keys! {
    #[doc = "Number of shards of the message store on this host: each has one log, one index and one committer."]
    NUM_MSS_PORTS: u64 = "numMssPorts" in ["mss"], Kind::Number(1..=64), ["2"], Restart, since "3.2";
    #[doc = "Whether a mailbox that does not exist is made at its first use. When off, mail for it is deferred."]
    CREATE_MBOXES: bool = "createMboxes" in ["mss"], Kind::Bool, ["true"], Live, since "4.0.1";
    #[doc = "Whether the making of a mailbox at its first use is logged as MsMailboxCreated."]
    LOG_MAILBOX_CREATION: bool = "logMailBoxCreation" in ["mss"], Kind::Bool, ["true"], Live, since "3.2";
    #[doc = "Whether each step in the life of a message in the store is logged as MsgTrace and its removal as MsMsgDeleted."]
    MESSAGE_TRACING: bool = "messageTracing" in ["mss"], Kind::Bool, ["false"], Live, since "4.0";
    #[doc = "How many minutes a mailbox can be restored as it was: what is deleted or changed is kept as long, and its space is given back after that. 0 keeps nothing."]
    RESTORE_WINDOW: u64 = "restoreWindowInMinutes" in ["mss"], Kind::Number(0..=43_200), ["60"], Live, since "5.0";
}
