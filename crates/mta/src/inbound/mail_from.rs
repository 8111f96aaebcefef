//! MAIL: who sends, and whether he may. RFC 5321 4.1.1.2, RFC 6409 3, RFC 1870, RFC 6531 3.4.

use super::session::{End, Session, Transaction};
use super::{Service, replies};
use crate::policy::relay::Relay;
use crate::policy::sender::{self, Home, Ownership, Refusal, SenderPolicy};
use catalog::events::smtp::SmtplibSenderAddrInvalid;
use mail::address::{Address, Domain};
use mail::envelope::{Origin, Sender};
use roles::Call;
use roles::directory::{Account, DirectoryError, Route};
use wire::smtp::command::{Mail, Path};
use wire::smtp::reply::Reply;
use wire::smtp::server_state::Event;

impl Session<'_> {
    pub(super) async fn mail_from(&mut self, mail: Mail) -> Result<(), End> {
        // The rules of a transaction are those that hold when it begins.
        self.rules = self.mta.rules.get();
        match self.judge_mail(mail).await {
            Ok(transaction) => {
                self.transaction = Some(Box::new(transaction));
                self.state = self.state.after(Event::MailTaken);
                self.reply(&replies::SENDER_OK);
            }
            Err(refusal) => self.reply(&refusal),
        }
        Ok(())
    }

    async fn judge_mail(&self, mail: Mail) -> Result<Transaction, Reply> {
        if self.service == Service::Submission && self.rules.login_required && self.user.is_none() {
            return Err(replies::LOGIN_FIRST);
        }
        let size = mail.size.unwrap_or(0);
        let limit = self.size_limit();
        if size > limit {
            return Err(replies::TOO_LARGE);
        }
        let sender = self.complete_sender(mail.from).map_err(|why| self.refuse_sender("", why))?;
        if let Some(address) = &sender.0 {
            if address.needs_utf8() && !mail.utf8 {
                return Err(replies::NEEDS_UTF8);
            }
            self.check_sender(address).await?;
        }
        let origin = Origin {
            sender,
            ret: mail.ret.unwrap_or_default(),
            envelope_id: mail.envelope_id,
            body: mail.body,
            utf8: mail.utf8,
        };
        let trace = self.mta.ids.trace();
        Ok(Transaction { origin, size, limit, trace, to: Vec::new(), receiving: None })
    }

    /// Largest message that this client may send: the server's limit, or the account's where that is smaller.
    fn size_limit(&self) -> u64 {
        let own = self.user.as_ref().map_or(0, |account| account.max_message);
        if own == 0 { self.rules.max_message } else { own.min(self.rules.max_message) }
    }

    /// Those who may relay are ours: a program of theirs that names no domain means the default one.
    fn complete_sender(&self, path: Path) -> Result<Sender, Refusal> {
        let local = match path {
            Path::Null => return Ok(Sender::NULL),
            Path::Address(address) => return Ok(Sender(Some(address))),
            Path::Local(local) => local,
        };
        let may = self.rules.sender == SenderPolicy::Off || self.relay() == Relay::Allowed;
        let domain = self.rules.default_domain.clone().filter(|_| may).ok_or(Refusal::NoDomain)?;
        Address::new(&local, domain).map(Sender::from).map_err(|_| Refusal::NoDomain)
    }

    async fn check_sender(&self, address: &Address) -> Result<(), Reply> {
        if let Some(account) = &self.user {
            return match self.rules.ownership {
                Ownership::Off => Ok(()),
                _ => Box::pin(self.check_owner(account, address)).await,
            };
        }
        if self.rules.sender == SenderPolicy::Domain && self.relay() == Relay::Denied {
            let known = Box::pin(self.check_domain(address.domain())).await;
            return known.map_err(|why| self.refuse_sender(address, why));
        }
        Ok(())
    }

    async fn check_owner(&self, account: &Account, address: &Address) -> Result<(), Reply> {
        let call = Call::new(mail::id::RequestId(0), self.mta.ids.trace());
        let trouble = |_: DirectoryError| replies::TROUBLE;
        let route = self.mta.directory.address_route(&call, address.clone()).await.map_err(trouble)?;
        let home = if route == Route::Remote { Home::Foreign } else { Home::Ours };
        if !sender::must_own(self.rules.ownership, home) {
            return Ok(());
        }
        let owns = self.mta.directory.sender_allowed(&call, account.id, address.clone());
        if owns.await.map_err(trouble)? {
            Ok(())
        } else {
            Err(self.refuse_sender(address, Refusal::NotOwned))
        }
    }

    async fn check_domain(&self, domain: &Domain) -> Result<(), Refusal> {
        match sender::judge_exchanges(&self.mta.dns.mx(domain).await) {
            Some(verdict) => verdict,
            None => sender::judge_addresses(&self.mta.dns.addresses(domain).await),
        }
    }

    fn refuse_sender(&self, address: impl std::fmt::Display, why: Refusal) -> Reply {
        let reply = replies::sender(why);
        self.mta.env.log.emit(&SmtplibSenderAddrInvalid { address, peer: self.peer(), reason: &reply.text });
        reply
    }
}
