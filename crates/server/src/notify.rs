//! Tells the service manager of the system (systemd, `Type=notify`) how far we are, where there is one.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Everything that is to serve does.
    Ready,
    /// The end has begun.
    Stopping,
}

/// Tells it. That nobody wants to know, or that it cannot be told, changes nothing.
pub(crate) fn tell(state: State) {
    if let Ok(address) = std::env::var("NOTIFY_SOCKET") {
        // Nothing depends on it: the system waits for its own time then.
        let _ = tell_at(&address, state);
    }
}

/// `sd_notify(3)`: a datagram to the named socket; `@` stands for a name without a file.
fn tell_at(address: &str, state: State) -> std::io::Result<()> {
    let address = match address.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    let text = match state {
        State::Ready => "READY=1",
        State::Stopping => "STOPPING=1",
    };
    UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_socket_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("intermail-test-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
        let sockets = [UnixDatagram::bind(&path).unwrap(), UnixDatagram::bind_addr(&abstract_name).unwrap()];
        for (socket, address) in sockets.iter().zip([path.display().to_string(), format!("@{name}")]) {
            tell_at(&address, State::Ready).unwrap();
            tell_at(&address, State::Stopping).unwrap();
            let mut text = [0; 32];
            let mut next = || socket.recv(&mut text).map(|n| text[..n].to_vec()).unwrap();
            assert_eq!((next(), next()), (b"READY=1".to_vec(), b"STOPPING=1".to_vec()));
        }
    }
}
