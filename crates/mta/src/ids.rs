//! Names for messages: unique over hosts, processes and restarts.

use env::Env;
use mail::id::{HostName, RequestId, TraceId};
use sha2::{Digest as _, Sha256};
use std::sync::atomic::{AtomicU64, Ordering};

/// Characters of the boot mark.
const BOOT_LEN: usize = 8;

/// Makes the names of one process.
pub struct Ids {
    env: Env,
    host: HostName,
    /// Random: a process that starts again in the same second has another one.
    boot: String,
    next: AtomicU64,
    sessions: AtomicU64,
}

impl Ids {
    /// For a process on this host.
    pub fn new(env: &Env, host: &HostName) -> Self {
        let mut boot = String::new();
        push_base36(env.random.number(), BOOT_LEN, &mut boot);
        Self {
            env: env.clone(),
            host: host.clone(),
            boot,
            next: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
        }
    }

    /// The number of a session, for the log.
    pub fn session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed)
    }

    /// A fresh one: `20261123133025.3K.8F2K01QZ.mta1`. What makes it unique comes first, so that a long host name,
    /// which is cut, does no harm.
    pub fn trace(&self) -> TraceId {
        let c = self.env.clock.now().civil();
        let mut text =
            format!("{:04}{:02}{:02}{:02}{:02}{:02}.", c.year, c.month, c.day, c.hour, c.minute, c.second);
        push_base36(self.next.fetch_add(1, Ordering::Relaxed), 0, &mut text);
        text.push('.');
        text.push_str(&self.boot);
        text.push('.');
        text.push_str(self.host.as_str());
        TraceId::new(&text)
    }
}

/// The request id of every attempt to put a message into mailboxes: the first from here and the later ones
/// from the queue have the same, so that a store which took the message without our hearing of it knows it again.
pub fn delivery_request(trace: &TraceId) -> RequestId {
    let digest = Sha256::digest(trace.as_str());
    let mut first = [0; 16];
    first.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    RequestId(u128::from_be_bytes(first))
}

/// Appends `number`, with zeros in front up to `width` characters, cut to its last `width` where that is not 0.
fn push_base36(mut number: u64, width: usize, text: &mut String) {
    const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut digits = Vec::with_capacity(13);
    while number > 0 || digits.len() < width.max(1) {
        let digit = usize::try_from(number % 36).unwrap_or_default();
        digits.push(DIGITS.get(digit).copied().map_or('0', char::from));
        number /= 36;
        if width > 0 && digits.len() == width {
            break;
        }
    }
    text.extend(digits.into_iter().rev());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_fit_a_header() {
        let host = HostName::new(&"h".repeat(80));
        let ids = Ids::new(&Env::for_test("mta"), &host);
        let other = Ids::new(&Env { random: env::random::Random::seeded(2), ..Env::for_test("mta") }, &host);
        let (a, b, c) = (ids.trace(), ids.trace(), other.trace());
        assert!(a != b && a != c);
        assert_eq!(a.as_str().len(), 64);
    }

    #[test]
    fn counters_are_written_in_base_36() {
        let mut text = String::new();
        for (number, width) in [(0, 0), (35, 0), (36, 0), (5, 3), (36 * 36 * 36 + 7, 3)] {
            push_base36(number, width, &mut text);
            text.push(' ');
        }
        assert_eq!(text, "0 Z 10 005 007 ");
    }

    #[test]
    fn a_message_has_one_request_id() {
        let ids = Ids::new(&Env::for_test("mta"), &HostName::new("a"));
        let trace = ids.trace();
        assert_eq!(delivery_request(&trace), delivery_request(&trace));
        assert_ne!(delivery_request(&trace), delivery_request(&ids.trace()));
    }
}
