//! The site folder, as commands see it: where its files are, how its host is called, what is configured.
//!
//! Nothing is created here. The daemon and its commands agree on the names of files by this module.

use anyhow::Context as _;
use catalog::tree::{Tree, check};
use control::configuration::Files;
use mail::id::HostName;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A site folder on this host.
#[derive(Debug, Clone)]
pub struct Site {
    folder: PathBuf,
    host: HostName,
}

impl Site {
    /// The site in this folder. Its host name is what `config/hostname` says (ITS 21719), never the system's.
    ///
    /// # Errors
    /// Where the folder is none, or `config/hostname` is there but cannot be read.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let folder =
            folder.canonicalize().with_context(|| format!("{} is not a site folder", folder.display()))?;
        anyhow::ensure!(folder.is_dir(), "{} is not a site folder", folder.display());
        let file = folder.join("config/hostname");
        let host = match std::fs::read_to_string(&file) {
            Ok(text) => HostName::new(text.lines().next().unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::NotFound => HostName::new(""),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        Ok(Self { folder, host })
    }

    /// The folder, absolute.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The logical name of this host.
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// `config/config.db` and what belongs to it.
    pub fn configuration_files(&self) -> Files {
        Files::in_folder(&self.folder.join("config"))
    }

    /// Where the shards of the message store are.
    pub fn store_folder(&self) -> PathBuf {
        self.folder.join("mss")
    }

    /// The socket on which the running daemon takes commands. Mode 0600.
    pub fn control_socket(&self) -> PathBuf {
        self.folder.join("run/control.sock")
    }

    /// Held by the running daemon as a [`control::lock_file::LockFile`], with its process id in it. Mode 0600
    /// (ITS 18571).
    pub fn pid_file(&self) -> PathBuf {
        self.folder.join("run/intermail.pid")
    }

    /// Held by the manager of this host while it runs, beside [`Site::pid_file`].
    pub fn manager_pid_file(&self) -> PathBuf {
        self.folder.join("run/immgrserv.pid")
    }

    /// Held by a server that is a process of its own.
    pub fn server_pid_file(&self, server: &str) -> PathBuf {
        self.folder.join(format!("run/{server}.pid"))
    }

    /// The control socket of a server that is a process of its own: its manager passes commands on to it.
    pub fn server_socket(&self, server: &str) -> PathBuf {
        self.folder.join(format!("run/{server}.sock"))
    }

    /// Where a server that is a process of its own is asked by the others of this host. Mode 0600.
    pub fn rme_socket(&self, server: &str) -> PathBuf {
        self.folder.join(format!("run/{server}.rme"))
    }

    /// What a daemon that was started in the background says before its logs are open.
    pub fn start_log(&self) -> PathBuf {
        self.folder.join("log/intermail.out")
    }

    /// What is configured now, with the successors of obsolete keys put in; empty where nothing is.
    ///
    /// # Errors
    /// Where `config.db` cannot be read, is too large, or has a line outside the grammar.
    pub fn configuration(&self) -> anyhow::Result<Tree> {
        let mut tree = control::configuration::read(&self.configuration_files().current)?;
        check::translate(&mut tree);
        Ok(tree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_16479_the_host_is_what_the_site_says() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Site::open(folder.path()).unwrap().host().as_str(), "localhost");
        std::fs::create_dir(folder.path().join("config")).unwrap();
        std::fs::write(folder.path().join("config/hostname"), "Venus\n").unwrap();
        assert_eq!(Site::open(folder.path()).unwrap().host().as_str(), "venus");
        assert!(Site::open(&folder.path().join("none")).is_err());
    }

    #[test]
    fn a_bad_line_is_named_with_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::open(folder.path()).unwrap();
        assert_eq!(site.configuration().unwrap(), Tree::default());
        std::fs::create_dir(folder.path().join("config")).unwrap();
        std::fs::write(site.configuration_files().current, "# fine\nbogus\n").unwrap();
        assert!(site.configuration().unwrap_err().to_string().contains("line 2: bogus"));
    }
}
