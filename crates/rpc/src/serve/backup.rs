//! The role Backup. Where the caller goes, the call is dropped, and a backup that is being made ends.

use super::{Asked, Inner, Response, bad, failed, unknown};
use crate::convert::proto as p;
use roles::Call;
use roles::backup::Backup;

pub(super) async fn serve(inner: &Inner, backup: &dyn Backup, method: &str, request: Asked) -> Response {
    match method {
        "BackupMake" => {
            let ask = |call: Call, m: p::BackupMakeRequest| async move {
                backup.backup_make(&call, m.into()).await.map(p::BackupMade::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "BackupJoin" => {
            let ask = |call: Call, m: p::BackupJoinRequest| async move {
                backup.backup_join(&call, m.into()).await.map(p::BackupDone::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        "BackupProgress" => {
            let ask = |call: Call, _: p::Empty| async move {
                let progress = backup.backup_progress(&call).await.map_err(failed)?;
                Ok(p::BackupGoesOn { progress: progress.map(Into::into) })
            };
            inner.unary(request, ask).await
        }
        "MailboxRecover" => {
            let ask = |call: Call, m: p::MailboxRecoverRequest| async move {
                let recover = m.try_into().map_err(bad)?;
                let recovered = backup.mailbox_recover(&call, recover).await;
                recovered.map(p::MailboxRecovered::from).map_err(failed)
            };
            inner.unary(request, ask).await
        }
        _ => unknown(),
    }
}
