//! Looking after the site.

pub mod imsysmon;
