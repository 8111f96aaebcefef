//! Handing in mail.

pub mod sendmail;
