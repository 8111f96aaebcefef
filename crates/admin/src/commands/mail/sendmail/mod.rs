//! `sendmail`: hands in a message as the programs of forty years expect it (ITS 14990, 15007, 15315).
//!
//! The message goes to the MTA of the running daemon and passes the same policy, filters and log as mail that comes by
//! SMTP. Nothing is queued here: the exit code 0 means that the MTA has taken responsibility, 75 that the caller is to
//! try again. `options` reads the command line, `lines` makes lines of mail from text, `header` reads who is to have
//! it; what stands here is only the order of it.

mod header;
mod lines;
mod options;

use self::header::Header;
use self::lines::{Lines, More};
use self::options::{Mode, Options};
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::site::Site;
use catalog::keys::common::DEFAULT_DOMAIN;
use catalog::keys::mta::MAX_MESSAGE_SIZE;
use env::budget::Budget;
use env::settings::Settings;
use mail::address::{Address, Domain};
use mail::envelope::{BodyKind, Origin, Recipient, Sender};
use net::spool::Spool;
use roles::Body;
use roles::submission::{Submit, SubmitError};
use std::sync::Arc;

/// The row.
pub const COMMAND: Command = Command {
    name: "sendmail",
    aliases: &[],
    group: Group::Mail,
    summary: "Hands in a message to be sent",
    about: "Reads a message from standard input and hands it to the MTA for the recipients on the command line and, \
            with -t, for those of its header. A missing From, Date or Message-ID is added; Bcc is left out. The \
            message ends where the input does or, without -i, at a line with a single dot. Addresses without a domain \
            get the default domain; without -f, the sender is the one of the From field, else the postmaster.\n\n\
            Exit code 0 means that the MTA has taken responsibility for every recipient; any other that it has for \
            none. Options that other implementations know and that mean nothing here (-v, -n, -m, -G, -U, -e, -B, -C, \
            -h, -L, -O, -X, -o with anything but i) are accepted.",
    usage: &["[-t] [-i] [-f SENDER] [-F NAME] [-N WHEN] [-R WHAT] [-V ID] [--] [RECIPIENT...]", "-bi"],
    options: &[
        Opt { name: "t", value: None, help: "Send to the recipients in To, Cc and Bcc, too" },
        Opt { name: "i", value: None, help: "A line with a single dot is text; also -oi" },
        Opt { name: "f", value: Some("SENDER"), help: "The envelope sender; empty or <> for nobody" },
        Opt { name: "r", value: Some("SENDER"), help: "The same as -f" },
        Opt { name: "F", value: Some("NAME"), help: "The full name for a From field that is missing" },
        Opt { name: "N", value: Some("WHEN"), help: "When to report: never, or success, failure, delay" },
        Opt { name: "R", value: Some("WHAT"), help: "What a report brings back: full or hdrs" },
        Opt { name: "V", value: Some("ID"), help: "The envelope id that a report names" },
        Opt { name: "bm", value: None, help: "Hand in a message, which is what happens anyway" },
        Opt { name: "bi", value: None, help: "Do nothing: there is no alias table to rebuild" },
    ],
    words: &[Word { name: "RECIPIENT", count: Count::Any, help: "Who is to have the message" }],
    examples: &[
        Example { line: "sendmail -t -oi <message", does: "Sends a message to the recipients in its header" },
        Example {
            line: "sendmail -f me@example.org you@example.net <message",
            does: "Sends it to one recipient",
        },
    ],
    exits: &[
        (0, "the MTA has taken the message"),
        (64, "the command line was wrong (EX_USAGE)"),
        (65, "an address or the message cannot be used (EX_DATAERR)"),
        (67, "a recipient of this site does not exist (EX_NOUSER)"),
        (69, "the MTA has refused the message (EX_UNAVAILABLE)"),
        (75, "not now: the site is down or cannot take it; try again (EX_TEMPFAIL)"),
    ],
    place: Place::Daemon,
    unavailable: EX_TEMPFAIL,
    grammar: Grammar::Own,
    run: |context| Box::pin(run(context)),
};

// sysexits.h, by which callers decide whether to try again.
const EX_USAGE: Exit = Exit(64);
const EX_DATAERR: Exit = Exit(65);
const EX_NOUSER: Exit = Exit(67);
const EX_UNAVAILABLE: Exit = Exit(69);
const EX_TEMPFAIL: Exit = Exit(75);

/// Most bytes of a header.
const MAX_HEADER: usize = 1 << 20;
/// Bytes of a message that are held in memory; the rest is in a file.
const IN_MEMORY: usize = 64 << 10;

async fn run(context: &mut Context) -> Outcome {
    let options = options::parse(context.arguments.words()).map_err(|why| Failure::With(EX_USAGE, why))?;
    if options.mode == Mode::Aliases {
        return Ok(Exit::OK);
    }
    if context.servers.is_none() {
        return Err(later("the site is not running"));
    }
    let site = context.site()?;
    let rules = Rules::of(&site)?;
    let mut input = Input { lines: Lines::new(options.dot), text: Vec::new(), more: More::Wanted };
    let block = input.header(context).await?;
    let header =
        header::read(&block, &rules.domain).map_err(|bad| Failure::With(EX_DATAERR, bad.to_string()))?;
    let (sender, to) = envelope(&options, &header, &rules)?;
    let (body, kind) = collect(context, &site, &rules, input, &options, &header).await?;
    let utf8 = sender.0.iter().chain(to.iter().map(|r| &r.address)).any(Address::needs_utf8);
    let origin = Origin {
        sender,
        ret: options.ret.unwrap_or_default(),
        envelope_id: options.envelope_id,
        body: kind,
        utf8,
    };
    let submitted = context.roles()?.submission.submit(&context.call(), Submit { origin, to, body }).await;
    match submitted {
        Ok(_) => Ok(Exit::OK),
        Err(error @ SubmitError::NoUser(_)) => Err(Failure::With(EX_NOUSER, error.to_string())),
        Err(error @ SubmitError::Refused(_)) => Err(Failure::With(EX_UNAVAILABLE, error.to_string())),
        Err(error @ SubmitError::TryLater(_)) => Err(later(error)),
    }
}

fn later(why: impl std::fmt::Display) -> Failure {
    Failure::With(EX_TEMPFAIL, why.to_string())
}

/// What the configuration says of messages.
struct Rules {
    domain: Domain,
    most: u64,
}

impl Rules {
    fn of(site: &Site) -> Result<Self, Failure> {
        let settings = Settings::new(site.host().as_str(), "mta", site.configuration().map_err(later)?);
        let domain = settings.get(DEFAULT_DOMAIN);
        let domain = Domain::parse(&domain).map_err(|bad| later(format!("defaultDomain: {bad}")))?;
        Ok(Self { domain, most: settings.get(MAX_MESSAGE_SIZE) * 1024 })
    }
}

/// Who sends, and to whom.
fn envelope(options: &Options, header: &Header, rules: &Rules) -> Result<(Sender, Vec<Recipient>), Failure> {
    let unusable = |bad: header::BadRecipient| Failure::With(EX_DATAERR, bad.to_string());
    let mut recipients = Vec::new();
    for text in &options.recipients {
        header::list(text.as_bytes(), &rules.domain, &mut recipients).map_err(unusable)?;
    }
    if options.from_header {
        recipients.extend(header.recipients.iter().cloned());
    }
    header::unique(&mut recipients);
    if recipients.is_empty() {
        return Err(Failure::With(EX_USAGE, "no recipients are named".into()));
    }
    let sender = match options.sender.as_deref().map(str::trim) {
        Some("" | "<>") => Sender::NULL,
        Some(text) => {
            let mut named = Vec::new();
            header::list(text.as_bytes(), &rules.domain, &mut named).map_err(unusable)?;
            let first = named.into_iter().next();
            Sender(Some(first.ok_or_else(|| Failure::With(EX_DATAERR, format!("{text} is no sender")))?))
        }
        None => Sender(Some(header.from.clone().map_or_else(|| postmaster(rules), Ok)?)),
    };
    let notify = options.notify.unwrap_or_default();
    let to = recipients.into_iter().map(|address| Recipient { address, notify, original: None }).collect();
    Ok((sender, to))
}

/// The sender where nothing names one.
fn postmaster(rules: &Rules) -> Result<Address, Failure> {
    Address::new("postmaster", rules.domain.clone()).map_err(later)
}

/// The message as it is read: lines of mail, not yet taken.
struct Input {
    lines: Lines,
    text: Vec<u8>,
    more: More,
}

impl Input {
    /// Reads up to the empty line that ends the header, and takes the header without it. Where none comes, all of the
    /// text is taken.
    async fn header(&mut self, context: &mut Context) -> Result<Vec<u8>, Failure> {
        let mut searched = 0;
        loop {
            if self.text.starts_with(b"\r\n") {
                return Ok(Vec::new());
            }
            if let Some(at) = memchr::memmem::find(&self.text[searched..], b"\r\n\r\n") {
                let rest = self.text.split_off(searched + at + 2);
                return Ok(std::mem::replace(&mut self.text, rest));
            }
            searched = self.text.len().saturating_sub(3);
            if self.text.len() > MAX_HEADER {
                return Err(Failure::With(EX_DATAERR, "the header is longer than 1 MB".into()));
            }
            if !self.pull(context).await? {
                return Ok(std::mem::take(&mut self.text));
            }
        }
    }

    /// Reads one more piece; tells whether there was one.
    async fn pull(&mut self, context: &mut Context) -> Result<bool, Failure> {
        if self.more == More::Ended {
            return Ok(false);
        }
        match context.console.read().await? {
            Some(piece) => self.more = self.lines.push(&piece, &mut self.text),
            None => {
                let lines = std::mem::replace(&mut self.lines, Lines::new(options::Dot::Text));
                lines.finish(&mut self.text);
                self.more = More::Ended;
            }
        }
        Ok(true)
    }
}

/// Reads the rest of the message into a body, behind its header.
async fn collect(
    context: &mut Context,
    site: &Site,
    rules: &Rules,
    mut input: Input,
    options: &Options,
    header: &Header,
) -> Result<(Body, BodyKind), Failure> {
    let folder = Arc::new(site.folder().join("tmp/mta"));
    let mut message = Message {
        spool: Spool::new(IN_MEMORY, Budget::new(2 * IN_MEMORY), folder),
        most: rules.most,
        kind: BodyKind::SevenBit,
    };
    if !header.has_from {
        let from = header.from.clone().map_or_else(|| from_address(options, rules), Ok)?;
        message.push(header::from_field(options.full_name.as_deref(), &from).as_bytes()).await?;
    }
    message.push(&header.kept).await?;
    let separated = input.text.starts_with(b"\r\n") && header.text.is_empty();
    if !separated {
        message.push(b"\r\n").await?;
    }
    message.push(&header.text).await?;
    loop {
        message.push(&std::mem::take(&mut input.text)).await?;
        if !input.pull(context).await? {
            break;
        }
    }
    Ok((message.spool.finish().await.map_err(later)?, message.kind))
}

/// The address for a From field that is missing: the envelope's sender.
fn from_address(options: &Options, rules: &Rules) -> Result<Address, Failure> {
    let mut named = Vec::new();
    if let Some(text) = &options.sender {
        // A sender that cannot be read was refused before.
        let _ = header::list(text.as_bytes(), &rules.domain, &mut named);
    }
    named.into_iter().next().map_or_else(|| postmaster(rules), Ok)
}

/// A message as it grows.
struct Message {
    spool: Spool,
    most: u64,
    kind: BodyKind,
}

impl Message {
    async fn push(&mut self, text: &[u8]) -> Result<(), Failure> {
        if !text.is_ascii() {
            self.kind = BodyKind::EightBitMime;
        }
        if self.spool.len() + text.len() as u64 > self.most {
            return Err(Failure::With(EX_DATAERR, format!("the message is larger than {} bytes", self.most)));
        }
        self.spool.push(text).await.map_err(later)
    }
}

#[cfg(test)]
mod tests;
