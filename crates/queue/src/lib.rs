//! The mail queue: takes what cannot be delivered now, gives it to workers when it is due, remembers what came
//! of it, and says when to give up.
//!
//! Promises: an item is durable when it is taken and stays until every recipient is settled; two workers never
//! have the same recipients at once, and a worker that dies costs a lease, not mail; one destination that does
//! not answer does not hold up the others. Connecting, delivering and reporting are the MTA's (`mta::outbound`);
//! the keys and bodies are kept by `storage::deferred`.

pub mod schedule;
