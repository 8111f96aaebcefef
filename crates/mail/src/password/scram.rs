//! What a server keeps to do SCRAM-SHA-256 without the password. RFC 5802 3, RFC 7677; text form: RFC 5803.

use super::BadPassword;
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// Fewest iterations accepted in a stored text. RFC 7677 4.
const MIN_ITERATIONS: u32 = 4096;
/// Most iterations accepted: the client has to run them all.
const MAX_ITERATIONS: u32 = 1_000_000;
/// Longest salt in bytes.
const MAX_SALT: usize = 64;

/// The keys of one password for SCRAM-SHA-256.
#[derive(Clone)]
pub struct ScramKeys {
    /// The salt that the client is told, 1 to 64 bytes.
    pub salt: Vec<u8>,
    /// The iterations that the client is told.
    pub iterations: u32,
    /// `H(ClientKey)`.
    pub stored_key: [u8; 32],
    /// `HMAC(SaltedPassword, "Server Key")`.
    pub server_key: [u8; 32],
}

impl ScramKeys {
    /// Iterations for new keys. More than RFC 7677's least, since whoever steals the database would attack these
    /// keys and not the Argon2id hash; not more than a telephone does in the blink of an eye.
    pub const ITERATIONS: u32 = 10_000;

    /// From a password, which is prepared by SASLprep (RFC 4013); what SASLprep refuses is taken as it is.
    pub fn derive(password: &Secret, salt: &[u8], iterations: u32) -> Self {
        let text = std::str::from_utf8(password.expose()).ok();
        let prepared = text.and_then(|t| stringprep::saslprep(t).ok());
        let prepared = Secret::new(prepared.as_deref().map_or(password.expose(), str::as_bytes));
        let mut salted = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(prepared.expose(), salt, iterations, &mut salted);
        let client_key = hmac_sha256(&salted, b"Client Key");
        Self {
            salt: salt.to_vec(),
            iterations,
            stored_key: Sha256::digest(client_key).into(),
            server_key: hmac_sha256(&salted, b"Server Key"),
        }
    }

    /// The text for the database, as RFC 5803 has it: `SCRAM-SHA-256$10000:salt$StoredKey:ServerKey`.
    pub fn to_text(&self) -> String {
        let [salt, stored, server] =
            [self.salt.as_slice(), &self.stored_key, &self.server_key].map(|b| STANDARD.encode(b));
        format!("SCRAM-SHA-256${}:{salt}${stored}:{server}", self.iterations)
    }

    /// From the text of the database.
    ///
    /// # Errors
    /// Where it is not in RFC 5803's form, or its numbers are out of their limits.
    pub fn parse(text: &str) -> Result<Self, BadPassword> {
        let rest = text.strip_prefix("SCRAM-SHA-256$").ok_or(BadPassword::UnknownForm)?;
        Self::parse_keys(rest).ok_or(BadPassword::Damaged)
    }

    fn parse_keys(rest: &str) -> Option<Self> {
        let (first, second) = rest.split_once('$')?;
        let (iterations, salt) = first.split_once(':')?;
        let (stored, server) = second.split_once(':')?;
        let iterations: u32 = iterations.parse().ok()?;
        let salt = STANDARD.decode(salt).ok()?;
        let fine =
            (MIN_ITERATIONS..=MAX_ITERATIONS).contains(&iterations) && (1..=MAX_SALT).contains(&salt.len());
        let key = |text: &str| <[u8; 32]>::try_from(STANDARD.decode(text).ok()?).ok();
        fine.then_some(Self { salt, iterations, stored_key: key(stored)?, server_key: key(server)? })
    }
}

impl std::fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "(scram keys, {} iterations)", self.iterations)
    }
}

fn hmac_sha256(key: &[u8; 32], data: &[u8]) -> [u8; 32] {
    let mut padded = [0; 64];
    padded[..32].copy_from_slice(key);
    let mac = Hmac::<Sha256>::new(&padded.into());
    mac.chain_update(data).finalize().into_bytes().into()
}
