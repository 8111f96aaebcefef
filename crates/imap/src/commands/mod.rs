//! The commands, one file each or a few that belong together.
//!
//! A command returns its tagged answer; what it has to say before that it writes itself, and the news of the
//! mailbox go between. An error becomes the answer that [`crate::replies`] has for it.

pub(crate) mod append;
mod authenticate;
mod copy;
mod expunge;
mod fetch;
mod folders;
mod idle;
mod list;
mod quota;
mod search;
mod select;
pub(crate) mod session;
mod status;
mod store;

use crate::replies::{self, Outcome, Reply};
use crate::session::{End, Session};
use crate::updates::May;
use catalog::metrics::Operation;
use wire::imap::command::{Command, Tag, Tagged};
use wire::imap::response::{Put, Status};

/// Does a command and answers it.
///
/// # Errors
/// Where the session is over.
pub(crate) async fn run(session: &mut Session<'_>, Tagged { tag, command }: Tagged) -> Result<(), End> {
    if let Err(why) = session.state().permits(&command) {
        let refused = Reply::new(&tag, Status::Bad, None, &why.to_string());
        session.connection.output().raw(refused.0);
        return Ok(());
    }
    let may = May::after(&command);
    let imap = session.imap;
    let _timed = operation(&command).map(|operation| imap.env.metrics.time(operation));
    let outcome = dispatch(session, &tag, command).await;
    answer(session, &tag, outcome, may).await
}

/// Under which name the time of a command is counted. IDLE takes as long as the client likes, and the parts of a login
/// are counted by themselves.
fn operation(command: &Command) -> Option<Operation> {
    use Command as C;
    Some(match command {
        C::Idle | C::Login(_) | C::Authenticate(_) => return None,
        C::Select(_) => Operation::ImapSelect,
        C::Fetch(_) => Operation::ImapFetch,
        C::Store(_) => Operation::ImapStore,
        C::Search(_) => Operation::ImapSearch,
        C::Copy(_) => Operation::ImapCopy,
        C::Move(_) => Operation::ImapMove,
        C::Expunge | C::UidExpunge(_) | C::Close => Operation::ImapExpunge,
        C::List(_) | C::Lsub(..) => Operation::ImapList,
        C::Status(..) => Operation::ImapStatus,
        C::Create(..) | C::Delete(_) | C::Rename(..) => Operation::ImapFolders,
        _ => Operation::ImapOther,
    })
}

/// Writes the news, and then the answer.
async fn answer(session: &mut Session<'_>, tag: &Tag, outcome: Outcome, may: May) -> Result<(), End> {
    let reply = outcome.or_else(|why| replies::failed(tag, why))?;
    session.tell_news(may).await?;
    session.connection.output().raw(reply.0);
    Ok(())
}

async fn dispatch(s: &mut Session<'_>, tag: &Tag, command: Command) -> Outcome {
    use Command as C;
    match command {
        C::Capability => session::capability(s, tag),
        C::Noop | C::Check => Ok(Reply::ok(tag, "done")),
        C::Logout => session::logout(s, tag),
        C::Id(_) => session::id(s, tag),
        C::StartTls => session::start_tls(s, tag).await,
        C::Enable(names) => session::enable(s, tag, &names),
        C::Namespace => session::namespace(s, tag),
        C::Authenticate(authenticate) => authenticate::authenticate(s, tag, authenticate).await,
        C::Login(login) => authenticate::login(s, tag, login).await,
        C::Select(select) => select::select(s, tag, select).await,
        C::Close => expunge::close(s, tag).await,
        C::Unselect => select::unselect(s, tag),
        C::Create(name, uses) => folders::create(s, tag, &name, &uses).await,
        C::Delete(name) => folders::delete(s, tag, &name).await,
        C::Rename(from, to) => folders::rename(s, tag, &from, &to).await,
        C::Subscribe(name) => folders::subscribe(s, tag, &name, roles::store::Subscription::On).await,
        C::Unsubscribe(name) => folders::subscribe(s, tag, &name, roles::store::Subscription::Off).await,
        C::List(list) => list::list(s, tag, &list).await,
        C::Lsub(reference, pattern) => list::lsub(s, tag, &reference, &pattern).await,
        C::Status(name, items) => status::status(s, tag, &name, items).await,
        C::Idle => idle::idle(s, tag).await,
        C::Expunge => expunge::expunge(s, tag).await,
        C::UidExpunge(set) => expunge::uid_expunge(s, tag, &set).await,
        C::Search(search) => search::search(s, tag, search).await,
        C::Fetch(fetch) => fetch::fetch(s, tag, fetch).await,
        C::Store(store) => store::store(s, tag, store).await,
        C::Copy(transfer) => copy::copy(s, tag, transfer).await,
        C::Move(transfer) => copy::move_messages(s, tag, transfer).await,
        C::GetQuota(root) => quota::get_quota(s, tag, &root).await,
        C::GetQuotaRoot(name) => quota::get_quota_root(s, tag, &name).await,
    }
}
