//! How long mail is kept: the ages that a class of service gives to folders, and removing what is older.
//!
//! The rules are functions; what is removed is decided message by message in the store. `imoldmsgdel` and the daemon's
//! daily round both come through here.

use crate::context::Roles;
use crate::people::{People, Whom, call, views};
use catalog::cos;
use catalog::events::ms::MsExpiryFailed;
use env::log::Log;
use env::random::Random;
use mail::attribute::AttributeName;
use mail::id::MailboxId;
use mail::time::Timestamp;
use roles::directory::DirectoryError;
use roles::directory::provision::AttributeView;
use roles::store::{Expire, Expired, Folder, Run, SpecialUse, StoreError, Unread};
use std::time::Duration;

const DAY: u64 = 86_400;

/// What a class of service says of the age of mail, in days; 0 is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    trash: u64,
    junk: u64,
    rest: u64,
    /// What becomes of unread mail.
    pub unread: Unread,
}

impl Policy {
    /// From the attributes of an account. What is missing is for ever.
    pub fn of(attributes: &[AttributeView]) -> Self {
        let value = |name: &str| attributes.iter().find(|a| a.name == name).map_or("", |a| a.value.as_str());
        let days = |name| value(name).parse().unwrap_or(0);
        let goes = value(cos::EXPIRE_UNREAD).eq_ignore_ascii_case("yes");
        Self {
            trash: days(cos::EXPIRE_TRASH),
            junk: days(cos::EXPIRE_JUNK),
            rest: days(cos::EXPIRE_MAIL),
            unread: if goes { Unread::Goes } else { Unread::Stays },
        }
    }

    /// Whether all mail is kept for ever.
    pub fn is_endless(self) -> bool {
        self.trash == 0 && self.junk == 0 && self.rest == 0
    }

    /// The age that mail of a folder may reach; `None`: any. A folder without a special use (RFC 6154) goes by its name;
    /// folders below one go with it.
    pub fn age(self, folder: &Folder) -> Option<Duration> {
        let top = folder.name.split('/').next().unwrap_or_default();
        let named = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(top));
        let days = match folder.special_use {
            Some(SpecialUse::Trash) => self.trash,
            Some(SpecialUse::Junk) => self.junk,
            None if named(&["Trash", "Deleted Items", "Deleted Messages"]) => self.trash,
            None if named(&["Junk", "Spam"]) => self.junk,
            _ => self.rest,
        };
        (days > 0).then(|| Duration::from_secs(days.saturating_mul(DAY)))
    }
}

/// Which mail is too old.
#[derive(Debug, Clone)]
pub enum Rule {
    /// As the account's class says.
    Class(Policy),
    /// What came before this, in one folder or in all.
    Before(Timestamp, Option<String>, Unread),
}

impl Rule {
    /// Before when mail of this folder must have come to be removed; `None`: it stays.
    fn before(&self, folder: &Folder, now: Timestamp) -> Option<(Timestamp, Unread)> {
        match self {
            Self::Class(policy) => policy.age(folder).map(|age| (now.minus(age), policy.unread)),
            Self::Before(before, None, unread) => Some((*before, *unread)),
            Self::Before(before, Some(name), unread) => {
                let inbox = name.eq_ignore_ascii_case("INBOX") && folder.name == "INBOX";
                (inbox || *name == folder.name).then_some((*before, *unread))
            }
        }
    }
}

/// What was removed from one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The folder.
    pub folder: String,
    /// How much.
    pub expired: Expired,
}

/// Removes what a rule says from all folders of a mailbox; those of which nothing is old enough are left out of the
/// answer. A mailbox that does not exist has nothing to remove.
///
/// # Errors
/// What the store says; what was removed until then is gone.
pub async fn expire_mailbox(
    roles: &Roles,
    random: &Random,
    mailbox: MailboxId,
    rule: &Rule,
    now: Timestamp,
    run: Run,
) -> Result<Vec<Removed>, StoreError> {
    let folders = match roles.store.folder_list(&call(random), mailbox).await {
        Ok(list) => list.folders,
        Err(StoreError::NoMailbox) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut removed = Vec::new();
    for folder in folders {
        let Some((before, unread)) = rule.before(&folder, now) else { continue };
        let expire = Expire { mailbox, folder: folder.id, before, unread, run };
        match roles.store.message_expire(&call(random), expire).await {
            Ok(expired) if expired == Expired::default() => {}
            Ok(expired) => removed.push(Removed { folder: folder.name, expired }),
            // The user has removed it meanwhile.
            Err(StoreError::NoFolder) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(removed)
}

/// The round of the daemon: every mailbox whose class limits the age of its mail and that was not looked at for
/// `interval`. The time of the last look is kept with the mailbox, so a daemon that starts again goes on where it was
/// (ITS 11763). A mailbox that fails is logged and does not hold up the others. Tells how many were looked at.
///
/// # Errors
/// Where the directory cannot be read.
pub async fn round(
    roles: &Roles,
    random: &Random,
    now: Timestamp,
    interval: Duration,
    log: &Log,
) -> Result<u64, DirectoryError> {
    let mut people = People::new(roles, random, Whom::default());
    let mut looked_at = 0;
    while let Some(page) = people.next().await? {
        for view in views(roles, random, page.into_iter().map(|line| line.user)).await? {
            let (policy, mailbox) = (Policy::of(&view.attributes), view.line.mailbox);
            // Whoever has a store sees to it.
            if !roles.hosts.has_open(&view.line.home) || policy.is_endless() {
                continue;
            }
            let roles = roles.at(&view.line.home);
            if !is_due(&roles, random, mailbox, now, interval).await {
                continue;
            }
            looked_at += 1;
            let rule = Rule::Class(policy);
            if let Err(reason) = expire_mailbox(&roles, random, mailbox, &rule, now, Run::Real).await {
                log.emit(&MsExpiryFailed { mailbox, reason });
            }
        }
    }
    Ok(looked_at)
}

async fn is_due(
    roles: &Roles,
    random: &Random,
    mailbox: MailboxId,
    now: Timestamp,
    interval: Duration,
) -> bool {
    let last = roles.store.attribute_get(&call(random), mailbox, AttributeName::last_expired()).await;
    let Ok(Some(last)) = last else { return true };
    let last = std::str::from_utf8(&last).ok().and_then(Timestamp::parse_rfc3339);
    // A time to come is a clock that was wrong.
    last.is_none_or(|last| last > now || now.since(last) >= interval)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::house::House;
    use catalog::cos::{Rule as Combine, Type};
    use mail::id::{FolderId, ModSeq, Uid, UidValidity};
    use roles::directory::provision::Source;

    fn policy(values: &[(&str, &str)]) -> Policy {
        let view = |(name, value): &(&str, &str)| AttributeView {
            name: (*name).into(),
            rule: Combine::Account,
            kind: Type::Number,
            value: (*value).into(),
            source: Source::Cos,
        };
        Policy::of(&values.iter().map(view).collect::<Vec<_>>())
    }

    fn folder(name: &str, special_use: Option<SpecialUse>) -> Folder {
        Folder {
            id: FolderId(3),
            name: name.into(),
            uid_validity: UidValidity(1),
            uid_next: Uid(1),
            highest_modseq: ModSeq(1),
            messages: 0,
            unseen: 0,
            deleted: 0,
            bytes: 0,
            subscribed: false,
            special_use,
        }
    }

    #[test]
    fn each_folder_has_the_age_of_its_kind() {
        let policy = policy(&[("expireTrashDays", "30"), ("expireJunkDays", "7"), ("expireUnread", "YES")]);
        let days = |name, used| policy.age(&folder(name, used)).map(|age| age.as_secs() / DAY);
        assert_eq!(days("Trash", None), Some(30));
        assert_eq!(days("trash/2026", None), Some(30));
        assert_eq!(days("Papierkorb", Some(SpecialUse::Trash)), Some(30));
        assert_eq!(days("Spam", None), Some(7));
        assert_eq!(days("Trash", Some(SpecialUse::Archive)), None, "its use says more than its name");
        assert_eq!((days("INBOX", None), days("Trashy", None)), (None, None));
        assert_eq!(policy.unread, Unread::Goes);
        assert!(!policy.is_endless());
    }

    #[test]
    fn its_13904_unread_mail_is_protected_unless_the_class_says_otherwise() {
        assert_eq!(policy(&[]).unread, Unread::Stays);
        assert_eq!(policy(&[("expireUnread", "no")]).unread, Unread::Stays);
        assert!(policy(&[("expireMailDays", "x")]).is_endless());
    }

    #[test]
    fn a_rule_names_one_folder_or_all() {
        let (now, at) = (Timestamp::from_secs(1000), Timestamp::from_secs(7));
        let all = Rule::Before(at, None, Unread::Goes);
        assert_eq!(all.before(&folder("a", None), now), Some((at, Unread::Goes)));
        let one = Rule::Before(at, Some("inbox".into()), Unread::Stays);
        assert!(
            one.before(&folder("INBOX", None), now).is_some()
                && one.before(&folder("a", None), now).is_none()
        );
    }

    #[tokio::test]
    async fn its_11763_each_mailbox_keeps_the_time_of_its_last_round() {
        let house = House::new().await;
        let (anna, bert) = (house.account("anna").await, house.account("bert").await);
        house.ok("imdbcontrol sac anna example.org expireMailDays 1").await;
        house.ok("imdbcontrol sac anna example.org expireUnread yes").await;
        for mailbox in [anna, bert] {
            house.deliver(mailbox, "old", Timestamp::default()).await;
        }
        let (roles, log) = (house.roles(), Log::in_memory("mss"));
        let (now, hour) = (Timestamp::from_secs(1_000_000_000), Duration::from_secs(3600));
        let round = |now| round(&roles, &house.random, now, hour, &log);
        assert_eq!(round(now).await, Ok(1), "bert's class keeps mail for ever");
        assert_eq!((house.inbox(anna).await.len(), house.inbox(bert).await.len()), (0, 1));
        // The time is with the mailbox: whoever comes within the hour has nothing to do.
        let last = |text: &'static str| async {
            let value = Some(text.into());
            let name = AttributeName::last_expired();
            roles.store.attribute_set(&call(&house.random), anna, name, value).await.unwrap();
        };
        last("2001-09-09T01:46:40.000Z").await;
        assert_eq!(round(now.plus(hour / 2)).await, Ok(0));
        assert_eq!(round(now.plus(hour)).await, Ok(1));
        last("2999-01-01T00:00:00Z").await;
        assert_eq!(round(now).await, Ok(1), "a clock that was wrong does not stop it for ever");
        house.store.fail(Some(StoreError::Unavailable));
        assert_eq!(round(now).await, Ok(1));
        assert!(log.lines().iter().any(|line| line.contains("MsExpiryFailed")), "{:?}", log.lines());
    }
}
