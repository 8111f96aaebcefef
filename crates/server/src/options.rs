//! The command line of the daemon: `intermail serve` and `intermail try`.

use crate::handover::Managed;
use crate::init::Init;
use crate::install::{self, Wanted};
use crate::lifecycle::{self, Alone, Plan};
use crate::newcomer;
use crate::supervisor;
use catalog::servers::SERVERS;
use clap::{Args, Parser, Subcommand};
use mail::id::HostName;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// An open, carrier-class mail platform.
#[derive(Parser)]
#[command(name = "intermail", version, after_help = AFTER_HELP)]
struct Options {
    #[command(subcommand)]
    verb: Verb,
}

const AFTER_HELP: &str = "\
Examples:
  intermail try                           a mail system to play with, in one command
  intermail serve --site /var/lib/imail   serve what the site's configuration asks for
  intermail init --site /var/lib/imail --host venus --roles all
                                          make the first host of a site
  intermail invite --site /var/lib/imail mars --roles mss
                                          make the invitation of a second host
  intermail manage --site /var/lib/imail  the same as a process that is watched and begun again
  intermail imdbcontrol la                any administrative command (imcmdlist lists them)

Every administrative command is also a program of its own: link its name to this one.";

#[derive(Subcommand)]
enum Verb {
    /// Serve a site: the servers that its configuration asks for, in this process.
    Serve(Serve),
    /// Manage a site (immgrserv): run the servers that its configuration asks for as a process that is watched.
    Manage(Manage),
    /// Make (or reopen) a site to play with, on loopback ports, and serve it until Ctrl-C.
    Try(Try),
    /// Make this a host of a site: the first one, or with --join the one that an invitation is for.
    Init(Init),
    /// Let another host join the site: names it in the configuration and writes its invitation. Runs where `init` ran.
    Invite(Invite),
}

#[derive(Args)]
struct Invite {
    /// The site folder; without it $INTERMAIL names it.
    #[arg(long, value_name = "DIR", env = "INTERMAIL")]
    site: PathBuf,
    /// The logical name of the new host.
    #[arg(value_name = "HOST")]
    host: String,
    /// Where the invitation goes; else HOST.invitation.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    wish: Wish,
}

/// What a host is to be.
#[derive(Args)]
pub(crate) struct Wish {
    /// The servers of the host, or `all`.
    #[arg(long, value_name = "SERVER", value_delimiter = ',')]
    pub(crate) roles: Vec<String>,
    /// The address or name by which the other hosts reach it; else its logical name.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Option<String>,
    /// A further entry of the configuration; may be given several times.
    #[arg(long, value_name = "/HOST/SERVER/KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

impl Wish {
    /// For the host of this name.
    pub(crate) fn of(self, host: &str) -> Wanted {
        let all = self.roles.iter().any(|name| name.eq_ignore_ascii_case("all"));
        let servers = match all {
            true => SERVERS.iter().map(|s| s.name.to_owned()).collect(),
            false => self.roles,
        };
        Wanted { host: HostName::new(host), servers, address: self.address, set: self.set }
    }
}

#[derive(Args)]
struct Serve {
    /// The site folder; without it $INTERMAIL names it.
    #[arg(long, value_name = "DIR", env = "INTERMAIL")]
    site: PathBuf,
    /// Of the servers with ports for clients, serve these only; directory, store and queue come with them where this host
    /// has them.
    #[arg(long, value_name = "SERVER", value_delimiter = ',')]
    roles: Vec<String>,
    /// Serve these and nothing else: the rest of this host is in other processes, and is asked there.
    #[arg(long, value_name = "SERVER", value_delimiter = ',', conflicts_with = "roles")]
    only: Vec<String>,
    /// Become this user once the ports are open.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Take the ports from the manager at the standard input, tell it what happens, and end with it. The name is that
    /// of this process.
    #[arg(long, hide = true, value_name = "NAME")]
    managed: Option<String>,
}

#[derive(Args)]
struct Manage {
    /// The site folder; without it $INTERMAIL names it.
    #[arg(long, value_name = "DIR", env = "INTERMAIL")]
    site: PathBuf,
    /// Start these only; the others when they are asked for.
    #[arg(long, value_name = "SERVER", value_delimiter = ',')]
    roles: Vec<String>,
    /// Become this user once the ports are open; all servers run as this user.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

#[derive(Args)]
struct Try {
    /// The site folder: made if it is not there, kept afterwards.
    #[arg(long, value_name = "DIR", default_value = "intermail-try")]
    site: PathBuf,
    /// Added to every standard port: SMTP is on base+25, IMAP on base+143.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..=64_000))]
    base_port: u16,
    /// An account to make, in place of the two of its own; may be given several times.
    #[arg(long = "account", value_name = "USER@DOMAIN:PASSWORD")]
    accounts: Vec<String>,
}

/// Runs the daemon with this command line, program name first.
pub fn main(line: Vec<OsString>) -> ExitCode {
    let options = Options::try_parse_from(by_name(line)).unwrap_or_else(|error| error.exit());
    let ended = match options.verb {
        Verb::Serve(serve) => serve.run(),
        Verb::Manage(manage) => supervisor::run(&manage.plan()),
        Verb::Try(wish) => newcomer::run(&wish.site, wish.base_port, &wish.accounts),
        Verb::Init(init) => init.run(),
        Verb::Invite(Invite { site, host, out, wish }) => {
            let wanted = wish.of(&host);
            let out = out.unwrap_or_else(|| install::invitation_file(&wanted.host));
            install::invite(&site, &wanted, &out)
                .map(|done| done.iter().for_each(|line| println!("intermail: {line}")))
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("intermail: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Serve {
    fn run(self) -> anyhow::Result<()> {
        let managed = self.managed.as_deref().map(Managed::begin).transpose()?;
        let (servers, alone) = match self.only.is_empty() {
            true => (self.roles, Alone::No),
            false => (self.only, Alone::Yes),
        };
        lifecycle::run(&Plan { site: self.site, servers, alone, user: self.user }, managed, None)
    }
}

impl Manage {
    fn plan(self) -> Plan {
        Plan { site: self.site, servers: self.roles, alone: Alone::No, user: self.user }
    }
}

/// Under its recorded name the program is the manager.
fn by_name(mut line: Vec<OsString>) -> Vec<OsString> {
    let name = line.first().and_then(|name| Path::new(name).file_name());
    if name.is_some_and(|name| name == "immgrserv") {
        line.insert(1, "manage".into());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn immgrserv_is_the_manager() {
        let line = ["/usr/sbin/immgrserv", "--site", "/a"].map(OsString::from).to_vec();
        let Verb::Manage(manage) = Options::try_parse_from(by_name(line)).unwrap().verb else {
            panic!("not it")
        };
        assert_eq!(manage.site, Path::new("/a"));
    }

    #[test]
    fn try_takes_several_accounts() {
        let line = ["intermail", "try", "--account", "a@b:c", "--account", "d@e:f"];
        let Verb::Try(wish) = Options::try_parse_from(line).unwrap().verb else { panic!("not try") };
        assert_eq!(wish.accounts.len(), 2);
        assert_eq!(wish.base_port, 10_000);
    }
}
