//! Events of the mail queue.

use crate::events;

events! {
    #[doc = "Work on a queue item was reported by one who does not hold it."]
    QsrvNotLocked: Erro { item, op }
        cause "The lease on the item had run out, so another took it."
        action "None; if it happens often, the host is too slow for its load.";
}
