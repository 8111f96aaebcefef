//! Backups of a host.

use super::proto as p;
use super::{Bad, need};
use mail::id::MailboxId;
use mail::time::Timestamp;
use roles::backup as r;

impl From<r::Make> for p::BackupMakeRequest {
    fn from(make: r::Make) -> Self {
        Self {
            folder: make.folder,
            messages_only: make.what == r::What::Messages,
            rate: make.rate,
            keep: u64::try_from(make.keep).unwrap_or(u64::MAX),
        }
    }
}

impl From<p::BackupMakeRequest> for r::Make {
    fn from(make: p::BackupMakeRequest) -> Self {
        Self {
            folder: make.folder,
            what: if make.messages_only { r::What::Messages } else { r::What::Site },
            rate: make.rate,
            keep: usize::try_from(make.keep).unwrap_or(usize::MAX),
        }
    }
}

impl From<r::Join> for p::BackupJoinRequest {
    fn from(join: r::Join) -> Self {
        Self { folder: join.folder, rate: join.rate }
    }
}

impl From<p::BackupJoinRequest> for r::Join {
    fn from(join: p::BackupJoinRequest) -> Self {
        Self { folder: join.folder, rate: join.rate }
    }
}

impl From<r::Progress> for p::BackupDone {
    fn from(progress: r::Progress) -> Self {
        Self { done: progress.done, total: progress.total, written: progress.written }
    }
}

impl From<p::BackupDone> for r::Progress {
    fn from(progress: p::BackupDone) -> Self {
        Self { done: progress.done, total: progress.total, written: progress.written }
    }
}

impl From<r::Made> for p::BackupMade {
    fn from(made: r::Made) -> Self {
        Self {
            generation: made.generation,
            taken: made.taken.as_micros(),
            progress: Some(made.progress.into()),
            removed: made.removed,
            left_out: made.left_out,
        }
    }
}

impl TryFrom<p::BackupMade> for r::Made {
    type Error = Bad;

    fn try_from(made: p::BackupMade) -> Result<Self, Bad> {
        Ok(Self {
            generation: made.generation,
            taken: Timestamp::from_micros(made.taken),
            progress: need(made.progress, "progress")?.into(),
            removed: made.removed,
            left_out: made.left_out,
        })
    }
}

impl From<r::Recover> for p::MailboxRecoverRequest {
    fn from(recover: r::Recover) -> Self {
        Self {
            folder: recover.folder,
            generation: recover.generation,
            from: recover.from.0,
            into: recover.into.0,
            below: recover.below,
            quota: Some((&recover.quota).into()),
        }
    }
}

impl TryFrom<p::MailboxRecoverRequest> for r::Recover {
    type Error = Bad;

    fn try_from(recover: p::MailboxRecoverRequest) -> Result<Self, Bad> {
        Ok(Self {
            folder: recover.folder,
            generation: recover.generation,
            from: MailboxId(recover.from),
            into: MailboxId(recover.into),
            below: recover.below,
            quota: need(recover.quota, "quota")?.try_into()?,
        })
    }
}

impl From<r::Recovered> for p::MailboxRecovered {
    fn from(recovered: r::Recovered) -> Self {
        Self {
            generation: recovered.generation,
            folders: recovered.folders,
            messages: recovered.messages,
            bytes: recovered.bytes,
            damaged: recovered.damaged,
        }
    }
}

impl From<p::MailboxRecovered> for r::Recovered {
    fn from(recovered: p::MailboxRecovered) -> Self {
        Self {
            generation: recovered.generation,
            folders: recovered.folders,
            messages: recovered.messages,
            bytes: recovered.bytes,
            damaged: recovered.damaged,
        }
    }
}
