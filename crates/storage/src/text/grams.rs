//! Texts as sets of three neighbouring characters, folded so that case does not matter.
//!
//! A needle of three characters or more can only occur where all of its grams do. So the sets find every message that
//! has it, and others that have its grams elsewhere: who asks looks at the text of what was found.

use mail::search::{Needle, fold};
use std::collections::HashSet;

/// Most different grams of one text. What has more, such as encoded data in lines of text, is always looked at.
pub const MAX_GRAMS: usize = 20_000;
/// Grams of a needle that are asked for: more say little more.
const ASKED: usize = 24;
/// Bits of a character.
const CHAR_BITS: u32 = 21;
/// The gram of what must always be looked at; no three characters have it.
pub(super) const ALWAYS: u64 = u64::MAX;

/// The grams of one message.
#[derive(Debug, Clone, Default)]
pub struct Grams {
    set: HashSet<u64>,
    is_always: bool,
}

impl Grams {
    /// Of a text that cannot be read: it is always looked at.
    pub fn always() -> Self {
        Self { set: HashSet::new(), is_always: true }
    }

    /// Adds the grams of a text. A needle is found in it only whole: a gram that reaches from one text into the next
    /// is none.
    pub fn add(&mut self, text: &str) {
        if self.is_always {
            return;
        }
        each(&fold(text), |gram| {
            self.set.insert(gram);
        });
        if self.set.len() > MAX_GRAMS {
            *self = Self::always();
        }
    }

    /// Whether nothing that is added makes a difference any more.
    pub fn is_full(&self) -> bool {
        self.is_always
    }

    /// As they are kept.
    pub(super) fn into_terms(self) -> Vec<u64> {
        if self.is_always { vec![ALWAYS] } else { self.set.into_iter().collect() }
    }
}

/// The grams to ask for; none where the needle is too short to have one. Of a long needle, some from all over it.
pub(super) fn of_needle(needle: &Needle) -> Vec<u64> {
    let mut all = Vec::new();
    // The needle is folded already.
    each(needle.as_str(), |gram| all.push(gram));
    all.sort_unstable();
    all.dedup();
    let step = all.len().div_ceil(ASKED).max(1);
    all.into_iter().step_by(step).collect()
}

fn each(folded: &str, mut each: impl FnMut(u64)) {
    let (mut gram, mut seen) = (0u64, 0u32);
    for c in folded.chars() {
        gram = (gram << CHAR_BITS | u64::from(u32::from(c))) & ((1 << (3 * CHAR_BITS)) - 1);
        seen = (seen + 1).min(3);
        if seen == 3 {
            each(gram);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_occurs_has_all_grams(text in "[abß ΣσςÄ]{0,40}", from in 0..40usize, len in 3..10usize) {
            let part: String = text.chars().skip(from).take(len).collect();
            let needle = Needle::new(&part).unwrap();
            let mut grams = Grams::default();
            grams.add(&text);
            let terms = grams.into_terms();
            prop_assert!(!needle.occurs_in(&text) || of_needle(&needle).iter().all(|g| terms.contains(g)));
        }
    }

    #[test]
    fn short_needles_have_none_and_endless_texts_are_always_looked_at() {
        assert!(of_needle(&Needle::new("ab").unwrap()).is_empty());
        assert_eq!(of_needle(&Needle::new("ABC").unwrap()).len(), 1);
        let mut grams = Grams::default();
        (0..40_000u32)
            .for_each(|n| grams.add(&format!("{:03}", char::from_u32(0x4e00 + n % 20_000).unwrap())));
        let many: String = (0..60_000u32).filter_map(|n| char::from_u32(0x1_0000 + n)).collect();
        grams.add(&many);
        assert_eq!(grams.into_terms(), [ALWAYS]);
    }
}
