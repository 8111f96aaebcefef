//! Sockets in a folder, for the processes of one host and one user: no port, no certificate, no way in from elsewhere.
//!
//! Who may connect is the file system's to say: a socket has mode 0600 from its first moment, and [`is_ours`] tells of a
//! connection whether it comes from the same user or root. What is said over it is the caller's matter.

use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

/// Longest path that fits into the address of a Unix socket.
const MAX_PATH: usize = 100;

/// Makes a socket that listens, mode 0600. One that a dead process left behind is replaced; that no living one has it
/// is the caller's to know.
///
/// # Errors
/// Where the folder is not there or not writable.
pub fn bind(socket: &Path) -> io::Result<UnixListener> {
    let made = while_made(socket);
    match std::fs::remove_file(&made) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let near = Near::of(&made)?;
    let listener = UnixListener::bind(near.path())?;
    std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&made, socket)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Whether this is the listener that [`bind`] made at a path of this name, in whatever folder.
pub fn is_bound_to(listener: &UnixListener, socket: &Path) -> bool {
    let bound = listener.local_addr().ok();
    // A socket knows the name under which it was made, not the one it was given.
    let bound = bound.as_ref().and_then(|address| address.as_pathname()?.file_name());
    bound.is_some() && bound == while_made(socket).file_name()
}

/// The name of a socket before anybody may find it.
fn while_made(socket: &Path) -> PathBuf {
    let mut name = socket.as_os_str().to_owned().into_vec();
    name.extend_from_slice(b".new");
    PathBuf::from(std::ffi::OsString::from_vec(name))
}

/// Connects to a socket.
///
/// # Errors
/// Where nobody listens there, or this user may not connect.
pub async fn connect(socket: &Path) -> io::Result<UnixStream> {
    let near = Near::of(socket)?;
    UnixStream::connect(near.path()).await
}

/// Whether the other side is of the same user, or root.
pub fn is_ours(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

/// A path to a socket that fits into a socket's address, however deep its folder lies.
struct Near {
    path: PathBuf,
    /// Keeps the shortened path valid.
    _folder: Option<OwnedFd>,
}

impl Near {
    /// Shortens the path where it has to be, by way of an open descriptor of its folder.
    fn of(socket: &Path) -> io::Result<Self> {
        let (Some(folder), Some(name)) = (socket.parent(), socket.file_name()) else {
            return Ok(Self { path: socket.to_owned(), _folder: None });
        };
        if socket.as_os_str().len() <= MAX_PATH {
            return Ok(Self { path: socket.to_owned(), _folder: None });
        }
        let folder: OwnedFd = std::fs::File::open(folder)?.into();
        let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
        Ok(Self { path, _folder: Some(folder) })
    }

    /// The path, valid as long as this value lives.
    fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_private_replaces_a_dead_one_and_is_known_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        // Too long for an address.
        let deep = folder.path().join("x".repeat(90)).join("y".repeat(90));
        std::fs::create_dir_all(&deep).unwrap();
        for path in [folder.path().join("mss.rme"), deep.join("mss.rme")] {
            drop(bind(&path).unwrap());
            assert_eq!(connect(&path).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
            let listener = bind(&path).unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert!(is_bound_to(&listener, &path));
            assert!(!is_bound_to(&listener, &path.with_file_name("mta.rme")));
            assert!(is_ours(&connect(&path).await.unwrap()));
        }
        let nowhere = connect(&folder.path().join("none")).await.unwrap_err();
        assert_eq!(nowhere.kind(), ErrorKind::NotFound);
    }
}
