//! Messages of the wire and the plain types of `roles`, both ways.
//!
//! Total and checked: what is no value of its type is [`Bad`], which the serving side answers with `InvalidArgument` and
//! the asking side takes for a broken peer. No conversion panics, none is quadratic in what it is given. Unknown numbers
//! of enums become their zero or are bad, as each type says; unknown fields were dropped before.

mod backup;
pub(crate) mod cache;
mod common;
pub(crate) mod configuration;
pub(crate) mod directory;
mod failure;
mod maintenance;
pub(crate) mod manager;
pub(crate) mod ownership;
mod probe;
pub(crate) mod provision;
pub(crate) mod queue;
mod search;
pub(crate) mod store;

pub(crate) use common::address;
pub(crate) use failure::{Fault, failure_of, means_unavailable, of_status, status_of};

/// The generated types: one module for all files, as they share their package.
#[expect(clippy::all, unreachable_pub, reason = "generated from proto/, which has the comments")]
pub(crate) mod proto {
    include!(concat!(env!("OUT_DIR"), "/intermail.v1.rs"));
}

/// What the other side said is no value; says which field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is missing or not valid")]
pub struct Bad(pub(crate) &'static str);

/// Most recipients, mailboxes or outcomes of one request.
pub(crate) const MAX_RECIPIENTS: usize = 10_000;

/// A field that must be there.
pub(crate) fn need<T>(field: Option<T>, name: &'static str) -> Result<T, Bad> {
    field.ok_or(Bad(name))
}

/// All of a list, each converted.
pub(crate) fn each<W, T: TryFrom<W, Error = Bad>>(list: Vec<W>) -> Result<Vec<T>, Bad> {
    list.into_iter().map(T::try_from).collect()
}

/// A list that may have so many entries, each converted.
pub(crate) fn at_most<W, T: TryFrom<W, Error = Bad>>(
    list: Vec<W>,
    most: usize,
    name: &'static str,
) -> Result<Vec<T>, Bad> {
    if list.len() > most { Err(Bad(name)) } else { each(list) }
}

#[cfg(test)]
mod tests;
