//! What can be known of a message by looking at its bytes once: headers, parts, addresses, dates.
//!
//! [`Scanner`] reads a message as it passes, in chunks of any size, and leaves an [`Outline`]: where every
//! part lies and all that IMAP's ENVELOPE, BODY and BODYSTRUCTURE say of it. The outline is stored beside
//! the body, so that nothing is scanned twice. [`header`] takes header blocks apart, [`addresses`] and
//! [`date`] the values in them.
//!
//! No function here fails on a bad message: mail is what arrived, and what cannot be understood is opaque
//! content. Decoding of charsets and transfer encodings is [`crate::text`]'s business.

pub mod addresses;
mod codec;
pub mod date;
mod fields;
pub mod header;
mod lex;
mod outline;
mod scanner;
#[cfg(test)]
mod tests;

pub use codec::{BadOutline, Head};
pub use outline::{Envelope, Kind, Outline, Part, SectionText};
pub use scanner::{Limits, Scanner};
