//! Delivery reports: bounces, delay warnings and confirmations.
//!
//! Promises a well-formed `multipart/report` (RFC 3462) with a text for people, a
//! `message/delivery-status` for programs (RFC 3464) and as much of the original as the sender asked for
//! (RFC 3461 4.3), or the forms of RFC 6533 where the message was internationalised. Nobody who did not ask
//! is told (RFC 3461 4.1), and a message without sender never gets a report (RFC 5321 6.1), so a bounce
//! cannot bounce. The original is never held: [`Report`] is the bytes before it, the range of it, and the
//! bytes after it.
//!
//! Whether a delivery has failed for good is the queue's decision; handing the report in is the MTA's.

use crate::address::Address;
use crate::envelope::{BodyKind, Origin, Recipient, Return};
use crate::id::HostName;
use crate::time::Timestamp;
use std::fmt::{self, Write as _};
use std::ops::Range;

/// Most recipients that one report speaks of; the caller splits longer lists over several reports.
pub const MAX_FATES: usize = 1000;
/// Most bytes of the original's header that a report brings back.
pub const MAX_RETURNED_HEADER: u64 = 64 * 1024;
/// Most bytes of one quoted reply of another server.
const MAX_DIAGNOSTIC: usize = 800;

/// An enhanced status code such as `5.1.1`. RFC 3463 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status {
    class: Class,
    subject: u16,
    detail: u16,
}

/// The first digit of a status. RFC 3463 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// 2: done.
    Success,
    /// 4: later, perhaps.
    Transient,
    /// 5: never.
    Permanent,
}

impl Status {
    /// RFC 3463 3.2: `X.1.1`, there is no such mailbox.
    pub const BAD_MAILBOX: Self = Self::new(Class::Permanent, 1, 1);
    /// RFC 3463 3.2 and RFC 7505 4.1: `5.1.10`, the domain says that it takes no mail.
    pub const NULL_MX: Self = Self::new(Class::Permanent, 1, 10);
    /// RFC 3463 3.2: `5.1.2`, there is no such domain.
    pub const BAD_DOMAIN: Self = Self::new(Class::Permanent, 1, 2);
    /// RFC 3463 3.5: `4.4.1`, the host does not answer.
    pub const NO_ANSWER: Self = Self::new(Class::Transient, 4, 1);
    /// RFC 3463 3.5: `4.4.2`, the connection broke.
    pub const BAD_CONNECTION: Self = Self::new(Class::Transient, 4, 2);
    /// RFC 3463 3.5: `4.4.3`, the name service does not answer.
    pub const NO_NAME_SERVICE: Self = Self::new(Class::Transient, 4, 3);
    /// RFC 3463 3.5: `5.4.6`, the message goes round in circles.
    pub const LOOP: Self = Self::new(Class::Permanent, 4, 6);
    /// RFC 3463 3.5: `4.4.7`, the time allowed in the queue is over.
    pub const EXPIRED: Self = Self::new(Class::Transient, 4, 7);
    /// RFC 3463 3.4: `4.3.0`, a server of ours is in trouble.
    pub const SYSTEM: Self = Self::new(Class::Transient, 3, 0);

    /// From its three parts. Parts over 999 are cut to 999 (RFC 3463 2 allows three digits).
    pub const fn new(class: Class, subject: u16, detail: u16) -> Self {
        const fn cut(n: u16) -> u16 {
            if n > 999 { 999 } else { n }
        }
        Self { class, subject: cut(subject), detail: cut(detail) }
    }

    /// The first digit.
    pub const fn class(self) -> Class {
        self.class
    }

    /// Parses `d.d{1,3}.d{1,3}` with a class of 2, 4 or 5.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let class = match parts.next()? {
            "2" => Class::Success,
            "4" => Class::Transient,
            "5" => Class::Permanent,
            _ => return None,
        };
        let mut number = || {
            let part = parts.next()?;
            let digits = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse::<u16>().ok()).flatten()
        };
        Some(Self { class, subject: number()?, detail: number()? })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = match self.class {
            Class::Success => 2,
            Class::Transient => 4,
            Class::Permanent => 5,
        };
        write!(f, "{class}.{}.{}", self.subject, self.detail)
    }
}

/// What became of a recipient. RFC 3464 2.3.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// It cannot arrive.
    Failed,
    /// It is late and still being tried.
    Delayed,
    /// It is in the mailbox.
    Delivered,
    /// It went to a server that does not report; nothing more will be heard.
    Relayed,
}

impl Action {
    fn keyword(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
        }
    }

    /// RFC 3461 4.1: whether the sender wants to hear of it.
    fn wanted_by(self, recipient: &Recipient) -> bool {
        match self {
            Self::Failed => recipient.notify.failure,
            Self::Delayed => recipient.notify.delay,
            Self::Delivered | Self::Relayed => recipient.notify.success,
        }
    }
}

/// The fate of one recipient, as far as it is known.
#[derive(Debug, Clone)]
pub struct Fate<'a> {
    /// Who.
    pub recipient: &'a Recipient,
    /// What became of it.
    pub action: Action,
    /// Why, as a code.
    pub status: Status,
    /// Why, in the words of whoever said so: a reply line of SMTP, or our own sentence.
    pub reason: &'a str,
    /// The server that said so; `None` where it was this one.
    pub remote: Option<&'a str>,
    /// When it was tried last.
    pub last_attempt: Option<Timestamp>,
    /// Until when it will be tried, for delays. RFC 3464 2.3.9.
    pub retry_until: Option<Timestamp>,
}

/// What is known of the message that the report is about.
#[derive(Debug, Clone, Copy)]
pub struct Original<'a> {
    /// Its envelope without recipients.
    pub origin: &'a Origin,
    /// When it came in.
    pub arrived: Timestamp,
    /// Bytes of its header, with the empty line.
    pub header: u64,
    /// Bytes of all of it.
    pub total: u64,
}

/// Who reports.
#[derive(Debug, Clone, Copy)]
pub struct Reporter<'a> {
    /// The reporting MTA.
    pub host: &'a HostName,
    /// Now.
    pub now: Timestamp,
    /// A number that nobody can guess and that is used once: parts the report and names it.
    pub token: u128,
    /// Longest original that is brought back whole, in bytes; of longer ones the header.
    pub max_returned: u64,
}

/// A report, ready to be handed in with a null sender: `head`, then `original` of the message, then `tail`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Where it goes: the sender of the original.
    pub to: Address,
    /// All that stands before the original.
    pub head: Vec<u8>,
    /// Which bytes of the original follow.
    pub original: Range<u64>,
    /// All that stands after the original.
    pub tail: Vec<u8>,
    /// What the content may hold.
    pub body: BodyKind,
    /// Whether the report itself needs SMTPUTF8 on its way.
    pub utf8: bool,
}

/// Composes the report of these fates, the first [`MAX_FATES`] of those that the sender wants to hear of.
/// `None` where there is nobody to tell or nothing that anybody asked for.
pub fn compose(reporter: &Reporter<'_>, original: &Original<'_>, fates: &[Fate<'_>]) -> Option<Report> {
    let to = original.origin.sender.0.as_ref()?;
    let told: Vec<&Fate<'_>> =
        fates.iter().filter(|f| f.action.wanted_by(f.recipient)).take(MAX_FATES).collect();
    let worst = told.iter().map(|f| f.action).min()?;
    let form = Form::of(original, &told);
    let whole = worst == Action::Failed
        && original.origin.ret == Return::Full
        && original.total <= reporter.max_returned;
    let boundary = format!("=_report_{:032x}", reporter.token);
    let mut text = Text(String::with_capacity(2048 + 400 * told.len()));
    text.header(reporter, to, worst, form, &boundary);
    text.explanation(reporter, original, worst, &told);
    text.line(format_args!("--{boundary}"));
    text.status_part(reporter, original, form, &told);
    text.line(format_args!("--{boundary}"));
    text.line(format_args!("Content-Type: {}", form.returned_type(whole)));
    text.line(format_args!("Content-Transfer-Encoding: {}", form.encoding()));
    text.line(format_args!(
        "Content-Description: {}",
        if whole { "Original message" } else { "Original header" }
    ));
    text.line(format_args!(""));
    Some(Report {
        to: to.clone(),
        head: text.0.into_bytes(),
        original: 0..if whole { original.total } else { original.header.min(MAX_RETURNED_HEADER) },
        tail: format!("\r\n--{boundary}--\r\n").into_bytes(),
        body: if form == Form::SevenBit { BodyKind::SevenBit } else { BodyKind::EightBitMime },
        utf8: to.needs_utf8(),
    })
}

/// Which media types carry the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// RFC 3464, all of it in ASCII.
    SevenBit,
    /// RFC 3464, the original with eight-bit lines.
    EightBit,
    /// RFC 6533: addresses or headers in UTF-8.
    Global,
}

impl Form {
    fn of(original: &Original<'_>, told: &[&Fate<'_>]) -> Self {
        let beyond_ascii =
            |r: &Recipient| r.address.needs_utf8() || r.original.as_ref().is_some_and(|o| !o.is_ascii());
        if original.origin.utf8 || told.iter().any(|f| beyond_ascii(f.recipient)) {
            Self::Global
        } else if original.origin.body == BodyKind::EightBitMime {
            Self::EightBit
        } else {
            Self::SevenBit
        }
    }

    fn encoding(self) -> &'static str {
        if self == Self::SevenBit { "7bit" } else { "8bit" }
    }

    fn status_type(self) -> &'static str {
        if self == Self::Global { "message/global-delivery-status" } else { "message/delivery-status" }
    }

    fn report_type(self) -> &'static str {
        if self == Self::Global { "global-delivery-status" } else { "delivery-status" }
    }

    fn returned_type(self, whole: bool) -> &'static str {
        match (self, whole) {
            (Self::Global, true) => "message/global",
            (Self::Global, false) => "message/global-headers",
            (_, true) => "message/rfc822",
            (_, false) => "text/rfc822-headers",
        }
    }
}

/// The report while it grows, line by line.
struct Text(String);

impl Text {
    fn line(&mut self, line: fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.0.write_fmt(line);
        self.0.push_str("\r\n");
    }

    fn header(&mut self, by: &Reporter<'_>, to: &Address, worst: Action, form: Form, boundary: &str) {
        let subject = match worst {
            Action::Failed => "Your message could not be delivered",
            Action::Delayed => "Your message is delayed",
            Action::Delivered | Action::Relayed => "Your message was delivered",
        };
        self.line(format_args!("Date: {}", by.now.rfc5322()));
        self.line(format_args!("From: Mail Delivery System <MAILER-DAEMON@{}>", by.host));
        self.line(format_args!("To: <{to}>"));
        self.line(format_args!("Subject: {subject}"));
        self.line(format_args!("Message-ID: <{:032x}.report@{}>", by.token, by.host));
        // RFC 3834 5: so that no autoresponder answers.
        self.line(format_args!("Auto-Submitted: auto-replied"));
        self.line(format_args!("MIME-Version: 1.0"));
        self.line(format_args!("Content-Type: multipart/report; report-type={};", form.report_type()));
        self.line(format_args!(" boundary=\"{boundary}\""));
        self.line(format_args!("Content-Transfer-Encoding: {}", form.encoding()));
        self.line(format_args!(""));
        self.line(format_args!("This is a delivery report in MIME format."));
        self.line(format_args!(""));
        self.line(format_args!("--{boundary}"));
        let charset = if form == Form::Global { "utf-8" } else { "us-ascii" };
        self.line(format_args!("Content-Type: text/plain; charset={charset}"));
        self.line(format_args!("Content-Transfer-Encoding: {}", form.encoding()));
        self.line(format_args!("Content-Description: Explanation"));
        self.line(format_args!(""));
    }

    fn explanation(&mut self, by: &Reporter<'_>, original: &Original<'_>, worst: Action, told: &[&Fate<'_>]) {
        self.line(format_args!("This is the mail system at {}.", by.host));
        self.line(format_args!(""));
        self.line(format_args!("Your message of {}", original.arrived.rfc5322()));
        self.line(format_args!(
            "{}",
            match worst {
                Action::Failed =>
                    "could not be delivered to the recipients below. It will not be tried again.",
                Action::Delayed =>
                    "has not been delivered yet to the recipients below. You need not send it\r\n\
                                again: it is still being tried.",
                Action::Delivered | Action::Relayed => "was delivered to the recipients below.",
            }
        ));
        for fate in told {
            self.line(format_args!(""));
            self.line(format_args!("<{}>", fate.recipient.address));
            match fate.action {
                Action::Failed | Action::Delayed => self.reason(fate),
                Action::Delivered => self.line(format_args!("    It is in the mailbox.")),
                Action::Relayed => self.line(format_args!(
                    "    It was handed to a server that sends no such reports, so nothing more may be heard."
                )),
            }
        }
        self.line(format_args!(""));
    }

    fn reason(&mut self, fate: &Fate<'_>) {
        let reason = clean(fate.reason);
        match fate.remote {
            Some(remote) => self.line(format_args!("    The server {} answered: {reason}", clean(remote))),
            None => self.line(format_args!("    {reason}")),
        }
        if let Some(until) = fate.retry_until {
            self.line(format_args!("    It will be tried until {}.", until.rfc5322()));
        }
    }

    /// RFC 3464 2: one block for the message, one for each recipient, parted by empty lines.
    fn status_part(&mut self, by: &Reporter<'_>, original: &Original<'_>, form: Form, told: &[&Fate<'_>]) {
        self.line(format_args!("Content-Type: {}", form.status_type()));
        self.line(format_args!("Content-Transfer-Encoding: {}", form.encoding()));
        self.line(format_args!("Content-Description: Delivery report"));
        self.line(format_args!(""));
        if let Some(id) = &original.origin.envelope_id {
            self.line(format_args!("Original-Envelope-Id: {}", clean_ascii(id)));
        }
        self.line(format_args!("Reporting-MTA: dns; {}", by.host));
        self.line(format_args!("Arrival-Date: {}", original.arrived.rfc5322()));
        for fate in told {
            self.line(format_args!(""));
            self.recipient_block(fate);
        }
        self.line(format_args!(""));
    }

    fn recipient_block(&mut self, fate: &Fate<'_>) {
        if let Some(orcpt) = fate.recipient.original.as_deref().filter(|o| o.contains(';')) {
            self.line(format_args!("Original-Recipient: {}", clean(orcpt)));
        }
        // RFC 6533 3: an address beyond ASCII has the type utf-8.
        let kind = if fate.recipient.address.needs_utf8() { "utf-8" } else { "rfc822" };
        self.line(format_args!("Final-Recipient: {kind}; {}", fate.recipient.address));
        self.line(format_args!("Action: {}", fate.action.keyword()));
        self.line(format_args!("Status: {}", fate.status));
        if let Some(remote) = fate.remote {
            self.line(format_args!("Remote-MTA: dns; {}", clean_ascii(remote)));
            // RFC 3464 2.3.6: the code is of the type of who gave it, and only a server speaks SMTP to us.
            self.line(format_args!("Diagnostic-Code: smtp; {}", clean_ascii(fate.reason)));
        }
        if let Some(at) = fate.last_attempt {
            self.line(format_args!("Last-Attempt-Date: {}", at.rfc5322()));
        }
        if let Some(until) = fate.retry_until {
            self.line(format_args!("Will-Retry-Until: {}", until.rfc5322()));
        }
    }
}

/// Text of somebody else on one line: no control characters, at most [`MAX_DIAGNOSTIC`] bytes.
fn clean(text: &str) -> String {
    let mut out: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if out.len() > MAX_DIAGNOSTIC {
        out.truncate(out.floor_char_boundary(MAX_DIAGNOSTIC));
        out.push_str("...");
    }
    out
}

/// The same in ASCII, for fields that have no other form.
fn clean_ascii(text: &str) -> String {
    clean(text).replace(|c: char| !c.is_ascii(), "?")
}

#[cfg(test)]
mod tests;
