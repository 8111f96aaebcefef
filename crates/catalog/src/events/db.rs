//! Events of the databases.

use crate::events;

events! {
    #[doc = "A database takes no changes; reading goes on."]
    DbWritesBlocked: Urgt { database, reason }
        cause "The disk is full or a write to it failed."
        action "Make room. Writing resumes by itself; mail is deferred meanwhile, never dropped.";
    #[doc = "A database takes changes again."]
    DbWritesUnblocked: Note { database, seconds }
        cause "The reason of DbWritesBlocked is gone." action "None.";
    #[doc = "A database did not do what was asked."]
    DbFailed: Erro { database, reason }
        cause "It is out of reach, the disk is full or broken, or a bug." action "See the reason.";
    #[doc = "The directory's database is out of reach at the start: the copy on this host answers alone, up to the change that is named."]
    DbAwayAtStart: Warn { position, path }
        cause "It is stopped, or the way to it is broken." action "Start it: it is taken up by itself. Until then nothing can be provisioned here, and accounts that the copy has not are put off.";
    #[doc = "The database is out of reach; it is tried again after the time that is named, and then at growing intervals up to dbReconnectInterval."]
    DbTempDisconnect: Warn { database, error, retry_millis }
        cause "It was stopped or restarted, or the way to it is broken."
        action "See why, if it lasts. Servers go on with what they have in memory; other requests are put off.";
    #[doc = "A connection to a database was given up; the next request makes a new one."]
    DbRemovingConnection: Warn { connection, error }
        cause "The server has ended it, or something failed on it after which it cannot be trusted." action "None, if it is rare.";
    #[doc = "Something about a database that is good to know."]
    DbDatabaseNote: Note { text }
        cause "See the text." action "None.";
    #[doc = "The schema of a database is not yet as new as this program knows it: what needs it is not available."]
    DbFeatureUnavailWithoutSchemaPatch: Urgt { feature, needed }
        cause "The program was upgraded before its database." action "Run imdirprepatch, then imdirpatch.";
}
