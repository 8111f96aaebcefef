//! `intermail init`: asks a person at a terminal for what the command line leaves open, shows how the machine looks and what
//! would be done, and does it. Without a terminal it asks nothing and does what it was told.

use crate::install::{self, Outlook, Wanted};
use crate::options::Wish;
use crate::preflight::{Check, Outcome};
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

/// The command line.
#[derive(Args)]
pub(crate) struct Init {
    /// The site folder: made if it is not there.
    #[arg(long, value_name = "DIR", env = "INTERMAIL")]
    site: PathBuf,
    /// The invitation of this host.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["host", "roles", "address", "set", "domain"])]
    join: Option<PathBuf>,
    /// The logical name of this host; asked for at a terminal.
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// The mail domain of addresses without one.
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    #[command(flatten)]
    wish: Wish,
    /// Look at this machine and say what would be done; do nothing.
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run, as JSON.
    #[arg(long, requires = "dry_run")]
    json: bool,
    /// Ask nothing, also at a terminal.
    #[arg(long, short)]
    yes: bool,
}

impl Init {
    /// Does it.
    ///
    /// # Errors
    /// Says what is missing, what stands against it, or what went wrong.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if let Some(file) = self.join.clone() {
            return self.join(&file);
        }
        let attended = !self.yes && !self.dry_run && std::io::stdin().is_terminal();
        let (site, dry_run, json) = (self.site.clone(), self.dry_run, self.json);
        let wanted = match (attended, &self.host) {
            (true, None) => self.ask(&mut std::io::stdin().lock(), &mut std::io::stdout())?,
            (false, None) => bail!("--host says the name of this host"),
            (_, Some(_)) => self.wanted(),
        };
        let outlook = install::plan(&site, &wanted)?;
        if json {
            println!("{:#}", as_json(&outlook));
        } else {
            show(&outlook);
        }
        if dry_run {
            return Ok(());
        }
        stop_where_bad(&outlook.checks)?;
        if attended && !outlook.steps.is_empty() {
            let go = ask(&mut std::io::stdin().lock(), &mut std::io::stdout(), "Go on", "yes")?;
            ensure!(go.to_lowercase().starts_with('y'), "nothing was done");
        }
        let done = install::init(&site, &wanted)?;
        match done.len() {
            0 => println!("intermail: everything is so already"),
            done => println!(
                "intermail: done, {done} changes; start it: intermail serve --site {}",
                site.display()
            ),
        }
        Ok(())
    }

    fn join(self, file: &Path) -> anyhow::Result<()> {
        let checks = install::plan_to_join(&self.site, file)?;
        let outlook = Outlook { steps: Vec::new(), checks };
        if self.json {
            println!("{:#}", as_json(&outlook));
        } else {
            show(&outlook);
        }
        if self.dry_run {
            return Ok(());
        }
        stop_where_bad(&outlook.checks)?;
        install::join(&self.site, file)?.iter().for_each(|line| println!("intermail: {line}"));
        Ok(())
    }

    /// What the command line says.
    fn wanted(self) -> Wanted {
        let host = self.host.unwrap_or_default();
        let mut wanted = self.wish.of(&host);
        wanted.set.extend(self.domain.map(|domain| format!("/*/common/defaultDomain={domain}")));
        wanted
    }

    /// What the command line says, and for the rest a person.
    fn ask(mut self, from: &mut dyn BufRead, to: &mut dyn Write) -> anyhow::Result<Wanted> {
        let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let (short, domain) = own.trim().split_once('.').unwrap_or((own.trim(), "localhost"));
        self.host = Some(ask(from, to, "Name of this host in the site", short)?);
        if self.domain.is_none() {
            self.domain = Some(ask(from, to, "Mail domain", domain)?);
        }
        if self.wish.roles.is_empty() {
            let roles = ask(from, to, "Servers of this host, with commas between them", "all")?;
            self.wish.roles = roles.split(',').map(|name| name.trim().to_owned()).collect();
        }
        Ok(self.wanted())
    }
}

fn show(outlook: &Outlook) {
    outlook.checks.iter().for_each(|check| println!("{check}"));
    outlook.steps.iter().for_each(|step| println!("make  {step}"));
}

fn as_json(outlook: &Outlook) -> Value {
    let check = |check: &Check| {
        let (state, text) = match &check.outcome {
            Outcome::Fine(text) => ("ok", text),
            Outcome::Doubt(text) => ("doubt", text),
            Outcome::Bad(text) => ("bad", text),
        };
        json!({ "what": check.what, "state": state, "text": text })
    };
    let checks: Vec<_> = outlook.checks.iter().map(check).collect();
    let steps: Vec<_> = outlook.steps.iter().map(ToString::to_string).collect();
    json!({ "checks": checks, "steps": steps })
}

fn stop_where_bad(checks: &[Check]) -> anyhow::Result<()> {
    let bad = checks.iter().find(|check| check.stops());
    bad.map_or(Ok(()), |check| bail!("nothing was done: {check}"))
}

/// Asks for one thing; an empty answer is the one that is offered.
fn ask(from: &mut dyn BufRead, to: &mut dyn Write, what: &str, offered: &str) -> anyhow::Result<String> {
    write!(to, "{what} [{offered}]: ").and_then(|()| to.flush()).context("cannot ask")?;
    let mut answer = String::new();
    // Nobody types more than that.
    let read = std::io::Read::take(from, MAX_ANSWER).read_line(&mut answer).context("no answer")?;
    ensure!(read > 0, "no answer: nothing was done");
    let answer = answer.trim();
    Ok(if answer.is_empty() { offered } else { answer }.to_owned())
}

const MAX_ANSWER: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(init: Init, answers: &str) -> anyhow::Result<(Wanted, String)> {
        let mut said = Vec::new();
        let wanted = init.ask(&mut answers.as_bytes(), &mut said)?;
        Ok((wanted, String::from_utf8(said)?))
    }

    fn init(domain: Option<&str>, roles: &[&str]) -> Init {
        let roles = roles.iter().map(ToString::to_string).collect();
        let wish = Wish { roles, address: None, set: Vec::new() };
        let domain = domain.map(ToOwned::to_owned);
        let (site, host) = (PathBuf::from("x"), None);
        Init { site, join: None, host, domain, wish, dry_run: false, json: false, yes: false }
    }

    #[test]
    fn what_was_not_said_is_asked_and_enter_takes_what_is_offered() {
        let (wanted, said) = asked(init(None, &[]), "venus\nexample.com\nmss, mta\n").unwrap();
        assert_eq!(
            (wanted.host.as_str(), wanted.servers),
            ("venus", vec!["mss".to_owned(), "mta".to_owned()])
        );
        assert_eq!(wanted.set, ["/*/common/defaultDomain=example.com"]);
        assert!(said.contains("Mail domain ["), "{said}");
        let (wanted, said) = asked(init(Some("example.org"), &["mss"]), "\n").unwrap();
        assert!(!wanted.host.as_str().is_empty() && !said.contains("Mail domain"), "{said}");
        assert!(asked(init(None, &[]), "venus\n").is_err(), "an end of the input is no answer");
    }
}
