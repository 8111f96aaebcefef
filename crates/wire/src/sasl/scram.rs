//! SCRAM-SHA-256: the client proves that it knows the password, the server that it knows the keys made of
//! it, and the password does not travel. RFC 5802, RFC 7677.
//!
//! The server keeps [`Keys`], not passwords. For a user who does not exist the caller goes on with
//! [`Keys::fake`]: the same name gets the same salt each time, so that nobody learns who exists, and no proof
//! fits. Channel binding is not offered.

use super::{BadResponse, Exchange, Step};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use mail::secret::Secret;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use subtle::ConstantTimeEq as _;

/// Octets of SHA-256, of a proof and of each key.
pub const HASH_LEN: usize = 32;
/// Octets of a client's nonce.
const MAX_NONCE: usize = 256;
/// What unknown users seem to have; what known ones have, unless the operator says otherwise. RFC 7677 4.
pub const DEFAULT_ITERATIONS: u32 = 4096;

/// What is stored of a password. RFC 5802 3.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Random, not secret.
    pub salt: Box<[u8]>,
    /// Rounds of PBKDF2.
    pub iterations: u32,
    /// The hash of the client's key: checks proofs.
    pub stored_key: Secret,
    /// Signs the server's own proof.
    pub server_key: Secret,
}

impl Keys {
    /// From the salted password, PBKDF2-HMAC-SHA-256 of the SASLprepped password. RFC 5802 3.
    pub fn derive(salt: &[u8], iterations: u32, salted_password: &[u8; HASH_LEN]) -> Self {
        let client_key = hmac(salted_password, &[b"Client Key"]);
        Self {
            salt: salt.into(),
            iterations,
            stored_key: Secret::new(Sha256::digest(client_key).to_vec()),
            server_key: Secret::new(hmac(salted_password, &[b"Server Key"])),
        }
    }

    /// For a user who does not exist: always the same for one name and one secret of the server.
    pub fn fake(secret: &Secret, login: &str) -> Self {
        let of = |what: &[u8]| hmac(secret.expose(), &[what, b"\0", login.as_bytes()]);
        let salt = of(b"salt");
        Self {
            salt: salt.get(..16).unwrap_or_default().into(),
            iterations: DEFAULT_ITERATIONS,
            stored_key: Secret::new(of(b"stored")),
            server_key: Secret::new(of(b"server")),
        }
    }
}

/// The client has said who it is; its keys are asked for.
#[derive(Debug)]
pub struct AwaitKeys {
    login: Box<str>,
    /// Both halves.
    nonce: String,
    /// The client's first message without its channel binding header.
    client_first_bare: Box<str>,
    /// That header, which comes again with the proof.
    header: Box<str>,
}

impl AwaitKeys {
    /// Reads `n,,n=user,r=nonce`. RFC 5802 5.1 and 7.
    pub(super) fn first(server_nonce: &str, message: &[u8]) -> Result<Self, BadResponse> {
        let message = std::str::from_utf8(message).map_err(|_| BadResponse::Syntax)?;
        let mut parts = message.splitn(3, ',');
        let (Some(binding), Some(acting_as), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(BadResponse::Syntax);
        };
        match binding {
            "n" | "y" => {}
            other if other.starts_with("p=") => return Err(BadResponse::ChannelBinding),
            _ => return Err(BadResponse::Syntax),
        }
        let mut attributes = bare.split(',');
        let login = user_name(attribute(attributes.next(), "n=")?)?;
        let client_nonce = attribute(attributes.next(), "r=")?;
        let printable = client_nonce.bytes().all(|b| (0x21..=0x7e).contains(&b));
        if client_nonce.is_empty() || client_nonce.len() > MAX_NONCE || !printable {
            return Err(BadResponse::Syntax);
        }
        if !acting_as.is_empty() && user_name(attribute(Some(acting_as), "a=")?)? != login {
            return Err(BadResponse::Authorization);
        }
        Ok(Self {
            login,
            nonce: format!("{client_nonce}{server_nonce}"),
            client_first_bare: bare.into(),
            header: format!("{binding},{acting_as},").into(),
        })
    }

    /// Whose keys are needed: SASLprepped.
    pub fn login(&self) -> &str {
        &self.login
    }

    /// Goes on with the keys: always [`Step::Challenge`].
    pub fn keys(self, keys: Keys) -> Step {
        let mut server_first = format!("r={},s=", self.nonce);
        STANDARD.encode_string(&keys.salt, &mut server_first);
        let _ = write!(server_first, ",i={}", keys.iterations);
        let challenge = server_first.clone().into_bytes();
        let next = AwaitProof { first: self, server_first: server_first.into(), keys };
        Step::Challenge(Exchange::ScramProof(Box::new(next)), challenge)
    }
}

/// The keys are there; the client's proof is awaited.
#[derive(Debug)]
pub struct AwaitProof {
    first: AwaitKeys,
    server_first: Box<str>,
    keys: Keys,
}

impl AwaitProof {
    /// Reads `c=header,r=nonce,p=proof`; gives who has been proven and the server's `v=`. RFC 5802 3 and 7.
    pub(super) fn prove(self, message: &[u8]) -> Result<(Box<str>, Vec<u8>), BadResponse> {
        let message = std::str::from_utf8(message).map_err(|_| BadResponse::Syntax)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(BadResponse::Syntax)?;
        let mut attributes = without_proof.split(',');
        let header = STANDARD.decode(attribute(attributes.next(), "c=")?).map_err(|_| BadResponse::Syntax)?;
        let nonce = attribute(attributes.next(), "r=")?;
        if header != self.first.header.as_bytes() {
            return Err(BadResponse::ChannelBinding);
        }
        if nonce != self.first.nonce {
            return Err(BadResponse::Proof);
        }
        let proof: [u8; HASH_LEN] =
            STANDARD.decode(proof).ok().and_then(|p| p.try_into().ok()).ok_or(BadResponse::Syntax)?;
        let signed = [&*self.first.client_first_bare, ",", &self.server_first, ",", without_proof];
        let signed = signed.map(str::as_bytes);
        let mut client_key = hmac(self.keys.stored_key.expose(), &signed);
        client_key.iter_mut().zip(proof).for_each(|(k, p)| *k ^= p);
        let fits = Sha256::digest(client_key).as_slice().ct_eq(self.keys.stored_key.expose());
        if !bool::from(fits) {
            return Err(BadResponse::Proof);
        }
        let mut answer = String::from("v=");
        STANDARD.encode_string(hmac(self.keys.server_key.expose(), &signed), &mut answer);
        Ok((self.first.login, answer.into_bytes()))
    }
}

fn attribute<'a>(text: Option<&'a str>, name: &str) -> Result<&'a str, BadResponse> {
    text.and_then(|t| t.strip_prefix(name)).ok_or(BadResponse::Syntax)
}

/// RFC 5802 5.1: `=2C` and `=3D` stand for comma and equals sign; the name is SASLprepped.
fn user_name(escaped: &str) -> Result<Box<str>, BadResponse> {
    let mut pieces = escaped.split('=');
    let mut name = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (c, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(BadResponse::Syntax),
        };
        name.push(c);
        name.push_str(rest);
    }
    let prepared = stringprep::saslprep(&name).map_err(|_| BadResponse::Syntax)?;
    super::password::login_name(prepared.as_bytes())
}

fn hmac(key: &[u8], pieces: &[&[u8]]) -> [u8; HASH_LEN] {
    // HMAC takes keys of every length; the error type is for MACs that do not.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; HASH_LEN] };
    pieces.iter().for_each(|piece| mac.update(piece));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::Mechanism;

    fn salted(password: &str, salt: &[u8], iterations: u32) -> [u8; HASH_LEN] {
        pbkdf2::pbkdf2_hmac_array::<Sha256, HASH_LEN>(password.as_bytes(), salt, iterations)
    }

    /// The exchange of RFC 7677 3, whose server nonce is not base64 of 18 octets.
    fn rfc_exchange() -> (AwaitKeys, Keys) {
        let first = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
        let first = AwaitKeys::first("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", first).unwrap();
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        (first, Keys::derive(&salt, 4096, &salted("pencil", &salt, 4096)))
    }

    #[test]
    fn the_example_of_rfc_7677() {
        let (first, keys) = rfc_exchange();
        let Step::Challenge(proof, challenge) = first.keys(keys) else { panic!("a challenge") };
        let expected =
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert_eq!(String::from_utf8(challenge).unwrap(), expected);
        let response = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
            p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let Ok(Step::Challenge(end, answer)) = proof.respond(response) else { panic!("the server's proof") };
        assert_eq!(answer, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        let Ok(Step::Proven(login)) = end.respond(b"") else { panic!("proven") };
        assert_eq!(&*login, "user");
    }

    #[test]
    fn a_proof_that_does_not_fit_is_refused() {
        for (response, why) in [
            (
                "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                BadResponse::Proof,
            ),
            (
                "c=biws,r=rOprNGfwEbeRWgbNEkqO,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                BadResponse::Proof,
            ),
            (
                "c=eSws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                BadResponse::ChannelBinding,
            ),
            ("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzb", BadResponse::Syntax),
            ("", BadResponse::Syntax),
        ] {
            let (first, keys) = rfc_exchange();
            let Step::Challenge(proof, _) = first.keys(keys) else { panic!("a challenge") };
            assert_eq!(proof.respond(response.as_bytes()).unwrap_err(), why, "{response}");
        }
    }

    #[test]
    fn first_messages_are_judged() {
        let first = |m: &str| AwaitKeys::first("s", m.as_bytes()).map(|f| f.login.into_string());
        assert_eq!(first("n,,n=a=2Cb=3Dc,r=x"), Ok("a,b=c".into()));
        assert_eq!(first("y,a=joe,n=joe,r=x"), Ok("joe".into()));
        assert_eq!(first("n,a=root,n=joe,r=x"), Err(BadResponse::Authorization));
        assert_eq!(first("p=tls-unique,,n=joe,r=x"), Err(BadResponse::ChannelBinding));
        for bad in
            ["", "n", "n,,", "n,,n=joe", "n,,n=joe,r=", "n,,n=,r=x", "n,,m=1,n=joe,r=x", "n,,n=a=2,r=x"]
        {
            assert_eq!(first(bad), Err(BadResponse::Syntax), "{bad}");
        }
        assert_eq!(first("n,,n=\u{2168}\u{ad},r=x"), Ok("IX".into()), "RFC 4013 3");
    }

    #[test]
    fn unknown_users_look_like_known_ones() {
        let secret = Secret::new("of the server");
        let (a, again, b) = (Keys::fake(&secret, "a"), Keys::fake(&secret, "a"), Keys::fake(&secret, "b"));
        assert_eq!(a.salt, again.salt);
        assert_ne!(a.salt, b.salt);
        assert_eq!((a.salt.len(), a.iterations), (16, DEFAULT_ITERATIONS));
    }

    #[test]
    fn the_server_adds_its_own_nonce() {
        let start = Exchange::new(Mechanism::ScramSha256, [1; 18]);
        let Ok(Step::Keys(first)) = start.respond(b"n,,n=joe,r=abc") else { panic!("keys are asked for") };
        let Step::Challenge(_, challenge) = first.keys(Keys::fake(&Secret::new("x"), "joe")) else {
            panic!("a challenge")
        };
        assert!(challenge.starts_with(b"r=abcAQEBAQEBAQEBAQEBAQEBAQEB,s="));
    }
}
