//! Events of limits that were met: quotas, space.

use crate::events;

events! {
    #[doc = "A message was not put into a mailbox because the mailbox holds as many messages as it may."]
    RunMssQuotaMaxMsgs: Note { mailbox, count, limit }
        cause "totalMsgQuota." action "None, or raise the quota of the account or class.";
    #[doc = "A message was not put into a mailbox because the mailbox holds as many bytes as it may."]
    RunMssQuotaMaxBytes: Note { mailbox, used, limit, bytes }
        cause "totalBytes." action "None, or raise the quota of the account or class.";
    #[doc = "A mailbox has come to hold the percentage of its quota from which on its user is warned. uid is the warning's in the Inbox, 0 where it did not fit any more."]
    RunMssQuotaThreshold: Note { mailbox, percent, messages, bytes, uid }
        cause "quotaThreshold." action "None.";
    #[doc = "Lines of the log were not written, because its disk was nearly full or did not take them in time."]
    RunLogLinesDropped: Urgt { lines }
        cause "The disk of the log is full or slow." action "Make space; events before this line are missing.";
    #[doc = "How long one operation took since the last such line; `over` says how many took longer than each of perfStatThresholds, in milliseconds. It stands in the `.stat` file of the server, and only where the operation was done."]
    RunOperationStat: Note { operation, count, mean_ms, max_ms, over }
        cause "Normal operation." action "None.";
    #[doc = "Events could not be sent to the receiver of OpenTelemetry; said once until it takes them again."]
    RunLogExportFailed: Warn { endpoint, reason }
        cause "It is down or out of reach, or otlpEndpoint is wrong." action "See the reason. The log files have all events; intermail_log_events_dropped_total counts what the receiver missed.";
    #[doc = "The receiver of OpenTelemetry takes events again."]
    RunLogExportRestored: Note { endpoint }
        cause "The reason of RunLogExportFailed is gone." action "None.";
    #[doc = "The summary of log, disks and servers was mailed; see imsysmonIntervalHours."]
    RunSummarySent: Note { alarms }
        cause "Its time had come." action "None here; the summary says what its alarms are.";
    #[doc = "The summary of log, disks and servers could not be made or mailed."]
    RunSummaryFailed: Erro { reason }
        cause "See the reason." action "Correct it; imsysmon -mail tries at once.";
}
