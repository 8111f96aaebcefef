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
        cause "what = site: the directory's database is not the one that the copy was made from, so it is not used."
        action "Look at primaryDBUrl and dirCacheDB. Where the database is right, remove the copy and start again: it is built anew.";
    #[doc = "The copy of the directory could not be written or read."]
    CacheGenericMsg: Erro { path, reason }
        cause "See the reason." action "Look at the disk. Look-ups that the copy cannot answer go to the directory's database.";
}
