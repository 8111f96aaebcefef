//! Text of mail as characters: IMAP's modified UTF-7, encoded words, charsets, transfer encodings.
//!
//! For SEARCH, folder names and display. Nothing here fails on bad mail: what cannot be decoded becomes
//! U+FFFD or stays as it is. Only [`utf7`] is strict, since a folder name has one right form.

pub mod charset;
pub mod transfer;
pub mod utf7;
pub mod words;
