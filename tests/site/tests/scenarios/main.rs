//! What operators and users once met and shall not meet again: the real program, one site a test, named after
//! the recorded item that each covers.

mod accounts;
mod backup;
mod configuration;
mod control;
mod damage;
mod hosts;
mod imap;
mod keeping;
mod manager;
mod monitor;
mod mta;
mod pop;
mod shares;
mod store;
mod whole;
