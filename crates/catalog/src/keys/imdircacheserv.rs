//! Keys of the directory.

use crate::key::Kind;
use crate::keys;
use std::time::Duration;

keys! {
    #[doc = "Hours after which entries of the directory's change log are removed."]
    LOG_AGE_HOURS: u64 = "logAgeHours" in ["imdircacheserv"], Kind::Number(1..=8_760), ["24"], Live, since "3.2";
    #[doc = "Seconds after which a change that another process made to the directory is seen at the latest. Changes through this server are seen at once."]
    DIR_CACHE_UPDATE_PERIOD: Duration = "dirCacheUpdatePeriod" in ["imdircacheserv"], Kind::Number(1..=86_400), ["1"], Live, since "3.2";
    #[doc = "Whether this host keeps a copy of the directory in files that all its server processes look up without a hop: `on`, `off`, or `auto`: where the directory's database is not a file of this host."]
    DIR_CACHE: String = "dirCache" in ["imdircacheserv"], Kind::Choice(&["auto", "on", "off"]), ["auto"], Restart, since "5.0";
    #[doc = "Folder of the copy; relative to the site's folder."]
    DIR_CACHE_DB: String = "dirCacheDB" in ["imdircacheserv"], Kind::Text(4096), ["dirCacheDB"], Restart, since "5.0";
    #[doc = "Whether passwords are kept in the copies of the hosts of a realm alone (see realms): logins of accounts of other realms are asked of their hosts. Where mail goes is known on every host."]
    PARTITION_USER_DATA: bool = "partitionUserData" in ["imdircacheserv"], Kind::Bool, ["false"], Restart, since "4.1.2";
    #[doc = "Whether with partitionUserData also where mail goes is known to the hosts of a realm alone: a host keeps nothing of accounts of other realms. Without partitionUserData it has no effect."]
    PARTITION_ROUTER_DATA: bool = "partitionRouterData" in ["imdircacheserv"], Kind::Bool, ["false"], Restart, since "4.1.2";
    #[doc = "Number of files that the accounts of the copy are spread over. A change takes effect when the copy is built anew (`imdirsync`); until then the old number holds (`CacheConfigDbFilesMismatch`)."]
    NUM_USER_DB_FILES: u64 = "numUserDbFiles" in ["imdircacheserv"], Kind::Number(1..=1_024), ["1"], Live, since "4.0.1";
    #[doc = "Most entries of the change log that one round brings into the copy."]
    MAX_LOG_UPDATES: u64 = "maxLogUpdates" in ["imdircacheserv"], Kind::Number(1..=1_000_000), ["5000"], Live, since "4.0.3";
    #[doc = "Entries of the change log that the copy may be behind before that is reported (`CacheUpdateTimeTooLong`)."]
    DIR_CACHE_UPDATE_THRESHOLD: u64 = "dirCacheUpdateThreshold" in ["imdircacheserv"], Kind::Number(1..=100_000_000), ["10000"], Live, since "4.1.2";
    #[doc = "Whether every look-up goes to the directory's database, and to the copy only while that is out of reach."]
    CACHE_ALWAYS_READ_THRU: bool = "cacheAlwaysReadThru" in ["imdircacheserv"], Kind::Bool, ["false"], Live, since "4.1.2";
    #[doc = "Whether what the copy has not is taken as not being there, without asking the directory's database."]
    CACHE_DISABLE_READ_THRUS: bool = "cacheDisableReadThrus" in ["imdircacheserv"], Kind::Bool, ["false"], Live, since "4.0.3";
    #[doc = "Whether changes to the directory through this server are refused."]
    CACHE_DISABLE_WRITE_THRUS: bool = "cacheDisableWriteThrus" in ["imdircacheserv"], Kind::Bool, ["false"], Live, since "4.0.3";
    #[doc = "Whether an address that the copy has not is taken as nobody's for mail, without asking the directory's database."]
    CACHE_AUTHORITATIVE_FOR_MTA: bool = "cacheAuthoritativeForMTA" in ["imdircacheserv"], Kind::Bool, ["false"], Live, since "4.0.3";
    #[doc = "Seconds for which a password that was right is known to be right without hashing it again; 0: never. A change of the account ends it at once."]
    AUTH_CACHE_SECONDS: Duration = "authCacheSeconds" in ["imdircacheserv"], Kind::Number(0..=86_400), ["600"], Live, since "5.0";
    #[doc = "Whether a password that is stored in an old form is stored in today's form after the next good login."]
    REHASH_PASSWORDS: bool = "rehashPasswords" in ["imdircacheserv"], Kind::Bool, ["true"], Live, since "5.0";
    #[doc = "Whether creating an account in a domain that is not there creates the domain as a local one."]
    CREATE_MISSING_DOMAINS: bool = "createMissingDomains" in ["imdircacheserv"], Kind::Bool, ["true"], Live, since "5.0";
    #[doc = "Character that parts the detail from the local part of an address (`user+folder`, RFC 5233); empty: addresses have none."]
    SUBADDRESS_SEPARATOR: String = "subaddressSeparator" in ["imdircacheserv"], Kind::Text(1), ["+"], Live, since "5.0";
    #[doc = "Address that gets the mail for postmaster of every local domain that has no such address; empty: postmaster of defaultDomain."]
    POSTMASTER_ADDRESS: String = "postmasterAddress" in ["imdircacheserv"], Kind::Text(320), [""], Live, since "5.0";
}
