//! A site for commands that work on accounts and their mailboxes: a real directory, a store in memory.

use super::roles::Double;
use super::{Run, run_at};
use crate::command::Exit;
use crate::context::Roles;
use crate::people::call;
use directory::DirectoryServer;
use env::Env;
use env::random::Random;
use mail::flags::Flags;
use mail::id::{FolderId, MailboxId};
use mail::sequence::NumberSet;
use mail::time::Timestamp;
use roles::Body;
use roles::directory::Directory as _;
use roles::store::{Deliver, DeliverTo, MessageStore as _, Need, Quota, Read, Repeatable};
use std::sync::Arc;
use testkit::memory_store::MemoryStore;

/// The site.
pub(crate) struct House {
    folder: tempfile::TempDir,
    pub(crate) directory: DirectoryServer,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) double: Double,
    pub(crate) random: Random,
}

impl House {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("config")).unwrap();
        std::fs::write(folder.path().join("config/hostname"), "mars\n").unwrap();
        let env = Env::for_test("imdircacheserv");
        let directory = DirectoryServer::open(env, &folder.path().join("directory.db")).await.unwrap();
        let (store, random) = (Arc::new(MemoryStore::new()), Random::seeded(7));
        Self { folder, directory, store, double: Double::default(), random }
    }

    pub(crate) fn roles(&self) -> Roles {
        let directory = Arc::new(self.directory.clone());
        Roles {
            provisioning: directory.clone(),
            cache: directory.clone(),
            ownership: directory.clone(),
            directory,
            store: self.store.clone(),
            ..self.double.roles()
        }
    }

    /// Writes a file of the site.
    pub(crate) fn file(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(crate) async fn run(&self, line: &str) -> Run {
        run_at(line, self.folder.path()).with_servers(self.roles()).done().await
    }

    pub(crate) async fn run_reading(&self, line: &str, input: &str) -> Run {
        run_at(line, self.folder.path()).with_servers(self.roles()).with_input([input]).done().await
    }

    /// Runs a command that must do all that it was asked; returns what it printed.
    pub(crate) async fn ok(&self, line: &str) -> String {
        let run = self.run(line).await;
        assert_eq!((run.exit, run.errors().as_str()), (Exit::OK, ""), "{line}: {}", run.output());
        run.output()
    }

    /// Keeps a copy of the directory.
    pub(crate) fn keep_copy(&self) {
        self.directory.keep_copy(&self.folder.path().join("dirCacheDB")).unwrap();
    }

    /// Makes `NAME@example.org` with the password `secret`; its mailbox is made at its first use.
    pub(crate) async fn account(&self, name: &str) -> MailboxId {
        self.ok(&format!("imdbcontrol ca {name} - - {name} secret clear example.org")).await;
        let address = format!("{name}@example.org");
        self.directory.account_find(&call(&self.random), address).await.unwrap().mailbox
    }

    /// Puts a message of this age in seconds into the Inbox.
    pub(crate) async fn deliver(&self, mailbox: MailboxId, text: &str, received: Timestamp) {
        let to = vec![DeliverTo { mailbox, folder: None, quota: Quota::default(), flags: Flags::default() }];
        let body = Body::from_bytes(text.to_owned());
        let deliver = Deliver { to, body, received, repeatable: Repeatable::No };
        self.store.message_deliver(&call(&self.random), deliver).await.unwrap().remove(0).unwrap();
    }

    /// The messages of the Inbox.
    pub(crate) async fn inbox(&self, mailbox: MailboxId) -> Vec<String> {
        let (folder, uids, need) = (FolderId::INBOX, NumberSet::all(), Need::Body);
        let read = Read { mailbox, folder, uids, need, changed_since: None, limit: 1000 };
        let Ok(page) = self.store.message_read(&call(&self.random), read).await else { return Vec::new() };
        let text = |body: Body| String::from_utf8(body.read_blocking(0, 1 << 16).unwrap().to_vec()).unwrap();
        page.messages.into_iter().map(|m| text(m.body.unwrap())).collect()
    }
}
