//! Accounts, addresses, domains and classes of service.

pub mod cosupgrade;
pub mod imaccountquery;
pub mod imdbcontrol;
pub mod impwdhash;
