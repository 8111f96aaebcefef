//! BODY and BODYSTRUCTURE. RFC 9051 7.5.2.

use super::{Put, envelope};
use bytes::BytesMut;
use mail::message::{Kind, Part};

/// Deepest part that is shown with its parts; outlines are not made deeper.
const MAX_DEPTH: usize = 128;

/// Writes the structure without extension data.
pub fn body(out: &mut BytesMut, part: Part<'_>) {
    put(out, part, Form::Basic, MAX_DEPTH);
}

/// Writes the structure with extension data.
pub fn body_structure(out: &mut BytesMut, part: Part<'_>) {
    put(out, part, Form::Extended, MAX_DEPTH);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Basic,
    Extended,
}

fn put(out: &mut BytesMut, part: Part<'_>, form: Form, depth: usize) {
    out.raw("(");
    match (part.kind(), depth.checked_sub(1)) {
        (Kind::Multipart, Some(depth)) => multipart(out, part, form, depth),
        (kind, depth) => {
            single(out, part);
            if let (Kind::Message, Some(inner), Some(depth)) = (kind, part.message(), depth) {
                // ITS 17563: the envelope is the embedded message's, its structure that of what it holds.
                out.raw(" ");
                envelope(out, &inner.envelope().unwrap_or_default());
                out.raw(" ");
                put(out, inner, form, depth);
                out.raw(" ").number(part.lines());
            } else if part.media_type() == b"text" {
                out.raw(" ").number(part.lines());
            }
            if form == Form::Extended {
                out.raw(" ").nstring(part.md5());
                extension(out, part);
            }
        }
    }
    out.raw(")");
}

fn multipart(out: &mut BytesMut, part: Part<'_>, form: Form, depth: usize) {
    for child in part.children() {
        put(out, child, form, depth);
    }
    out.raw(" ");
    upper(out, part.subtype());
    if form == Form::Extended {
        out.raw(" ");
        parameters(out, part.params());
        extension(out, part);
    }
}

/// Type, subtype, parameters, id, description, encoding, size.
fn single(out: &mut BytesMut, part: Part<'_>) {
    // What looks like a container and was not taken apart (too deep, no boundary) is content: a client would
    // look for parts or an envelope.
    let container = matches!(part.media_type(), b"multipart" | b"message") && part.kind() == Kind::Leaf;
    let opaque = container && (part.media_type() == b"multipart" || is_message(part.subtype()));
    let (kind, subtype) = match opaque {
        true => (&b"application"[..], &b"octet-stream"[..]),
        false => (part.media_type(), part.subtype()),
    };
    upper(out, kind);
    out.raw(" ");
    upper(out, subtype);
    out.raw(" ");
    parameters(out, part.params());
    out.raw(" ").nstring(part.content_id()).raw(" ").nstring(part.description()).raw(" ");
    upper(out, part.encoding());
    let range = part.body();
    out.raw(" ").number(range.end.saturating_sub(range.start));
}

fn is_message(subtype: &[u8]) -> bool {
    matches!(subtype, b"rfc822" | b"global")
}

/// Disposition, languages, location.
fn extension(out: &mut BytesMut, part: Part<'_>) {
    match part.disposition() {
        // ITS 23266: type and parameters in one list.
        Some(disposition) => {
            out.raw(" (").string(disposition).raw(" ");
            parameters(out, part.disposition_params());
            out.raw(") ");
        }
        None => _ = out.raw(" NIL "),
    }
    let mut languages = part.languages().peekable();
    if languages.peek().is_none() {
        out.raw("NIL");
    } else {
        let mut gap = "(";
        for language in languages {
            out.raw(gap).string(language);
            gap = " ";
        }
        out.raw(")");
    }
    out.raw(" ").nstring(part.location());
}

fn parameters<'a>(out: &mut BytesMut, params: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
    let mut gap = "(";
    for (name, value) in params {
        out.raw(gap).string(name).raw(" ").string(value);
        gap = " ";
    }
    out.raw(if gap == " " { ")" } else { "NIL" });
}

/// Types are stored in lower case and customarily shown in upper case; either means the same.
fn upper(out: &mut BytesMut, word: &[u8]) {
    let at = out.len();
    out.string(word);
    if let Some(written) = out.get_mut(at..) {
        written.make_ascii_uppercase();
    }
}
