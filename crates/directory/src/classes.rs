//! Which value of an attribute holds for an account: a function from facts to values. Pure.
//!
//! An attribute without a value takes its default and never fails a login or a delivery (ITS 13431, 20488).

use catalog::cos::{self, Attribute, Rule, Type};
use roles::directory::OverQuota;
use roles::directory::provision::{AttributeView, Source};
use roles::store::{Quota, Warning};
use std::sync::Arc;
use storage::directory::{AttributeRow, Values};

/// A class of service as accounts need it: its values, and the rights of an account that has none of its own, which nearly all
/// are.
#[derive(Debug)]
pub(crate) struct Class {
    values: Values,
    rights: Arc<Rights>,
}

impl Class {
    pub(crate) fn new(values: Values) -> Self {
        Self { rights: Arc::new(Rights::of(&Values::new(), &values)), values }
    }

    /// The rights of an account of this class with these values of its own.
    pub(crate) fn rights(&self, account: &Values) -> Arc<Rights> {
        if account.is_empty() {
            Arc::clone(&self.rights)
        } else {
            Arc::new(Rights::of(account, &self.values))
        }
    }
}

/// An attribute as the rules need it, built-in or defined by the site.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Definition<'a> {
    pub(crate) name: &'a str,
    pub(crate) rule: Rule,
    pub(crate) kind: Type,
    pub(crate) default: &'a str,
}

impl<'a> From<&'a Attribute> for Definition<'a> {
    fn from(a: &'a Attribute) -> Self {
        Self { name: a.name, rule: a.rule, kind: a.kind, default: a.default }
    }
}

impl<'a> From<&'a AttributeRow> for Definition<'a> {
    fn from(a: &'a AttributeRow) -> Self {
        Self { name: &a.name, rule: a.rule, kind: a.kind, default: &a.fallback }
    }
}

/// The value that holds and where it comes from.
pub(crate) fn combine<'a>(
    of: Definition<'a>,
    account: Option<&'a str>,
    class: Option<&'a str>,
) -> (&'a str, Source) {
    let below = class.map_or((of.default, Source::Default), |v| (v, Source::Cos));
    let Some(own) = account else { return below };
    let own = (own, Source::Account);
    match of.rule {
        Rule::Account => own,
        Rule::Class => below,
        Rule::Least if rank(of.kind, own.0) <= rank(of.kind, below.0) => own,
        Rule::Greatest if rank(of.kind, own.0) >= rank(of.kind, below.0) => own,
        Rule::Least | Rule::Greatest => below,
    }
}

/// The order of values: numbers by size, `no` before `yes`; texts have none, so the account's wins.
fn rank(kind: Type, value: &str) -> u64 {
    match kind {
        Type::Number => value.parse().unwrap_or(0),
        Type::Flag => u64::from(value.eq_ignore_ascii_case("yes")),
        Type::Text => 0,
    }
}

/// The value of an attribute among the values of an account or a class; keys are in lower case.
pub(crate) fn value_of<'a>(values: &'a Values, name: &str) -> Option<&'a str> {
    values.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
}

/// Every attribute with the value that holds: the built-in ones in their order, then the site's.
pub(crate) fn view(site: &[AttributeRow], account: &Values, class: &Values) -> Vec<AttributeView> {
    let built_in = cos::ATTRIBUTES.iter().map(Definition::from);
    let all = built_in.chain(site.iter().map(Definition::from));
    all.map(|of| {
        let (value, source) = combine(of, value_of(account, of.name), value_of(class, of.name));
        AttributeView {
            name: of.name.to_owned(),
            rule: of.rule,
            kind: of.kind,
            value: value.to_owned(),
            source,
        }
    })
    .collect()
}

/// From where a protocol may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Nowhere,
    Trusted,
    Everywhere,
}

/// What an account may do, from the built-in attributes.
#[derive(Debug, Clone)]
pub(crate) struct Rights {
    pub(crate) pop: Access,
    pub(crate) pop_tls: Access,
    pub(crate) imap: Access,
    pub(crate) imap_tls: Access,
    pub(crate) smtp: Access,
    pub(crate) smtp_tls: Access,
    pub(crate) web: Access,
    pub(crate) local_delivery: Permission,
    pub(crate) forwarding: Permission,
    pub(crate) max_forwards: usize,
    pub(crate) max_aliases: usize,
    pub(crate) limits: Limits,
    pub(crate) max_message: u64,
    pub(crate) over_quota: OverQuota,
}

/// How much a mailbox may hold, and how its user is warned before (ITS 15940, 18222).
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) bytes: u64,
    pub(crate) messages: u64,
    pub(crate) percent: u8,
    pub(crate) text: String,
    pub(crate) sender: String,
}

impl Limits {
    /// As the store is to hold the account of this login name and domain to them.
    pub(crate) fn quota(&self, login: &str, domain: &str) -> Quota {
        let limited = self.bytes > 0 || self.messages > 0;
        let warning = || {
            let own = || format!("postmaster@{domain}");
            let from = if self.sender.is_empty() { own() } else { self.sender.clone() };
            Arc::new(Warning { percent: self.percent, to: login.to_owned(), from, text: self.text.clone() })
        };
        let warning = (limited && self.percent > 0).then(warning);
        Quota { bytes: self.bytes, messages: self.messages, warning }
    }
}

/// A permission or a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    Yes,
    No,
}

impl Rights {
    /// From the values of the account and of its class.
    pub(crate) fn of(account: &Values, class: &Values) -> Self {
        let text = |name: &str| {
            let of = cos::find(name).map(Definition::from);
            of.map_or("", |of| combine(of, value_of(account, name), value_of(class, name)).0)
        };
        let access = |name| match text(name).to_ascii_lowercase().as_str() {
            "none" => Access::Nowhere,
            "trusted" => Access::Trusted,
            _ => Access::Everywhere,
        };
        let permission =
            |name| if text(name).eq_ignore_ascii_case("no") { Permission::No } else { Permission::Yes };
        let number = |name| text(name).parse::<u64>().unwrap_or(0);
        let count = |name| usize::try_from(number(name)).unwrap_or(usize::MAX);
        let defer = text(cos::QUOTA_ACTION).eq_ignore_ascii_case("defer");
        Self {
            pop: access(cos::POP_ACCESS),
            pop_tls: access(cos::POP_SSL_ACCESS),
            imap: access(cos::IMAP_ACCESS),
            imap_tls: access(cos::IMAP_SSL_ACCESS),
            smtp: access(cos::SMTP_ACCESS),
            smtp_tls: access(cos::SMTP_SSL_ACCESS),
            web: access(cos::WEB_ACCESS),
            local_delivery: permission(cos::LOCAL_DELIVERY),
            forwarding: permission(cos::FORWARDING),
            max_forwards: count(cos::MAX_FORWARDS),
            max_aliases: count(cos::MAX_ALIASES),
            limits: Limits {
                bytes: number(cos::QUOTA_BYTES),
                messages: number(cos::QUOTA_MESSAGES),
                percent: u8::try_from(number(cos::QUOTA_THRESHOLD).min(100)).unwrap_or(100),
                text: text(cos::QUOTA_TEXT).to_owned(),
                sender: text(cos::QUOTA_SENDER).to_owned(),
            },
            max_message: number(cos::MAX_MESSAGE_SIZE).saturating_mul(1024),
            over_quota: if defer { OverQuota::Defer } else { OverQuota::Refuse },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(k, v)| (k.to_lowercase(), v.to_string())).collect()
    }

    #[test]
    fn each_rule_takes_its_value() {
        let of = |rule, kind| Definition { name: "x", rule, kind, default: "5" };
        let cases = [
            (Rule::Account, Some("1"), Some("2"), ("1", Source::Account)),
            (Rule::Account, None, Some("2"), ("2", Source::Cos)),
            (Rule::Account, None, None, ("5", Source::Default)),
            (Rule::Class, Some("1"), Some("2"), ("2", Source::Cos)),
            (Rule::Class, Some("1"), None, ("5", Source::Default)),
            (Rule::Least, Some("10"), Some("9"), ("9", Source::Cos)),
            (Rule::Least, Some("8"), Some("9"), ("8", Source::Account)),
            (Rule::Least, Some("8"), None, ("5", Source::Default)),
            (Rule::Greatest, Some("10"), Some("9"), ("10", Source::Account)),
            (Rule::Greatest, None, Some("9"), ("9", Source::Cos)),
        ];
        for (rule, account, class, expected) in cases {
            assert_eq!(combine(of(rule, Type::Number), account, class), expected, "{rule:?}");
        }
        assert_eq!(combine(of(Rule::Least, Type::Flag), Some("yes"), Some("NO")), ("NO", Source::Cos));
    }

    #[test]
    fn its_13431_its_20488_what_has_no_value_takes_the_default() {
        let rights = Rights::of(&values(&[]), &values(&[]));
        assert_eq!(
            (rights.pop, rights.imap_tls, rights.smtp),
            (Access::Everywhere, Access::Everywhere, Access::Everywhere)
        );
        assert_eq!(rights.limits.quota("a@b.test", "b.test"), Quota::default());
        assert_eq!((rights.local_delivery, rights.max_forwards), (Permission::Yes, 20));
    }

    #[test]
    fn its_17065_words_are_compared_without_case() {
        let rights = Rights::of(
            &values(&[("pref_localDelivery", "No")]),
            &values(&[("PREF_popaccess", "TRUSTED"), ("quotaaction", "Defer"), ("maxmessagesize", "3")]),
        );
        assert_eq!(rights.local_delivery, Permission::No);
        assert_eq!((rights.pop, rights.over_quota), (Access::Trusted, OverQuota::Defer));
        assert_eq!(rights.max_message, 3072);
    }

    #[test]
    fn its_15940_quota_and_its_warning_are_those_of_the_class() {
        let class = values(&[("totalBytes", "1000"), ("quotaThreshold", "80"), ("quota_msg", "Tidy up")]);
        let quota = Rights::of(&values(&[]), &class).limits.quota("a@b.test", "b.test");
        let warning = quota.warning.as_deref().unwrap();
        assert_eq!((quota.bytes, warning.percent), (1000, 80));
        assert_eq!((warning.to.as_str(), warning.from.as_str()), ("a@b.test", "postmaster@b.test"));
        assert_eq!(warning.text, "Tidy up");
        let own = values(&[("quotaThreshold", "0"), ("totalMsgQuota", "5")]);
        let quota = Rights::of(&own, &class).limits.quota("a@b.test", "b.test");
        assert_eq!(quota, Quota { bytes: 1000, messages: 5, warning: None });
    }

    #[test]
    fn its_18222_who_warns_is_a_matter_of_the_class() {
        let class = values(&[("totalBytes", "1000"), ("quota_msg_by", "helpdesk@isp.test")]);
        let quota = Rights::of(&values(&[]), &class).limits.quota("a@b.test", "b.test");
        assert_eq!(quota.warning.unwrap().from, "helpdesk@isp.test");
    }

    #[test]
    fn its_17041_no_combination_of_values_panics() {
        let odd = ["", "-1", "99999999999999999999999", "yes", "none", "\u{0}"];
        for a in odd {
            for c in odd {
                let of =
                    |v: &str| cos::ATTRIBUTES.iter().map(|x| (x.name.to_lowercase(), v.to_owned())).collect();
                let _ = Rights::of(&of(a), &of(c));
            }
        }
    }

    #[test]
    fn the_view_has_every_attribute_with_its_source() {
        let site = [AttributeRow {
            name: "Colour".into(),
            rule: Rule::Class,
            kind: Type::Text,
            fallback: "red".into(),
        }];
        let all = view(&site, &values(&[("totalBytes", "7")]), &values(&[("colour", "blue")]));
        assert_eq!(all.len(), cos::ATTRIBUTES.len() + 1);
        let of = |name: &str| all.iter().find(|v| v.name == name).map(|v| (v.value.as_str(), v.source));
        assert_eq!(of("totalBytes"), Some(("7", Source::Account)));
        assert_eq!(of("Colour"), Some(("blue", Source::Cos)));
        assert_eq!(of("pref_popaccess"), Some(("all", Source::Default)));
    }
}
