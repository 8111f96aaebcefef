//! What is allowed: functions from facts to a verdict. Nothing here waits, reads a clock or asks anybody; the
//! sessions of `inbound` gather the facts and turn the verdicts into replies.

pub mod limits;
pub mod recipient;
pub mod relay;
pub mod sender;
