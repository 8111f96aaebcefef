//! Greeting, HELO, EHLO and LHLO: who we are and what is offered. RFC 5321 4.1.1.1, 4.3.1.

use super::session::Session;
use super::{Service, replies};
use crate::stamp::Hello;
use std::fmt::Write as _;
use wire::sasl::Mechanism;
use wire::smtp::Dialect;
use wire::smtp::command::Verb;
use wire::smtp::reply::Reply;
use wire::smtp::server_state::Event;

/// What is said after the host name where the operator has set nothing.
const PRODUCT: &str = concat!("InterMail ", env!("CARGO_PKG_VERSION"));

impl Session<'_> {
    pub(super) fn greet(&mut self) {
        let protocol = match self.service.dialect() {
            Dialect::Smtp => "ESMTP",
            Dialect::Lmtp => "LMTP",
        };
        let banner = if self.rules.banner.is_empty() { PRODUCT } else { &self.rules.banner };
        let text = format!("{} {protocol} {banner}", self.mta.host);
        self.reply(&Reply::plain(220, text.into()));
    }

    pub(super) fn hello(&mut self, verb: Verb, name: Box<str>) {
        self.name = name;
        self.hello = if verb == Verb::Helo { Hello::Old } else { Hello::Extended };
        self.end_transaction();
        self.state = self.state.after(Event::Hello);
        let text = match self.hello {
            Hello::Old => self.mta.host.to_string(),
            Hello::Extended => self.offers(),
        };
        self.reply(&Reply { enhanced: None, ..replies::OK }.text(text));
    }

    /// The answer to EHLO or LHLO.
    fn offers(&self) -> String {
        let mut text = format!("{}\nPIPELINING\n8BITMIME\nSIZE {}", self.mta.host, self.rules.max_message);
        text.push_str("\nCHUNKING\nSMTPUTF8\nENHANCEDSTATUSCODES\nDSN");
        if self.mta.tls.is_some() && !self.state.encrypted() {
            text.push_str("\nSTARTTLS");
        }
        let mechanisms = self.mechanisms();
        if !mechanisms.is_empty() && self.user.is_none() {
            text.push_str("\nAUTH");
            mechanisms.iter().for_each(|m| {
                let _ = write!(text, " {}", m.name());
            });
        }
        if self.service == Service::Relay {
            text.push_str("\nETRN");
        }
        text.push_str("\nHELP");
        text
    }

    /// The mechanisms of AUTH that are offered now.
    pub(super) fn mechanisms(&self) -> Vec<Mechanism> {
        let here = match self.service {
            Service::Submission => true,
            Service::Relay => self.rules.relay_port_login && self.state.encrypted(),
            Service::Lmtp => false,
        };
        let safe = self.password_is_safe();
        let offered = |m: &Mechanism| here && (safe || !m.shows_password());
        Mechanism::ALL.into_iter().filter(offered).collect()
    }

    /// Whether a password may cross this connection.
    pub(super) fn password_is_safe(&self) -> bool {
        self.rules.access.takes_password(&self.connection)
    }
}
