//! Commands on the messages of the selected mailbox, with `UID` before them or not. RFC 9051 6.4.

use super::super::command::{By, Command, Store, StoreAnswer, Transfer};
use super::cursor::Cursor;
use super::{BadCommand, Parsed, fetch, search};
use mail::flags::{FlagAction, Flags};

pub(super) fn command(c: &mut Cursor<'_>, name: &[u8]) -> Parsed<Command> {
    if name != b"UID" {
        return numbered(c, name, By::Sequence);
    }
    c.space()?;
    let name = c.atom()?.to_ascii_uppercase();
    if name == b"EXPUNGE" {
        c.space()?;
        return c.set().map(Command::UidExpunge);
    }
    numbered(c, &name, By::Uid)
}

fn numbered(c: &mut Cursor<'_>, name: &[u8], by: By) -> Parsed<Command> {
    match name {
        b"SEARCH" => search::search(c, by).map(Command::Search),
        b"FETCH" => fetch::fetch(c, by).map(Command::Fetch),
        b"STORE" => store(c, by).map(Command::Store),
        b"COPY" => transfer(c, by).map(Command::Copy),
        b"MOVE" => transfer(c, by).map(Command::Move),
        _ => Err(BadCommand::Unknown),
    }
}

fn transfer(c: &mut Cursor<'_>, by: By) -> Parsed<Transfer> {
    c.space()?;
    let set = c.set()?;
    c.space()?;
    Ok(Transfer { by, set, to: c.mailbox()? })
}

fn store(c: &mut Cursor<'_>, by: By) -> Parsed<Store> {
    c.space()?;
    let set = c.set()?;
    c.space()?;
    let mut unchanged_since = None;
    if c.take(b'(') {
        c.keyword(b"UNCHANGEDSINCE")?;
        c.space()?;
        unchanged_since = Some(c.modseq()?);
        c.close()?;
        c.space()?;
    }
    let (action, answer) = match c.atom()?.to_ascii_uppercase().as_slice() {
        b"FLAGS" => (FlagAction::Replace, StoreAnswer::Told),
        b"FLAGS.SILENT" => (FlagAction::Replace, StoreAnswer::Silent),
        b"+FLAGS" => (FlagAction::Add, StoreAnswer::Told),
        b"+FLAGS.SILENT" => (FlagAction::Add, StoreAnswer::Silent),
        b"-FLAGS" => (FlagAction::Remove, StoreAnswer::Told),
        b"-FLAGS.SILENT" => (FlagAction::Remove, StoreAnswer::Silent),
        _ => return Err(BadCommand::Syntax("FLAGS, +FLAGS or -FLAGS expected")),
    };
    c.space()?;
    Ok(Store { by, set, unchanged_since, action, answer, flags: flags(c)? })
}

/// A list in parentheses, or flags with spaces between them.
fn flags(c: &mut Cursor<'_>) -> Parsed<Flags> {
    if c.peek() == Some(b'(') {
        return c.flag_list();
    }
    let mut flags = Flags::default();
    c.add_flag(&mut flags)?;
    while c.take(b' ') {
        c.add_flag(&mut flags)?;
    }
    Ok(flags)
}
