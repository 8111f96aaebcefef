//! Events of the directory's copy on a host.

use crate::events;

events! {
    #[doc = "The copy of the directory could not be opened; it is built anew."]
    CacheOpenFail: Erro { path, reason }
        cause "There is none yet, a file was cut short or spoilt, or another release made it."
        action "None where it follows an installation or upgrade. Else look at the disk: until the copy is there, look-ups need the directory's database.";
    #[doc = "Building the copy of the directory has begun."]
    CacheUpdateStarted: Note { from, accounts }
        cause "imdirsync, or there was no usable copy." action "None.";
    #[doc = "The copy of the directory was built and is in force."]
    CacheUpdateCompleted: Note { entries, millis, position }
        cause "See CacheUpdateStarted." action "None.";
    #[doc = "The copy is older than the oldest entry of the directory's log of changes: it is built anew."]
    CacheUpdateOutOfRange: Urgt { position, oldest }
        cause "It was not updated for longer than logAgeHours." action "None: the old copy serves until the new one is there. Raise logAgeHours where it happens again.";
    #[doc = "The copy is further behind the directory than dirCacheUpdateThreshold."]
    CacheUpdateTimeTooLong: Warn { pending, seconds }
        cause "More changes are made than are brought in, or the directory's database or the disk is slow."
        action "Where it lasts, look at the database and at the disk of the copy.";
    #[doc = "The copy has another number of files than numUserDbFiles says."]
    CacheConfigDbFilesMismatch: Erro { found, configured }
        cause "The key was changed after the copy was built." action "Run imdirsync; until then the old number holds.";
    #[doc = "The copy of the directory was made under other circumstances than those that hold now."]
    CacheConfigInfoMismatch: Erro { what, found, configured }
        cause "what = site: the directory's database is not the one that the copy was made from, so it is not used. what = realms: the realms or what is divided were changed; the copy is built anew."
        action "For realms none. For site, look at primaryDBUrl and dirCacheDB; where the database is right, remove the copy and start again: it is built anew.";
    #[doc = "A realm of the directory as this host sees it. An asterisk marks the realms that it keeps itself."]
    CacheRealmConfig: Note { realm, hosts, division }
        cause "The keys realms, partitionUserData, partitionRouterData." action "None.";
    #[doc = "A host of another realm did not answer a question about one of its accounts."]
    CacheRealmDataFetchFailed: Erro { realm, host, key, reason }
        cause "See CacheRealmServerDown." action "None for a single one: the next host of the realm is asked.";
    #[doc = "A host of another realm does not answer. Accounts of that realm are unavailable here while none of its hosts answers; others do not notice."]
    CacheRealmServerDown: Urgt { realm, host, port }
        cause "Its directory cache server is stopped, or the way to it is broken." action "Start it.";
    #[doc = "A host of another realm answers again."]
    CacheRealmServerUp: Note { realm, host, seconds }
        cause "See CacheRealmServerDown." action "None.";
    #[doc = "The copy of the directory could not be written or read."]
    CacheGenericMsg: Erro { path, reason }
        cause "See the reason." action "Look at the disk. Look-ups that the copy cannot answer go to the directory's database.";
}
