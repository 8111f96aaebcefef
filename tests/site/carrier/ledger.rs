//! What was acknowledged to clients, and the comparison with what is there. Rules only.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The folder into which users append.
pub(crate) const KEPT: &str = "Kept";
/// Where mail arrives.
pub(crate) const INBOX: &str = "INBOX";

/// A folder of a user, by number.
pub(crate) type Place = (usize, &'static str);

/// What is known of something that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// It may have been done.
    Asked,
    /// It was acknowledged.
    Told,
}

/// A message on its way.
#[derive(Debug)]
struct Entry {
    places: Vec<Place>,
    word: Word,
}

/// Everything that was asked for.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    messages: BTreeMap<u64, Entry>,
    removed: BTreeMap<(usize, u64), Word>,
    flagged: BTreeSet<(usize, u64)>,
}

/// A message as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) number: u64,
    pub(crate) flagged: bool,
    /// It reads as it was sent.
    pub(crate) whole: bool,
}

impl Ledger {
    /// A message is handed in: returns its number.
    pub(crate) fn begin(&mut self, places: Vec<Place>) -> u64 {
        let number = self.messages.len() as u64 + 1;
        self.messages.insert(number, Entry { places, word: Word::Asked });
        number
    }

    /// It was acknowledged.
    pub(crate) fn told(&mut self, number: u64) {
        if let Some(entry) = self.messages.get_mut(&number) {
            entry.word = Word::Told;
        }
    }

    /// A user removes a message from the inbox.
    pub(crate) fn remove(&mut self, user: usize, number: u64) {
        self.removed.entry((user, number)).or_insert(Word::Asked);
    }

    /// That was acknowledged.
    pub(crate) fn removed(&mut self, user: usize, number: u64) {
        self.removed.insert((user, number), Word::Told);
    }

    /// A flag was set on a message of the inbox, and that was acknowledged.
    pub(crate) fn flagged(&mut self, user: usize, number: u64) {
        self.flagged.insert((user, number));
    }

    /// Compares with what all folders of all users hold.
    pub(crate) fn compare(&self, there: &BTreeMap<Place, Vec<Found>>) -> Verdict {
        let mut verdict = Verdict::default();
        for (place, found) in there {
            for one in found {
                let known = self.messages.get(&one.number).is_some_and(|entry| entry.places.contains(place));
                if !known {
                    verdict.wrong.push(format!("{place:?}: message {} was never sent there", one.number));
                }
            }
        }
        for (&number, entry) in &self.messages {
            verdict.told += u64::from(entry.word == Word::Told);
            verdict.unanswered += u64::from(entry.word == Word::Asked);
            for place in &entry.places {
                let found = there.get(place).into_iter().flatten().filter(|one| one.number == number);
                let found: Vec<_> = found.copied().collect();
                self.judge(number, entry.word, *place, &found, &mut verdict);
            }
        }
        verdict
    }

    fn judge(&self, number: u64, word: Word, place: Place, found: &[Found], verdict: &mut Verdict) {
        let removed = (place.1 == INBOX).then(|| self.removed.get(&(place.0, number)).copied()).flatten();
        verdict.removed += u64::from(removed == Some(Word::Told));
        let mut wrong = |what: &str| verdict.wrong.push(format!("{place:?}: message {number} {what}"));
        match found {
            [] => {
                if word == Word::Told && removed.is_none() {
                    verdict.missing.push(format!("{place:?}: message {number} is not there"));
                }
            }
            [one] => {
                if removed == Some(Word::Told) {
                    wrong("came back after it was removed");
                }
                if !one.whole {
                    wrong("does not read as it was sent");
                }
                if place.1 == INBOX && self.flagged.contains(&(place.0, number)) {
                    if !one.flagged {
                        wrong("has lost its flag");
                    }
                    verdict.flags += 1;
                }
                verdict.there += 1;
            }
            more => wrong(&format!("is there {} times", more.len())),
        }
    }
}

/// How what is there differs from what was told.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    told: u64,
    unanswered: u64,
    there: u64,
    removed: u64,
    flags: u64,
    /// What may still be in the queue.
    missing: Vec<String>,
    wrong: Vec<String>,
}

impl Verdict {
    /// Whether nothing is wrong, and only time is missing.
    pub(crate) fn is_waiting(&self) -> bool {
        self.wrong.is_empty() && !self.missing.is_empty()
    }

    /// Whether all is as it was told.
    pub(crate) fn is_clean(&self) -> bool {
        self.wrong.is_empty() && self.missing.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} messages acknowledged, {} unanswered; {} copies there, {} removed, {} flags kept; {} lost, {} wrong",
            self.told,
            self.unanswered,
            self.there,
            self.removed,
            self.flags,
            self.missing.len(),
            self.wrong.len()
        )?;
        self.missing.iter().chain(&self.wrong).take(SHOWN).try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// Findings that are printed.
const SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn found(number: u64) -> Found {
        Found { number, flagged: false, whole: true }
    }

    fn wrongs(ledger: &Ledger, there: &[(Place, Vec<Found>)]) -> (usize, Vec<String>) {
        let verdict = ledger.compare(&there.iter().cloned().collect());
        (verdict.missing.len(), verdict.wrong)
    }

    #[test]
    fn what_was_told_is_there_once_and_what_was_not_may_be() {
        let mut ledger = Ledger::default();
        let one = ledger.begin(vec![(0, INBOX), (1, INBOX)]);
        let two = ledger.begin(vec![(0, KEPT)]);
        ledger.told(one);
        let all = |n| {
            vec![
                ((0, INBOX), vec![found(one)]),
                ((1, INBOX), vec![found(one)]),
                ((0, KEPT), vec![found(two); n]),
            ]
        };
        assert_eq!(wrongs(&ledger, &all(0)), (0, vec![]));
        assert_eq!(wrongs(&ledger, &all(1)), (0, vec![]));
        assert_eq!(wrongs(&ledger, &all(2)).1.len(), 1);
        assert_eq!(wrongs(&ledger, &all(0)[..1]), (1, vec![]));
        assert!(ledger.compare(&all(0)[..1].iter().cloned().collect()).is_waiting());
        let strange = [((2, INBOX), vec![found(one)]), ((0, INBOX), vec![found(9)])];
        assert_eq!(wrongs(&ledger, &strange).1.len(), 2);
    }

    #[test]
    fn what_was_removed_stays_away_and_flags_and_bytes_stay() {
        let mut ledger = Ledger::default();
        let n = ledger.begin(vec![(0, INBOX)]);
        ledger.told(n);
        ledger.flagged(0, n);
        assert_eq!(wrongs(&ledger, &[((0, INBOX), vec![found(n)])]).1.len(), 1);
        let flagged = Found { flagged: true, ..found(n) };
        assert_eq!(wrongs(&ledger, &[((0, INBOX), vec![flagged])]), (0, vec![]));
        assert_eq!(wrongs(&ledger, &[((0, INBOX), vec![Found { whole: false, ..flagged }])]).1.len(), 1);
        ledger.remove(0, n);
        assert_eq!(wrongs(&ledger, &[]), (0, vec![]));
        assert_eq!(wrongs(&ledger, &[((0, INBOX), vec![flagged])]), (0, vec![]));
        ledger.removed(0, n);
        assert_eq!(wrongs(&ledger, &[((0, INBOX), vec![flagged])]).1.len(), 1);
    }
}
