//! What the copy holds: keys, and what stands under them.

use super::record::{self, Account};
use super::table::sum_of;
use crate::codec::{Reader, put_bytes, put_signed};
use crate::directory::{AccountRecord, AttributeRow, DomainRow, NameKey, Values};
use mail::id::AccountId;
use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;

/// A key of the copy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// An account by its id.
    Account(AccountId),
    /// A login name or login alias.
    Login(NameKey),
    /// An SMTP address.
    Address(NameKey),
    /// A domain by its name.
    Domain(String),
    /// A class of service by its key.
    Class(String),
    /// An attribute of the site by its key.
    Attribute(String),
    /// A key that belongs to the site.
    Secret(String),
}

/// What stands under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Under [`Key::Account`]. Stands also for the login name, the aliases and the addresses that it carries.
    Account(Box<AccountRecord>),
    /// Under [`Key::Login`] and [`Key::Address`], where the account's own entry does not say it.
    Name(AccountId),
    /// Under [`Key::Domain`].
    Domain(DomainRow),
    /// Under [`Key::Class`]. How many accounts it has is not kept.
    Class(String, Values),
    /// Under [`Key::Attribute`].
    Attribute(AttributeRow),
    /// Under [`Key::Secret`].
    Secret(Vec<u8>),
    /// Nothing any more: hides what an older table has.
    Gone,
}

impl Key {
    /// The same without owning its text.
    pub fn as_ref(&self) -> KeyRef<'_> {
        match self {
            Self::Account(id) => KeyRef::Account(*id),
            Self::Login(key) => KeyRef::Login(&key.name, &key.domain),
            Self::Address(key) => KeyRef::Address(&key.name, &key.domain),
            Self::Domain(name) => KeyRef::Domain(name),
            Self::Class(key) => KeyRef::Class(key),
            Self::Attribute(key) => KeyRef::Attribute(key),
            Self::Secret(name) => KeyRef::Secret(name),
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let tag = reader.byte()?;
        if tag == b'i' {
            return reader.signed().map(|id| Self::Account(AccountId(id)));
        }
        let mut text = || Some(std::str::from_utf8(reader.bytes()?).ok()?.to_owned());
        Some(match tag {
            b'l' => Self::Login(NameKey { name: text()?, domain: text()? }),
            b'a' => Self::Address(NameKey { name: text()?, domain: text()? }),
            b'd' => Self::Domain(text()?),
            b'c' => Self::Class(text()?),
            b't' => Self::Attribute(text()?),
            b's' => Self::Secret(text()?),
            _ => return None,
        })
    }
}

/// A key whose text is somebody else's: what a look-up hashes and compares. As [`Key`].
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "each is the one of its name in `Key`; names come before their domains")]
pub enum KeyRef<'a> {
    Account(AccountId),
    Login(&'a str, &'a str),
    Address(&'a str, &'a str),
    Domain(&'a str),
    Class(&'a str),
    Attribute(&'a str),
    Secret(&'a str),
}

/// A key as bytes are made of it.
enum Parts<'a> {
    Id(AccountId),
    Name(u8, &'a str, &'a str),
    Text(u8, &'a str),
}

impl<'a> KeyRef<'a> {
    fn parts(self) -> Parts<'a> {
        match self {
            Self::Account(id) => Parts::Id(id),
            Self::Login(name, domain) => Parts::Name(b'l', name, domain),
            Self::Address(name, domain) => Parts::Name(b'a', name, domain),
            Self::Domain(text) => Parts::Text(b'd', text),
            Self::Class(text) => Parts::Text(b'c', text),
            Self::Attribute(text) => Parts::Text(b't', text),
            Self::Secret(text) => Parts::Text(b's', text),
        }
    }

    /// The same with a text of its own.
    pub(super) fn to_key(self) -> Key {
        let name = |name: &str, domain: &str| NameKey { name: name.to_owned(), domain: domain.to_owned() };
        match self {
            Self::Account(id) => Key::Account(id),
            Self::Login(local, domain) => Key::Login(name(local, domain)),
            Self::Address(local, domain) => Key::Address(name(local, domain)),
            Self::Domain(text) => Key::Domain(text.to_owned()),
            Self::Class(text) => Key::Class(text.to_owned()),
            Self::Attribute(text) => Key::Attribute(text.to_owned()),
            Self::Secret(text) => Key::Secret(text.to_owned()),
        }
    }

    /// The key as bytes: no two keys share them.
    fn put(self, out: &mut Vec<u8>) {
        match self.parts() {
            Parts::Id(id) => {
                out.push(b'i');
                put_signed(out, id.0);
            }
            Parts::Name(tag, name, domain) => {
                out.push(tag);
                put_bytes(out, name.as_bytes());
                put_bytes(out, domain.as_bytes());
            }
            Parts::Text(tag, text) => {
                out.push(tag);
                put_bytes(out, text.as_bytes());
            }
        }
    }

    /// The hash by which a table finds the key. `seed` is the table's own, so that nobody can choose names that
    /// share one.
    pub(super) fn hash(self, seed: Seed) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(seed.0, seed.1);
        match self.parts() {
            Parts::Id(id) => {
                hasher.write_u8(b'i');
                hasher.write_i64(id.0);
            }
            Parts::Name(tag, name, domain) => {
                hasher.write_u8(tag);
                hasher.write(name.as_bytes());
                hasher.write_u8(b'@');
                hasher.write(domain.as_bytes());
            }
            Parts::Text(tag, text) => {
                hasher.write_u8(tag);
                hasher.write(text.as_bytes());
            }
        }
        hasher.finish()
    }
}

/// What the hashes of a table begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seed(pub(super) u64, pub(super) u64);

/// What an entry is, by the first byte of its bytes.
const ACCOUNT: u8 = 1;
const NAME: u8 = 2;
const DOMAIN: u8 = 3;
const CLASS: u8 = 4;
const ATTRIBUTE: u8 = 5;
const SECRET: u8 = 6;
const GONE: u8 = 0;

/// The bytes of an entry with its key, in two stretches: an account's second one is what only logins read, everything else
/// has none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw<'a> {
    pub(super) front: &'a [u8],
    back: &'a [u8],
    /// The sum of the second stretch, where nobody has looked at it yet.
    sum: Option<u32>,
}

impl<'a> Raw<'a> {
    pub(super) fn unchecked(front: &'a [u8], back: &'a [u8], sum: u32) -> Self {
        Self { front, back, sum: Some(sum) }
    }

    /// The second stretch; `None`: its sum is wrong.
    pub(super) fn back(self) -> Option<&'a [u8]> {
        let right = self.sum.is_none_or(|sum| sum == sum_of(self.back));
        right.then_some(self.back)
    }
}

/// As [`Raw`], in memory of its own.
#[derive(Debug, Clone)]
pub(super) struct Coded {
    bytes: Box<[u8]>,
    front: usize,
}

impl Coded {
    pub(super) fn new(front: &[u8], back: &[u8]) -> Self {
        Self { bytes: [front, back].concat().into(), front: front.len() }
    }

    pub(super) fn raw(&self) -> Raw<'_> {
        let (front, back) = self.bytes.split_at(self.front);
        Raw { front, back, sum: None }
    }
}

/// The bytes of an entry.
pub(super) fn encode(key: &Key, entry: &Entry) -> Coded {
    let mut out = Vec::with_capacity(384);
    let mut headed = |kind: u8| {
        out.push(kind);
        key.as_ref().put(&mut out);
    };
    let mut front = None;
    match entry {
        Entry::Account(record) => {
            out.push(ACCOUNT);
            front = Some(record::put(&mut out, record));
        }
        Entry::Name(id) => {
            headed(NAME);
            put_signed(&mut out, id.0);
        }
        Entry::Domain(row) => {
            headed(DOMAIN);
            record::put_domain(&mut out, row);
        }
        Entry::Class(name, values) => {
            headed(CLASS);
            put_bytes(&mut out, name.as_bytes());
            record::put_values(&mut out, values);
        }
        Entry::Attribute(row) => {
            headed(ATTRIBUTE);
            record::put_attribute(&mut out, row);
        }
        Entry::Secret(value) => {
            headed(SECRET);
            put_bytes(&mut out, value);
        }
        Entry::Gone => headed(GONE),
    }
    Coded { front: front.unwrap_or(out.len()), bytes: out.into() }
}

/// Key and entry of these bytes; `None`: they are not what [`encode`] makes, or a sum is wrong.
pub(super) fn decode(raw: Raw<'_>) -> Option<(Key, Entry)> {
    let (&kind, rest) = raw.front.split_first()?;
    if kind == ACCOUNT {
        let record = Account::new(rest, raw)?.record()?;
        return Some((Key::Account(record.row.id), Entry::Account(Box::new(record))));
    }
    let mut reader = Reader::new(rest);
    let key = Key::decode(&mut reader)?;
    let entry = match kind {
        GONE => Entry::Gone,
        NAME => Entry::Name(AccountId(reader.signed()?)),
        DOMAIN => Entry::Domain(record::take_domain(&mut reader)?),
        CLASS => Entry::Class(record::take_text(&mut reader)?, record::take_values(&mut reader)?),
        ATTRIBUTE => Entry::Attribute(record::take_attribute(&mut reader)?),
        SECRET => Entry::Secret(reader.bytes()?.to_vec()),
        _ => return None,
    };
    Some((key, entry))
}

/// Where the entry of a name leads.
pub(super) enum Lead<'a> {
    /// To this account, which says so itself.
    Account(Account<'a>),
    /// To the account of this id.
    Id(AccountId),
    /// Nowhere.
    Nowhere,
}

/// Where the entry of these bytes leads; `None`: they are of no format.
pub(super) fn lead(raw: Raw<'_>) -> Option<Lead<'_>> {
    let (&kind, rest) = raw.front.split_first()?;
    match kind {
        ACCOUNT => Account::new(rest, raw).map(Lead::Account),
        NAME => {
            let mut reader = Reader::new(rest);
            Key::decode(&mut reader)?;
            Some(Lead::Id(AccountId(reader.signed()?)))
        }
        _ => Some(Lead::Nowhere),
    }
}

/// The key of an entry by its bytes.
pub(super) fn key_of(raw: Raw<'_>) -> Option<Key> {
    let (&kind, rest) = raw.front.split_first()?;
    match kind {
        ACCOUNT => record::View::new(rest).map(|view| Key::Account(view.id())),
        _ => Key::decode(&mut Reader::new(rest)),
    }
}

/// The account that the entry of a name leads to by its bytes.
pub(super) fn holder_of(raw: Raw<'_>) -> Option<AccountId> {
    match lead(raw)? {
        Lead::Account(account) => Some(account.id),
        Lead::Id(id) => Some(id),
        Lead::Nowhere => None,
    }
}

/// The keys under which a table files the entry of these bytes.
pub(super) fn keys_of(key: &Key, entry: &Entry) -> Vec<Key> {
    let mut keys = vec![key.clone()];
    if let Entry::Account(record) = entry {
        keys.push(Key::Login(record.row.key()));
        keys.extend(record.aliases.iter().cloned().map(Key::Login));
        let address = |a: &crate::directory::AddressRow| NameKey::new(&a.local_part, &a.domain);
        keys.extend(record.addresses.iter().map(|a| Key::Address(address(a))));
    }
    keys
}

/// Whether these bytes, whose first stretch is right, stand under that key.
pub(super) fn stands_under(raw: Raw<'_>, key: KeyRef<'_>) -> bool {
    let Some((&kind, rest)) = raw.front.split_first() else { return false };
    if kind != ACCOUNT {
        let mut wanted = Vec::with_capacity(64);
        key.put(&mut wanted);
        return rest.starts_with(&wanted);
    }
    match key {
        KeyRef::Account(id) => record::View::new(rest).is_some_and(|view| view.id() == id),
        KeyRef::Login(name, domain) => record::has_login(rest, name, domain),
        KeyRef::Address(name, domain) => record::has_address(rest, name, domain),
        _ => false,
    }
}
