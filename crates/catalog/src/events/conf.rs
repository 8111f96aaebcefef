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
    #[doc = "A change of the configuration is tried on some hosts before all have it."]
    ConfStaged: Note { version, hosts, seconds }
        cause "imconfcontrol -stage." action "None: it is spread or taken back by itself.";
    #[doc = "A change that was tried on some hosts holds on every host."]
    ConfPromoted: Note { version, stage, why }
        cause "The hosts stayed well while it was tried, or an operator ended the trial." action "None.";
    #[doc = "A change that was tried on some hosts was taken back: every entry is what it was before."]
    ConfRolledBack: Urgt { version, stage, why }
        cause "A host lost its health while the change was tried, the configuration server ended, or an operator ended the trial."
        action "Find out from `why` what the change did; correct it and try it again.";
    #[doc = "The configuration server does not answer; this host works with the last good copy."]
    ConfServerDown: Urgt { error }
        cause "The host of the configuration server is down, or the network is." action "Start it; nothing else waits for it.";
    #[doc = "The configuration server answers again, and the copy of this host is as it says."]
    ConfServerUp: Note { version }
        cause "It was out of reach before." action "None.";
}
