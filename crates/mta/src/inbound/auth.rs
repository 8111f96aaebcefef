//! AUTH: the client proves who it is. RFC 4954. The exchange is `wire::sasl`'s, the judgement the directory's.

use super::replies;
use super::session::{End, Session};
use roles::directory::{Account, DirectoryError, Login, Origin, Proof, Protocol};
use wire::sasl::scram::{AwaitKeys, Keys};
use wire::sasl::{self, BadResponse, Exchange, Mechanism, Step};
use wire::smtp::reply::Reply;
use wire::smtp::server_state::Event;

/// How an exchange ended without an account.
enum Failed {
    Session(End),
    /// What the client did is not how the mechanism goes.
    Client(Reply),
    /// The claim is wrong: the next try waits.
    Claim(Reply),
}

impl From<End> for Failed {
    fn from(end: End) -> Self {
        Self::Session(end)
    }
}

impl From<BadResponse> for Failed {
    fn from(why: BadResponse) -> Self {
        let reply = replies::bad_response(why);
        if why == BadResponse::Proof { Self::Claim(reply) } else { Self::Client(reply) }
    }
}

impl From<DirectoryError> for Failed {
    fn from(why: DirectoryError) -> Self {
        let reply = replies::login(&why);
        match why {
            DirectoryError::Busy | DirectoryError::Maintenance | DirectoryError::Unavailable => {
                Self::Client(reply)
            }
            _ => Self::Claim(reply),
        }
    }
}

impl Session<'_> {
    pub(super) async fn auth(&mut self, mechanism: &str, initial: Option<Box<str>>) -> Result<(), End> {
        match self.log_in(mechanism, initial).await {
            Ok(account) => {
                self.user = Some(Box::new(account));
                self.state = self.state.after(Event::Authenticated);
                self.reply(&replies::LOGGED_IN);
            }
            Err(Failed::Session(end)) => return Err(end),
            Err(Failed::Client(reply)) => self.reply(&reply),
            Err(Failed::Claim(reply)) => {
                self.failures += 1;
                self.mta.env.clock.sleep(self.rules.access.delay_of(self.failures)).await;
                self.reply(&reply);
            }
        }
        Ok(())
    }

    async fn log_in(&mut self, mechanism: &str, initial: Option<Box<str>>) -> Result<Account, Failed> {
        let mechanism = self.choose(mechanism).map_err(Failed::Client)?;
        let mut nonce = [0; 18];
        self.mta.env.random.fill(&mut nonce);
        let mut exchange = Exchange::new(mechanism, nonce);
        let mut response = match initial {
            Some(text) => sasl::decode(text.as_bytes())?,
            None => self.challenge(exchange.question()).await?,
        };
        loop {
            let (next, challenge) = match exchange.respond(&response)? {
                Step::Challenge(next, challenge) => (next, challenge),
                Step::Keys(first) => match self.scram_keys(*first).await? {
                    Step::Challenge(next, challenge) => (next, challenge),
                    _ => return Err(Failed::Client(replies::bad_response(BadResponse::Syntax))),
                },
                Step::Password(password) => {
                    let proof = Proof::Password(password.secret);
                    return Ok(self.authenticate(password.login.into(), proof).await?);
                }
                Step::Proven(login) => return Ok(self.authenticate(login.into(), Proof::Scram).await?),
            };
            exchange = next;
            response = self.challenge(&challenge).await?;
        }
    }

    fn choose(&self, name: &str) -> Result<Mechanism, Reply> {
        let offered = self.mechanisms();
        match Mechanism::parse(name) {
            Some(mechanism) if offered.contains(&mechanism) => Ok(mechanism),
            Some(mechanism) if mechanism.shows_password() && !self.password_is_safe() => {
                Err(replies::TLS_FIRST)
            }
            _ => Err(replies::NO_MECHANISM),
        }
    }

    /// Sends a challenge and reads the response. RFC 4954 4: `*` gives up.
    async fn challenge(&mut self, challenge: &[u8]) -> Result<Vec<u8>, Failed> {
        self.reply(&Reply::plain(334, sasl::encode(challenge).into()));
        let read = |line: &[u8]| if line == b"*" { None } else { Some(sasl::decode(line)) };
        match self.line(read).await? {
            Ok(Some(response)) => Ok(response?),
            Ok(None) => Err(Failed::Client(replies::CANCELLED)),
            Err(why) => Err(Failed::Client(replies::bad_line(why))),
        }
    }

    async fn scram_keys(&self, first: AwaitKeys) -> Result<Step, DirectoryError> {
        let (call, name) = (self.question(), first.login().to_owned());
        let keys = self.mta.directory.scram_keys(&call, name, self.origin()).await?;
        Ok(first.keys(Keys {
            salt: keys.salt.into(),
            iterations: keys.iterations,
            stored_key: mail::secret::Secret::new(keys.stored_key),
            server_key: keys.server_key,
        }))
    }

    async fn authenticate(&self, name: String, proof: Proof) -> Result<Account, DirectoryError> {
        let login = Login { name, proof, origin: self.origin() };
        self.mta.directory.authenticate(&self.question(), login).await
    }

    fn origin(&self) -> Origin {
        Origin {
            protocol: Protocol::Smtp,
            transport: self.connection.transport(),
            peer: self.peer(),
            local: self.connection.local().ip().to_canonical(),
        }
    }
}
