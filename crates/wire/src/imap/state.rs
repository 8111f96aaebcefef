//! Which command is legal now. RFC 9051 3, RFC 3501 3.
//!
//! A function of the state and the command, and nothing else: whether a login is allowed without TLS, or a
//! mailbox may be changed, hangs on more than the protocol and is decided by the `imap` server.

use super::command::Command;

/// The state of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody has logged in.
    NotAuthenticated,
    /// Logged in, no mailbox selected.
    Authenticated,
    /// A mailbox is selected.
    Selected,
    /// LOGOUT was given, or BYE was said.
    Logout,
}

/// Why a command is not legal now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// It needs a login.
    #[error("log in first")]
    LoginFirst,
    /// It is for before the login.
    #[error("you are logged in already")]
    LoggedIn,
    /// It needs a selected mailbox.
    #[error("select a mailbox first")]
    SelectFirst,
    /// Nothing is legal any more.
    #[error("this connection has ended")]
    Ended,
}

impl State {
    /// Whether the command is legal in this state.
    ///
    /// # Errors
    /// What would have to come first.
    pub fn permits(self, command: &Command) -> Result<(), NotNow> {
        match (self, Phase::of(command)) {
            (Self::Logout, _) => Err(NotNow::Ended),
            (_, Phase::Any)
            | (Self::NotAuthenticated, Phase::Before)
            | (Self::Authenticated | Self::Selected, Phase::After)
            | (Self::Selected, Phase::Selected) => Ok(()),
            (Self::NotAuthenticated, _) => Err(NotNow::LoginFirst),
            (_, Phase::Before) => Err(NotNow::LoggedIn),
            (Self::Authenticated, Phase::Selected) => Err(NotNow::SelectFirst),
        }
    }

    /// Whether an APPEND is legal in this state. It has no [`Command`].
    ///
    /// # Errors
    /// What would have to come first.
    pub fn permits_append(self) -> Result<(), NotNow> {
        self.permits(&Command::Namespace)
    }
}

/// When a command is legal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Any,
    Before,
    After,
    Selected,
}

impl Phase {
    fn of(command: &Command) -> Self {
        use Command as C;
        match command {
            C::Capability | C::Noop | C::Logout | C::Id(_) => Self::Any,
            C::StartTls | C::Authenticate(_) | C::Login(_) => Self::Before,
            C::Enable(_)
            | C::Select(_)
            | C::Create(..)
            | C::Delete(_)
            | C::Rename(..)
            | C::Subscribe(_)
            | C::Unsubscribe(_)
            | C::List(_)
            | C::Lsub(..)
            | C::Namespace
            | C::Status(..)
            | C::Idle
            | C::GetQuota(_)
            | C::GetQuotaRoot(_) => Self::After,
            C::Check
            | C::Close
            | C::Unselect
            | C::Expunge
            | C::UidExpunge(_)
            | C::Search(_)
            | C::Fetch(_)
            | C::Store(_)
            | C::Copy(_)
            | C::Move(_) => Self::Selected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_its_phase() {
        use State::{Authenticated, Logout, NotAuthenticated, Selected};
        let cases = [
            (NotAuthenticated, Command::Noop, Ok(())),
            (NotAuthenticated, Command::StartTls, Ok(())),
            (NotAuthenticated, Command::Namespace, Err(NotNow::LoginFirst)),
            (NotAuthenticated, Command::Expunge, Err(NotNow::LoginFirst)),
            (Authenticated, Command::StartTls, Err(NotNow::LoggedIn)),
            (Authenticated, Command::Idle, Ok(())),
            (Authenticated, Command::Expunge, Err(NotNow::SelectFirst)),
            (Selected, Command::Expunge, Ok(())),
            (Selected, Command::Namespace, Ok(())),
            (Selected, Command::StartTls, Err(NotNow::LoggedIn)),
            (Logout, Command::Noop, Err(NotNow::Ended)),
        ];
        for (state, command, expected) in cases {
            assert_eq!(state.permits(&command), expected, "{state:?} {command:?}");
        }
        assert_eq!(NotAuthenticated.permits_append(), Err(NotNow::LoginFirst));
    }
}
