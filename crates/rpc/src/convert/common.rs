//! What the roles share: number sets, flags, quotas, envelopes.

use super::Bad;
use super::proto as p;
use mail::address::Address;
use mail::envelope::{BodyKind, Notify, Origin, Recipient, Return, Sender};
use mail::flags::{Flags, Keyword, MAX_KEYWORDS, SystemFlags};
use mail::sequence::NumberSet;
use roles::store::{Quota, Warning};
use std::sync::Arc;

/// Longest `ORCPT` and `ENVID`. RFC 3461 4.2, 4.4.
const MAX_OPTION: usize = 500;

impl From<&NumberSet> for p::Numbers {
    fn from(set: &NumberSet) -> Self {
        Self { bounds: set.ranges().flat_map(|r| [*r.start(), *r.end()]).collect() }
    }
}

impl TryFrom<p::Numbers> for NumberSet {
    type Error = Bad;

    /// Ranges out of order are bad: they would cost more than their number to sort in.
    fn try_from(numbers: p::Numbers) -> Result<Self, Bad> {
        let (pairs, rest) = numbers.bounds.as_chunks::<2>();
        let mut set = Self::new();
        let mut before = 0;
        for &[first, last] in pairs {
            if first <= before || last < first {
                return Err(Bad("numbers"));
            }
            set.insert_range(first..=last);
            before = last;
        }
        if rest.is_empty() { Ok(set) } else { Err(Bad("numbers")) }
    }
}

impl From<&Flags> for p::Flags {
    fn from(flags: &Flags) -> Self {
        let keywords = flags.keywords.iter().map(|k| k.as_str().to_owned()).collect();
        Self { system: u32::from(flags.system.bits()), keywords }
    }
}

/// Bits that are not known are dropped, as everywhere.
pub(super) fn system_flags(bits: u32) -> SystemFlags {
    SystemFlags::from_bits(bits.to_le_bytes()[0])
}

impl TryFrom<p::Flags> for Flags {
    type Error = Bad;

    fn try_from(flags: p::Flags) -> Result<Self, Bad> {
        if flags.keywords.len() > MAX_KEYWORDS {
            return Err(Bad("keywords"));
        }
        let keyword = |k: &String| Keyword::new(k).ok_or(Bad("keywords"));
        let keywords = flags.keywords.iter().map(keyword).collect::<Result<_, _>>()?;
        Ok(Self { system: system_flags(flags.system), keywords })
    }
}

impl From<&Quota> for p::Quota {
    fn from(quota: &Quota) -> Self {
        let warning = quota.warning.as_ref().map(|w| p::Warning {
            percent: u32::from(w.percent),
            to: w.to.clone(),
            from: w.from.clone(),
            text: w.text.clone(),
        });
        Self { bytes: quota.bytes, messages: quota.messages, warning }
    }
}

impl TryFrom<p::Quota> for Quota {
    type Error = Bad;

    fn try_from(quota: p::Quota) -> Result<Self, Bad> {
        let warning = |w: p::Warning| {
            let percent = u8::try_from(w.percent).ok().filter(|p| (1..=100).contains(p));
            let percent = percent.ok_or(Bad("percent"))?;
            Ok(Arc::new(Warning { percent, to: w.to, from: w.from, text: w.text }))
        };
        let warning = quota.warning.map(warning).transpose()?;
        Ok(Self { bytes: quota.bytes, messages: quota.messages, warning })
    }
}

/// An address as text.
pub(crate) fn address(text: &str) -> Result<Address, Bad> {
    Address::parse(text).map_err(|_| Bad("address"))
}

fn option(text: Option<String>, name: &'static str) -> Result<Option<Box<str>>, Bad> {
    match text {
        Some(text) if text.len() > MAX_OPTION => Err(Bad(name)),
        text => Ok(text.map(String::into_boxed_str)),
    }
}

impl From<&Origin> for p::Envelope {
    fn from(origin: &Origin) -> Self {
        Self {
            sender: origin.sender.0.as_ref().map(ToString::to_string),
            return_full: origin.ret == Return::Full,
            envelope_id: origin.envelope_id.as_deref().map(ToOwned::to_owned),
            eight_bit: origin.body == BodyKind::EightBitMime,
            utf8: origin.utf8,
        }
    }
}

impl TryFrom<p::Envelope> for Origin {
    type Error = Bad;

    fn try_from(envelope: p::Envelope) -> Result<Self, Bad> {
        Ok(Self {
            sender: Sender(envelope.sender.as_deref().map(address).transpose()?),
            ret: if envelope.return_full { Return::Full } else { Return::Headers },
            envelope_id: option(envelope.envelope_id, "envelope_id")?,
            body: if envelope.eight_bit { BodyKind::EightBitMime } else { BodyKind::SevenBit },
            utf8: envelope.utf8,
        })
    }
}

impl From<&Recipient> for p::Recipient {
    fn from(recipient: &Recipient) -> Self {
        Self {
            address: recipient.address.to_string(),
            notify_success: recipient.notify.success,
            notify_failure: recipient.notify.failure,
            notify_delay: recipient.notify.delay,
            original: recipient.original.as_deref().map(ToOwned::to_owned),
        }
    }
}

impl TryFrom<p::Recipient> for Recipient {
    type Error = Bad;

    fn try_from(recipient: p::Recipient) -> Result<Self, Bad> {
        let notify = Notify {
            success: recipient.notify_success,
            failure: recipient.notify_failure,
            delay: recipient.notify_delay,
        };
        Ok(Self {
            address: address(&recipient.address)?,
            notify,
            original: option(recipient.original, "original")?,
        })
    }
}
