//! The server: what it holds, how it finds accounts, and the role it plays.

use crate::cache::Cache;
use crate::copy::Copy;
use crate::fault::Fault;
use crate::homes;
use crate::lookup::{ByName, Found, Purpose};
use crate::names::{LoginRules, Name};
use crate::nudge::Nudge;
use crate::place;
use crate::proofs::Proofs;
use crate::realms::Realms;
use crate::route::RouteRules;
use crate::source::Source;
use catalog::events::cache::CacheConfigInfoMismatch;
use catalog::events::db::{DbAwayAtStart, DbFailed};
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
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use storage::directory::{DirectoryTables, NameKey};
use storage::replica::{Entry, Key};
use storage::sql::{Location, SqlError};

/// The directory of a site, over its database or over the copy of this host. Cloning shares everything.
#[derive(Clone)]
pub struct DirectoryServer {
    pub(crate) shared: Arc<Shared>,
}

/// What all clones share.
pub(crate) struct Shared {
    pub(crate) env: Env,
    pub(crate) source: Source,
    /// Whether the database has been seen to be that of this site: it is not asked for anything else before.
    pub(crate) prepared: AtomicBool,
    /// Whether it has been seen to be that of another site.
    is_stranger: AtomicBool,
    /// Whether the database answered when it was last asked for changes.
    pub(crate) reachable: AtomicBool,
    pub(crate) cache: Cache,
    /// The copy on this host, where one is kept.
    pub(crate) copy: OnceLock<Copy>,
    pub(crate) proofs: Proofs,
    /// Same in every process of the site and after every restart: made-up SCRAM keys come from it.
    /// Not known while neither the database nor the copy has told it.
    site_key: OnceLock<Secret>,
    /// What passwords of unknown names are compared with.
    pub(crate) nobody: StoredPassword,
    pub(crate) keys: Live<Keys>,
    pub(crate) routing: Live<RouteRules>,
    /// The hosts for new mailboxes, at least one.
    pub(crate) homes: Live<Vec<HostName>>,
    pub(crate) realms: Realms,
    pub(crate) nudge: Nudge,
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

impl Keys {
    fn read(settings: &Settings) -> Self {
        Self {
            proof_for: settings.get(AUTH_CACHE_SECONDS),
            rehash: if settings.get(REHASH_PASSWORDS) { Rehash::AfterLogin } else { Rehash::Never },
            missing_domains: match settings.get(CREATE_MISSING_DOMAINS) {
                true => MissingDomains::Create,
                false => MissingDomains::Refuse,
            },
            through: Through::read(settings),
        }
    }
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
        let tables = open_tables(&env, file, DirectoryTables::open)?;
        let server = Self::new(env, Source::Tables(tables))?;
        server.shared.prepare().await.map_err(|f| f.0)?;
        Ok(server)
    }

    /// As [`DirectoryServer::open`], and keeps the copy in this folder: this process writes it. Where a usable copy is there it
    /// serves at once, also while the database is out of reach, which is taken up when it comes back; a database file
    /// that is gone is not made anew then. Where no usable copy is there the database is needed, and the copy is built once
    /// [`DirectoryServer::follow_changes`] runs.
    ///
    /// # Errors
    /// As [`DirectoryServer::open`]; where another process writes the copy, or the folder cannot be used;
    /// [`DirectoryError::Broken`] where copy and database are of different sites.
    pub async fn open_with_copy(env: Env, file: &Path, folder: &Path) -> Result<Self, DirectoryError> {
        let copy = Copy::written(&env, folder)?;
        let Some(reader) = copy.reader() else {
            let server = Self::open(env, file).await?;
            server.hold(copy);
            return Ok(server);
        };
        let tables = open_tables(&env, file, DirectoryTables::open_later)?;
        let server = Self::new(env, Source::Tables(tables))?;
        server.shared.heard.store(reader.position(), Ordering::Release);
        server.hold(copy);
        match server.shared.prepare().await {
            Ok(()) => {}
            Err(Fault(DirectoryError::Unavailable)) => {
                let log = &server.shared.env.log;
                log.emit(&DbAwayAtStart { position: reader.position(), path: folder.display() });
            }
            Err(Fault(error)) => return Err(error),
        }
        Ok(server)
    }

    /// Serves from the copy in this folder, which another process of this host writes. What it has not is asked of `whole`:
    /// that process, or whoever has the whole directory. Neither has to be there yet. Needs no database, and cannot change
    /// anything: its [`Provisioning`](roles::directory::provision::Provisioning) is never available.
    ///
    /// # Errors
    /// [`DirectoryError::Broken`] where there is no chance to be had.
    pub fn follow(env: Env, folder: &Path, whole: Arc<dyn Directory>) -> Result<Self, DirectoryError> {
        let copy = Copy::followed(&env, folder);
        let server = Self::new(env, Source::Server(whole))?;
        server.hold(copy);
        Ok(server)
    }

    fn new(env: Env, source: Source) -> Result<Self, DirectoryError> {
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
            source,
            prepared: AtomicBool::new(false),
            is_stranger: AtomicBool::new(false),
            reachable: AtomicBool::new(false),
            cache: Cache::new(),
            copy: OnceLock::new(),
            proofs: Proofs::new(Secret::new(key)),
            nobody: nobody.map_err(|e| DirectoryError::Broken(e.to_string()))?,
            keys: env.settings.live(Keys::read),
            routing: env.settings.live(RouteRules::read),
            homes: env.settings.live(|s| homes::for_new_mailboxes(&s.tree(), s.host())),
            realms: Realms::read(&env.settings),
            nudge: Nudge::new(),
            heard: AtomicI64::new(0),
            site_key: OnceLock::new(),
            logins,
            env,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    pub(crate) fn hold(&self, copy: Copy) {
        // Only the first one is held: a server has one copy for its life.
        let _ = self.shared.copy.set(copy);
    }
}

/// Opens the database, and logs why that fails.
fn open_tables(
    env: &Env,
    file: &Path,
    open: impl FnOnce(&Location, &Env) -> Result<DirectoryTables, SqlError>,
) -> Result<DirectoryTables, DirectoryError> {
    place::locate(&env.settings, file).and_then(|location| open(&location, env)).map_err(|reason| {
        env.log.emit(&DbFailed { database: file.display(), reason: &reason });
        Fault::from(reason).0
    })
}

/// The servers whose keys logins follow, in the order of [`Shared::login_rules`].
const SERVERS: [&str; 4] = ["popserv", "imapserv", "mta", "web"];
/// The name of the site's key in the tables.
pub(crate) const SITE_KEY: &str = "site";

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

    /// Learns what the database says of the whole site: its key, which is made if this is the first time, and the number of
    /// the last change.
    ///
    /// # Errors
    /// [`DirectoryError::Broken`] where the copy is of another site: somebody has mixed up databases, and what this one does
    /// not have must not be taken as not being there.
    pub(crate) async fn prepare(&self) -> Result<(), Fault> {
        let Source::Tables(tables) = &self.source else { return Ok(()) };
        let found = tables.read(|rows| Ok::<_, Fault>((rows.secret(SITE_KEY)?, rows.last_change()?))).await?;
        let (key, heard) = match found {
            (Some(key), heard) => (key, heard),
            (None, _) => {
                let mut key = vec![0; 32];
                self.env.random.fill(&mut key);
                let keep = move |e: &storage::directory::Edit<'_>| {
                    e.keep_secret(SITE_KEY, &key)?;
                    Ok::<_, Fault>((e.secret(SITE_KEY)?.unwrap_or(key), e.last_change()?))
                };
                tables.write(self.env.clock.now(), String::new(), keep).await?
            }
        };
        if self.copied_site_key().is_some_and(|copied| !copied.same_as(&key)) {
            let (what, found, configured) = ("site", "another", "that of the directory's database");
            if !self.is_stranger.swap(true, Ordering::AcqRel) {
                self.env.log.emit(&CacheConfigInfoMismatch { what, found, configured });
            }
            let text =
                "the directory's database is not that of the copy on this host: see primaryDBUrl, dirCacheDB";
            return Err(DirectoryError::Broken(text.into()).into());
        }
        let _ = self.site_key.set(Secret::new(key));
        // Without a copy memory begins here; with one it begins with the copy.
        if self.copy.get().is_none() {
            self.heard.fetch_max(heard, Ordering::AcqRel);
        }
        self.prepared.store(true, Ordering::Release);
        self.reachable.store(true, Ordering::Release);
        Ok(())
    }

    /// The site's key, from the database or the copy.
    pub(crate) fn site_key(&self) -> Result<&Secret, Fault> {
        if self.site_key.get().is_none()
            && let Some(copied) = self.copied_site_key()
        {
            let _ = self.site_key.set(copied);
        }
        self.site_key.get().ok_or(Fault(DirectoryError::Unavailable))
    }

    fn copied_site_key(&self) -> Option<Secret> {
        let reader = self.copy.get()?.reader()?;
        match reader.get(&Key::Secret(SITE_KEY.into())) {
            Ok(Some(Entry::Secret(key))) => Some(Secret::new(key)),
            _ => None,
        }
    }

    async fn account_find(&self, call: &Call, name: &str) -> Result<Account, Fault> {
        if let Some(answer) = self.ask_first(|server| server.account_find(call, name.to_owned())).await {
            return answer;
        }
        let rules = self.login_rules(Protocol::Web);
        let mut names = rules.names(name, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        // A quoted local part is looked up without its quotes (ITS 17586).
        if let Ok(address) = Address::parse(name.trim()) {
            names.push(Name::Address(NameKey::new(address.local(), address.domain().as_str())));
        }
        match self.find(&names, Purpose::Account).await? {
            Found::Here(ByName { card, .. }) => Ok(card.account()),
            Found::Nobody => {
                let reason = format!("there is no account, alias or address {}", name.trim());
                Err(DirectoryError::Missing(reason).into())
            }
            Found::Elsewhere(server) => {
                let read_at = self.cache.epoch();
                let found = server.account_find(call, name.to_owned()).await;
                if matches!(found, Err(DirectoryError::Missing(_))) {
                    self.nobody_has(&names, read_at);
                }
                Ok(found?)
            }
        }
    }

    async fn sender_allowed(&self, call: &Call, account: AccountId, sender: &Address) -> Result<bool, Fault> {
        if let Some(answer) = self.ask_first(|s| s.sender_allowed(call, account, sender.clone())).await {
            return answer;
        }
        let key = NameKey::new(sender.local(), sender.domain().as_str());
        if let Some(realm) = self.other_realm(&[Name::Address(key.clone())], Purpose::Sender) {
            return Ok(realm.sender_allowed(call, account, sender.clone()).await?);
        }
        let card = match self.card(account).await? {
            Found::Here(card) => card,
            Found::Nobody => return Ok(false),
            Found::Elsewhere(server) => {
                return Ok(server.sender_allowed(call, account, sender.clone()).await?);
            }
        };
        let own = |key: &NameKey| card.has_address(key);
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
    fn authenticate<'a>(&'a self, call: &'a Call, login: Login) -> Answer<'a, Account, DirectoryError> {
        timed!(self, DirectoryAuthenticate, self.shared.authenticate(call, login))
    }

    fn scram_keys<'a>(
        &'a self,
        call: &'a Call,
        name: String,
        origin: Origin,
    ) -> Answer<'a, ScramKeys, DirectoryError> {
        timed!(self, DirectoryScramKeys, self.shared.scram_keys(call, &name, origin))
    }

    fn address_route<'a>(&'a self, call: &'a Call, address: Address) -> Answer<'a, Route, DirectoryError> {
        timed!(self, DirectoryRoute, self.shared.route(call, address))
    }

    fn account_find<'a>(&'a self, call: &'a Call, name: String) -> Answer<'a, Account, DirectoryError> {
        timed!(self, DirectoryAccountFind, self.shared.account_find(call, &name))
    }

    fn sender_allowed<'a>(
        &'a self,
        call: &'a Call,
        account: AccountId,
        sender: Address,
    ) -> Answer<'a, bool, DirectoryError> {
        timed!(self, DirectorySenderAllowed, self.shared.sender_allowed(call, account, &sender))
    }
}
