//! Keys of the MTA.

use crate::key::Kind;
use crate::keys;

keys! {
    #[doc = "Largest message accepted, in KB, by SMTP, LMTP and submission. A larger one is refused with 552."]
    MAX_MESSAGE_SIZE: u64 = "maxMessageSize" in ["mta"], Kind::Number(1..=2_097_151), ["51200"], Live, since "3.2";
    #[doc = "Most recipients in one transaction; more are answered with 452 and may be sent again."]
    MAX_RECIPIENTS: u64 = "maxRecipients" in ["mta"], Kind::Number(100..=100_000), ["1000"], Live, since "5.0";
}
