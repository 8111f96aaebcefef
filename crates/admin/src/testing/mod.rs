//! What the tests of this crate share: a terminal that plays a script, and roles that answer from memory.

pub(crate) mod roles;

use crate::output::{Gone, Step, Stream, Terminal};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// A terminal in memory. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    output: Vec<u8>,
    errors: Vec<u8>,
    input: VecDeque<Vec<u8>>,
    close_after: Option<usize>,
}

impl Script {
    /// With these pieces of input.
    pub(crate) fn with_input<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Self {
        let script = Self::default();
        script.0.lock().unwrap().input = pieces.into_iter().map(|piece| piece.as_bytes().to_vec()).collect();
        script
    }

    /// Is gone once this many bytes have been written.
    pub(crate) fn close_after(&self, bytes: usize) {
        self.0.lock().unwrap().close_after = Some(bytes);
    }

    /// What was printed.
    pub(crate) fn output(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().output.clone()).unwrap()
    }

    /// What was said on standard error.
    pub(crate) fn errors(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().errors.clone()).unwrap()
    }
}

impl Terminal for Script {
    fn write<'a>(&'a mut self, to: Stream, bytes: &'a [u8]) -> Step<'a, ()> {
        let mut state = self.0.lock().unwrap();
        let gone = state.close_after.is_some_and(|limit| state.output.len() >= limit);
        match to {
            Stream::Output => state.output.extend_from_slice(bytes),
            Stream::Errors => state.errors.extend_from_slice(bytes),
        }
        Box::pin(std::future::ready(if gone { Err(Gone) } else { Ok(()) }))
    }

    fn read(&mut self) -> Step<'_, Vec<u8>> {
        let piece = self.0.lock().unwrap().input.pop_front().unwrap_or_default();
        Box::pin(std::future::ready(Ok(piece)))
    }

    fn colour(&self) -> bool {
        false
    }
}
