//! `intermail try`: a mail system to play with, from one command.
//!
//! Makes or reopens a site folder whose configuration puts every port at `base + standard` on loopback, makes the
//! accounts, serves, and prints what to paste. The site is an ordinary one: every command works on it.

use crate::folder;
use crate::lifecycle::{self, Alone, Plan, Ready};
use anyhow::{Context as _, bail};
use catalog::servers::{SERVERS, Service};
use catalog::tree::{Path as Key, edit};
use mail::address::Address;
use mail::secret::Secret;
use roles::directory::DirectoryError;
use roles::directory::provision::{NewAccount, NewPassword, Request};
use std::fmt::Write as _;
use std::path::Path;

/// The host name of a site made by `try`.
const HOST: &str = "localhost";
/// The accounts of a site where none is asked for.
const ACCOUNTS: [&str; 2] = ["alice@example.test:alice", "bob@example.test:bob"];

/// An account as the command line names it.
struct Wanted {
    address: Address,
    password: Secret,
}

/// Makes or reopens the site, serves it until Ctrl-C.
///
/// # Errors
/// Where the site cannot be made or another process has it, an account is not of the form, a port is taken.
pub(crate) fn run(path: &Path, base: u16, accounts: &[String]) -> anyhow::Result<()> {
    let texts = if accounts.is_empty() { ACCOUNTS.map(String::from).to_vec() } else { accounts.to_vec() };
    let wanted = texts.iter().map(|text| parse(text)).collect::<anyhow::Result<Vec<_>>>()?;
    let site = folder::create(path, HOST)?;
    let file = site.configuration_files().current;
    let before = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let after = configure(&before, base, wanted[0].address.domain().as_str())?;
    if after != before {
        std::fs::write(&file, after).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let folder = site.folder().to_owned();
    let welcome = welcome(&folder, base, &texts);
    let ready: Ready = Box::new(move |roles| {
        Box::pin(async move {
            for account in wanted {
                make_account(roles, account).await?;
            }
            print!("{welcome}");
            Ok(())
        })
    });
    let plan = Plan { site: folder, servers: Vec::new(), alone: Alone::No, user: None };
    lifecycle::run(&plan, None, Some(ready))
}

/// `USER@DOMAIN:PASSWORD`.
fn parse(text: &str) -> anyhow::Result<Wanted> {
    let form = || format!("--account {text}: expected USER@DOMAIN:PASSWORD");
    let (address, password) = text.split_once(':').with_context(form)?;
    let address = Address::parse(address).with_context(form)?;
    if password.is_empty() {
        bail!("--account {text}: the password is empty");
    }
    Ok(Wanted { address, password: Secret::new(password) })
}

/// The configuration with the ports of this base, whatever they were.
fn configure(before: &str, base: u16, domain: &str) -> anyhow::Result<String> {
    let mut text = set(before, "/*/common/listenAddresses", "127.0.0.1")?;
    text = set(&text, "/*/common/defaultDomain", domain)?;
    for server in SERVERS {
        for port in server.ports {
            let key = format!("/{HOST}/{}/{}", server.name, port.key.row.name);
            text = set(&text, &key, &(u32::from(base) + u32::from(port.standard)).to_string())?;
        }
    }
    Ok(text)
}

fn set(text: &str, key: &str, value: &str) -> anyhow::Result<String> {
    let path = Key::parse(key).with_context(|| format!("{key} is no path of a key"))?;
    Ok(edit::set(text, &path, &[value.to_owned()]))
}

/// Makes an account, and its domain with it, unless it is there.
async fn make_account(roles: &admin::context::Roles, wanted: Wanted) -> anyhow::Result<()> {
    let account = NewAccount::simple(&wanted.address, NewPassword::Clear(wanted.password));
    let requests = vec![Request::CreateAccount(Box::new(account))];
    let answers = roles.provisioning.provision(&lifecycle::own_call(), requests).await?;
    match answers.into_iter().next() {
        Some(Err(error)) if !matches!(error, DirectoryError::Conflict(_)) => {
            Err(error).with_context(|| format!("cannot make the account {}", wanted.address))
        }
        _ => Ok(()),
    }
}

/// What the newcomer sees.
fn welcome(site: &Path, base: u16, accounts: &[String]) -> String {
    let ports = |service: Service| {
        let of = |p: &&catalog::servers::Port| p.service == service;
        SERVERS.iter().flat_map(|s| s.ports).find(of).map_or(0, |p| base + p.standard)
    };
    let mut text = format!("InterMail {} serves {}\n\n", env!("CARGO_PKG_VERSION"), site.display());
    for (what, plain, tls) in [
        ("SMTP", Service::Smtp, None),
        ("Submission", Service::Submission, Some(Service::Submissions)),
        ("LMTP", Service::Lmtp, None),
        ("POP3", Service::Pop3, Some(Service::Pop3s)),
        ("IMAP", Service::Imap, Some(Service::Imaps)),
    ] {
        let tls = tls.map(|t| format!("   with TLS 127.0.0.1:{}", ports(t))).unwrap_or_default();
        let _ = writeln!(text, "  {what:<11} 127.0.0.1:{}{tls}", ports(plain));
    }
    text.push('\n');
    for account in accounts {
        let (name, password) = account.split_once(':').unwrap_or((account, ""));
        let _ = writeln!(text, "  account  {name}   password  {password}");
    }
    let first = accounts.first().map_or("", String::as_str);
    let (to, _) = first.split_once(':').unwrap_or((first, ""));
    let last = accounts.last().map_or("", String::as_str);
    let (from, _) = last.split_once(':').unwrap_or((last, ""));
    let _ = write!(
        text,
        "\nSend a message, read it, look at its mailbox:\n\n\
         printf 'From: {from}\\r\\nTo: {to}\\r\\nSubject: hello\\r\\n\\r\\nIt works.\\r\\n' | \
         curl -sS smtp://127.0.0.1:{}/localhost --mail-from {from} --mail-rcpt {to} -T -\n\
         curl -sS 'imap://127.0.0.1:{}/INBOX;MAILINDEX=1' -u '{first}'\n\
         {} imboxstats --site {} {to}\n\nCtrl-C ends it; the folder stays.\n",
        ports(Service::Smtp),
        ports(Service::Imap),
        std::env::current_exe().map_or("intermail".into(), |p| p.display().to_string()),
        site.display(),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_or_the_form_is_named() {
        assert_eq!(parse("a@b.test:x:y").unwrap().address.to_string(), "a@b.test");
        for bad in ["a@b.test", "a:b", "a@b.test:"] {
            assert!(parse(bad).err().unwrap().to_string().contains(bad), "{bad}");
        }
    }

    #[test]
    fn a_new_base_replaces_the_ports_and_keeps_the_rest() {
        let first = configure("# mine\n/*/mta/maxMessageSize: [7]\n", 10_000, "a.test").unwrap();
        assert!(first.contains("/localhost/mta/SMTPPort: [10025]"), "{first}");
        let second = configure(&first, 20_000, "a.test").unwrap();
        assert!(second.contains("SMTPPort: [20025]") && !second.contains("10025"), "{second}");
        assert!(second.starts_with("# mine\n/*/mta/maxMessageSize: [7]\n"));
    }

    #[test]
    fn the_welcome_names_every_port() {
        let text = welcome(Path::new("/site"), 10_000, &["a@b.test:x".into(), "c@b.test:y".into()]);
        for port in ["10025", "10024", "10587", "10465", "10110", "10995", "10143", "10993"] {
            assert!(text.contains(port), "{port}");
        }
    }
}
