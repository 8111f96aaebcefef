//! Real messages of the wild come back byte for byte, however odd they are.

use anyhow::{Context as _, Result, ensure};
use site::corpus::{files, message, same};
use site::imap::Imap;
use site::pop3::Pop3;
use site::program::{ALICE, Service, Site};
use site::smtp::Smtp;
use std::path::PathBuf;

/// One message in this many is taken in every run; the same ones each time.
const ONE_IN: usize = 20;
/// Messages that go through one mailbox at a time.
const BATCH: usize = 500;

#[test]
fn a_sample_comes_back() -> Result<()> {
    let Some(files) = files()? else {
        println!("passed over: this machine has no corpus; cargo xtask test fetches it");
        return Ok(());
    };
    through(&files.into_iter().step_by(ONE_IN).collect::<Vec<_>>())
}

#[test]
#[ignore = "takes minutes: cargo xtask corpus"]
fn every_message_comes_back() -> Result<()> {
    through(&files()?.context("no corpus")?)
}

/// In by SMTP, back by IMAP and POP3.
fn through(files: &[PathBuf]) -> Result<()> {
    ensure!(!files.is_empty());
    let site = Site::fresh()?;
    for batch in files.chunks(BATCH) {
        let mut smtp = Smtp::connect(&site, Service::Smtp)?;
        for file in batch {
            let sent = message(file)?;
            smtp.deliver("sender@remote.test", &[ALICE.address], &sent)
                .with_context(|| file.display().to_string())?;
        }
        compare_imap(&site, batch)?;
        compare_pop(&site, batch)?;
    }
    println!("{} messages came back", files.len());
    Ok(())
}

/// By IMAP: the whole message, its size, and its structure, which must not fail on any of them.
fn compare_imap(site: &Site, batch: &[PathBuf]) -> Result<()> {
    let mut imap = Imap::login(site, ALICE)?;
    ensure!(imap.select("INBOX")? == batch.len(), "IMAP does not show {} messages", batch.len());
    for (at, file) in batch.iter().enumerate() {
        let name = || format!("by IMAP: {}", file.display());
        let came = imap.fetch(at + 1).with_context(name)?;
        same(&message(file)?, &came).with_context(name)?;
        let facts = imap
            .must(&format!("FETCH {} (RFC822.SIZE ENVELOPE BODYSTRUCTURE)", at + 1))
            .with_context(name)?;
        let size = format!("RFC822.SIZE {}", came.len());
        ensure!(facts.iter().any(|u| u.text.contains(&size)), "{}: {size} is not in {facts:?}", name());
    }
    Ok(())
}

/// By POP3: the whole message and its size; afterwards the mailbox is empty.
fn compare_pop(site: &Site, batch: &[PathBuf]) -> Result<()> {
    let mut pop = Pop3::login(site, ALICE)?;
    ensure!(pop.count()? == batch.len(), "POP3 does not show {} messages", batch.len());
    for (at, file) in batch.iter().enumerate() {
        let name = || format!("by POP3: {}", file.display());
        let number = at + 1;
        let came = pop.lines(&format!("RETR {number}")).with_context(name)?;
        same(&message(file)?, &came).with_context(name)?;
        let listed = pop.command(&format!("LIST {number}"))?;
        ensure!(listed == format!("{number} {}", came.len()), "{}: LIST says {listed}", name());
        pop.command(&format!("DELE {number}"))?;
    }
    pop.command("QUIT").map(|_| ())
}
