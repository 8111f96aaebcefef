//! What an answer means for a recipient: functions from what was said to what becomes of it.

use mail::report::{Action, Class, Status};
use net::dial::NoRoute;
use roles::directory::OverQuota;
use roles::queue::Outcome;
use roles::store::StoreError;
use wire::smtp::client_state::{Fate, Stage};
use wire::smtp::reply::{self, Reply};

/// What became of a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// It is in the mailbox.
    Delivered,
    /// A server took it that will report to the sender itself, if that was asked for.
    PassedOn,
    /// A server took it that sends no reports. RFC 3461 5.2.2.
    Relayed,
    /// Not now.
    Deferred,
    /// Never.
    Failed,
}

/// What became of a recipient, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) what: What,
    pub(crate) status: Status,
    /// The server's reply on one line, or our own words.
    pub(crate) reply: String,
    /// The server that replied; `None`: we say so.
    pub(crate) remote: Option<String>,
}

impl Verdict {
    /// In our own words.
    pub(crate) fn ours(what: What, status: Status, reply: impl Into<String>) -> Self {
        Self { what, status, reply: reply.into(), remote: None }
    }

    /// What is reported of it, if it is.
    pub(crate) fn action(&self) -> Option<Action> {
        match self.what {
            What::Delivered => Some(Action::Delivered),
            What::Relayed => Some(Action::Relayed),
            What::Failed => Some(Action::Failed),
            What::PassedOn | What::Deferred => None,
        }
    }

    /// As the queue wants it.
    pub(crate) fn outcome(&self) -> Outcome {
        let reply = self.reply.clone();
        match self.what {
            What::Delivered | What::PassedOn | What::Relayed => Outcome::Delivered { reply },
            What::Deferred => Outcome::Deferred { reply },
            What::Failed => Outcome::Failed { reply },
        }
    }
}

/// Whether a server reports to the sender itself. RFC 3461 5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reports {
    /// It offers DSN.
    Itself,
    /// It does not.
    Never,
}

/// What a server's last word on a recipient means.
pub(crate) fn of_fate(fate: &Fate, host: &str, reports: Reports) -> Verdict {
    let what = match (fate.reply.class(), fate.stage, reports) {
        (reply::Class::Done, Stage::Content, Reports::Itself) => What::PassedOn,
        (reply::Class::Done, Stage::Content, Reports::Never) => What::Relayed,
        (reply::Class::Never, Stage::Rcpt, _) if is_too_many(&fate.reply) => What::Deferred,
        (reply::Class::Never, _, _) => What::Failed,
        _ => What::Deferred,
    };
    let remote = (fate.stage != Stage::Offer).then(|| host.to_owned());
    Verdict { what, status: status_of(&fate.reply), reply: fate.reply.to_string(), remote }
}

/// RFC 5321 4.5.3.1.10: old servers say 552 when they mean 452, too many recipients.
fn is_too_many(reply: &Reply) -> bool {
    reply.code == 552 && reply.enhanced.is_none_or(|e| (e.1, e.2) == (5, 3))
}

/// The enhanced code of a reply, or the one that says no more than its first digit. RFC 3463 2.
pub(crate) fn status_of(reply: &Reply) -> Status {
    let class = match reply.class() {
        reply::Class::Done => Class::Success,
        reply::Class::Never => Class::Permanent,
        reply::Class::GoOn | reply::Class::Later => Class::Transient,
    };
    let (subject, detail) = reply.enhanced.map_or((0, 0), |e| (e.1, e.2));
    Status::new(class, subject, detail)
}

/// What it means that there is nowhere to connect to.
pub(crate) fn of_no_route(why: NoRoute, hop: &str) -> Verdict {
    let (what, status) = match why {
        NoRoute::NullMx => (What::Failed, Status::NULL_MX),
        NoRoute::NoDomain => (What::Failed, Status::BAD_DOMAIN),
        NoRoute::NoAddress => (What::Failed, Status::new(Class::Permanent, 4, 4)),
        NoRoute::Ourselves => (What::Failed, Status::LOOP),
        NoRoute::NameService => (What::Deferred, Status::NO_NAME_SERVICE),
    };
    Verdict::ours(what, status, format!("{hop}: {why}"))
}

/// What a store's refusal means.
pub(crate) fn of_store(error: &StoreError, over: OverQuota) -> Verdict {
    let (what, status) = match (error, over) {
        (StoreError::OverQuota, OverQuota::Refuse) => (What::Failed, Status::new(Class::Permanent, 2, 2)),
        (StoreError::OverQuota, OverQuota::Defer) => (What::Deferred, Status::new(Class::Transient, 2, 2)),
        // In doubt, later: a store in trouble must not make mail bounce.
        _ => (What::Deferred, Status::SYSTEM),
    };
    Verdict::ours(what, status, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fate(stage: Stage, code: u16, enhanced: (u8, u16, u16)) -> Fate {
        Fate { reply: Reply::new(code, enhanced, "text"), stage }
    }

    fn what(fate: &Fate) -> What {
        of_fate(fate, "mx", Reports::Never).what
    }

    #[test]
    fn only_the_end_of_the_content_delivers() {
        assert_eq!(what(&fate(Stage::Content, 250, (2, 0, 0))), What::Relayed);
        assert_eq!(what(&fate(Stage::Rcpt, 250, (2, 1, 5))), What::Deferred);
        let passed = of_fate(&fate(Stage::Content, 250, (2, 0, 0)), "mx", Reports::Itself);
        assert_eq!((passed.what, passed.action()), (What::PassedOn, None));
    }

    #[test]
    fn the_first_digit_decides_but_too_many_recipients_is_for_later() {
        assert_eq!(what(&fate(Stage::Rcpt, 550, (5, 1, 1))), What::Failed);
        assert_eq!(what(&fate(Stage::Rcpt, 451, (4, 7, 1))), What::Deferred);
        assert_eq!(what(&fate(Stage::Mail, 552, (5, 3, 4))), What::Failed);
        assert_eq!(what(&fate(Stage::Rcpt, 552, (5, 2, 2))), What::Failed);
        assert_eq!(what(&fate(Stage::Rcpt, 552, (5, 5, 3))), What::Deferred);
        let plain = Fate { reply: Reply::plain(552, "too many recipients".into()), stage: Stage::Rcpt };
        assert_eq!(what(&plain), What::Deferred);
    }

    #[test]
    fn replies_keep_their_code_and_their_author() {
        let verdict = of_fate(&fate(Stage::Rcpt, 550, (5, 1, 1)), "mx", Reports::Never);
        assert_eq!(verdict.status, Status::BAD_MAILBOX);
        assert_eq!((verdict.reply.as_str(), verdict.remote.as_deref()), ("550 5.1.1 text", Some("mx")));
        let ours = of_fate(&fate(Stage::Offer, 552, (5, 3, 4)), "mx", Reports::Never);
        assert_eq!((ours.what, ours.remote), (What::Failed, None));
        assert_eq!(status_of(&Reply::plain(450, "x".into())).to_string(), "4.0.0");
    }

    #[test]
    fn what_cannot_be_known_is_deferred() {
        assert_eq!(of_no_route(NoRoute::NameService, "d").what, What::Deferred);
        assert_eq!(of_no_route(NoRoute::NullMx, "d").what, What::Failed);
        assert_eq!(of_store(&StoreError::Unavailable, OverQuota::Refuse).what, What::Deferred);
        assert_eq!(of_store(&StoreError::OverQuota, OverQuota::Refuse).what, What::Failed);
        assert_eq!(of_store(&StoreError::OverQuota, OverQuota::Defer).what, What::Deferred);
        assert_eq!(of_store(&StoreError::NoMailbox, OverQuota::Refuse).what, What::Deferred);
    }
}
