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
}
