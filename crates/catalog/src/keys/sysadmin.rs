//! Keys that say which servers run on a host. They stand under the server name `sysadmin`.

use crate::key::Kind;
use crate::keys;

keys! {
    #[doc = "Whether this host runs the configuration server. One host of a site does."]
    IMCONFSERV_RUN: bool = "imconfserv_run" in ["sysadmin"], Kind::Bool, ["on"], Restart, since "3.2";
    #[doc = "Whether this host runs the directory."]
    IMDIRCACHESERV_RUN: bool = "imdircacheserv_run" in ["sysadmin"], Kind::Bool, ["on"], Restart, since "3.2";
    #[doc = "Whether this host runs the message store."]
    MSS_RUN: bool = "mss_run" in ["sysadmin"], Kind::Bool, ["on"], Restart, since "3.2";
    #[doc = "Whether this host runs the mail queue."]
    IMQUEUESERV_RUN: bool = "imqueueserv_run" in ["sysadmin"], Kind::Bool, ["on"], Restart, since "4.0";
    #[doc = "Whether this host runs the MTA."]
    MTA_RUN: bool = "mta_run" in ["sysadmin"], Kind::Bool, ["on"], Restart, since "3.2";
    #[doc = "Whether imservctrl starts the servers of this host under a manager (immgrserv), each as a process of its own that is watched and begun again when it dies; off: all servers are one process, which runs alone."]
    IMMGRSERV_RUN: bool = "immgrserv_run" in ["sysadmin"], Kind::Bool, ["off"], Restart, since "3.2";
    #[doc = "Whether this host runs the POP server."]
    POPSERV_RUN: bool = "popserv_run" in ["sysadmin"], Kind::Bool, ["on"], Restart, since "3.2";
    #[doc = "Whether this host runs the IMAP server."]
    IMAPSERV_RUN: bool = "imapserv_run" in ["sysadmin"], Kind::Bool, ["on"], Restart, since "3.2";
    #[doc = "Hours between two summaries of log, disks and servers that the server mails by itself, at whole multiples of that time in UTC, each of the time since the last; see imsysmon. 0: none."]
    IMSYSMON_INTERVAL: u64 = "imsysmonIntervalHours" in ["sysadmin"], Kind::Number(0..=8_760), ["0"], Live, since "5.0";
}
