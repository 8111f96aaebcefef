//! What a manager and a server that it has started say to each other, over a pair of Unix sockets.
//!
//! The process finds its end as its standard input. First it is given its listening sockets, in one message with
//! their number (SCM_RIGHTS); then both sides speak in lines. The process says `ready <version> <server>=<ports>...`
//! once, with the ports of each of its servers parted by commas; to each `probe <n> <server>` of the manager it answers
//! `answer <n>` where that server works, or `answer <n> <why not>`.
//! The end of the line of talk is a word, too: a server whose manager is gone drains and ends.

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// Most sockets that one server is given.
pub const MOST_SOCKETS: usize = 64;
/// Longest line that either side takes.
const LONGEST_LINE: usize = 4096;
/// How long a server waits for its sockets.
const GIVEN_WITHIN: Duration = Duration::from_secs(10);

/// Gives the sockets. They stay open here, too.
///
/// # Errors
/// Where there are too many, or the other side is gone.
pub fn give(to: &UnixStream, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    if sockets.len() > MOST_SOCKETS {
        return Err(io::Error::other(format!("more than {MOST_SOCKETS} listening sockets")));
    }
    let line = format!("sockets {}\n", sockets.len());
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() && !control.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // A server that is gone already is an error here and no signal.
    let sent = sendmsg(to, &[IoSlice::new(line.as_bytes())], &mut control, SendFlags::NOSIGNAL)?;
    if sent == line.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Takes the sockets that [`give`] gives. Blocks the thread, for some seconds at most.
///
/// # Errors
/// Where the other side is gone, says something else, or gives less than it says.
pub fn take(from: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    from.set_read_timeout(Some(GIVEN_WITHIN))?;
    let mut line = [0u8; 32];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let into = &mut [IoSliceMut::new(&mut line)];
        match recvmsg(from, into, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            received => break received?,
        }
    };
    let mut sockets = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(given) = message {
            sockets.extend(given);
        }
    }
    let line = std::str::from_utf8(line.get(..received.bytes).unwrap_or_default()).unwrap_or_default();
    let told = line.strip_prefix("sockets ").and_then(|rest| rest.strip_suffix('\n')?.parse().ok());
    if told != Some(sockets.len()) {
        let text = format!("the manager said {line:?} and gave {} sockets", sockets.len());
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(sockets)
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// It serves.
    Ready(Ready),
    /// The answer to a probe.
    Answer {
        /// The number of the probe.
        probe: u64,
        /// Why it does not work, where it does not.
        result: Result<(), String>,
    },
}

/// What a server that serves says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ready {
    /// The version of its program.
    pub version: String,
    /// Its servers, and where each listens.
    pub servers: Vec<(String, Vec<u16>)>,
}

impl Word {
    /// The line, with its end.
    pub fn line(&self) -> String {
        match self {
            Self::Ready(Ready { version, servers }) => {
                let server = |(name, ports): &(String, Vec<u16>)| {
                    let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
                    format!(" {name}={}", ports.join(","))
                };
                format!("ready {version}{}\n", servers.iter().map(server).collect::<String>())
            }
            Self::Answer { probe, result: Ok(()) } => format!("answer {probe}\n"),
            Self::Answer { probe, result: Err(why) } => {
                // A reason is one line and fits.
                let why: String = why.chars().filter(|c| !c.is_control()).take(LONGEST_LINE / 8).collect();
                format!("answer {probe} {why}\n")
            }
        }
    }

    /// Reads a line; `None` where it is none of these. Words of a later release may follow those that are known.
    pub fn read(line: &str) -> Option<Self> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "ready" => {
                let mut words = rest.split(' ');
                let version = words.next().unwrap_or_default().to_owned();
                let servers = words.map(server).collect::<Option<_>>()?;
                Some(Self::Ready(Ready { version, servers }))
            }
            "answer" => {
                let (probe, why) = rest.split_once(' ').unwrap_or((rest, ""));
                let result = if why.is_empty() { Ok(()) } else { Err(why.to_owned()) };
                Some(Self::Answer { probe: probe.parse().ok()?, result })
            }
            _ => None,
        }
    }
}

/// `<name>=<ports>`.
fn server(word: &str) -> Option<(String, Vec<u16>)> {
    let (name, ports) = word.split_once('=')?;
    let ports = ports.split(',').filter(|text| !text.is_empty()).map(str::parse);
    Some((name.to_owned(), ports.collect::<Result<_, _>>().ok()?))
}

/// Lines as they come in. [`Lines::next`] may be dropped at any time and loses nothing.
#[derive(Debug)]
pub struct Lines {
    from: OwnedReadHalf,
    held: Vec<u8>,
}

impl Lines {
    fn new(from: OwnedReadHalf) -> Self {
        Self { from, held: Vec::new() }
    }

    /// The next line without its end; `None`: the other side is gone, or says more than a line may hold.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.held.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.held.drain(..=at).collect();
                return Some(String::from_utf8_lossy(line.get(..at).unwrap_or_default()).into_owned());
            }
            if self.held.len() > LONGEST_LINE || self.from.read_buf(&mut self.held).await.ok()? == 0 {
                return None;
            }
        }
    }
}

/// One side of the talk, after the sockets were given.
///
/// # Errors
/// Where there is no runtime, or no descriptor left.
pub fn talk(stream: UnixStream) -> io::Result<(Lines, OwnedWriteHalf)> {
    stream.set_nonblocking(true)?;
    let (from, to) = tokio::net::UnixStream::from_std(stream)?.into_split();
    Ok((Lines::new(from), to))
}

/// The server's side.
#[derive(Debug)]
pub struct ToManager {
    lines: Lines,
    to: OwnedWriteHalf,
}

impl ToManager {
    /// On its end of the pair.
    ///
    /// # Errors
    /// As [`talk`].
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        let (lines, to) = talk(stream)?;
        Ok(Self { lines, to })
    }

    /// Says something.
    ///
    /// # Errors
    /// Where the manager is gone.
    pub async fn say(&mut self, word: &Word) -> io::Result<()> {
        self.to.write_all(word.line().as_bytes()).await
    }

    /// The number of the next probe and the server it asks for; `None`: the manager is gone. Lines that mean nothing
    /// here are passed over.
    pub async fn next_probe(&mut self) -> Option<(u64, String)> {
        loop {
            let line = self.lines.next().await?;
            let asked = line.strip_prefix("probe ").and_then(|rest| rest.split_once(' '));
            if let Some((number, server)) = asked
                && let Ok(number) = number.parse()
            {
                return Some((number, server.to_owned()));
            }
        }
    }
}

/// The end of the pair that a server was started with: its standard input.
///
/// # Errors
/// Where no descriptor is left.
pub fn of_standard_input() -> io::Result<UnixStream> {
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn its_10800_sockets_that_were_given_listen_on() {
        let (one, other) = UnixStream::pair().unwrap();
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let addresses = listeners.each_ref().map(|l| l.local_addr().unwrap());
        give(&one, &listeners.each_ref().map(|l| l.as_fd())).unwrap();
        // One that came before, and was not accepted, is not lost either.
        let early = TcpStream::connect(addresses[0]).unwrap();
        drop(listeners);
        let taken: Vec<TcpListener> = take(&other).unwrap().into_iter().map(TcpListener::from).collect();
        assert_eq!([0, 1, 2].map(|n: usize| taken[n].local_addr().unwrap()), addresses);
        assert_eq!(taken[0].accept().unwrap().1, early.local_addr().unwrap());
        assert!(TcpStream::connect(addresses[2]).is_ok());
    }

    #[test]
    fn none_and_too_many_sockets() {
        let (one, other) = UnixStream::pair().unwrap();
        give(&one, &[]).unwrap();
        assert!(take(&other).unwrap().is_empty());
        let sockets = vec![one.as_fd(); MOST_SOCKETS + 1];
        assert!(give(&one, &sockets).is_err());
        drop(one);
        assert!(take(&other).is_err(), "a manager that is gone");
    }

    #[test]
    fn words_are_read_as_they_were_said() {
        let ready = |servers: &[(&str, &[u16])]| {
            let servers = servers.iter().map(|(name, ports)| ((*name).to_owned(), ports.to_vec())).collect();
            Word::Ready(Ready { version: "0.1.0".into(), servers })
        };
        let no = Word::Answer { probe: 7, result: Err("port 25: refused".into()) };
        for word in [
            ready(&[]),
            ready(&[("mss", &[]), ("mta", &[25, 587])]),
            Word::Answer { probe: 1, result: Ok(()) },
            no,
        ] {
            assert_eq!(Word::read(word.line().trim_end()), Some(word));
        }
        for bad in ["", "ready 1 x", "ready 1 mta=x", "answer", "answer x", "readyish"] {
            assert_eq!(Word::read(bad), None, "{bad}");
        }
        let long = Word::Answer { probe: 1, result: Err(format!("a\nb{}", "é".repeat(9999))) }.line();
        assert!(long.len() < LONGEST_LINE && long.matches('\n').count() == 1);
    }

    #[tokio::test]
    async fn lines_come_whole_and_one_without_end_ends_the_talk() {
        let (one, other) = UnixStream::pair().unwrap();
        let ((_, mut to), (mut lines, _)) = (talk(one).unwrap(), talk(other).unwrap());
        to.write_all(b"a\nbc").await.unwrap();
        assert_eq!(lines.next().await.as_deref(), Some("a"));
        to.write_all(b"d\n").await.unwrap();
        assert_eq!(lines.next().await.as_deref(), Some("bcd"));
        to.write_all(&[b'x'; 2 * LONGEST_LINE]).await.unwrap();
        assert_eq!(lines.next().await, None);
    }
}
