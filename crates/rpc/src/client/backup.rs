//! The role Backup: folders are those of the peer.

use super::{Remote, garbled};
use crate::convert::proto as p;
use crate::pool::Asks as _;
use crate::pool::Safe::{Once, Repeat};
use roles::backup::{Backup, BackupError, Join, Made, Make, Progress, Recover, Recovered};
use roles::{Answer, Call};

impl Backup for Remote {
    fn backup_make<'a>(&'a self, call: &'a Call, make: Make) -> Answer<'a, Made, BackupError> {
        Box::pin(async move {
            let path = "/intermail.v1.Backup/BackupMake";
            let message: p::BackupMakeRequest = make.into();
            let made: p::BackupMade = self.peer.ask(call, Once, path, message).await?;
            made.try_into().map_err(garbled)
        })
    }

    fn backup_join<'a>(&'a self, call: &'a Call, join: Join) -> Answer<'a, Progress, BackupError> {
        Box::pin(async move {
            let path = "/intermail.v1.Backup/BackupJoin";
            let message: p::BackupJoinRequest = join.into();
            let done: p::BackupDone = self.peer.ask(call, Once, path, message).await?;
            Ok(done.into())
        })
    }

    fn backup_progress<'a>(&'a self, call: &'a Call) -> Answer<'a, Option<Progress>, BackupError> {
        Box::pin(async move {
            let path = "/intermail.v1.Backup/BackupProgress";
            let goes_on: p::BackupGoesOn = self.peer.ask(call, Repeat, path, p::Empty {}).await?;
            Ok(goes_on.progress.map(Into::into))
        })
    }

    fn mailbox_recover<'a>(&'a self, call: &'a Call, recover: Recover) -> Answer<'a, Recovered, BackupError> {
        Box::pin(async move {
            let path = "/intermail.v1.Backup/MailboxRecover";
            let message: p::MailboxRecoverRequest = recover.into();
            let recovered: p::MailboxRecovered = self.peer.ask(call, Once, path, message).await?;
            Ok(recovered.into())
        })
    }
}
