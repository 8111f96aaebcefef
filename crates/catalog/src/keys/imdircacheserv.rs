//! Keys of the directory.

use crate::key::Kind;
use crate::keys;
use std::time::Duration;

keys! {
    #[doc = "Hours after which entries of the directory's change log are removed."]
    LOG_AGE_HOURS: u64 = "logAgeHours" in ["imdircacheserv"], Kind::Number(1..=8_760), ["24"], Live, since "3.2";
    #[doc = "Seconds after which a change that another process made to the directory is seen at the latest. Changes through this server are seen at once."]
    DIR_CACHE_UPDATE_PERIOD: Duration = "dirCacheUpdatePeriod" in ["imdircacheserv"], Kind::Number(1..=86_400), ["5"], Live, since "3.2";
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
