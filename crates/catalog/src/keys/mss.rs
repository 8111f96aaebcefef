//! Keys of the message store.

use crate::key::Kind;
use crate::keys;

keys! {
    #[doc = "Number of shards of the message store on this host: each has one log, one index and one committer."]
    NUM_MSS_PORTS: u64 = "numMssPorts" in ["mss"], Kind::Number(1..=64), ["2"], Restart, since "3.2";
    #[doc = "Further folders (volumes) for the message files of the store, beside its own: absolute paths, made by imbucketscreate. A new file comes to the volume with the most room; immovmsgfiles moves files from one to another. A volume must stay in the list for as long as it has files."]
    MESSAGE_FILE_DIR: Vec<String> = "messageFileDir" in ["mss"], Kind::List(512), [], Restart, since "5.0";
    #[doc = "Whether a mailbox that does not exist is made at its first use. When off, mail for it is deferred."]
    CREATE_MBOXES: bool = "createMboxes" in ["mss"], Kind::Bool, ["true"], Live, since "4.0.1";
    #[doc = "Whether the making of a mailbox at its first use is logged as MsMailboxCreated."]
    LOG_MAILBOX_CREATION: bool = "logMailBoxCreation" in ["mss"], Kind::Bool, ["true"], Live, since "3.2";
    #[doc = "Whether each step in the life of a message in the store is logged as MsgTrace and its removal as MsMsgDeleted."]
    MESSAGE_TRACING: bool = "messageTracing" in ["mss"], Kind::Bool, ["false"], Live, since "4.0";
    #[doc = "How many minutes a mailbox can be restored as it was: what is deleted or changed is kept as long, and its space is given back after that. 0 keeps nothing."]
    RESTORE_WINDOW: u64 = "restoreWindowInMinutes" in ["mss"], Kind::Number(0..=43_200), ["60"], Live, since "5.0";
    #[doc = "Days in which the background check reads every message once; 0: it does not run. What it finds damaged, imbadmsglist lists."]
    SCRUB_PERIOD_IN_DAYS: u64 = "scrubPeriodInDays" in ["mss"], Kind::Number(0..=3650), ["30"], Live, since "5.0";
    #[doc = "Whether a delivery that is repeated with the id of its first attempt is known and not stored again. When off, a repeat after a lost answer leaves two copies; nothing else changes. A message is never taken for another because of its Message-ID or content."]
    DUP_MESSAGE_DETECT: bool = "dupMessageDetect" in ["mss"], Kind::Bool, ["true"], Live, since "4.0";
    #[doc = "Messages of a folder that are not in the text index yet from which on they are taken into it; a search of text reads fewer than that one by one. The same is found either way. 0: there is no text index, and what there was is removed."]
    SEARCH_INDEX_FROM_MESSAGES: u64 = "searchIndexFromMessages" in ["mss"], Kind::Number(0..=1_000_000_000), ["0"], Live, since "5.0";
    #[doc = "Subject of the message that every new mailbox begins with; see welcomeText."]
    WELCOME_SUBJECT: String = "welcomeSubject" in ["mss"], Kind::Text(200), ["Welcome"], Live, since "4.1.2";
    #[doc = "Lines of the message that every new mailbox begins with. Without any, there is no such message."]
    WELCOME_TEXT: Vec<String> = "welcomeText" in ["mss"], Kind::List(2000), [], Live, since "4.1.2";
    #[doc = "Most folders of a mailbox, the Inbox included. A mailbox that has more keeps them."]
    MAX_FOLDERS: u64 = "maxFolders" in ["mss"], Kind::Number(1..=10_000), ["10000"], Live, since "4.1.2";
    #[doc = "Most levels of a folder's name."]
    MAX_FOLDER_DEPTH: u64 = "maxFolderDepth" in ["mss"], Kind::Number(1..=32), ["32"], Live, since "4.1.2";
    #[doc = "Largest autoreply that is stored beside a mailbox, in KB."]
    MAX_AUTO_REPLY_MSG_LEN: u64 = "maxAutoReplyMsgLenKb" in ["mss"], Kind::Number(1..=1024), ["32"], Live, since "4.0.3";
    #[doc = "Hours between two rounds over a mailbox whose class of service limits the age of its mail (expireTrashDays, expireJunkDays, expireMailDays); 0: mail is never removed by itself."]
    EXPIRE_INTERVAL: u64 = "expireIntervalHours" in ["mss"], Kind::Number(0..=8760), ["24"], Live, since "4.1.2";
}
