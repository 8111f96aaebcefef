//! The same role at several peers, in order of preference: the own host first.
//!
//! A peer that is away is passed over at once; it is looked for beside the calls. What changes something goes to a second peer only
//! where it is known by its request id, or has certainly not gone out to the first.

use super::Remote;
use crate::convert::means_unavailable;
use crate::pool::{Asks, Peer, Safe, Unanswered};
use prost::Message;
use roles::Call;
use std::sync::Arc;
use std::time::Duration;
use tonic::Code;

/// Peers that have the same role, the preferred one first.
pub struct Peers(Vec<Arc<Peer>>);

/// A role that several peers have: Directory, Provisioning, Ownership, Configuration. It is unavailable when all of them are.
pub type Failover = Remote<Peers>;

impl Failover {
    /// Over these peers, in order of preference.
    pub fn over(peers: Vec<Arc<Peer>>) -> Self {
        Self { peer: Arc::new(Peers(peers)) }
    }
}

/// How a peer took a call that it did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Heard {
    /// It does not serve the role, or not this request.
    NotKnown,
    /// It was never asked.
    NotSent,
    /// It was asked, and its effect may have happened.
    InDoubt,
    /// It said something that another peer would say as well.
    Said,
}

fn heard(unanswered: &Unanswered) -> Heard {
    match unanswered {
        Unanswered::NotSent => Heard::NotSent,
        Unanswered::InDoubt => Heard::InDoubt,
        Unanswered::Busy => Heard::Said,
        Unanswered::Ended(status) => match status.code() {
            _ if means_unavailable(status) => Heard::InDoubt,
            Code::Unimplemented if status.details().is_empty() => Heard::NotKnown,
            _ => Heard::Said,
        },
    }
}

/// Whether the next peer is asked.
fn goes_on(heard: Heard, safe: Safe) -> bool {
    match heard {
        Heard::NotKnown | Heard::NotSent => true,
        Heard::InDoubt => safe != Safe::Once,
        Heard::Said => false,
    }
}

/// In which order peers are asked, by whether they are away: those that are, last.
fn order(away: &[bool]) -> Vec<usize> {
    let those =
        |wanted: bool| away.iter().enumerate().filter(move |(_, is)| **is == wanted).map(|(at, _)| at);
    those(false).chain(those(true)).collect()
}

/// How much of the time that is left one peer may take, where so many are to be asked: one that has fallen silent must not
/// take all of it.
fn share(left: Duration, peers: usize, safe: Safe) -> Duration {
    match (safe, u32::try_from(peers)) {
        (Safe::Repeat, Ok(peers)) if peers > 1 => left / peers,
        _ => left,
    }
}

impl Asks for Peers {
    async fn ask<M, R>(
        &self,
        call: &Call,
        safe: Safe,
        path: &'static str,
        message: M,
    ) -> Result<R, Unanswered>
    where
        M: Message + Clone + 'static,
        R: Message + Default + 'static,
    {
        let away: Vec<bool> = self.0.iter().map(|peer| peer.is_away()).collect();
        let order = order(&away);
        let Some(clock) = self.0.first().map(|peer| peer.env().clock.clone()) else {
            return Err(Unanswered::NotSent);
        };
        let until = clock.moment() + call.deadline;
        let mut worst = Unanswered::NotSent;
        for (at, peer) in order.iter().filter_map(|at| self.0.get(*at)).enumerate() {
            let left = until.saturating_duration_since(clock.moment());
            let call = Call { deadline: share(left, order.len() - at, safe), ..call.clone() };
            match peer.ask(&call, safe, path, message.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(unanswered) if !goes_on(heard(&unanswered), safe) => return Err(unanswered),
                // One that is away may know what those that are there do not.
                Err(unanswered) if at == 0 || heard(&unanswered) > heard(&worst) => worst = unanswered,
                Err(_) => {}
            }
        }
        Err(worst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::status_of;
    use roles::directory::DirectoryError;
    use tonic::Status;

    #[test]
    fn peers_that_are_away_are_asked_last() {
        assert_eq!(order(&[false, false]), [0, 1]);
        assert_eq!(order(&[true, false, true, false]), [1, 3, 0, 2]);
        assert!(order(&[]).is_empty());
    }

    #[test]
    fn what_changes_something_goes_on_only_where_nothing_was_sent() {
        let ended = |error: DirectoryError| heard(&Unanswered::Ended(status_of(&error)));
        assert_eq!(ended(DirectoryError::Unavailable), Heard::InDoubt);
        for said in
            [DirectoryError::BadCredentials, DirectoryError::Busy, DirectoryError::Missing("x".into())]
        {
            assert_eq!(ended(said), Heard::Said);
        }
        assert_eq!(heard(&Unanswered::Ended(Status::unimplemented("x"))), Heard::NotKnown);
        assert_eq!(heard(&Unanswered::Ended(Status::deadline_exceeded("x"))), Heard::InDoubt);
        assert_eq!(heard(&Unanswered::Ended(Status::invalid_argument("x"))), Heard::Said);
        let table = [
            (Heard::NotKnown, Safe::Once, true),
            (Heard::NotSent, Safe::Once, true),
            (Heard::InDoubt, Safe::Once, false),
            (Heard::InDoubt, Safe::Repeat, true),
            (Heard::InDoubt, Safe::Wait, true),
            (Heard::Said, Safe::Repeat, false),
        ];
        for (heard, safe, expected) in table {
            assert_eq!(goes_on(heard, safe), expected, "{heard:?} {safe:?}");
        }
    }

    #[test]
    fn a_silent_peer_leaves_time_for_the_next() {
        let minute = Duration::from_secs(60);
        assert_eq!(share(minute, 3, Safe::Repeat), Duration::from_secs(20));
        assert_eq!(share(minute, 1, Safe::Repeat), minute);
        assert_eq!((share(minute, 3, Safe::Wait), share(minute, 3, Safe::Once)), (minute, minute));
    }
}
