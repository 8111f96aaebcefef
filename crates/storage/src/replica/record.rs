//! The bytes of an account and of the smaller rows.
//!
//! An account's id, login name, domain, aliases and addresses come first, so that a look-up by a name has compared what it
//! needs before it reads the rest. A domain that is the account's own, and a first address that is its login name,
//! are one byte.

use crate::codec::{Reader, put_bytes, put_number, put_signed};
use crate::directory::{
    AccountRecord, AccountRow, AddressRow, AttributeRow, DomainRow, ForwardPlace, ForwardRow, Forwarding,
    NameKey, Rank, Values,
};
use catalog::account::{DomainKind, Status};
use catalog::cos::{Rule, Type};
use mail::id::{AccountId, MailboxId};

/// The front of an account's bytes, not copied.
#[derive(Debug, Clone)]
pub(super) struct View<'a> {
    id: i64,
    name: &'a str,
    domain: &'a str,
    /// What follows: aliases, addresses, and the rest.
    rest: Reader<'a>,
}

impl<'a> View<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = Reader::new(bytes);
        let (id, name, domain) = (rest.signed()?, text(&mut rest)?, text(&mut rest)?);
        Some(Self { id, name, domain, rest })
    }

    pub(super) fn id(&self) -> AccountId {
        AccountId(self.id)
    }

    fn alias(&mut self) -> Option<(&'a str, &'a str)> {
        let (name, domain) = (text(&mut self.rest)?, text(&mut self.rest)?);
        Some((name, if domain.is_empty() { self.domain } else { domain }))
    }

    fn address(&mut self) -> Option<(&'a str, &'a str, Rank)> {
        let rank = if self.rest.byte()? == 1 { Rank::Primary } else { Rank::Alias };
        let (local, domain) = self.alias()?;
        Some((if local.is_empty() { self.name } else { local }, domain, rank))
    }
}

/// Whether an account's bytes have this login name or alias; both halves in lower case.
pub(super) fn has_login(bytes: &[u8], name: &str, domain: &str) -> bool {
    find_login(bytes, name, domain).unwrap_or(false)
}

fn find_login(bytes: &[u8], name: &str, domain: &str) -> Option<bool> {
    let mut view = View::new(bytes)?;
    if view.domain == domain && same(view.name, name) {
        return Some(true);
    }
    for _ in 0..view.rest.number()? {
        let (alias, of) = view.alias()?;
        if alias == name && of == domain {
            return Some(true);
        }
    }
    Some(false)
}

/// Whether an account's bytes have this address; both halves in lower case.
pub(super) fn has_address(bytes: &[u8], name: &str, domain: &str) -> bool {
    find_address(bytes, name, domain).unwrap_or(false)
}

fn find_address(bytes: &[u8], name: &str, domain: &str) -> Option<bool> {
    let mut view = View::new(bytes)?;
    for _ in 0..view.rest.number()? {
        view.alias()?;
    }
    for _ in 0..view.rest.number()? {
        let (local, of, _) = view.address()?;
        if of == domain && same(local, name) {
            return Some(true);
        }
    }
    Some(false)
}

/// The version of an account.
pub(super) fn version(bytes: &[u8]) -> Option<i64> {
    let mut view = View::new(bytes)?;
    for _ in 0..view.rest.number()? {
        view.alias()?;
    }
    for _ in 0..view.rest.number()? {
        view.address()?;
    }
    let _mailbox = view.rest.signed()?;
    view.rest.signed()
}

/// Whether a name as written is that name in lower case.
fn same(written: &str, lower: &str) -> bool {
    if written.is_ascii() {
        return written.eq_ignore_ascii_case(lower);
    }
    written.to_lowercase() == lower
}

/// Appends an account.
pub(super) fn put(out: &mut Vec<u8>, record: &AccountRecord) {
    let row = &record.row;
    put_signed(out, row.id.0);
    put_bytes(out, row.name.as_bytes());
    put_bytes(out, row.domain.as_bytes());
    let domain = |out: &mut Vec<u8>, domain: &str| {
        put_bytes(out, if domain == row.domain { b"" } else { domain.as_bytes() });
    };
    put_number(out, record.aliases.len() as u64);
    for alias in &record.aliases {
        put_bytes(out, alias.name.as_bytes());
        domain(out, &alias.domain);
    }
    put_number(out, record.addresses.len() as u64);
    for address in &record.addresses {
        out.push(u8::from(address.rank == Rank::Primary));
        let own = address.local_part == row.name;
        put_bytes(out, if own { b"" } else { address.local_part.as_bytes() });
        domain(out, &address.domain);
    }
    put_signed(out, row.mailbox.0);
    put_signed(out, row.version);
    out.push(u8::from(row.forwarding == Forwarding::On));
    let status = row.status.to_string();
    for text in [&row.home, &row.password, &row.scram, &status, &row.class] {
        put_bytes(out, text.as_bytes());
    }
    put_number(out, record.forwards.len() as u64);
    for forward in &record.forwards {
        out.push(u8::from(forward.place == ForwardPlace::Local));
        put_bytes(out, forward.address.as_bytes());
    }
    put_values(out, &record.overrides);
}

/// An account of these bytes.
pub(super) fn take(bytes: &[u8]) -> Option<AccountRecord> {
    let mut view = View::new(bytes)?;
    let aliases = list(&mut view, |view| {
        view.alias().map(|(name, domain)| NameKey { name: name.to_owned(), domain: domain.to_owned() })
    })?;
    let addresses = list(&mut view, |view| {
        let (local, domain, rank) = view.address()?;
        Some(AddressRow { local_part: local.to_owned(), domain: domain.to_owned(), rank })
    })?;
    let (id, name, domain) = (view.id(), view.name.to_owned(), view.domain.to_owned());
    let rest = &mut view.rest;
    let (mailbox, version) = (MailboxId(rest.signed()?), rest.signed()?);
    let forwarding = if rest.byte()? == 1 { Forwarding::On } else { Forwarding::Off };
    let (home, password, scram) = (take_text(rest)?, take_text(rest)?, take_text(rest)?);
    let (status, class) = (Status::parse(text(rest)?)?, take_text(rest)?);
    let forwards = list(&mut view, |view| {
        let place = if view.rest.byte()? == 1 { ForwardPlace::Local } else { ForwardPlace::Remote };
        Some(ForwardRow { address: take_text(&mut view.rest)?, place })
    })?;
    let overrides = take_values(&mut view.rest)?;
    let row =
        AccountRow { id, name, domain, mailbox, home, password, scram, status, class, forwarding, version };
    Some(AccountRecord { row, addresses, aliases, forwards, overrides })
}

/// A list behind its length, which is not taken on trust: it ends where the bytes end.
fn list<T>(view: &mut View<'_>, mut one: impl FnMut(&mut View<'_>) -> Option<T>) -> Option<Vec<T>> {
    let count = view.rest.number()?;
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(one(view)?);
    }
    Some(all)
}

/// Appends keys with their values.
pub(super) fn put_values(out: &mut Vec<u8>, values: &Values) {
    put_number(out, values.len() as u64);
    for (key, value) in values {
        put_bytes(out, key.as_bytes());
        put_bytes(out, value.as_bytes());
    }
}

pub(super) fn take_values(reader: &mut Reader<'_>) -> Option<Values> {
    let mut values = Values::new();
    for _ in 0..reader.number()? {
        values.push((take_text(reader)?, take_text(reader)?));
    }
    Some(values)
}

/// Appends a domain.
pub(super) fn put_domain(out: &mut Vec<u8>, row: &DomainRow) {
    for text in [row.name.as_str(), &row.kind.to_string(), &row.target] {
        put_bytes(out, text.as_bytes());
    }
}

pub(super) fn take_domain(reader: &mut Reader<'_>) -> Option<DomainRow> {
    let name = take_text(reader)?;
    let kind = DomainKind::parse(text(reader)?)?;
    Some(DomainRow { name, kind, target: take_text(reader)? })
}

/// Appends an attribute of the site.
pub(super) fn put_attribute(out: &mut Vec<u8>, row: &AttributeRow) {
    for text in
        [row.name.as_str(), &row.rule.letter().to_string(), &row.kind.letter().to_string(), &row.fallback]
    {
        put_bytes(out, text.as_bytes());
    }
}

pub(super) fn take_attribute(reader: &mut Reader<'_>) -> Option<AttributeRow> {
    let name = take_text(reader)?;
    let (rule, kind) = (Rule::parse(text(reader)?)?, Type::parse(text(reader)?)?);
    Some(AttributeRow { name, rule, kind, fallback: take_text(reader)? })
}

fn text<'a>(reader: &mut Reader<'a>) -> Option<&'a str> {
    std::str::from_utf8(reader.bytes()?).ok()
}

pub(super) fn take_text(reader: &mut Reader<'_>) -> Option<String> {
    text(reader).map(str::to_owned)
}
