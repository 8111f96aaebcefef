//! The stored form of an [`Outline`]: a version octet, then numbers in LEB128 and texts with their lengths.
//!
//! ```text
//! version, size, header length, envelope of the message, count of parts, then of every part
//! in document order: flags, subtree length, header start less that of the part before,
//! header length, body length, lines, the texts that the flags name, parameters, envelope
//! ```
//! The envelope comes early so that [`Head::decode`] reads no more than it shows. The decoder takes any
//! octets: it holds on to the rules of [`outline`](super::outline) and refuses all else, and it allocates
//! no more than a few times the input.

use super::outline::{ENVELOPE_FIELDS, Entity, Envelope, EnvelopeSpans, Kind, Outline, PART_TEXTS, Span};
use std::ops::Range;

/// The only form so far. A newer one gets a new number; the store keeps old ones as they are.
const VERSION: u8 = 1;
/// Flags of a part: one bit for each text, then these.
const MULTIPART: u64 = 1 << PART_TEXTS;
const MESSAGE: u64 = 1 << (PART_TEXTS + 1);
const ENVELOPE: u64 = 1 << (PART_TEXTS + 2);
const PARAMS: u64 = 1 << (PART_TEXTS + 3);
const DISPOSITION_PARAMS: u64 = 1 << (PART_TEXTS + 4);
const ALL_FLAGS: u64 = (1 << (PART_TEXTS + 5)) - 1;
/// Fewest octets that a part takes: a bound for what is allocated ahead.
const MIN_PART: usize = 6;

/// Why octets are no outline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadOutline {
    /// Written by a release that knows more.
    #[error("the outline has version {0}, which is not known here")]
    Version(u8),
    /// It ends early.
    #[error("the outline is cut off")]
    CutOff,
    /// A number is longer than it may be, or something follows the end.
    #[error("the outline is garbled")]
    Garbled,
    /// Ranges that do not nest or a tree that is none.
    #[error("the outline contradicts itself")]
    Impossible,
}

/// What stands first in an encoded outline: enough for ENVELOPE, RFC822.SIZE, BODY[HEADER], BODY[TEXT].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// Octets of the message.
    pub size: u64,
    /// Octets of its header, with the empty line that ends it.
    pub header_len: u64,
    /// Its envelope.
    pub envelope: Envelope<'a>,
}

impl<'a> Head<'a> {
    /// Reads the beginning of an encoded outline and nothing behind it; allocates nothing.
    ///
    /// # Errors
    /// Where the beginning is not that of an outline. What follows is not looked at.
    pub fn decode(encoded: &'a [u8]) -> Result<Self, BadOutline> {
        let mut reader = Reader::new(encoded);
        let (size, header_len, spans) = reader.head()?;
        let slice = |s: Span| s.is_some().then(|| reader.text(s));
        Ok(Self { size, header_len, envelope: Envelope { fields: spans.map(slice) } })
    }
}

impl Outline {
    /// The stored form. Typical mail takes 300 to 800 octets, most of them its envelope.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer { out: Vec::with_capacity(self.text.len() + 64), outline: self };
        out.out.push(VERSION);
        out.number(self.size);
        out.number(self.header_len());
        out.envelope(self.envelopes.first().unwrap_or(&[Span::NONE; ENVELOPE_FIELDS]));
        out.number(to_u64(self.entities.len()));
        let mut last_start = 0;
        for (index, entity) in self.entities.iter().enumerate() {
            out.entity(index, entity, last_start);
            last_start = entity.header_start;
        }
        out.out
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// Where it is not what [`Outline::encode`] makes. Never panics, whatever the octets.
    pub fn decode(encoded: &[u8]) -> Result<Self, BadOutline> {
        if u32::try_from(encoded.len()).is_err() {
            return Err(BadOutline::Garbled);
        }
        let mut reader = Reader::new(encoded);
        let (size, header_len, envelope) = reader.head()?;
        let count = reader.index()?;
        if count > encoded.len() / MIN_PART {
            return Err(BadOutline::CutOff);
        }
        let mut outline = Self {
            size,
            entities: Vec::with_capacity(count),
            envelopes: vec![envelope],
            params: Vec::new(),
            text: Vec::new(),
        };
        let mut last_start = 0;
        for index in 0..count {
            let entity = reader.entity(index, last_start, &mut outline)?;
            last_start = entity.header_start;
            outline.entities.push(entity);
        }
        if !reader.is_at_end() {
            return Err(BadOutline::Garbled);
        }
        check_tree(&outline.entities, size, header_len)?;
        // The texts are left where they lie: the arena is the encoded form itself.
        outline.text = encoded.to_vec();
        Ok(outline)
    }
}

struct Writer<'a> {
    out: Vec<u8>,
    outline: &'a Outline,
}

impl Writer<'_> {
    fn number(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.out.push(u8::try_from(n & 0x7f).unwrap_or(0) | 0x80);
            n >>= 7;
        }
        self.out.push(u8::try_from(n).unwrap_or(0));
    }

    fn text(&mut self, span: Span) {
        let text = span.of(&self.outline.text).unwrap_or_default();
        self.number(to_u64(text.len()));
        self.out.extend_from_slice(text);
    }

    /// An absent field is 0, any other its length and one.
    fn envelope(&mut self, spans: &EnvelopeSpans) {
        for span in spans {
            match span.of(&self.outline.text) {
                None => self.number(0),
                Some(text) => {
                    self.number(to_u64(text.len()) + 1);
                    self.out.extend_from_slice(text);
                }
            }
        }
    }

    fn params(&mut self, range: &Range<u32>) {
        self.number(u64::from(range.end - range.start));
        for at in range.clone() {
            let pair = usize::try_from(at).ok().and_then(|at| self.outline.params.get(at));
            let &(name, value) = pair.unwrap_or(&(Span::NONE, Span::NONE));
            self.text(name);
            self.text(value);
        }
    }

    fn entity(&mut self, index: usize, entity: &Entity, last_start: u64) {
        let envelope = usize::try_from(entity.envelope).ok().filter(|_| index > 0);
        let envelope = envelope.and_then(|at| self.outline.envelopes.get(at));
        let mut flags = match entity.kind {
            Kind::Leaf => 0,
            Kind::Multipart => MULTIPART,
            Kind::Message => MESSAGE,
        };
        for (at, text) in entity.texts.iter().enumerate() {
            flags |= u64::from(text.is_some()) << at;
        }
        for (bit, set) in [
            (ENVELOPE, envelope.is_some()),
            (PARAMS, !entity.params.is_empty()),
            (DISPOSITION_PARAMS, !entity.disposition_params.is_empty()),
        ] {
            flags |= if set { bit } else { 0 };
        }
        self.number(flags);
        self.number(u64::from(entity.subtree_end).saturating_sub(to_u64(index)));
        self.number(entity.header_start - last_start);
        self.number(entity.body_start - entity.header_start);
        self.number(entity.end - entity.body_start);
        self.number(entity.lines);
        entity.texts.iter().filter(|t| t.is_some()).for_each(|t| self.text(*t));
        if !entity.params.is_empty() {
            self.params(&entity.params);
        }
        if !entity.disposition_params.is_empty() {
            self.params(&entity.disposition_params);
        }
        if let Some(spans) = envelope {
            self.envelope(spans);
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn octet(&mut self) -> Result<u8, BadOutline> {
        let octet = *self.bytes.get(self.at).ok_or(BadOutline::CutOff)?;
        self.at += 1;
        Ok(octet)
    }

    /// At most 56 bits, so that sums of a few cannot overflow.
    fn number(&mut self) -> Result<u64, BadOutline> {
        let mut n = 0;
        for shift in (0..56).step_by(7) {
            let octet = self.octet()?;
            n |= u64::from(octet & 0x7f) << shift;
            if octet < 0x80 {
                return Ok(n);
            }
        }
        Err(BadOutline::Garbled)
    }

    fn index(&mut self) -> Result<usize, BadOutline> {
        usize::try_from(self.number()?).map_err(|_| BadOutline::Garbled)
    }

    fn span(&mut self, len: usize) -> Result<Span, BadOutline> {
        let end =
            self.at.checked_add(len).filter(|end| *end <= self.bytes.len()).ok_or(BadOutline::CutOff)?;
        let narrow = |n: usize| u32::try_from(n).map_err(|_| BadOutline::Garbled);
        let span = Span { start: narrow(self.at)?, len: narrow(len)? };
        self.at = end;
        Ok(span)
    }

    fn text(&self, span: Span) -> &'a [u8] {
        span.of(self.bytes).unwrap_or_default()
    }

    fn envelope(&mut self) -> Result<EnvelopeSpans, BadOutline> {
        let mut spans = [Span::NONE; ENVELOPE_FIELDS];
        for span in &mut spans {
            if let Some(len) = self.index()?.checked_sub(1) {
                *span = self.span(len)?;
            }
        }
        Ok(spans)
    }

    fn head(&mut self) -> Result<(u64, u64, EnvelopeSpans), BadOutline> {
        match self.octet()? {
            VERSION => {}
            other => return Err(BadOutline::Version(other)),
        }
        let (size, header_len) = (self.number()?, self.number()?);
        if header_len > size {
            return Err(BadOutline::Impossible);
        }
        Ok((size, header_len, self.envelope()?))
    }

    fn params(&mut self, outline: &mut Outline) -> Result<Range<u32>, BadOutline> {
        let narrow = |n: usize| u32::try_from(n).map_err(|_| BadOutline::Garbled);
        let start = narrow(outline.params.len())?;
        // No count is believed: each turn reads at least two octets or fails.
        for _ in 0..self.number()? {
            let len = self.index()?;
            let name = self.span(len)?;
            let len = self.index()?;
            outline.params.push((name, self.span(len)?));
        }
        Ok(start..narrow(outline.params.len())?)
    }

    fn entity(&mut self, index: usize, last_start: u64, outline: &mut Outline) -> Result<Entity, BadOutline> {
        let flags = self.number()?;
        if flags & !ALL_FLAGS != 0 || flags & MULTIPART != 0 && flags & MESSAGE != 0 {
            return Err(BadOutline::Garbled);
        }
        let subtree = index.checked_add(self.index()?).and_then(|end| u32::try_from(end).ok());
        let header_start = last_start + self.number()?;
        let mut entity = Entity::new(header_start);
        entity.subtree_end = subtree.ok_or(BadOutline::Garbled)?;
        entity.body_start = header_start + self.number()?;
        entity.end = entity.body_start + self.number()?;
        entity.lines = self.number()?;
        entity.kind = match flags & (MULTIPART | MESSAGE) {
            0 => Kind::Leaf,
            MULTIPART => Kind::Multipart,
            _ => Kind::Message,
        };
        if entity.end > outline.size {
            return Err(BadOutline::Impossible);
        }
        for at in (0..PART_TEXTS).filter(|at| flags & (1 << at) != 0) {
            let len = self.index()?;
            entity.texts[at] = self.span(len)?;
        }
        if flags & PARAMS != 0 {
            entity.params = self.params(outline)?;
        }
        if flags & DISPOSITION_PARAMS != 0 {
            entity.disposition_params = self.params(outline)?;
        }
        if index == 0 {
            entity.envelope = 0;
        } else if flags & ENVELOPE != 0 {
            entity.envelope = u32::try_from(outline.envelopes.len()).map_err(|_| BadOutline::Garbled)?;
            outline.envelopes.push(self.envelope()?);
        }
        Ok(entity)
    }
}

/// Holds the tree to what the scanner promises: subtrees nest, ranges lie in the parent's body and do not
/// overlap, a multipart has children, an embedded message one that has an envelope.
fn check_tree(entities: &[Entity], size: u64, header_len: u64) -> Result<(), BadOutline> {
    let root = entities.first().ok_or(BadOutline::Impossible)?;
    let is_whole = root.header_start == 0 && root.body_start == header_len && root.end == size;
    if !is_whole || usize::try_from(root.subtree_end) != Ok(entities.len()) {
        return Err(BadOutline::Impossible);
    }
    // Open ancestors: where the subtree ends, where the next child may begin, where the body ends.
    let mut open: Vec<(u32, u64, u64, Kind)> = Vec::new();
    for (index, entity) in (0u32..).zip(entities) {
        while open.last().is_some_and(|parent| parent.0 <= index) {
            open.pop();
        }
        let mut is_embedded = index == 0;
        if let Some((end, free_from, body_end, kind)) = open.last_mut() {
            let fits = entity.subtree_end <= *end
                && entity.header_start >= *free_from
                && entity.end <= *body_end
                && (*kind == Kind::Multipart || entity.subtree_end == *end);
            is_embedded = *kind == Kind::Message;
            *free_from = entity.end;
            if !fits {
                return Err(BadOutline::Impossible);
            }
        }
        let has_children = entity.subtree_end > index + 1;
        let is_childless_rightly = has_children != (entity.kind == Kind::Leaf);
        if entity.subtree_end <= index
            || !is_childless_rightly
            || is_embedded != (entity.envelope != u32::MAX)
        {
            return Err(BadOutline::Impossible);
        }
        if has_children {
            open.push((entity.subtree_end, entity.body_start, entity.end, entity.kind));
        }
    }
    Ok(())
}

fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
