//! Attributes of a mailbox: names with bytes, such as the autoreply. They are stored, found and removed whole.

use crate::error::Fail;
use crate::open::Inner;
use bytes::Bytes;
use mail::attribute::{AUTOREPLY, AttributeName, MAX_COUNT, MAX_VALUE};
use mail::id::MailboxId;
use roles::store::{AttributeLine, StoreError};
use storage::mailboxes::{Mailbox, Writer};
use storage::shard::{ShardError, Transaction};

impl Inner {
    pub(crate) async fn attribute(
        &self,
        mailbox: MailboxId,
        name: AttributeName,
    ) -> Result<Option<Bytes>, StoreError> {
        let job = move |view: &storage::shard::View<'_>| {
            let mailbox = existing(Mailbox::new(view, mailbox))?;
            Ok(mailbox.attribute(name.as_str())?.map(|value| Bytes::copy_from_slice(&value)))
        };
        self.look(mailbox, job).await
    }

    pub(crate) async fn attributes(&self, mailbox: MailboxId) -> Result<Vec<AttributeLine>, StoreError> {
        let job = move |view: &storage::shard::View<'_>| {
            let found = existing(Mailbox::new(view, mailbox))?.attributes()?;
            let lines = found.into_iter().map(|(name, bytes)| {
                let name = AttributeName::parse(&name);
                name.map(|name| AttributeLine { name, bytes })
            });
            let lines: Result<Vec<_>, _> = lines.collect();
            Ok(lines.map_err(|_| ShardError::Corrupt("the name of an attribute".into()))?)
        };
        self.look(mailbox, job).await
    }

    pub(crate) async fn set_attribute(
        &self,
        mailbox: MailboxId,
        name: AttributeName,
        value: Option<Bytes>,
    ) -> Result<(), StoreError> {
        let length = value.as_ref().map_or(0, Bytes::len);
        check_length(name.as_str(), length, self.switches.get().max_autoreply)?;
        let when = self.when();
        let task = move |tx: &mut Transaction<'_>| {
            let mut writer = Writer::open(tx, mailbox, when)?.ok_or(StoreError::NoMailbox)?;
            let names = writer.mailbox().attributes()?;
            let known = names.iter().any(|(known, _)| known == name.as_str());
            if value.is_some() && !known && names.len() >= MAX_COUNT {
                return Err(StoreError::Limit(format!("the mailbox has {MAX_COUNT} attributes")).into());
            }
            writer.set_attribute(name.as_str(), value.as_deref())?;
            Ok::<_, Fail>(writer.save()?)
        };
        self.change(mailbox, task).await
    }
}

fn existing(mailbox: Mailbox<'_>) -> Result<Mailbox<'_>, Fail> {
    if mailbox.exists()? { Ok(mailbox) } else { Err(StoreError::NoMailbox.into()) }
}

/// ITS 19944: an autoreply has a limit of its own. Pure.
fn check_length(name: &str, length: usize, max_autoreply: usize) -> Result<(), StoreError> {
    if name == AUTOREPLY && length > max_autoreply {
        let limit = max_autoreply / 1024;
        return Err(StoreError::Limit(format!(
            "the autoreply is larger than {limit} KB (maxAutoReplyMsgLenKb)"
        )));
    }
    if length > MAX_VALUE {
        return Err(StoreError::Limit(format!("the attribute is larger than {MAX_VALUE} bytes")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_19944_an_autoreply_has_a_limit_of_its_own() {
        assert_eq!(check_length(AUTOREPLY, 2048, 2048), Ok(()));
        let refused = check_length(AUTOREPLY, 2049, 2048).unwrap_err();
        assert_eq!(refused.to_string(), "the autoreply is larger than 2 KB (maxAutoReplyMsgLenKb)");
        assert_eq!(check_length("addressbook", MAX_VALUE, 2048), Ok(()));
        assert!(check_length("addressbook", MAX_VALUE + 1, 2048).is_err());
    }
}
