//! RCPT: who receives, and whether we take it. RFC 5321 4.1.1.3, 3.6.2.

use super::replies;
use super::session::Session;
use crate::accept::Accepted;
use crate::policy::recipient::{self, Plan};
use mail::address::Address;
use mail::envelope::Recipient;
use roles::directory::{Account, Local};
use wire::smtp::command::{Path, Rcpt};
use wire::smtp::reply::Reply;
use wire::smtp::server_state::Event;

impl Session<'_> {
    pub(super) async fn rcpt_to(&mut self, rcpt: Rcpt) {
        match self.judge_rcpt(rcpt).await {
            Ok(accepted) => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.to.push(accepted);
                }
                self.state = self.state.after(Event::RcptTaken);
                self.reply(&replies::RECIPIENT_OK);
            }
            Err(refusal) => self.reply(&refusal),
        }
    }

    async fn judge_rcpt(&self, rcpt: Rcpt) -> Result<Accepted, Reply> {
        let transaction = self.transaction.as_ref().ok_or(replies::TROUBLE)?;
        // RFC 5321 4.5.3.1.10: the client sends the rest in another transaction.
        if transaction.to.len() >= self.rules.max_recipients {
            return Err(replies::TOO_MANY_RECIPIENTS);
        }
        let address = self.complete_recipient(rcpt.to)?;
        if address.needs_utf8() && !transaction.origin.utf8 {
            return Err(replies::NEEDS_UTF8);
        }
        let call = self.question();
        let route = self.mta.directory.address_route(&call, address.clone()).await;
        let route = route.map_err(|_| replies::TROUBLE)?;
        let plan = recipient::judge(route, self.relay(), self.rules.verify).map_err(replies::recipient)?;
        if let Plan::Local(local) = &plan
            && let Some(account) = &local.account
        {
            self.check_room(local, account).await?;
        }
        let recipient = Recipient { address, notify: rcpt.notify, original: rcpt.original };
        Ok(Accepted { recipient, plan })
    }

    /// `<postmaster>` and others without a domain are of the default one.
    fn complete_recipient(&self, path: Path) -> Result<Address, Reply> {
        match path {
            Path::Address(address) => Ok(address),
            Path::Local(local) => {
                let domain = self.rules.default_domain.clone().ok_or(replies::NO_DOMAIN)?;
                Address::new(&local, domain).map_err(|_| replies::NO_DOMAIN)
            }
            Path::Null => Err(replies::NO_DOMAIN),
        }
    }

    /// Where the mailbox is full, the client hears so before it sends the message. Where it also forwards, or the
    /// store does not answer, that is decided at delivery.
    async fn check_room(&self, local: &Local, account: &Account) -> Result<(), Reply> {
        let unlimited = account.quota.bytes == 0 && account.quota.messages == 0;
        if unlimited || !local.forwards.is_empty() {
            return Ok(());
        }
        let size = self.transaction.as_ref().map_or(0, |t| t.size);
        let store = self.mta.stores.of(&account.home);
        match store.mailbox_usage(&self.question(), account.mailbox).await {
            Ok(usage) => {
                recipient::room(&account.quota, usage, size, local.over_quota).map_err(replies::recipient)
            }
            Err(_) => Ok(()),
        }
    }
}
