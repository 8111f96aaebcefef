//! The promises of [`Provisioning`].

use super::call;
use catalog::account::{DomainKind, Status};
use catalog::cos::{Rule, Type};
use mail::address::{Address, Domain};
use mail::id::{HostName, MailboxId};
use mail::password::{PasswordType, SALT_LEN, StoredPassword};
use mail::secret::Secret;
use roles::directory::DirectoryError;
use roles::directory::provision::{
    AccountChange, AccountView, Confirmation, Forwarding, Holder, MAX_REQUESTS, NewAccount, NewPassword,
    Place, Provisioning, Reply, Request, Source, User,
};

/// Runs every check on a directory that nobody has changed.
pub async fn all(provisioning: &dyn Provisioning) {
    let admin = Administrator { provisioning, next: std::sync::atomic::AtomicU64::new(1000) };
    requests_are_answered_in_order_and_each_for_itself(&admin).await;
    a_repeated_call_has_no_second_effect(&admin).await;
    an_account_is_what_it_was_made_to_be(&admin).await;
    addresses_aliases_and_forwards_come_and_go(&admin).await;
    classes_and_attributes_hold(&admin).await;
    lists_come_in_pages_and_changes_have_numbers(&admin).await;
    a_call_has_a_limit(&admin).await;
}

struct Administrator<'a> {
    provisioning: &'a dyn Provisioning,
    next: std::sync::atomic::AtomicU64,
}

type Outcome = Result<Reply, DirectoryError>;

impl Administrator<'_> {
    async fn all(&self, requests: Vec<Request>) -> Vec<Outcome> {
        let number = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.call(u128::from(number), requests).await
    }

    async fn call(&self, number: u128, requests: Vec<Request>) -> Vec<Outcome> {
        let count = requests.len();
        let replies = self.provisioning.provision(&call(number), requests).await.expect("it is there");
        assert_eq!(replies.len(), count, "one answer for each request");
        replies
    }

    async fn ask(&self, request: Request) -> Outcome {
        self.all(vec![request]).await.remove(0)
    }

    /// It is so afterwards, whether it was before or not.
    async fn does(&self, request: Request) {
        let shown = format!("{request:?}");
        let outcome = self.ask(request).await;
        assert!(matches!(outcome, Ok(Reply::Done | Reply::Already(_))), "{shown}: {outcome:?}");
    }

    async fn show(&self, user_name: &str) -> AccountView {
        match self.ask(Request::ShowAccount(user(user_name))).await {
            Ok(Reply::Account(view)) => *view,
            other => panic!("{user_name}: {other:?}"),
        }
    }
}

fn domain(text: &str) -> Domain {
    Domain::parse(text).expect("a domain")
}

fn address(text: &str) -> Address {
    Address::parse(text).expect("an address")
}

fn user(text: &str) -> User {
    let of = address(text);
    User { name: of.local().to_owned(), domain: of.domain().clone() }
}

/// Hashed cheaply: these checks are not about passwords.
fn hashed(password: &str) -> NewPassword {
    let stored = StoredPassword::make(PasswordType::Ssha256, &Secret::new(password), &[7; SALT_LEN]);
    NewPassword::Hashed(stored.expect("a password"))
}

fn create(text: &str) -> Request {
    Request::CreateAccount(Box::new(NewAccount::simple(&address(text), hashed("secret"))))
}

fn local(text: &str) -> Request {
    Request::CreateDomain(domain(text), DomainKind::Local, None)
}

async fn requests_are_answered_in_order_and_each_for_itself(admin: &Administrator<'_>) {
    let outcomes = admin
        .all(vec![
            local("one.example"),
            create("anna@one.example"),
            create("anna@one.example"),
            Request::ShowAccount(user("nobody@one.example")),
            Request::DeleteDomain(domain("one.example")),
            create("otto@one.example"),
        ])
        .await;
    assert_eq!(outcomes[0], Ok(Reply::Done));
    assert!(matches!(&outcomes[1], Ok(Reply::Created(line, None)) if line.user == user("anna@one.example")));
    assert!(matches!(outcomes[2], Err(DirectoryError::Conflict(_))), "{:?}", outcomes[2]);
    assert!(matches!(outcomes[3], Err(DirectoryError::Missing(_))), "{:?}", outcomes[3]);
    assert!(outcomes[4].is_err(), "names are in it");
    assert!(matches!(outcomes[5], Ok(Reply::Created(..))), "what fails does not stop the rest");
}

async fn a_repeated_call_has_no_second_effect(admin: &Administrator<'_>) {
    let requests = || vec![create("twice@one.example"), Request::CreateCos("twice".into())];
    for _ in 0..2 {
        let outcomes = admin.call(7, requests()).await;
        assert!(matches!(outcomes[0], Ok(Reply::Created(..))), "{:?}", outcomes[0]);
        assert_eq!(outcomes[1], Ok(Reply::Done));
    }
    let other = admin.all(requests()).await;
    assert!(matches!(other[..], [Err(DirectoryError::Conflict(_)), Ok(Reply::Already(_))]), "{other:?}");
}

async fn an_account_is_what_it_was_made_to_be(admin: &Administrator<'_>) {
    let new = NewAccount {
        user: User { name: "Berta".into(), domain: domain("one.example") },
        local_part: "berta.b".into(),
        mailbox: Some(MailboxId(123_456_789)),
        home: Some(HostName::new("Pluto")),
        password: NewPassword::Clear(Secret::new("a long secret")),
        status: Status::Suspended,
        cos: Some("default".into()),
    };
    let created = admin.ask(Request::CreateAccount(Box::new(new))).await;
    let Ok(Reply::Created(line, None)) = created else { panic!("{created:?}") };
    let view = admin.show("berta@one.example").await;
    assert_eq!(view.line, line);
    assert_eq!((line.mailbox, line.home.as_str()), (MailboxId(123_456_789), "pluto"));
    assert_eq!((line.status, &*line.cos), (Status::Suspended, "default"));
    assert_eq!(view.addresses, [address("berta.b@one.example")]);
    assert_eq!(view.password, Some(PasswordType::Argon2id));
    let berta = || user("berta@one.example");
    for change in [
        AccountChange::Status(Status::Maintenance),
        AccountChange::Password(hashed("another")),
        AccountChange::Home(HostName::new("mars")),
        AccountChange::Forwarding(Forwarding::On),
    ] {
        admin.does(Request::ChangeAccount(berta(), change)).await;
    }
    let view = admin.show("berta@one.example").await;
    assert_eq!((view.line.status, view.line.home.as_str()), (Status::Maintenance, "mars"));
    assert_eq!((view.password, view.forwarding), (Some(PasswordType::Ssha256), Forwarding::On));
    admin.does(Request::DeleteAccount(berta())).await;
    assert!(matches!(admin.ask(Request::ShowAccount(berta())).await, Err(DirectoryError::Missing(_))));
}

async fn addresses_aliases_and_forwards_come_and_go(admin: &Administrator<'_>) {
    let otto = || user("otto@one.example");
    let (alias, login) = (address("boss@one.example"), user("oh@one.example"));
    let (here, far) = (address("anna@one.example"), address("o@elsewhere.example"));
    admin.does(Request::CreateAlias(otto(), alias.clone())).await;
    admin.does(Request::CreateLoginAlias(otto(), login.clone())).await;
    admin.does(Request::CreateForward(otto(), Place::Local, here.clone())).await;
    admin.does(Request::CreateForward(otto(), Place::Remote, far.clone())).await;
    let wrong = admin.ask(Request::CreateForward(otto(), Place::Local, far.clone())).await;
    assert!(wrong.is_err(), "{wrong:?}");
    let view = admin.show("otto@one.example").await;
    assert_eq!(view.addresses, [address("otto@one.example"), alias.clone()], "the first one first");
    assert_eq!(view.login_aliases, std::slice::from_ref(&login));
    let mut forwards = view.forwards;
    forwards.sort_by_key(|(_, to)| to.to_string());
    assert_eq!(forwards, [(Place::Local, here.clone()), (Place::Remote, far.clone())]);
    let first = admin.ask(Request::DeleteAlias(otto(), address("otto@one.example"))).await;
    assert!(first.is_err(), "the first one stays");
    admin.does(Request::DeleteAlias(otto(), alias)).await;
    admin.does(Request::DeleteLoginAlias(otto(), login)).await;
    admin.does(Request::DeleteForward(otto(), Place::Local, here)).await;
    admin.does(Request::DeleteForward(otto(), Place::Remote, far)).await;
    let view = admin.show("otto@one.example").await;
    assert_eq!((view.addresses.len(), view.login_aliases.len(), view.forwards.len()), (1, 0, 0));
}

async fn classes_and_attributes_hold(admin: &Administrator<'_>) {
    admin.does(Request::CreateCos("gold".into())).await;
    let define = Request::CreateAttribute("xColour".into(), Rule::Account, Type::Text, Some("grey".into()));
    admin.does(define).await;
    let of_cos = |value: Option<&str>| {
        Request::SetAttribute(Holder::Cos("gold".into()), "xColour".into(), value.map(Into::into))
    };
    admin.does(of_cos(Some("yellow"))).await;
    let anna = || user("anna@one.example");
    admin.does(Request::ChangeAccount(anna(), AccountChange::Cos("gold".into()))).await;
    let colour = |view: &AccountView| {
        let found = view.attributes.iter().find(|a| a.name.eq_ignore_ascii_case("xColour"));
        found.map(|a| (a.value.clone(), a.source, a.rule, a.kind)).expect("it is an attribute")
    };
    let view = admin.show("anna@one.example").await;
    assert_eq!(colour(&view), ("yellow".into(), Source::Cos, Rule::Account, Type::Text));
    let own = Request::SetAttribute(Holder::Account(anna()), "xColour".into(), Some("red".into()));
    admin.does(own).await;
    assert_eq!(colour(&admin.show("anna@one.example").await).1, Source::Account);
    let Ok(Reply::Class(class, attributes)) = admin.ask(Request::ShowCos("gold".into())).await else {
        panic!("a class is shown");
    };
    assert_eq!((&*class.name, class.users), ("gold", 1));
    assert!(attributes.iter().any(|a| a.value == "yellow"));
    let used = admin.ask(Request::DeleteCos("gold".into())).await;
    assert!(used.is_err(), "{used:?}");
    let undefine = |confirmation| Request::DeleteAttribute("xColour".into(), confirmation);
    assert!(admin.ask(undefine(Confirmation::Missing)).await.is_err(), "it must be meant");
    admin.does(Request::SetAttribute(Holder::Account(anna()), "xColour".into(), None)).await;
    admin.does(of_cos(None)).await;
    admin.does(undefine(Confirmation::Given)).await;
    let Ok(Reply::Attributes(all)) = admin.ask(Request::ListAttributes).await else { panic!("a list") };
    assert!(!all.is_empty() && !all.iter().any(|a| a.name.eq_ignore_ascii_case("xColour")));
}

async fn lists_come_in_pages_and_changes_have_numbers(admin: &Administrator<'_>) {
    let list = |after: &str| Request::ListAccounts(domain("one.example"), after.to_owned());
    let Ok(Reply::Accounts(all)) = admin.ask(list("")).await else { panic!("a list") };
    let names: Vec<_> = all.iter().map(|line| line.user.name.as_str()).collect();
    assert_eq!(names, ["anna", "otto", "twice"]);
    let Ok(Reply::Accounts(rest)) = admin.ask(list("anna")).await else { panic!("a list") };
    assert_eq!(rest, all[1..]);
    let relay = Request::CreateDomain(domain("two.example"), DomainKind::Relay, Some("mx.example:26".into()));
    admin.does(relay).await;
    admin
        .does(Request::ChangeDomain(domain("two.example"), DomainKind::Relay, Some("mx.example".into())))
        .await;
    let Ok(Reply::Domains(domains)) = admin.ask(Request::ListDomains("one.example".into())).await else {
        panic!("a list");
    };
    let two = domains.iter().find(|view| view.name == "two.example").expect("the other domain");
    assert_eq!((two.kind, &*two.target), (DomainKind::Relay, "mx.example:25"));
    admin.does(Request::DeleteDomain(domain("two.example"))).await;
    let Ok(Reply::Classes(classes)) = admin.ask(Request::ListCos(String::new())).await else {
        panic!("a list")
    };
    assert!(classes.iter().any(|class| class.name == "default"));
    let Ok(Reply::Change(Some(first))) = admin.ask(Request::FirstModified(0)).await else {
        panic!("a change")
    };
    let Ok(Reply::Change(next)) = admin.ask(Request::FirstModified(first.id)).await else {
        panic!("a change")
    };
    assert!(next.is_some_and(|next| next.id > first.id && !next.what.is_empty()));
    assert_eq!(admin.ask(Request::FirstModified(i64::MAX)).await, Ok(Reply::Change(None)));
}

async fn a_call_has_a_limit(admin: &Administrator<'_>) {
    let requests = vec![Request::ListAttributes; MAX_REQUESTS + 1];
    let refused = admin.provisioning.provision(&call(8), requests).await;
    assert!(matches!(refused, Err(DirectoryError::Invalid(_))), "{:?}", refused.err());
}
