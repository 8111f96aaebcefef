//! The forms that cost on purpose: Argon2 (RFC 9106) and PBKDF2 (RFC 8018 5.2), read and written with limits.

use super::digest::hex;
use super::{BadPassword, SALT_LEN};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use subtle::ConstantTimeEq;

/// Memory of new Argon2id hashes in KiB, as OWASP recommends with two passes: about 20 ms.
const MEMORY: u32 = 19 * 1024;
/// Passes of new Argon2id hashes.
const PASSES: u32 = 2;
/// Lanes of new Argon2id hashes.
const LANES: u32 = 1;
/// Greatest memory of a stored Argon2 hash, in KiB.
const MAX_MEMORY: u32 = 256 * 1024;
/// Greatest memory times passes of a stored Argon2 hash, in KiB: about a second.
const MAX_WORK: u64 = 1024 * 1024;
/// Greatest number of lanes of a stored Argon2 hash.
const MAX_LANES: u32 = 16;
/// Rounds of new PBKDF2 hashes: about 60 ms.
const ROUNDS: u32 = 100_000;
/// Greatest number of rounds of a stored PBKDF2 hash: about a second.
const MAX_ROUNDS: u32 = 1_500_000;
/// Longest salt or digest of a stored hash, in bytes.
const MAX_BYTES: usize = 128;

/// The PHC form: no padding. What others have padded is read all the same.
const PHC: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An Argon2 hash in its PHC form, taken apart.
#[derive(Clone)]
pub(super) struct Argon2Hash {
    algorithm: Algorithm,
    params: Params,
    salt: Vec<u8>,
    digest: Vec<u8>,
}

impl Argon2Hash {
    /// From what follows `$argon2id$`: `v=19$m=…,t=…,p=…$salt$digest`.
    pub(super) fn parse(name: &str, rest: &str) -> Result<Self, BadPassword> {
        let algorithm = if name == "argon2id" { Algorithm::Argon2id } else { Algorithm::Argon2i };
        let rest = rest.strip_prefix("v=19$").ok_or(BadPassword::Damaged)?;
        let mut parts = rest.split('$');
        let mut next = || parts.next().ok_or(BadPassword::Damaged);
        let (costs, salt, digest) = (next()?, decode(next()?)?, decode(next()?)?);
        let (mut memory, mut passes, mut lanes) = (0, 0, 0);
        for cost in costs.split(',') {
            let (key, value) = cost.split_once('=').ok_or(BadPassword::Damaged)?;
            let value: u32 = value.parse().map_err(|_| BadPassword::Damaged)?;
            match key {
                "m" => memory = value,
                "t" => passes = value,
                "p" => lanes = value,
                _ => return Err(BadPassword::Damaged),
            }
        }
        if memory > MAX_MEMORY || lanes > MAX_LANES || u64::from(memory) * u64::from(passes) > MAX_WORK {
            return Err(BadPassword::TooCostly);
        }
        let params =
            Params::new(memory, passes, lanes, Some(digest.len())).map_err(|_| BadPassword::Damaged)?;
        if parts.next().is_some() || salt.len() < argon2::MIN_SALT_LEN {
            return Err(BadPassword::Damaged);
        }
        Ok(Self { algorithm, params, salt, digest })
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let mut made = vec![0; self.digest.len()];
        let argon2 = Argon2::new(self.algorithm, Version::V0x13, self.params.clone());
        let done = argon2.hash_password_into(password, &self.salt, &mut made);
        done.is_ok() && bool::from(made.ct_eq(&self.digest))
    }

    /// Whether a new hash would not be stronger.
    pub(super) fn is_current(&self) -> bool {
        self.algorithm == Algorithm::Argon2id
            && self.params.m_cost() >= MEMORY
            && self.params.t_cost() >= PASSES
    }
}

/// A new Argon2id hash in its PHC form.
pub(super) fn make_argon2(password: &[u8], salt: &[u8; SALT_LEN]) -> Result<String, BadPassword> {
    let mut digest = [0; 32];
    let params = Params::new(MEMORY, PASSES, LANES, Some(digest.len())).map_err(|_| BadPassword::Damaged)?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password, salt, &mut digest)
        .map_err(|_| BadPassword::TooCostly)?;
    Ok(argon2_text(salt, &digest))
}

/// The PHC form of an Argon2id hash with today's costs.
pub(super) fn argon2_text(salt: &[u8; SALT_LEN], digest: &[u8; 32]) -> String {
    let (salt, digest) = (PHC.encode(salt), PHC.encode(digest));
    format!("$argon2id$v=19$m={MEMORY},t={PASSES},p={LANES}${salt}${digest}")
}

/// Which HMAC a PBKDF2 hash runs.
#[derive(Clone, Copy)]
enum Prf {
    Sha1,
    Sha256,
    Sha512,
}

/// A PBKDF2 hash, taken apart.
#[derive(Clone)]
pub(super) struct Pbkdf2Hash {
    prf: Prf,
    rounds: u32,
    salt: Vec<u8>,
    digest: Vec<u8>,
}

impl Pbkdf2Hash {
    /// `$pbkdf2-sha256$i=600000,l=32$salt$digest` (PHC) or `$pbkdf2-sha256$29000$salt$digest` (passlib, whose
    /// base64 writes `.` for `+`).
    pub(super) fn parse_modular(name: &str, rest: &str) -> Result<Self, BadPassword> {
        let prf = match name {
            "pbkdf2" | "pbkdf2-sha1" => Prf::Sha1,
            "pbkdf2-sha256" => Prf::Sha256,
            "pbkdf2-sha512" => Prf::Sha512,
            _ => return Err(BadPassword::UnknownForm),
        };
        let (costs, rest) = rest.split_once('$').ok_or(BadPassword::Damaged)?;
        let (salt, digest) = rest.split_once('$').ok_or(BadPassword::Damaged)?;
        let rounds = costs.split(',').next().unwrap_or(costs);
        Self::checked(prf, rounds.strip_prefix("i=").unwrap_or(rounds), decode(salt)?, decode(digest)?)
    }

    /// `{PBKDF2}$1$salt$rounds$hex` (Dovecot: the salt is text) or `{PBKDF2-SHA256}rounds$salt$digest` (OpenLDAP).
    pub(super) fn parse_scheme(name: &str, rest: &str) -> Result<Self, BadPassword> {
        let parts: Vec<&str> = rest.split('$').collect();
        match (name, parts.as_slice()) {
            ("PBKDF2", ["", "1", salt, rounds, digest]) => {
                let digest = hex(digest).ok_or(BadPassword::Damaged)?;
                Self::checked(Prf::Sha1, rounds, salt.as_bytes().to_vec(), digest)
            }
            (_, [rounds, salt, digest]) => {
                let prf = match name {
                    "PBKDF2" | "PBKDF2-SHA1" => Prf::Sha1,
                    "PBKDF2-SHA256" => Prf::Sha256,
                    "PBKDF2-SHA512" => Prf::Sha512,
                    _ => return Err(BadPassword::UnknownForm),
                };
                Self::checked(prf, rounds, decode(salt)?, decode(digest)?)
            }
            _ => Err(BadPassword::Damaged),
        }
    }

    fn checked(prf: Prf, rounds: &str, salt: Vec<u8>, digest: Vec<u8>) -> Result<Self, BadPassword> {
        let rounds: u32 = rounds.parse().map_err(|_| BadPassword::Damaged)?;
        let lengths = salt.len() <= MAX_BYTES && (16..=MAX_BYTES).contains(&digest.len());
        match rounds {
            0 => Err(BadPassword::Damaged),
            _ if !lengths => Err(BadPassword::Damaged),
            _ if rounds > MAX_ROUNDS => Err(BadPassword::TooCostly),
            _ => Ok(Self { prf, rounds, salt, digest }),
        }
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let mut made = vec![0; self.digest.len()];
        self.prf.run(password, &self.salt, self.rounds, &mut made);
        made.ct_eq(&self.digest).into()
    }
}

impl Prf {
    fn run(self, password: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]) {
        match self {
            Self::Sha1 => pbkdf2::pbkdf2_hmac::<sha1::Sha1>(password, salt, rounds, out),
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password, salt, rounds, out),
            Self::Sha512 => pbkdf2::pbkdf2_hmac::<sha2::Sha512>(password, salt, rounds, out),
        }
    }
}

/// A new PBKDF2 hash in its PHC form.
pub(super) fn make_pbkdf2(password: &[u8], salt: &[u8; SALT_LEN]) -> String {
    let mut digest = [0; 32];
    Prf::Sha256.run(password, salt, ROUNDS, &mut digest);
    format!("$pbkdf2-sha256$i={ROUNDS},l=32${}${}", PHC.encode(salt), PHC.encode(digest))
}

/// Base64 with or without padding, `.` taken as `+`.
fn decode(text: &str) -> Result<Vec<u8>, BadPassword> {
    let bytes = PHC.decode(text.replace('.', "+")).map_err(|_| BadPassword::Damaged)?;
    if bytes.len() > MAX_BYTES { Err(BadPassword::Damaged) } else { Ok(bytes) }
}
