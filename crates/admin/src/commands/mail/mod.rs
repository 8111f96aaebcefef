//! Handing in mail.

mod bulk;

pub mod imbroadcast;
pub mod immsgmassmail;
pub mod sendmail;
