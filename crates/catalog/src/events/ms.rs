//! Events of the message store.

use crate::events;

events! {
    #[doc = "The message store could not start."]
    MsInitFailure: Fatl { step, error }
        cause "A shard cannot be opened: another process owns it, or its files are damaged."
        action "See the error; run the store's check on the shard before starting again.";
    #[doc = "A mailbox was made at its first use."]
    MsMailboxCreated: Note { mailbox, by }
        cause "First mail or first login of an account, with createMboxes on." action "None.";
    #[doc = "A message was removed from a mailbox; logged with messageTracing only."]
    MsMsgDeleted: Note { mailbox, folder, uid, by }
        cause "A client expunged it or an operator deleted it." action "None.";
    #[doc = "The removal of a folder was refused."]
    MsFolderNotRemovable: Note { mailbox, folder, reason }
        cause "It is the Inbox or has folders below it." action "None.";
    #[doc = "A request names a folder or message that does not exist."]
    MsNoSuchObject: Warn { mailbox, object }
        cause "Another session removed it in the meantime." action "None, unless it happens often.";
}
