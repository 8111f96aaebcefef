//! A server of this host as a process of its own: how it is begun, and the sockets that it is given.
//!
//! The sockets belong to the manager, those for clients and those by which the servers ask each other: they stay open while
//! one process follows the other. The configuration is read anew for each process.

use crate::folder;
use crate::ports::{self, Doors, Held, NoPorts};
use admin::site::Site;
use catalog::keys::common::RUN_DIR;
use catalog::servers::Server;
use control::manager::child::Launch;
use control::manager::unit::{Handing, Recipe};
use control::topology::Topology;
use env::Env;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// See the module.
pub(crate) struct Process {
    server: &'static Server,
    site: Arc<Site>,
    program: PathBuf,
    held: Mutex<Held>,
    env: Env,
}

impl Process {
    /// Of this program; the sockets are those that are open already.
    pub(crate) fn new(
        server: &'static Server,
        site: &Arc<Site>,
        program: PathBuf,
        held: Held,
        env: &Env,
    ) -> Self {
        let (site, held, env) = (Arc::clone(site), Mutex::new(held), env.for_server(server.name));
        Self { server, site, program, held, env }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that it listens on, as the configuration has it now: what is held stays, what is new is opened, and what is not
    /// wanted any more is closed.
    fn open(&self) -> Result<Held, NoPorts> {
        let mut before = self.held().share();
        let topology = Topology::of(&self.env.settings.tree(), self.site.host());
        let port = topology.own().port(self.server);
        let doors = Doors::of_process(&self.site, &topology, self.server.name, port).open(&mut before)?;
        let ports = ports::bind(&self.site, &self.env.settings, self.server, before)?;
        let mut held = Held::of(&ports);
        held.add(&doors);
        Ok(held)
    }
}

impl Recipe for Process {
    fn name(&self) -> &'static str {
        self.server.name
    }

    fn launch(&self) -> Launch {
        let name = self.server.name;
        let folder = folder::run_folder(&self.site, name, &self.env.settings.get(RUN_DIR));
        let folder = if folder.is_dir() { folder } else { self.site.folder().to_owned() };
        let arguments = ["serve", "--managed", name, "--only", name, "--site"].map(OsString::from);
        let site = self.site.folder().as_os_str().to_owned();
        Launch {
            program: self.program.clone(),
            name: "intermail".into(),
            arguments: arguments.into_iter().chain([site]).collect(),
            errors: folder.join("stderr"),
            folder,
        }
    }

    fn sockets(&self) -> Result<Vec<OwnedFd>, String> {
        let held = self.open().map_err(|error| {
            error.tell(&self.env.log);
            error.to_string()
        })?;
        let given = held.share().into_sockets();
        *self.held() = held;
        Ok(given)
    }

    fn handing(&self) -> Handing {
        handing(self.server)
    }

    fn close(&self) {
        *self.held() = Held::default();
    }
}

/// Servers that speak with clients keep nothing in files: the next process serves before the last one has drained. The
/// others have files that one process alone may have.
fn handing(server: &Server) -> Handing {
    if server.ports.is_empty() { Handing::After } else { Handing::Beside }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::servers::SERVERS;

    #[test]
    fn those_who_speak_with_clients_are_restarted_beside_themselves() {
        let beside = SERVERS.iter().filter(|server| handing(server) == Handing::Beside);
        assert_eq!(beside.map(|server| server.name).collect::<Vec<_>>(), ["mta", "popserv", "imapserv"]);
    }

    #[tokio::test]
    async fn sockets_outlive_the_process_they_are_given_to_until_it_is_told_to_stop() {
        let folder = tempfile::tempdir().unwrap();
        let site = Arc::new(crate::folder::create(folder.path(), "venus").unwrap());
        let env = Env::for_test("immgrserv");
        let mss = catalog::servers::find("mss").unwrap();
        let process = Process::new(mss, &site, "/bin/false".into(), Held::default(), &env);
        let reach = || async { net::local::connect(&site.rme_socket("mss")).await.is_ok() };
        assert!(!reach().await);
        // A site of one host has no port for others: one socket, by its path.
        let first = process.sockets().unwrap();
        assert_eq!(first.len(), 1);
        drop(first);
        assert!(reach().await, "the manager has it still");
        drop(process.sockets().unwrap());
        assert!(reach().await);
        process.close();
        assert!(!reach().await);
    }
}
