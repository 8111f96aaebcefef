//! A complete command, literals in place, to a [`Command`]. RFC 9051 9 with RFC 3501 9 beside it.
//!
//! The parser pulls from a [`Cursor`] and borrows what it can; it builds a value only once the grammar has
//! been followed. It is given whole commands by `decoder` and never asks for more bytes. A fault has a text
//! that says what was expected; nothing of what the client sent is repeated in it.

mod cursor;
mod fetch;
mod list;
mod message;
mod search;

use super::command::{
    Access, Append, Authenticate, Command, Login, Opaque, Select, SpecialUse, StatusItems, Tag, Tagged,
};
use super::name::{MailboxName, NameForm};
use super::{MAX_ID_FIELDS, MAX_TAG_LEN};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cursor::Cursor;
use mail::secret::Secret;

/// Why a command is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCommand {
    /// It does not follow the grammar.
    #[error("{0}")]
    Syntax(&'static str),
    /// No command of this name.
    #[error("unknown command")]
    Unknown,
    /// More of something than is allowed.
    #[error("too many {0}")]
    TooMany(&'static str),
    /// The line is longer than a line may be.
    #[error("line too long")]
    LineTooLong,
    /// A literal is larger than it may be.
    #[error("literal too large")]
    LiteralTooBig,
    /// The message of an APPEND is larger than a message may be.
    #[error("message too large")]
    MessageTooBig,
    /// A literal of more than 4096 octets came without waiting. RFC 7888 5.
    #[error("a literal of this size has to be waited for")]
    LiteralNotWaited,
    /// A charset other than US-ASCII and UTF-8. RFC 9051 6.4.4.
    #[error("charset not supported")]
    BadCharset,
    /// The name is not in the form that names have on this connection.
    #[error("mailbox name is not valid modified UTF-7 or UTF-8")]
    BadName,
}

type Parsed<T> = Result<T, BadCommand>;

/// Parses a command without its line end.
///
/// # Errors
/// What is wrong with it. `APPEND` is never complete here: see [`append`].
pub fn command(bytes: &[u8], form: NameForm) -> Result<Tagged, BadCommand> {
    let mut c = Cursor::new(bytes, form);
    let tag = c.tag()?;
    c.space()?;
    let name = c.atom()?;
    let command = one(&mut c, name)?;
    c.end()?;
    Ok(Tagged { tag, command })
}

/// Parses an APPEND up to the announcement of its message, which is of `size` octets.
///
/// # Errors
/// What is wrong with it.
pub fn append(before: &[u8], form: NameForm, size: u64) -> Result<Append, BadCommand> {
    let mut c = Cursor::new(before, form);
    let tag = c.tag()?;
    c.space()?;
    c.atom()?;
    c.space()?;
    let mailbox = c.mailbox()?;
    c.space()?;
    let mut append = Append { tag, mailbox, flags: mail::flags::Flags::default(), date: None, size };
    if c.peek() == Some(b'(') {
        append.flags = c.flag_list()?;
        c.space()?;
    }
    if c.peek() == Some(b'"') {
        append.date = Some(c.date_time()?);
        c.space()?;
    }
    c.end()?;
    Ok(append)
}

/// Whether a literal announced after these bytes is the message of an APPEND and not its mailbox name.
pub(super) fn is_append_message(before: &[u8]) -> bool {
    let mut parts = before.splitn(3, |b| *b == b' ');
    let (_, name, rest) = (parts.next(), parts.next(), parts.next());
    name.is_some_and(|n| n.eq_ignore_ascii_case(b"APPEND")) && rest.is_some_and(|r| !r.is_empty())
}

/// The tag at the front of a command that may be wrong in every other way.
pub fn tag_of(bytes: &[u8]) -> Option<Tag> {
    let end = bytes.iter().take(MAX_TAG_LEN + 1).position(|b| matches!(b, b' ' | b'\r' | b'\n'))?;
    Cursor::new(&bytes[..end], NameForm::Utf7).tag().ok()
}

fn one(c: &mut Cursor<'_>, name: &[u8]) -> Parsed<Command> {
    let upper = name.to_ascii_uppercase();
    Ok(match upper.as_slice() {
        b"CAPABILITY" => Command::Capability,
        b"NOOP" => Command::Noop,
        b"LOGOUT" => Command::Logout,
        b"STARTTLS" => Command::StartTls,
        b"NAMESPACE" => Command::Namespace,
        b"IDLE" => Command::Idle,
        b"CHECK" => Command::Check,
        b"CLOSE" => Command::Close,
        b"UNSELECT" => Command::Unselect,
        b"EXPUNGE" => Command::Expunge,
        b"ID" => id(c)?,
        b"AUTHENTICATE" => authenticate(c)?,
        b"LOGIN" => login(c)?,
        b"ENABLE" => enable(c)?,
        b"SELECT" => select(c, Access::ReadWrite)?,
        b"EXAMINE" => select(c, Access::ReadOnly)?,
        b"CREATE" => create(c)?,
        b"DELETE" => Command::Delete(c.mailbox_after_space()?),
        b"RENAME" => Command::Rename(c.mailbox_after_space()?, c.mailbox_after_space()?),
        b"SUBSCRIBE" => Command::Subscribe(c.mailbox_after_space()?),
        b"UNSUBSCRIBE" => Command::Unsubscribe(c.mailbox_after_space()?),
        b"LIST" => Command::List(list::list(c)?),
        b"LSUB" => list::lsub(c)?,
        b"STATUS" => status(c)?,
        b"APPEND" => return Err(BadCommand::Syntax("APPEND needs a mailbox and a literal")),
        b"GETQUOTA" => getquota(c)?,
        b"GETQUOTAROOT" => Command::GetQuotaRoot(c.mailbox_after_space()?),
        _ => message::command(c, &upper)?,
    })
}

fn id(c: &mut Cursor<'_>) -> Parsed<Command> {
    c.space()?;
    if c.nil() {
        return Ok(Command::Id(Vec::new()));
    }
    let mut fields = Vec::new();
    c.open()?;
    while !c.take(b')') {
        if !fields.is_empty() {
            c.space()?;
        }
        if fields.len() == MAX_ID_FIELDS {
            return Err(BadCommand::TooMany("fields"));
        }
        let name = lossy(&c.string()?);
        c.space()?;
        let value = if c.nil() { None } else { Some(lossy(&c.string()?)) };
        fields.push((name, value));
    }
    Ok(Command::Id(fields))
}

/// Cut to what RFC 2971 3.3 allows in a value.
fn lossy(bytes: &[u8]) -> Box<str> {
    String::from_utf8_lossy(bytes.get(..1024).unwrap_or(bytes)).into()
}

fn authenticate(c: &mut Cursor<'_>) -> Parsed<Command> {
    c.space()?;
    let mechanism = c.atom()?;
    let mechanism = std::str::from_utf8(mechanism).map_err(|_| BadCommand::Syntax("mechanism expected"))?;
    let mechanism = mechanism.to_ascii_uppercase().into();
    let mut initial = None;
    if c.take(b' ') {
        let text = c.rest();
        let bytes = if text == b"=" { Ok(Vec::new()) } else { STANDARD.decode(text) };
        let bytes = bytes.map_err(|_| BadCommand::Syntax("initial response is not base64"))?;
        initial = Some(Opaque(Secret::new(bytes)));
    }
    Ok(Command::Authenticate(Authenticate { mechanism, initial }))
}

fn login(c: &mut Cursor<'_>) -> Parsed<Command> {
    c.space()?;
    let user = c.astring()?;
    let user = std::str::from_utf8(&user).map_err(|_| BadCommand::Syntax("user name is not UTF-8"))?.into();
    c.space()?;
    let password = Opaque(Secret::new(c.astring()?.into_owned()));
    Ok(Command::Login(Login { user, password }))
}

fn enable(c: &mut Cursor<'_>) -> Parsed<Command> {
    let mut names: Vec<Box<str>> = Vec::new();
    while c.take(b' ') {
        if names.len() == 50 {
            return Err(BadCommand::TooMany("extensions"));
        }
        names.push(String::from_utf8_lossy(c.atom()?).to_ascii_uppercase().into());
    }
    if names.is_empty() { Err(BadCommand::Syntax("extension expected")) } else { Ok(Command::Enable(names)) }
}

fn select(c: &mut Cursor<'_>, access: Access) -> Parsed<Command> {
    let mailbox = c.mailbox_after_space()?;
    let mut condstore = false;
    if c.take(b' ') {
        c.open()?;
        loop {
            match c.atom()?.to_ascii_uppercase().as_slice() {
                b"CONDSTORE" => condstore = true,
                _ => return Err(BadCommand::Syntax("unknown SELECT parameter")),
            }
            if c.take(b')') {
                break;
            }
            c.space()?;
        }
    }
    Ok(Command::Select(Select { mailbox, access, condstore }))
}

fn create(c: &mut Cursor<'_>) -> Parsed<Command> {
    let mailbox = c.mailbox_after_space()?;
    let mut uses = Vec::new();
    if c.take(b' ') {
        c.open()?;
        c.keyword(b"USE")?;
        c.space()?;
        c.open()?;
        while !c.take(b')') {
            if !uses.is_empty() {
                c.space()?;
            }
            let found = c.special_use()?;
            if uses.len() > 8 {
                return Err(BadCommand::TooMany("special uses"));
            }
            uses.push(found);
        }
        c.close()?;
    }
    Ok(Command::Create(mailbox, uses))
}

fn status(c: &mut Cursor<'_>) -> Parsed<Command> {
    let mailbox = c.mailbox_after_space()?;
    c.space()?;
    Ok(Command::Status(mailbox, status_items(c)?))
}

/// `(item item ...)`, one at least.
fn status_items(c: &mut Cursor<'_>) -> Parsed<StatusItems> {
    let mut items = StatusItems::default();
    c.open()?;
    loop {
        let item = StatusItems::named(c.atom()?).ok_or(BadCommand::Syntax("unknown STATUS item"))?;
        items = items.union(item);
        if c.take(b')') {
            return Ok(items);
        }
        c.space()?;
    }
}

fn getquota(c: &mut Cursor<'_>) -> Parsed<Command> {
    c.space()?;
    let root = c.astring()?;
    let root = std::str::from_utf8(&root).map_err(|_| BadCommand::Syntax("quota root is not UTF-8"))?;
    Ok(Command::GetQuota(root.into()))
}

impl Cursor<'_> {
    fn mailbox_after_space(&mut self) -> Parsed<MailboxName> {
        self.space()?;
        self.mailbox()
    }

    fn special_use(&mut self) -> Parsed<SpecialUse> {
        let name = self.flag_name()?;
        SpecialUse::named(name).ok_or(BadCommand::Syntax("unknown special use"))
    }
}
