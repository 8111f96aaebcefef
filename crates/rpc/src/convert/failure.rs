//! Errors over the wire: every variant by its name, with the kind for those who do not know the name.

use super::configuration;
use super::proto::{Failure, FailureKind};
use crate::pool::Unanswered;
use bytes::Bytes;
use prost::Message as _;
use roles::Kind;
use roles::backup::BackupError;
use roles::configuration::ConfigurationError;
use roles::directory::DirectoryError;
use roles::maintenance::MaintenanceError;
use roles::manager::ManagerError;
use roles::probe::ProbeError;
use roles::queue::QueueError;
use roles::store::StoreError;
use roles::submission::SubmitError;
use std::time::Duration;
use tonic::{Code, Status};

/// The error of a role, as far as the wire must know it.
pub(crate) trait Fault: Sized + Send {
    /// The variant's name and what it says.
    fn parts(&self) -> (&'static str, String);

    /// What it means.
    fn kind(&self) -> Kind;

    /// The variant of this name; `None`: there is none.
    fn named(name: &str, text: &str) -> Option<Self>;

    /// The variant that stands for a kind.
    fn of_kind(kind: Kind, text: &str) -> Self;

    /// The other side cannot be reached.
    fn unavailable() -> Self {
        Self::of_kind(Kind::Unavailable, "not available")
    }
}

/// Most bytes of what an error says: it travels in the end of a call, whose length is limited.
const MAX_TEXT: usize = 4000;

/// An error as a message. What is too long is cut.
pub(crate) fn failure_of<E: Fault>(error: &E) -> Failure {
    let (name, mut text) = error.parts();
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    let (kind, retry) = match error.kind() {
        Kind::Refused => (FailureKind::KindRefused, Duration::ZERO),
        Kind::Missing => (FailureKind::KindMissing, Duration::ZERO),
        Kind::Conflict => (FailureKind::KindConflict, Duration::ZERO),
        Kind::OverLimit => (FailureKind::KindOverLimit, Duration::ZERO),
        Kind::Busy(retry) => (FailureKind::KindBusy, retry),
        Kind::Unavailable => (FailureKind::KindUnavailable, Duration::ZERO),
        Kind::Broken => (FailureKind::KindBroken, Duration::ZERO),
    };
    let retry_ms = u64::try_from(retry.as_millis()).unwrap_or(u64::MAX);
    Failure { name: name.to_owned(), kind: kind.into(), text, retry_ms }
}

impl Failure {
    /// The error that was meant.
    pub(crate) fn error<E: Fault>(&self) -> E {
        if let Some(known) = E::named(&self.name, &self.text) {
            return known;
        }
        let kind = match self.kind() {
            FailureKind::KindRefused => Kind::Refused,
            FailureKind::KindMissing => Kind::Missing,
            FailureKind::KindConflict => Kind::Conflict,
            FailureKind::KindOverLimit => Kind::OverLimit,
            FailureKind::KindBusy => Kind::Busy(Duration::from_millis(self.retry_ms)),
            FailureKind::KindUnavailable => Kind::Unavailable,
            FailureKind::KindBroken => Kind::Broken,
        };
        E::of_kind(kind, if self.text.is_empty() { &self.name } else { &self.text })
    }
}

/// An error as the end of a call. The gRPC code is for tools that know nothing of us.
pub(crate) fn status_of<E: Fault>(error: &E) -> Status {
    let code = match error.kind() {
        Kind::Refused => Code::FailedPrecondition,
        Kind::Missing => Code::NotFound,
        Kind::Conflict => Code::AlreadyExists,
        Kind::OverLimit | Kind::Busy(_) => Code::ResourceExhausted,
        Kind::Unavailable => Code::Unavailable,
        Kind::Broken => Code::Internal,
    };
    let details: Bytes = failure_of(error).encode_to_vec().into();
    Status::with_details(code, error.parts().0, details)
}

/// The error behind the end of a call. Without details it was not the role that spoke: a server that does not know the
/// method or refuses its arguments is of another version, everything else is a peer out of reach.
pub(crate) fn of_status<E: Fault>(status: &Status) -> E {
    match status.code() {
        _ if !status.details().is_empty() => match Failure::decode(status.details()) {
            Ok(failure) => failure.error(),
            Err(_) => E::unavailable(),
        },
        Code::Unimplemented => E::of_kind(Kind::Refused, "the server does not know this request"),
        Code::InvalidArgument => E::of_kind(Kind::Refused, status.message()),
        _ => E::unavailable(),
    }
}

/// Whether a call ended because somebody, the role or the wire, is out of reach.
pub(crate) fn means_unavailable(status: &Status) -> bool {
    match status.code() {
        Code::Unimplemented | Code::InvalidArgument => false,
        _ if status.details().is_empty() => true,
        _ => match Failure::decode(status.details()) {
            Ok(failure) => failure.kind() == FailureKind::KindUnavailable,
            Err(_) => true,
        },
    }
}

macro_rules! fault {
    ($error:ident { plain: [$($plain:ident),*], text: [$($text:ident),*] }
     of_kind($kind:ident, $words:ident) $of_kind:block) => {
        impl Fault for $error {
            fn parts(&self) -> (&'static str, String) {
                match self {
                    $(Self::$plain => (stringify!($plain), String::new()),)*
                    $(Self::$text(text) => (stringify!($text), text.to_string()),)*
                }
            }

            fn kind(&self) -> Kind {
                Self::kind(self)
            }

            fn named(name: &str, text: &str) -> Option<Self> {
                match name {
                    $(stringify!($plain) => Some(Self::$plain),)*
                    $(stringify!($text) => text.parse().ok().map(Self::$text),)*
                    _ => None,
                }
            }

            fn of_kind($kind: Kind, $words: &str) -> Self $of_kind
        }

        impl From<Unanswered> for $error {
            fn from(unanswered: Unanswered) -> Self {
                unanswered.error()
            }
        }
    };
}

fault! {
    StoreError {
        plain: [
            NoMailbox, NoFolder, NoMessage, FolderExists, OverQuota, Locked, Busy, NoSpace, Unavailable, Elsewhere
        ],
        text: [Refused, Limit, Broken]
    }
    of_kind(kind, words) {
        match kind {
            Kind::Refused => Self::Refused(words.to_owned()),
            Kind::Missing => Self::NoMessage,
            Kind::Conflict => Self::Locked,
            Kind::OverLimit => Self::Limit(words.to_owned()),
            Kind::Busy(_) => Self::Busy,
            Kind::Unavailable => Self::Unavailable,
            Kind::Broken => Self::Broken(words.to_owned()),
        }
    }
}

fault! {
    DirectoryError {
        plain: [BadCredentials, Maintenance, NotActive, Busy, Unavailable],
        text: [NotAllowed, Missing, Conflict, Invalid, Broken]
    }
    of_kind(kind, words) {
        match kind {
            Kind::Refused | Kind::OverLimit => Self::Invalid(words.to_owned()),
            Kind::Missing => Self::Missing(words.to_owned()),
            Kind::Conflict => Self::Conflict(words.to_owned()),
            Kind::Busy(_) => Self::Busy,
            Kind::Unavailable => Self::Unavailable,
            Kind::Broken => Self::Broken(words.to_owned()),
        }
    }
}

fault! {
    QueueError {
        plain: [NoItem, NotClaimed, Busy, NoSpace, Unavailable],
        text: [Broken]
    }
    of_kind(kind, words) {
        match kind {
            Kind::Missing => Self::NoItem,
            Kind::Conflict => Self::NotClaimed,
            Kind::OverLimit | Kind::Busy(_) => Self::Busy,
            Kind::Unavailable => Self::Unavailable,
            Kind::Refused | Kind::Broken => Self::Broken(words.to_owned()),
        }
    }
}

fault! {
    SubmitError {
        plain: [],
        text: [NoUser, Refused, TryLater]
    }
    of_kind(kind, words) {
        match kind {
            Kind::Refused | Kind::Missing | Kind::OverLimit => Self::Refused(words.to_owned()),
            _ => Self::TryLater(words.to_owned()),
        }
    }
}

fault! {
    ManagerError {
        plain: [TimedOut],
        text: [NoServer, Failed, BadConfiguration]
    }
    of_kind(kind, words) {
        match kind {
            Kind::Missing => Self::NoServer(words.to_owned()),
            Kind::Refused | Kind::OverLimit => Self::BadConfiguration(words.to_owned()),
            Kind::Conflict | Kind::Busy(_) | Kind::Broken => Self::Failed(words.to_owned()),
            Kind::Unavailable => Self::Failed("the manager of that host is not available".to_owned()),
        }
    }
}

fault! {
    MaintenanceError {
        plain: [NoTask, Busy, Unavailable],
        text: [Refused, Broken]
    }
    of_kind(kind, words) {
        match kind {
            Kind::Missing => Self::NoTask,
            Kind::Refused | Kind::Conflict | Kind::OverLimit => Self::Refused(words.to_owned()),
            Kind::Busy(_) => Self::Busy,
            Kind::Unavailable => Self::Unavailable,
            Kind::Broken => Self::Broken(words.to_owned()),
        }
    }
}

fault! {
    BackupError {
        plain: [Busy, Ended],
        text: [Refused, Failed]
    }
    of_kind(kind, words) {
        match kind {
            Kind::Busy(_) => Self::Busy,
            Kind::Refused | Kind::Missing | Kind::OverLimit => Self::Refused(words.to_owned()),
            Kind::Conflict | Kind::Broken => Self::Failed(words.to_owned()),
            Kind::Unavailable => Self::Failed("that host is not available".to_owned()),
        }
    }
}

fault! {
    ProbeError {
        plain: [],
        text: [Unavailable]
    }
    of_kind(_kind, words) { Self::Unavailable(words.to_owned()) }
}

impl Fault for ConfigurationError {
    fn parts(&self) -> (&'static str, String) {
        configuration::error_parts(self)
    }

    fn kind(&self) -> Kind {
        Self::kind(self)
    }

    fn named(name: &str, text: &str) -> Option<Self> {
        configuration::error(name, text)
    }

    fn of_kind(kind: Kind, words: &str) -> Self {
        let words = words.to_owned();
        match kind {
            Kind::Refused | Kind::Missing | Kind::OverLimit => Self::BadLine(words),
            Kind::Conflict | Kind::Busy(_) => Self::Busy(words),
            Kind::Unavailable | Kind::Broken => Self::Unavailable(words),
        }
    }
}

impl From<Unanswered> for ConfigurationError {
    fn from(unanswered: Unanswered) -> Self {
        unanswered.error()
    }
}
