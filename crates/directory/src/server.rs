//! The server: what it holds, how it finds accounts, and the role it plays.

use crate::cache::Cache;
use crate::copy::Copy;
use crate::fault::Fault;
use crate::homes;
use crate::lookup::Purpose;
use crate::names::{LoginRules, Name};
use crate::place;
use crate::proofs::{Proofs, keyed};
use crate::route::RouteRules;
use catalog::events::db::DbFailed;
use catalog::keys::imdircacheserv::{
    AUTH_CACHE_SECONDS, CACHE_ALWAYS_READ_THRU, CACHE_AUTHORITATIVE_FOR_MTA, CACHE_DISABLE_READ_THRUS,
    CREATE_MISSING_DOMAINS, REHASH_PASSWORDS,
};
use catalog::metrics::Operation;
use env::Env;
use env::settings::{Live, Settings};
use mail::address::Address;
use mail::id::{AccountId, HostName};
use mail::password::{SALT_LEN, StoredPassword};
use mail::secret::Secret;
use roles::directory::{Account, Directory, DirectoryError, Login, Origin, Protocol, Route, ScramKeys};
use roles::{Answer, Call};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use storage::directory::{DirectoryTables, NameKey};

/// The directory of a site, over its database. Cloning shares everything.
#[derive(Clone)]
pub struct DirectoryServer {
    pub(crate) shared: Arc<Shared>,
}

/// What all clones share.
pub(crate) struct Shared {
    pub(crate) env: Env,
    pub(crate) tables: DirectoryTables,
    pub(crate) cache: Cache,
    /// The copy on this host, where one is kept.
    pub(crate) copy: OnceLock<Copy>,
    pub(crate) proofs: Proofs,
    /// Same in every process of the site and after every restart: made-up SCRAM keys come from it.
    pub(crate) site_key: Secret,
    /// What passwords of unknown names are compared with.
    pub(crate) nobody: StoredPassword,
    pub(crate) keys: Live<Keys>,
    pub(crate) routing: Live<RouteRules>,
    /// The hosts for new mailboxes, at least one.
    pub(crate) homes: Live<Vec<HostName>>,
    /// The last change that the caches have heard of.
    pub(crate) heard: AtomicI64,
    logins: [Live<LoginRules>; 4],
}

/// Keys of the directory that are read with every request.
pub(crate) struct Keys {
    pub(crate) proof_for: Duration,
    pub(crate) rehash: Rehash,
    pub(crate) missing_domains: MissingDomains,
    pub(crate) through: Through,
}

/// When the database is asked although there is a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Through {
    /// Always; the copy only while the database is out of reach.
    Always,
    /// For what the copy has not.
    OnMiss,
    /// For what the copy has not, but for addresses that mail is for.
    OnMissButForMail,
    /// Never.
    Never,
}

impl Through {
    fn read(settings: &Settings) -> Self {
        if settings.get(CACHE_ALWAYS_READ_THRU) {
            Self::Always
        } else if settings.get(CACHE_DISABLE_READ_THRUS) {
            Self::Never
        } else if settings.get(CACHE_AUTHORITATIVE_FOR_MTA) {
            Self::OnMissButForMail
        } else {
            Self::OnMiss
        }
    }
}

/// Whether old forms of passwords are renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rehash {
    AfterLogin,
    Never,
}

/// What creating an account does where its domain is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MissingDomains {
    Create,
    Refuse,
}

impl DirectoryServer {
    /// Opens the database that the keys name, else the file (made, where it is not there), and everything around it.
    /// `env` is that of `imdircacheserv`.
    ///
    /// # Errors
    /// [`DirectoryError::Unavailable`] or `Broken`, with the reason in the log.
    pub async fn open(env: Env, file: &Path) -> Result<Self, DirectoryError> {
        let located = place::locate(&env.settings, file);
        let tables = match located.and_then(|location| DirectoryTables::open(&location, &env)) {
            Ok(tables) => tables,
            Err(e) => {
                env.log.emit(&DbFailed { database: file.display(), reason: &e });
                return Err(Fault::from(e).0);
            }
        };
        let (site_key, heard) = prepare(&env, &tables).await.map_err(|f| f.0)?;
        let (mut salt, mut digest, mut key) = ([0; SALT_LEN], [0; 32], [0; 32]);
        env.random.fill(&mut salt);
        env.random.fill(&mut digest);
        env.random.fill(&mut key);
        let nobody = StoredPassword::of_nobody(&salt, &digest);
        let logins = SERVERS.map(|server| {
            let log = env.log.clone();
            env.settings.for_server(server).live(move |settings| LoginRules::read(settings, &log))
        });
        let shared = Shared {
            cache: Cache::new(),
            copy: OnceLock::new(),
            proofs: Proofs::new(Secret::new(key)),
            nobody: nobody.map_err(|e| DirectoryError::Broken(e.to_string()))?,
            keys: env.settings.live(|s| Keys {
                proof_for: s.get(AUTH_CACHE_SECONDS),
                rehash: if s.get(REHASH_PASSWORDS) { Rehash::AfterLogin } else { Rehash::Never },
                missing_domains: match s.get(CREATE_MISSING_DOMAINS) {
                    true => MissingDomains::Create,
                    false => MissingDomains::Refuse,
                },
                through: Through::read(s),
            }),
            routing: env.settings.live(RouteRules::read),
            homes: env.settings.live(|s| homes::for_new_mailboxes(&s.tree(), s.host())),
            heard: AtomicI64::new(heard),
            site_key,
            tables,
            logins,
            env,
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

/// The servers whose keys logins follow, in the order of [`Shared::login_rules`].
const SERVERS: [&str; 4] = ["popserv", "imapserv", "mta", "web"];
/// The name of the site's key in the tables.
pub(crate) const SITE_KEY: &str = "site";

/// The site's key, made if this is the first time, and the number of the last change.
async fn prepare(env: &Env, tables: &DirectoryTables) -> Result<(Secret, i64), Fault> {
    let found = tables.read(|rows| Ok::<_, Fault>((rows.secret(SITE_KEY)?, rows.last_change()?))).await?;
    if let (Some(key), heard) = found {
        return Ok((Secret::new(key), heard));
    }
    let mut key = vec![0; 32];
    env.random.fill(&mut key);
    let keep = move |e: &storage::directory::Edit<'_>| {
        e.keep_secret(SITE_KEY, &key)?;
        Ok::<_, Fault>((e.secret(SITE_KEY)?.unwrap_or(key), e.last_change()?))
    };
    let (key, heard) = tables.write(env.clock.now(), String::new(), keep).await?;
    Ok((Secret::new(key), heard))
}

impl Shared {
    /// The keys that logins by a protocol follow.
    pub(crate) fn login_rules(&self, protocol: Protocol) -> Arc<LoginRules> {
        let [pop, imap, smtp, web] = &self.logins;
        match protocol {
            Protocol::Pop => pop.get(),
            Protocol::Imap => imap.get(),
            Protocol::Smtp => smtp.get(),
            Protocol::Web => web.get(),
        }
    }

    /// Logs a failure of the tables; what was merely refused passes.
    pub(crate) fn noted<T>(&self, result: Result<T, Fault>) -> Result<T, Fault> {
        if let Err(Fault(e @ (DirectoryError::Broken(_) | DirectoryError::Unavailable))) = &result {
            self.env.log.emit(&DbFailed { database: "directory", reason: e });
        }
        result
    }

    /// HMAC under the site's key.
    pub(crate) fn site_keyed(&self, parts: &[&[u8]]) -> [u8; 32] {
        keyed(self.site_key.expose(), parts)
    }

    async fn account_find(&self, name: &str) -> Result<Account, Fault> {
        let rules = self.login_rules(Protocol::Web);
        let mut names = rules.names(name, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        // A quoted local part is looked up without its quotes (ITS 17586).
        if let Ok(address) = Address::parse(name.trim()) {
            names.push(Name::Address(NameKey::new(address.local(), address.domain().as_str())));
        }
        for name in names {
            if let Some(card) = self.find(&name, Purpose::Account).await? {
                return Ok(card.account());
            }
        }
        let reason = format!("there is no account, alias or address {}", name.trim());
        Err(DirectoryError::Missing(reason).into())
    }

    async fn sender_allowed(&self, account: AccountId, sender: &Address) -> Result<bool, Fault> {
        let key = NameKey::new(sender.local(), sender.domain().as_str());
        let Some(card) = self.card(account).await? else { return Ok(false) };
        let own = |key: &NameKey| card.addresses.contains(key);
        let detail = || {
            let (name, _) = self.routing.get().split_detail(&key.name)?;
            Some(NameKey::new(name, &key.domain))
        };
        Ok(own(&key) || detail().is_some_and(|base| own(&base)))
    }
}

/// What a method of the role answers, with its time taken.
macro_rules! timed {
    ($server:expr, $operation:ident, $answer:expr) => {
        Box::pin(async move {
            let _timed = $server.shared.env.metrics.time(Operation::$operation);
            $answer.await.map_err(|fault| fault.0)
        })
    };
}

impl Directory for DirectoryServer {
    fn authenticate<'a>(&'a self, _: &'a Call, login: Login) -> Answer<'a, Account, DirectoryError> {
        timed!(self, DirectoryAuthenticate, self.shared.authenticate(login))
    }

    fn scram_keys<'a>(
        &'a self,
        _: &'a Call,
        name: String,
        origin: Origin,
    ) -> Answer<'a, ScramKeys, DirectoryError> {
        timed!(self, DirectoryScramKeys, self.shared.scram_keys(&name, origin))
    }

    fn address_route<'a>(&'a self, _: &'a Call, address: Address) -> Answer<'a, Route, DirectoryError> {
        timed!(self, DirectoryRoute, self.shared.route(address))
    }

    fn account_find<'a>(&'a self, _: &'a Call, name: String) -> Answer<'a, Account, DirectoryError> {
        timed!(self, DirectoryAccountFind, self.shared.account_find(&name))
    }

    fn sender_allowed<'a>(
        &'a self,
        _: &'a Call,
        account: AccountId,
        sender: Address,
    ) -> Answer<'a, bool, DirectoryError> {
        timed!(self, DirectorySenderAllowed, self.shared.sender_allowed(account, &sender))
    }
}
