//! Logins: is it them, and may they come in this way?
//!
//! The proof is judged before anything else, so that the state and the rights of an account are told to nobody who
//! does not know its password. A name that does not exist costs the same hashing as one that does; accounts whose
//! password is still stored in an old, cheap form answer faster until `rehashPasswords` has renewed it.

use crate::access::{self, Trust, Verdict};
use crate::card::Card;
use crate::fault::Fault;
use crate::lookup::{ByName, Found, Purpose};
use crate::proofs::keyed;
use crate::server::{DirectoryServer, Rehash, Shared};
use crate::source::{Source, answered};
use catalog::events::acct::{
    AcctAccessNotAllowed, AcctAuthBusy, AcctBadPassword, AcctImapNotAllowed, AcctLogin, AcctNontrustedLogin,
    AcctNotActive, AcctPasswordDamaged, AcctPasswordRehashed, AcctPopNotAllowed, AcctSslImapNotAllowed,
    AcctSslPopNotAllowed, AcctUnknownUser,
};
use mail::password::{self, PasswordType, SALT_LEN, StoredPassword};
use mail::secret::Secret;
use roles::Call;
use roles::directory::{Account, DirectoryError, Login, Origin, Proof, Protocol, ScramKeys, Transport};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use storage::directory::AccountRow;

impl Shared {
    pub(crate) async fn authenticate(self: &Arc<Self>, call: &Call, login: Login) -> Result<Account, Fault> {
        if let Some(answer) = self.ask_first(|server| server.authenticate(call, login.clone())).await {
            return answer;
        }
        let rules = self.login_rules(login.origin.protocol);
        let names = rules.names(&login.name, login.origin.local);
        let card = match self.find(&names, Purpose::Login).await? {
            Found::Here(ByName { card, .. }) => Some(card).filter(|c| c.is_visible()),
            Found::Nobody => None,
            Found::Elsewhere(server) => return Ok(server.authenticate(call, login).await?),
        };
        if let Some(answer) = self.renewed_elsewhere(call, &login, card.as_deref()).await {
            return answer;
        }
        let proven = match (&login.proof, &card) {
            (Proof::Password(password), Some(card)) => self.check(&login, card, password).await?,
            (Proof::Password(password), None) => self.hash(&login, self.nobody.clone(), password).await?,
            (Proof::Scram, card) => card.as_ref().is_some_and(|c| c.scram().is_some()),
        };
        let Some(card) = card else {
            self.refused(&login, Refusal::Unknown);
            return Err(DirectoryError::BadCredentials.into());
        };
        if !proven {
            self.refused(&login, Refusal::Password);
            return Err(DirectoryError::BadCredentials.into());
        }
        let trust = if rules.trusts(login.origin.local) { Trust::Trusted } else { Trust::Open };
        self.admit(&login, &card, trust)?;
        if let (Proof::Password(password), Some(row)) = (login.proof, card.row()) {
            self.renew(row, password);
        }
        Ok(card.account())
    }

    /// The real keys, or for everybody else made-up ones that are always the same.
    pub(crate) async fn scram_keys(
        &self,
        call: &Call,
        name: &str,
        origin: Origin,
    ) -> Result<ScramKeys, Fault> {
        if let Some(answer) = self.ask_first(|s| s.scram_keys(call, name.to_owned(), origin)).await {
            return answer;
        }
        let names = self.login_rules(origin.protocol).names(name, origin.local);
        let card = match self.find(&names, Purpose::Login).await? {
            Found::Here(ByName { card, .. }) => Some(card).filter(|c| c.is_visible()),
            Found::Nobody => None,
            Found::Elsewhere(server) => {
                return Ok(server.scram_keys(call, name.to_owned(), origin).await?);
            }
        };
        if let Some(keys) = card.as_ref().and_then(|c| c.scram()) {
            return Ok(ScramKeys {
                salt: keys.salt,
                iterations: keys.iterations,
                stored_key: keys.stored_key.to_vec(),
                server_key: Secret::new(keys.server_key),
            });
        }
        let name = names.first().map_or_else(|| name.to_lowercase(), crate::names::Name::text);
        let site_key = self.site_key()?;
        let made_up = |what: &[u8]| keyed(site_key.expose(), &[what, b"\0", name.as_bytes()]);
        Ok(ScramKeys {
            salt: made_up(b"salt")[..SALT_LEN].to_vec(),
            iterations: password::ScramKeys::ITERATIONS,
            stored_key: made_up(b"stored").to_vec(),
            server_key: Secret::new(made_up(b"server")),
        })
    }

    /// Whether the password is the account's: as known from lately, else by hashing.
    async fn check(&self, login: &Login, card: &Card, password: &Secret) -> Result<bool, Fault> {
        let tag = self.proofs.tag(card.id, card.version, password);
        if self.proofs.holds(&tag, self.keys.get().proof_for, self.env.clock.moment()) {
            return Ok(true);
        }
        let stored = match card.password() {
            Ok(stored) => stored,
            Err(reason) => {
                self.env.log.emit(&AcctPasswordDamaged { user: &card.login, reason });
                self.nobody.clone()
            }
        };
        let right = self.hash(login, stored, password).await?;
        if right {
            self.proofs.keep(tag, self.env.clock.moment());
        }
        Ok(right)
    }

    /// Compares on the bounded pool.
    async fn hash(&self, login: &Login, stored: StoredPassword, given: &Secret) -> Result<bool, Fault> {
        let given = given.clone();
        let done = self.env.compute.run(move || stored.verify(&given)).await;
        done.map_err(|_busy| {
            let (protocol, peer) = (word(login.origin.protocol), login.origin.peer);
            self.env.log.emit(&AcctAuthBusy { user: shown(&login.name), protocol, peer });
            DirectoryError::Busy.into()
        })
    }

    /// Judges state and rights, and logs what came of it.
    fn admit(&self, login: &Login, card: &Card, trust: Trust) -> Result<(), Fault> {
        let Origin { protocol, transport, peer, local } = login.origin;
        let user = &card.login;
        let verdict = access::judge(card.status, &card.rights, protocol, transport, trust);
        let word = word(protocol);
        match verdict {
            Verdict::Welcome => {
                self.env.log.emit(&AcctLogin { user, protocol: word, peer });
                return Ok(());
            }
            Verdict::Unknown => self.refused(login, Refusal::Unknown),
            Verdict::Maintenance | Verdict::NotActive => {
                self.env.log.emit(&AcctNotActive { user, status: card.status, protocol: word, peer });
            }
            Verdict::NotTrusted => {
                self.env.log.emit(&AcctNontrustedLogin { user, protocol: word, peer, interface: local });
            }
            Verdict::NotAllowed => self.log_not_allowed(user, login.origin),
        }
        let transport = if transport == Transport::Tls { " with TLS" } else { "" };
        Err(match verdict {
            Verdict::Maintenance => DirectoryError::Maintenance,
            Verdict::NotActive => DirectoryError::NotActive,
            Verdict::NotTrusted => DirectoryError::NotAllowed(format!("{word}{transport} from this place")),
            Verdict::NotAllowed => DirectoryError::NotAllowed(format!("{word}{transport}")),
            Verdict::Unknown | Verdict::Welcome => DirectoryError::BadCredentials,
        }
        .into())
    }

    fn log_not_allowed(&self, user: &str, origin: Origin) {
        let (log, peer) = (&self.env.log, origin.peer);
        match (origin.protocol, origin.transport) {
            (Protocol::Pop, Transport::Plain) => log.emit(&AcctPopNotAllowed { user, peer }),
            (Protocol::Pop, Transport::Tls) => log.emit(&AcctSslPopNotAllowed { user, peer }),
            (Protocol::Imap, Transport::Plain) => log.emit(&AcctImapNotAllowed { user, peer }),
            (Protocol::Imap, Transport::Tls) => log.emit(&AcctSslImapNotAllowed { user, peer }),
            (protocol @ (Protocol::Smtp | Protocol::Web), _) => {
                log.emit(&AcctAccessNotAllowed { user, protocol: word(protocol), peer });
            }
        }
    }

    fn refused(&self, login: &Login, why: Refusal) {
        let (user, protocol) = (shown(&login.name), word(login.origin.protocol));
        let peer = login.origin.peer;
        match why {
            Refusal::Unknown => self.env.log.emit(&AcctUnknownUser { user, protocol, peer }),
            Refusal::Password => self.env.log.emit(&AcctBadPassword { user, protocol, peer }),
        }
    }

    /// A login with a password of an old form, judged by who can store it in today's form; `None`: it is not one, or nobody
    /// answers, and it is judged here.
    async fn renewed_elsewhere(
        &self,
        call: &Call,
        login: &Login,
        card: Option<&Card>,
    ) -> Option<Result<Account, Fault>> {
        let Source::Server(server) = &self.source else { return None };
        if matches!(login.proof, Proof::Scram) || !self.is_to_be_renewed(card?.row()?) {
            return None;
        }
        answered(server.authenticate(call, login.clone()).await)
    }

    /// Stores the password in today's form, behind the login's back, unless it is or somebody is faster.
    fn renew(self: &Arc<Self>, row: &AccountRow, password: Secret) {
        // While the database is away the hashing would be for nothing.
        if !self.is_to_be_renewed(row) || !self.reachable.load(Ordering::Acquire) {
            return;
        }
        let (server, row) = (DirectoryServer { shared: Arc::clone(self) }, row.clone());
        self.env.tasks.spawn(async move {
            // A failure costs nothing: the next login tries again.
            let _ = server.shared.store_renewed(row, &password).await;
        });
    }

    fn is_to_be_renewed(&self, row: &AccountRow) -> bool {
        let current = StoredPassword::parse(&row.password).is_ok_and(|p| p.is_current());
        (!current || row.scram.is_empty()) && self.keys.get().rehash == Rehash::AfterLogin
    }

    async fn store_renewed(&self, old: AccountRow, password: &Secret) -> Result<(), Fault> {
        let (stored, scram) = self.make_password(password).await?;
        let user = format!("{}@{}", old.name, old.domain);
        let done = self.tables()?.write(self.env.clock.now(), String::new(), move |e| {
            let Some(now) = e.account(old.id)?.filter(|now| now.password == old.password) else {
                return Ok::<_, Fault>(false);
            };
            e.change_account(&now, &AccountRow { password: stored, scram, ..now.clone() })?;
            Ok(true)
        });
        if self.noted(done.await)? {
            self.nudge.changed();
            self.catch_up().await?;
            self.env.log.emit(&AcctPasswordRehashed { user, form: PasswordType::Argon2id });
        }
        Ok(())
    }

    /// Hashes a new password and derives its SCRAM keys, on the bounded pool; both as texts for the tables.
    pub(crate) async fn make_password(&self, password: &Secret) -> Result<(String, String), Fault> {
        let (mut salt, mut scram_salt) = ([0; SALT_LEN], [0; SALT_LEN]);
        self.env.random.fill(&mut salt);
        self.env.random.fill(&mut scram_salt);
        let password = password.clone();
        let made = self.env.compute.run(move || {
            let stored = StoredPassword::make(PasswordType::Argon2id, &password, &salt)?;
            let iterations = password::ScramKeys::ITERATIONS;
            let scram = password::ScramKeys::derive(&password, &scram_salt, iterations);
            Ok::<_, password::BadPassword>((stored.expose().to_owned(), scram.to_text()))
        });
        let made = made.await.map_err(|_busy| DirectoryError::Busy)?;
        Ok(made.map_err(|e| DirectoryError::Invalid(e.to_string()))?)
    }
}

enum Refusal {
    Unknown,
    Password,
}

/// A name as typed, cut so that no log line grows with it.
fn shown(name: &str) -> String {
    name.trim().chars().take(crate::names::MAX_LOGIN).collect()
}

fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Pop => "pop",
        Protocol::Imap => "imap",
        Protocol::Smtp => "smtp",
        Protocol::Web => "web",
    }
}
