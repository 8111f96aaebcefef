//! Events of the system's resources.

use crate::events;

events! {
    #[doc = "Memory or disk space is exhausted."]
    SysNoSpace: Urgt { resource, detail }
        cause "More data or load than the host has room for."
        action "Make room; mail is deferred meanwhile, never dropped.";
}
