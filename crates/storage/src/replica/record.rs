//! The bytes of an account and of the smaller rows.
//!
//! An account's bytes are two stretches. In front is all that look-ups need: id, login name, domain, aliases and addresses
//! first, so that a look-up by a name has compared what it needs before it reads the rest; where mail goes behind
//! them. Behind are the password and its keys, most of an account, which only logins read. A domain that is the account's own,
//! and a first address that is its login name, are one byte.

use super::entry::Raw;
use crate::codec::{Reader, put_bytes, put_number, put_signed};
use crate::directory::{
    AccountRecord, AccountRow, AddressRow, AttributeRow, DomainRow, ForwardPlace, ForwardRow, Forwarding,
    NameKey, Rank, Values,
};
use catalog::account::{DomainKind, Status};
use catalog::cos::{Rule, Type};
use mail::id::{AccountId, MailboxId};

/// An account as it lies in the copy. Nothing is copied; what hangs on it is read when it is asked for.
#[derive(Debug, Clone)]
pub struct Account<'a> {
    /// Its id.
    pub id: AccountId,
    /// Its login name as written.
    pub name: &'a str,
    /// Its domain, lower case.
    pub domain: &'a str,
    /// Its mailbox.
    pub mailbox: MailboxId,
    /// Grows with every change of the account or of what hangs on it.
    pub version: i64,
    /// Whether forwards are followed.
    pub forwarding: Forwarding,
    /// The store host of the mailbox, lower case.
    pub home: &'a str,
    /// Its state.
    pub status: Status,
    /// The key of its class of service.
    pub class: &'a str,
    names: View<'a>,
    /// Forwards, then values of its own.
    hung: Reader<'a>,
    raw: Raw<'a>,
}

impl<'a> Account<'a> {
    pub(super) fn new(bytes: &'a [u8], raw: Raw<'a>) -> Option<Self> {
        let names = View::new(bytes)?;
        let mut rest = names.clone().behind_names()?;
        let (mailbox, version) = (MailboxId(rest.signed()?), rest.signed()?);
        let forwarding = if rest.byte()? == 1 { Forwarding::On } else { Forwarding::Off };
        let (home, status, class) = (text(&mut rest)?, Status::parse(text(&mut rest)?)?, text(&mut rest)?);
        let (id, name, domain) = (names.id(), names.name, names.domain);
        Some(Self {
            id,
            name,
            domain,
            mailbox,
            version,
            forwarding,
            home,
            status,
            class,
            names,
            hung: rest,
            raw,
        })
    }

    /// The keys of its SMTP addresses, the primary one first; `None`: its bytes are of no account.
    pub fn addresses(&self) -> Option<Vec<AddressRow>> {
        let mut view = self.names.clone();
        view.skip_aliases()?;
        list(&mut view, |view| {
            let (local, domain, rank) = view.address()?;
            Some(AddressRow { local_part: local.to_owned(), domain: domain.to_owned(), rank })
        })
    }

    /// Its forwards, likewise.
    pub fn forwards(&self) -> Option<Vec<ForwardRow>> {
        list(&mut self.hung.clone(), forward)
    }

    /// Its own values of attributes, likewise.
    pub fn overrides(&self) -> Option<Values> {
        let mut rest = self.hung.clone();
        for _ in 0..rest.number()? {
            rest.byte()?;
            rest.bytes()?;
        }
        take_values(&mut rest)
    }

    /// Its stored password and its SCRAM keys; `None` also where the sum of these bytes is wrong.
    pub fn proofs(&self) -> Option<(&'a str, &'a str)> {
        let mut back = Reader::new(self.raw.back()?);
        Some((text(&mut back)?, text(&mut back)?))
    }

    /// All of it, copied; `None` as in [`Account::proofs`].
    pub fn record(&self) -> Option<AccountRecord> {
        let (password, scram) = self.proofs()?;
        let mut view = self.names.clone();
        let aliases = list(&mut view, |view| {
            view.alias().map(|(name, domain)| NameKey { name: name.to_owned(), domain: domain.to_owned() })
        })?;
        let row = AccountRow {
            id: self.id,
            name: self.name.to_owned(),
            domain: self.domain.to_owned(),
            mailbox: self.mailbox,
            home: self.home.to_owned(),
            password: password.to_owned(),
            scram: scram.to_owned(),
            status: self.status,
            class: self.class.to_owned(),
            forwarding: self.forwarding,
            version: self.version,
        };
        let (forwards, overrides) = (self.forwards()?, self.overrides()?);
        Some(AccountRecord { row, addresses: self.addresses()?, aliases, forwards, overrides })
    }
}

fn forward(rest: &mut Reader<'_>) -> Option<ForwardRow> {
    let place = if rest.byte()? == 1 { ForwardPlace::Local } else { ForwardPlace::Remote };
    Some(ForwardRow { address: take_text(rest)?, place })
}

/// The names of an account, not copied.
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

    fn skip_aliases(&mut self) -> Option<()> {
        for _ in 0..self.rest.number()? {
            self.alias()?;
        }
        Some(())
    }

    /// What stands behind the names.
    fn behind_names(mut self) -> Option<Reader<'a>> {
        self.skip_aliases()?;
        for _ in 0..self.rest.number()? {
            self.address()?;
        }
        Some(self.rest)
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
    view.skip_aliases()?;
    for _ in 0..view.rest.number()? {
        let (local, of, _) = view.address()?;
        if of == domain && same(local, name) {
            return Some(true);
        }
    }
    Some(false)
}

/// Whether a name as written is that name in lower case.
fn same(written: &str, lower: &str) -> bool {
    if written.is_ascii() {
        return written.eq_ignore_ascii_case(lower);
    }
    written.to_lowercase() == lower
}

/// Appends an account; where its second stretch begins.
pub(super) fn put(out: &mut Vec<u8>, record: &AccountRecord) -> usize {
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
    for text in [&row.home, &row.status.to_string(), &row.class] {
        put_bytes(out, text.as_bytes());
    }
    put_number(out, record.forwards.len() as u64);
    for forward in &record.forwards {
        out.push(u8::from(forward.place == ForwardPlace::Local));
        put_bytes(out, forward.address.as_bytes());
    }
    put_values(out, &record.overrides);
    let front = out.len();
    put_bytes(out, row.password.as_bytes());
    put_bytes(out, row.scram.as_bytes());
    front
}

/// What has a count in front of its items.
trait Counted {
    fn count(&mut self) -> Option<u64>;
}

impl Counted for View<'_> {
    fn count(&mut self) -> Option<u64> {
        self.rest.number()
    }
}

impl Counted for Reader<'_> {
    fn count(&mut self) -> Option<u64> {
        self.number()
    }
}

/// A list behind its length, which is not taken on trust: it ends where the bytes end.
fn list<C: Counted, T>(from: &mut C, mut one: impl FnMut(&mut C) -> Option<T>) -> Option<Vec<T>> {
    let count = from.count()?;
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(one(from)?);
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
