//! To another server: an idle session, or a new one with the best host that answers.

use super::session::{Encrypt, Sent, Session, Trouble};
use super::verdict::{Verdict, What, of_fate, of_no_route};
use super::{Dialing, Outbound};
use catalog::events::mta::MtaServerSocketClosed;
use catalog::events::nio::NioTlsRemoteFailed;
use catalog::events::smtp::SmtpServerResponseOverflow;
use mail::envelope::{Origin, Recipient};
use mail::id::TraceId;
use mail::report::Status;
use net::dial::{Candidate, NextHop, candidates};
use roles::Body;
use wire::smtp::client_state::{Fate, Stage, Transaction};

/// Recipients of one transaction: what every server takes. RFC 5321 4.5.3.1.8.
const TOGETHER: usize = 100;

/// A message on its way out.
pub(crate) struct Parcel<'a> {
    pub(crate) origin: &'a Origin,
    pub(crate) body: &'a Body,
    pub(crate) trace: &'a TraceId,
}

/// Relays to one place; a verdict for each recipient, in their order.
pub(crate) async fn relay(
    outbound: &Outbound,
    parcel: &Parcel<'_>,
    hop: &NextHop,
    to: &[Recipient],
) -> Vec<Verdict> {
    let rules = outbound.rules.get();
    let dialing = Dialing {
        rules: &rules,
        tls: &outbound.tls,
        hello: outbound.mta.host.as_str(),
        clock: &outbound.mta.env.clock,
    };
    let relay = Relay { outbound, dialing, parcel, hop };
    let mut verdicts = Vec::with_capacity(to.len());
    for some in to.chunks(TOGETHER) {
        verdicts.extend(relay.transaction(some).await);
    }
    verdicts
}

/// Whether an idle session had ended before it was used: nothing can have been taken then. Servers hang up, or say
/// 421 to the first command.
fn was_gone(sent: &Sent) -> bool {
    let closing =
        |fate: &Option<Fate>| fate.as_ref().is_some_and(|f| f.reply.code == 421 && f.stage == Stage::Mail);
    match &sent.trouble {
        Some(Trouble::Lost(_)) => !sent.content_begun && sent.fates.iter().all(Option::is_none),
        Some(_) => false,
        None => sent.fates.iter().all(closing),
    }
}

struct Relay<'a> {
    outbound: &'a Outbound,
    dialing: Dialing<'a>,
    parcel: &'a Parcel<'a>,
    hop: &'a NextHop,
}

impl Relay<'_> {
    async fn transaction(&self, to: &[Recipient]) -> Vec<Verdict> {
        while let Some(session) = self.outbound.pool.take(self.hop) {
            let (host, sent) = self.send(session, to).await;
            if !was_gone(&sent) {
                return self.verdicts(&host, sent);
            }
        }
        match self.open().await {
            Ok(session) => {
                let (host, sent) = self.send(session, to).await;
                self.verdicts(&host, sent)
            }
            Err(verdict) => vec![verdict; to.len()],
        }
    }

    async fn send(&self, session: Session, to: &[Recipient]) -> (String, Sent) {
        let (origin, recipients) = (self.parcel.origin.clone(), to.to_vec());
        let host = session.host().to_string();
        let transaction = Transaction { origin, recipients, size: self.parcel.body.len() };
        (host, session.send(transaction, self.parcel.body).await)
    }

    /// A session with the first candidate that wants one. RFC 5321 5.1.
    async fn open(&self) -> Result<Session, Verdict> {
        let (mta, rules) = (&self.outbound.mta, self.dialing.rules);
        let candidates = candidates(&*mta.dns, &mta.env.random, &rules.own_names, self.hop).await;
        let candidates = candidates.map_err(|why| of_no_route(why, &self.hop.to_string()))?;
        let mut last = Verdict::ours(What::Deferred, Status::NO_ANSWER, "no host answers");
        for candidate in &candidates {
            let mut opened = Session::open(&self.dialing, candidate, Encrypt::IfOffered).await;
            if let Err(Trouble::Tls(reason)) = &opened {
                let (host, peer) = (&candidate.host, candidate.address);
                mta.env.log.emit(&NioTlsRemoteFailed { host, peer, reason });
                opened = Session::open(&self.dialing, candidate, Encrypt::Never).await;
            }
            match opened {
                Ok(session) => return Ok(session),
                Err(trouble) => last = self.not_opened(candidate, trouble),
            }
        }
        Err(last)
    }

    /// Whatever a server says before the first transaction is about the server, not about the message: even a 5xx
    /// greeting is for later.
    fn not_opened(&self, candidate: &Candidate, trouble: Trouble) -> Verdict {
        self.log(candidate.host.as_str(), "greeting", &trouble);
        let host = format!("{}[{}]", candidate.host, candidate.address.ip());
        match trouble {
            Trouble::Refused(reply) => Verdict {
                what: What::Deferred,
                status: Status::NO_ANSWER,
                reply: reply.to_string(),
                remote: Some(candidate.host.to_string()),
            },
            other => Verdict::ours(What::Deferred, Status::NO_ANSWER, format!("{host}: {other}")),
        }
    }

    fn verdicts(&self, host: &str, sent: Sent) -> Vec<Verdict> {
        if let Some(session) = sent.session {
            self.outbound.keep(self.hop, session);
        }
        if let Some(trouble) = &sent.trouble {
            self.log(host, if sent.content_begun { "content" } else { "envelope" }, trouble);
        }
        let verdict = |fate: &Option<Fate>| match (fate, &sent.trouble) {
            (Some(fate), _) => of_fate(fate, host, sent.reports),
            (None, Some(Trouble::Body(why))) => {
                let reply = format!("the message cannot be read: {why}");
                Verdict::ours(What::Deferred, Status::SYSTEM, reply)
            }
            (None, trouble) => {
                let why = trouble.as_ref().map_or_else(|| "no answer".to_owned(), ToString::to_string);
                Verdict::ours(What::Deferred, Status::BAD_CONNECTION, format!("{host}: {why}"))
            }
        };
        sent.fates.iter().map(verdict).collect()
    }

    fn log(&self, host: &str, step: &str, trouble: &Trouble) {
        let (log, id) = (&self.outbound.mta.env.log, self.parcel.trace);
        match trouble {
            Trouble::Lost(_) => log.emit(&MtaServerSocketClosed { host, id, step }),
            Trouble::Overflow => {
                log.emit(&SmtpServerResponseOverflow { host, limit: self.dialing.rules.line_limit });
            }
            _ => {}
        }
    }
}
