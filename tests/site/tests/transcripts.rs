//! Plays the transcripts of each protocol against the real program.

use anyhow::Result;
use site::program::Service;
use site::transcript::play_all;
use std::path::Path;

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts").join(name)
}

#[test]
fn smtp() -> Result<()> {
    play_all(&folder("smtp"), Service::Smtp)
}

#[test]
fn pop3() -> Result<()> {
    play_all(&folder("pop3"), Service::Pop3)
}

#[test]
fn imap() -> Result<()> {
    play_all(&folder("imap"), Service::Imap)
}
