//! The configuration tree.

pub mod imconfcontrol;
pub mod imconfedit;
pub mod imconfformput;
pub mod imconfget;
pub mod imconfxlate;

mod drift;
mod stage;
