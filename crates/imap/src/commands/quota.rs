//! GETQUOTA and GETQUOTAROOT. RFC 9208 4.1: one root, the mailbox of the account, called by the empty name.

use crate::replies::{Failed, Outcome, Reply};
use crate::session::Session;
use roles::store::{Quota, Usage};
use wire::imap::command::Tag;
use wire::imap::name::MailboxName;
use wire::imap::response::{Code, Put};

pub(super) async fn get_quota(session: &mut Session<'_>, tag: &Tag, root: &str) -> Outcome {
    if !root.is_empty() {
        return Err(Failed::No(Some(Code::NonExistent), "no such quota root"));
    }
    put(session).await?;
    Ok(Reply::ok(tag, "done"))
}

pub(super) async fn get_quota_root(session: &mut Session<'_>, tag: &Tag, name: &MailboxName) -> Outcome {
    let mailbox = session.account()?.mailbox;
    session.store().folder_status(&session.call(), mailbox, name.as_str().to_owned()).await?;
    let form = session.form();
    session.connection.output().raw("* QUOTAROOT ").mailbox(name.as_str(), form).raw(" \"\"").crlf();
    put(session).await?;
    Ok(Reply::ok(tag, "done"))
}

async fn put(session: &mut Session<'_>) -> Result<(), Failed> {
    let account = session.account()?;
    let (mailbox, quota) = (account.mailbox, account.quota.clone());
    let usage = session.store().mailbox_usage(&session.call(), mailbox).await?;
    let out = session.connection.output();
    out.raw("* QUOTA \"\" (");
    for (i, (name, used, limit)) in resources(&quota, usage).enumerate() {
        out.raw(if i == 0 { "" } else { " " }).raw(name).raw(" ").number(used).raw(" ").number(limit);
    }
    out.raw(")").crlf();
    Ok(())
}

/// RFC 9208 5.1: STORAGE counts in units of 1024 octets; a part of one counts as one. What has no limit is not
/// a resource of the root.
fn resources(quota: &Quota, usage: Usage) -> impl Iterator<Item = (&'static str, u64, u64)> + use<> {
    let storage = ("STORAGE", usage.bytes.div_ceil(1024), quota.bytes.div_ceil(1024));
    let messages = ("MESSAGE", usage.messages, quota.messages);
    [storage, messages].into_iter().filter(|(.., limit)| *limit > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_counts_in_kilobytes_and_no_limit_is_not_shown() {
        let quota = Quota { bytes: 10_240, ..Quota::default() };
        let usage = Usage { bytes: 1025, messages: 3 };
        assert_eq!(resources(&quota, usage).collect::<Vec<_>>(), [("STORAGE", 2, 10)]);
    }
}
