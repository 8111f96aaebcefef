//! Random provisioning against a plain model: the same requests succeed, and the same state comes of them.

use super::*;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet};

const NAMES: [&str; 4] = ["ann", "Bob", "bob", "cy"];
const DOMAINS: [&str; 3] = ["a.test", "b.test", "c.test"];
const CLASSES: [&str; 3] = ["default", "Gold", "gold"];

#[derive(Debug, Clone)]
enum Step {
    CreateDomain(usize),
    DeleteDomain(usize),
    CreateCos(usize),
    DeleteCos(usize),
    Create(usize, usize, usize),
    Delete(usize, usize),
    Move(usize, usize, usize),
    Alias(usize, usize, usize),
    DropAlias(usize, usize, usize),
    Own(usize, usize, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let (n, d, c) = (0..NAMES.len(), 0..DOMAINS.len(), 0..CLASSES.len());
    prop_oneof![
        2 => d.clone().prop_map(Step::CreateDomain),
        1 => d.clone().prop_map(Step::DeleteDomain),
        1 => c.clone().prop_map(Step::CreateCos),
        1 => c.clone().prop_map(Step::DeleteCos),
        4 => (n.clone(), d.clone(), c.clone()).prop_map(|(n, d, c)| Step::Create(n, d, c)),
        2 => (n.clone(), d.clone()).prop_map(|(n, d)| Step::Delete(n, d)),
        2 => (n.clone(), d.clone(), c).prop_map(|(n, d, c)| Step::Move(n, d, c)),
        2 => (n.clone(), d.clone(), n.clone()).prop_map(|(n, d, a)| Step::Alias(n, d, a)),
        2 => (n.clone(), d.clone(), n.clone()).prop_map(|(n, d, a)| Step::DropAlias(n, d, a)),
        2 => (n, d, 0u8..3).prop_map(|(n, d, v)| Step::Own(n, d, v)),
    ]
}

/// An alias has the name of some login with a mark before it, so that aliases and accounts meet only at times.
fn alias(a: usize) -> String {
    if a == 0 { "cy".into() } else { format!("x{}", NAMES[a]) }
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Model {
    domains: BTreeSet<String>,
    classes: BTreeSet<String>,
    /// Class and byte quota by login.
    accounts: BTreeMap<String, (String, Option<u8>)>,
    /// Owner by address; the first of an account has its login name.
    addresses: BTreeMap<String, String>,
}

fn key(n: usize, d: usize) -> String {
    format!("{}@{}", NAMES[n].to_lowercase(), DOMAINS[d])
}

impl Model {
    fn new() -> Self {
        Self { classes: ["default".to_owned()].into(), ..Self::default() }
    }

    /// Carries the step out; `false`: refused.
    fn apply(&mut self, step: &Step) -> bool {
        let class = |c: usize| CLASSES[c].to_lowercase();
        match *step {
            Step::CreateDomain(d) => {
                self.domains.insert(DOMAINS[d].into());
                true
            }
            Step::DeleteDomain(d) => {
                let suffix = format!("@{}", DOMAINS[d]);
                !self.addresses.keys().any(|a| a.ends_with(&suffix)) && self.domains.remove(DOMAINS[d])
            }
            Step::CreateCos(c) => {
                self.classes.insert(class(c));
                true
            }
            Step::DeleteCos(c) => {
                let used = self.accounts.values().any(|(of, _)| *of == class(c));
                class(c) != "default" && !used && self.classes.remove(&class(c))
            }
            Step::Create(n, d, c) => {
                let key = key(n, d);
                if !self.classes.contains(&class(c)) || self.addresses.contains_key(&key) {
                    return false;
                }
                self.domains.insert(DOMAINS[d].into());
                self.addresses.insert(key.clone(), key.clone());
                self.accounts.insert(key, (class(c), None)).is_none()
            }
            Step::Delete(n, d) => {
                let key = key(n, d);
                self.addresses.retain(|_, owner| *owner != key);
                self.accounts.remove(&key).is_some()
            }
            Step::Move(n, d, c) => {
                let known = self.classes.contains(&class(c));
                match self.accounts.get_mut(&key(n, d)) {
                    Some((of, _)) if known => {
                        *of = class(c);
                        true
                    }
                    _ => false,
                }
            }
            Step::Alias(n, d, a) => {
                let (owner, alias) = (key(n, d), format!("{}@{}", alias(a).to_lowercase(), DOMAINS[d]));
                let free = self.addresses.get(&alias).is_none_or(|o| *o == owner);
                let done = free && self.accounts.contains_key(&owner);
                if done {
                    self.addresses.insert(alias, owner);
                }
                done
            }
            Step::DropAlias(n, d, a) => {
                let (owner, alias) = (key(n, d), format!("{}@{}", alias(a).to_lowercase(), DOMAINS[d]));
                let done = alias != owner && self.addresses.get(&alias) == Some(&owner);
                if done {
                    self.addresses.remove(&alias);
                }
                done
            }
            Step::Own(n, d, v) => match self.accounts.get_mut(&key(n, d)) {
                Some((_, value)) => {
                    *value = (v > 0).then_some(v);
                    true
                }
                None => false,
            },
        }
    }
}

fn request(step: &Step) -> Request {
    let who = |n: usize, d: usize| user(&format!("{}@{}", NAMES[n], DOMAINS[d]));
    let named = |d: usize, a: usize| address(&format!("{}@{}", alias(a), DOMAINS[d]));
    match *step {
        Step::CreateDomain(d) => Request::CreateDomain(domain(DOMAINS[d]), DomainKind::Local, None),
        Step::DeleteDomain(d) => Request::DeleteDomain(domain(DOMAINS[d])),
        Step::CreateCos(c) => Request::CreateCos(CLASSES[c].into()),
        Step::DeleteCos(c) => Request::DeleteCos(CLASSES[c].into()),
        Step::Create(n, d, c) => {
            let new = new_account(&format!("{}@{}", NAMES[n], DOMAINS[d]));
            Request::CreateAccount(Box::new(NewAccount { cos: Some(CLASSES[c].into()), ..new }))
        }
        Step::Delete(n, d) => Request::DeleteAccount(who(n, d)),
        Step::Move(n, d, c) => Request::ChangeAccount(who(n, d), AccountChange::Cos(CLASSES[c].into())),
        Step::Alias(n, d, a) => Request::CreateAlias(who(n, d), named(d, a)),
        Step::DropAlias(n, d, a) => Request::DeleteAlias(who(n, d), named(d, a)),
        Step::Own(n, d, v) => {
            let value = (v > 0).then(|| v.to_string());
            Request::SetAttribute(Holder::Account(who(n, d)), "totalBytes".into(), value)
        }
    }
}

/// The state of the site by its own answers.
async fn state(site: &Site) -> Model {
    let mut model = Model::default();
    let Ok(Reply::Domains(domains)) = site.ask(Request::ListDomains(String::new())).await else { panic!() };
    model.domains = domains.into_iter().map(|d| d.name).collect();
    let Ok(Reply::Classes(classes)) = site.ask(Request::ListCos(String::new())).await else { panic!() };
    let counted: BTreeMap<String, u64> =
        classes.into_iter().map(|c| (c.name.to_lowercase(), c.users)).collect();
    model.classes = counted.keys().cloned().collect();
    for d in model.domains.clone() {
        let list = site.ask(Request::ListAccounts(domain(&d), String::new())).await;
        let Ok(Reply::Accounts(lines)) = list else { panic!("{list:?}") };
        for line in lines {
            let login = format!("{}@{}", line.user.name, line.user.domain).to_lowercase();
            let view = site.show(&login).await;
            let quota = view.attributes.iter().find(|a| a.name == "totalBytes").unwrap();
            let quota = quota.value.parse().ok().filter(|q| *q > 0);
            model.accounts.insert(login.clone(), (line.cos.to_lowercase(), quota));
            model.addresses.extend(view.addresses.iter().map(|a| (a.key(), login.clone())));
        }
    }
    for (class, users) in counted {
        let of = model.accounts.values().filter(|(c, _)| *c == class).count();
        assert_eq!(users, of as u64, "users of {class}");
    }
    model
}

/// What routes and finds say, read through the caches, which must follow every change.
async fn check_routes(site: &Site, model: &Model) {
    for d in DOMAINS {
        for name in ["ann", "bob", "cy", "xbob", "xcy"] {
            let text = format!("{name}@{d}");
            let found = match site.route(&text).await {
                Route::Local(local) => local.account.map(|a| (a.login.to_lowercase(), a.quota.bytes)),
                _ => None,
            };
            let expected = model.addresses.get(&text).map(|owner| {
                (owner.clone(), model.accounts.get(owner).and_then(|a| a.1).map_or(0, u64::from))
            });
            assert_eq!(found, expected, "{text}");
        }
    }
}

async fn agrees(steps: &[Step]) -> Result<(), TestCaseError> {
    let site = Site::new().await;
    let mut model = Model::new();
    for (at, step) in steps.iter().enumerate() {
        let done = site.ask(request(step)).await;
        prop_assert_eq!(done.is_ok(), model.apply(step), "{}: {:?}: {:?}", at, step, done);
        if at % 7 == 0 {
            check_routes(&site, &model).await;
        }
    }
    check_routes(&site, &model).await;
    prop_assert_eq!(state(&site).await, model);
    Ok(())
}

fn check(engine: Engine, cases: u32) {
    use_engine(engine);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let steps = proptest::collection::vec(step(), 1..60);
    let agreed = TestRunner::new(config).run(&steps, |steps| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(agrees(&steps))
    });
    agreed.unwrap();
}

#[test]
fn provisioning_agrees_with_a_plain_model_over_a_file() {
    check(Engine::Sqlite, 24);
}

#[test]
fn provisioning_agrees_with_a_plain_model_over_a_server() {
    check(Engine::Postgres, 12);
}
