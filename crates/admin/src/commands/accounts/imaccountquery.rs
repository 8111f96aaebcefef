//! `imaccountquery`: finds accounts by anything that the directory knows of them.

use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::output::{Cell, Column, Layout, Listing};
use crate::people::{self, People, Whom};
use mail::address::Domain;
use roles::directory::provision::{AccountLine, AccountView};

/// The row.
pub const COMMAND: Command = Command {
    name: "imaccountquery",
    aliases: &[],
    group: Group::Directory,
    summary: "Finds accounts by anything that the directory knows of them",
    about: "Lists the accounts of which every FIELD=PATTERN holds, compared without case; * stands for any text, an empty PATTERN for \
            no value. Fields are id, login, domain, mailbox, home, status (its letter), cos, address (any of its SMTP addresses), \
            alias (a login alias), forward, and every attribute of a class of service by its name, with the value that holds. \
            Reads page by page, whatever the number of accounts.",
    usage: &["[-domain DOMAIN] [-cos COS] [-count] [-json] [FIELD=PATTERN...]"],
    options: &[
        Opt { name: "domain", value: Some("DOMAIN"), help: "Only accounts of this domain" },
        Opt { name: "cos", value: Some("COS"), help: "Only accounts of this class of service" },
        Opt { name: "count", value: None, help: "Only say how many there are" },
    ],
    words: &[Word { name: "FIELD=PATTERN", count: Count::Any, help: "What must hold" }],
    examples: &[
        Example { line: "imaccountquery status=S", does: "Lists the suspended accounts" },
        Example { line: "imaccountquery forward=*@example.org", does: "Finds who forwards there" },
        Example { line: "imaccountquery -count home=store1", does: "Counts the mailboxes of a host" },
    ],
    exits: &[(1, "the directory could not be read, or there is no such domain")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

const COLUMNS: &[Column] = &[
    Column { title: "Id", key: "id" },
    Column { title: "Login", key: "login" },
    Column { title: "Mailbox", key: "mailbox" },
    Column { title: "Home", key: "home" },
    Column { title: "Status", key: "status" },
    Column { title: "Class", key: "cos" },
];

async fn run(context: &mut Context) -> Outcome {
    let conditions = context.arguments.words().iter().map(|word| Condition::parse(word));
    let conditions = conditions.collect::<Result<Vec<_>, _>>()?;
    let bad = |error| Failure::Usage(format!("-domain: {error}"));
    let domain = context.arguments.value("domain").map(Domain::parse).transpose().map_err(bad)?;
    let whom = Whom { domain, class: context.arguments.value("cos").map(str::to_owned) };
    let counts = context.arguments.has("count");
    let needs_all = conditions.iter().any(|c| !LINE.contains(&c.field.as_str()));
    let (roles, random) = (context.roles()?.clone(), context.random.clone());
    let mut people = People::new(&roles, &random, whom);
    let (mut listing, mut found) = (Listing::new(COLUMNS, Layout::Table), 0_u64);
    while let Some(page) = people.next().await.map_err(Failure::because)? {
        let lines: Vec<AccountLine> = match needs_all {
            false => {
                page.into_iter().filter(|line| conditions.iter().all(|c| c.holds_of_line(line))).collect()
            }
            true => {
                let users = page.into_iter().map(|line| line.user);
                let views = people::views(&roles, &random, users).await.map_err(Failure::because)?;
                let held = views.into_iter().filter(|view| conditions.iter().all(|c| c.holds_of(view)));
                held.map(|view| view.line).collect()
            }
        };
        found += lines.len() as u64;
        for line in lines.iter().filter(|_| !counts) {
            listing.row(&mut context.console, cells(line)).await?;
        }
    }
    if counts {
        let mut listing = Listing::new(&[Column { title: "Accounts", key: "accounts" }], Layout::Table);
        listing.row(&mut context.console, [found.into()]).await?;
        listing.end(&mut context.console).await?;
    } else {
        listing.end(&mut context.console).await?;
    }
    Ok(Exit::OK)
}

fn cells(line: &AccountLine) -> [Cell; 6] {
    [
        line.id.to_string().into(),
        login(line).into(),
        line.mailbox.to_string().into(),
        line.home.to_string().into(),
        line.status.to_string().into(),
        line.cos.clone().into(),
    ]
}

fn login(line: &AccountLine) -> String {
    format!("{}@{}", line.user.name, line.user.domain)
}

/// Fields that stand in a list of accounts: for the others each account is asked for.
const LINE: [&str; 7] = ["id", "login", "domain", "mailbox", "home", "status", "cos"];

/// What must hold of an account.
#[derive(Debug, PartialEq, Eq)]
struct Condition {
    /// Lower case.
    field: String,
    /// Lower case.
    pattern: String,
}

impl Condition {
    fn parse(word: &str) -> Result<Self, Failure> {
        let bad = || Failure::Usage(format!("{word:?} is not of the form FIELD=PATTERN"));
        let (field, pattern) = word.split_once('=').ok_or_else(bad)?;
        let field = field.trim().to_lowercase();
        if field.is_empty() { Err(bad()) } else { Ok(Self { field, pattern: pattern.to_lowercase() }) }
    }

    fn holds_of_line(&self, line: &AccountLine) -> bool {
        let value = match self.field.as_str() {
            "id" => line.id.to_string(),
            "login" => login(line),
            "domain" => line.user.domain.to_string(),
            "mailbox" => line.mailbox.to_string(),
            "home" => line.home.to_string(),
            "status" => line.status.to_string(),
            _ => line.cos.clone(),
        };
        matches(&self.pattern, &value)
    }

    fn holds_of(&self, view: &AccountView) -> bool {
        let any = |mut values: Box<dyn Iterator<Item = String> + '_>| match values.next() {
            None => self.pattern.is_empty(),
            Some(first) => std::iter::once(first).chain(values).any(|value| matches(&self.pattern, &value)),
        };
        match self.field.as_str() {
            field if LINE.contains(&field) => self.holds_of_line(&view.line),
            "address" => any(Box::new(view.addresses.iter().map(ToString::to_string))),
            "alias" => any(Box::new(view.login_aliases.iter().map(|a| format!("{}@{}", a.name, a.domain)))),
            "forward" => any(Box::new(view.forwards.iter().map(|(_, address)| address.to_string()))),
            field => {
                let of = view.attributes.iter().filter(|a| a.name.eq_ignore_ascii_case(field));
                any(Box::new(of.map(|a| a.value.clone())))
            }
        }
    }
}

/// Whether a text is of a pattern in lower case, in which `*` stands for any text. Takes time of the product of both lengths at
/// most, whatever the pattern.
fn matches(pattern: &str, text: &str) -> bool {
    let text = text.to_lowercase();
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::house::House;

    #[test]
    fn patterns_have_stars() {
        let cases = [
            ("", "", true),
            ("", "x", false),
            ("*", "", true),
            ("a*", "ABC", true),
            ("*c", "abc", true),
            ("a*c", "ac", true),
            ("a*a", "a", false),
            ("*b*", "abc", true),
            ("a*b*a", "aXbYa", true),
            ("a*b*a", "aba b", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern, text), expected, "{pattern:?} {text:?}");
        }
    }

    async fn logins(house: &House, words: &str) -> Vec<String> {
        let said = house.ok(format!("imaccountquery -json {words}").trim()).await;
        let found: Vec<serde_json::Value> = serde_json::from_str(&said).unwrap();
        found.iter().map(|row| row["login"].as_str().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn accounts_are_found_by_whatever_is_known_of_them() {
        let house = House::new().await;
        for name in ["anna", "bert", "carl"] {
            house.account(name).await;
        }
        house.ok("imdbcontrol crf bert example.org x@elsewhere.test").await;
        house.ok("imdbcontrol SetAccountStatus carl example.org S").await;
        house.ok("imdbcontrol SetAccountCos anna example.org totalBytes 777").await;
        assert_eq!(logins(&house, "").await.len(), 3);
        assert_eq!(logins(&house, "login=A*").await, ["anna@example.org"]);
        assert_eq!(logins(&house, "status=s").await, ["carl@example.org"]);
        assert_eq!(logins(&house, "forward=*@elsewhere.test").await, ["bert@example.org"]);
        assert_eq!(logins(&house, "forward= status=A").await, ["anna@example.org"]);
        assert_eq!(logins(&house, "totalbytes=777").await, ["anna@example.org"]);
        assert_eq!(logins(&house, "address=bert@*").await, ["bert@example.org"]);
        let bad = house.run("imaccountquery nonsense").await;
        assert!(bad.exit == Exit::USAGE && bad.errors().contains("FIELD=PATTERN"));
    }
}
