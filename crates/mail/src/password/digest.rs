//! The `{SSHA}` family: one round of a digest over the password and, where there is one, the salt behind it.
//! RFC 2307 5.3 names `{MD5}` and `{SHA}`; the salted forms are the practice of LDAP servers.

use super::{BadPassword, PasswordType, SALT_LEN};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::Digest as _;
use subtle::ConstantTimeEq;

/// Longest salt of a stored digest.
const MAX_SALT: usize = 64;

/// The digests, whatever way they are salted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hash {
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

/// One form: its name between the braces, its type, its digest, whether a salt follows.
struct Scheme(&'static str, PasswordType, Hash, Salted);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Salted {
    Yes,
    No,
}

/// The first name of each type is the one we write.
const SCHEMES: &[Scheme] = &[
    Scheme("MD5", PasswordType::Md5, Hash::Md5, Salted::No),
    Scheme("LDAP-MD5", PasswordType::Md5, Hash::Md5, Salted::No),
    Scheme("PLAIN-MD5", PasswordType::Md5, Hash::Md5, Salted::No),
    Scheme("SMD5", PasswordType::Smd5, Hash::Md5, Salted::Yes),
    Scheme("SHA", PasswordType::Sha, Hash::Sha1, Salted::No),
    Scheme("SHA1", PasswordType::Sha, Hash::Sha1, Salted::No),
    Scheme("SSHA", PasswordType::Ssha, Hash::Sha1, Salted::Yes),
    Scheme("SHA256", PasswordType::Sha256, Hash::Sha256, Salted::No),
    Scheme("SSHA256", PasswordType::Ssha256, Hash::Sha256, Salted::Yes),
    Scheme("SHA512", PasswordType::Sha512, Hash::Sha512, Salted::No),
    Scheme("SSHA512", PasswordType::Ssha512, Hash::Sha512, Salted::Yes),
];

/// A digest as stored.
#[derive(Clone)]
pub(super) struct Digested {
    kind: PasswordType,
    hash: Hash,
    digest: Vec<u8>,
    salt: Vec<u8>,
}

impl Digested {
    /// From the upper-case name between the braces (Dovecot's `.B64` and `.HEX` allowed) and what follows:
    /// base64 or hexadecimal, told apart by the length.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, BadPassword> {
        let name = name.strip_suffix(".B64").or_else(|| name.strip_suffix(".HEX")).unwrap_or(name);
        let Scheme(_, kind, hash, salted) =
            SCHEMES.iter().find(|s| s.0 == name).ok_or(BadPassword::UnknownForm)?;
        let len = hash.len();
        let mut digest = match salted {
            Salted::No if text.len() == 2 * len => hex(text),
            _ => STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok(),
        }
        .ok_or(BadPassword::Damaged)?;
        let salt_len = digest.len().checked_sub(len).ok_or(BadPassword::Damaged)?;
        if salt_len > MAX_SALT || (*salted == Salted::No && salt_len > 0) {
            return Err(BadPassword::Damaged);
        }
        let salt = digest.split_off(len);
        Ok(Self { kind: *kind, hash: *hash, digest, salt })
    }

    pub(super) fn kind(&self) -> PasswordType {
        self.kind
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        self.hash.run(password, &self.salt).ct_eq(&self.digest).into()
    }
}

impl Hash {
    fn len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn run(self, password: &[u8], salt: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => md5::Md5::new().chain_update(password).chain_update(salt).finalize().to_vec(),
            Self::Sha1 => sha1::Sha1::new().chain_update(password).chain_update(salt).finalize().to_vec(),
            Self::Sha256 => sha2::Sha256::new().chain_update(password).chain_update(salt).finalize().to_vec(),
            Self::Sha512 => sha2::Sha512::new().chain_update(password).chain_update(salt).finalize().to_vec(),
        }
    }
}

/// The name to put between the braces for a type of this family.
pub(super) fn scheme_name(kind: PasswordType) -> Option<&'static str> {
    SCHEMES.iter().find(|s| s.1 == kind).map(|s| s.0)
}

/// The stored text of a new digest; `None` for a type of another family.
pub(super) fn make(kind: PasswordType, password: &[u8], salt: &[u8; SALT_LEN]) -> Option<String> {
    let Scheme(name, _, hash, salted) = SCHEMES.iter().find(|s| s.1 == kind)?;
    let salt: &[u8] = if *salted == Salted::Yes { salt } else { &[] };
    let mut bytes = hash.run(password, salt);
    bytes.extend_from_slice(salt);
    Some(format!("{{{name}}}{}", STANDARD.encode(bytes)))
}

/// Bytes from hexadecimal digits of either case.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(high)? * 16 + digit(low)?),
        _ => None,
    });
    pairs.collect()
}
