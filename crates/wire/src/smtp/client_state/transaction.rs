//! One transaction of the client: which commands are on their way, and what each reply means.
//!
//! With PIPELINING all commands up to DATA go out in one piece, at most [`WINDOW`] ahead of the replies;
//! without it one at a time. RFC 2920 3.1.

use super::{Dialect, Extensions, Fate, Stage, Transaction, Transfer};
use crate::smtp::reply::{Class, Reply};
use crate::smtp::xtext;
use bytes::BytesMut;
use mail::envelope::{BodyKind, Notify, Recipient, Return};
use std::fmt::Write as _;

/// Commands that may be unanswered: with replies of usual length they fit every socket buffer, so that
/// neither side waits for the other to read. RFC 2920 3.1.
const WINDOW: usize = 64;

/// What comes after a reply.
#[derive(Debug)]
pub(super) enum Step {
    /// More replies.
    Going,
    /// The body.
    Content(Transfer),
    /// The end.
    Done(Vec<Fate>),
    /// A reply that makes no sense here.
    Unexpected(Reply),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// MAIL, RCPT and DATA or BDAT.
    Commands,
    /// The body is being sent, and then its replies are awaited.
    Content,
    /// A DATA that nobody wants was accepted all the same: its end was sent.
    Discarded,
    /// RSET was sent, because MAIL was accepted and nothing came of it.
    Reset,
}

#[derive(Debug)]
pub(super) struct Running {
    transaction: Transaction,
    dialect: Dialect,
    transfer: Transfer,
    phase: Phase,
    /// Commands written: MAIL, then each RCPT, then DATA.
    written: usize,
    /// Commands answered.
    answered: usize,
    /// Set by MAIL's reply.
    mail_accepted: bool,
    fates: Vec<Option<Fate>>,
}

impl Running {
    pub(super) fn new(transaction: Transaction, dialect: Dialect, transfer: Transfer) -> Self {
        let fates = vec![None; transaction.recipients.len()];
        let (phase, written, answered) = (Phase::Commands, 0, 0);
        Self { transaction, dialect, transfer, phase, written, answered, mail_accepted: false, fates }
    }

    /// Writes as many commands as may be on their way now.
    pub(super) fn write_commands(&mut self, offered: &Extensions, out: &mut BytesMut) {
        let window = if offered.pipelining { WINDOW } else { 1 };
        let data_at = self.data_at();
        let last = if self.transfer == Transfer::Dots { data_at } else { data_at - 1 };
        while self.written <= last && self.written - self.answered < window {
            if self.answered > 0 && !self.mail_accepted || self.written == data_at && self.is_hopeless() {
                break;
            }
            self.write_command(offered, out);
            self.written += 1;
        }
    }

    /// The position of DATA among the commands.
    fn data_at(&self) -> usize {
        self.transaction.recipients.len() + 1
    }

    /// Whether it is known already that no recipient was accepted.
    fn is_hopeless(&self) -> bool {
        self.fates.iter().all(Option::is_some)
    }

    fn write_command(&self, offered: &Extensions, out: &mut BytesMut) {
        let line = match self.written {
            0 => mail_command(&self.transaction, offered),
            n => match self.transaction.recipients.get(n - 1) {
                Some(recipient) => rcpt_command(recipient, offered),
                None => "DATA\r\n".into(),
            },
        };
        out.extend_from_slice(line.as_bytes());
    }

    pub(super) fn on_reply(&mut self, reply: Reply, offered: &Extensions, out: &mut BytesMut) -> Step {
        match self.phase {
            Phase::Commands => self.on_command_reply(reply, offered, out),
            Phase::Content => self.on_content_reply(reply),
            Phase::Discarded | Phase::Reset => self.done(),
        }
    }

    pub(super) const fn content_sent(&mut self) {
        self.phase = Phase::Content;
    }

    fn on_command_reply(&mut self, reply: Reply, offered: &Extensions, out: &mut BytesMut) -> Step {
        let position = self.answered;
        self.answered += 1;
        match position {
            0 if reply.class() == Class::Done => self.mail_accepted = true,
            0 if reply.class() == Class::GoOn => return Step::Unexpected(reply),
            0 => self.decide_open(&reply, Stage::Mail),
            n if n == self.data_at() => return self.on_data_reply(reply, out),
            n => match (reply.class(), self.fates.get_mut(n - 1)) {
                (Class::GoOn, _) => return Step::Unexpected(reply),
                // A fate that is known already comes from MAIL.
                (Class::Later | Class::Never, Some(fate @ None)) => {
                    *fate = Some(Fate { reply, stage: Stage::Rcpt });
                }
                _ => {}
            },
        }
        self.write_commands(offered, out);
        if self.answered < self.written { Step::Going } else { self.all_answered(out) }
    }

    /// Every command is answered and there is no DATA among them.
    fn all_answered(&mut self, out: &mut BytesMut) -> Step {
        if !self.mail_accepted {
            return self.done();
        }
        if self.is_hopeless() {
            self.phase = Phase::Reset;
            out.extend_from_slice(b"RSET\r\n");
            return Step::Going;
        }
        let _ = write!(out, "BDAT {} LAST\r\n", self.transaction.size);
        self.phase = Phase::Content;
        Step::Content(Transfer::Chunk)
    }

    fn on_data_reply(&mut self, reply: Reply, out: &mut BytesMut) -> Step {
        match (reply.class(), self.is_hopeless()) {
            (Class::GoOn, false) => Step::Content(Transfer::Dots),
            // RFC 2920 3.1: a DATA that was sent ahead must be ended.
            (Class::GoOn, true) => {
                self.phase = Phase::Discarded;
                out.extend_from_slice(b".\r\n");
                Step::Going
            }
            (Class::Done, _) => Step::Unexpected(reply),
            (Class::Later | Class::Never, _) => {
                self.decide_open(&reply, Stage::Content);
                if !self.mail_accepted {
                    return self.done();
                }
                self.phase = Phase::Reset;
                out.extend_from_slice(b"RSET\r\n");
                Step::Going
            }
        }
    }

    /// RFC 5321: one reply for all. RFC 2033 4.2: one for each recipient that was accepted, in order.
    fn on_content_reply(&mut self, reply: Reply) -> Step {
        if reply.class() == Class::GoOn {
            return Step::Unexpected(reply);
        }
        match self.dialect {
            Dialect::Smtp => self.decide_open(&reply, Stage::Content),
            Dialect::Lmtp => {
                if let Some(fate) = self.fates.iter_mut().find(|f| f.is_none()) {
                    *fate = Some(Fate { reply, stage: Stage::Content });
                }
            }
        }
        if self.is_hopeless() { self.done() } else { Step::Going }
    }

    fn decide_open(&mut self, reply: &Reply, stage: Stage) {
        for fate in self.fates.iter_mut().filter(|f| f.is_none()) {
            *fate = Some(Fate { reply: reply.clone(), stage });
        }
    }

    fn done(&mut self) -> Step {
        Step::Done(std::mem::take(&mut self.fates).into_iter().flatten().collect())
    }

    /// The server hangs up with this reply. RFC 5321 3.8.
    pub(super) fn finish_all(mut self, reply: &Reply) -> Vec<Fate> {
        let stage = match self.phase {
            Phase::Commands if self.answered == 0 => Stage::Mail,
            Phase::Commands if self.answered < self.data_at() => Stage::Rcpt,
            _ => Stage::Content,
        };
        self.decide_open(reply, stage);
        self.fates.into_iter().flatten().collect()
    }

    /// What is known.
    pub(super) fn fates(self) -> Vec<Option<Fate>> {
        self.fates
    }
}

/// What the message needs and the server does not offer, as the reply that it would have given.
pub(super) fn missing_offer(transaction: &Transaction, offered: &Extensions) -> Option<Reply> {
    let needs_utf8 = transaction.origin.utf8 || transaction.recipients.iter().any(|r| r.address.needs_utf8());
    if needs_utf8 && !offered.smtp_utf8 {
        // RFC 6531 3.2.
        return Some(Reply::new(550, (5, 6, 7), "The receiving host does not offer SMTPUTF8"));
    }
    match offered.size {
        Some(Some(limit)) if transaction.size > limit => {
            Some(Reply::new(552, (5, 3, 4), "The message is larger than the receiving host takes"))
        }
        _ => None,
    }
}

fn mail_command(transaction: &Transaction, offered: &Extensions) -> String {
    let origin = &transaction.origin;
    let mut line = format!("MAIL FROM:<{}>", origin.sender);
    if offered.size.is_some() {
        let _ = write!(line, " SIZE={}", transaction.size);
    }
    if offered.eight_bit_mime && origin.body == BodyKind::EightBitMime {
        line.push_str(" BODY=8BITMIME");
    }
    if offered.smtp_utf8 && (origin.utf8 || transaction.recipients.iter().any(|r| r.address.needs_utf8())) {
        line.push_str(" SMTPUTF8");
    }
    if offered.dsn {
        line.push_str(if origin.ret == Return::Full { " RET=FULL" } else { " RET=HDRS" });
        if let Some(id) = &origin.envelope_id {
            line.push_str(" ENVID=");
            xtext::encode(id, &mut line);
        }
    }
    line.push_str("\r\n");
    line
}

fn rcpt_command(recipient: &Recipient, offered: &Extensions) -> String {
    let mut line = format!("RCPT TO:<{}>", recipient.address);
    if offered.dsn {
        if recipient.notify != Notify::DEFAULT {
            let _ = write!(line, " NOTIFY={}", notify_words(recipient.notify));
        }
        if let Some(original) = &recipient.original {
            line.push_str(" ORCPT=");
            xtext::encode(original, &mut line);
        }
    }
    line.push_str("\r\n");
    line
}

fn notify_words(notify: Notify) -> String {
    let words = [(notify.success, "SUCCESS"), (notify.failure, "FAILURE"), (notify.delay, "DELAY")];
    let asked: Vec<&str> = words.into_iter().filter_map(|(asked, word)| asked.then_some(word)).collect();
    if asked.is_empty() { "NEVER".into() } else { asked.join(",") }
}
