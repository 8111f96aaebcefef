//! Requests that were done a moment ago, so that a repeat of one after a broken connection finds its answer
//! (ITS 19342). Bounded, and gone with the process: a repeat after a crash of the queue stores a second copy,
//! which is the lesser evil.

use mail::id::{QueueId, RequestId};
use std::collections::{HashMap, VecDeque};

/// Requests remembered.
const REMEMBERED: usize = 4096;

#[derive(Default)]
pub(crate) struct Recent {
    answers: HashMap<RequestId, QueueId>,
    order: VecDeque<RequestId>,
}

impl Recent {
    pub(crate) fn get(&self, request: RequestId) -> Option<QueueId> {
        self.answers.get(&request).copied()
    }

    pub(crate) fn remember(&mut self, request: RequestId, answer: QueueId) {
        if self.answers.insert(request, answer).is_none() {
            self.order.push_back(request);
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.answers.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let mut recent = Recent::default();
        for n in 0..=REMEMBERED {
            recent.remember(RequestId(n as u128), QueueId(7));
        }
        assert_eq!(recent.get(RequestId(0)), None);
        assert_eq!(recent.get(RequestId(1)), Some(QueueId(7)));
        assert_eq!(recent.answers.len(), REMEMBERED);
    }
}
