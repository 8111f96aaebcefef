//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE. RFC 9051 6.3.4 to 6.3.8, RFC 6154 3.

use crate::replies::{Failed, Outcome, Reply};
use crate::session::Session;
use roles::store::{SpecialUse, Subscription};
use wire::imap::command::{self, Tag};
use wire::imap::name::{MailboxName, SEPARATOR};
use wire::imap::response::{Code, Status, untagged};

pub(super) async fn create(
    session: &mut Session<'_>,
    tag: &Tag,
    name: &MailboxName,
    uses: &[command::SpecialUse],
) -> Outcome {
    check_name(name)?;
    if name.is_inbox() {
        return Err(Failed::No(Some(Code::AlreadyExists), "INBOX exists always"));
    }
    let special_use = match uses {
        [] => None,
        [one] => Some(special_use(*one).ok_or(NO_SUCH_USE)?),
        _ => return Err(NO_SUCH_USE),
    };
    let mailbox = session.account()?.mailbox;
    session.store().folder_create(&session.call(), mailbox, name.as_str().to_owned(), special_use).await?;
    Ok(Reply::ok(tag, "created"))
}

const NO_SUCH_USE: Failed = Failed::No(Some(Code::UseAttr), "this special use cannot be had");

/// The uses that a folder can have; the others are views over all messages.
fn special_use(named: command::SpecialUse) -> Option<SpecialUse> {
    use command::SpecialUse as Named;
    match named {
        Named::Archive => Some(SpecialUse::Archive),
        Named::Drafts => Some(SpecialUse::Drafts),
        Named::Junk => Some(SpecialUse::Junk),
        Named::Sent => Some(SpecialUse::Sent),
        Named::Trash => Some(SpecialUse::Trash),
        Named::All | Named::Flagged | Named::Important => None,
    }
}

/// RFC 9051 5.1: wildcards may not be in a name, since no pattern could name it alone.
fn check_name(name: &MailboxName) -> Result<(), Failed> {
    let text = name.as_str();
    let whole = text.split(SEPARATOR).all(|level| !level.is_empty());
    if whole && !text.contains(['*', '%']) {
        Ok(())
    } else {
        Err(Failed::No(Some(Code::Cannot), "a mailbox cannot have this name"))
    }
}

pub(super) async fn delete(session: &mut Session<'_>, tag: &Tag, name: &MailboxName) -> Outcome {
    if name.is_inbox() {
        return Err(Failed::No(Some(Code::Cannot), "INBOX cannot be removed"));
    }
    let mailbox = session.account()?.mailbox;
    session.store().folder_delete(&session.call(), mailbox, name.as_str().to_owned()).await?;
    leave(session, name);
    Ok(Reply::ok(tag, "removed"))
}

pub(super) async fn rename(
    session: &mut Session<'_>,
    tag: &Tag,
    from: &MailboxName,
    to: &MailboxName,
) -> Outcome {
    check_name(to)?;
    if to.is_inbox() {
        return Err(Failed::No(Some(Code::AlreadyExists), "INBOX exists always"));
    }
    let mailbox = session.account()?.mailbox;
    let (old, new) = (from.as_str().to_owned(), to.as_str().to_owned());
    session.store().folder_rename(&session.call(), mailbox, old, new).await?;
    leave(session, from);
    Ok(Reply::ok(tag, "renamed"))
}

/// The selected mailbox is left where it is this one, or lies below it: its UIDs no longer hold.
/// RFC 9051 6.3.6: what lies below INBOX stays where it is when INBOX is renamed.
fn leave(session: &mut Session<'_>, name: &MailboxName) {
    let is_in = |selected: &str| {
        let below = selected.strip_prefix(name.as_str());
        below.is_some_and(|rest| rest.is_empty() || (!name.is_inbox() && rest.starts_with(SEPARATOR)))
    };
    if session.selected.as_ref().is_some_and(|selected| is_in(&selected.name)) {
        session.selected = None;
        untagged(session.connection.output(), Status::Ok, Some(Code::Closed), "left");
    }
}

pub(super) async fn subscribe(
    session: &mut Session<'_>,
    tag: &Tag,
    name: &MailboxName,
    subscription: Subscription,
) -> Outcome {
    if subscription == Subscription::On {
        check_name(name)?;
    }
    let mailbox = session.account()?.mailbox;
    let name = name.as_str().to_owned();
    session.store().folder_subscribe(&session.call(), mailbox, name, subscription).await?;
    Ok(Reply::ok(tag, "done"))
}
