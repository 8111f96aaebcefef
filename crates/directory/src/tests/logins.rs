use super::*;
use env::compute::Compute;
use mail::password::{PasswordType, ScramKeys};
use std::time::Duration;

on_both! {
    the_seed_line_makes_an_account_that_logs_in_by_name_and_address,
    a_bare_name_means_the_default_domain_and_else_the_only_one,
    addresses_are_login_names_where_login_aliases_allows,
    states_answer_only_those_who_know_the_password,
    access_follows_class_and_account_by_protocol_and_transport,
    a_password_that_was_right_needs_no_hashing_until_the_account_changes,
    an_old_form_is_renewed_after_a_login,
    a_damaged_hash_lets_nobody_in_and_is_named,
    scram_keys_are_real_for_those_who_have_them_and_steady_for_all_others,
    logins_that_are_no_names_are_refused_like_wrong_passwords,
}

async fn the_seed_line_makes_an_account_that_logs_in_by_name_and_address() {
    let site = Site::new().await;
    let new = NewAccount {
        user: user("testman@software.com"),
        local_part: "testman".into(),
        mailbox: Some(MailboxId(432_234)),
        home: Some(HostName::new("venus")),
        password: NewPassword::Clear(Secret::new("testman")),
        status: Status::Active,
        cos: Some("default".into()),
    };
    let Ok(Reply::Created(line, made)) = site.ask(Request::CreateAccount(Box::new(new))).await else {
        panic!()
    };
    assert_eq!((line.mailbox, made), (MailboxId(432_234), Some(domain("software.com"))));
    for name in ["testman", "TestMan@Software.com", " testman@software.com "] {
        let account = site.login(name, "testman").await.unwrap();
        assert_eq!((account.mailbox, account.login.as_str()), (MailboxId(432_234), "testman@software.com"));
    }
    assert_eq!(site.login("testman", "Testman").await, Err(DirectoryError::BadCredentials));
    assert_eq!((site.logged("AcctLogin"), site.logged("AcctBadPassword")), (3, 1));
    assert_eq!(site.show("testman@software.com").await.password, Some(PasswordType::Argon2id));
    assert!(!site.env.log.lines().iter().any(|l| l.contains("argon2id$")));
}

async fn a_bare_name_means_the_default_domain_and_else_the_only_one() {
    let site = Site::with("/*/common/defaultDomain: [home.test]").await;
    site.create("bob@far.test").await;
    assert_eq!(site.login("bob", "secret").await.unwrap().login, "bob@far.test");
    site.create("bob@other.test").await;
    assert_eq!(site.login("bob", "secret").await, Err(DirectoryError::BadCredentials));
    site.create("bob@home.test").await;
    assert_eq!(site.login("bob", "secret").await.unwrap().login, "bob@home.test");
}

async fn addresses_are_login_names_where_login_aliases_allows() {
    for (configuration, allowed) in [("", true), ("/*/common/loginAliases: [off]", false)] {
        let site = Site::with(configuration).await;
        site.create("bob@a.test").await;
        let alias = Request::CreateAlias(user("bob@a.test"), address("Robert.Smith@a.test"));
        assert_eq!(site.ask(alias).await, Ok(Reply::Done));
        assert_eq!(site.login("robert.smith@a.test", "secret").await.is_ok(), allowed);
        let login_alias = Request::CreateLoginAlias(user("bob@a.test"), user("rob@a.test"));
        assert_eq!(site.ask(login_alias).await, Ok(Reply::Done));
        assert_eq!(site.login("ROB@a.test", "secret").await.unwrap().login, "bob@a.test");
    }
}

async fn states_answer_only_those_who_know_the_password() {
    let site = Site::new().await;
    site.create("bob@a.test").await;
    let cases = [
        (Status::Maintenance, DirectoryError::Maintenance),
        (Status::Suspended, DirectoryError::NotActive),
        (Status::Locked, DirectoryError::NotActive),
        (Status::Proxied, DirectoryError::NotActive),
        (Status::Deleted, DirectoryError::BadCredentials),
    ];
    for (status, error) in cases {
        site.change("bob@a.test", AccountChange::Status(status)).await;
        assert_eq!(site.login("bob@a.test", "secret").await, Err(error), "{status}");
        assert_eq!(site.login("bob@a.test", "wrong").await, Err(DirectoryError::BadCredentials));
    }
    assert_eq!((site.logged("AcctNotActive"), site.logged("AcctUnknownUser")), (4, 2));
    site.change("bob@a.test", AccountChange::Status(Status::Active)).await;
    assert!(site.login("bob@a.test", "secret").await.is_ok());
}

async fn access_follows_class_and_account_by_protocol_and_transport() {
    let site = Site::with("/*/popserv/trustedInterfaces: [10.0.0.0/8]").await;
    site.create("bob@a.test").await;
    let none =
        Request::SetAttribute(Holder::Cos("default".into()), "pref_popaccess".into(), Some("none".into()));
    assert_eq!(site.ask(none).await, Ok(Reply::Done));
    let pop = |t| site.login_by("bob@a.test", "secret", Protocol::Pop, t);
    assert_eq!(pop(Transport::Plain).await, Err(DirectoryError::NotAllowed("pop".into())));
    assert!(pop(Transport::Tls).await.is_ok());
    // The account's own value wins over the class's (rule A); 10.0.0.1 is trusted for POP only.
    site.set("bob@a.test", "PREF_PopAccess", "Trusted").await;
    site.set("bob@a.test", "pref_popsslaccess", "none").await;
    site.set("bob@a.test", "pref_imapsslaccess", "trusted").await;
    assert!(pop(Transport::Plain).await.is_ok());
    assert_eq!(pop(Transport::Tls).await, Err(DirectoryError::NotAllowed("pop with TLS".into())));
    let imap = site.login("bob@a.test", "secret").await;
    assert_eq!(imap, Err(DirectoryError::NotAllowed("imap with TLS from this place".into())));
    for event in ["AcctPopNotAllowed", "AcctSslPopNotAllowed", "AcctNontrustedLogin"] {
        assert_eq!(site.logged(event), 1, "{event}");
    }
}

/// A pool that is full answers nobody: whoever is let in after that was not hashed.
async fn a_password_that_was_right_needs_no_hashing_until_the_account_changes() {
    let mut site = Site::new().await;
    site.env.compute = Compute::new(1, 1);
    site.directory = site.other().await;
    site.create("bob@a.test").await;
    let rehash_off = catalog::tree::Tree::parse("/*/imdircacheserv/rehashPasswords: [off]").unwrap();
    site.env.settings.replace(rehash_off);
    assert!(site.login("bob@a.test", "secret").await.is_ok());
    let (go, held) = std::sync::mpsc::sync_channel::<()>(0);
    let (begun, begin) = tokio::sync::oneshot::channel();
    let mut first = Box::pin(site.env.compute.run(move || {
        let _ = begun.send(());
        let _ = held.recv();
    }));
    assert!(poll_once(&mut first).await);
    begin.await.unwrap();
    let mut second = Box::pin(site.env.compute.run(|| ()));
    assert!(poll_once(&mut second).await);
    assert!(site.login("bob@a.test", "secret").await.is_ok());
    assert!(site.login("BOB@a.test", "secret").await.is_ok());
    assert_eq!(site.login("bob@a.test", "other").await, Err(DirectoryError::Busy));
    assert_eq!(site.login("nobody@a.test", "secret").await, Err(DirectoryError::Busy));
    site.change("bob@a.test", AccountChange::Password(NewPassword::Hashed(cheap("new")))).await;
    assert_eq!(site.login("bob@a.test", "secret").await, Err(DirectoryError::Busy));
    go.send(()).unwrap();
    let _ = (first.await, second.await);
    assert_eq!(site.login("bob@a.test", "secret").await, Err(DirectoryError::BadCredentials));
    assert!(site.login("bob@a.test", "new").await.is_ok());
    assert_eq!(site.logged("AcctAuthBusy"), 3);
}

async fn poll_once<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending()))
        .await
}

async fn an_old_form_is_renewed_after_a_login() {
    let site = Site::new().await;
    site.create("bob@a.test").await;
    assert_eq!(site.show("bob@a.test").await.password, Some(PasswordType::Ssha256));
    assert!(site.login("bob@a.test", "secret").await.is_ok());
    assert_eq!(site.env.tasks.drain(Duration::from_secs(30)).await, 0);
    assert_eq!(site.show("bob@a.test").await.password, Some(PasswordType::Argon2id));
    assert!(site.login("bob@a.test", "secret").await.is_ok());
    assert_eq!(site.logged("AcctPasswordRehashed"), 1);
}

async fn a_damaged_hash_lets_nobody_in_and_is_named() {
    let site = Site::new().await;
    site.create("bob@a.test").await;
    let tables = site.directory.shared.tables().unwrap().clone();
    let damage = |e: &storage::directory::Edit<'_>| {
        let key = storage::directory::NameKey::new("bob", "a.test");
        let old = e.account_of_name(&key)?.unwrap();
        let new = storage::directory::AccountRow { password: "secret".into(), ..old.clone() };
        e.change_account(&old, &new)
    };
    tables.write(site.env.clock.now(), String::new(), damage).await.unwrap();
    assert_eq!(site.login("bob@a.test", "secret").await, Err(DirectoryError::BadCredentials));
    assert_eq!(site.logged("AcctPasswordDamaged"), 1);
}

async fn scram_keys_are_real_for_those_who_have_them_and_steady_for_all_others() {
    let site = Site::new().await;
    site.create("old@a.test").await;
    let clear = NewPassword::Clear(Secret::new("pencil"));
    let new = NewAccount { password: clear, ..new_account("bob@a.test") };
    assert!(site.ask(Request::CreateAccount(Box::new(new))).await.is_ok());
    let keys = async |server: &DirectoryServer, name: &str| {
        let (call, origin) = (site.call(), origin(Protocol::Imap, Transport::Tls));
        server.scram_keys(&call, name.into(), origin).await.unwrap()
    };
    let bob = keys(&site.directory, "bob@a.test").await;
    let expected = ScramKeys::derive(&Secret::new("pencil"), &bob.salt, bob.iterations);
    assert_eq!(bob.stored_key, expected.stored_key);
    assert!(bob.server_key.same_as(&expected.server_key));
    let other = site.other().await;
    for name in ["old@a.test", "nobody@a.test", "\0"] {
        let (one, two) = (keys(&site.directory, name).await, keys(&other, &name.to_uppercase()).await);
        assert_eq!((&one.salt, &one.stored_key), (&two.salt, &two.stored_key), "{name}");
        assert_eq!((one.salt.len(), one.iterations), (bob.salt.len(), bob.iterations));
        let login =
            Login { name: name.into(), proof: Proof::Scram, origin: origin(Protocol::Imap, Transport::Tls) };
        let refused = site.directory.authenticate(&site.call(), login).await;
        assert_eq!(refused, Err(DirectoryError::BadCredentials));
    }
    let login = Login {
        name: "bob@a.test".into(),
        proof: Proof::Scram,
        origin: origin(Protocol::Imap, Transport::Tls),
    };
    assert!(site.directory.authenticate(&site.call(), login).await.is_ok());
}

async fn logins_that_are_no_names_are_refused_like_wrong_passwords() {
    let site = Site::new().await;
    for name in ["", "@", "a@", "@a.test", &"x".repeat(100_000), "a\nb", "a@b@c"] {
        assert_eq!(site.login(name, "secret").await, Err(DirectoryError::BadCredentials));
    }
    assert!(site.env.log.lines().iter().all(|l| l.len() < 1000));
}
