//! Passwords as they are stored: which forms there are, whether a password fits one, and how a new one is made.
//!
//! Promised: every form that sites bring along (crypt(3), LDAP's `{SSHA}` family, bcrypt, Argon2, PBKDF2) is
//! recognised by its own text and compared in constant time; costs are limited, so that no stored text can hold
//! a processor or the memory for longer than about a second. New passwords are Argon2id.
//!
//! Left to others: where salts come from (`env::Random`), on which thread the work is done (`env::Compute`:
//! one check is 20 ms of processor time), who may try how often. From here the path goes to `directory::authenticate`.

mod digest;
mod kdf;
mod scram;

use crate::secret::Secret;
use std::fmt;

pub use scram::ScramKeys;

/// Longest password in bytes. A longer one is refused when set and never fits when tried.
pub const MAX_PASSWORD: usize = 1024;
/// Longest stored form in bytes.
pub const MAX_STORED: usize = 1024;
/// Length of the salt that [`StoredPassword::make`] asks for.
pub const SALT_LEN: usize = 16;

/// Why a text is no stored password, or a password cannot be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    /// No form that we know looks like this.
    #[error("the password hash has no known form")]
    UnknownForm,
    /// The form is known, what follows is not in it.
    #[error("the password hash is damaged: it announces a form that it does not have")]
    Damaged,
    /// Checking it would take more time or memory than a login may.
    #[error("the password hash asks for more time or memory than is allowed")]
    TooCostly,
    /// Another form than the one that was announced.
    #[error("the password hash is not of the announced type")]
    OtherType,
    /// More than [`MAX_PASSWORD`] bytes, or none.
    #[error("a password has 1 to 1024 bytes")]
    Length,
    /// A NUL byte: most forms would end there.
    #[error("a password may not contain a NUL byte")]
    Nul,
}

/// The forms in which a password can be given or stored, by the names that commands take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PasswordType {
    /// In the clear: as an argument, the password itself; in an old database, `{PLAIN}`.
    Clear,
    /// crypt(3) in any of its forms; made as `$6$`.
    Unix,
    /// `$1$`.
    Md5Crypt,
    /// `$5$`.
    Sha256Crypt,
    /// `$6$`.
    Sha512Crypt,
    /// `$2b$`, also read as `$2a$` and `$2y$`.
    Bcrypt,
    /// `{MD5}`, without salt.
    Md5,
    /// `{SMD5}`.
    Smd5,
    /// `{SHA}`, without salt.
    Sha,
    /// `{SSHA}`. RFC 2307 and its practice.
    Ssha,
    /// `{SHA256}`, without salt.
    Sha256,
    /// `{SSHA256}`.
    Ssha256,
    /// `{SHA512}`, without salt.
    Sha512,
    /// `{SSHA512}`.
    Ssha512,
    /// PBKDF2 with HMAC, RFC 8018.
    Pbkdf2,
    /// Argon2id, RFC 9106: what every new password becomes.
    Argon2id,
}

impl PasswordType {
    /// All of them with their names, in the order in which help lists them.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("clear", Self::Clear),
        ("argon2id", Self::Argon2id),
        ("bcrypt", Self::Bcrypt),
        ("pbkdf2", Self::Pbkdf2),
        ("unix", Self::Unix),
        ("sha512crypt", Self::Sha512Crypt),
        ("sha256crypt", Self::Sha256Crypt),
        ("md5crypt", Self::Md5Crypt),
        ("ssha512", Self::Ssha512),
        ("ssha256", Self::Ssha256),
        ("ssha", Self::Ssha),
        ("smd5", Self::Smd5),
        ("sha512", Self::Sha512),
        ("sha256", Self::Sha256),
        ("sha", Self::Sha),
        ("md5", Self::Md5),
    ];

    /// By its name, without regard to case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|&(_, t)| t)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, t)| *t == self).map_or("", |&(n, _)| n)
    }
}

impl fmt::Display for PasswordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A stored password whose form is known. Its text is for the database alone: it does not print.
#[derive(Clone)]
pub struct StoredPassword {
    text: Box<str>,
    form: Form,
}

#[derive(Clone)]
enum Form {
    Plain(Secret),
    Digest(digest::Digested),
    Crypt(PasswordType),
    Bcrypt,
    Argon2(kdf::Argon2Hash),
    Pbkdf2(kdf::Pbkdf2Hash),
}

impl StoredPassword {
    /// Recognises a stored text by its prefix: `$argon2id$`, `$2b$`, `$1$`, `$5$`, `$6$`, `$pbkdf2-…$`, `{SCHEME}`,
    /// or the thirteen characters of DES crypt. `{CRYPT}` and Dovecot's scheme names are understood.
    ///
    /// # Errors
    /// Says whether the form is unknown, damaged or too costly.
    pub fn parse(text: &str) -> Result<Self, BadPassword> {
        if text.len() > MAX_STORED {
            return Err(BadPassword::UnknownForm);
        }
        let form = match text.strip_prefix('{').and_then(|t| t.split_once('}')) {
            Some((scheme, rest)) => parse_scheme(scheme, rest)?,
            None => parse_modular(text)?,
        };
        Ok(Self { text: text.into(), form })
    }

    /// A stored text that is announced as `announced`; the `{SCHEME}` of a digest may be missing.
    ///
    /// # Errors
    /// Also where the text is of another type. `Clear` is no stored form: see [`StoredPassword::make`].
    pub fn parse_as(announced: PasswordType, text: &str) -> Result<Self, BadPassword> {
        let stored = match digest::scheme_name(announced) {
            Some(scheme) if !text.starts_with('{') => Self::parse(&format!("{{{scheme}}}{text}"))?,
            _ => Self::parse(text)?,
        };
        let crypt = matches!(stored.form, Form::Crypt(_) | Form::Bcrypt);
        let fits = stored.kind() == announced || announced == PasswordType::Unix && crypt;
        if fits && announced != PasswordType::Clear { Ok(stored) } else { Err(BadPassword::OtherType) }
    }

    /// Makes the stored form of a password; `Clear` becomes Argon2id. Takes about 20 ms for Argon2id.
    ///
    /// # Errors
    /// A password that is empty, too long or has a NUL byte.
    pub fn make(kind: PasswordType, password: &Secret, salt: &[u8; SALT_LEN]) -> Result<Self, BadPassword> {
        check(password)?;
        let bytes = password.expose();
        let text = match kind {
            PasswordType::Clear | PasswordType::Argon2id => kdf::make_argon2(bytes, salt)?,
            PasswordType::Pbkdf2 => kdf::make_pbkdf2(bytes, salt),
            PasswordType::Bcrypt => bcrypt::hash_with_salt(bytes, BCRYPT_COST, *salt)
                .map_err(|_| BadPassword::Damaged)?
                .to_string(),
            PasswordType::Md5Crypt => make_crypt("$1$", 8, bytes, salt)?,
            PasswordType::Sha256Crypt => make_crypt("$5$", 16, bytes, salt)?,
            PasswordType::Sha512Crypt | PasswordType::Unix => make_crypt("$6$", 16, bytes, salt)?,
            _ => digest::make(kind, bytes, salt).ok_or(BadPassword::UnknownForm)?,
        };
        Self::parse(&text)
    }

    /// What a password is compared with where there is no account: costs as much as a new hash and fits nothing
    /// that anybody knows, where `digest` comes from chance.
    ///
    /// # Errors
    /// None that depends on the arguments.
    pub fn of_nobody(salt: &[u8; SALT_LEN], digest: &[u8; 32]) -> Result<Self, BadPassword> {
        Self::parse(&kdf::argon2_text(salt, digest))
    }

    /// Whether this is the password. Takes as long as the form demands, at most about a second.
    pub fn verify(&self, password: &Secret) -> bool {
        if check(password).is_err() {
            return false;
        }
        let bytes = password.expose();
        match &self.form {
            Form::Plain(stored) => stored.same_as(bytes),
            Form::Digest(digest) => digest.verify(bytes),
            Form::Crypt(_) => pwhash::unix::crypt(bytes, bare(&self.text))
                .is_ok_and(|made| Secret::new(made).same_as(bare(&self.text).as_bytes())),
            Form::Bcrypt => bcrypt::verify(bytes, bare(&self.text)).unwrap_or(false),
            Form::Argon2(hash) => hash.verify(bytes),
            Form::Pbkdf2(hash) => hash.verify(bytes),
        }
    }

    /// What form it is.
    pub fn kind(&self) -> PasswordType {
        match &self.form {
            Form::Plain(_) => PasswordType::Clear,
            Form::Digest(digest) => digest.kind(),
            Form::Crypt(kind) => *kind,
            Form::Bcrypt => PasswordType::Bcrypt,
            Form::Argon2(_) => PasswordType::Argon2id,
            Form::Pbkdf2(_) => PasswordType::Pbkdf2,
        }
    }

    /// Whether it is as strong as a new one; otherwise the next good login may replace it.
    pub fn is_current(&self) -> bool {
        matches!(&self.form, Form::Argon2(hash) if hash.is_current())
    }

    /// The text for the database or for the output of `impwdhash`.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} hash)", self.kind())
    }
}

/// Cost of new bcrypt hashes: about 60 ms.
const BCRYPT_COST: u32 = 10;
/// Greatest cost of a bcrypt hash that is accepted: about 1.2 s.
const MAX_BCRYPT_COST: u32 = 14;
/// Greatest number of rounds of `$5$` and `$6$` that is accepted.
const MAX_CRYPT_ROUNDS: u32 = 1_000_000;

/// Whether a password may be stored at all.
fn check(password: &Secret) -> Result<(), BadPassword> {
    match password.expose() {
        [] => Err(BadPassword::Length),
        bytes if bytes.len() > MAX_PASSWORD => Err(BadPassword::Length),
        bytes if bytes.contains(&0) => Err(BadPassword::Nul),
        _ => Ok(()),
    }
}

/// The text without a `{SCHEME}` before it.
fn bare(text: &str) -> &str {
    text.strip_prefix('{').and_then(|t| t.split_once('}')).map_or(text, |(_, rest)| rest)
}

fn parse_scheme(scheme: &str, rest: &str) -> Result<Form, BadPassword> {
    match scheme.to_ascii_uppercase().as_str() {
        "PLAIN" | "CLEAR" | "CLEARTEXT" => Ok(Form::Plain(Secret::new(rest))),
        "CRYPT" | "DES-CRYPT" | "MD5-CRYPT" | "SHA256-CRYPT" | "SHA512-CRYPT" | "BLF-CRYPT" | "ARGON2ID"
        | "ARGON2I" => parse_modular(rest),
        // Dovecot's MD5 is `$1$`; everybody else's is the bare digest.
        "MD5" if rest.starts_with("$1$") => parse_modular(rest),
        name if name.starts_with("PBKDF2") => kdf::Pbkdf2Hash::parse_scheme(name, rest).map(Form::Pbkdf2),
        name => digest::Digested::parse(name, rest).map(Form::Digest),
    }
}

fn parse_modular(text: &str) -> Result<Form, BadPassword> {
    let Some(inner) = text.strip_prefix('$') else {
        let des = text.len() == 13 && text.bytes().all(is_crypt_char);
        return if des { Ok(Form::Crypt(PasswordType::Unix)) } else { Err(BadPassword::UnknownForm) };
    };
    let (name, rest) = inner.split_once('$').ok_or(BadPassword::UnknownForm)?;
    match name {
        "1" => parse_crypt(PasswordType::Md5Crypt, rest, 22),
        "5" => parse_crypt(PasswordType::Sha256Crypt, rest, 43),
        "6" => parse_crypt(PasswordType::Sha512Crypt, rest, 86),
        "2a" | "2b" | "2y" => parse_bcrypt(text),
        "argon2id" | "argon2i" => kdf::Argon2Hash::parse(name, rest).map(Form::Argon2),
        _ if name.starts_with("pbkdf2") => kdf::Pbkdf2Hash::parse_modular(name, rest).map(Form::Pbkdf2),
        _ => Err(BadPassword::UnknownForm),
    }
}

/// `[rounds=N$]salt$digest`, where the digest has `len` characters.
fn parse_crypt(kind: PasswordType, rest: &str, len: usize) -> Result<Form, BadPassword> {
    let rest = match rest.strip_prefix("rounds=").map(|r| r.split_once('$')) {
        Some(Some((rounds, rest))) if kind != PasswordType::Md5Crypt => {
            let rounds: u32 = rounds.parse().map_err(|_| BadPassword::Damaged)?;
            if rounds > MAX_CRYPT_ROUNDS {
                return Err(BadPassword::TooCostly);
            }
            rest
        }
        Some(_) => return Err(BadPassword::Damaged),
        None => rest,
    };
    let (salt, digest) = rest.split_once('$').ok_or(BadPassword::Damaged)?;
    let fine =
        salt.len() <= 16 && digest.len() == len && salt.bytes().chain(digest.bytes()).all(is_crypt_char);
    if fine { Ok(Form::Crypt(kind)) } else { Err(BadPassword::Damaged) }
}

fn parse_bcrypt(text: &str) -> Result<Form, BadPassword> {
    let parts: bcrypt::HashParts = text.parse().map_err(|_| BadPassword::Damaged)?;
    if parts.get_cost() > MAX_BCRYPT_COST { Err(BadPassword::TooCostly) } else { Ok(Form::Bcrypt) }
}

fn is_crypt_char(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/')
}

/// A crypt(3) form; each byte of the salt gives one of its 64 characters.
fn make_crypt(
    magic: &str,
    chars: usize,
    password: &[u8],
    salt: &[u8; SALT_LEN],
) -> Result<String, BadPassword> {
    const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let salt: String = salt.iter().take(chars).map(|b| char::from(ALPHABET[usize::from(*b % 64)])).collect();
    pwhash::unix::crypt(password, &format!("{magic}{salt}$")).map_err(|_| BadPassword::Damaged)
}

#[cfg(test)]
mod tests;
