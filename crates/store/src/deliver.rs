//! New mail from the MTA: one stored body and one commit in each shard that has recipients.
//!
//! Decided on the committer, because only there nothing changes between the look and the act: whether the request
//! was served before, whether the mailbox exists, its quota, its folder.

use crate::arrival::{self, Warned};
use crate::error::Fail;
use crate::mailbox::{Made, make};
use crate::open::{AWAY_LOOKS, AWAY_STEP, Inner, Switches};
use crate::quota::Over;
use crate::source::{Incoming, Noted, note};
use catalog::events::{ms, run};
use futures_util::future::join_all;
use mail::id::{MailboxId, RequestId};
use mail::time::Timestamp;
use roles::store::{Deliver, DeliverTo, Delivered, Placed, Repeatable, StoreError, Usage};
use roles::{Body, Call};
use std::sync::Arc;
use std::time::Duration;
use storage::mailboxes::transfer::is_away;
use storage::mailboxes::{
    AgesFrom, Earlier, FolderName, FolderRow, Mailbox, NewMessage, When, Writer, earlier, remember,
};
use storage::shard::{BlobRef, ShardError, Transaction};

/// Most recipients of one delivery.
const MAX_RECIPIENTS: usize = 10_000;
/// How long a request id is remembered: longer than any queue keeps a message.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(7 * 86_400);

/// What became of one recipient, with what there is to say about it in the log.
struct Outcome {
    number: usize,
    placed: Result<Placed, StoreError>,
    notes: Notes,
}

#[derive(Default)]
struct Notes {
    made: Option<Made>,
    folder_missing: bool,
    repeated: bool,
    over: Option<Over>,
    /// The mailbox changes its place: to be tried again.
    away: bool,
    warned: Option<Warned>,
}

/// What is the same for all recipients.
struct Common {
    body: Body,
    noted: Noted,
    received: Timestamp,
    when: When,
    request: Option<RequestId>,
    switches: Arc<Switches>,
}

impl Inner {
    pub(crate) async fn deliver(&self, call: &Call, deliver: Deliver) -> Result<Delivered, StoreError> {
        if deliver.to.is_empty() || deliver.to.len() > MAX_RECIPIENTS {
            return Err(StoreError::Refused(format!("1 to {MAX_RECIPIENTS} recipients")));
        }
        let noted = note(&deliver.body).await.map_err(|_| StoreError::Unavailable)?;
        let switches = self.switches.get();
        let remembered = deliver.repeatable == Repeatable::Yes && switches.know_repeats;
        let common = Arc::new(Common {
            noted,
            received: deliver.received,
            when: self.when(),
            request: remembered.then_some(call.request),
            switches,
            body: deliver.body,
        });
        let to: Arc<[DeliverTo]> = deliver.to.into();
        let mut left: Vec<usize> = (0..to.len()).collect();
        let mut outcomes = Vec::new();
        for look in 1..=AWAY_LOOKS {
            let mut by_shard = vec![Vec::new(); self.shards.len()];
            for number in left.drain(..) {
                by_shard[self.shard_number(to[number].mailbox)].push(number);
            }
            let commits = by_shard.into_iter().enumerate().filter(|(_, numbers)| !numbers.is_empty());
            let commits = commits.map(|(shard, numbers)| self.deliver_in(shard, numbers, &to, &common));
            let mut done = join_all(commits).await;
            if look < AWAY_LOOKS {
                for (of_shard, _) in &mut done {
                    left.extend(of_shard.extract_if(.., |o| o.notes.away).map(|o| o.number));
                }
            }
            outcomes.extend(done);
            if left.is_empty() {
                break;
            }
            self.env.clock.sleep(AWAY_STEP).await;
        }
        self.collect(call, &to, &common, outcomes)
    }

    /// The recipients of one shard. Where the commit fails it failed for all of them.
    async fn deliver_in(
        &self,
        shard: usize,
        numbers: Vec<usize>,
        to: &Arc<[DeliverTo]>,
        common: &Arc<Common>,
    ) -> (Vec<Outcome>, Option<StoreError>) {
        let (to, common, watchers) = (Arc::clone(to), Arc::clone(common), Arc::clone(&self.watchers));
        let (asked, placement) = (numbers.clone(), Arc::clone(&self.placement));
        let task = move |tx: &mut Transaction<'_>| {
            let mut blob = None;
            let mut outcomes = Vec::with_capacity(numbers.len());
            for number in numbers {
                if placement.stirs() && is_away(tx, to[number].mailbox)? {
                    outcomes.push(away(number));
                    continue;
                }
                outcomes.push(place(tx, &mut blob, &common, &to[number], number)?);
            }
            let changed: Vec<MailboxId> =
                outcomes.iter().filter(|o| o.placed.is_ok()).map(|o| to[o.number].mailbox).collect();
            tx.after_commit(move || changed.into_iter().for_each(|mailbox| watchers.publish(mailbox)));
            Ok::<_, ShardError>(outcomes)
        };
        match self.shards[shard].commit(task).await {
            Ok(outcomes) => (outcomes, None),
            Err(error) => {
                let error = Fail::from(error).tell(&self.env);
                let failed = |number| Outcome { number, placed: Err(error.clone()), notes: Notes::default() };
                (asked.into_iter().map(failed).collect(), Some(error))
            }
        }
    }

    fn collect(
        &self,
        call: &Call,
        to: &[DeliverTo],
        common: &Common,
        shards: Vec<(Vec<Outcome>, Option<StoreError>)>,
    ) -> Result<Delivered, StoreError> {
        if let Some(error) = shards.iter().map(|(_, e)| e.clone()).collect::<Option<Vec<_>>>() {
            return Err(error.into_iter().next().unwrap_or(StoreError::Unavailable));
        }
        let mut delivered = vec![Err(StoreError::Unavailable); to.len()];
        for outcome in shards.into_iter().flat_map(|(outcomes, _)| outcomes) {
            self.log_outcome(call, &to[outcome.number], common, &outcome);
            delivered[outcome.number] = outcome.placed;
        }
        Ok(delivered)
    }

    fn log_outcome(&self, call: &Call, to: &DeliverTo, common: &Common, outcome: &Outcome) {
        let (log, id, mailbox) = (&self.env.log, call.trace.as_str(), to.mailbox);
        if let Some(made) = outcome.notes.made {
            self.log_made(mailbox, made, "delivery");
        }
        self.log_warned(mailbox, outcome.notes.warned);
        if outcome.notes.folder_missing {
            let folder = to.folder.as_deref().unwrap_or_default();
            log.emit(&ms::MsDeliverFolderNotFound { mailbox, folder, id });
        }
        match outcome.notes.over {
            Some(Over::Bytes(used)) => {
                let (limit, bytes) = (to.quota.bytes, common.body.len());
                log.emit(&run::RunMssQuotaMaxBytes { mailbox, used, limit, bytes });
            }
            Some(Over::Messages(count)) => {
                log.emit(&run::RunMssQuotaMaxMsgs { mailbox, count, limit: to.quota.messages });
            }
            None => {}
        }
        if let Ok(placed) = &outcome.placed {
            let event = if outcome.notes.repeated { "repeated" } else { "delivered" };
            self.trace_step(event, call, mailbox, placed.uid, common.body.len());
        }
    }
}

/// The mailbox is not where it was looked for, or must not be changed just now.
fn away(number: usize) -> Outcome {
    Outcome { number, placed: Err(StoreError::Busy), notes: Notes { away: true, ..Notes::default() } }
}

/// Delivers to one recipient. A refusal is its outcome; an error is everybody's.
fn place(
    tx: &mut Transaction<'_>,
    blob: &mut Option<BlobRef>,
    common: &Common,
    to: &DeliverTo,
    number: usize,
) -> Result<Outcome, ShardError> {
    let mut notes = Notes::default();
    let done = |placed, notes| Ok(Outcome { number, placed, notes });
    if let Some(request) = common.request
        && let Some(before) = earlier(tx, to.mailbox, request)?
    {
        notes.repeated = true;
        return done(Ok(placed(before)), notes);
    }
    let exists = Mailbox::new(tx, to.mailbox).exists()?;
    if !exists && !common.switches.create {
        // createMboxes is off: the mail is deferred until the mailbox has been made.
        return done(Err(StoreError::Unavailable), notes);
    }
    let mut writer = match Writer::open(tx, to.mailbox, common.when)? {
        Some(writer) => writer,
        None => {
            let (writer, made) = make(tx, to.mailbox, common.when, &common.switches)?;
            notes.made = Some(made);
            writer
        }
    };
    let before = arrival::usage(&writer);
    let more = Usage { bytes: common.body.len(), messages: 1 };
    if let Err(over) = arrival::judge(&writer, more, &to.quota) {
        writer.save()?;
        notes.over = Some(over);
        return done(Err(over.into()), notes);
    }
    let (mut folder, missing) = find_folder(&writer, to.folder.as_deref())?;
    notes.folder_missing = missing;
    let reference = match *blob {
        Some(stored) => {
            writer.transaction().retain(&stored, 1)?;
            stored
        }
        None => {
            let body = Incoming(common.body.clone());
            *blob.insert(writer.transaction().store(&common.noted.outline, &body)?)
        }
    };
    let keywords = writer.keyword_places(&to.flags)?;
    let (received, sent) = (common.received, common.noted.sent);
    let new = NewMessage {
        system: to.flags.system,
        keywords,
        received,
        ages_from: AgesFrom::Received,
        sent,
        blob: reference,
    };
    let modseq = writer.next_modseq();
    let uid = writer.add(&mut folder, new, modseq)?;
    notes.warned =
        arrival::warn(&mut writer, &mut folder, before, &to.quota, &common.switches, common.when.now)?;
    writer.save_folder(&folder)?;
    writer.save()?;
    let what = Earlier { folder: folder.id, uid_validity: folder.uid_validity, uid };
    if let Some(request) = common.request {
        remember(tx, to.mailbox, request, what, common.when.now.plus(REMEMBERED))?;
    }
    done(Ok(placed(what)), notes)
}

/// The folder, or the Inbox where it does not exist.
fn find_folder(writer: &Writer<'_, '_>, name: Option<&str>) -> Result<(FolderRow, bool), ShardError> {
    let mailbox = writer.mailbox();
    let wanted = name.map(FolderName::parse).transpose().ok().flatten();
    let found = wanted.map(|name| mailbox.folder_named(&name)).transpose()?.flatten();
    match found {
        Some(folder) => Ok((folder, false)),
        None => {
            let inbox = mailbox.folder(mail::id::FolderId::INBOX)?;
            Ok((inbox.ok_or_else(no_inbox)?, name.is_some()))
        }
    }
}

fn no_inbox() -> ShardError {
    ShardError::Corrupt("a mailbox without an Inbox".into())
}

fn placed(what: Earlier) -> Placed {
    Placed { folder: what.folder, uid_validity: what.uid_validity, uid: what.uid }
}
