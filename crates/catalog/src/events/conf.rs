//! Events of the configuration.

use crate::events;

events! {
    #[doc = "An entry of the configuration has no effect."]
    ConfParmError: Erro { key, value, reason }
        cause "An unknown or obsolete key, or a value outside its limits."
        action "Correct the entry; until then the default, or for an obsolete key its successor, holds.";
    #[doc = "The logical host name does not occur in the configuration."]
    ConfNotAConfiguredHost: Erro { host }
        cause "config/hostname and the host parts of config.db differ."
        action "Correct config/hostname, or add the host; entries of `*` hold until then.";
    #[doc = "A changed configuration is in force."]
    ConfChanged: Note { keys, restart }
        cause "An operator changed it." action "Restart the servers named in `restart`.";
}
