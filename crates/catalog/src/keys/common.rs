//! Keys that several servers read.

use crate::key::Kind;
use crate::keys;
use std::time::Duration;

/// Longest text of a path of the file system.
const PATH: usize = 4096;
/// Longest host, domain, network or table entry.
const ENTRY: usize = 512;

keys! {
    #[doc = "Message size in KB above which content is held in a file of the run directory rather than in memory."]
    CACHE_LIMIT_IN_KB: u64 = "cacheLimitInKB" in ["common"], Kind::Number(4..=65_536), ["64"], Live, since "3.2";
    #[doc = "Domain added to a login name or address that comes without one."]
    DEFAULT_DOMAIN: String = "defaultDomain" in ["common"], Kind::Text(255), ["localhost"], Live, since "3.2";
    #[doc = "Seconds without a command after which a session is closed."]
    IDLE_TIMEOUT: Duration = "idleTimeout" in ["common"], Kind::Number(1..=86_400), ["1800"], Live, since "5.0";
    #[doc = "Certificate chain and private key, PEM, in one file; empty: the site's own certificate."]
    SSL_CERT_CHAIN_PATH_AND_FILE: String = "sslCertChainPathAndFile" in ["common"], Kind::Text(PATH), [""], Restart, since "4.1.1";
    #[doc = "Addresses on which the server listens; no value: all addresses of the host."]
    LISTEN_ADDRESSES: Vec<String> = "listenAddresses" in ["common"], Kind::List(ENTRY), [], Restart, since "5.0";
    #[doc = "Realms that the accounts of the site are divided into, and the hosts that keep them: `realm:host` or `realm:host:port`, one entry for each host of a realm, the one to be asked first in front. See partitionUserData."]
    REALMS: Vec<String> = "realms" in ["common"], Kind::List(ENTRY), [], Restart, since "4.1.2";
    #[doc = "Directory for temporary files of the server, below the site folder unless absolute; empty: `tmp/` and the server's name."]
    RUN_DIR: String = "runDir" in ["common"], Kind::Text(PATH), [""], Restart, since "3.2";
    #[doc = "Networks (address or CIDR) whose clients may connect; no value: all. Others are refused at once."]
    ALLOWED_IPS: Vec<String> = "allowedIPs" in ["mta", "popserv", "imapserv"], Kind::List(ENTRY), [], Live, since "4.0.3";
    #[doc = "Most connections at the same time from one client network: `network:most`, for example `192.0.2.0/24:50`; the longest matching network counts. A bad entry is logged as NioConnectionLimitTableBadEntry and skipped."]
    CLIENT_CONNECTION_LIMIT_TABLE: Vec<String> = "clientConnectionLimitTable" in ["mta", "popserv", "imapserv"], Kind::List(ENTRY), [], Live, since "4.0";
    #[doc = "Text of the greeting after the host name, instead of the product's name and version."]
    BANNERS: String = "banners" in ["mta", "popserv", "imapserv"], Kind::Text(200), [""], Live, since "4.0";
    #[doc = "Domain added to a bare login name where loginDefaultDomainTable has no entry; empty: defaultDomain."]
    LOGIN_DEFAULT_DOMAIN: String = "loginDefaultDomain" in ["mta", "popserv", "imapserv"], Kind::Text(255), [""], Live, since "4.0.2";
    #[doc = "Domain added to a bare login name by the local address that the client reached: `address=domain`. A bad entry is logged as PopDomainTableEntryError and skipped."]
    LOGIN_DEFAULT_DOMAIN_TABLE: Vec<String> = "loginDefaultDomainTable" in ["mta", "popserv", "imapserv"], Kind::List(ENTRY), [], Live, since "4.0.2";
    #[doc = "Whether any address of an account serves as its login name."]
    LOGIN_ALIASES: bool = "loginAliases" in ["mta", "popserv", "imapserv"], Kind::Bool, ["true"], Live, since "4.1.2";
    #[doc = "Local addresses or networks (CIDR) through which accounts with access `trusted` may log in."]
    TRUSTED_INTERFACES: Vec<String> = "trustedInterfaces" in ["mta", "popserv", "imapserv"], Kind::List(ENTRY), [], Live, since "4.1.1";
    #[doc = "Where a password may cross a connection without TLS: `never`, `loopback` (both ends are this host), `always`."]
    PLAIN_TEXT_LOGIN: String = "plainTextLogin" in ["mta", "popserv", "imapserv"], Kind::Choice(&["never", "loopback", "always"]), ["loopback"], Live, since "5.0";
    #[doc = "Seconds by which the answer to a first wrong password is delayed; each further one on the connection doubles it."]
    BAD_PASSWORD_DELAY: Duration = "badPasswordDelay" in ["mta", "popserv", "imapserv"], Kind::Number(0..=60), ["1"], Live, since "4.0";
    #[doc = "Seconds beyond which badPasswordDelay no longer doubles."]
    MAX_BAD_PASSWORD_DELAY: Duration = "maxBadPasswordDelay" in ["mta", "popserv", "imapserv"], Kind::Number(0..=300), ["16"], Live, since "4.0";
    #[doc = "Most sessions of one account at the same time, counted by each server; 0: no limit."]
    MAX_SESSIONS_PER_USER: u64 = "maxSessionsPerUser" in ["imapserv"], Kind::Number(0..=1_000_000), ["100"], Live, since "4.0.1";
    #[doc = "Space of deleted mail is given back when enough has been deleted, and after this many minutes at the latest."]
    RECLAIM_PERIOD_IN_MINUTES: u64 = "reclaimPeriodInMinutes" in ["mss", "imqueueserv"], Kind::Number(1..=10_080), ["60"], Live, since "5.0";
    #[doc = "KB per second that giving back the space of deleted mail may move, on average; 0 is no limit. Holes in files cost a small part of what they give back, copying what lives costs all of it."]
    RECLAIM_RATE_IN_KB_PER_SEC: u64 = "reclaimRateInKBPerSec" in ["mss", "imqueueserv"], Kind::Number(0..=10_000_000), ["20480"], Live, since "5.0";
    #[doc = "Whether giving back the space of deleted mail rests, such as while a disk is busy with something else. immssgc does it all the same."]
    RECLAIM_PAUSED: bool = "reclaimPaused" in ["mss", "imqueueserv"], Kind::Bool, ["false"], Live, since "5.0";
    #[doc = "Address of the directory's database on a PostgreSQL server: `postgres://[user@]host[:port][,host...]/database`, or by a socket of this host `postgres://[user@]/database?host=/folder`. Empty: a file of the site (SQLite), which one host alone can use. No password stands here."]
    PRIMARY_DB_URL: String = "primaryDBUrl" in ["common"], Kind::Text(1024), [""], Restart, since "5.0";
    #[doc = "User of the directory's database, where primaryDBUrl names none."]
    PRIMARY_DB_USER: String = "primaryDBUser" in ["common"], Kind::Text(63), ["imail"], Restart, since "4.0";
    #[doc = "File with the password of primaryDBUser in its first line, readable for its owner alone; below the site folder unless absolute. Empty: none is sent."]
    PRIMARY_DB_PASSWORD_FILE: String = "primaryDBPasswordFile" in ["common"], Kind::Text(PATH), [""], Restart, since "5.0";
    #[doc = "File with the certificates (PEM) to which the certificate of the database's server must lead; below the site folder unless absolute. It is needed where primaryDBEncryption is `verified` and the address names a host."]
    PRIMARY_DB_CA_FILE: String = "primaryDBCAFile" in ["common"], Kind::Text(PATH), [""], Restart, since "5.0";
    #[doc = "Connections by TCP to the directory's database: `verified` is TLS with a certificate that is checked, `none` is for networks that nobody else listens to."]
    PRIMARY_DB_ENCRYPTION: String = "primaryDBEncryption" in ["common"], Kind::Choice(&["verified", "none"]), ["verified"], Restart, since "5.0";
    #[doc = "Seconds that one statement of the directory's database on a server may take; a connection that is silent for longer is given up."]
    DB_STATEMENT_TIMEOUT: Duration = "dbStatementTimeout" in ["common"], Kind::Number(1..=3_600), ["30"], Restart, since "5.0";
    #[doc = "Most seconds between attempts to reach a database again; the first attempts come much sooner, the pause grows with the time that it is away."]
    DB_RECONNECT_INTERVAL: Duration = "dbReconnectInterval" in ["common"], Kind::Number(1..=3_600), ["30"], Restart, since "4.0";
    #[doc = "Whether a request that finds its connection to the database dead, before anything was asked, is carried out on a new connection."]
    RETRY_ON_CONNECT_FAIL: bool = "retryOnConnectFail" in ["common"], Kind::Bool, ["true"], Restart, since "4.0";
    #[doc = "First of the ports on which the servers of a host are asked by the others of the site: each server has its own at a fixed distance, imconfserv 0, immgrserv 1, imdircacheserv 2, mss 3, imqueueserv 4, mta 5. They are opened only where the site has several hosts, or the servers of the host are processes of their own. 0: none."]
    RME_PORT: u64 = "rmePort" in ["common"], Kind::Number(0..=65_520), ["5200"], Restart, since "5.0";
    #[doc = "Where the other hosts of the site reach this one: an address or a name that the name service knows. Empty: its logical name."]
    RME_ADDRESS: String = "rmeAddress" in ["common"], Kind::Text(255), [""], Restart, since "5.0";
    #[doc = "Networks (address or CIDR) that may connect to the servers' own ports, in place of the addresses of the site's hosts and of this host itself. Others are refused and logged as NioConnNotAllowed. A certificate of the site is needed besides."]
    RME_ACCESS_LIST: Vec<String> = "rmeAccessList" in ["common"], Kind::List(ENTRY), [], Live, since "4.1.2";
    #[doc = "Hosts that new mailboxes are given to, in turn; no value: all hosts of the site that run mss. An account that exists stays where it is."]
    MESSAGE_STORE_HOSTS: Vec<String> = "messageStoreHosts" in ["common"], Kind::List(255), [], Live, since "3.2";
    #[doc = "Most requests that the server has under way to one store host at the same time, by host: `host:most`; a host without an entry has no such limit. A further request waits for maxMSSRetrieveConnectionTimeout, then the client is told that the server is busy. Watching a mailbox does not count."]
    MAX_MSS_RETRIEVE_CONNECTION_LIST: Vec<String> = "maxMSSRetrieveConnectionList" in ["popserv", "imapserv"], Kind::List(ENTRY), [], Restart, since "4.1.2";
    #[doc = "Seconds that a request waits where maxMSSRetrieveConnectionList lets no further one through."]
    MAX_MSS_RETRIEVE_CONNECTION_TIMEOUT: Duration = "maxMSSRetrieveConnectionTimeout" in ["popserv", "imapserv"], Kind::Number(0..=3_600), ["30"], Restart, since "4.1.2";
    #[doc = "How lines of the log look: `text`, or `json`, one object a line."]
    LOG_FORMAT: String = "logFormat" in ["common"], Kind::Choice(&["text", "json"]), ["text"], Live, since "5.0";
    #[doc = "Whether lines of the log go to the standard error too, such as for what collects it from a container."]
    TRACE_TO_STDERR: bool = "traceToStderr" in ["common"], Kind::Bool, ["false"], Live, since "4.0";
    #[doc = "Time of day (`HH:MM`, UTC) from which the hours of logRolloverHours are counted."]
    ROLLOVER_TIME_ZERO: String = "rolloverTimeZero" in ["common"], Kind::Text(5), ["00:00"], Live, since "4.1.1";
    #[doc = "Hours after which a file of the log is put aside under a name with the time, such as `mta.log.20261123T000000Z`, with the first line that comes then; 0: not for its age."]
    LOG_ROLLOVER_HOURS: u64 = "logRolloverHours" in ["common"], Kind::Number(0..=8_760), ["24"], Live, since "5.0";
    #[doc = "Size in KB before which a file of the log is put aside; 0: not for its size."]
    MAX_LOG_SIZE_IN_KB: u64 = "maxLogSizeInKB" in ["common"], Kind::Number(0..=1_073_741_824), ["1048576"], Live, since "5.0";
    #[doc = "How many files that were put aside are kept, of each file of the log; older ones are removed when the next is put aside. 0: all."]
    LOG_FILES_KEPT: u64 = "logFilesKept" in ["common"], Kind::Number(0..=100_000), ["30"], Live, since "5.0";
    #[doc = "Address of a receiver of OpenTelemetry log records (OTLP over HTTP in JSON), such as `http://127.0.0.1:4318/v1/logs`; empty: none. Events that it does not take in time are dropped there, never in the log, and counted. There is no TLS: name a collector of this host or of a network that nobody else listens to."]
    OTLP_ENDPOINT: String = "otlpEndpoint" in ["common"], Kind::Text(1024), [""], Live, since "5.0";
    #[doc = "Port on which the process shows its metrics, by HTTP under `/metrics`, as text for Prometheus; 0: none."]
    METRICS_PORT: u64 = "metricsPort" in ["common"], Kind::Number(0..=65_535), ["0"], Restart, since "5.0";
    #[doc = "Address on which metricsPort is opened. Whoever reaches it reads how much mail there is; it is not protected."]
    METRICS_ADDRESS: String = "metricsAddress" in ["common"], Kind::Text(64), ["127.0.0.1"], Restart, since "5.0";
    #[doc = "Seconds between two reports of how long operations took, in the `.stat` file of each server; 0: none."]
    REPORT_PARAMS_INTERVAL: Duration = "reportParamsInterval" in ["common"], Kind::Number(0..=86_400), ["300"], Live, since "4.0";
    #[doc = "Milliseconds; the reports say how many operations took longer than each. At most six, from 1 to 3600000."]
    PERF_STAT_THRESHOLDS: Vec<String> = "perfStatThresholds" in ["common"], Kind::List(16), ["100", "1000", "10000"], Live, since "4.0";
}
