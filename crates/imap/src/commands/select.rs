//! SELECT, EXAMINE and UNSELECT. RFC 9051 6.3.2, 6.3.3, 6.4.2, RFC 7162 3.1.8.

use super::session::enable_condstore;
use crate::replies::{Outcome, Reply};
use crate::selected::Selected;
use crate::session::Session;
use crate::updates::put_flags;
use mail::id::Uid;
use roles::store::Folder;
use wire::imap::command::{Access, Select, Tag};
use wire::imap::response::{Code, ListEntry, ListVerb, MailboxAttributes, Put, Status, list, untagged};

pub(super) async fn select(session: &mut Session<'_>, tag: &Tag, select: Select) -> Outcome {
    // RFC 9051 6.3.2: the mailbox that was selected is left, also where the new one cannot be.
    if session.selected.take().is_some() {
        untagged(session.connection.output(), Status::Ok, Some(Code::Closed), "left");
    }
    if select.condstore {
        enable_condstore(session);
    }
    let mailbox = session.account()?.mailbox;
    let name = select.mailbox.as_str();
    // First the watch, then the look: what happens between them is heard.
    session.watch().await?;
    let opened = session.store().folder_open(&session.call(), mailbox, name.to_owned()).await?;
    let (folder, first_unseen) = (opened.folder.clone(), opened.first_unseen);
    let selected = Selected::new(opened, name, select.access);
    describe(session, &selected, &folder, first_unseen);
    session.selected = Some(Box::new(selected));
    Ok(match select.access {
        Access::ReadWrite => Reply::ok_with(tag, Code::ReadWrite, "selected"),
        Access::ReadOnly => Reply::ok_with(tag, Code::ReadOnly, "selected"),
    })
}

/// The untagged responses that RFC 9051 6.3.2 and RFC 3501 6.3.1 require.
fn describe(session: &mut Session<'_>, selected: &Selected, folder: &Folder, first_unseen: Option<Uid>) {
    let form = session.form();
    let rev2 = session.enabled.rev2;
    let out = session.connection.output();
    put_flags(out, selected);
    out.raw("* ").number(selected.exists()).raw(" EXISTS").crlf();
    if rev2 {
        let attributes = MailboxAttributes::default();
        let entry = ListEntry {
            verb: ListVerb::List,
            attributes,
            special_use: None,
            name: &selected.name,
            old_name: None,
            child_info: None,
        };
        list(out, &entry, form);
    } else {
        // RFC 3501 7.3.2: required; no message is ever recent here.
        out.raw("* 0 RECENT").crlf();
        if let Some(number) = first_unseen.and_then(|uid| selected.number(uid)) {
            untagged(out, Status::Ok, Some(Code::Unseen(number)), "the first unseen");
        }
    }
    untagged(out, Status::Ok, Some(Code::UidValidity(folder.uid_validity)), "these UIDs are valid");
    untagged(out, Status::Ok, Some(Code::UidNext(folder.uid_next)), "the next UID");
    untagged(out, Status::Ok, Some(Code::HighestModSeq(folder.highest_modseq)), "so far");
}

pub(super) fn unselect(session: &mut Session<'_>, tag: &Tag) -> Outcome {
    session.selected = None;
    Ok(Reply::ok(tag, "left"))
}
