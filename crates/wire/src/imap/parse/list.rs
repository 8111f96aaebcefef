//! LIST in both its forms and LSUB. RFC 9051 6.3.9, RFC 5258, RFC 5819, RFC 6154, RFC 3501 6.3.9.

use super::super::MAX_PATTERNS;
use super::super::command::{Command, List, ListReturn, ListSelect};
use super::super::name::Pattern;
use super::cursor::Cursor;
use super::{BadCommand, Parsed, status_items};

pub(super) fn list(c: &mut Cursor<'_>) -> Parsed<List> {
    c.space()?;
    let mut extended = false;
    let mut select = ListSelect::default();
    if c.peek() == Some(b'(') {
        extended = true;
        select = selection(c)?;
        c.space()?;
    }
    let reference = c.pattern()?;
    c.space()?;
    let patterns = if c.peek() == Some(b'(') {
        extended = true;
        patterns(c)?
    } else {
        vec![c.pattern()?]
    };
    let mut give = ListReturn::default();
    if c.take(b' ') {
        extended = true;
        c.keyword(b"RETURN")?;
        c.space()?;
        give = returned(c)?;
    }
    Ok(List { reference, patterns, select, give, extended })
}

pub(super) fn lsub(c: &mut Cursor<'_>) -> Parsed<Command> {
    c.space()?;
    let reference = c.pattern()?;
    c.space()?;
    Ok(Command::Lsub(reference, c.pattern()?))
}

fn patterns(c: &mut Cursor<'_>) -> Parsed<Vec<Pattern>> {
    let mut patterns = Vec::new();
    c.open()?;
    loop {
        if patterns.len() == MAX_PATTERNS {
            return Err(BadCommand::TooMany("patterns"));
        }
        patterns.push(c.pattern()?);
        if c.take(b')') {
            return Ok(patterns);
        }
        c.space()?;
    }
}

fn selection(c: &mut Cursor<'_>) -> Parsed<ListSelect> {
    let mut select = ListSelect::default();
    options(c, |_, word| {
        match word {
            b"SUBSCRIBED" => select.subscribed = true,
            b"REMOTE" => select.remote = true,
            b"RECURSIVEMATCH" => select.recursive_match = true,
            b"SPECIAL-USE" => select.special_use = true,
            _ => return Err(BadCommand::Syntax("unknown selection option")),
        }
        Ok(())
    })?;
    // RFC 5258 3.1: RECURSIVEMATCH needs another option than REMOTE beside it.
    if select.recursive_match && !select.subscribed && !select.special_use {
        return Err(BadCommand::Syntax("RECURSIVEMATCH needs another selection option"));
    }
    Ok(select)
}

fn returned(c: &mut Cursor<'_>) -> Parsed<ListReturn> {
    let mut give = ListReturn::default();
    options(c, |c, word| {
        match word {
            b"SUBSCRIBED" => give.subscribed = true,
            b"CHILDREN" => give.children = true,
            b"SPECIAL-USE" => give.special_use = true,
            b"STATUS" => {
                c.space()?;
                give.status = Some(status_items(c)?);
            }
            _ => return Err(BadCommand::Syntax("unknown return option")),
        }
        Ok(())
    })?;
    Ok(give)
}

/// `(word word ...)`, perhaps none.
fn options(c: &mut Cursor<'_>, mut each: impl FnMut(&mut Cursor<'_>, &[u8]) -> Parsed<()>) -> Parsed<()> {
    c.open()?;
    let mut first = true;
    while !c.take(b')') {
        if !first {
            c.space()?;
        }
        first = false;
        let word = c.atom()?.to_ascii_uppercase();
        each(c, &word)?;
    }
    Ok(())
}
