//! The command line of the daemon: `intermail serve` and `intermail try`.

use crate::lifecycle::{self, Alone, Plan};
use crate::newcomer;
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
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
  intermail imdbcontrol la                any administrative command (imcmdlist lists them)

Every administrative command is also a program of its own: link its name to this one.";

#[derive(Subcommand)]
enum Verb {
    /// Serve a site: the servers that its configuration asks for, in this process.
    Serve(Serve),
    /// Make (or reopen) a site to play with, on loopback ports, and serve it until Ctrl-C.
    Try(Try),
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
    let options = Options::try_parse_from(line).unwrap_or_else(|error| error.exit());
    let ended = match options.verb {
        Verb::Serve(serve) => {
            let (servers, alone) = match serve.only.is_empty() {
                true => (serve.roles, Alone::No),
                false => (serve.only, Alone::Yes),
            };
            lifecycle::run(&Plan { site: serve.site, servers, alone, user: serve.user }, None)
        }
        Verb::Try(wish) => newcomer::run(&wish.site, wish.base_port, &wish.accounts),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("intermail: {error:#}");
            ExitCode::FAILURE
        }
    }
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
    fn try_takes_several_accounts() {
        let line = ["intermail", "try", "--account", "a@b:c", "--account", "d@e:f"];
        let Verb::Try(wish) = Options::try_parse_from(line).unwrap().verb else { panic!("not try") };
        assert_eq!(wish.accounts.len(), 2);
        assert_eq!(wish.base_port, 10_000);
    }
}
