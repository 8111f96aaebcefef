//! Starting, stopping and looking at servers.

mod daemon;
pub mod imctrl;
pub mod imservctrl;
pub mod imservdisplay;
pub mod imservping;
mod status;
#[cfg(test)]
mod tests;

pub(crate) use status::configured;
