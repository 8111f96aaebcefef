//! The process's own standard streams as a terminal. Writing and reading block, which is all right in a process
//! that does nothing else than one command; the daemon never uses this.

use crate::output::{Gone, PIECE, Step, Stream, Terminal};
use std::io::{ErrorKind, IsTerminal as _, Read as _, Write as _};

/// Standard output, error and input.
pub struct Stdio {
    colour: bool,
}

impl Stdio {
    /// Shows colours only on a terminal, and not where `NO_COLOR` or `TERM=dumb` says otherwise.
    pub fn new() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let able = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        Self { colour: wanted && able && std::io::stdout().is_terminal() }
    }
}

impl Default for Stdio {
    fn default() -> Self {
        Self::new()
    }
}

impl Terminal for Stdio {
    fn write<'a>(&'a mut self, to: Stream, bytes: &'a [u8]) -> Step<'a, ()> {
        let written = match to {
            Stream::Output => {
                let mut out = std::io::stdout().lock();
                out.write_all(bytes).and_then(|()| out.flush())
            }
            Stream::Errors => std::io::stderr().lock().write_all(bytes),
        };
        Box::pin(async move { written.map_err(|_| Gone) })
    }

    fn read(&mut self) -> Step<'_, Vec<u8>> {
        Box::pin(async {
            let mut piece = vec![0; PIECE];
            loop {
                match std::io::stdin().lock().read(&mut piece) {
                    Ok(length) => {
                        piece.truncate(length);
                        return Ok(piece);
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => return Err(Gone),
                }
            }
        })
    }

    fn colour(&self) -> bool {
        self.colour
    }
}
