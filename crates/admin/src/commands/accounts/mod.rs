//! Accounts, addresses, domains and classes of service.

pub mod cosupgrade;
pub mod imaccountquery;
pub mod imbatchextract;
pub mod imbatchload;
pub mod imdbcontrol;
pub mod imintegcheck;
pub mod impwdhash;
