//! The log events, one file a prefix family.
#![allow(non_camel_case_types, reason = "an event has one type parameter a field, named like the field")]

pub mod mta;
pub mod nio;
pub mod proc;

use crate::event::EventRow;

/// Every row of every file.
pub fn rows() -> impl Iterator<Item = &'static EventRow> {
    [mta::ROWS, nio::ROWS, proc::ROWS].into_iter().flatten().copied()
}
