//! Accounts, addresses, domains and classes of service.

pub mod imdbcontrol;
pub mod impwdhash;
