//! A record as LDIF. RFC 2849: records are parted by empty lines, a line that begins with a blank goes on with the one before, one
//! that begins with `#` is a comment, and a value behind `::` is base64.

use super::{Field, MAX_FIELDS, MAX_RECORD, Read};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The lines of a record so far.
#[derive(Default)]
pub(super) struct Held {
    /// Where it begins.
    first: u64,
    last: u64,
    text: String,
    is_too_long: bool,
}

impl Held {
    pub(super) fn line(&mut self, number: u64, line: String) -> Option<Read> {
        if line.is_empty() {
            return self.end(number - 1);
        }
        if self.text.is_empty() {
            self.first = number;
        }
        self.last = number;
        // What is too long is not kept, and not loaded either.
        self.is_too_long |= self.text.len() + line.len() > MAX_RECORD;
        if !self.is_too_long {
            self.text.push_str(&line);
            self.text.push('\n');
        }
        None
    }

    pub(super) fn end(&mut self, last: u64) -> Option<Read> {
        let Self { first, text, is_too_long, .. } = std::mem::take(self);
        let fields = match is_too_long {
            true => Err(format!("longer than {MAX_RECORD} bytes")),
            false => fields(&text),
        };
        let is_nothing = text.is_empty() || fields.as_ref().is_ok_and(Vec::is_empty);
        (!is_nothing).then_some(Read { line: first, last, text, fields })
    }
}

/// The fields of a record but its name, which its fields say as well.
fn fields(text: &str) -> Result<Vec<Field>, String> {
    let mut lines: Vec<String> = Vec::new();
    let mut in_comment = false;
    for line in text.lines() {
        match line.strip_prefix(' ') {
            Some(_) if in_comment => {}
            Some(more) => match lines.last_mut() {
                Some(before) => before.push_str(more),
                None => return Err("it begins with a blank".into()),
            },
            None => {
                in_comment = line.starts_with('#');
                if !in_comment {
                    lines.push(line.to_owned());
                }
            }
        }
    }
    if lines.len() > MAX_FIELDS {
        return Err(format!("more than {MAX_FIELDS} fields"));
    }
    let fields = lines.iter().map(|line| field(line)).collect::<Result<Vec<_>, _>>()?;
    let is_change = |(name, kind): &&Field| name.eq_ignore_ascii_case("changetype") && kind != "add";
    if let Some((_, kind)) = fields.iter().find(is_change) {
        return Err(format!("changetype: {kind:?}: records are added, and with -update changed"));
    }
    let is_own =
        |(name, _): &Field| ["dn", "version", "changetype"].iter().all(|n| !name.eq_ignore_ascii_case(n));
    Ok(fields.into_iter().filter(is_own).collect())
}

fn field(line: &str) -> Result<Field, String> {
    let (name, value) = line.split_once(':').ok_or_else(|| format!("{line:?} is no field"))?;
    let value = match value.strip_prefix(':') {
        Some(coded) => {
            let bytes =
                STANDARD.decode(coded.trim()).map_err(|error| format!("{name}: no base64: {error}"))?;
            String::from_utf8(bytes).map_err(|_| format!("{name}: no UTF-8"))?
        }
        None if value.starts_with('<') => return Err(format!("{name}: values in other files are not read")),
        None => value.trim_start_matches(' ').to_owned(),
    };
    Ok((name.to_owned(), value))
}

pub(super) fn write(name: &str, fields: &[Field]) -> String {
    let mut out = String::new();
    put(&mut out, "dn", name);
    fields.iter().for_each(|(name, value)| put(&mut out, name, value));
    out.push('\n');
    out
}

fn put(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    if is_safe(value) {
        out.push_str(": ");
        out.push_str(value);
    } else {
        out.push_str(":: ");
        STANDARD.encode_string(value, out);
    }
    out.push('\n');
}

/// RFC 2849, SAFE-STRING; a blank at the end is one that editors take away.
fn is_safe(value: &str) -> bool {
    let is_safe = |byte: u8| byte.is_ascii() && !matches!(byte, 0 | b'\r' | b'\n');
    value.bytes().all(is_safe) && !value.starts_with([' ', ':', '<']) && !value.ends_with(' ')
}
