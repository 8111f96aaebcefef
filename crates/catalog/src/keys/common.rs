//! Keys that several servers read.

use crate::key::Kind;
use crate::keys;
use std::time::Duration;

keys! {
    #[doc = "Message size in KB above which content is held in a file of the run directory rather than in memory."]
    CACHE_LIMIT_IN_KB: u64 = "cacheLimitInKB" in ["common"], Kind::Number(4..=65_536), ["64"], Live, since "3.2";
    #[doc = "Domain added to a login name or address that comes without one."]
    DEFAULT_DOMAIN: String = "defaultDomain" in ["common"], Kind::Text(255), ["localhost"], Live, since "3.2";
    #[doc = "Seconds without a command after which a session is closed."]
    IDLE_TIMEOUT: Duration = "idleTimeout" in ["common"], Kind::Number(1..=86_400), ["1800"], Live, since "5.0";
    #[doc = "Certificate chain and private key, PEM, in one file; empty: the site's own certificate."]
    SSL_CERT_CHAIN_PATH_AND_FILE: String = "sslCertChainPathAndFile" in ["common"], Kind::Text(4096), [""], Restart, since "4.1.1";
}
