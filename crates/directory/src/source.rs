//! Who has the whole directory: a database, or another directory server.

use crate::fault::Fault;
use crate::server::{Shared, Through};
use roles::Answer;
use roles::directory::{Directory, DirectoryError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use storage::directory::{DirectoryTables, Rows};

/// Where what is not here comes from.
pub(crate) enum Source {
    /// The directory's database.
    Tables(DirectoryTables),
    /// A server that has it.
    Server(Arc<dyn Directory>),
}

impl Shared {
    /// The database, where this process has a way to it and has seen that it is the right one.
    pub(crate) fn tables(&self) -> Result<&DirectoryTables, Fault> {
        match &self.source {
            Source::Tables(tables) if self.prepared.load(Ordering::Acquire) => Ok(tables),
            _ => Err(DirectoryError::Unavailable.into()),
        }
    }

    /// Reads in the database.
    pub(crate) async fn read<T, F>(&self, job: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Rows<'_>) -> Result<T, Fault> + Send + 'static,
    {
        self.tables()?.read(job).await
    }

    /// What the other server says, where it is to be asked before anything here is looked at (`cacheAlwaysReadThru`);
    /// `None` where that is not so, or it does not answer.
    pub(crate) async fn ask_first<'a, T>(
        &'a self,
        ask: impl FnOnce(&'a Arc<dyn Directory>) -> Answer<'a, T, DirectoryError>,
    ) -> Option<Result<T, Fault>> {
        match &self.source {
            Source::Server(server) if self.keys.get().through == Through::Always => {
                answered(ask(server).await)
            }
            _ => None,
        }
    }
}

/// An answer; `None`: nobody was there to give one.
pub(crate) fn answered<T>(answer: Result<T, DirectoryError>) -> Option<Result<T, Fault>> {
    match answer {
        Err(DirectoryError::Unavailable) => None,
        answer => Some(answer.map_err(Fault)),
    }
}
