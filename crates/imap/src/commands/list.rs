//! LIST and LSUB. RFC 9051 6.3.9, RFC 5258, RFC 5819, RFC 6154, RFC 3501 6.3.9.
//!
//! Which names are shown is decided by [`Names::matching`], a function of the folders and the request.

use super::status;
use crate::replies::{Failed, Outcome, Reply};
use crate::session::Session;
use roles::store::{Folder, Folders, SpecialUse};
use std::collections::{BTreeMap, BTreeSet};
use wire::imap::command::{self, List, StatusItems, Tag};
use wire::imap::name::{Pattern, SEPARATOR};
use wire::imap::response::{
    ListEntry, ListVerb, MailboxAttributes, Put, SubscribedBelow, list as put_list, mailbox_status,
};

pub(super) async fn list(session: &mut Session<'_>, tag: &Tag, list: &List) -> Outcome {
    // RFC 3501 6.3.8: an empty pattern asks for the separator.
    if !list.extended && list.patterns.iter().all(|p| p.as_str().is_empty()) {
        session.connection.output().raw("* LIST (\\Noselect) \"/\" \"\"").crlf();
        return Ok(Reply::ok(tag, "done"));
    }
    let names = Names::of(folders(session).await?);
    let patterns = joined(list)?;
    let form = session.form();
    if list.give.status.is_some_and(|items| items.contains(StatusItems::HIGHESTMODSEQ)) {
        super::session::enable_condstore(session);
    }
    for shown in names.matching(list, &patterns) {
        let out = session.connection.output();
        put_list(out, &shown.entry(ListVerb::List), form);
        if let (Some(items), Some(folder)) = (list.give.status, shown.folder) {
            mailbox_status(out, shown.name, form, items, &status::values(folder));
        }
        session.connection.flush_if_full().await?;
    }
    Ok(Reply::ok(tag, "done"))
}

pub(super) async fn lsub(
    session: &mut Session<'_>,
    tag: &Tag,
    reference: &Pattern,
    pattern: &Pattern,
) -> Outcome {
    let names = Names::of(folders(session).await?);
    let pattern = pattern.under(reference).ok_or(TOO_LONG)?;
    let form = session.form();
    for shown in names.subscribed_matching(&pattern) {
        put_list(session.connection.output(), &shown.entry(ListVerb::Lsub), form);
        session.connection.flush_if_full().await?;
    }
    Ok(Reply::ok(tag, "done"))
}

const TOO_LONG: Failed = Failed::Bad("the pattern is too long");

async fn folders(session: &mut Session<'_>) -> Result<Folders, Failed> {
    let mailbox = session.account()?.mailbox;
    Ok(session.store().folder_list(&session.call(), mailbox).await?)
}

fn joined(list: &List) -> Result<Vec<Pattern>, Failed> {
    let joined = list.patterns.iter().map(|pattern| pattern.under(&list.reference));
    joined.collect::<Option<_>>().ok_or(TOO_LONG)
}

/// All names there are.
struct Names {
    /// In order: folders, and subscribed names without one.
    all: BTreeMap<String, Option<Folder>>,
    /// Names that have names below them.
    parents: BTreeSet<String>,
}

/// One line of an answer.
#[derive(Debug, Clone, Copy)]
struct Shown<'a> {
    name: &'a str,
    folder: Option<&'a Folder>,
    attributes: MailboxAttributes,
    subscribed_below: Option<SubscribedBelow>,
}

impl Shown<'_> {
    fn entry(&self, verb: ListVerb) -> ListEntry<'_> {
        let special_use = self.folder.and_then(|folder| folder.special_use).map(named);
        ListEntry {
            verb,
            attributes: self.attributes,
            special_use: special_use.filter(|_| verb == ListVerb::List),
            name: self.name,
            old_name: None,
            child_info: self.subscribed_below,
        }
    }
}

fn named(special_use: SpecialUse) -> command::SpecialUse {
    match special_use {
        SpecialUse::Archive => command::SpecialUse::Archive,
        SpecialUse::Drafts => command::SpecialUse::Drafts,
        SpecialUse::Junk => command::SpecialUse::Junk,
        SpecialUse::Sent => command::SpecialUse::Sent,
        SpecialUse::Trash => command::SpecialUse::Trash,
    }
}

impl Names {
    fn of(folders: Folders) -> Self {
        let ghosts = folders.ghosts.into_iter().map(|name| (name, None));
        let mut all: BTreeMap<String, Option<Folder>> = ghosts.collect();
        all.extend(folders.folders.into_iter().map(|folder| (folder.name.clone(), Some(folder))));
        let parents = all.iter().filter(|(_, folder)| folder.is_some());
        let parents = parents.flat_map(|(name, _)| above(name)).map(str::to_owned).collect();
        Self { all, parents }
    }

    /// What LIST shows. RFC 9051 6.3.9.1 and 6.3.9.6.
    fn matching<'a>(&'a self, list: &List, patterns: &[Pattern]) -> Vec<Shown<'a>> {
        let is_selected = |folder: Option<&Folder>| {
            let subscribed = folder.is_none_or(|f| f.subscribed);
            // A name without a folder is there because it is subscribed, and is shown only when that is asked.
            (!list.select.subscribed || subscribed)
                && (list.select.subscribed || folder.is_some())
                && (!list.select.special_use || folder.is_some_and(|f| f.special_use.is_some()))
        };
        let matches = |name: &str| patterns.iter().any(|pattern| pattern.matches(name));
        let selected = || self.each().filter(|(_, folder)| is_selected(*folder));
        let mut shown: BTreeMap<&str, Shown<'a>> = selected()
            .filter(|(name, _)| matches(name))
            .map(|(name, folder)| {
                (name, self.shown(name, folder, list.select.subscribed || list.give.subscribed))
            })
            .collect();
        if list.select.recursive_match {
            for (above, _) in selected().flat_map(|(name, f)| above(name).map(move |a| (a, f))) {
                if matches(above) {
                    let folder = self.all.get(above).and_then(Option::as_ref);
                    let parent = shown.entry(above).or_insert_with(|| self.shown(above, folder, true));
                    parent.subscribed_below = list.select.subscribed.then_some(SubscribedBelow);
                }
            }
        }
        shown.into_values().collect()
    }

    /// What LSUB shows. RFC 3501 6.3.9: where `%` stops above a subscribed name, that level is shown, not to be
    /// selected.
    fn subscribed_matching<'a>(&'a self, pattern: &Pattern) -> Vec<Shown<'a>> {
        let subscribed = || self.each().filter(|(_, folder)| folder.is_none_or(|f| f.subscribed));
        let mut shown: BTreeMap<&str, Shown<'a>> = BTreeMap::new();
        for (name, folder) in subscribed() {
            if pattern.matches(name) {
                let attributes = MailboxAttributes::default();
                shown.insert(name, Shown { name, folder, attributes, subscribed_below: None });
            } else if pattern.as_str().ends_with('%') {
                for name in above(name).filter(|name| pattern.matches(name)) {
                    let attributes = MailboxAttributes::NO_SELECT;
                    let parent = Shown { name, folder: None, attributes, subscribed_below: None };
                    shown.entry(name).or_insert(parent);
                }
            }
        }
        shown.into_values().collect()
    }

    fn each(&self) -> impl Iterator<Item = (&str, Option<&Folder>)> {
        self.all.iter().map(|(name, folder)| (name.as_str(), folder.as_ref()))
    }

    fn shown<'a>(&self, name: &'a str, folder: Option<&'a Folder>, tell_subscribed: bool) -> Shown<'a> {
        let mut attributes = match self.parents.contains(name) {
            true => MailboxAttributes::HAS_CHILDREN,
            false => MailboxAttributes::HAS_NO_CHILDREN,
        };
        if folder.is_none() {
            attributes = attributes.union(MailboxAttributes::NON_EXISTENT);
        }
        let is_ghost = || self.all.get(name).is_some_and(Option::is_none);
        if tell_subscribed && folder.map_or_else(is_ghost, |f| f.subscribed) {
            attributes = attributes.union(MailboxAttributes::SUBSCRIBED);
        }
        Shown { name, folder, attributes, subscribed_below: None }
    }
}

/// The names above a name, outermost first.
fn above(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices(SEPARATOR).map(|(at, _)| &name[..at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::id::{FolderId, ModSeq, Uid, UidValidity};
    use wire::imap::command::{ListReturn, ListSelect};

    fn folder(name: &str, subscribed: bool) -> Folder {
        Folder {
            id: FolderId(7),
            name: name.into(),
            uid_validity: UidValidity(1),
            uid_next: Uid(1),
            highest_modseq: ModSeq(1),
            messages: 0,
            unseen: 0,
            deleted: 0,
            bytes: 0,
            subscribed,
            special_use: (name == "Sent").then_some(SpecialUse::Sent),
        }
    }

    fn names() -> Names {
        let folders = [("INBOX", true), ("a", false), ("a/b", true), ("a/b/c", false), ("Sent", false)]
            .map(|(n, s)| folder(n, s));
        Names::of(Folders { folders: folders.to_vec(), ghosts: vec!["gone/x".into()] })
    }

    fn shown(select: ListSelect, pattern: &str) -> Vec<String> {
        let list = List {
            reference: Pattern::new("").unwrap(),
            patterns: vec![Pattern::new(pattern).unwrap()],
            select,
            give: ListReturn::default(),
            extended: true,
        };
        let names = names();
        let shown = names.matching(&list, &joined(&list).unwrap_or_default());
        let below = |s: &Shown<'_>| if s.subscribed_below.is_some() { "+" } else { "" };
        shown.iter().map(|s| format!("{}{}", s.name, below(s))).collect()
    }

    #[test]
    fn selections() {
        let plain = ListSelect::default();
        let subscribed = ListSelect { subscribed: true, ..plain };
        assert_eq!(shown(plain, "*"), ["INBOX", "Sent", "a", "a/b", "a/b/c"]);
        assert_eq!(shown(plain, "%"), ["INBOX", "Sent", "a"]);
        assert_eq!(shown(subscribed, "*"), ["INBOX", "a/b", "gone/x"]);
        assert_eq!(shown(ListSelect { special_use: true, ..plain }, "*"), ["Sent"]);
        let recursive = ListSelect { recursive_match: true, ..subscribed };
        assert_eq!(shown(recursive, "%"), ["INBOX", "a+", "gone+"]);
        assert_eq!(shown(recursive, "*"), ["INBOX", "a+", "a/b", "gone+", "gone/x"]);
    }

    #[test]
    fn lsub_shows_the_level_above() {
        let names = names();
        let lsub = |pattern: &str| {
            let shown = names.subscribed_matching(&Pattern::new(pattern).unwrap());
            shown.iter().map(|s| (s.name.to_owned(), s.folder.is_some())).collect::<Vec<_>>()
        };
        assert_eq!(lsub("%"), [("INBOX".into(), true), ("a".into(), false), ("gone".into(), false)]);
        assert_eq!(lsub("*"), [("INBOX".into(), true), ("a/b".into(), true), ("gone/x".into(), false)]);
    }
}
