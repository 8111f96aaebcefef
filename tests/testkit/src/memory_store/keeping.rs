//! The warning of the quota, and the age of mail. All mail is as old as its date here.

use super::{Item, Mailbox};
use bytes::Bytes;
use mail::attribute::AttributeName;
use mail::flags::{Flags, SystemFlags};
use mail::time::Timestamp;
use roles::Body;
use roles::store::{Expire, Expired, Quota, Run, StoreError, Unread, Usage};

impl Mailbox {
    /// Warns the user where the threshold has been crossed since then.
    pub(super) fn warn(&mut self, before: Usage, quota: &Quota) -> Result<(), StoreError> {
        let Some(warning) = &quota.warning else { return Ok(()) };
        let reaches = |have: u64, limit: u64| limit > 0 && have * 100 >= limit * u64::from(warning.percent);
        let above = |u: Usage| reaches(u.bytes, quota.bytes) || reaches(u.messages, quota.messages);
        let text =
            format!("To: {}\r\nAuto-Submitted: auto-generated\r\n\r\n{}\r\n", warning.to, warning.text);
        let fits = self.check_quota(quota, 1, text.len() as u64).is_ok();
        if fits && !above(before) && above(self.usage()) {
            self.put("INBOX", Flags::default(), Timestamp::default(), Body::from_bytes(text))?;
        }
        Ok(())
    }

    pub(super) fn expire(&mut self, expire: &Expire) -> Result<Expired, StoreError> {
        let old = |item: &Item| item.received < expire.before;
        let safe =
            |item: &Item| expire.unread == Unread::Stays && !item.flags.system.contains(SystemFlags::SEEN);
        let mut expired = Expired::default();
        for item in self.by_id(expire.folder)?.messages.values().filter(|item| old(item)) {
            if safe(item) {
                expired.protected += 1;
            } else {
                expired.messages += 1;
                expired.bytes += item.body.len();
            }
        }
        if expire.run == Run::Real {
            self.remove(expire.folder, |_, item| old(item) && !safe(item))?;
            self.attributes.insert(AttributeName::last_expired(), Bytes::from_static(b"now"));
        }
        Ok(expired)
    }
}
