//! What goes over the control socket: frames, each a line of JSON and, where it says so, that many bytes behind it.
//!
//! The side that was started sends one `run` and then `input` whenever it is asked; the daemon answers `begun` at
//! once and then `output`, `errors` and `want_input` until `exit`. Every length has a limit, checked before
//! anything is set aside for it. `docs/reference/commands.md` does not show frames: they are private to one release.

use crate::arguments::MAX_COMMAND_LINE;
use crate::output::PIECE;
use serde::{Deserialize, Serialize};
use std::io::{Error, ErrorKind, Result};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Changes when the frames do: both sides of a socket must have the same.
pub const REVISION: u32 = 1;
/// Most bytes of the JSON line: a command line, each byte escaped, and some room.
const MAX_HEAD: usize = 6 * MAX_COMMAND_LINE + 1024;

/// A command to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// [`REVISION`] of the sender.
    pub revision: u32,
    /// The name of the command.
    pub name: String,
    /// Its command line.
    pub line: Vec<String>,
    /// Whether standard output shows colours.
    pub colour: bool,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Run this.
    Run(Request),
    /// It runs.
    Begun,
    /// It does not run, for this reason.
    Refused(String),
    /// A piece for standard output.
    Output(Vec<u8>),
    /// A piece for standard error.
    Errors(Vec<u8>),
    /// Send a piece of standard input.
    WantInput,
    /// A piece of standard input; empty at its end.
    Input(Vec<u8>),
    /// It has ended with this code.
    Exit(u8),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Head {
    Run(Request),
    Begun,
    Refused(String),
    Output(usize),
    Errors(usize),
    WantInput,
    Input(usize),
    Exit(u8),
}

/// Sends a frame. A piece of output or input in it is at most [`PIECE`] bytes long.
///
/// # Errors
/// Where the connection does not take it.
pub async fn write(to: &mut (impl AsyncWrite + Unpin), frame: &Frame) -> Result<()> {
    let none: &[u8] = &[];
    let (head, piece) = match frame {
        Frame::Run(request) => (Head::Run(request.clone()), none),
        Frame::Begun => (Head::Begun, none),
        Frame::Refused(why) => (Head::Refused(why.clone()), none),
        Frame::Output(piece) => (Head::Output(piece.len()), piece.as_slice()),
        Frame::Errors(piece) => (Head::Errors(piece.len()), piece.as_slice()),
        Frame::WantInput => (Head::WantInput, none),
        Frame::Input(piece) => (Head::Input(piece.len()), piece.as_slice()),
        Frame::Exit(code) => (Head::Exit(*code), none),
    };
    let mut bytes = serde_json::to_vec(&head)?;
    bytes.push(b'\n');
    bytes.extend_from_slice(piece);
    to.write_all(&bytes).await
}

/// Receives a frame; `None` where the connection ended between two.
///
/// # Errors
/// Where the connection breaks inside a frame, or what comes is no frame, or one that is too long.
pub async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Frame>> {
    let mut line = Vec::new();
    (&mut *from).take(MAX_HEAD as u64).read_until(b'\n', &mut line).await?;
    match line.last() {
        None => return Ok(None),
        Some(b'\n') => {}
        Some(_) => return Err(Error::new(ErrorKind::InvalidData, "a frame without end")),
    }
    Ok(Some(match serde_json::from_slice(&line)? {
        Head::Run(request) => Frame::Run(request),
        Head::Begun => Frame::Begun,
        Head::Refused(why) => Frame::Refused(why),
        Head::Output(bytes) => Frame::Output(piece(from, bytes).await?),
        Head::Errors(bytes) => Frame::Errors(piece(from, bytes).await?),
        Head::WantInput => Frame::WantInput,
        Head::Input(bytes) => Frame::Input(piece(from, bytes).await?),
        Head::Exit(code) => Frame::Exit(code),
    }))
}

async fn piece(from: &mut (impl AsyncBufRead + Unpin), bytes: usize) -> Result<Vec<u8>> {
    if bytes > PIECE {
        return Err(Error::new(ErrorKind::InvalidData, "a piece that is too long"));
    }
    let mut piece = vec![0; bytes];
    from.read_exact(&mut piece).await?;
    Ok(piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_back_as_they_went() {
        let request = Request {
            revision: REVISION,
            name: "imdbcontrol".into(),
            line: vec!["-".into(), "a \"b\"\n\u{1b}".into()],
            colour: true,
        };
        let frames = [
            Frame::Run(request),
            Frame::Begun,
            Frame::Refused("no".into()),
            Frame::Output(b"a\n\x00\xff".to_vec()),
            Frame::Errors(vec![b'{'; PIECE]),
            Frame::WantInput,
            Frame::Input(Vec::new()),
            Frame::Exit(75),
        ];
        let mut bytes = Vec::new();
        for frame in &frames {
            write(&mut bytes, frame).await.unwrap();
        }
        let mut from = bytes.as_slice();
        for frame in frames {
            assert_eq!(read(&mut from).await.unwrap(), Some(frame));
        }
        assert_eq!(read(&mut from).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_is_no_frame_is_refused() {
        let endless = vec![b'x'; MAX_HEAD + 1];
        for bytes in
            [&b"hello\n"[..], b"{\"output\":65537}\nx", b"{\"output\":4}\nabc", b"\"begun\"", &endless]
        {
            assert!(read(&mut &*bytes).await.is_err());
        }
    }
}
