//! `imintegcheck`: checks the directory against itself, against the stores and against the copy of this host.

use super::imbatchextract::{class_views, whole};
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::commands::mailboxes::imboxsync::{self, Differences};
use crate::context::{Context, Failure, Roles};
use crate::output::{Column, Layout, Listing};
use crate::people::{ask, call};
use catalog::account::DomainKind;
use catalog::cos;
use env::random::Random;
use mail::address::{Address, Domain};
use mail::id::{AccountId, HostName};
use roles::directory::provision::{
    AttributeView, Hashes, Holder, PAGE, Place as ForwardPlace, Reply, Request, WholeAccount,
};
use roles::directory::{DirectoryError, Route};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The row.
pub const COMMAND: Command = Command {
    name: "imintegcheck",
    aliases: &[],
    group: Group::Directory,
    summary: "Checks the directory against itself, the stores and the copy of this host",
    about: "Reads all accounts and lists what does not hold together. Checks, all of them unless some are named: Addresses (in a \
            domain that has none of its own here), Classes (one that is not there), ClassCounts (a class that does not have as \
            many accounts as it says), Values (of an attribute that is not defined, or that it may not have), Forwards (to an address of \
            this site that nobody has), Passwords (none that can be read), Homes (a host that is not one of the site), Copy (as \
            imcachecheck), ListExtraAccounts (accounts whose mailbox is not in the store of their host) and ListExtraMailboxes (mailboxes \
            that no account has). With createMboxes on, an account without a mailbox is one that has had no mail yet, which is no fault. \
            Changes meanwhile are no faults: what seems to be missing is looked for again.\n\n\
            Nothing is changed without -repair, which works on the checks that are named: Values and Forwards are taken from their \
            accounts, the copy is built anew, mailboxes are made, and mailboxes without an account are removed with all their \
            mail. What else is found needs a decision that this command cannot make.",
    usage: &["[-json] [CHECK...]", "-repair [-json] CHECK..."],
    options: &[Opt { name: "repair", value: None, help: "Repair what the named checks find" }],
    words: &[Word { name: "CHECK", count: Count::Any, help: "Only these checks" }],
    examples: &[
        Example { line: "imintegcheck", does: "Checks everything" },
        Example { line: "imintegcheck ListExtraAccounts", does: "Lists accounts without a mailbox" },
        Example {
            line: "imintegcheck -repair Forwards",
            does: "Removes forwards that lead to nobody of this site",
        },
    ],
    exits: &[(1, "something was found that was not repaired, or could not be checked")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Check {
    Addresses,
    Classes,
    ClassCounts,
    Values,
    Forwards,
    Passwords,
    Homes,
    Copy,
    ListExtraAccounts,
    ListExtraMailboxes,
}

const CHECKS: &[(&str, Check)] = &[
    ("Addresses", Check::Addresses),
    ("Classes", Check::Classes),
    ("ClassCounts", Check::ClassCounts),
    ("Values", Check::Values),
    ("Forwards", Check::Forwards),
    ("Passwords", Check::Passwords),
    ("Homes", Check::Homes),
    ("Copy", Check::Copy),
    ("ListExtraAccounts", Check::ListExtraAccounts),
    ("ListExtraMailboxes", Check::ListExtraMailboxes),
];

impl Check {
    fn parse(word: &str) -> Result<Self, Failure> {
        let found = CHECKS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        found.map(|(_, check)| *check).ok_or_else(|| Failure::Usage(format!("there is no check {word}")))
    }

    fn name(self) -> &'static str {
        CHECKS.iter().find(|(_, check)| *check == self).map_or("", |(name, _)| name)
    }
}

const COLUMNS: &[Column] = &[
    Column { title: "Check", key: "check" },
    Column { title: "Entry", key: "entry" },
    Column { title: "Finding", key: "finding" },
    Column { title: "Repaired", key: "repaired" },
];

/// A fault, and the request that ends it, where one does.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    check: Check,
    entry: String,
    text: String,
}

/// What accounts are judged by.
struct Facts {
    /// With the kinds of those whose addresses are here or not.
    domains: BTreeMap<String, DomainKind>,
    /// Lower case.
    classes: BTreeSet<String>,
    attributes: Vec<AttributeView>,
    hosts: BTreeSet<HostName>,
}

impl Facts {
    fn has_addresses(&self, domain: &Domain) -> bool {
        let kind = self.domains.get(domain.as_str());
        matches!(kind, Some(DomainKind::Local | DomainKind::NonAuthoritative))
    }

    /// What is wrong with an account by itself. Pure.
    fn judge(&self, account: &WholeAccount, is_host: impl Fn(&HostName) -> bool) -> Vec<Finding> {
        let mut found = Vec::new();
        let entry = format!("{}@{}", account.user.name, account.user.domain);
        let mut put = |check, text: String| found.push(Finding { check, entry: entry.clone(), text });
        if account.addresses.is_empty() {
            put(Check::Addresses, "it has no address".into());
        }
        for address in account.addresses.iter().filter(|a| !self.has_addresses(a.domain())) {
            put(Check::Addresses, format!("{address}: the domain has no addresses here"));
        }
        if !self.classes.contains(&account.cos.to_lowercase()) {
            put(Check::Classes, format!("there is no class of service {:?}", account.cos));
        }
        for (name, value) in &account.values {
            match self.attributes.iter().find(|a| a.name.eq_ignore_ascii_case(name)) {
                None => put(Check::Values, format!("{name}: there is no such attribute")),
                Some(of) if !cos::find(name).map_or_else(|| of.kind.allows(value), |a| a.allows(value)) => {
                    put(Check::Values, format!("{name}: it may not be {value:?}"));
                }
                Some(_) => {}
            }
        }
        if account.proofs.is_none() {
            put(Check::Passwords, "it has no password that can be read".into());
        }
        for home in account.home.iter().filter(|home| !self.hosts.contains(home) && !is_host(home)) {
            put(Check::Homes, format!("{home} is no host of this site"));
        }
        found
    }
}

/// A run.
struct Work<'a> {
    roles: &'a Roles,
    random: &'a Random,
    checks: BTreeSet<Check>,
    repairs: bool,
    listing: Listing,
    exit: Exit,
}

async fn run(context: &mut Context) -> Outcome {
    let named = context.arguments.words().iter().map(|word| Check::parse(word));
    let named = named.collect::<Result<BTreeSet<_>, _>>()?;
    let repairs = context.arguments.has("repair");
    if repairs && named.is_empty() {
        return Err(Failure::Usage("-repair: name what is to be repaired".into()));
    }
    let all = || CHECKS.iter().map(|(_, check)| *check).collect();
    let checks = if named.is_empty() { all() } else { named };
    let (roles, random) = (context.roles()?.clone(), context.random.clone());
    let listing = Listing::new(COLUMNS, Layout::Table);
    let mut work = Work { roles: &roles, random: &random, checks, repairs, listing, exit: Exit::OK };
    let homes = work.accounts(context).await?;
    work.stores(context, homes).await?;
    work.copy(context).await?;
    work.listing.end(&mut context.console).await?;
    Ok(work.exit)
}

impl Work<'_> {
    async fn found(&mut self, context: &mut Context, found: Finding, repaired: bool) -> Result<(), Failure> {
        if !self.checks.contains(&found.check) {
            return Ok(());
        }
        if !repaired {
            self.exit = Exit::FAILED;
        }
        let done = if repaired { "yes" } else { "no" };
        let cells = [found.check.name().into(), found.entry.into(), found.text.into(), done.into()];
        self.listing.row(&mut context.console, cells).await
    }

    fn wants(&self, check: Check) -> bool {
        self.checks.contains(&check)
    }

    async fn facts(&self) -> Result<Facts, Failure> {
        let (mut domains, mut after) = (BTreeMap::new(), String::new());
        loop {
            let asked = ask(self.roles, self.random, Request::ListDomains(after)).await;
            let Reply::Domains(page) = asked.map_err(Failure::because)? else { break };
            let is_last = page.len() < PAGE as usize;
            after = page.last().map(|last| last.name.clone()).unwrap_or_default();
            domains.extend(page.into_iter().map(|view| (view.name, view.kind)));
            if is_last {
                break;
            }
        }
        let classes = class_views(self.roles, self.random).await?;
        let asked = ask(self.roles, self.random, Request::ListAttributes).await.map_err(Failure::because)?;
        Ok(Facts {
            domains,
            classes: classes.into_iter().map(|class| class.name.to_lowercase()).collect(),
            attributes: if let Reply::Attributes(all) = asked { all } else { Vec::new() },
            hosts: self.roles.hosts.names().into_iter().collect(),
        })
    }

    /// All accounts by themselves; the hosts that have mailboxes of theirs.
    async fn accounts(&mut self, context: &mut Context) -> Result<BTreeSet<HostName>, Failure> {
        let facts = self.facts().await?;
        let (mut homes, mut counted) = (BTreeSet::new(), BTreeMap::new());
        let mut after = AccountId(i64::MIN);
        loop {
            let page = whole(self.roles, self.random, after, Hashes::With).await.map_err(Failure::because)?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (_, account) in &page {
                *counted.entry(account.cos.to_lowercase()).or_insert(0_u64) += 1;
                homes.extend(account.home.clone());
                for finding in facts.judge(account, |home| self.roles.hosts.is_here(home)) {
                    let repaired = self.clear_value(account, &finding).await?;
                    self.found(context, finding, repaired).await?;
                }
                if self.wants(Check::Forwards) {
                    self.forwards(context, &facts, account).await?;
                }
            }
        }
        if self.wants(Check::ClassCounts) {
            self.class_counts(context, &counted).await?;
        }
        Ok(homes)
    }

    async fn clear_value(&self, account: &WholeAccount, finding: &Finding) -> Result<bool, Failure> {
        if !self.repairs || !self.wants(Check::Values) || finding.check != Check::Values {
            return Ok(false);
        }
        let name = finding.text.split(':').next().unwrap_or_default().to_owned();
        let request = Request::SetAttribute(Holder::Account(account.user.clone()), name, None);
        // One that is not defined cannot be named either.
        Ok(ask(self.roles, self.random, request).await.is_ok())
    }

    async fn forwards(
        &mut self,
        context: &mut Context,
        facts: &Facts,
        account: &WholeAccount,
    ) -> Result<(), Failure> {
        let here = |to: &&Address| facts.domains.get(to.domain().as_str()) == Some(&DomainKind::Local);
        for to in account.forwards.iter().filter(here) {
            let route = self.roles.directory.address_route(&call(self.random), to.clone()).await;
            if route.map_err(Failure::because)? != Route::Unknown {
                continue;
            }
            let entry = format!("{}@{}", account.user.name, account.user.domain);
            let finding =
                Finding { check: Check::Forwards, entry, text: format!("{to}: nobody has this address") };
            let remove = |place| Request::DeleteForward(account.user.clone(), place, to.clone());
            let repaired = self.repairs
                && (ask(self.roles, self.random, remove(ForwardPlace::Local)).await.is_ok()
                    || ask(self.roles, self.random, remove(ForwardPlace::Remote)).await.is_ok());
            self.found(context, finding, repaired).await?;
        }
        Ok(())
    }

    /// Counted while accounts come and go: a class counts as wrong where it is off by more than it has changed meanwhile.
    async fn class_counts(
        &mut self,
        context: &mut Context,
        counted: &BTreeMap<String, u64>,
    ) -> Result<(), Failure> {
        for class in class_views(self.roles, self.random).await? {
            let found = counted.get(&class.name.to_lowercase()).copied().unwrap_or(0);
            if found != class.users {
                let text = format!("{} accounts have it, and it says {}", found, class.users);
                let finding = Finding { check: Check::ClassCounts, entry: class.name, text };
                self.found(context, finding, false).await?;
            }
        }
        Ok(())
    }

    /// The stores of these hosts and of this one.
    async fn stores(&mut self, context: &mut Context, mut homes: BTreeSet<HostName>) -> Result<(), Failure> {
        if !self.wants(Check::ListExtraAccounts) && !self.wants(Check::ListExtraMailboxes) {
            return Ok(());
        }
        let hosts = Arc::clone(&self.roles.hosts);
        homes.retain(|home| !hosts.is_here(home));
        let made_by_themselves = imboxsync::made_by_themselves(context)?;
        let own = imboxsync::compare(self.roles, self.random, &|home| hosts.is_here(home)).await?;
        self.differences(context, &self.roles.clone(), own, made_by_themselves).await?;
        let known: BTreeSet<_> = hosts.names().into_iter().collect();
        for home in homes.iter().filter(|home| known.contains(home)) {
            let there = self.roles.at(home);
            match imboxsync::compare(&there, self.random, &|of| of == home).await {
                Ok(found) => self.differences(context, &there, found, made_by_themselves).await?,
                // A store that is away hinders nobody from hearing of the others.
                Err(Failure::Failed(error)) => {
                    self.exit = Exit::FAILED;
                    context.console.error(format!("the store of {home} was not checked: {error:#}")).await?;
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    async fn differences(
        &mut self,
        context: &mut Context,
        there: &Roles,
        Differences { orphans, missing }: Differences,
        made_by_themselves: bool,
    ) -> Result<(), Failure> {
        for (mailbox, messages) in
            orphans.into_iter().filter(|_| self.wants(Check::ListExtraMailboxes)).collect::<Vec<_>>()
        {
            let repaired =
                self.repairs && there.store.mailbox_delete(&call(self.random), mailbox).await.is_ok();
            let text = format!("no account has it; it holds {messages} messages");
            let entry = format!("mailbox {mailbox}");
            self.found(context, Finding { check: Check::ListExtraMailboxes, entry, text }, repaired).await?;
        }
        if made_by_themselves || !self.wants(Check::ListExtraAccounts) {
            return Ok(());
        }
        for (mailbox, login) in missing {
            let repaired =
                self.repairs && there.store.mailbox_create(&call(self.random), mailbox).await.is_ok();
            let text = format!("its mailbox {mailbox} is not there");
            self.found(context, Finding { check: Check::ListExtraAccounts, entry: login, text }, repaired)
                .await?;
        }
        Ok(())
    }

    /// The copy of this host, where it keeps one.
    async fn copy(&mut self, context: &mut Context) -> Result<(), Failure> {
        if !self.wants(Check::Copy) {
            return Ok(());
        }
        let call = call(self.random).for_long_work();
        let compared = match self.roles.cache.cache_compare(&call).await {
            Ok(compared) => compared,
            Err(DirectoryError::Missing(_)) => return Ok(()),
            Err(error) => return Err(Failure::because(error)),
        };
        let counts = (compared.accounts, compared.sum) == (compared.copied, compared.copied_sum);
        if compared.different == 0 && counts {
            return Ok(());
        }
        let text = format!(
            "{} accounts, the directory has {}; {} differ",
            compared.copied, compared.accounts, compared.different
        );
        let repaired = self.repairs && self.roles.cache.cache_build(&call).await.is_ok();
        self.found(
            context,
            Finding { check: Check::Copy, entry: "the copy of this host".into(), text },
            repaired,
        )
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::house::House;
    use mail::id::MailboxId;
    use roles::store::MessageStore as _;
    use serde_json::Value;

    async fn findings(house: &House, words: &str) -> (Exit, Vec<(String, String, String)>) {
        let run = house.run(format!("imintegcheck -json {words}").trim()).await;
        let rows: Vec<Value> =
            serde_json::from_str(&run.output()).unwrap_or_else(|_| panic!("{}", run.errors()));
        let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
        let row = |row: &Value| (text(row, "check"), text(row, "entry"), text(row, "repaired"));
        (run.exit, rows.iter().map(row).collect())
    }

    #[tokio::test]
    async fn its_19894_a_site_that_holds_together_has_no_findings() {
        let house = House::new().await;
        for name in ["anna", "bert"] {
            house.account(name).await;
        }
        house.ok("imdbcontrol clf anna example.org bert@example.org").await;
        house.keep_copy();
        house.ok("imdirsync").await;
        assert_eq!(findings(&house, "").await, (Exit::OK, vec![]));
    }

    #[tokio::test]
    async fn its_14511_each_check_can_be_asked_for_alone_and_finds_its_own() {
        let house = House::new().await;
        for name in ["anna", "bert", "carl"] {
            house.account(name).await;
        }
        house.ok("imdbcontrol clf anna example.org carl@example.org").await;
        house.ok("imdbcontrol da carl example.org").await;
        house.store.mailbox_create(&call(&house.random), MailboxId(99)).await.unwrap();
        let all = findings(&house, "").await;
        let row = |check: &str, entry: &str| (check.to_owned(), entry.to_owned(), "no".to_owned());
        let expected = [row("Forwards", "anna@example.org"), row("ListExtraMailboxes", "mailbox 99")];
        assert_eq!(all, (Exit::FAILED, expected.to_vec()));
        for one in &expected {
            assert_eq!(findings(&house, &one.0).await, (Exit::FAILED, vec![one.clone()]));
        }
        assert_eq!(findings(&house, "Classes ClassCounts Values").await, (Exit::OK, vec![]));
        for bad in ["imintegcheck Nonsense", "imintegcheck -repair"] {
            assert_eq!(house.run(bad).await.exit, Exit::USAGE);
        }
    }

    #[tokio::test]
    async fn what_is_found_is_repaired_only_when_that_is_asked_for() {
        let house = House::new().await;
        for name in ["anna", "carl"] {
            house.account(name).await;
        }
        house.ok("imdbcontrol clf anna example.org carl@example.org").await;
        house.ok("imdbcontrol da carl example.org").await;
        house.file("config/config.db", "/*/mss/createMboxes: [false]\n");
        let (exit, found) = findings(&house, "-repair Forwards ListExtraAccounts").await;
        let checks: Vec<_> = found.iter().map(|f| (f.0.as_str(), f.2.as_str())).collect();
        assert_eq!((exit, checks), (Exit::OK, vec![("Forwards", "yes"), ("ListExtraAccounts", "yes")]));
        assert_eq!(findings(&house, "Forwards ListExtraAccounts").await, (Exit::OK, vec![]));
    }

    #[tokio::test]
    async fn its_44110_blanks_and_case_make_no_extra_accounts() {
        let house = House::new().await;
        let account = "objectClass: intermailAccount\nlogin: Anna @Example.ORG\naddress: anna@example.org\n";
        assert_eq!(house.run_reading("imbatchload -", account).await.exit, Exit::OK);
        house.file("config/config.db", "/*/mss/createMboxes: [false]\n");
        let (_, found) = findings(&house, "-repair ListExtraAccounts").await;
        assert_eq!(found.len(), 1);
        assert_eq!(findings(&house, "ListExtraAccounts").await, (Exit::OK, vec![]));
    }

    #[test]
    fn an_account_is_judged_by_what_the_site_has() {
        let facts = Facts {
            domains: [("a.test".to_owned(), DomainKind::Local), ("b.test".to_owned(), DomainKind::Relay)]
                .into(),
            classes: ["default".to_owned()].into(),
            attributes: Vec::new(),
            hosts: BTreeSet::new(),
        };
        let account = WholeAccount {
            user: roles::directory::provision::User {
                name: "x".into(),
                domain: Domain::parse("a.test").unwrap(),
            },
            mailbox: None,
            home: Some(HostName::new("mars")),
            proofs: None,
            status: catalog::account::Status::Active,
            cos: "gold".into(),
            addresses: vec![Address::parse("x@b.test").unwrap()],
            login_aliases: vec![],
            forwarding: roles::directory::provision::Forwarding::On,
            forwards: vec![],
            values: vec![("colour".into(), "red".into())],
        };
        let checks: Vec<_> = facts.judge(&account, |_| false).iter().map(|f| f.check).collect();
        let expected = [Check::Addresses, Check::Classes, Check::Values, Check::Passwords, Check::Homes];
        assert_eq!(checks, expected);
        assert!(facts.judge(&account, |_| true).iter().all(|f| f.check != Check::Homes));
    }
}
