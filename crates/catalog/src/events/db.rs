//! Events of the databases.

use crate::events;

events! {
    #[doc = "A database takes no changes; reading goes on."]
    DbWritesBlocked: Urgt { database, reason }
        cause "The disk is full or a write to it failed."
        action "Make room. Writing resumes by itself; mail is deferred meanwhile, never dropped.";
    #[doc = "A database takes changes again."]
    DbWritesUnblocked: Note { database, seconds }
        cause "The reason of DbWritesBlocked is gone." action "None.";
    #[doc = "A database did not do what was asked."]
    DbFailed: Erro { database, reason }
        cause "It is out of reach, the disk is full or broken, or a bug." action "See the reason.";
}
