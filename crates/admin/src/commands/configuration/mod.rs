//! The configuration tree.

pub mod imconfcontrol;
pub mod imconfedit;
pub mod imconfget;
pub mod imconfxlate;
