//! FETCH and its items. RFC 9051 6.4.5, RFC 3501 6.4.5, RFC 7162 3.1.4.

use super::super::command::{
    BinaryItem, By, Fetch, FetchItem, MarkSeen, PartPath, Partial, Section, SectionItem, SectionName,
    SectionText,
};
use super::super::{MAX_FETCH_ITEMS, MAX_FIELD_NAMES, MAX_PART_DEPTH};
use super::cursor::Cursor;
use super::{BadCommand, Parsed};

pub(super) fn fetch(c: &mut Cursor<'_>, by: By) -> Parsed<Fetch> {
    c.space()?;
    let set = c.set()?;
    c.space()?;
    let mut items = Vec::new();
    if c.take(b'(') {
        loop {
            item(c, &mut items)?;
            if c.take(b')') {
                break;
            }
            c.space()?;
        }
    } else if !macro_items(c, &mut items) {
        item(c, &mut items)?;
    }
    let mut changed_since = None;
    if c.take(b' ') {
        c.open()?;
        c.keyword(b"CHANGEDSINCE")?;
        c.space()?;
        changed_since = Some(c.modseq()?);
        c.close()?;
    }
    Ok(Fetch { by, set, items, changed_since })
}

/// `ALL`, `FAST`, `FULL`: only alone.
fn macro_items(c: &mut Cursor<'_>, items: &mut Vec<FetchItem>) -> bool {
    let mut ahead = *c;
    let Ok(word) = ahead.item_name() else { return false };
    items.extend([FetchItem::Flags, FetchItem::InternalDate, FetchItem::Size]);
    match word.to_ascii_uppercase().as_slice() {
        b"FAST" => {}
        b"ALL" => items.push(FetchItem::Envelope),
        b"FULL" => items.extend([FetchItem::Envelope, FetchItem::Body]),
        _ => {
            items.clear();
            return false;
        }
    }
    *c = ahead;
    true
}

fn item(c: &mut Cursor<'_>, items: &mut Vec<FetchItem>) -> Parsed<()> {
    if items.len() == MAX_FETCH_ITEMS {
        return Err(BadCommand::TooMany("items"));
    }
    let name = c.item_name()?.to_ascii_uppercase();
    let section = c.peek() == Some(b'[');
    let found = match name.as_slice() {
        b"BODY" if section => body(c, MarkSeen::Yes)?,
        b"BODY.PEEK" if section => body(c, MarkSeen::No)?,
        b"BINARY" if section => binary(c, MarkSeen::Yes)?,
        b"BINARY.PEEK" if section => binary(c, MarkSeen::No)?,
        b"BINARY.SIZE" if section => FetchItem::BinarySize(part_in_brackets(c)?),
        b"FLAGS" => FetchItem::Flags,
        b"UID" => FetchItem::Uid,
        b"INTERNALDATE" => FetchItem::InternalDate,
        b"RFC822.SIZE" => FetchItem::Size,
        b"ENVELOPE" => FetchItem::Envelope,
        b"BODY" => FetchItem::Body,
        b"BODYSTRUCTURE" => FetchItem::BodyStructure,
        b"MODSEQ" => FetchItem::ModSeq,
        b"RFC822" => whole(SectionName::Rfc822, SectionText::Whole, MarkSeen::Yes),
        b"RFC822.HEADER" => whole(SectionName::Rfc822Header, SectionText::Header, MarkSeen::No),
        b"RFC822.TEXT" => whole(SectionName::Rfc822Text, SectionText::Text, MarkSeen::Yes),
        _ => return Err(BadCommand::Syntax("unknown item")),
    };
    if !items.contains(&found) {
        items.push(found);
    }
    Ok(())
}

fn whole(named: SectionName, text: SectionText, seen: MarkSeen) -> FetchItem {
    let section = Section { part: PartPath::default(), text };
    FetchItem::Section(SectionItem { section, partial: None, seen, named })
}

fn body(c: &mut Cursor<'_>, seen: MarkSeen) -> Parsed<FetchItem> {
    c.take(b'[');
    let section = section(c)?;
    bracket(c)?;
    let partial = partial(c)?;
    Ok(FetchItem::Section(SectionItem { section, partial, seen, named: SectionName::Body }))
}

fn binary(c: &mut Cursor<'_>, seen: MarkSeen) -> Parsed<FetchItem> {
    let part = part_in_brackets(c)?;
    Ok(FetchItem::Binary(BinaryItem { part, partial: partial(c)?, seen }))
}

fn part_in_brackets(c: &mut Cursor<'_>) -> Parsed<PartPath> {
    c.take(b'[');
    let mut part = PartPath::default();
    if !c.take(b']') {
        numbers(c, &mut part)?;
        bracket(c)?;
    }
    Ok(part)
}

fn bracket(c: &mut Cursor<'_>) -> Parsed<()> {
    if c.take(b']') { Ok(()) } else { Err(BadCommand::Syntax("] expected")) }
}

/// Part numbers with dots between them. `true` if a dot follows that no number follows.
fn numbers(c: &mut Cursor<'_>, part: &mut PartPath) -> Parsed<bool> {
    loop {
        if part.0.len() == MAX_PART_DEPTH {
            return Err(BadCommand::TooMany("part numbers"));
        }
        part.0.push(c.nz_number()?.get());
        if !c.take(b'.') {
            return Ok(false);
        }
        if !c.peek().is_some_and(|b| b.is_ascii_digit()) {
            return Ok(true);
        }
    }
}

fn section(c: &mut Cursor<'_>) -> Parsed<Section> {
    let mut part = PartPath::default();
    if c.peek() == Some(b']') {
        return Ok(Section { part, text: SectionText::Whole });
    }
    let numbered = c.peek().is_some_and(|b| b.is_ascii_digit());
    if numbered && !numbers(c, &mut part)? {
        return Ok(Section { part, text: SectionText::Whole });
    }
    let text = match c.item_name()?.to_ascii_uppercase().as_slice() {
        b"HEADER" => SectionText::Header,
        b"HEADER.FIELDS" => SectionText::HeaderFields(field_names(c)?),
        b"HEADER.FIELDS.NOT" => SectionText::HeaderFieldsNot(field_names(c)?),
        b"TEXT" => SectionText::Text,
        b"MIME" if numbered => SectionText::Mime,
        _ => return Err(BadCommand::Syntax("unknown section")),
    };
    Ok(Section { part, text })
}

fn field_names(c: &mut Cursor<'_>) -> Parsed<Vec<Box<str>>> {
    c.space()?;
    c.open()?;
    let mut names = Vec::new();
    loop {
        if names.len() == MAX_FIELD_NAMES {
            return Err(BadCommand::TooMany("field names"));
        }
        let name = c.astring()?;
        // RFC 5322 2.2: what a field can be called.
        let ok = !name.is_empty() && name.iter().all(|b| b.is_ascii_graphic() && *b != b':');
        match std::str::from_utf8(&name) {
            Ok(name) if ok => names.push(name.into()),
            _ => return Err(BadCommand::Syntax("no such field name")),
        }
        if c.take(b')') {
            return Ok(names);
        }
        c.space()?;
    }
}

fn partial(c: &mut Cursor<'_>) -> Parsed<Option<Partial>> {
    if !c.take(b'<') {
        return Ok(None);
    }
    let offset = c.number()?;
    if !c.take(b'.') {
        return Err(BadCommand::Syntax("<offset.count> expected"));
    }
    let count = c.nz_number()?;
    if c.take(b'>') { Ok(Some(Partial { offset, count })) } else { Err(BadCommand::Syntax("> expected")) }
}
