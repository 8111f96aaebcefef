//! The log events, one file a prefix family.
#![allow(non_camel_case_types, reason = "an event has one type parameter a field, named like the field")]

pub mod ms;
pub mod mta;
pub mod proc;

use crate::event::EventRow;

/// Every row of every file.
pub fn rows() -> impl Iterator<Item = &'static EventRow> {
    [ms::ROWS, mta::ROWS, proc::ROWS].into_iter().flatten().copied()
}
