//! The text of one stored message, as far as a search asks for it.
//!
//! Headers are looked at decoded; of the body all parts of type `text`, without their transfer encoding and charset.
//! Other content has no text. Memory: a header of at most [`MAX_HEADER`] and a window of the body.

use bytes::Bytes;
use mail::message::{Kind, Outline, header};
use mail::search::{Needle, Place};
use mail::text::charset::Charset;
use mail::text::transfer::{BodyText, Encoding};
use mail::text::words;
use std::cell::{OnceCell, RefCell};
use std::ops::{ControlFlow, Range};
use storage::shard::{Blob, ShardError};
use storage::text::Grams;

/// Bytes of a message's header that are searched.
const MAX_HEADER: u64 = 1 << 20;
/// Bytes of a part that are decoded at a time.
const WINDOW: u64 = 256 << 10;
/// Bytes of a window that are seen again with the next: two characters at least, so that no gram is cut.
const GRAM_KEEP: usize = 16;

/// See the module.
pub(super) struct Text {
    blob: Blob,
    outline: Outline,
    header: OnceCell<Bytes>,
    failed: RefCell<Option<ShardError>>,
}

impl Text {
    pub(super) fn new(blob: Blob) -> Result<Self, ShardError> {
        let outline =
            Outline::decode(&blob.meta()?).map_err(|e| ShardError::Corrupt(e.to_string().into()))?;
        Ok(Self { blob, outline, header: OnceCell::new(), failed: RefCell::default() })
    }

    /// Whether the text occurs there. Where it cannot be read: no, and [`Text::failure`] tells.
    pub(super) fn has(&self, place: &Place, needle: &Needle) -> bool {
        let found = match place {
            Place::Header(name) => self.in_field(name, needle),
            Place::Body => self.in_body(needle),
            Place::Anywhere => {
                self.in_header(needle).and_then(|yes| if yes { Ok(true) } else { self.in_body(needle) })
            }
        };
        found.unwrap_or_else(|error| {
            self.failed.replace(Some(error));
            false
        })
    }

    /// What could not be read.
    pub(super) fn failure(&self) -> Result<(), ShardError> {
        self.failed.take().map_or(Ok(()), Err)
    }

    fn header(&self) -> Result<&Bytes, ShardError> {
        if let Some(header) = self.header.get() {
            return Ok(header);
        }
        let read = self.blob.body(0..self.outline.header_len().min(MAX_HEADER))?;
        Ok(self.header.get_or_init(|| read))
    }

    fn in_field(&self, name: &str, needle: &Needle) -> Result<bool, ShardError> {
        let block = self.header()?;
        let mut fields = header::fields(block).filter(|f| f.is(name));
        Ok(fields.any(|field| needle.occurs_in(&words::decode(&field.text()))))
    }

    fn in_header(&self, needle: &Needle) -> Result<bool, ShardError> {
        let block = self.header()?;
        Ok(header::fields(block).any(|field| needle.occurs_in(&field_text(&field))))
    }

    /// RFC 9051 6.4.4 BODY: the header of the message does not count. Those of embedded messages are its text.
    fn in_body(&self, needle: &Needle) -> Result<bool, ShardError> {
        // A text that crosses from one window into the next is found with the end of the last one kept. Folding may
        // make a text longer or shorter, by no more than this factor.
        let keep = needle.as_str().len() * 4;
        let mut found = false;
        self.each_window(keep, &mut |window| {
            found = needle.occurs_in(window);
            if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(found)
    }

    /// The grams of all that a search can look at.
    pub(super) fn grams(&self) -> Result<Grams, ShardError> {
        let mut grams = Grams::default();
        for field in header::fields(self.header()?) {
            grams.add(&field_text(&field));
        }
        self.each_window(GRAM_KEEP, &mut |window| {
            grams.add(window);
            if grams.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(grams)
    }

    /// The text of the body in pieces, each beginning with the last `keep` bytes of the one before it in the same part.
    fn each_window(
        &self,
        keep: usize,
        each: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<(), ShardError> {
        let mut parts = vec![self.outline.root()];
        while let Some(part) = parts.pop() {
            let piece = match part.kind() {
                Kind::Leaf if part.media_type() == b"text" => {
                    let charset = part.param("charset").map_or(Charset::Guess, Charset::of);
                    Some((part.body(), BodyText::new(Encoding::of(part.encoding()), charset)))
                }
                Kind::Leaf => None,
                Kind::Message => {
                    let inner = part.message();
                    parts.extend(inner);
                    inner.map(|i| (i.header(), BodyText::new(Encoding::of(b"8bit"), Charset::Guess)))
                }
                Kind::Multipart => {
                    parts.extend(part.children());
                    None
                }
            };
            if let Some((range, text)) = piece
                && self.windows_of(range, text, keep, each)?.is_break()
            {
                return Ok(());
            }
        }
        Ok(())
    }

    fn windows_of(
        &self,
        range: Range<u64>,
        mut text: BodyText,
        keep: usize,
        each: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ShardError> {
        let (mut at, mut window) = (range.start, String::new());
        while at < range.end {
            let piece = self.blob.body(at..range.end.min(at + WINDOW))?;
            if piece.is_empty() {
                break;
            }
            at += piece.len() as u64;
            text.push(&piece, &mut window);
            if each(&window).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let cut = (0..=window.len().saturating_sub(keep)).rev().find(|&n| window.is_char_boundary(n));
            window.drain(..cut.unwrap_or(0));
        }
        text.finish(&mut window);
        Ok(each(&window))
    }
}

/// Name and decoded value of a header field, as a search of all headers looks at it.
fn field_text(field: &header::Field<'_>) -> String {
    format!("{}: {}", String::from_utf8_lossy(field.name), words::decode(&field.text()))
}
