//! Which command is legal when. RFC 1939 3 to 6.
//!
//! A [`State`] is asked before a command is done and told what came of those that change it; a step gives
//! the next state. It knows nothing of mailboxes: who was let in is kept by the server.

use super::command::Command;
use crate::sasl::Exchange;

/// Where a session stands.
#[derive(Debug)]
pub enum State {
    /// Nobody is known yet; after USER with the name that a password is awaited for.
    Authorization(Option<String>),
    /// In a SASL exchange: the next line is a response, no command.
    Exchange(Exchange),
    /// Somebody is in, the mailbox is locked.
    Transaction,
}

/// Why a command may not be given now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// It needs a login.
    #[error("log in first")]
    LogInFirst,
    /// It is for those who are not logged in.
    #[error("you are logged in already")]
    LoggedIn,
    /// PASS without USER.
    #[error("the name comes first: USER")]
    UserFirst,
}

impl State {
    /// Before the first command.
    pub const START: Self = Self::Authorization(None);

    /// Whether the command may be given.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, command: &Command) -> Result<(), NotNow> {
        use Command as C;
        match (self, command) {
            (_, C::Capa | C::Quit) => Ok(()),
            (Self::Transaction, C::User(_) | C::Pass(_) | C::Auth(..) | C::AuthList | C::Stls) => {
                Err(NotNow::LoggedIn)
            }
            (Self::Transaction, _) => Ok(()),
            (Self::Authorization(None), C::Pass(_)) => Err(NotNow::UserFirst),
            (_, C::User(_) | C::Pass(_) | C::Auth(..) | C::AuthList | C::Stls) => Ok(()),
            (_, _) => Err(NotNow::LogInFirst),
        }
    }

    /// The name that was given with USER; the state forgets it, since a password is checked once.
    pub fn take_name(&mut self) -> Option<String> {
        match self {
            Self::Authorization(name) => name.take(),
            Self::Exchange(_) | Self::Transaction => None,
        }
    }

    /// The running exchange; it is over unless another one is put in its place.
    pub fn take_exchange(&mut self) -> Option<Exchange> {
        match std::mem::replace(self, Self::START) {
            Self::Exchange(exchange) => Some(exchange),
            other => {
                *self = other;
                None
            }
        }
    }

    /// Whether somebody is logged in.
    pub fn is_transaction(&self) -> bool {
        matches!(self, Self::Transaction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::Mechanism;

    fn check(state: &State, line: &str) -> Result<(), NotNow> {
        state.check(&Command::parse(line.as_bytes()).unwrap())
    }

    #[test]
    fn each_state_has_its_commands() {
        let named = State::Authorization(Some("joe".into()));
        for line in ["CAPA", "QUIT", "STLS", "AUTH PLAIN", "USER a"] {
            assert_eq!(check(&State::START, line), Ok(()), "{line}");
        }
        for line in ["STAT", "LIST", "RETR 1", "DELE 1", "NOOP", "RSET", "TOP 1 1", "UIDL"] {
            assert_eq!(check(&named, line), Err(NotNow::LogInFirst), "{line}");
            assert_eq!(check(&State::Transaction, line), Ok(()), "{line}");
        }
        assert_eq!(check(&State::START, "PASS x"), Err(NotNow::UserFirst));
        assert_eq!(check(&named, "PASS x"), Ok(()));
        for line in ["USER a", "PASS x", "AUTH", "AUTH LOGIN", "STLS"] {
            assert_eq!(check(&State::Transaction, line), Err(NotNow::LoggedIn), "{line}");
        }
    }

    #[test]
    fn a_name_serves_one_password_and_an_exchange_one_response() {
        let mut state = State::Authorization(Some("joe".into()));
        assert_eq!((state.take_name().as_deref(), state.take_name()), (Some("joe"), None));
        assert!(state.take_exchange().is_none());
        let mut state = State::Exchange(Exchange::new(Mechanism::Plain, [0; 18]));
        assert!(state.take_exchange().is_some() && state.take_exchange().is_none());
        let mut state = State::Transaction;
        assert!(state.take_exchange().is_none() && state.is_transaction());
    }
}
