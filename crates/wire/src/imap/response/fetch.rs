//! FETCH responses, item by item. RFC 9051 7.5.2.

use super::super::command::{PartPath, Partial, Section, SectionItem, SectionName, SectionText};
use super::{Put, body, body_structure, envelope};
use bytes::{BufMut, BytesMut};
use mail::flags::Flags;
use mail::id::{ModSeq, Uid};
use mail::message::{Envelope, Outline};
use mail::time::Timestamp;

/// Writes one FETCH response. Octets of a section are appended by the caller to [`FetchWriter::out`] after
/// their announcement, exactly as many as were announced.
#[derive(Debug)]
pub struct FetchWriter<'a> {
    out: &'a mut BytesMut,
    gap: Gap,
}

/// Whether an item has been written before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// None has.
    None,
    /// One has: a space comes first.
    Space,
}

impl<'a> FetchWriter<'a> {
    /// Begins the response for the message of this number.
    pub fn begin(out: &'a mut BytesMut, number: u32) -> Self {
        out.raw("* ").number(number).raw(" FETCH (");
        Self { out, gap: Gap::None }
    }

    /// Goes on with a response of which something has been written and flushed.
    pub fn resume(out: &'a mut BytesMut, gap: Gap) -> Self {
        Self { out, gap }
    }

    /// Ends the response.
    pub fn end(self) {
        self.out.raw(")").crlf();
    }

    /// How to go on later.
    pub fn gap(&self) -> Gap {
        self.gap
    }

    fn item(&mut self, name: &str) -> &mut BytesMut {
        if self.gap == Gap::Space {
            self.out.put_u8(b' ');
        }
        self.gap = Gap::Space;
        self.out.raw(name)
    }

    /// `FLAGS`
    pub fn flags(&mut self, flags: &Flags) {
        self.item("FLAGS (").flags(flags).raw(")");
    }

    /// `UID`
    pub fn uid(&mut self, uid: Uid) {
        self.item("UID ").number(uid.0);
    }

    /// `MODSEQ`. RFC 7162 3.1.4.2.
    pub fn modseq(&mut self, modseq: ModSeq) {
        self.item("MODSEQ (").number(modseq.0).raw(")");
    }

    /// `RFC822.SIZE`
    pub fn size(&mut self, size: u64) {
        self.item("RFC822.SIZE ").number(size);
    }

    /// `INTERNALDATE`, in UTC.
    pub fn internal_date(&mut self, date: Timestamp) {
        let out = self.item("INTERNALDATE \"");
        put_date(out, date);
        out.raw("\"");
    }

    /// `ENVELOPE`
    pub fn envelope(&mut self, of: &Envelope<'_>) {
        envelope(self.item("ENVELOPE "), of);
    }

    /// `BODY`, the structure without extensions.
    pub fn body(&mut self, outline: &Outline) {
        body(self.item("BODY "), outline.root());
    }

    /// `BODYSTRUCTURE`
    pub fn body_structure(&mut self, outline: &Outline) {
        body_structure(self.item("BODYSTRUCTURE "), outline.root());
    }

    /// Announces a section of `length` octets; `None`: there is no such section.
    pub fn section(&mut self, item: &SectionItem, length: Option<u64>) {
        match item.named {
            SectionName::Body => {
                put_section(self.item("BODY["), &item.section);
                put_offset(self.out.raw("]"), item.partial);
            }
            SectionName::Rfc822 => _ = self.item("RFC822"),
            SectionName::Rfc822Header => _ = self.item("RFC822.HEADER"),
            SectionName::Rfc822Text => _ = self.item("RFC822.TEXT"),
        }
        announce(self.out, length, "{");
    }

    /// Announces a decoded part of `length` octets; `None`: there is no such part. RFC 3516 7.
    pub fn binary(&mut self, part: &PartPath, partial: Option<Partial>, length: Option<u64>) {
        put_path(self.item("BINARY["), part);
        put_offset(self.out.raw("]"), partial);
        // A literal8, since the octets may hold NUL.
        announce(self.out, length, "~{");
    }

    /// `BINARY.SIZE`
    pub fn binary_size(&mut self, part: &PartPath, size: u64) {
        put_path(self.item("BINARY.SIZE["), part);
        self.out.raw("] ").number(size);
    }

    /// Where the octets of a section go.
    pub fn out(&mut self) -> &mut BytesMut {
        self.out
    }
}

fn announce(out: &mut BytesMut, length: Option<u64>, open: &str) {
    match length {
        Some(length) => out.raw(" ").raw(open).number(length).raw("}\r\n"),
        None => out.raw(" NIL"),
    };
}

fn put_offset(out: &mut BytesMut, partial: Option<Partial>) {
    if let Some(partial) = partial {
        out.raw("<").number(partial.offset).raw(">");
    }
}

fn put_path(out: &mut BytesMut, part: &PartPath) {
    for (i, number) in part.0.iter().enumerate() {
        if i > 0 {
            out.put_u8(b'.');
        }
        out.number(*number);
    }
}

fn put_section(out: &mut BytesMut, section: &Section) {
    put_path(out, &section.part);
    let (word, fields) = match &section.text {
        SectionText::Whole => return,
        SectionText::Header => ("HEADER", None),
        SectionText::HeaderFields(fields) => ("HEADER.FIELDS", Some(fields)),
        SectionText::HeaderFieldsNot(fields) => ("HEADER.FIELDS.NOT", Some(fields)),
        SectionText::Text => ("TEXT", None),
        SectionText::Mime => ("MIME", None),
    };
    if !section.part.0.is_empty() {
        out.put_u8(b'.');
    }
    out.raw(word);
    if let Some(fields) = fields {
        for (i, field) in fields.iter().enumerate() {
            out.raw(if i == 0 { " (" } else { " " });
            put_field_name(out, field);
        }
        out.raw(")");
    }
}

/// As an atom where it can be one.
fn put_field_name(out: &mut BytesMut, name: &str) {
    if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        out.raw(name);
    } else {
        out.string(name.as_bytes());
    }
}

/// `23-Nov-2026 12:35:00 +0000`. RFC 9051 9, `date-time`.
fn put_date(out: &mut BytesMut, date: Timestamp) {
    let c = date.civil();
    let two = |out: &mut BytesMut, n: u8, after: &str| {
        out.put_u8(b'0' + n / 10 % 10);
        out.put_u8(b'0' + n % 10);
        out.raw(after);
    };
    two(out, c.day, "-");
    out.raw(mail::time::MONTHS.get(usize::from(c.month) - 1).unwrap_or(&"Jan")).raw("-");
    let year = u16::try_from(c.year).unwrap_or(9999).min(9999);
    two(out, u8::try_from(year / 100).unwrap_or(99), "");
    two(out, u8::try_from(year % 100).unwrap_or(99), " ");
    two(out, c.hour, ":");
    two(out, c.minute, ":");
    two(out, c.second, " +0000");
}
