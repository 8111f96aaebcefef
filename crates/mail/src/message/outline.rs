//! The outline of a message: ranges, types and envelopes of all its parts, as values.
//!
//! Texts lie in one arena and the tree in one vector in document order, so that an outline of thousands of
//! parts costs three allocations. It is made by the [scanner](super::Scanner) or by [`Outline::decode`],
//! and both keep to the same rules: every range lies within its parent's body, a multipart has at least one
//! child, an embedded message exactly one.

use std::ops::Range;

/// Fields of an envelope, in the order of [`EnvelopeSpans`].
pub(super) const ENVELOPE_FIELDS: usize = 10;
/// Texts of a part, in the order of [`Entity::texts`].
pub(super) const PART_TEXTS: usize = 9;

/// A piece of the arena; `start == u32::MAX` where there is none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) len: u32,
}

impl Span {
    pub(super) const NONE: Self = Self { start: u32::MAX, len: 0 };

    pub(super) fn is_some(self) -> bool {
        self.start != u32::MAX
    }

    pub(super) fn of(self, text: &[u8]) -> Option<&[u8]> {
        let start = usize::try_from(self.start).ok().filter(|_| self.is_some())?;
        text.get(start..start.checked_add(usize::try_from(self.len).ok()?)?)
    }
}

/// Spans of an envelope: date, subject, from, sender, reply-to, to, cc, bcc, in-reply-to, message-id.
pub(super) type EnvelopeSpans = [Span; ENVELOPE_FIELDS];

/// Indexes into [`Entity::texts`].
pub(super) mod text_at {
    pub(in super::super) const TYPE: usize = 0;
    pub(in super::super) const SUBTYPE: usize = 1;
    pub(in super::super) const ID: usize = 2;
    pub(in super::super) const DESCRIPTION: usize = 3;
    pub(in super::super) const ENCODING: usize = 4;
    pub(in super::super) const MD5: usize = 5;
    pub(in super::super) const DISPOSITION: usize = 6;
    pub(in super::super) const LANGUAGE: usize = 7;
    pub(in super::super) const LOCATION: usize = 8;
}

/// What a part is to its children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It has none: content.
    Leaf,
    /// One or more parts between boundaries. RFC 2046 5.1.
    Multipart,
    /// One whole message. RFC 2046 5.2.1 (`message/rfc822`), RFC 6532 3.7 (`message/global`).
    Message,
}

/// One node of the tree.
#[derive(Debug, Clone)]
pub(super) struct Entity {
    pub(super) kind: Kind,
    /// Index after its last descendant.
    pub(super) subtree_end: u32,
    /// Index into the envelopes, `u32::MAX` where it is not the root of a message.
    pub(super) envelope: u32,
    pub(super) header_start: u64,
    pub(super) body_start: u64,
    pub(super) end: u64,
    pub(super) lines: u64,
    pub(super) texts: [Span; PART_TEXTS],
    /// Parameters of the media type.
    pub(super) params: Range<u32>,
    /// Parameters of the disposition.
    pub(super) disposition_params: Range<u32>,
}

impl Entity {
    pub(super) fn new(header_start: u64) -> Self {
        Self {
            kind: Kind::Leaf,
            subtree_end: 0,
            envelope: u32::MAX,
            header_start,
            body_start: header_start,
            end: header_start,
            lines: 0,
            texts: [Span::NONE; PART_TEXTS],
            params: 0..0,
            disposition_params: 0..0,
        }
    }
}

/// Where everything in a message is.
#[derive(Debug, Clone)]
pub struct Outline {
    pub(super) size: u64,
    /// In document order; the first is the message itself. Never empty.
    pub(super) entities: Vec<Entity>,
    pub(super) envelopes: Vec<EnvelopeSpans>,
    pub(super) params: Vec<(Span, Span)>,
    pub(super) text: Vec<u8>,
}

/// Two outlines are equal when they say the same, wherever their texts lie.
impl PartialEq for Outline {
    fn eq(&self, other: &Self) -> bool {
        self.encode() == other.encode()
    }
}

impl Eq for Outline {}

/// What of a part is asked for. RFC 9051 6.4.5.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SectionText {
    /// `BODY[]`, `BODY[1]`: the message with its header, or the content of the part.
    Whole,
    /// `HEADER`: the header of a message, with the empty line that ends it.
    Header,
    /// `TEXT`: a message without its header.
    Text,
    /// `MIME`: the header of a part.
    Mime,
}

/// Where a section path stands: at a message, or at a part of one.
#[derive(Clone, Copy)]
enum At<'a> {
    Root(Part<'a>),
    Part(Part<'a>),
}

impl Outline {
    /// Octets of the whole message.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Octets of the top header, with the empty line that ends it.
    pub fn header_len(&self) -> u64 {
        self.entities.first().map_or(0, |e| e.body_start)
    }

    /// The message as a part: its header range is the top header, its body all the rest.
    pub fn root(&self) -> Part<'_> {
        // The scanner begins with one entity and the decoder refuses less.
        Part { outline: self, entity: &self.entities[0], index: 0 }
    }

    /// The envelope of the message itself.
    pub fn envelope(&self) -> Envelope<'_> {
        self.root().envelope().unwrap_or_default()
    }

    /// How many parts there are, the message itself counted in.
    pub fn part_count(&self) -> usize {
        self.entities.len()
    }

    /// The part that a section path names; part 1 of a message that is not a multipart is its text.
    /// RFC 9051 6.4.5: part specifiers. `None` where there is no such part; the empty path is the message.
    pub fn part(&self, path: &[u32]) -> Option<Part<'_>> {
        self.locate(path).map(|at| match at {
            At::Root(part) | At::Part(part) => part,
        })
    }

    /// The octets that a section names, `None` where the message has no such section (IMAP answers with NIL).
    /// RFC 9051 6.4.5: HEADER and TEXT ask for a message, MIME for a part.
    pub fn section(&self, path: &[u32], text: SectionText) -> Option<Range<u64>> {
        match (self.locate(path)?, text) {
            (At::Root(_), SectionText::Whole) => Some(0..self.size),
            (At::Root(root), SectionText::Header) => Some(root.header()),
            (At::Root(root), SectionText::Text) => Some(root.body()),
            (At::Root(_), SectionText::Mime) => None,
            (At::Part(part), SectionText::Whole) => Some(part.body()),
            (At::Part(part), SectionText::Mime) => Some(part.header()),
            (At::Part(part), SectionText::Header) => part.message().map(|m| m.header()),
            (At::Part(part), SectionText::Text) => part.message().map(|m| m.body()),
        }
    }

    fn locate(&self, path: &[u32]) -> Option<At<'_>> {
        path.iter().try_fold(At::Root(self.root()), |at, &number| {
            let (from, is_root) = match at {
                At::Root(part) => (part, true),
                At::Part(part) => part.message().map_or((part, false), |root| (root, true)),
            };
            let index = usize::try_from(number.checked_sub(1)?).ok()?;
            match from.kind() {
                Kind::Multipart => from.children().nth(index),
                _ if is_root && number == 1 => Some(from),
                _ => None,
            }
            .map(At::Part)
        })
    }

    fn slice(&self, span: Span) -> Option<&[u8]> {
        span.of(&self.text)
    }
}

/// One part of a message, seen through its outline.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    outline: &'a Outline,
    entity: &'a Entity,
    index: u32,
}

impl<'a> Part<'a> {
    /// Whether it has parts, holds a message, or is plain content.
    pub fn kind(&self) -> Kind {
        self.entity.kind
    }

    /// Octets of its own header within the message, with the empty line that ends it.
    pub fn header(&self) -> Range<u64> {
        self.entity.header_start..self.entity.body_start
    }

    /// Octets of its content within the message, still in its transfer encoding. The line end before a
    /// boundary belongs to the boundary. RFC 2046 5.1.1.
    pub fn body(&self) -> Range<u64> {
        self.entity.body_start..self.entity.end
    }

    /// Line ends in the body.
    pub fn lines(&self) -> u64 {
        self.entity.lines
    }

    /// Media type in lower case. Where none is declared: `text`, or `message` in a digest. RFC 2045 5.2.
    pub fn media_type(&self) -> &'a [u8] {
        self.text(text_at::TYPE).unwrap_or(b"text")
    }

    /// Media subtype in lower case.
    pub fn subtype(&self) -> &'a [u8] {
        self.text(text_at::SUBTYPE).unwrap_or(b"plain")
    }

    /// Parameters of the media type in their order: name in lower case, value without quotes. RFC 2231's
    /// forms are kept as they are (`filename*0*`).
    pub fn params(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.pairs(&self.entity.params)
    }

    /// The value of one parameter of the media type; `name` in lower case.
    pub fn param(&self, name: &str) -> Option<&'a [u8]> {
        self.params().find(|(n, _)| *n == name.as_bytes()).map(|(_, value)| value)
    }

    /// Content-ID, with its angle brackets. RFC 2045 7.
    pub fn content_id(&self) -> Option<&'a [u8]> {
        self.text(text_at::ID)
    }

    /// Content-Description, unfolded, encoded words left alone. RFC 2045 8.
    pub fn description(&self) -> Option<&'a [u8]> {
        self.text(text_at::DESCRIPTION)
    }

    /// Content-Transfer-Encoding in lower case, `7bit` where none is declared. RFC 2045 6.1.
    pub fn encoding(&self) -> &'a [u8] {
        self.text(text_at::ENCODING).unwrap_or(b"7bit")
    }

    /// Content-MD5. RFC 1864.
    pub fn md5(&self) -> Option<&'a [u8]> {
        self.text(text_at::MD5)
    }

    /// Content-Disposition in lower case, without its parameters. RFC 2183.
    pub fn disposition(&self) -> Option<&'a [u8]> {
        self.text(text_at::DISPOSITION)
    }

    /// Parameters of the disposition.
    pub fn disposition_params(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.pairs(&self.entity.disposition_params)
    }

    /// Content-Language: its tags in their order. RFC 3282.
    pub fn languages(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let tags = self.text(text_at::LANGUAGE).unwrap_or_default().split(|b| *b == b',');
        tags.map(<[u8]>::trim_ascii).filter(|tag| !tag.is_empty())
    }

    /// Content-Location. RFC 2557 4.
    pub fn location(&self) -> Option<&'a [u8]> {
        self.text(text_at::LOCATION)
    }

    /// The envelope, where this is the root of a message: the whole, or what a `message/rfc822` holds.
    pub fn envelope(&self) -> Option<Envelope<'a>> {
        let spans = self.outline.envelopes.get(usize::try_from(self.entity.envelope).ok()?)?;
        Some(Envelope { fields: spans.map(|span| self.outline.slice(span)) })
    }

    /// The root of the message that this part holds, where it is one.
    pub fn message(&self) -> Option<Part<'a>> {
        self.children().next().filter(|_| self.kind() == Kind::Message)
    }

    /// Its parts in their order; of an embedded message its root.
    pub fn children(&self) -> Children<'a> {
        Children { outline: self.outline, next: self.index + 1, end: self.entity.subtree_end }
    }

    fn text(&self, at: usize) -> Option<&'a [u8]> {
        self.outline.slice(self.entity.texts[at])
    }

    fn pairs(&self, range: &Range<u32>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let outline = self.outline;
        let bounds = usize::try_from(range.start).unwrap_or(0)..usize::try_from(range.end).unwrap_or(0);
        let pairs = outline.params.get(bounds).unwrap_or_default();
        pairs.iter().map(|&(name, value)| {
            (outline.slice(name).unwrap_or_default(), outline.slice(value).unwrap_or_default())
        })
    }
}

/// The parts of a part, in their order.
#[derive(Debug, Clone)]
pub struct Children<'a> {
    outline: &'a Outline,
    next: u32,
    end: u32,
}

impl<'a> Iterator for Children<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let index = self.next;
        let entity = self.outline.entities.get(usize::try_from(index).ok()?).filter(|_| index < self.end)?;
        // A subtree ends after its root, so the walk always moves on.
        self.next = entity.subtree_end.max(index + 1);
        Some(Part { outline: self.outline, entity, index })
    }
}

/// The fields of a message header that IMAP's ENVELOPE shows: unfolded, otherwise as they were written.
/// The first of a field that stands twice counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Envelope<'a> {
    pub(super) fields: [Option<&'a [u8]>; ENVELOPE_FIELDS],
}

impl<'a> Envelope<'a> {
    /// Date.
    pub fn date(&self) -> Option<&'a [u8]> {
        self.fields[0]
    }

    /// Subject, encoded words left alone.
    pub fn subject(&self) -> Option<&'a [u8]> {
        self.fields[1]
    }

    /// From: for [`addresses::parse`](super::addresses::parse), like all that follow up to Bcc.
    pub fn from(&self) -> Option<&'a [u8]> {
        self.fields[2]
    }

    /// Sender. RFC 9051 7.5.2: IMAP shows From where it is absent or empty; not done here.
    pub fn sender(&self) -> Option<&'a [u8]> {
        self.fields[3]
    }

    /// Reply-To; as with Sender.
    pub fn reply_to(&self) -> Option<&'a [u8]> {
        self.fields[4]
    }

    /// To.
    pub fn to(&self) -> Option<&'a [u8]> {
        self.fields[5]
    }

    /// Cc.
    pub fn cc(&self) -> Option<&'a [u8]> {
        self.fields[6]
    }

    /// Bcc.
    pub fn bcc(&self) -> Option<&'a [u8]> {
        self.fields[7]
    }

    /// In-Reply-To.
    pub fn in_reply_to(&self) -> Option<&'a [u8]> {
        self.fields[8]
    }

    /// Message-ID.
    pub fn message_id(&self) -> Option<&'a [u8]> {
        self.fields[9]
    }
}
