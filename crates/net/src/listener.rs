//! Accepting connections: counted in all and per address, each in a task of its own.

use crate::connection::Connection;
use crate::tls::ServerTls;
use catalog::events::nio::NioAcceptFail;
use catalog::metrics::{CONNECTIONS, CONNECTIONS_REFUSED, SESSIONS};
use env::Env;
use rustix::process::{Resource, getrlimit};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Pause after a failed accept (no descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// File descriptors that no connection is given, or a quarter of all where that is less.
const KEPT_FOR_FILES: u64 = 512;
/// Waiting connections that the kernel keeps for us.
const BACKLOG: i32 = 1024;

/// A protocol as a listener sees it.
pub trait Protocol: Send + Sync {
    /// Serves one client until it leaves or the process ends.
    fn serve<'a>(&'a self, connection: Connection) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

    /// Whether one more client from this address may come in; where not, what to tell it.
    fn admit(&self, peer: IpAddr, count: Count) -> Result<(), &'static [u8]>;
}

/// Connections that a listener holds, the new one included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// From this address.
    pub from_peer: usize,
    /// From all addresses.
    pub in_all: usize,
}

/// A bound socket that does not accept yet.
pub struct Listener {
    socket: TcpListener,
    implicit_tls: Option<Arc<ServerTls>>,
}

impl Listener {
    /// Binds. With `implicit_tls` every connection begins with a handshake.
    ///
    /// # Errors
    /// What the system said: in use, not allowed, no such address.
    pub fn bind(address: SocketAddr, implicit_tls: Option<Arc<ServerTls>>) -> io::Result<Self> {
        use socket2::{Domain, Protocol, Socket, Type};
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Self::over(socket.into(), implicit_tls)
    }

    /// Over a socket that listens already: one that another listener has shared. Who comes meanwhile waits in its line.
    ///
    /// # Errors
    /// What the system said.
    pub fn over(socket: std::net::TcpListener, implicit_tls: Option<Arc<ServerTls>>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket: TcpListener::from_std(socket)?, implicit_tls })
    }

    /// The same socket once more: the port stays open until the last of them is dropped.
    ///
    /// # Errors
    /// Where no file descriptor is left.
    pub fn share(&self) -> io::Result<std::net::TcpListener> {
        Ok(self.socket.as_fd().try_clone_to_owned()?.into())
    }

    /// Where it listens: of interest where the port was 0.
    ///
    /// # Errors
    /// What the system said.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until the process is to end. Sessions go on in tasks of their own.
    pub async fn run(self, env: Env, protocol: Arc<dyn Protocol>) {
        let mut stopping = env.tasks.stopping();
        let gate = Arc::new(Gate::default());
        let tls = self.implicit_tls;
        loop {
            let accepted = tokio::select! {
                () = stopping.wait() => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted.and_then(with_room) {
                Ok((socket, peer)) => admit(&env, &gate, &protocol, tls.as_ref(), socket, peer.ip()),
                Err(error) => {
                    env.log.emit(&NioAcceptFail { error });
                    env.clock.sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Lets a connection go where few file descriptors are left: they are for the files of those who are in already.
fn with_room((socket, peer): (TcpStream, SocketAddr)) -> io::Result<(TcpStream, SocketAddr)> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // The system gives the lowest number that is free.
    if is_spare(u64::try_from(socket.as_raw_fd()).unwrap_or(0), limit) {
        Ok((socket, peer))
    } else {
        Err(io::Error::other("the last file descriptors are kept for files"))
    }
}

fn is_spare(descriptor: u64, limit: u64) -> bool {
    descriptor < limit - (limit / 4).min(KEPT_FOR_FILES)
}

/// Counts the connection in and gives it a task, or tells it why not.
fn admit(
    env: &Env,
    gate: &Arc<Gate>,
    protocol: &Arc<dyn Protocol>,
    tls: Option<&Arc<ServerTls>>,
    socket: TcpStream,
    peer: IpAddr,
) {
    let (pass, server) = (gate.enter(peer), [env.settings.server()]);
    if let Err(refusal) = protocol.admit(peer, pass.count) {
        // A refusal is short: it fits into the socket or is not worth waiting for.
        let _ = socket.try_write(refusal);
        env.metrics.add_as(CONNECTIONS_REFUSED, &server, 1);
        return;
    }
    let Ok(mut connection) = Connection::new(socket) else { return };
    connection.count_bytes(env);
    env.metrics.add_as(CONNECTIONS, &server, 1);
    let inside = env.metrics.enter(SESSIONS, &server);
    let (protocol, tls) = (Arc::clone(protocol), tls.cloned());
    env.tasks.spawn(async move {
        let _counted = (pass, inside);
        if let Some(tls) = tls
            && connection.start_tls(tls.config()).await.is_err()
        {
            return;
        }
        protocol.serve(connection).await;
    });
}

/// Who is in.
#[derive(Default)]
struct Gate(Mutex<Inside>);

#[derive(Default)]
struct Inside {
    by_peer: HashMap<IpAddr, usize>,
    in_all: usize,
}

struct Pass {
    gate: Arc<Gate>,
    peer: IpAddr,
    count: Count,
}

impl Gate {
    fn enter(self: &Arc<Self>, peer: IpAddr) -> Pass {
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inside.in_all += 1;
        let in_all = inside.in_all;
        let from_peer = inside.by_peer.entry(peer).or_default();
        *from_peer += 1;
        Pass { gate: Arc::clone(self), peer, count: Count { from_peer: *from_peer, in_all } }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.gate.0.lock().unwrap_or_else(PoisonError::into_inner);
        inside.in_all -= 1;
        if let Some(n) = inside.by_peer.get_mut(&self.peer) {
            *n -= 1;
            if *n == 0 {
                inside.by_peer.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::metrics::SENT_BYTES;
    use tokio::io::AsyncReadExt;

    struct Echo;

    impl Protocol for Echo {
        fn serve<'a>(&'a self, mut connection: Connection) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
            Box::pin(async move {
                connection.output().extend_from_slice(b"hello\r\n");
                let _ = connection.flush().await;
                let _ = connection.fill(Duration::from_secs(10)).await;
            })
        }

        fn admit(&self, _peer: IpAddr, count: Count) -> Result<(), &'static [u8]> {
            if count.from_peer > 1 { Err(b"too many\r\n") } else { Ok(()) }
        }
    }

    async fn greeting(address: SocketAddr) -> (TcpStream, String) {
        let mut client = TcpStream::connect(address).await.unwrap();
        let mut line = vec![0; 64];
        let n = client.read(&mut line).await.unwrap();
        (client, String::from_utf8_lossy(&line[..n]).into_owned())
    }

    #[tokio::test]
    async fn counts_are_exact_and_come_back() {
        let env = Env::for_test("mta");
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), None).unwrap();
        let address = listener.address().unwrap();
        env.tasks.spawn(listener.run(env.clone(), Arc::new(Echo)));
        let (first, hello) = greeting(address).await;
        assert_eq!(hello, "hello\r\n");
        assert_eq!(greeting(address).await.1, "too many\r\n");
        let refused = env.metrics.value(CONNECTIONS_REFUSED.0, &["mta"]);
        assert_eq!((env.metrics.value(SESSIONS.0, &["mta"]), refused), (1, 1));
        assert_eq!(env.metrics.value(SENT_BYTES.0, &["mta"]), 7);
        drop(first);
        for _ in 0..500 {
            if greeting(address).await.1 == "hello\r\n" {
                assert_eq!(env.tasks.drain(Duration::from_secs(5)).await, 0);
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("the place was never free again");
    }
}
