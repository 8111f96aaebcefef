//! One client from greeting to goodbye.
//!
//! Commands are taken one by one from what has arrived and answered into the connection's buffer, which is
//! written when it is full or when there is nothing left to answer: pipelining (RFC 9051 5.5) costs nothing.
//! A waiting session is small: its buffers are let go, and each command's future is boxed and gone when the
//! command is.

use crate::commands;
use crate::replies;
use crate::rules::{LoggedIn, Rules};
use crate::selected::Selected;
use crate::users::Counted;
use crate::{Imap, updates};
use catalog::events::imap::{ImapSessionEnd, ImapSessionStart, ImapSyncError};
use env::tasks::Stopping;
use mail::id::{HostName, TraceId};
use net::connection::{Connection, Gone};
use roles::Call;
use roles::directory::{Account, Transport};
use roles::store::{MessageStore, StoreError, Watch};
use std::sync::Arc;
use std::time::Duration;
use wire::imap::decoder::{Decoder, Event, Refused, TooMuch};
use wire::imap::name::NameForm;
use wire::imap::response::{Code, Status, continuation, untagged};
use wire::imap::state::State;

/// Commands that are none, after which a client that has not logged in is sent away.
const MAX_BAD_COMMANDS: u32 = 20;

/// Why a session has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// LOGOUT.
    Logout,
    /// Too many wrong passwords.
    BadLogins,
    /// Too many commands that were none.
    BadCommands,
    /// Something that cannot be read past.
    TooMuch(TooMuch),
    /// The client has gone, or the network.
    Gone,
    /// It was silent, or did not take our output.
    Timeout,
    /// The process ends.
    Stopped,
    /// A message could not be sent to its end.
    Broken,
    /// The selected mailbox is not what it was: removed, or renamed.
    MailboxGone,
    /// The store has gone.
    StoreGone,
}

impl End {
    /// The word in the log.
    fn word(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::BadLogins => "badLogins",
            Self::BadCommands => "badCommands",
            Self::TooMuch(_) => "tooMuch",
            Self::Gone => "gone",
            Self::Timeout => "timeout",
            Self::Stopped => "stopped",
            Self::Broken => "broken",
            Self::MailboxGone => "mailboxGone",
            Self::StoreGone => "storeGone",
        }
    }

    /// What the client is told, where it has not been told yet and can be.
    fn goodbye(self) -> Option<(Option<Code<'static>>, &'static str)> {
        match self {
            Self::BadLogins => Some((None, "too many wrong passwords")),
            Self::BadCommands => Some((None, "too many bad commands")),
            Self::TooMuch(TooMuch::Line) => Some((Some(Code::TooBig), "the line is too long")),
            Self::TooMuch(TooMuch::Literal) => Some((Some(Code::TooBig), "the literal is too large")),
            Self::Timeout => Some((None, "silent for too long")),
            Self::Stopped => Some((Some(Code::Unavailable), "the server is going down")),
            Self::MailboxGone => Some((None, "the selected mailbox has been removed or renamed")),
            Self::StoreGone => Some((Some(Code::Unavailable), "the message store is not available")),
            // Said already, or in the middle of a literal, or nobody listens.
            Self::Logout | Self::Gone | Self::Broken => None,
        }
    }
}

impl From<Gone> for End {
    fn from(gone: Gone) -> Self {
        match gone {
            Gone::Timeout => Self::Timeout,
            Gone::Closed | Gone::Failed(_) => Self::Gone,
        }
    }
}

/// Extensions that the client has enabled. RFC 9051 6.3.1, RFC 7162 3.1.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Enabled {
    /// MODSEQ is told with every change.
    pub(crate) condstore: bool,
    /// The client speaks IMAP4rev2.
    pub(crate) rev2: bool,
}

/// Who has logged in.
pub(crate) struct User {
    pub(crate) account: Account,
    /// Where the mailbox is.
    pub(crate) store: Arc<dyn MessageStore>,
    /// Counts the session.
    pub(crate) _counted: Counted,
}

/// How long the login took, apart by whom it waited for (ITS 17117).
#[derive(Default)]
pub(crate) struct LoginTimes {
    /// For the directory, to say who it is.
    pub(crate) authentication: Duration,
    /// For the store, to look for the mailbox or make it.
    pub(crate) store: Duration,
}

/// One session.
pub(crate) struct Session<'a> {
    pub(crate) imap: &'a Imap,
    pub(crate) connection: Connection,
    pub(crate) decoder: Decoder,
    pub(crate) rules: Arc<Rules>,
    pub(crate) enabled: Enabled,
    pub(crate) user: Option<Box<User>>,
    pub(crate) selected: Option<Box<Selected>>,
    /// Tells of changes in the user's mailbox; made when it is first needed.
    pub(crate) watch: Option<Box<dyn Watch>>,
    /// Wrong passwords so far.
    pub(crate) failures: u32,
    bad_commands: u32,
    /// How long the login took.
    pub(crate) took: LoginTimes,
    trace: TraceId,
    pub(crate) stopping: Stopping,
}

impl<'a> Session<'a> {
    pub(crate) fn new(imap: &'a Imap, connection: Connection, rules: Arc<Rules>) -> Self {
        Self {
            imap,
            connection,
            decoder: Decoder::new(rules.limits_before_login()),
            rules,
            enabled: Enabled::default(),
            user: None,
            selected: None,
            watch: None,
            failures: 0,
            bad_commands: 0,
            took: LoginTimes::default(),
            trace: TraceId::new(&format!("imap{:016x}", imap.env.random.number())),
            stopping: imap.env.tasks.stopping(),
        }
    }

    /// Serves until the end.
    pub(crate) async fn run(mut self) {
        let (begun, peer) = (self.imap.env.clock.moment(), self.connection.peer().ip());
        let tls = self.connection.transport() == Transport::Tls;
        self.imap.env.log.emit(&ImapSessionStart { session: &self.trace, peer, tls });
        commands::session::greet(&mut self);
        let end = loop {
            if let Err(end) = self.turn().await {
                break end;
            }
        };
        if let Some((code, text)) = end.goodbye() {
            untagged(self.connection.output(), Status::Bye, code, text);
        }
        if end == End::Broken {
            self.log_broken();
        }
        self.imap.env.log.emit(&ImapSessionEnd {
            session: &self.trace,
            peer,
            user: self.user.as_ref().map_or("-", |user| &user.account.login),
            reason: end.word(),
            seconds: begun.elapsed().as_secs(),
            authentication_ms: self.took.authentication.as_millis(),
            store_ms: self.took.store.as_millis(),
        });
        // Places and locks are free before the client sees the end: it may come back at once.
        (self.user, self.selected, self.watch) = (None, None, None);
        Box::pin(self.connection.close()).await;
    }

    fn log_broken(&self) {
        let mailbox = self.user.as_ref().map_or(0, |user| user.account.mailbox.0);
        let folder = self.selected.as_ref().map_or("-", |selected| &selected.name);
        let detail = "a message ended before its stored length, or could not be read";
        self.imap.env.log.emit(&ImapSyncError { mailbox, folder, detail });
    }

    /// Answers one command, or waits for more.
    async fn turn(&mut self) -> Result<(), End> {
        let form = self.form();
        match self.decoder.next(self.connection.input(), form) {
            Event::NeedMore => return self.wait().await,
            Event::Continue => {
                continuation(self.connection.output(), "go on");
                return Ok(());
            }
            // Boxed, so that an idle session does not carry their room.
            Event::Command(command) => Box::pin(commands::run(self, command)).await?,
            Event::Append(append, waits) => Box::pin(commands::append::run(self, append, waits)).await?,
            Event::Bad(refused) => self.bad_command(&refused)?,
            Event::Fatal(why) => return Err(End::TooMuch(why)),
        }
        Ok(self.connection.flush_if_full().await?)
    }

    fn bad_command(&mut self, refused: &Refused) -> Result<(), End> {
        replies::bad_command(self.connection.output(), refused);
        self.bad_commands += 1;
        let stranger = self.user.is_none();
        if stranger && self.bad_commands >= MAX_BAD_COMMANDS { Err(End::BadCommands) } else { Ok(()) }
    }

    /// Sends what is waiting and waits for the client, the autologout, or the end of the process.
    async fn wait(&mut self) -> Result<(), End> {
        self.connection.flush().await?;
        let logged_in = if self.user.is_some() { LoggedIn::Yes } else { LoggedIn::No };
        let patience = self.rules.patience(logged_in);
        tokio::select! {
            biased;
            () = self.stopping.wait() => return Err(End::Stopped),
            filled = self.connection.fill(patience) => filled?,
        };
        self.rules = self.imap.rules.get();
        Ok(())
    }

    /// More input, or the end. Nothing is sent.
    pub(crate) async fn more(&mut self) -> Result<(), End> {
        tokio::select! {
            biased;
            () = self.stopping.wait() => Err(End::Stopped),
            filled = self.connection.fill(self.rules.idle) => Ok(filled.map(|_| ())?),
        }
    }

    pub(crate) fn state(&self) -> State {
        match (&self.user, &self.selected) {
            (None, _) => State::NotAuthenticated,
            (Some(_), None) => State::Authenticated,
            (Some(_), Some(_)) => State::Selected,
        }
    }

    /// How mailbox names are written. RFC 9051 6.3.1.
    pub(crate) fn form(&self) -> NameForm {
        if self.enabled.rev2 { NameForm::Utf8 } else { NameForm::Utf7 }
    }

    /// A request to another server, with an id of its own.
    pub(crate) fn call(&self) -> Call {
        Call::new(self.imap.env.random.request_id(), self.trace.clone())
    }

    /// The store that has the user's mailbox. The state lets no command through that needs one before there is a user.
    pub(crate) fn store(&self) -> Arc<dyn MessageStore> {
        match &self.user {
            Some(user) => Arc::clone(&user.store),
            None => self.imap.parts.stores.of(&HostName::new(self.imap.env.settings.host())),
        }
    }

    /// Whose mailbox. The state has let no command through that needs one before there is one.
    pub(crate) fn account(&self) -> Result<&Account, End> {
        self.user.as_ref().map(|user| &user.account).ok_or(End::Broken)
    }

    /// The selected mailbox; as with [`Session::account`].
    pub(crate) fn selected(&mut self) -> Result<&mut Selected, End> {
        self.selected.as_deref_mut().ok_or(End::Broken)
    }

    /// Begins to watch the mailbox, if that has not been done.
    pub(crate) async fn watch(&mut self) -> Result<(), StoreError> {
        if self.watch.is_none()
            && let Ok(account) = self.account()
        {
            let mailbox = account.mailbox;
            self.watch = Some(self.store().mailbox_watch(&self.call(), mailbox).await?);
        }
        Ok(())
    }

    /// Tells what has happened, as far as this may be told now.
    pub(crate) async fn tell_news(&mut self, may: updates::May) -> Result<(), End> {
        if self.selected.is_none() { Ok(()) } else { Box::pin(updates::tell(self, may)).await }
    }
}
