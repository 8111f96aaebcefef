//! Folders.

use super::*;
use roles::store::{SpecialUse, Subscription};

pub(super) async fn all(store: &dyn MessageStore, fresh: &mut Fresh) {
    folders_are_made_with_those_above(store, fresh).await;
    folders_are_removed(store, fresh).await;
    folders_are_renamed_with_those_below(store, fresh).await;
    renaming_the_inbox_empties_it(store, fresh).await;
    subscriptions_are_names(store, fresh).await;
    special_uses(store, fresh).await;
}

impl Client<'_> {
    async fn names(&self) -> Vec<String> {
        let list = self.store.folder_list(&call(1), self.mailbox).await.expect("folders can be listed");
        list.folders.into_iter().map(|f| f.name).collect()
    }

    async fn create_special(&self, name: &str, special: SpecialUse) -> Result<FolderId, StoreError> {
        self.store.folder_create(&call(1), self.mailbox, name.into(), Some(special)).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), StoreError> {
        self.store.folder_rename(&call(1), self.mailbox, from.into(), to.into()).await
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.store.folder_delete(&call(1), self.mailbox, name.into()).await
    }
}

async fn folders_are_made_with_those_above(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    client.create("z/y/x").await;
    client.create("Ärger").await;
    client.create("inbox/sub").await;
    assert_eq!(client.names().await, ["INBOX", "INBOX/sub", "z", "z/y", "z/y/x", "Ärger"]);
    for name in ["z", "INBOX", "inbox/SUB"] {
        let again = store.folder_create(&call(1), client.mailbox, name.into(), None).await;
        // Only the first level is the same in any case.
        let expected = if name == "inbox/SUB" { None } else { Some(StoreError::FolderExists) };
        assert_eq!(again.err(), expected, "{name}");
    }
    for name in ["", "a//b", "a\r\nb", "a*"] {
        let bad = store.folder_create(&call(1), client.mailbox, name.into(), None).await;
        assert!(matches!(bad, Err(StoreError::Refused(_))), "{name:?}");
    }
    let nobody = store.folder_list(&call(1), fresh.next()).await;
    assert_eq!(nobody.unwrap_err(), StoreError::NoMailbox);
}

async fn folders_are_removed(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    client.create("a/b").await;
    let first = client.append("a/b", "x", &[]).await;
    assert!(matches!(client.delete("inbox").await, Err(StoreError::Refused(_))));
    assert!(matches!(client.delete("a").await, Err(StoreError::Refused(_))));
    assert_eq!(client.delete("c").await, Err(StoreError::NoFolder));
    client.delete("a/b").await.unwrap();
    assert_eq!(client.usage().await, (0, 0));
    let id = client.create("a/b").await;
    assert_ne!(id, first.folder, "ids of folders are not used again");
    let second = client.append("a/b", "x", &[]).await;
    assert!(second.uid_validity > first.uid_validity);
    assert_eq!(client.flags(id).await.len(), 1);
    client.delete("a/b").await.unwrap();
    client.delete("a").await.unwrap();
    assert_eq!(client.names().await, ["INBOX"]);
}

async fn folders_are_renamed_with_those_below(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    let id = client.create("a/b/c").await;
    client.create("ab").await;
    let placed = client.append("a/b/c", "x", &["\\Seen"]).await;
    client.rename("a/b", "n/m").await.unwrap();
    assert_eq!(client.names().await, ["INBOX", "a", "ab", "n", "n/m", "n/m/c"]);
    let after = store.folder_status(&call(1), client.mailbox, "n/m/c".into()).await.unwrap();
    assert_eq!((after.id, after.messages), (id, 1));
    assert!(after.uid_validity > placed.uid_validity, "a new name has a new epoch");
    assert_eq!(client.flags(id).await, [(1, "\\Seen".to_owned())]);
    assert_eq!(client.rename("x", "y").await, Err(StoreError::NoFolder));
    assert_eq!(client.rename("n", "a").await, Err(StoreError::FolderExists));
    assert_eq!(client.rename("a", "inbox").await, Err(StoreError::FolderExists));
    assert!(matches!(client.rename("n", "n/m/o").await, Err(StoreError::Refused(_))));
    assert!(matches!(client.rename("n", &"x".repeat(510)).await, Err(StoreError::Refused(_))));
    assert_eq!(client.names().await, ["INBOX", "a", "ab", "n", "n/m", "n/m/c"], "a refusal leaves nothing");
}

async fn renaming_the_inbox_empties_it(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    client.create("INBOX/sub").await;
    let before = client.append("INBOX", "old", &["Work"]).await;
    client.rename("inbox", "old/mail").await.unwrap();
    assert_eq!(client.names().await, ["INBOX", "INBOX/sub", "old", "old/mail"]);
    let old = store.folder_open(&call(1), client.mailbox, "old/mail".into()).await.unwrap();
    assert_eq!((old.folder.messages, old.uids), (1, set(&[1])));
    let inbox = store.folder_open(&call(1), client.mailbox, "INBOX".into()).await.unwrap();
    assert_eq!((inbox.folder.id, inbox.folder.messages), (INBOX, 0));
    assert!(inbox.uids.is_empty() && inbox.folder.uid_validity > before.uid_validity);
    let after = client.append("INBOX", "new", &[]).await;
    assert_eq!(after.uid_validity, inbox.folder.uid_validity);
    assert_eq!(client.flags(old.folder.id).await, [(1, "Work".to_owned())]);
    assert_eq!(client.usage().await, (2, 6));
}

async fn subscriptions_are_names(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    client.create("a").await;
    let subscribe = |name: &str, on| store_subscription(&client, name.to_owned(), on);
    subscribe("a", Subscription::On).await;
    subscribe("later", Subscription::On).await;
    let list = store.folder_list(&call(1), client.mailbox).await.unwrap();
    let on: Vec<_> = list.folders.iter().filter(|f| f.subscribed).map(|f| f.name.as_str()).collect();
    assert_eq!((on, list.ghosts), (vec!["a"], vec!["later".to_owned()]));
    client.create("later").await;
    client.delete("a").await.unwrap();
    let list = store.folder_list(&call(1), client.mailbox).await.unwrap();
    assert_eq!(list.ghosts, ["a"]);
    assert!(store.folder_status(&call(1), client.mailbox, "later".into()).await.unwrap().subscribed);
    subscribe("a", Subscription::Off).await;
    subscribe("later", Subscription::Off).await;
    let list = store.folder_list(&call(1), client.mailbox).await.unwrap();
    assert!(list.ghosts.is_empty() && list.folders.iter().all(|f| !f.subscribed));
}

async fn store_subscription(client: &Client<'_>, name: String, on: Subscription) {
    client
        .store
        .folder_subscribe(&call(1), client.mailbox, name, on)
        .await
        .expect("a name can be subscribed");
}

async fn special_uses(store: &dyn MessageStore, fresh: &mut Fresh) {
    let client = Client::new(store, fresh).await;
    for (name, special) in [
        ("Sent", SpecialUse::Sent),
        ("Trash", SpecialUse::Trash),
        ("Junk", SpecialUse::Junk),
        ("Drafts", SpecialUse::Drafts),
        ("Archive", SpecialUse::Archive),
    ] {
        client.create_special(name, special).await.unwrap();
        let folder = store.folder_status(&call(1), client.mailbox, name.into()).await.unwrap();
        assert_eq!(folder.special_use, Some(special));
    }
    assert!(matches!(client.create_special("Sent2", SpecialUse::Sent).await, Err(StoreError::Refused(_))));
    client.rename("Sent", "Gesendet").await.unwrap();
    let folder = store.folder_status(&call(1), client.mailbox, "Gesendet".into()).await.unwrap();
    assert_eq!(folder.special_use, Some(SpecialUse::Sent));
}
