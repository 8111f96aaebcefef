//! Which command is legal now, for a server of SMTP or LMTP. RFC 5321 4.1.4, RFC 2033 4, RFC 3207, RFC 4954.
//!
//! A [`State`] is consumed by each [`Event`] and gives the next one. It judges order only: whether a sender
//! or a recipient is welcome is the server's decision, which it reports here as an event.

use super::Dialect;
use super::command::Verb;

/// What has happened, as far as order is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// HELO, EHLO or LHLO was answered with 250: ends a transaction that is open. RFC 5321 4.1.1.1.
    Hello,
    /// MAIL was answered with 250.
    MailTaken,
    /// RCPT was answered with 250.
    RcptTaken,
    /// A BDAT chunk that is not the last one was answered with 250.
    ChunkTaken,
    /// The transaction is over, however it ended, or RSET was answered.
    TransactionOver,
    /// TLS has begun: the client must say EHLO again. RFC 3207 4.2.
    TlsStarted,
    /// AUTH was answered with 235.
    Authenticated,
}

/// Why a command is not legal now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutOfOrder {
    /// EHLO or LHLO comes first.
    #[error("say hello first")]
    HelloFirst,
    /// MAIL comes first.
    #[error("MAIL comes first")]
    MailFirst,
    /// No recipient has been accepted.
    #[error("no valid recipients")]
    RcptFirst,
    /// Not within a transaction.
    #[error("not within a transaction")]
    InTransaction,
    /// Not between chunks. RFC 3030 2.
    #[error("not between chunks")]
    InChunks,
    /// TLS runs already.
    #[error("TLS has started already")]
    TlsAlready,
    /// The client is authenticated already. RFC 4954 4.
    #[error("already authenticated")]
    AuthenticatedAlready,
    /// A command of the other dialect. RFC 2033 4.1.
    #[error("the command is not part of this protocol")]
    OtherDialect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Fresh,
    Ready,
    Mail,
    Rcpt,
    Chunks,
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    dialect: Dialect,
    phase: Phase,
    encrypted: bool,
    authenticated: bool,
}

impl State {
    /// After the greeting, on a connection without TLS.
    pub const fn new(dialect: Dialect) -> Self {
        Self { dialect, phase: Phase::Fresh, encrypted: false, authenticated: false }
    }

    /// Whether TLS runs.
    pub const fn encrypted(self) -> bool {
        self.encrypted
    }

    /// Whether a recipient has been accepted, so that DATA may come.
    pub const fn has_recipients(self) -> bool {
        matches!(self.phase, Phase::Rcpt | Phase::Chunks)
    }

    /// Whether a transaction is open.
    pub const fn in_transaction(self) -> bool {
        matches!(self.phase, Phase::Mail | Phase::Rcpt | Phase::Chunks)
    }

    /// Whether this command is legal now.
    ///
    /// # Errors
    /// Says what is missing or in the way.
    pub fn permit(self, verb: Verb) -> Result<(), OutOfOrder> {
        match verb {
            Verb::Helo | Verb::Ehlo if self.dialect == Dialect::Lmtp => Err(OutOfOrder::OtherDialect),
            Verb::Lhlo if self.dialect == Dialect::Smtp => Err(OutOfOrder::OtherDialect),
            Verb::Mail => self.permit_mail(),
            Verb::Rcpt => match self.phase {
                Phase::Fresh | Phase::Ready => Err(OutOfOrder::MailFirst),
                Phase::Mail | Phase::Rcpt => Ok(()),
                Phase::Chunks => Err(OutOfOrder::InChunks),
            },
            Verb::Data | Verb::Bdat => match self.phase {
                Phase::Fresh | Phase::Ready => Err(OutOfOrder::MailFirst),
                Phase::Mail => Err(OutOfOrder::RcptFirst),
                Phase::Chunks if verb == Verb::Data => Err(OutOfOrder::InChunks),
                Phase::Rcpt | Phase::Chunks => Ok(()),
            },
            Verb::StartTls if self.encrypted => Err(OutOfOrder::TlsAlready),
            Verb::Auth if self.authenticated => Err(OutOfOrder::AuthenticatedAlready),
            Verb::StartTls | Verb::Auth | Verb::Etrn => match self.phase {
                Phase::Fresh => Err(OutOfOrder::HelloFirst),
                Phase::Ready => Ok(()),
                _ => Err(OutOfOrder::InTransaction),
            },
            // RFC 5321 4.1.4: these at any time.
            _ => Ok(()),
        }
    }

    const fn permit_mail(self) -> Result<(), OutOfOrder> {
        match self.phase {
            Phase::Fresh => Err(OutOfOrder::HelloFirst),
            Phase::Ready => Ok(()),
            _ => Err(OutOfOrder::InTransaction),
        }
    }

    /// The state after an event. An event that cannot happen now changes nothing.
    #[must_use]
    pub fn after(self, event: Event) -> Self {
        let phase = match (event, self.phase) {
            (Event::Hello, _) => Phase::Ready,
            (Event::TlsStarted, _) => {
                return Self { phase: Phase::Fresh, encrypted: true, authenticated: false, ..self };
            }
            (Event::Authenticated, phase) => return Self { authenticated: true, phase, ..self },
            (Event::MailTaken, Phase::Ready) => Phase::Mail,
            (Event::RcptTaken, Phase::Mail) => Phase::Rcpt,
            (Event::ChunkTaken, Phase::Rcpt) => Phase::Chunks,
            (Event::TransactionOver, Phase::Mail | Phase::Rcpt | Phase::Chunks) => Phase::Ready,
            (_, phase) => phase,
        };
        Self { phase, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(dialect: Dialect, events: &[Event]) -> State {
        events.iter().fold(State::new(dialect), |state, event| state.after(*event))
    }

    #[test]
    fn a_transaction_has_its_order() {
        use Event::*;
        let at = |events: &[Event], verb| after(Dialect::Smtp, events).permit(verb);
        assert_eq!(at(&[], Verb::Mail), Err(OutOfOrder::HelloFirst));
        assert_eq!(at(&[Hello], Verb::Mail), Ok(()));
        assert_eq!(at(&[Hello], Verb::Rcpt), Err(OutOfOrder::MailFirst));
        assert_eq!(at(&[Hello, MailTaken], Verb::Data), Err(OutOfOrder::RcptFirst));
        assert_eq!(at(&[Hello, MailTaken], Verb::Mail), Err(OutOfOrder::InTransaction));
        assert_eq!(at(&[Hello, MailTaken, RcptTaken], Verb::Data), Ok(()));
        assert_eq!(at(&[Hello, MailTaken, RcptTaken, ChunkTaken], Verb::Bdat), Ok(()));
        assert_eq!(at(&[Hello, MailTaken, RcptTaken, ChunkTaken], Verb::Data), Err(OutOfOrder::InChunks));
        assert_eq!(at(&[Hello, MailTaken, RcptTaken, ChunkTaken], Verb::Rcpt), Err(OutOfOrder::InChunks));
        assert_eq!(
            at(&[Hello, MailTaken, RcptTaken, TransactionOver], Verb::Rcpt),
            Err(OutOfOrder::MailFirst)
        );
        assert_eq!(at(&[Hello, MailTaken, Hello], Verb::Mail), Ok(()), "EHLO resets");
    }

    #[test]
    fn tls_and_authentication_come_once_and_outside_of_transactions() {
        use Event::*;
        let at = |events: &[Event], verb| after(Dialect::Smtp, events).permit(verb);
        assert_eq!(at(&[], Verb::StartTls), Err(OutOfOrder::HelloFirst));
        assert_eq!(at(&[Hello, MailTaken], Verb::Auth), Err(OutOfOrder::InTransaction));
        assert_eq!(at(&[Hello, TlsStarted], Verb::Mail), Err(OutOfOrder::HelloFirst));
        assert_eq!(at(&[Hello, TlsStarted, Hello], Verb::StartTls), Err(OutOfOrder::TlsAlready));
        assert_eq!(at(&[Hello, Authenticated], Verb::Auth), Err(OutOfOrder::AuthenticatedAlready));
        assert_eq!(at(&[Hello, Authenticated, TlsStarted, Hello], Verb::Auth), Ok(()), "TLS forgets it");
    }

    #[test]
    fn each_dialect_has_its_own_hello() {
        assert_eq!(State::new(Dialect::Lmtp).permit(Verb::Ehlo), Err(OutOfOrder::OtherDialect));
        assert_eq!(State::new(Dialect::Smtp).permit(Verb::Lhlo), Err(OutOfOrder::OtherDialect));
        assert_eq!(State::new(Dialect::Lmtp).permit(Verb::Lhlo), Ok(()));
    }

    proptest! {
        #[test]
        fn content_is_legal_only_with_a_recipient(
            events in proptest::collection::vec(proptest::sample::select(vec![
                Event::Hello, Event::MailTaken, Event::RcptTaken, Event::ChunkTaken,
                Event::TransactionOver, Event::TlsStarted, Event::Authenticated,
            ]), 0..20),
        ) {
            let state = after(Dialect::Smtp, &events);
            prop_assert_eq!(state.permit(Verb::Bdat).is_ok(), state.has_recipients());
            prop_assert_eq!(state.permit(Verb::Quit), Ok(()));
            prop_assert_eq!(state.permit(Verb::Rset), Ok(()));
        }
    }
}
