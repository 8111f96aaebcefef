//! `immgrserv`, the manager of a host: its servers as processes that are begun, watched and begun again.
//!
//! Promises: it opens all ports for clients first (as root where need be), becomes the user, and only then begins the
//! processes, one for each server, in start order. It answers the control socket of the site: commands about servers
//! itself, all others through a server; and it answers for its host to the servers and to other hosts (`rmePort`). It has
//! the site as long as it runs, like a daemon with everything in one process, so that the two exclude each other. What
//! keeps the processes running is `control::manager`, what they are is [`crate::process`], how commands see them is
//! [`crate::host_manager`]; what a process does with what it is given is [`crate::handover`].

use crate::doors::{self, Offer};
use crate::folder;
use crate::host_manager::HostManager;
use crate::identity;
use crate::lifecycle::{self, Plan, Signals, best_for_commands};
use crate::notify::{self, State};
use crate::owners::Owners;
use crate::partners::{MANAGER, Partners};
use crate::ports::{Doors, Held};
use crate::process::Process;
use crate::rights;
use crate::sites::SiteHosts;
use crate::surroundings::Surroundings;
use admin::command::{Command, Group};
use admin::control_socket::{self, Behind, Served};
use admin::site::Site;
use anyhow::Context as _;
use catalog::events::proc::ProcSetuidSucceed;
use catalog::servers::Server;
use control::configuration;
use control::lock_file::LockFile;
use control::manager::host::Host;
use control::manager::unit::Unit;
use control::monitor::{self, Gathered, Page, Pages, Sources};
use env::Env;
use env::settings::Settings;
use roles::manager::ServerState;
use roles::probe::Probe;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Sockets that were opened before the rights were given up, by server.
type Opened = HashMap<&'static str, Held>;

/// Manages the host until a signal ends it.
///
/// # Errors
/// Where the site is another's, its configuration is not usable, or a port cannot be opened.
pub(crate) fn run(plan: &Plan) -> anyhow::Result<()> {
    let site = folder::create(&plan.site, "localhost")?;
    let lock = folder::lock(&site)?;
    let own_lock =
        LockFile::take(&site.manager_pid_file()).context("cannot write the pid file of the manager")?;
    // Found once: after an upgrade this name means the new program, and that is what is to be begun.
    let program = std::env::current_exe().context("cannot find the program of the servers")?;
    let tree = configuration::load(&site.configuration_files())?.tree;
    let settings = Settings::new(site.host().as_str(), "common", tree);
    let wanted = lifecycle::wanted(&settings, &plan.servers)?;
    lifecycle::raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let ended = runtime.block_on(async {
        let open = |server: &&'static Server| {
            let ports = lifecycle::bind(&site, &settings, server, Held::default())?;
            Ok((server.name, Held::of(&ports)))
        };
        let opened = wanted.iter().map(open).collect::<anyhow::Result<Opened>>()?;
        let user = plan.user.as_ref().map(|user| rights::become_user(&site, user)).transpose()?;
        let surroundings = Surroundings::new(&site, MANAGER)?;
        if let Some(user) = user {
            surroundings.env.log.emit(&ProcSetuidSucceed { uid: user.uid, gid: user.gid });
        }
        manage(Arc::new(site), &surroundings, program, (wanted, opened)).await
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    drop((lock, own_lock));
    ended
}

async fn manage(
    site: Arc<Site>,
    surroundings: &Surroundings,
    program: PathBuf,
    (wanted, mut opened): (Vec<&'static Server>, Opened),
) -> anyhow::Result<()> {
    let env = surroundings.env.for_server(MANAGER);
    lifecycle::log_panics(&env.log);
    env.tasks.spawn(configuration::follow(Arc::clone(&surroundings.configuration), env.clone()));
    identity::of_lone_host(&site, &env.settings)?;
    let partners = Partners::of(&site, &env);
    partners.follow_configuration(&env);
    let unit = |server: &&'static Server| {
        let held = opened.remove(server.name).unwrap_or_default();
        Unit::new(Arc::new(Process::new(server, &site, program.clone(), held, &env)), &env)
    };
    let host = Host::new(wanted.iter().map(unit).collect());
    let manager = HostManager::new(host.clone(), env.clone(), Arc::clone(&surroundings.configuration));
    // Before the servers: some of them ask it.
    open_doors(&site, &env, &partners, &manager).await?;
    let mut signals = Signals::listen()?;
    let early = tokio::select! {
        failed = host.start_all() => {
            failed.iter().for_each(|why| eprintln!("{MANAGER}: {why}"));
            false
        }
        () = signals.wait() => true,
    };
    if !early {
        monitor::start(&env);
        monitor::show(&env, page(&env, &partners, &manager)).await;
        let socket =
            control_socket::bind(&site.control_socket()).context("cannot make the control socket")?;
        let owners = Owners::elsewhere(&site, &env, &partners);
        Arc::clone(&owners).follow();
        let hosts = SiteHosts::new(site.host().clone(), None, &owners, &partners, &env);
        let roles = behind(&site, &manager, hosts);
        let (site, commands, tasks) = (Arc::clone(&site), admin::commands::ALL, env.tasks.clone());
        env.tasks.spawn(control_socket::serve(socket, Served { site, roles, commands, tasks }));
        notify::tell(State::Ready);
        signals.wait().await;
    }
    notify::tell(State::Stopping);
    // Whoever asks for the manager from now on hears that there is none.
    let _ = std::fs::remove_file(site.control_socket());
    // A start that is under way ends here; the servers that run do not hear of it.
    env.tasks.stop();
    host.stop_all().await;
    drop((host, manager));
    env.tasks.drain(Duration::from_secs(1)).await;
    Ok(())
}

/// Lets the servers of this host ask the manager, and other hosts as soon as the site has any.
async fn open_doors(
    site: &Arc<Site>,
    env: &Env,
    partners: &Arc<Partners>,
    manager: &HostManager,
) -> anyhow::Result<()> {
    let served = rpc::serve::Served { manager: Some(Arc::new(manager.clone())), ..Default::default() };
    let (run_dir, own_env) = (site.folder().join("tmp"), env.clone());
    let offer = move |doors| {
        let (env, run_dir, served, served_here) =
            (own_env.clone(), run_dir.clone(), served.clone(), served.clone());
        vec![Offer { env, doors, run_dir, served, served_here }]
    };
    let all = {
        let (site, partners) = (Arc::clone(site), Arc::clone(partners));
        move || {
            let topology = partners.topology();
            Doors::of_process(&site, &topology, MANAGER, topology.own().manager_port())
        }
    };
    let doors = all();
    let is_alone = doors.port.is_none();
    doors::open(env, partners, offer(doors), Held::default()).await?;
    if is_alone {
        let (env, partners) = (env.clone(), Arc::clone(partners));
        let tasks = env.tasks.clone();
        tasks.spawn(async move {
            let (mut stopping, mut changed) = (env.tasks.stopping(), env.settings.watch());
            loop {
                tokio::select! {
                    () = stopping.wait() => return,
                    told = changed.changed() => if told.is_err() { return },
                }
                let doors = all();
                if doors.port.is_some() {
                    // Where it cannot be opened the log says so; other hosts do not reach this manager then.
                    let _ =
                        doors::open(&env, &partners, offer(Doors { local: None, ..doors }), Held::default())
                            .await;
                    return;
                }
            }
        });
    }
    Ok(())
}

/// The metrics of the whole host.
fn page(env: &Env, partners: &Arc<Partners>, manager: &HostManager) -> Arc<dyn Page> {
    let own: Arc<dyn Page> = Arc::new(Pages::new(env.clone(), Sources::default()));
    let (asking, partners, manager) = (env.clone(), Arc::clone(partners), manager.clone());
    let parts = move || {
        let running = |name: &str| manager.state(name) == ServerState::Running;
        let all = partners.processes(&asking).into_iter().filter(|(name, _)| running(name));
        all.map(|(name, remote)| (name.to_owned(), Arc::new(remote) as Arc<dyn Probe>)).collect()
    };
    Arc::new(Gathered::new(env.clone(), (MANAGER, own), Arc::new(parts)))
}

/// What commands run over: servers are this process's matter, all else is a server's.
fn behind(site: &Arc<Site>, manager: &HostManager, hosts: SiteHosts) -> Behind {
    let (site, managed) = (Arc::clone(site), manager.clone());
    let whom = move |row: &Command| {
        let runs = |server: &str| managed.state(server) == ServerState::Running;
        let server = server_for(row.group, runs)?;
        Some(site.server_socket(server))
    };
    Behind::Processes { manager: Arc::new(manager.clone()), hosts: Arc::new(hosts), whom: Arc::new(whom) }
}

/// The server that is to run a command, of those that run.
fn server_for(group: Group, runs: impl Fn(&str) -> bool) -> Option<&'static str> {
    const CONFIGURATION: &str = "imconfserv";
    match group {
        // Changes are tried, and what is tried is watched, by the configuration server itself.
        Group::Configuration if runs(CONFIGURATION) => Some(CONFIGURATION),
        _ => best_for_commands(runs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_goes_to_the_process_that_can_carry_it_out() {
        let all = |_: &str| true;
        assert_eq!(server_for(Group::Configuration, all), Some("imconfserv"));
        assert_eq!(server_for(Group::Mailboxes, all), Some("mss"));
        assert_eq!(server_for(Group::Configuration, |server| server == "mta"), Some("mta"));
        assert_eq!(server_for(Group::Backup, |server| server != "mss"), Some("imdircacheserv"));
        assert_eq!(server_for(Group::Monitoring, |_| false), None);
    }
}
