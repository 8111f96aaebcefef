//! Sets of message numbers, kept as ranges: a folder of a million messages costs a few bytes here
//! as long as its numbers have few gaps.

mod numbered;

pub use numbered::Numbered;

use crate::id::Uid;
use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

/// An ordered set of numbers from 1 up, as ranges that neither touch nor overlap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NumberSet {
    ranges: Vec<(u32, u32)>,
}

impl NumberSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// Every number from 1 up.
    pub fn all() -> Self {
        Self { ranges: vec![(1, u32::MAX)] }
    }

    /// Just this one.
    pub fn one(n: u32) -> Self {
        Self { ranges: vec![(n, n)] }
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many numbers it holds.
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|&(a, b)| u64::from(b - a) + 1).sum()
    }

    /// The smallest number.
    pub fn first(&self) -> Option<u32> {
        self.ranges.first().map(|r| r.0)
    }

    /// The greatest number.
    pub fn last(&self) -> Option<u32> {
        self.ranges.last().map(|r| r.1)
    }

    /// The ranges, in order.
    pub fn ranges(&self) -> impl DoubleEndedIterator<Item = RangeInclusive<u32>> + '_ {
        self.ranges.iter().map(|&(a, b)| a..=b)
    }

    /// The parts of ranges that lie within `bounds`, in order. O(log ranges) to the first.
    pub fn ranges_within(
        &self,
        bounds: RangeInclusive<u32>,
    ) -> impl Iterator<Item = RangeInclusive<u32>> + '_ {
        let (first, last) = bounds.into_inner();
        let from = self.ranges.partition_point(|r| r.1 < first);
        let within = self.ranges[from..].iter().take_while(move |r| r.0 <= last);
        within.map(move |&(a, b)| a.max(first)..=b.min(last))
    }

    /// The numbers, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.ranges.iter().flat_map(|&(a, b)| a..=b)
    }

    /// Whether `n` is in it. O(log ranges).
    pub fn contains(&self, n: u32) -> bool {
        let at = self.ranges.partition_point(|r| r.1 < n);
        self.ranges.get(at).is_some_and(|r| r.0 <= n)
    }

    /// Adds one number; cheapest at the end.
    pub fn insert(&mut self, n: u32) {
        self.insert_range(n..=n);
    }

    /// Adds a range; an empty range adds nothing.
    pub fn insert_range(&mut self, range: RangeInclusive<u32>) {
        let (mut a, mut b) = range.into_inner();
        if a > b {
            return;
        }
        // The usual case: numbers come in their order.
        match self.ranges.last_mut() {
            Some(last) if a <= last.0 || a <= last.1.saturating_add(1) && b < last.1 => {}
            Some(last) if a <= last.1.saturating_add(1) => return last.1 = b,
            _ => return self.ranges.push((a, b)),
        }
        // Every range that overlaps or touches the new one is swallowed by it.
        let from = self.ranges.partition_point(|r| r.1 < a.saturating_sub(1));
        let to = from + self.ranges[from..].partition_point(|r| r.0 <= b.saturating_add(1));
        if from < to {
            a = a.min(self.ranges[from].0);
            b = b.max(self.ranges[to - 1].1);
        }
        self.ranges.splice(from..to, [(a, b)]);
    }

    /// Takes one number out; `false` if it was not in.
    pub fn remove(&mut self, n: u32) -> bool {
        let at = self.ranges.partition_point(|r| r.1 < n);
        let Some(&(a, b)) = self.ranges.get(at).filter(|r| r.0 <= n) else { return false };
        let left = (a < n).then(|| (a, n - 1));
        let right = (n < b).then(|| (n + 1, b));
        self.ranges.splice(at..=at, left.into_iter().chain(right));
        true
    }

    /// What both hold.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut out = Self::new();
        let (mut i, mut j) = (0, 0);
        while let (Some(&(a1, b1)), Some(&(a2, b2))) = (self.ranges.get(i), other.ranges.get(j)) {
            let (a, b) = (a1.max(a2), b1.min(b2));
            if a <= b {
                out.ranges.push((a, b));
            }
            if b1 < b2 { i += 1 } else { j += 1 }
        }
        out
    }

    /// What is here and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut out = Self::new();
        for &(mut a, b) in &self.ranges {
            let from = other.ranges.partition_point(|r| r.1 < a);
            let mut done = false;
            for &(oa, ob) in other.ranges[from..].iter().take_while(|r| r.0 <= b) {
                if a < oa {
                    out.ranges.push((a, oa - 1));
                }
                done = ob >= b;
                a = ob.saturating_add(1);
            }
            if !done && a <= b {
                out.ranges.push((a, b));
            }
        }
        out
    }

    /// What either holds.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all: Vec<_> = self.ranges.iter().chain(&other.ranges).copied().collect();
        // Two runs in order: the sort only merges them.
        all.sort();
        let mut out = Self::new();
        all.into_iter().for_each(|(a, b)| out.insert_range(a..=b));
        out
    }

    /// The set in pieces of at most `most` numbers, in order; each costs what is in it.
    pub fn pieces(&self, most: NonZeroU32) -> impl Iterator<Item = Self> + '_ {
        let (mut at, mut from) = (0, 0);
        std::iter::from_fn(move || {
            let (mut piece, mut room) = (Self::new(), most.get());
            while room > 0 {
                let Some(&(a, b)) = self.ranges.get(at) else { break };
                let first = a.max(from);
                let last = first.saturating_add(room - 1).min(b);
                piece.ranges.push((first, last));
                room -= (last - first).saturating_add(1).min(room);
                match last == b {
                    true => at += 1,
                    false => from = last + 1,
                }
            }
            (!piece.is_empty()).then_some(piece)
        })
    }
}

impl FromIterator<u32> for NumberSet {
    fn from_iter<T: IntoIterator<Item = u32>>(numbers: T) -> Self {
        let mut set = Self::new();
        numbers.into_iter().for_each(|n| set.insert(n));
        set
    }
}

impl FromIterator<Uid> for NumberSet {
    fn from_iter<T: IntoIterator<Item = Uid>>(uids: T) -> Self {
        uids.into_iter().map(|u| u.0).collect()
    }
}

impl fmt::Display for NumberSet {
    /// As in IMAP: `1:3,7,9:12`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, &(a, b)) in self.ranges.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            if a == b { write!(f, "{a}")? } else { write!(f, "{a}:{b}")? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn touching_ranges_become_one() {
        let set: NumberSet = [5, 1, 2, 3, 9, 4].into_iter().collect();
        assert_eq!(set.to_string(), "1:5,9");
        assert_eq!(set.len(), 6);
    }

    #[test]
    fn whole_range_does_not_overflow() {
        let mut set = NumberSet::all();
        assert!(set.remove(u32::MAX));
        set.insert(u32::MAX);
        assert_eq!(set, NumberSet::all());
        assert!(set.difference(&NumberSet::all()).is_empty());
    }

    #[test]
    fn ranges_within_bounds_are_cut_there() {
        let set: NumberSet = [1, 2, 3, 7, 8, 20].into_iter().collect();
        let within = |bounds| set.ranges_within(bounds).collect::<Vec<_>>();
        assert_eq!(within(2..=7), [2..=3, 7..=7]);
        assert_eq!(within(4..=6), []);
        assert_eq!(within(8..=u32::MAX), [8..=8, 20..=20]);
    }

    /// Every operation agrees with a plain set, over many small random sets.
    #[test]
    fn agrees_with_a_plain_set() {
        let mut state = 1u32;
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 24
        };
        for _ in 0..300 {
            let mut make = || (0..next() % 20).map(|_| next() % 32 + 1).collect::<BTreeSet<u32>>();
            let (a, b) = (make(), make());
            let (sa, sb): (NumberSet, NumberSet) = (a.iter().copied().collect(), b.iter().copied().collect());
            let both: Vec<_> = a.intersection(&b).copied().collect();
            assert_eq!(sa.intersection(&sb).iter().collect::<Vec<_>>(), both);
            let rest: Vec<_> = a.difference(&b).copied().collect();
            assert_eq!(sa.difference(&sb).iter().collect::<Vec<_>>(), rest);
            let either: NumberSet = a.union(&b).copied().collect();
            assert_eq!(sa.union(&sb), either);
            let pieces: Vec<_> = sa.pieces(NonZeroU32::new(3).unwrap()).collect();
            assert!(pieces.iter().all(|p| p.len() <= 3) && pieces.len() == a.len().div_ceil(3));
            assert_eq!(
                pieces.iter().flat_map(NumberSet::iter).collect::<Vec<_>>(),
                sa.iter().collect::<Vec<_>>()
            );
            let mut gone = sa.clone();
            for n in &b {
                assert_eq!(gone.remove(*n), a.contains(n));
            }
            assert_eq!(gone, sa.difference(&sb));
        }
    }
}
