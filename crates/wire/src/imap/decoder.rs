//! Where a command ends in a stream of bytes, and whether a literal may come.
//!
//! The decoder works at the front of the connection's own read buffer and holds nothing itself but counts.
//! A literal that is announced is judged before the client is told to send it; one that comes unasked
//! (RFC 7888) and is refused is read past, up to a limit, and beyond that the connection has to end.
//! The message of an APPEND is left in the stream: [`Decoder::message`] gives it out piece by piece.
//!
//! `parse` says what a complete command means.

use super::command::{Append, Tag, Tagged};
use super::name::NameForm;
use super::parse::{self, BadCommand};
use super::{Limits, SMALL_LITERAL, Unwaited};
use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;

/// What stands at the front of the buffer.
#[derive(Debug, PartialEq)]
pub enum Event {
    /// Nothing complete: read more.
    NeedMore,
    /// The client waits for `+` before it sends a literal; call again after it is sent.
    Continue,
    /// A command that parses.
    Command(Tagged),
    /// An APPEND whose message comes next: [`Decoder::accept`] it or [`Decoder::refuse`] it.
    Append(Append, Waits),
    /// A command that is refused; whatever belongs to it is read past.
    Bad(Refused),
    /// Nothing sensible can follow: say BYE and end the connection.
    Fatal(TooMuch),
}

/// Whether the client waits for `+` before it sends the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// `{n}`: it does.
    Yes,
    /// `{n+}`: the message is on its way.
    No,
}

/// A refused command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its tag, where one could be read.
    pub tag: Option<Tag>,
    /// What is wrong with it.
    pub why: BadCommand,
}

/// Why a connection has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// A line that does not end.
    #[error("the line is too long")]
    Line,
    /// A literal that was not waited for, refused, and too large to be read past.
    #[error("the literal is too large")]
    Literal,
}

/// A line that is not a command: an answer to a SASL challenge, or `DONE`.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// No complete one: read more.
    NeedMore,
    /// The line, without its end.
    Text(Bytes),
    /// Longer than a line may be: end the connection.
    TooLong,
}

/// Finds the commands of one connection.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    /// Octets at the front that belong to the command and need not be looked at again.
    seen: usize,
    /// Octets of it that are literals.
    in_literals: usize,
    /// What is read past before anything else.
    skip: Skip,
    /// Octets of an accepted message that have not been given out yet.
    message: u64,
    /// Whether the end of an APPEND's command is still to come.
    tail: bool,
}

/// What is thrown away.
#[derive(Debug, Clone, Copy, Default)]
struct Skip {
    /// This many octets,
    octets: u64,
    /// and then what is left of the line.
    line: bool,
    /// How much more may be thrown away until the connection ends.
    budget: u64,
}

impl Decoder {
    /// At the start of a connection.
    pub fn new(limits: Limits) -> Self {
        Self { limits, seen: 0, in_literals: 0, skip: Skip::default(), message: 0, tail: false }
    }

    /// What comes next in `buffer`; `form` is how names are written. What is used is taken out of it.
    pub fn next(&mut self, buffer: &mut BytesMut, form: NameForm) -> Event {
        match self.read_past(buffer) {
            Past::Done => {}
            Past::NeedMore => return Event::NeedMore,
            Past::TooMuch(why) => return Event::Fatal(why),
        }
        loop {
            let unseen = buffer.get(self.seen..).unwrap_or_default();
            let line = memchr(b'\n', unseen).map(|at| &unseen[..=at]);
            let length = line.map_or(unseen.len(), <[u8]>::len) + self.seen - self.in_literals;
            if length > self.limits.line && self.seen <= buffer.len() {
                return self.refuse_line(buffer);
            }
            let Some(line) = line else { return Event::NeedMore };
            let end = self.seen + line.len();
            match literal_at_end(trim_end(line)) {
                None => return self.complete(buffer, end, form),
                Some(Err(Waits::No)) => return Event::Fatal(TooMuch::Literal),
                Some(Err(Waits::Yes)) => return self.refuse_command(buffer, end, BadCommand::LiteralTooBig),
                Some(Ok(literal)) => match self.literal(buffer, end, literal, form) {
                    Step::Again => {}
                    Step::Out(event) => return event,
                },
            }
        }
    }

    /// Takes the message of the APPEND just announced: it comes by [`Decoder::message`].
    /// If the client waits, `+` has to be sent.
    pub fn accept(&mut self, append: &Append) {
        self.message = append.size;
        self.tail = true;
    }

    /// From now on these limits hold: a client that has logged in may do more.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Refuses the message of the APPEND just announced. If the client waits it sends nothing more;
    /// else the message is read past.
    pub fn refuse(&mut self, append: &Append, waits: Waits) {
        if waits == Waits::No {
            self.skip = Skip { octets: append.size, line: true, budget: self.limits.skip };
        }
    }

    /// Octets of the accepted message that are still to come.
    pub fn message_left(&self) -> u64 {
        self.message
    }

    /// The next piece of the accepted message, if the buffer has any of it.
    pub fn message(&mut self, buffer: &mut BytesMut) -> Option<Bytes> {
        let here = usize::try_from(self.message).unwrap_or(usize::MAX).min(buffer.len());
        if here == 0 {
            return None;
        }
        self.message -= here as u64;
        Some(buffer.split_to(here).freeze())
    }

    /// The rest of an accepted message is read past instead (the store failed half-way). It was asked for,
    /// so nothing but time limits it.
    pub fn drop_message(&mut self) {
        let budget = self.message.saturating_add(self.limits.skip);
        self.skip = Skip { octets: self.message, line: true, budget };
        self.message = 0;
        self.tail = false;
    }

    /// The end of the APPEND's command, after its message: `None` while it has not arrived.
    ///
    /// # Errors
    /// Anything but the end of the line. RFC 9051 6.3.12; MULTIAPPEND is not announced.
    pub fn append_end(&mut self, buffer: &mut BytesMut) -> Option<Result<(), BadCommand>> {
        match buffer.as_ref() {
            [] | [b'\r'] => return None,
            [b'\n', ..] => buffer.advance(1),
            [b'\r', b'\n', ..] => buffer.advance(2),
            _ => {
                self.tail = false;
                self.skip = self.skip_line();
                return Some(Err(BadCommand::Syntax("nothing may follow the message")));
            }
        }
        self.tail = false;
        Some(Ok(()))
    }

    /// A line that is not a command: what answers a challenge or ends an IDLE.
    pub fn line(&mut self, buffer: &mut BytesMut) -> Line {
        match memchr(b'\n', buffer) {
            Some(at) if at < self.limits.line => {
                let mut line = buffer.split_to(at + 1);
                line.truncate(trim_end(&line).len());
                Line::Text(line.freeze())
            }
            None if buffer.len() < self.limits.line => Line::NeedMore,
            _ => Line::TooLong,
        }
    }

    /// Whether nothing has been begun: the buffer may be given back when it is empty.
    pub fn is_idle(&self) -> bool {
        self.seen == 0 && self.message == 0 && !self.tail && self.skip.octets == 0 && !self.skip.line
    }

    /// Throws away what is refused. Every turn takes something from the budget, and the budget ends.
    fn read_past(&mut self, buffer: &mut BytesMut) -> Past {
        loop {
            if self.skip.octets > self.skip.budget {
                return Past::TooMuch(TooMuch::Literal);
            }
            let here = usize::try_from(self.skip.octets).unwrap_or(usize::MAX).min(buffer.len());
            buffer.advance(here);
            self.skip.octets -= here as u64;
            self.skip.budget -= here as u64;
            if self.skip.octets > 0 {
                return Past::NeedMore;
            }
            if !self.skip.line {
                return Past::Done;
            }
            let end = memchr(b'\n', buffer).map(|at| at + 1);
            // What may announce a literal is kept until the line's end is seen.
            let drop = end.unwrap_or_else(|| buffer.len().saturating_sub(MAX_ANNOUNCEMENT));
            let Some(budget) = self.skip.budget.checked_sub(drop as u64) else {
                return Past::TooMuch(TooMuch::Line);
            };
            self.skip.budget = budget;
            let line = buffer.split_to(drop);
            if end.is_none() {
                return Past::NeedMore;
            }
            match literal_at_end(trim_end(&line)) {
                Some(Err(Waits::No)) => return Past::TooMuch(TooMuch::Literal),
                Some(Ok(Announced { size, waits: Waits::No, .. })) => self.skip.octets = size,
                _ => self.skip.line = false,
            }
        }
    }

    fn skip_line(&self) -> Skip {
        Skip { octets: 0, line: true, budget: self.limits.skip }
    }

    fn skip_literal(&self, literal: &Announced) -> Skip {
        match literal.waits {
            Waits::No => Skip { octets: literal.size, line: true, budget: self.limits.skip },
            Waits::Yes => Skip::default(),
        }
    }

    fn complete(&mut self, buffer: &mut BytesMut, end: usize, form: NameForm) -> Event {
        let command = buffer.split_to(end);
        self.reset();
        match parse::command(trim_end(&command), form) {
            Ok(tagged) => Event::Command(tagged),
            Err(why) => Event::Bad(Refused { tag: parse::tag_of(&command), why }),
        }
    }

    fn literal(&mut self, buffer: &mut BytesMut, end: usize, literal: Announced, form: NameForm) -> Step {
        let before = trim_end(&buffer[..end]);
        let before = &before[..before.len() - literal.written];
        if parse::is_append_message(before) {
            return Step::Out(self.append(buffer, end, literal, form));
        }
        let room = self.limits.command.saturating_sub(end);
        let most = self.limits.literal.min(room) as u64;
        if let Some(why) = self.too_big(&literal, most) {
            self.skip = self.skip_literal(&literal);
            return Step::Out(self.refuse_command(buffer, end, why));
        }
        let size = usize::try_from(literal.size).unwrap_or(usize::MAX);
        match literal.waits {
            Waits::No => self.take_literal(buffer, end, size),
            // Told once: the announcement is not looked at again.
            Waits::Yes => {
                self.wait_for(end, size);
                Step::Out(Event::Continue)
            }
        }
    }

    fn too_big(&self, literal: &Announced, most: u64) -> Option<BadCommand> {
        let small_only = literal.waits == Waits::No && self.limits.unwaited == Unwaited::Small;
        if literal.size > most {
            Some(BadCommand::LiteralTooBig)
        } else if small_only && literal.size > SMALL_LITERAL {
            // RFC 7888 5: such a literal is a mistake of the client.
            Some(BadCommand::LiteralNotWaited)
        } else {
            None
        }
    }

    /// The literal's octets belong to the command. The search for the line's end goes on behind them.
    fn take_literal(&mut self, buffer: &BytesMut, end: usize, size: usize) -> Step {
        self.wait_for(end, size);
        if buffer.len() < self.seen { Step::Out(Event::NeedMore) } else { Step::Again }
    }

    fn wait_for(&mut self, end: usize, size: usize) {
        self.seen = end + size;
        self.in_literals += size;
    }

    fn append(&mut self, buffer: &mut BytesMut, end: usize, literal: Announced, form: NameForm) -> Event {
        let command = buffer.split_to(end);
        self.reset();
        let before = trim_end(&command);
        let before = &before[..before.len() - literal.written];
        let why = match parse::append(before, form, literal.size) {
            Err(why) => why,
            Ok(append) => match self.too_big(&literal, self.limits.message) {
                None => return Event::Append(append, literal.waits),
                Some(BadCommand::LiteralTooBig) => BadCommand::MessageTooBig,
                Some(why) => why,
            },
        };
        self.skip = self.skip_literal(&literal);
        Event::Bad(Refused { tag: parse::tag_of(&command), why })
    }

    /// The line is too long. It is thrown away as it arrives; its length is not known yet.
    fn refuse_line(&mut self, buffer: &mut BytesMut) -> Event {
        let tag = parse::tag_of(buffer);
        buffer.advance(self.seen);
        self.reset();
        self.skip = self.skip_line();
        Event::Bad(Refused { tag, why: BadCommand::LineTooLong })
    }

    fn refuse_command(&mut self, buffer: &mut BytesMut, end: usize, why: BadCommand) -> Event {
        let command = buffer.split_to(end);
        self.reset();
        Event::Bad(Refused { tag: parse::tag_of(&command), why })
    }

    fn reset(&mut self) {
        self.seen = 0;
        self.in_literals = 0;
    }
}

enum Step {
    Again,
    Out(Event),
}

enum Past {
    Done,
    NeedMore,
    TooMuch(TooMuch),
}

/// `{n}`, `{n+}` or `~{n}` at the end of a line.
#[derive(Debug, Clone, Copy)]
struct Announced {
    size: u64,
    waits: Waits,
    /// Octets of the announcement.
    written: usize,
}

/// Longest announcement with its line end: `~{18446744073709551615+}` and CRLF.
const MAX_ANNOUNCEMENT: usize = 28;
/// Most digits of a literal's size.
const MAX_DIGITS: usize = 20;

/// The literal that a line announces. A size beyond every number is told apart, with whether it is waited
/// for, from a line that announces nothing.
fn literal_at_end(line: &[u8]) -> Option<Result<Announced, Waits>> {
    let inner = line.strip_suffix(b"}")?;
    let (inner, waits) = match inner.strip_suffix(b"+") {
        Some(inner) => (inner, Waits::No),
        None => (inner, Waits::Yes),
    };
    let count = inner.iter().rev().take(MAX_DIGITS + 1).take_while(|b| b.is_ascii_digit()).count();
    let (before, digits) = inner.split_at(inner.len() - count);
    let before = before.strip_suffix(b"{")?;
    if count == 0 || count > MAX_DIGITS {
        return None;
    }
    let before = before.strip_suffix(b"~").unwrap_or(before);
    let size = std::str::from_utf8(digits).ok().and_then(|d| d.parse().ok());
    Some(size.ok_or(waits).map(|size| Announced { size, waits, written: line.len() - before.len() }))
}

/// Without the line's end. A bare LF ends a line too: people type at servers, and nothing hangs on it here.
fn trim_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
