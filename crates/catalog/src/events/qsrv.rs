//! Events of the mail queue.

use crate::events;

events! {
    #[doc = "Work on a queue item was reported by one who does not hold it."]
    QsrvNotLocked: Erro { item, op }
        cause "The lease on the item had run out, so another took it."
        action "None; if it happens often, the host is too slow for its load.";
    #[doc = "An item of the queue cannot be read; it was set aside and is not tried."]
    QsrvItemDamaged: Erro { item, reason }
        cause "Damage on the disk, or a fault of the program."
        action "Look for disk errors; remove the item with the queue commands once its loss is accepted.";
    #[doc = "The queue could not do what it was asked for."]
    QsrvOperationFailed: Erro { op, item, reason }
        cause "The disk is full or fails; the reason says more."
        action "Make room or replace the disk. Nothing that was accepted is lost.";
    #[doc = "A worker did not report in time; what it had is given to another."]
    QsrvLeaseExpired: Warn { item }
        cause "The worker died, or an attempt took longer than its lease." action "None.";
}
