//! The configuration tree.

pub mod imconfcontrol;
pub mod imconfget;
