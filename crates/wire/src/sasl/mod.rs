//! SASL, the server's side: who the client claims to be and what it offers as proof. RFC 4422.
//!
//! An [`Exchange`] consumes one response and says what comes next as a [`Step`]. It knows no passwords and
//! asks nobody: for PLAIN and LOGIN it hands out the [`Password`] for the caller to have checked, for
//! SCRAM it asks for the account's stored keys. The protocols carry challenges and responses in base64,
//! which is the business of [`encode`] and [`decode`], and say how an exchange begins and is given up.

mod password;
pub mod scram;

pub use password::{Password, plain_response};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use scram::{AwaitKeys, AwaitProof};

/// Octets of one decoded response. PLAIN needs the most: three fields of 255 octets (RFC 4616) leave room.
pub const MAX_RESPONSE: usize = 2048;

/// The mechanisms that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 4616. Shows the password to the server.
    Plain,
    /// The widespread predecessor without a standard: user name and password, each after a question.
    Login,
    /// RFC 7677, without channel binding. Shows the server a proof only.
    ScramSha256,
}

impl Mechanism {
    /// All, the strongest first.
    pub const ALL: [Self; 3] = [Self::ScramSha256, Self::Plain, Self::Login];

    /// The mechanism of a name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name().eq_ignore_ascii_case(name))
    }

    /// As registered.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
        }
    }

    /// Whether the password itself travels, so that the connection must be encrypted.
    pub const fn shows_password(self) -> bool {
        matches!(self, Self::Plain | Self::Login)
    }
}

/// Why an exchange ends without an answer to who the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadResponse {
    /// Not base64, or not in its one canonical form.
    #[error("the response is not base64")]
    Encoding,
    /// More than [`MAX_RESPONSE`] octets.
    #[error("the response is too long")]
    TooLong,
    /// Not what the mechanism asks for at this point.
    #[error("the response is not what the mechanism asks for")]
    Syntax,
    /// The client wants to act as somebody else.
    #[error("acting as another user is not offered")]
    Authorization,
    /// SCRAM: the client wants to bind the channel.
    #[error("channel binding is not offered")]
    ChannelBinding,
    /// SCRAM: the proof does not fit the keys.
    #[error("the proof is not right")]
    Proof,
}

/// What comes after a response.
#[derive(Debug)]
pub enum Step {
    /// Send this, and give the answer to the exchange.
    Challenge(Exchange, Vec<u8>),
    /// The claim is complete: have the password checked. The exchange is over.
    Password(Password),
    /// Find the keys of this user, and go on with [`AwaitKeys::keys`].
    Keys(Box<AwaitKeys>),
    /// The user of this login name has proven who he is. The exchange is over.
    Proven(Box<str>),
}

/// A running exchange.
#[derive(Debug)]
pub enum Exchange {
    /// PLAIN, before its only response.
    Plain,
    /// LOGIN, before the user name.
    LoginUser,
    /// LOGIN, before the password of this user.
    LoginPassword(Box<str>),
    /// SCRAM, before the client's first message; with the server's half of the nonce.
    ScramFirst(Box<str>),
    /// SCRAM, before the client's proof.
    ScramProof(Box<AwaitProof>),
    /// SCRAM, before the empty response to the server's own proof.
    ScramEnd(Box<str>),
}

impl Exchange {
    /// Begins. `nonce` is 18 fresh random octets; only SCRAM uses them.
    pub fn new(mechanism: Mechanism, nonce: [u8; 18]) -> Self {
        match mechanism {
            Mechanism::Plain => Self::Plain,
            Mechanism::Login => Self::LoginUser,
            Mechanism::ScramSha256 => Self::ScramFirst(STANDARD.encode(nonce).into()),
        }
    }

    /// What is sent when the client gave no initial response.
    pub const fn question(&self) -> &'static [u8] {
        match self {
            Self::LoginUser => b"Username:",
            Self::LoginPassword(_) => b"Password:",
            _ => b"",
        }
    }

    /// Takes a decoded response.
    ///
    /// # Errors
    /// The exchange is over; [`BadResponse`] says why.
    pub fn respond(self, response: &[u8]) -> Result<Step, BadResponse> {
        if response.len() > MAX_RESPONSE {
            return Err(BadResponse::TooLong);
        }
        match self {
            Self::Plain => Password::from_plain(response).map(Step::Password),
            Self::LoginUser => {
                let next = Self::LoginPassword(password::login_name(response)?);
                let question = next.question().to_vec();
                Ok(Step::Challenge(next, question))
            }
            Self::LoginPassword(login) => Password::new(login, response).map(Step::Password),
            Self::ScramFirst(nonce) => {
                AwaitKeys::first(&nonce, response).map(|first| Step::Keys(Box::new(first)))
            }
            Self::ScramProof(first) => {
                let (login, proof) = first.prove(response)?;
                Ok(Step::Challenge(Self::ScramEnd(login), proof))
            }
            Self::ScramEnd(login) if response.is_empty() => Ok(Step::Proven(login)),
            Self::ScramEnd(_) => Err(BadResponse::Syntax),
        }
    }
}

/// A challenge as it travels.
pub fn encode(challenge: &[u8]) -> String {
    STANDARD.encode(challenge)
}

/// A response as it came, where `=` alone stands for an empty initial one. RFC 4954 4.
///
/// # Errors
/// [`BadResponse::Encoding`] and [`BadResponse::TooLong`].
pub fn decode(text: &[u8]) -> Result<Vec<u8>, BadResponse> {
    match text {
        b"=" => Ok(Vec::new()),
        text if text.len() > MAX_RESPONSE.div_ceil(3) * 4 => Err(BadResponse::TooLong),
        text => STANDARD.decode(text).map_err(|_| BadResponse::Encoding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mechanisms_have_their_registered_names() {
        assert_eq!(Mechanism::parse("scram-sha-256"), Some(Mechanism::ScramSha256));
        assert_eq!(Mechanism::parse("SCRAM-SHA-256-PLUS"), None);
        assert!(Mechanism::ALL.iter().all(|m| Mechanism::parse(m.name()) == Some(*m)));
    }

    #[test]
    fn login_asks_twice() {
        let start = Exchange::new(Mechanism::Login, [0; 18]);
        assert_eq!(encode(start.question()), "VXNlcm5hbWU6");
        let Ok(Step::Challenge(next, question)) = start.respond(b"joe") else { panic!("a second question") };
        assert_eq!(encode(&question), "UGFzc3dvcmQ6");
        let Ok(Step::Password(password)) = next.respond(b"secret") else { panic!("a password") };
        assert_eq!((&*password.login, password.secret.expose()), ("joe", &b"secret"[..]));
    }

    #[test]
    fn base64_is_strict_and_limited() {
        assert_eq!(decode(b"="), Ok(vec![]));
        assert_eq!(decode(b""), Ok(vec![]));
        assert_eq!(decode(b"YQ=="), Ok(b"a".to_vec()));
        for bad in [&b"YQ"[..], b"YR==", b"Y Q=", b"YQ==\n", b"*"] {
            assert_eq!(decode(bad), Err(BadResponse::Encoding), "{bad:?}");
        }
        assert_eq!(decode(&vec![b'A'; 4 * MAX_RESPONSE]), Err(BadResponse::TooLong));
    }

    proptest! {
        #[test]
        fn no_response_panics(
            mechanism in prop_oneof![Just(Mechanism::Plain), Just(Mechanism::Login), Just(Mechanism::ScramSha256)],
            responses in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..4),
        ) {
            let mut exchange = Some(Exchange::new(mechanism, [7; 18]));
            for response in responses {
                let Some(now) = exchange.take() else { break };
                if let Ok(Step::Challenge(next, _)) = now.respond(&response) {
                    exchange = Some(next);
                }
            }
        }
    }
}
