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
    #[doc = "The configuration server does not answer; this host works with the last good copy."]
    ConfServerDown: Urgt { error }
        cause "The host of the configuration server is down, or the network is." action "Start it; nothing else waits for it.";
    #[doc = "The configuration server answers again, and the copy of this host is as it says."]
    ConfServerUp: Note { version }
        cause "It was out of reach before." action "None.";
}
