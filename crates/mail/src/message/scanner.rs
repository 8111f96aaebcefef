//! Reads a message as it passes and notes where everything is.
//!
//! Promises: one pass, chunks cut anywhere give the same [`Outline`], memory bounded by [`Limits`] however
//! the message is made, no failure. A line ends with LF, a CR before it belongs to the end; a lone CR and a
//! NUL are content. A header ends at its empty line (RFC 5322 2.1) or at a boundary, not at a line that
//! looks strange. Does not decode anything and does not judge: a boundary line is what RFC 2046 5.1.1 says,
//! the whole line, white space at its end allowed.
//!
//! Past a limit the rest of the message is content of the part that is open: never an error.

use super::fields::{self, FieldId, MAX_BOUNDARY, Params};
use super::header;
use super::outline::{Entity, Kind, Outline, Span, text_at};

/// What a scan may cost. The defaults keep an outline under a megabyte for the worst message.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Deepest nesting of parts, the message itself counted; deeper ones are content of the last.
    pub depth: usize,
    /// Most parts, the message itself counted; later ones are content of their multipart.
    pub parts: usize,
    /// Octets kept of one header field; an address list is cut at a comma.
    pub field: usize,
    /// Octets of text kept for all fields and parameters together; what no longer fits counts as absent.
    pub text: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 100, parts: 10_000, field: 64 << 10, text: 128 << 10 }
    }
}

/// Longest line that can be a boundary: dashes, white space and the line end counted.
const MAX_BOUNDARY_LINE: usize = MAX_BOUNDARY + 64;
/// How far into a line the colon of a field that matters can stand.
const MAX_NAME: usize = 256;

/// Every arena begins with these, so that a default costs no text.
const SEED: &[u8] = b"textplainapplicationoctet-streammessagerfc822charsetus-ascii";

/// Type and subtype in [`SEED`].
struct Media(Span, Span);

const fn seed(start: u32, len: u32) -> Span {
    Span { start, len }
}

/// RFC 2045 5.2: what a part is that does not say.
const TEXT_PLAIN: Media = Media(seed(0, 4), seed(4, 5));
/// RFC 2046 4.5.1: what nobody looks into.
const OCTET_STREAM: Media = Media(seed(9, 11), seed(20, 12));
/// RFC 2046 5.1.5: what a part of a digest is that does not say.
const MESSAGE: Media = Media(seed(32, 7), seed(39, 6));
/// The parameter that goes with [`TEXT_PLAIN`] as a default.
const US_ASCII: (Span, Span) = (seed(45, 7), seed(52, 8));

/// What the lines are, now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Header,
    Body,
}

/// A part that is not closed yet.
#[derive(Debug)]
struct Frame {
    entity: usize,
    /// What its Content-Type makes of it once the header ends.
    becomes: Kind,
    /// The boundary parameter, until the header ends.
    announced: Option<Box<[u8]>>,
    /// Set while boundary lines of it are looked for.
    boundary: Option<Box<[u8]>>,
    /// Line ends before its body.
    lines_before: u64,
    /// Parts that do not say what they are are messages.
    is_digest: bool,
}

/// The incremental scanner.
#[derive(Debug)]
pub struct Scanner {
    limits: Limits,
    mode: Mode,
    /// Where the current line begins.
    pos: u64,
    /// Line ends before it.
    lines: u64,
    /// Octets of the line end before it.
    last_end: u64,
    /// First octets of a line that came in pieces, and how long it is so far.
    carry: Vec<u8>,
    carry_len: u64,
    carry_last: u8,
    /// Open parts from the message down.
    stack: Vec<Frame>,
    /// How many of them look for a boundary.
    boundaries: usize,
    /// The field whose lines are being collected.
    field: Option<FieldId>,
    value: Vec<u8>,
    /// Fields that this header has had.
    seen: u32,
    outline: Outline,
}

impl Scanner {
    /// A scanner before the first octet.
    pub fn new(limits: Limits) -> Self {
        let mut scanner = Self {
            limits,
            mode: Mode::Header,
            pos: 0,
            lines: 0,
            last_end: 0,
            carry: Vec::new(),
            carry_len: 0,
            carry_last: 0,
            stack: Vec::with_capacity(4),
            boundaries: 0,
            field: None,
            value: Vec::new(),
            seen: 0,
            outline: Outline {
                size: 0,
                entities: Vec::with_capacity(4),
                envelopes: Vec::with_capacity(1),
                params: Vec::with_capacity(4),
                text: Vec::with_capacity(1024),
            },
        };
        scanner.limits.text = limits.text.min(1 << 30);
        scanner.outline.text.extend_from_slice(SEED);
        scanner.open_message(0);
        scanner
    }

    /// Takes the next octets.
    pub fn push(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while !rest.is_empty() {
            if self.mode == Mode::Body && self.carry_len == 0 {
                rest = self.skip_plain_lines(rest);
            }
            let end = memchr::memchr(b'\n', rest);
            let (piece, after) = rest.split_at(end.map_or(rest.len(), |at| at + 1));
            rest = after;
            match end {
                Some(_) if self.carry_len == 0 => self.line(piece, to_u64(piece.len()), end_len(piece, 0)),
                Some(_) => self.finish_carried(piece),
                None => self.carry(piece),
            }
        }
    }

    /// The message is complete.
    pub fn finish(mut self) -> Outline {
        if self.carry_len > 0 {
            let carry = std::mem::take(&mut self.carry);
            self.line(&carry, self.carry_len, 0);
        }
        self.cut_header();
        // No boundary follows, so the last line end belongs to the content.
        self.last_end = 0;
        self.close_from(0);
        self.outline.size = self.pos;
        self.outline
    }

    /// Passes over the lines of a body that cannot be boundaries: all that end in this chunk up to the
    /// first that begins with a hyphen.
    fn skip_plain_lines<'c>(&mut self, chunk: &'c [u8]) -> &'c [u8] {
        let (mut passed, mut lines) = (0, 0);
        if self.boundaries == 0 {
            passed = memchr::memrchr(b'\n', chunk).map_or(0, |at| at + 1);
            lines = memchr::memchr_iter(b'\n', &chunk[..passed]).count();
        } else {
            for end in memchr::memchr_iter(b'\n', chunk) {
                if chunk[passed] == b'-' {
                    break;
                }
                passed = end + 1;
                lines += 1;
            }
        }
        let (plain, rest) = chunk.split_at(passed);
        if !plain.is_empty() {
            self.pos += to_u64(passed);
            self.lines += to_u64(lines);
            self.last_end = end_len(plain, 0);
        }
        rest
    }

    fn carry(&mut self, piece: &[u8]) {
        let room = self.kept_of_line().saturating_sub(self.carry.len());
        self.carry.extend_from_slice(&piece[..piece.len().min(room)]);
        self.carry_len += to_u64(piece.len());
        self.carry_last = piece.last().copied().unwrap_or(self.carry_last);
    }

    fn finish_carried(&mut self, piece: &[u8]) {
        let end = end_len(piece, self.carry_last);
        self.carry(piece);
        let mut carry = std::mem::take(&mut self.carry);
        self.line(&carry, self.carry_len, end);
        carry.clear();
        self.carry = carry;
        self.carry_len = 0;
    }

    /// How much of a line is looked at.
    fn kept_of_line(&self) -> usize {
        match self.mode {
            Mode::Header => self.limits.field.saturating_add(MAX_NAME).max(MAX_BOUNDARY_LINE),
            Mode::Body => MAX_BOUNDARY_LINE,
        }
    }

    /// One line: its first octets, its length, and the length of its end (0 for the last of a message).
    fn line(&mut self, line: &[u8], len: u64, end: u64) {
        let line = &line[..line.len().min(self.kept_of_line())];
        match self.find_boundary(line, len) {
            Some((frame, closes)) => self.boundary_line(frame, closes, self.pos + len),
            None if self.mode == Mode::Header => self.header_line(line, len, end),
            None => {}
        }
        self.pos += len;
        self.lines += u64::from(end > 0);
        self.last_end = end;
    }

    /// The innermost open multipart whose boundary this line is, and whether it closes it.
    fn find_boundary(&self, line: &[u8], len: u64) -> Option<(usize, bool)> {
        if self.boundaries == 0 || len > to_u64(MAX_BOUNDARY_LINE) {
            return None;
        }
        let text = line.strip_prefix(b"--")?.trim_ascii_end();
        let closing = text.strip_suffix(b"--");
        self.stack.iter().enumerate().rev().find_map(|(at, frame)| {
            let boundary = frame.boundary.as_deref()?;
            if text == boundary {
                return Some((at, false));
            }
            (closing == Some(boundary)).then_some((at, true))
        })
    }

    /// Ends all parts inside the multipart `frame`; begins its next one after the line, if there is one and
    /// room for it.
    fn boundary_line(&mut self, frame: usize, closes: bool, after: u64) {
        self.cut_header();
        self.close_from(frame + 1);
        if closes || self.outline.entities.len() >= self.limits.parts {
            // What follows is the epilogue, or more parts than we count.
            self.stack[frame].boundary = None;
            self.boundaries -= 1;
            self.mode = Mode::Body;
        } else {
            self.open(after);
        }
    }

    fn header_line(&mut self, line: &[u8], len: u64, end: u64) {
        if end == len {
            self.end_field();
            self.end_header(self.pos + len);
            return;
        }
        let content = without_end(line);
        if matches!(line.first(), Some(b' ' | b'\t')) {
            if self.field.is_some() {
                self.collect(content);
            }
            return;
        }
        self.end_field();
        let Some((name, value_at)) = header::split_name(&content[..content.len().min(MAX_NAME)]) else {
            return;
        };
        let is_message = self.current().envelope != u32::MAX;
        let id = if is_message { fields::message_field(name) } else { fields::part_field(name) };
        self.field = id.filter(|id| self.seen & id.bit() == 0);
        if let Some(id) = self.field {
            self.seen |= id.bit();
            self.collect(&content[value_at..]);
        }
    }

    fn collect(&mut self, content: &[u8]) {
        let room = self.limits.field.saturating_sub(self.value.len());
        self.value.extend_from_slice(&content[..content.len().min(room)]);
    }

    /// The field that was being collected is complete.
    fn end_field(&mut self) {
        let Some(id) = self.field.take() else { return };
        let mut value = std::mem::take(&mut self.value);
        if value.len() >= self.limits.field && id.is_address_list() {
            value.truncate(memchr::memrchr(b',', &value).unwrap_or(value.len()));
        }
        self.keep_field(id, &header::unfold(&value));
        value.clear();
        self.value = value;
    }

    fn keep_field(&mut self, id: FieldId, value: &[u8]) {
        match id {
            FieldId::Envelope(at) => {
                let span = self.put(value);
                if let Some(envelope) = self.outline.envelopes.last_mut() {
                    envelope[usize::from(at)] = span;
                }
            }
            FieldId::ContentType => self.keep_content_type(value),
            FieldId::Encoding => {
                if let Some((word, _)) = fields::word_and_params(value) {
                    self.current_mut().texts[text_at::ENCODING] = self.put_lower(word);
                }
            }
            FieldId::Disposition => {
                if let Some((word, params)) = fields::word_and_params(value) {
                    self.current_mut().texts[text_at::DISPOSITION] = self.put_lower(word);
                    self.current_mut().disposition_params = self.put_params(params);
                }
            }
            FieldId::Plain(_) if value.is_empty() => {}
            FieldId::Plain(at) => self.current_mut().texts[usize::from(at)] = self.put(value),
        }
    }

    fn keep_content_type(&mut self, value: &[u8]) {
        let Some((kind, subtype, params)) = fields::media_type(value) else { return };
        let media = Media(self.put_lower(kind), self.put_lower(subtype));
        if !media.0.is_some() || !media.1.is_some() {
            self.set_media(&OCTET_STREAM);
            return;
        }
        self.set_media(&media);
        let boundary = params.clone().find(|(name, _)| name.eq_ignore_ascii_case(b"boundary"));
        self.current_mut().params = self.put_params(params);
        let Some(frame) = self.stack.last_mut() else { return };
        if kind.eq_ignore_ascii_case(b"multipart") {
            frame.becomes = Kind::Multipart;
            frame.is_digest = subtype.eq_ignore_ascii_case(b"digest");
            let text = boundary.map(|(_, value)| value.trim_ascii_end().to_vec()).unwrap_or_default();
            frame.announced = (1..=MAX_BOUNDARY).contains(&text.len()).then(|| text.into());
        } else if kind.eq_ignore_ascii_case(b"message") && is_message_subtype(subtype) {
            frame.becomes = Kind::Message;
        }
    }

    /// The empty line has come: from here on it is body, or the header of the message inside.
    fn end_header(&mut self, body_start: u64) {
        self.current_mut().body_start = body_start;
        let is_digest = self.stack.iter().rev().nth(1).is_some_and(|parent| parent.is_digest);
        let has_room = self.stack.len() < self.limits.depth;
        let lines_before = self.lines + 1;
        let is_typed = self.current().texts[text_at::TYPE].is_some();
        self.mode = Mode::Body;
        let Some(frame) = self.stack.last_mut() else { return };
        frame.lines_before = lines_before;
        let becomes = if is_digest && !is_typed { Kind::Message } else { frame.becomes };
        if becomes == Kind::Multipart && has_room {
            frame.boundary = frame.announced.take();
            self.boundaries += usize::from(frame.boundary.is_some());
            self.current_mut().kind = Kind::Multipart;
        } else if becomes == Kind::Message && has_room && self.outline.entities.len() < self.limits.parts {
            if !is_typed {
                self.set_media(&MESSAGE);
            }
            self.current_mut().kind = Kind::Message;
            self.open_message(body_start);
        } else if becomes != Kind::Leaf {
            self.set_media(&OCTET_STREAM);
        } else if !is_typed {
            self.set_default_media();
        }
    }

    /// A boundary or the end of the message has come before the empty line: there is no body.
    fn cut_header(&mut self) {
        self.end_field();
        let becomes = self.stack.last().map_or(Kind::Leaf, |frame| frame.becomes);
        match becomes {
            _ if self.mode == Mode::Body => {}
            Kind::Multipart => self.set_media(&TEXT_PLAIN),
            Kind::Message => self.set_media(&OCTET_STREAM),
            Kind::Leaf if self.current().texts[text_at::TYPE].is_some() => {}
            Kind::Leaf => self.set_default_media(),
        }
    }

    fn set_default_media(&mut self) {
        self.set_media(&TEXT_PLAIN);
        self.outline.params.push(US_ASCII);
        let end = to_u32(self.outline.params.len());
        self.current_mut().params = end - 1..end;
    }

    fn set_media(&mut self, media: &Media) {
        self.current_mut().set_media(media);
    }

    /// A message begins: an entity with an envelope.
    fn open_message(&mut self, start: u64) {
        let envelope = to_u32(self.outline.envelopes.len());
        self.outline.envelopes.push([Span::NONE; super::outline::ENVELOPE_FIELDS]);
        self.open(start);
        self.current_mut().envelope = envelope;
    }

    fn open(&mut self, start: u64) {
        let entity = self.outline.entities.len();
        self.outline.entities.push(Entity::new(start));
        let lines_before = self.lines;
        self.stack.push(Frame {
            entity,
            becomes: Kind::Leaf,
            announced: None,
            boundary: None,
            lines_before,
            is_digest: false,
        });
        self.mode = Mode::Header;
        self.seen = 0;
    }

    /// Closes the open parts from `first` inwards where the current line begins; the line end before it
    /// belongs to the boundary.
    fn close_from(&mut self, first: usize) {
        let content_end = self.pos - self.last_end;
        let innermost = self.stack.len().saturating_sub(1);
        let in_header = self.mode == Mode::Header;
        let (mut ceiling, all) = (u64::MAX, self.outline.entities.len());
        for (at, frame) in self.stack.drain(first..).enumerate() {
            let entity = &mut self.outline.entities[frame.entity];
            if in_header && first + at == innermost {
                entity.body_start = content_end.max(entity.header_start);
            }
            // An empty part may end before the boundary's own line end, never after its parent.
            entity.end = content_end.max(entity.body_start).min(ceiling);
            entity.body_start = entity.body_start.min(ceiling);
            entity.header_start = entity.header_start.min(ceiling);
            ceiling = entity.end;
            let all_lines = self.lines - u64::from(self.last_end > 0 && entity.end == content_end);
            let is_empty = entity.end == entity.body_start;
            entity.lines = if is_empty { 0 } else { all_lines.saturating_sub(frame.lines_before) };
            entity.subtree_end = to_u32(all);
            if entity.kind == Kind::Multipart && all == frame.entity + 1 {
                // RFC 9051 has no form for a multipart without parts; readers show such content as text.
                entity.kind = Kind::Leaf;
                entity.set_media(if all >= self.limits.parts { &OCTET_STREAM } else { &TEXT_PLAIN });
            }
            self.boundaries -= usize::from(frame.boundary.is_some());
        }
    }

    fn current(&self) -> &Entity {
        // Between lines the message itself is always open.
        &self.outline.entities[self.stack.last().map_or(0, |frame| frame.entity)]
    }

    fn current_mut(&mut self) -> &mut Entity {
        let at = self.stack.last().map_or(0, |frame| frame.entity);
        &mut self.outline.entities[at]
    }

    /// Keeps a text, if there is room.
    fn put(&mut self, text: &[u8]) -> Span {
        let arena = &mut self.outline.text;
        let start = arena.len();
        if start + text.len() > self.limits.text {
            return Span::NONE;
        }
        arena.extend_from_slice(text);
        Span { start: to_u32(start), len: to_u32(text.len()) }
    }

    fn put_lower(&mut self, text: &[u8]) -> Span {
        let span = self.put(text);
        if span.is_some() {
            let start = self.outline.text.len() - text.len();
            self.outline.text[start..].make_ascii_lowercase();
        }
        span
    }

    fn put_params(&mut self, params: Params<'_>) -> std::ops::Range<u32> {
        let start = to_u32(self.outline.params.len());
        for (name, value) in params {
            let pair = (self.put_lower(name), self.put(&value));
            if pair.0.is_some() && pair.1.is_some() {
                self.outline.params.push(pair);
            }
        }
        start..to_u32(self.outline.params.len())
    }
}

impl Entity {
    fn set_media(&mut self, media: &Media) {
        self.params = 0..0;
        self.texts[text_at::TYPE] = media.0;
        self.texts[text_at::SUBTYPE] = media.1;
    }
}

/// RFC 2046 5.2.1, RFC 6532 3.7.
fn is_message_subtype(subtype: &[u8]) -> bool {
    subtype.eq_ignore_ascii_case(b"rfc822") || subtype.eq_ignore_ascii_case(b"global")
}

/// Octets of the line end at the end of `line`; `before` is what came before it.
fn end_len(line: &[u8], before: u8) -> u64 {
    match line {
        [.., b'\r', b'\n'] => 2,
        [b'\n'] if before == b'\r' => 2,
        _ => 1,
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Counts of entities, parameters and kept octets are limited far below 2^32.
fn to_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
