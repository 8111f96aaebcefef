//! One message as a FETCH response. RFC 9051 7.5.2.
//!
//! Sections are ranges of the body that the outline knows; they are read and sent in pieces, and nothing of
//! the message is parsed again. Only a header whose fields are picked, and a part whose encoding is undone,
//! are looked into.

use crate::replies::Failed;
use crate::session::End;
use bytes::{Bytes, BytesMut};
use mail::message::header::{Keep, filter};
use mail::message::{Head, Outline, SectionText as Place};
use mail::text::transfer::{Encoding, Unwrap};
use net::connection::Connection;
use roles::Body;
use roles::store::{Message, Need, StoreError};
use std::ops::Range;
use wire::imap::command::{BinaryItem, By, Fetch, FetchItem, PartPath, Partial, SectionItem, SectionText};
use wire::imap::response::{Code, FetchWriter, Gap, Put};

/// Octets of a body that are read at a time.
const PIECE: usize = 64 << 10;
/// Octets of a header in which fields are looked for; fields beyond are not found.
const MAX_HEADER: usize = 512 << 10;

/// What is sent of each message, and what that needs.
#[derive(Debug)]
pub(crate) struct Plan {
    items: Vec<FetchItem>,
    /// How much of each message the store is asked for.
    pub(crate) need: Need,
    /// Whether the whole outline is needed, or its beginning only.
    outline: Needs,
    /// Whether a message that is sent has been seen.
    pub(crate) marks_seen: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Needs {
    Nothing,
    Head,
    Outline,
}

impl Plan {
    pub(crate) fn new(fetch: &Fetch) -> Self {
        let mut items = fetch.items.clone();
        // RFC 9051 6.4.9: an answer to a UID command has the UID. RFC 7162 3.1.4.1: one to CHANGEDSINCE the ModSeq.
        if fetch.by == By::Uid && !items.contains(&FetchItem::Uid) {
            items.insert(0, FetchItem::Uid);
        }
        if fetch.changed_since.is_some() && !items.contains(&FetchItem::ModSeq) {
            items.push(FetchItem::ModSeq);
        }
        let need = items.iter().map(need).max().unwrap_or(Need::Flags);
        let outline = items.iter().map(outline_need).max().unwrap_or(Needs::Nothing);
        let marks_seen = items.iter().any(FetchItem::marks_seen);
        Self { items, need, outline, marks_seen }
    }
}

fn need(item: &FetchItem) -> Need {
    match item {
        FetchItem::Flags | FetchItem::Uid | FetchItem::InternalDate | FetchItem::Size | FetchItem::ModSeq => {
            Need::Flags
        }
        FetchItem::Envelope | FetchItem::Body | FetchItem::BodyStructure => Need::Outline,
        FetchItem::Section(_) | FetchItem::Binary(_) | FetchItem::BinarySize(_) => Need::Body,
    }
}

fn outline_need(item: &FetchItem) -> Needs {
    match item {
        FetchItem::Envelope => Needs::Head,
        FetchItem::Section(s) if s.section.part.0.is_empty() && s.section.text == SectionText::Whole => {
            Needs::Nothing
        }
        FetchItem::Section(s) if s.section.part.0.is_empty() => Needs::Head,
        FetchItem::Body | FetchItem::BodyStructure => Needs::Outline,
        FetchItem::Section(_) | FetchItem::Binary(_) | FetchItem::BinarySize(_) => Needs::Outline,
        _ => Needs::Nothing,
    }
}

/// What is known of the message.
struct Known<'a> {
    message: &'a Message,
    head: Option<Head<'a>>,
    outline: Option<Outline>,
}

impl<'a> Known<'a> {
    fn of(message: &'a Message, needs: Needs) -> Result<Self, StoreError> {
        let encoded = || message.outline.as_deref().ok_or_else(broken);
        let head = match needs {
            Needs::Nothing => None,
            _ => Some(Head::decode(encoded()?).map_err(|_| broken())?),
        };
        let outline = match needs {
            Needs::Outline => Some(Outline::decode(encoded()?).map_err(|_| broken())?),
            _ => None,
        };
        Ok(Self { message, head, outline })
    }

    fn body(&self) -> Result<&'a Body, StoreError> {
        self.message.body.as_ref().ok_or_else(broken)
    }

    /// Octets of a part that are meant. `None`: there is no such part.
    fn range(&self, path: &PartPath, place: Place) -> Option<Range<u64>> {
        let size = self.message.size;
        match (path.0.as_slice(), place) {
            ([], Place::Whole) => Some(0..size),
            ([], Place::Header) => self.head.map(|head| 0..head.header_len),
            ([], Place::Text) => self.head.map(|head| head.header_len..size),
            (path, place) => self.outline.as_ref()?.section(path, place),
        }
    }
}

fn broken() -> StoreError {
    StoreError::Broken("a message without its outline or body".into())
}

/// How much of a message was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// What was asked for.
    Whole,
    /// What could be read.
    InPart,
}

/// Sends one message. Of one that is damaged, what its row says, and nothing for what cannot be read.
///
/// # Errors
/// Why it cannot be sent as asked, before anything of it was written; or the end of the session.
pub(crate) async fn send(
    connection: &mut Connection,
    number: u32,
    message: &Message,
    plan: &Plan,
) -> Result<Sent, Failed> {
    let known = match Known::of(message, plan.outline) {
        Ok(known) if plan.need < Need::Body || message.body.is_some() => known,
        _ => return send_row(connection, number, message, plan).await,
    };
    check_encodings(&known, plan)?;
    let mut sent = Sent::Whole;
    let mut writer = FetchWriter::begin(connection.output(), number);
    for item in &plan.items {
        if put_simple(&mut writer, &known, item) {
            continue;
        }
        // Octets of the body: the buffer is flushed between its pieces, so the writer lets go of it.
        let gap = writer.gap();
        if Box::pin(send_octets(connection, gap, &known, item)).await? == Sent::InPart {
            sent = Sent::InPart;
        }
        writer = FetchWriter::resume(connection.output(), Gap::Space);
    }
    writer.end();
    connection.flush_if_full().await.map_err(End::from)?;
    Ok(sent)
}

/// Sends what is known of a damaged message without reading it, where any of that was asked for.
async fn send_row(
    connection: &mut Connection,
    number: u32,
    message: &Message,
    plan: &Plan,
) -> Result<Sent, Failed> {
    let known = Known { message, head: None, outline: None };
    if plan.items.iter().any(|item| need(item) == Need::Flags) {
        let mut writer = FetchWriter::begin(connection.output(), number);
        plan.items.iter().filter(|item| need(item) == Need::Flags).for_each(|item| {
            put_simple(&mut writer, &known, item);
        });
        writer.end();
        connection.flush_if_full().await.map_err(End::from)?;
    }
    Ok(Sent::InPart)
}

/// Writes an item that is not part of the body.
fn put_simple(writer: &mut FetchWriter<'_>, known: &Known<'_>, item: &FetchItem) -> bool {
    let message = known.message;
    match (item, &known.head, &known.outline) {
        (FetchItem::Flags, ..) => writer.flags(&message.flags),
        (FetchItem::Uid, ..) => writer.uid(message.uid),
        (FetchItem::InternalDate, ..) => writer.internal_date(message.received),
        (FetchItem::Size, ..) => writer.size(message.size),
        (FetchItem::ModSeq, ..) => writer.modseq(message.modseq),
        (FetchItem::Envelope, Some(head), _) => writer.envelope(&head.envelope),
        (FetchItem::Body, _, Some(outline)) => writer.body(outline),
        (FetchItem::BodyStructure, _, Some(outline)) => writer.body_structure(outline),
        _ => return false,
    }
    true
}

/// RFC 9051 7.5.2: what cannot be read is NIL. Once octets have been announced there is no way back.
async fn send_octets(
    connection: &mut Connection,
    gap: Gap,
    known: &Known<'_>,
    item: &FetchItem,
) -> Result<Sent, Failed> {
    let body = known.body()?;
    match item {
        FetchItem::Section(item) => {
            let header = || known.range(&item.section.part, Place::Header);
            let picked = match &item.section.text {
                SectionText::HeaderFields(names) => pick(body, header(), names, Keep::Named).await,
                SectionText::HeaderFieldsNot(names) => pick(body, header(), names, Keep::Others).await,
                text => {
                    let range = known.range(&item.section.part, place(text)).map(|r| cut(r, item.partial));
                    return send_section(connection, gap, body, item, range).await;
                }
            };
            let sent = if picked.is_ok() { Sent::Whole } else { Sent::InPart };
            put_picked(connection, gap, item, picked.ok().flatten());
            Ok(sent)
        }
        FetchItem::Binary(item) => send_binary(connection, gap, known, item).await,
        FetchItem::BinarySize(part) => {
            let size = match known.range(part, Place::Whole) {
                Some(range) => decoded_length(body, range, encoding(known, part)).await,
                None => Ok(0),
            };
            let sent = if size.is_ok() { Sent::Whole } else { Sent::InPart };
            FetchWriter::resume(connection.output(), gap).binary_size(part, size.unwrap_or(0));
            Ok(sent)
        }
        _ => Ok(Sent::Whole),
    }
}

/// Sends octets as they are. The first of them are read before it is said how many will come.
async fn send_section(
    connection: &mut Connection,
    gap: Gap,
    body: &Body,
    item: &SectionItem,
    range: Option<Range<u64>>,
) -> Result<Sent, Failed> {
    let Some(range) = range else {
        FetchWriter::resume(connection.output(), gap).section(item, None);
        return Ok(Sent::Whole);
    };
    let Ok(first) = first(body, &range).await else {
        FetchWriter::resume(connection.output(), gap).section(item, None);
        return Ok(Sent::InPart);
    };
    FetchWriter::resume(connection.output(), gap).section(item, Some(length(&range)));
    connection.output().raw(&first);
    stream(connection, body, range.start + first.len() as u64..range.end).await?;
    Ok(Sent::Whole)
}

/// The first octets of a range.
async fn first(body: &Body, range: &Range<u64>) -> std::io::Result<Bytes> {
    match usize::try_from(length(range)).unwrap_or(PIECE).min(PIECE) {
        0 => Ok(Bytes::new()),
        wanted => body.read(range.start, wanted).await,
    }
}

fn place(text: &SectionText) -> Place {
    match text {
        SectionText::Whole => Place::Whole,
        SectionText::Header | SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_) => Place::Header,
        SectionText::Text => Place::Text,
        SectionText::Mime => Place::Mime,
    }
}

fn length(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

/// RFC 9051 6.4.5: a partial fetch beyond the end gives an empty string.
fn cut(range: Range<u64>, partial: Option<Partial>) -> Range<u64> {
    let Some(partial) = partial else { return range };
    let start = range.start.saturating_add(partial.offset.into()).min(range.end);
    start..start.saturating_add(partial.count.get().into()).min(range.end)
}

/// Sends octets of the body as they are. A body that ends early, or cannot be read, ends the session: the
/// client has been told how many octets there are.
async fn stream(connection: &mut Connection, body: &Body, range: Range<u64>) -> Result<(), End> {
    let mut at = range.start;
    while at < range.end {
        let wanted = usize::try_from(range.end - at).unwrap_or(PIECE).min(PIECE);
        let piece = body.read(at, wanted).await.map_err(|_| End::Broken)?;
        if piece.is_empty() {
            return Err(End::Broken);
        }
        at += piece.len() as u64;
        connection.output().raw(&piece);
        connection.flush_if_full().await?;
    }
    Ok(())
}

/// The fields of a header that are asked for.
async fn pick(
    body: &Body,
    header: Option<Range<u64>>,
    names: &[Box<str>],
    keep: Keep,
) -> std::io::Result<Option<Vec<u8>>> {
    let Some(range) = header else { return Ok(None) };
    let end = range.end.min(range.start.saturating_add(MAX_HEADER as u64));
    let mut block = Vec::new();
    while range.start + (block.len() as u64) < end {
        let at = range.start + block.len() as u64;
        let wanted = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
        let piece = body.read(at, wanted).await?;
        if piece.is_empty() {
            break;
        }
        block.extend_from_slice(&piece);
    }
    let names: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
    Ok(Some(filter(&block, &names, keep)))
}

fn put_picked(connection: &mut Connection, gap: Gap, item: &SectionItem, picked: Option<Vec<u8>>) {
    let range = picked.as_ref().map(|text| cut(0..text.len() as u64, item.partial));
    let mut writer = FetchWriter::resume(connection.output(), gap);
    writer.section(item, range.as_ref().map(length));
    if let (Some(text), Some(range)) = (picked, range) {
        let within = usize::try_from(range.start).unwrap_or(0)..usize::try_from(range.end).unwrap_or(0);
        writer.out().raw(text.get(within).unwrap_or_default());
    }
}

/// RFC 9051 6.4.5: a part whose encoding is not known cannot be fetched decoded.
fn check_encodings(known: &Known<'_>, plan: &Plan) -> Result<(), Failed> {
    let parts = plan.items.iter().filter_map(|item| match item {
        FetchItem::Binary(item) => Some(&item.part),
        FetchItem::BinarySize(part) => Some(part),
        _ => None,
    });
    for path in parts {
        let part = known.outline.as_ref().and_then(|outline| outline.part(&path.0));
        let name = part.map_or(&b"7bit"[..], |part| part.encoding());
        if !path.0.is_empty()
            && !matches!(name, b"7bit" | b"8bit" | b"binary" | b"base64" | b"quoted-printable")
        {
            return Err(Failed::No(Some(Code::UnknownCte), "the encoding of the part is not known"));
        }
    }
    Ok(())
}

/// The message itself has no encoding to undo, and a part with parts has none that counts.
fn encoding(known: &Known<'_>, path: &PartPath) -> Encoding {
    let part = known.outline.as_ref().filter(|_| !path.0.is_empty()).and_then(|o| o.part(&path.0));
    part.map_or(Encoding::Identity, |part| match part.kind() {
        mail::message::Kind::Multipart => Encoding::Identity,
        _ => Encoding::of(part.encoding()),
    })
}

/// RFC 9051 6.4.5, RFC 3516 4.2: the length comes first, so the part is read twice where it is encoded.
async fn send_binary(
    connection: &mut Connection,
    gap: Gap,
    known: &Known<'_>,
    item: &BinaryItem,
) -> Result<Sent, Failed> {
    let body = known.body()?;
    let Some(range) = known.range(&item.part, Place::Whole) else {
        FetchWriter::resume(connection.output(), gap).binary(&item.part, item.partial, None);
        return Ok(Sent::Whole);
    };
    let encoding = encoding(known, &item.part);
    let size = match first(body, &range).await {
        Ok(_) => decoded_length(body, range.clone(), encoding).await,
        Err(error) => Err(error),
    };
    let Ok(size) = size else {
        FetchWriter::resume(connection.output(), gap).binary(&item.part, item.partial, None);
        return Ok(Sent::InPart);
    };
    let wanted = cut(0..size, item.partial);
    FetchWriter::resume(connection.output(), gap).binary(&item.part, item.partial, Some(length(&wanted)));
    if encoding == Encoding::Identity {
        stream(connection, body, range.start + wanted.start..range.start + wanted.end).await?;
        return Ok(Sent::Whole);
    }
    let mut decoded = Decoded::new(body, range, encoding);
    let mut at = 0;
    while at < wanted.end {
        let piece = decoded.next().await.map_err(|_| End::Broken)?.ok_or(End::Broken)?;
        put_within(connection.output(), &piece, at, &wanted);
        at += piece.len() as u64;
        connection.flush_if_full().await.map_err(End::from)?;
    }
    Ok(Sent::Whole)
}

/// Appends what of a piece at this offset lies within the range.
fn put_within(out: &mut BytesMut, piece: &[u8], at: u64, wanted: &Range<u64>) {
    let skip = usize::try_from(wanted.start.saturating_sub(at)).unwrap_or(usize::MAX).min(piece.len());
    let end = usize::try_from(wanted.end.saturating_sub(at)).unwrap_or(usize::MAX).min(piece.len());
    out.raw(piece.get(skip..end).unwrap_or_default());
}

async fn decoded_length(body: &Body, range: Range<u64>, encoding: Encoding) -> std::io::Result<u64> {
    if encoding == Encoding::Identity {
        return Ok(length(&range));
    }
    let mut decoded = Decoded::new(body, range, encoding);
    let mut length = 0;
    while let Some(piece) = decoded.next().await? {
        length += piece.len() as u64;
    }
    Ok(length)
}

/// A part without its transfer encoding, piece by piece.
struct Decoded<'a> {
    body: &'a Body,
    left: Range<u64>,
    unwrap: Option<Unwrap>,
}

impl<'a> Decoded<'a> {
    fn new(body: &'a Body, range: Range<u64>, encoding: Encoding) -> Self {
        Self { body, left: range, unwrap: Some(Unwrap::new(encoding)) }
    }

    async fn next(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let Some(unwrap) = self.unwrap.as_mut() else { return Ok(None) };
        let mut out = Vec::new();
        let wanted = usize::try_from(length(&self.left)).unwrap_or(PIECE).min(PIECE);
        let piece = self.body.read(self.left.start, wanted).await?;
        self.left.start += piece.len() as u64;
        unwrap.push(&piece, &mut out);
        if (piece.is_empty() || length(&self.left) == 0)
            && let Some(unwrap) = self.unwrap.take()
        {
            unwrap.finish(&mut out);
        }
        Ok(Some(out))
    }
}
