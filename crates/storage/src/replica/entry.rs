//! What the copy holds: keys, and what stands under them.

use super::record;
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
    /// The key as bytes: no two keys share them.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(40);
        self.as_ref().put(&mut out);
        out
    }

    /// The same without owning its text.
    pub(super) fn as_ref(&self) -> KeyRef<'_> {
        match self {
            Self::Account(id) => KeyRef::Account(*id),
            Self::Login(key) => KeyRef::Login(&key.name, &key.domain),
            Self::Address(key) => KeyRef::Address(&key.name, &key.domain),
            Self::Domain(name) => KeyRef::Text(b'd', name),
            Self::Class(key) => KeyRef::Text(b'c', key),
            Self::Attribute(key) => KeyRef::Text(b't', key),
            Self::Secret(name) => KeyRef::Text(b's', name),
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

/// A key whose text is somebody else's: what a look-up hashes and compares.
#[derive(Debug, Clone, Copy)]
pub(super) enum KeyRef<'a> {
    Account(AccountId),
    Login(&'a str, &'a str),
    Address(&'a str, &'a str),
    Text(u8, &'a str),
}

impl KeyRef<'_> {
    fn put(self, out: &mut Vec<u8>) {
        match self {
            Self::Account(id) => {
                out.push(b'i');
                put_signed(out, id.0);
            }
            Self::Login(name, domain) => put_name(out, b'l', name, domain),
            Self::Address(name, domain) => put_name(out, b'a', name, domain),
            Self::Text(tag, text) => {
                out.push(tag);
                put_bytes(out, text.as_bytes());
            }
        }
    }

    /// The hash by which a table finds the key. `seed` is the table's own, so that nobody can choose names that
    /// share one.
    pub(super) fn hash(self, seed: Seed) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(seed.0, seed.1);
        match self {
            Self::Account(id) => {
                hasher.write_u8(b'i');
                hasher.write_i64(id.0);
            }
            Self::Login(name, domain) => hash_name(&mut hasher, b'l', name, domain),
            Self::Address(name, domain) => hash_name(&mut hasher, b'a', name, domain),
            Self::Text(tag, text) => {
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

fn put_name(out: &mut Vec<u8>, tag: u8, name: &str, domain: &str) {
    out.push(tag);
    put_bytes(out, name.as_bytes());
    put_bytes(out, domain.as_bytes());
}

fn hash_name(hasher: &mut SipHasher13, tag: u8, name: &str, domain: &str) {
    hasher.write_u8(tag);
    hasher.write(name.as_bytes());
    hasher.write_u8(b'@');
    hasher.write(domain.as_bytes());
}

/// What an entry is, by the first byte of its bytes.
const ACCOUNT: u8 = 1;
const NAME: u8 = 2;
const DOMAIN: u8 = 3;
const CLASS: u8 = 4;
const ATTRIBUTE: u8 = 5;
const SECRET: u8 = 6;
const GONE: u8 = 0;

/// The bytes of an entry with its key; an account's key is in its record.
pub(super) fn encode(key: &Key, entry: &Entry) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut headed = |kind: u8| {
        out.push(kind);
        out.extend_from_slice(&key.encode());
    };
    match entry {
        Entry::Account(record) => {
            out.push(ACCOUNT);
            record::put(&mut out, record);
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
    out
}

/// Key and entry of these bytes; `None`: they are not what [`encode`] makes.
pub(super) fn decode(bytes: &[u8]) -> Option<(Key, Entry)> {
    let (&kind, rest) = bytes.split_first()?;
    if kind == ACCOUNT {
        let record = record::take(rest)?;
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

/// The key of an entry by its bytes.
pub(super) fn key_of(bytes: &[u8]) -> Option<Key> {
    let (&kind, rest) = bytes.split_first()?;
    match kind {
        ACCOUNT => record::View::new(rest).map(|view| Key::Account(view.id())),
        _ => Key::decode(&mut Reader::new(rest)),
    }
}

/// The account that the entry of a name leads to by its bytes.
pub(super) fn holder_of(bytes: &[u8]) -> Option<AccountId> {
    match decode(bytes)? {
        (_, Entry::Account(record)) => Some(record.row.id),
        (_, Entry::Name(id)) => Some(id),
        _ => None,
    }
}

/// The version of an account by its bytes; -1 where these are of no account.
pub(super) fn version_of(bytes: &[u8]) -> Option<i64> {
    match bytes.split_first()? {
        (&ACCOUNT, rest) => record::version(rest),
        _ => Some(-1),
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

/// Whether these bytes, whose sum is right, stand under that key.
pub(super) fn stands_under(bytes: &[u8], key: KeyRef<'_>) -> bool {
    let Some((&kind, rest)) = bytes.split_first() else { return false };
    if kind != ACCOUNT {
        let mut wanted = Vec::with_capacity(64);
        key.put(&mut wanted);
        return rest.starts_with(&wanted);
    }
    match key {
        KeyRef::Account(id) => record::View::new(rest).is_some_and(|view| view.id() == id),
        KeyRef::Login(name, domain) => record::has_login(rest, name, domain),
        KeyRef::Address(name, domain) => record::has_address(rest, name, domain),
        KeyRef::Text(..) => false,
    }
}
