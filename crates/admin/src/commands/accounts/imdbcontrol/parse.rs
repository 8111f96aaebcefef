//! Arguments of sub-commands as values. Pure; every refusal names the argument and what is expected.

use catalog::account::{DomainKind, Status};
use catalog::cos::{Rule, Type};
use mail::address::{Address, Domain, MAX_DOMAIN};
use mail::id::{HostName, MailboxId};
use mail::password::{PasswordType, StoredPassword};
use mail::secret::Secret;
use roles::directory::provision::{Forwarding, NewPassword, User};

/// A value, or what is wrong with the argument.
pub(super) type Parsed<T> = Result<T, String>;

/// The arguments of one line; what is missing reads as empty, since the table has checked the number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Args<'a>(pub(super) &'a [String]);

impl<'a> Args<'a> {
    pub(super) fn text(self, at: usize) -> &'a str {
        self.get(at).unwrap_or_default()
    }

    /// An argument that may be missing.
    pub(super) fn get(self, at: usize) -> Option<&'a str> {
        self.0.get(at).map(String::as_str)
    }

    pub(super) fn domain(self, at: usize) -> Parsed<Domain> {
        let text = self.text(at).trim();
        Domain::parse(text).map_err(|_| {
            let labels = text.split('.').map(str::len).max().unwrap_or(0);
            match text.len() {
                0 => "the domain name is empty".to_owned(),
                n if n > MAX_DOMAIN => {
                    format!("the domain name is {n} characters long; {MAX_DOMAIN} are allowed")
                }
                _ if labels > 63 => {
                    format!("a part of the domain name {text} is {labels} characters long; 63 are allowed")
                }
                _ => format!("{text:?} is not a domain name"),
            }
        })
    }

    /// `USER DOMAIN`.
    pub(super) fn user(self, at: usize) -> Parsed<User> {
        Ok(User { name: self.text(at).trim().to_owned(), domain: self.domain(at + 1)? })
    }

    /// `USER` or `USER@DOMAIN`, in this domain where none is given.
    pub(super) fn user_in(self, at: usize, domain: &Domain) -> Parsed<User> {
        match self.text(at).trim().rsplit_once('@') {
            None => Ok(User { name: self.text(at).trim().to_owned(), domain: domain.clone() }),
            Some((name, of)) => {
                let words = [of.to_owned()];
                Ok(User { name: name.to_owned(), domain: Args(&words).domain(0)? })
            }
        }
    }

    /// An address; a local part alone is one in this domain.
    pub(super) fn address_in(self, at: usize, domain: &Domain) -> Parsed<Address> {
        let text = self.text(at).trim();
        let address = match text.contains('@') {
            true => Address::parse(text),
            false => Address::new(text, domain.clone()),
        };
        address.map_err(|e| format!("{text:?} is not an address: {e}"))
    }

    /// `-` lets the system choose.
    pub(super) fn host(self, at: usize) -> Parsed<Option<HostName>> {
        match self.text(at).trim() {
            "" => Err("the host name is empty: name a host, or - for this one".into()),
            "-" => Ok(None),
            name if name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/') => {
                Err(format!("{name:?} is not a host name"))
            }
            name => Ok(Some(HostName::new(name))),
        }
    }

    /// `-` lets the system choose.
    pub(super) fn mailbox(self, at: usize) -> Parsed<Option<MailboxId>> {
        match self.text(at).trim() {
            "-" => Ok(None),
            text => match text.parse() {
                Ok(id) => Ok(Some(MailboxId(id))),
                Err(_) => Err(format!("the mailbox id {text:?} is not a number; - means the next free one")),
            },
        }
    }

    /// A password and, where it is there, its type.
    pub(super) fn password(self, at: usize, kind: usize) -> Parsed<NewPassword> {
        let name = self.get(kind).unwrap_or("clear");
        let kind = PasswordType::parse(name).ok_or_else(|| {
            let all: Vec<_> = PasswordType::ALL.iter().map(|(n, _)| *n).collect();
            format!("there is no password type {name:?}: expected one of {}", all.join(", "))
        })?;
        match kind {
            PasswordType::Clear => Ok(NewPassword::Clear(Secret::new(self.text(at)))),
            kind => match StoredPassword::parse_as(kind, self.text(at)) {
                Ok(stored) => Ok(NewPassword::Hashed(stored)),
                Err(e) => {
                    Err(format!("{e}; with type {name}, the password is a hash as impwdhash {name} makes it"))
                }
            },
        }
    }

    pub(super) fn status(self, at: usize) -> Parsed<Status> {
        let all = || Status::ALL.map(|(letter, word, _)| format!("{letter} ({word})")).join(", ");
        let text = self.text(at);
        Status::parse(text).ok_or_else(|| format!("there is no status {text:?}: expected one of {}", all()))
    }

    pub(super) fn domain_kind(self, at: usize) -> Parsed<DomainKind> {
        let all = || DomainKind::ALL.map(|(word, _)| word).join(", ");
        let text = self.text(at);
        DomainKind::parse(text)
            .ok_or_else(|| format!("there is no kind of domain {text:?}: expected one of {}", all()))
    }

    pub(super) fn rule(self, at: usize) -> Parsed<Rule> {
        let expected = "A (account over class), C (class only), L (the least), G (the greatest)";
        let text = self.text(at);
        Rule::parse(text).ok_or_else(|| format!("there is no rule {text:?}: expected one of {expected}"))
    }

    pub(super) fn kind(self, at: usize) -> Parsed<Type> {
        let text = self.text(at);
        Type::parse(text).ok_or_else(|| {
            format!("there is no type {text:?}: expected one of S (string), N (number), B (yes or no)")
        })
    }

    pub(super) fn switch(self, at: usize) -> Parsed<Forwarding> {
        match self.text(at).to_ascii_lowercase().as_str() {
            "on" | "yes" | "1" | "true" => Ok(Forwarding::On),
            "off" | "no" | "0" | "false" => Ok(Forwarding::Off),
            text => Err(format!("{text:?} is not a switch: expected on or off")),
        }
    }

    /// `S` is the only type of account there is.
    pub(super) fn account_type(self, at: usize) -> Parsed<()> {
        match self.get(at) {
            None => Ok(()),
            Some(text) if text.eq_ignore_ascii_case("s") => Ok(()),
            Some(text) => Err(format!("there is no account type {text:?}: expected S (standard)")),
        }
    }

    pub(super) fn number(self, at: usize) -> Parsed<i64> {
        let text = self.get(at).unwrap_or("0");
        text.parse().map_err(|_| format!("{text:?} is not a number"))
    }
}
