//! About the commands themselves.

pub mod im_version;
pub mod imcmdlist;
