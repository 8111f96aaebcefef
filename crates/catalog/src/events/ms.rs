//! Events of the message store and its shards.

use crate::events;

events! {
    #[doc = "A shard was opened after a crash; groups of commits that its index did not have were found in its log."]
    MsShardRecovered: Note { path, groups }
        cause "The process or the host ended without closing the store." action "None.";
    #[doc = "A write or a sync of a shard's log failed. The shard takes no more commits in this process; reads go on."]
    MsShardBroken: Urgt { path, error }
        cause "The disk or its controller fails."
        action "Look at the system's log, repair the disk, then restart the server: nothing acknowledged is lost.";
    #[doc = "The text index of a shard could not be fed. Searches look at every text meanwhile; it is tried again."]
    MsTextIndexFailed: Warn { shard, error }
        cause "The disk is full or fails, or the index is damaged: then it is made anew."
        action "Look for events of the disk.";
    #[doc = "The text index of a shard was lost, damaged or not the one that the shard knows, and is made anew. Searches look at every text until then."]
    MsTextIndexRenewed: Note { shard }
        cause "The store was put back from a backup, files were removed, or a disk fails." action "None, if it does not come again.";
    #[doc = "The index of a shard took more than a second to apply a group of commits."]
    MsIndexSlow: Warn { path, millis }
        cause "The disk is slow, or the index compacts." action "None, unless it goes on: then restart the server.";
    #[doc = "The index of a shard failed to apply a group of commits. It will be opened again and caught up from the log."]
    MsIndexFailed: Erro { path, error }
        cause "The disk is full or fails." action "Look for events of the disk.";
    #[doc = "The index of a shard was opened again and has all that the log has."]
    MsIndexReopened: Note { path }
        cause "It had failed before." action "None.";
    #[doc = "A segment without live messages could not be removed. It is tried again later."]
    MsSegmentNotRemoved: Warn { path, segment, error }
        cause "The disk fails, or rights of the folder were changed." action "Look at the folder.";
    #[doc = "Space of deleted mail in a shard was given back: bytes that came free, bytes that were copied for it."]
    MsReclaimed: Note { path, segments, freed, copied, damaged, millis }
        cause "Messages were deleted, or taken from the queue." action "None; where some are damaged, run immsgverify.";
    #[doc = "The file of a segment is not there, and with it the messages that live in it. All others can be read."]
    MsSegmentMissing: Urgt { path, segment, bytes }
        cause "The file was removed or lost by somebody or something else than the server."
        action "Bring the file back from a backup and restart the server; immsgverify lists the messages.";
    #[doc = "A message cannot be read back as it was written. The mailbox and all other messages are usable. Said once for each message."]
    MsMsgDamaged: Erro { mailbox, folder, uid, damage }
        cause "The disk or the memory of the host has changed bytes, a file was cut or lost, or there is a bug."
        action "Look at imbadmsglist; restore the message from a backup, or remove it with immsgdelete.";
    #[doc = "The background check has read all messages of a shard."]
    MsScrubbed: Note { path, messages, bytes, damaged, seconds }
        cause "It goes through everything once in scrubPeriodInDays." action "Where some are damaged, look at imbadmsglist.";
    #[doc = "The message store could not start."]
    MsInitFailure: Fatl { step, error }
        cause "A shard cannot be opened: another process owns it, or its files are damaged."
        action "See the error; run the store's check on the shard before starting again.";
    #[doc = "A shard that this process has, or was to open, is another host's: nothing more is written to it here. The epoch is the one by which it was held."]
    MsLoadedByOtherMSS: Warn { path, owner, epoch }
        cause "An operator has given the store to that host (immssshare), perhaps while this one was away."
        action "None, if that was meant. See immssshare for who has which store.";
    #[doc = "An operator has said what is to become of a store."]
    MsStoreOrdered: Note { store, order, to, trace }
        cause "immssshare." action "None.";
    #[doc = "A store that this host has cannot be opened now. It is tried again every few seconds; its mail waits in the queues."]
    MsStoreNotOpened: Erro { store, reason }
        cause "Its storage is not there, another process still has the files open, or the directory is away and the store has never been opened here."
        action "See the reason; immssshare shows who has which store.";
    #[doc = "A store was opened by its epoch."]
    MsStoreOpened: Note { store, folder, epoch }
        cause "At a start, or because it was given to this host." action "None.";
    #[doc = "A store was closed: no process of this host has it any more."]
    MsStoreClosed: Note { store, to }
        cause "It is another host's, to, or the server ends." action "None.";
    #[doc = "A mailbox was made at its first use."]
    MsMailboxCreated: Note { mailbox, by }
        cause "First mail or first login of an account, with createMboxes on." action "None.";
    #[doc = "A new mailbox got the message that it begins with."]
    MsWelcomeDelivered: Note { mailbox, uid }
        cause "welcomeText." action "None.";
    #[doc = "Old messages were removed from a folder of a mailbox."]
    MsFolderExpired: Note { mailbox, folder, before, messages, bytes, protected }
        cause "A class of service limits the age of mail, or an operator ran imoldmsgdel." action "None.";
    #[doc = "Old mail of a mailbox could not be removed. It is tried again at the next round."]
    MsExpiryFailed: Warn { mailbox, reason }
        cause "The store refused or did not answer." action "See the reason.";
    #[doc = "The daemon has looked at the mailboxes whose class of service limits the age of their mail; reason says why it could not."]
    MsExpiryRound: Note { mailboxes, reason }
        cause "expireIntervalHours." action "None, unless a reason is given.";
    #[doc = "A message was removed from a mailbox; logged with messageTracing only."]
    MsMsgDeleted: Note { mailbox, folder, uid, by }
        cause "A client expunged or moved it, its folder or mailbox was removed, or it was too old." action "None.";
    #[doc = "The removal of a folder was refused."]
    MsFolderNotRemovable: Note { mailbox, folder, reason }
        cause "It is the Inbox or has folders below it." action "None.";
    #[doc = "The folder that a filter named does not exist; the message was put into the Inbox."]
    MsDeliverFolderNotFound: Warn { mailbox, folder, id }
        cause "The user has removed or renamed the folder." action "None, or correct the filter.";
    #[doc = "Something that was stored cannot be read back as it was written. What it was needed for has failed."]
    MsDamaged: Erro { what }
        cause "The disk or the memory of the host has changed bytes, or there is a bug."
        action "Check the disk, then run the store's check.";
}
