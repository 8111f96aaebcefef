//! Keys of the directory.

use crate::key::Kind;
use crate::keys;

keys! {
    #[doc = "Hours after which entries of the directory's change log are removed."]
    LOG_AGE_HOURS: u64 = "logAgeHours" in ["imdircacheserv"], Kind::Number(1..=8_760), ["24"], Live, since "3.2";
}
