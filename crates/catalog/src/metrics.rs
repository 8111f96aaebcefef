//! What is counted: counters, gauges and histograms, one row each, and the operations whose times are taken.
//!
//! A row says name, labels with every value that they can have, and what is counted, so that the number of series is
//! known when the program is built: no name of a user, a domain or a peer is ever a label. Counting is
//! `env::Metrics`'s business; an event that counts says so in its own row (`events!`, `counts`).

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Times, sorted into [`BOUNDS`].
    Histogram,
}

/// A label with all its values. What is none of them is counted under the last.
#[derive(Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values; at least one.
    pub values: &'static [&'static str],
}

/// What the reference manual says of a metric.
#[derive(Debug)]
pub struct Row {
    /// The name; it ends in the unit, and a counter's in `_total`.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Its labels, in the order in which their values are given.
    pub labels: &'static [Label],
    /// What is counted, in one sentence.
    pub doc: &'static str,
}

impl Row {
    /// The number of its series: one for each combination of values of its labels.
    pub const fn series(&self) -> usize {
        let (mut series, mut at) = (1, 0);
        while at < self.labels.len() {
            series *= self.labels[at].values.len();
            at += 1;
        }
        series
    }

    /// Cells that one series needs: a histogram has its buckets and the sum.
    pub const fn width(&self) -> usize {
        if matches!(self.kind, Kind::Histogram) { BUCKETS + 1 } else { 1 }
    }

    /// The number of the series with these values, in the order of the labels.
    pub fn place(&self, values: &[&str]) -> usize {
        self.labels.iter().enumerate().fold(0, |place, (at, label)| {
            let value = values.get(at).copied().unwrap_or_default();
            let number = label.values.iter().position(|v| *v == value).unwrap_or(label.values.len() - 1);
            place * label.values.len() + number
        })
    }
}

/// A row that counts up. The number is its place in [`ROWS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter(pub usize);

/// A row that goes up and down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gauge(pub usize);

/// A row of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Histogram(pub usize);

/// Upper bounds of the buckets of times, in microseconds, inclusive; one bucket more takes what is longer.
pub const BOUNDS: [u64; 15] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000,
];
/// Buckets of a series of times.
pub const BUCKETS: usize = BOUNDS.len() + 1;

/// The bucket of a time in microseconds.
pub fn bucket_of(micros: u64) -> usize {
    BOUNDS.partition_point(|bound| *bound < micros)
}

/// Declares metrics: a constant for each, and `ROWS` with all of them.
macro_rules! metrics {
    ($(#[doc = $doc:literal] $item:ident: $kind:ident = $name:literal $(by { $($label:ident: $values:expr),+ })?;)+) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "places of the rows, named like them")]
        enum Place { $($item),+ }
        $(#[doc = $doc] pub const $item: $kind = $kind(Place::$item as usize);)+
        /// All rows, in order.
        pub const ROWS: &[Row] = &[$(Row {
            name: $name, kind: Kind::$kind, doc: $doc,
            labels: &[$($(Label { name: stringify!($label), values: $values }),+)?],
        }),+];
    };
}

/// Servers that speak with clients.
const SPEAKERS: &[&str] = &["mta", "popserv", "imapserv", "other"];
/// How a login ends; `refused` is by state, right or place of the account.
const LOGINS: &[&str] = &["ok", "badPassword", "unknownUser", "refused", "busy"];
/// Protocols of logins.
const PROTOCOLS: &[&str] = &["pop", "imap", "smtp", "web"];
/// What becomes of a recipient of a message.
const FATES: &[&str] = &["delivered", "relayed", "forwarded", "deferred", "bounced"];
/// Where lines of the log go that are not written.
const SINKS: &[&str] = &["file", "otlp"];

metrics! {
    #[doc = "Always 1; the label says which release this is."]
    BUILD_INFO: Gauge = "intermail_build_info" by { version: &[env!("CARGO_PKG_VERSION")] };
    #[doc = "When the process started, in seconds since 1970."]
    PROCESS_START: Gauge = "process_start_time_seconds";
    #[doc = "Events, by severity, written to the log or not."]
    LOG_EVENTS: Counter = "intermail_log_events_total" by { severity: &["Note", "Warn", "Erro", "Urgt", "Fatl"] };
    #[doc = "Events that are missing: in the files (RunLogLinesDropped), or at the receiver of otlpEndpoint."]
    LOG_DROPPED: Counter = "intermail_log_events_dropped_total" by { sink: SINKS };
    #[doc = "Connections that were let in."]
    CONNECTIONS: Counter = "intermail_connections_total" by { server: SPEAKERS };
    #[doc = "Connections that were refused before their greeting: by a list of addresses or a limit of connections."]
    CONNECTIONS_REFUSED: Counter = "intermail_connections_refused_total" by { server: SPEAKERS };
    #[doc = "Sessions that are open now."]
    SESSIONS: Gauge = "intermail_sessions" by { server: SPEAKERS };
    #[doc = "Octets read from clients, after TLS."]
    RECEIVED_BYTES: Counter = "intermail_received_bytes_total" by { server: SPEAKERS };
    #[doc = "Octets written to clients, before TLS."]
    SENT_BYTES: Counter = "intermail_sent_bytes_total" by { server: SPEAKERS };
    #[doc = "Logins, by protocol and by how they ended."]
    LOGINS_TOTAL: Counter = "intermail_logins_total" by { protocol: PROTOCOLS, outcome: LOGINS };
    #[doc = "Messages for which the MTA took responsibility, by SMTP, LMTP and submission."]
    MESSAGES_RECEIVED: Counter = "intermail_messages_received_total";
    #[doc = "Octets of these messages."]
    MESSAGE_BYTES: Counter = "intermail_message_bytes_total";
    #[doc = "Messages that were refused during their transfer."]
    MESSAGES_REFUSED: Counter = "intermail_messages_refused_total";
    #[doc = "What became of recipients of messages; one that is deferred is counted at each attempt."]
    RECIPIENTS: Counter = "intermail_recipients_total" by { fate: FATES };
    #[doc = "Messages in the queue."]
    QUEUE_ITEMS: Gauge = "intermail_queue_items";
    #[doc = "Messages of the queue that are due now and wait for a worker."]
    QUEUE_DUE: Gauge = "intermail_queue_due_items";
    #[doc = "Age of the oldest message in the queue."]
    QUEUE_OLDEST: Gauge = "intermail_queue_oldest_seconds";
    #[doc = "Commits of groups by the shards of the store and the queue."]
    SHARD_COMMITS: Counter = "intermail_shard_commits_total";
    #[doc = "Requests in these groups: how many share one sync."]
    SHARD_TASKS: Counter = "intermail_shard_tasks_total";
    #[doc = "Time that writing a group to the log of a shard and flushing it took."]
    SHARD_SYNC: Histogram = "intermail_shard_sync_seconds";
    #[doc = "Time that applying a group to the index of a shard took."]
    SHARD_APPLY: Histogram = "intermail_shard_apply_seconds";
}

/// Where the cells of each row begin, and at the end how many there are.
pub const OFFSETS: [usize; ROWS.len() + 1] = {
    let mut offsets = [0; ROWS.len() + 1];
    let mut at = 0;
    while at < ROWS.len() {
        offsets[at + 1] = offsets[at] + ROWS[at].series() * ROWS[at].width();
        at += 1;
    }
    offsets
};

/// An operation whose times are taken.
#[derive(Debug)]
pub struct OperationRow {
    /// The server that does it.
    pub server: &'static str,
    /// Its name.
    pub name: &'static str,
}

/// Declares operations: the enum, and a row for each variant.
macro_rules! operations {
    ($($server:literal { $($item:ident = $name:literal),+ $(,)? })+) => {
        /// An operation whose times are taken, each with the server that does it and its name there.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the names say it")]
        pub enum Operation { $($($item),+),+ }
        /// All rows, in the order of the enum.
        pub const OPERATIONS: &[OperationRow] =
            &[$($(OperationRow { server: $server, name: $name }),+),+];
    };
}

operations! {
    "mta" {
        SmtpHello = "HELO", SmtpMail = "MAIL", SmtpRcpt = "RCPT", SmtpData = "DATA", SmtpAuth = "AUTH",
        SmtpOther = "other", MtaAccept = "accept", MtaDeliver = "deliver", MtaAttempt = "attempt",
    }
    "popserv" {
        PopAuthentication = "login.authentication", PopLoginStore = "login.store", PopStat = "STAT",
        PopList = "LIST", PopUidl = "UIDL", PopRetr = "RETR", PopTop = "TOP", PopDele = "DELE",
        PopQuit = "QUIT", PopOther = "other",
    }
    "imapserv" {
        ImapAuthentication = "login.authentication", ImapLoginStore = "login.store", ImapSelect = "SELECT",
        ImapAppend = "APPEND", ImapFetch = "FETCH", ImapStore = "STORE", ImapSearch = "SEARCH",
        ImapCopy = "COPY", ImapMove = "MOVE", ImapExpunge = "EXPUNGE", ImapList = "LIST",
        ImapStatus = "STATUS", ImapFolders = "CREATE", ImapOther = "other",
    }
    "imdircacheserv" {
        DirectoryAuthenticate = "authenticate", DirectoryScramKeys = "scram_keys",
        DirectoryRoute = "address_route", DirectoryAccountFind = "account_find",
        DirectorySenderAllowed = "sender_allowed",
    }
    "mss" {
        StoreDeliver = "message_deliver", StoreAppend = "message_append", StoreRead = "message_read",
        StoreSearch = "message_search", StoreCopy = "message_copy", StoreMove = "message_move",
        StoreExpunge = "message_expunge", StoreFlags = "flags_change", StoreFolderOpen = "folder_open",
        StoreFolderList = "folder_list", StoreFolderStatus = "folder_status", StoreChanges = "folder_changes",
    }
    "imqueueserv" { QueueStore = "item_store", QueueClaim = "item_claim", QueueSettle = "item_settle" }
}

impl Operation {
    /// Its row.
    pub const fn row(self) -> &'static OperationRow {
        &OPERATIONS[self as usize]
    }
}

/// The name under which Prometheus sees the times of all [`OPERATIONS`], with the labels `server` and `operation`.
pub const OPERATION_SECONDS: &str = "intermail_operation_seconds";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unlike_and_follow_the_custom() {
        for (at, row) in ROWS.iter().enumerate() {
            assert!(ROWS[..at].iter().all(|other| other.name != row.name), "{}", row.name);
            assert!(row.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", row.name);
            assert_eq!(row.kind == Kind::Counter, row.name.ends_with("_total"), "{}", row.name);
            assert!(row.labels.iter().all(|label| !label.values.is_empty()), "{}", row.name);
        }
        for (at, row) in OPERATIONS.iter().enumerate() {
            let same = |other: &OperationRow| (other.server, other.name) == (row.server, row.name);
            assert!(!OPERATIONS[..at].iter().any(same), "{} {}", row.server, row.name);
            assert!(crate::servers::find(row.server).is_some(), "{}", row.server);
        }
        assert_eq!(
            (Operation::SmtpHello.row().name, Operation::QueueSettle.row().name),
            ("HELO", "item_settle")
        );
    }

    #[test]
    fn each_combination_of_labels_has_its_place() {
        let row = &ROWS[LOGINS_TOTAL.0];
        assert_eq!(row.series(), 20);
        assert_eq!(row.place(&["pop", "ok"]), 0);
        assert_eq!(row.place(&["imap", "badPassword"]), 6);
        assert_eq!(row.place(&["web", "busy"]), 19);
        assert_eq!(row.place(&["ldap", "else"]), 19, "what is not listed is counted under the last");
        let cells: usize = ROWS.iter().map(|row| row.series() * row.width()).sum();
        assert_eq!(OFFSETS[ROWS.len()], cells);
    }

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let buckets = [0, 100, 101, 10_000_000, 10_000_001].map(bucket_of);
        assert_eq!(buckets, [0, 0, 1, 14, 15]);
    }
}
