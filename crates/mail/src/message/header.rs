//! Header blocks: fields one by one, found by name, filtered, unfolded. RFC 5322 2.2.
//!
//! Works on bytes as they came, folding kept. A field begins at a line with a name and a colon; a line that
//! is neither that nor a continuation is handed out as a field without a name, so that nothing is lost.
//! The block ends at its empty line or where the bytes end.

use std::borrow::Cow;

/// One field with its folding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// All of it: name, colon, value, line ends.
    pub raw: &'a [u8],
    /// The name as written; empty for a line that is no field.
    pub name: &'a [u8],
    /// What follows the colon, folding and last line end kept.
    pub value: &'a [u8],
}

impl<'a> Field<'a> {
    /// Whether it has this name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value in one line, without white space at its ends.
    pub fn text(&self) -> Cow<'a, [u8]> {
        unfold(self.value)
    }
}

/// The fields of a header block, from the first to the empty line.
pub fn fields(block: &[u8]) -> Fields<'_> {
    Fields { rest: block }
}

/// The first field of that name.
pub fn find<'a>(block: &'a [u8], name: &str) -> Option<Field<'a>> {
    fields(block).find(|f| f.is(name))
}

/// Which fields [`filter`] keeps. RFC 9051 6.4.5.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// HEADER.FIELDS: those that are named.
    Named,
    /// HEADER.FIELDS.NOT: all others.
    Others,
}

/// The fields that are (or are not) among `names`, as written and in their order, and an empty line.
/// RFC 9051 6.4.5.1: the empty line is always included.
pub fn filter<N: AsRef<[u8]>>(block: &[u8], names: &[N], keep: Keep) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields(block) {
        let named = names.iter().any(|n| n.as_ref().eq_ignore_ascii_case(field.name));
        if named == (keep == Keep::Named) {
            out.extend_from_slice(field.raw);
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Takes line ends out of a value and white space from its ends. RFC 5322 2.2.3: unfolding removes the CRLF
/// before white space and nothing else; a NUL, which no text may hold, goes too.
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    if memchr::memchr3(b'\r', b'\n', 0, value).is_none() {
        return Cow::Borrowed(value);
    }
    Cow::Owned(value.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n' | 0)).collect())
}

/// Walks over a header block.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let first = line(self.rest);
        if is_empty_line(first) {
            self.rest = &[];
            return None;
        }
        let mut len = first.len();
        while let Some(b' ' | b'\t') = self.rest.get(len) {
            len += line(&self.rest[len..]).len();
        }
        let (raw, rest) = self.rest.split_at(len);
        self.rest = rest;
        let (name, value_at) = split_name(first).unwrap_or((&[], 0));
        Some(Field { raw, name, value: &raw[value_at..] })
    }
}

/// Name and start of the value of a line that begins a field. RFC 5322 2.2: a name is printable ASCII
/// without colon or space; 4.5 (obsolete): white space may stand before the colon, and only there.
pub(super) fn split_name(line: &[u8]) -> Option<(&[u8], usize)> {
    let colon = memchr::memchr(b':', line)?;
    let name = line[..colon].trim_ascii_end();
    let printable = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    printable.then_some((name, colon + 1))
}

/// Whether a line has nothing but its end, or is nothing.
pub(super) fn is_empty_line(line: &[u8]) -> bool {
    matches!(line, b"" | b"\n" | b"\r\n")
}

/// The first line with its end.
fn line(bytes: &[u8]) -> &[u8] {
    memchr::memchr(b'\n', bytes).map_or(bytes, |end| &bytes[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &[u8] =
        b"From: a@b\r\nSubject: one\r\n two\r\n\tthree\r\n>From mbox\r\nTO : x@y\r\n\r\nBody: no\r\n";

    #[test]
    fn fields_keep_their_folding_and_stop_at_the_empty_line() {
        let names: Vec<_> = fields(BLOCK).map(|f| String::from_utf8_lossy(f.name).into_owned()).collect();
        assert_eq!(names, ["From", "Subject", "", "TO"]);
        let raw: Vec<u8> = fields(BLOCK).flat_map(|f| f.raw.to_vec()).collect();
        assert_eq!(raw, BLOCK[..BLOCK.len() - 12]);
        assert_eq!(&*find(BLOCK, "subject").unwrap().text(), b"one two\tthree");
        assert_eq!(&*find(BLOCK, "to").unwrap().text(), b"x@y");
    }

    #[test]
    fn a_name_with_a_space_inside_is_no_field() {
        assert_eq!(split_name(b"Sub ject: x"), None);
        assert_eq!(split_name(b": x"), None);
        assert_eq!(split_name(b"Subject \t: x"), Some((&b"Subject"[..], 10)));
    }

    #[test]
    fn filters_keep_what_is_asked_and_an_empty_line() {
        assert_eq!(filter(BLOCK, &["to", "FROM"], Keep::Named), b"From: a@b\r\nTO : x@y\r\n\r\n");
        assert_eq!(filter(BLOCK, &["subject"], Keep::Others), b"From: a@b\r\n>From mbox\r\nTO : x@y\r\n\r\n");
        assert_eq!(filter(b"", &["x"], Keep::Named), b"\r\n");
    }

    #[test]
    fn unfolding_takes_out_line_ends_only() {
        assert_eq!(&*unfold(b"  a\r\n  b\0c \r\n"), b"a  bc");
        assert!(matches!(unfold(b" a b \r\n"), Cow::Borrowed(b"a b")));
    }
}
