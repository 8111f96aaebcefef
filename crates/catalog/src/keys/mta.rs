//! Keys of the MTA.

use crate::key::Kind;
use crate::keys;
use std::time::Duration;

/// Longest host, domain, network or table entry.
const ENTRY: usize = 512;

keys! {
    #[doc = "Largest message accepted, in KB, by SMTP, LMTP and submission, and by IMAP's APPEND. A larger one is refused with 552 or [TOOBIG]."]
    MAX_MESSAGE_SIZE: u64 = "maxMessageSize" in ["mta", "imapserv"], Kind::Number(1..=2_097_151), ["51200"], Live, since "3.2";
    #[doc = "Most recipients in one transaction; more are answered with 452 and may be sent again."]
    MAX_RECIPIENTS: u64 = "maxRecipients" in ["mta"], Kind::Number(100..=100_000), ["1000"], Live, since "5.0";
    #[doc = "Port for mail from other servers; 0: none."]
    SMTP_PORT: u64 = "SMTPPort" in ["mta"], Kind::Number(0..=65_535), ["25"], Restart, since "3.2";
    #[doc = "Port for mail from users, who must log in (RFC 6409); 0: none."]
    SUBMISSION_PORT: u64 = "submissionPort" in ["mta"], Kind::Number(0..=65_535), ["587"], Restart, since "5.0";
    #[doc = "Port for mail from users with TLS from the first byte (RFC 8314); 0: none."]
    SSL_SMTP_PORT: u64 = "sslSMTPPort" in ["mta"], Kind::Number(0..=65_535), ["465"], Restart, since "5.0";
    #[doc = "Port for mail by LMTP (RFC 2033) from another MTA in front; 0: none. Its standard port is 24."]
    LMTP_PORT: u64 = "lmtpPort" in ["mta"], Kind::Number(0..=65_535), ["0"], Restart, since "5.0";
    #[doc = "Most SMTP and LMTP sessions at the same time; one more is refused with 421."]
    MAX_SESSIONS: u64 = "maxSessions" in ["mta"], Kind::Number(1..=1_000_000), ["10000"], Live, since "5.0";
    #[doc = "Who may send to foreign domains without logging in: `denyAll` nobody, `allowNamed` the networks of relaySourceList, `allowAll` everybody (an open relay)."]
    RELAY_SOURCE_POLICY: String = "relaySourcePolicy" in ["mta"], Kind::Choice(&["denyAll", "allowNamed", "allowAll"]), ["allowNamed"], Live, since "3.2";
    #[doc = "Networks (address or CIDR) that may relay under `relaySourcePolicy: [allowNamed]`."]
    RELAY_SOURCE_LIST: Vec<String> = "relaySourceList" in ["mta"], Kind::List(ENTRY), ["127.0.0.0/8", "::1/128"], Live, since "5.0";
    #[doc = "Networks (address or CIDR) whose connections are refused with 554 at the greeting."]
    BLOCK_THESE_IPS: Vec<String> = "blockTheseIPs" in ["mta"], Kind::List(ENTRY), [], Live, since "4.0";
    #[doc = "Whether unknown local recipients are refused at RCPT. When off they are accepted and bounced later."]
    VERIFY_RCPTS: bool = "verifyRCPTs" in ["mta"], Kind::Bool, ["true"], Live, since "4.0.1";
    #[doc = "What is asked of the sender at MAIL: `off` nothing, `syntax` a well-formed address, `domain` also a domain that has an MX or address record."]
    REJECT_SENDER_BAD_ADDRESS: String = "rejectSenderBadAddress" in ["mta"], Kind::Choice(&["off", "syntax", "domain"]), ["syntax"], Live, since "4.1.2";
    #[doc = "Whether the submission ports ask for a login before MAIL."]
    REQUIRE_AUTHENTICATION: bool = "requireAuthentication" in ["mta"], Kind::Bool, ["true"], Live, since "4.0";
    #[doc = "Under which sender addresses a user who has logged in may send: `off` any, `localDomains` in domains of this site only the account's own addresses, `always` only its own addresses."]
    SUBMISSION_SENDER_POLICY: String = "submissionSenderPolicy" in ["mta"], Kind::Choice(&["off", "localDomains", "always"]), ["localDomains"], Live, since "5.0";
    #[doc = "Whether users may log in on the relay port too, once TLS has started there."]
    RELAY_PORT_LOGIN: bool = "relayPortLogin" in ["mta"], Kind::Bool, ["false"], Live, since "5.0";
    #[doc = "Commands that may be refused in one session before it is ended with 421; from half as many on, replies are delayed by badCommandDelay."]
    MAX_BAD_COMMANDS: u64 = "maxBadCommands" in ["mta"], Kind::Number(1..=100_000), ["50"], Live, since "5.0";
    #[doc = "Seconds by which the replies of a session with many refused commands are delayed."]
    BAD_COMMAND_DELAY: Duration = "badCommandDelay" in ["mta"], Kind::Number(0..=60), ["1"], Live, since "5.0";
    #[doc = "Longest command line taken from a client and longest reply line taken from a remote server, in bytes."]
    SERVER_LINE_LENGTH_LIMIT: u64 = "serverLineLengthLimit" in ["mta"], Kind::Number(1_000..=65_536), ["8192"], Live, since "4.0";
    #[doc = "Other names of this host: an MX that names one of them is this host, so mail does not loop."]
    HOSTNAME_ALIAS_LIST: Vec<String> = "hostnameAliasList" in ["mta"], Kind::List(ENTRY), [], Live, since "4.1";
    #[doc = "Where mail for a domain goes instead of to its MX: `domain:host#port`, `*` for every domain that has no entry of its own. The port is 25 where none is given."]
    MAIL_ROUTING_TABLE: Vec<String> = "mailRoutingTable" in ["mta"], Kind::List(ENTRY), [], Live, since "4.0";
    #[doc = "Hours in the queue after which a message is returned to its sender."]
    MAX_QUEUE_TIME_IN_HOURS: u64 = "maxQueueTimeInHours" in ["mta"], Kind::Number(1..=8_760), ["120"], Live, since "4.1";
    #[doc = "Minutes to wait after the first, second, ... failed attempt to deliver a message; the last one holds for all that follow. At most 32."]
    RETRY_INTERVALS_IN_MINUTES: Vec<String> = "retryIntervalsInMinutes" in ["mta"], Kind::List(8), ["1", "5", "15", "30", "60"], Live, since "5.0";
    #[doc = "Hours after which a sender who asked for it (NOTIFY=DELAY) is told, once, that a message is late; 0: never."]
    DELAY_WARNING_IN_HOURS: u64 = "delayWarningInHours" in ["mta"], Kind::Number(0..=8_760), ["4"], Live, since "5.0";
    #[doc = "Seconds after the start of the queue before mail that was in it is tried."]
    OUTBOUND_DEFER_PROCESS_INITIAL_WAIT: Duration = "outboundDeferProcessInitialWait" in ["mta"], Kind::Number(0..=3_600), ["10"], Restart, since "4.0";
    #[doc = "Address that gets a copy of every bounce, with the header of the message only; empty: nobody but the sender is told."]
    BOUNCE_NOTIFY: String = "bounceNotify" in ["mta"], Kind::Text(320), [""], Live, since "4.0";
    #[doc = "Seconds that an outgoing connection may take to open."]
    CONNECT_TIMEOUT: Duration = "connectTimeout" in ["mta"], Kind::Number(1..=3_600), ["60"], Live, since "5.0";
    #[doc = "Most outgoing deliveries at the same time."]
    MAX_OUTBOUND_SESSIONS: u64 = "maxOutboundSessions" in ["mta"], Kind::Number(1..=10_000), ["100"], Live, since "5.0";
    #[doc = "Hosts whose queue takes the mail that waits, in this order: the next one where one cannot take it. No value: the queue of this host, where it has one, else all of the site."]
    QUEUE_SERVER_STORE_HOSTS: Vec<String> = "queueServerStoreHosts" in ["mta"], Kind::List(255), [], Restart, since "4.1.2";
    #[doc = "Hosts from whose queue this MTA takes mail that is due, in turn. No value: the queue of this host, where it has one, else all of the site. Every queue needs an MTA that takes from it."]
    QUEUE_SERVER_RETRIEVE_HOSTS: Vec<String> = "queueServerRetrieveHosts" in ["mta"], Kind::List(255), [], Restart, since "4.1.2";
}
