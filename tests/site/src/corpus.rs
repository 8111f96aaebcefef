//! The messages of the real corpus, made ready to be sent, and what must come back.

use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// Names the folder of the corpus.
const CORPUS: &str = "INTERMAIL_CORPUS";
/// Fields that the site may add above a message, and nothing else.
const TRACE_FIELDS: &[&str] = &["return-path", "received", "delivered-to", "authentication-results"];

/// The files of the corpus in a fixed order; `None` where this machine has none.
///
/// # Errors
/// Where the folder cannot be read or holds something else.
pub fn files() -> Result<Option<Vec<PathBuf>>> {
    let Some(folder) = std::env::var_os(CORPUS) else { return Ok(None) };
    let mut found = Vec::new();
    for group in fs::read_dir(&folder).context("the corpus cannot be read")? {
        let group = group?.path();
        if group.is_dir() {
            let files = fs::read_dir(group)?.map(|e| Ok(e?.path())).collect::<Result<Vec<_>>>()?;
            found.extend(files.into_iter().filter(|f| f.extension().is_some_and(|e| e == "txt")));
        }
    }
    found.sort();
    ensure!(found.len() > 6_000, "{} messages: is {CORPUS} the corpus?", found.len());
    Ok(Some(found))
}

/// A message as a mail program would send it: without the mailbox file's `From ` line, every end of line
/// (also a bare CR, which no mail may hold) made CRLF, and one at the end.
///
/// # Errors
/// Where it cannot be read.
pub fn message(file: &Path) -> Result<Vec<u8>> {
    Ok(made_ready(&fs::read(file)?))
}

fn made_ready(raw: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(raw.len() + raw.len() / 30);
    let body = match raw.starts_with(b"From ") {
        true => raw.iter().position(|b| *b == b'\n').map_or(&raw[raw.len()..], |at| &raw[at + 1..]),
        false => raw,
    };
    let mut before = 0;
    for &byte in body {
        match byte {
            b'\n' if before == b'\r' => {}
            b'\n' | b'\r' => message.extend_from_slice(b"\r\n"),
            _ => message.push(byte),
        }
        before = byte;
    }
    if !message.ends_with(b"\r\n") {
        message.extend_from_slice(b"\r\n");
    }
    message
}

/// Checks that what came back is what was sent, below nothing but trace fields.
///
/// # Errors
/// Says where they differ.
pub fn same(sent: &[u8], came: &[u8]) -> Result<()> {
    let Some(above) = came.len().checked_sub(sent.len()) else {
        bail!("{} bytes were sent, {} came back", sent.len(), came.len());
    };
    let (added, rest) = came.split_at(above);
    if let Some(at) = sent.iter().zip(rest).position(|(a, b)| a != b) {
        bail!("byte {at} of {} differs", sent.len());
    }
    let added = String::from_utf8_lossy(added);
    ensure!(added.is_empty() || added.ends_with("\r\n"), "added above the message: {added:?}");
    let fields = added.split("\r\n").filter(|l| !l.is_empty() && !l.starts_with([' ', '\t']));
    for field in fields {
        let name = field.split(':').next().unwrap_or_default().to_ascii_lowercase();
        ensure!(TRACE_FIELDS.contains(&name.as_str()), "added above the message: {field:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_are_made_legal_and_the_mailbox_line_goes() {
        assert_eq!(made_ready(b"From x\na: b\n\nc\rd\r\ne"), b"a: b\r\n\r\nc\r\nd\r\ne\r\n");
        assert_eq!(made_ready(b"a: b\n"), b"a: b\r\n");
    }

    #[test]
    fn only_trace_fields_may_be_added_and_nothing_changed() {
        let sent = b"a: b\r\n\r\nc\r\n";
        assert!(same(sent, sent).is_ok());
        assert!(same(sent, b"Return-Path: <x>\r\nReceived: by y\r\n\tfor z\r\na: b\r\n\r\nc\r\n").is_ok());
        assert!(same(sent, b"Subject: x\r\na: b\r\n\r\nc\r\n").is_err());
        assert!(same(sent, b"a: b\r\n\r\nd\r\n").is_err());
        assert!(same(sent, b"a: b\r\n").is_err());
    }
}
