//! `imoldmsgdel`: removes old mail, all that is older than an age and none that is newer (ITS 22344).

use super::mailbox;
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::output::{Column, Layout, Listing};
use crate::people::{People, Whom, views};
use crate::retention::{Policy, Removed, Rule, expire_mailbox};
use env::clock::Clock;
use mail::address::Domain;
use mail::time::Timestamp;
use roles::directory::provision::{AccountView, User};
use roles::store::{Run, Unread};
use std::time::Duration;

/// The row.
pub const COMMAND: Command = Command {
    name: "imoldmsgdel",
    aliases: &[],
    group: Group::Mailboxes,
    summary: "Removes old mail by age, account, class and folder",
    about: "Removes messages that have been in their folder for longer than an age: those of the named accounts, of a \
            class of service (-cos), of a domain (-domain), or of all (-all). The age is one for all (-age, -before), or \
            what each account's class of service says (-policy: expireTrashDays, expireJunkDays, expireMailDays; the \
            daemon does the same by itself, see expireIntervalHours). It counts from when a message came into the \
            folder, so what was moved into the Trash yesterday is one day old there. Unread mail stays unless the class \
            says otherwise (expireUnread) or -unread is given. What was removed cannot be brought back: -dry-run first.",
    usage: &[
        "[-dry-run] [-json] [-unread] [-folder NAME] -age AGE USER@DOMAIN...",
        "[-dry-run] [-json] [-unread] [-folder NAME] -before TIME USER@DOMAIN...",
        "[-dry-run] [-json] -policy USER@DOMAIN...",
        "... -all | -cos COS | -domain DOMAIN",
    ],
    options: &[
        Opt { name: "age", value: Some("AGE"), help: "Older than this: 30, 30d (days), 12h, 90m, 20s" },
        Opt { name: "before", value: Some("TIME"), help: "Came before this, as 2026-11-23T12:00:00Z" },
        Opt { name: "policy", value: None, help: "As old as the account's class of service says" },
        Opt { name: "folder", value: Some("NAME"), help: "In this folder only" },
        Opt { name: "unread", value: None, help: "Unread mail, too" },
        Opt { name: "all", value: None, help: "Of all accounts" },
        Opt { name: "cos", value: Some("COS"), help: "Of the accounts of this class of service" },
        Opt { name: "domain", value: Some("DOMAIN"), help: "Of the accounts of this domain" },
        Opt { name: "dry-run", value: None, help: "Only say what would be removed" },
        Opt { name: "n", value: None, help: "The same as -dry-run" },
    ],
    words: &[Word {
        name: "USER@DOMAIN",
        count: Count::Any,
        help: "Addresses, aliases or login names of accounts",
    }],
    examples: &[
        Example {
            line: "imoldmsgdel -dry-run -age 30 -folder Trash -all",
            does: "Says what is older than 30 days in the Trash of all accounts",
        },
        Example { line: "imoldmsgdel -policy -cos free", does: "Removes what the class free does not keep" },
        Example {
            line: "imoldmsgdel -before 2026-01-01T00:00:00Z -unread testman@software.com",
            does: "Removes all mail of former years of testman",
        },
    ],
    exits: &[(1, "a mailbox could not be done; the others were")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

const COLUMNS: &[Column] = &[
    Column { title: "Login", key: "login" },
    Column { title: "Folder", key: "folder" },
    Column { title: "Removed", key: "removed" },
    Column { title: "Bytes", key: "bytes" },
    Column { title: "Kept unread", key: "kept_unread" },
];

/// What the command line says of ages.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    Policy,
    Before(Timestamp, Option<String>),
}

/// Whose mail.
enum Whose {
    Named(Vec<String>),
    Those(Whom),
}

async fn run(context: &mut Context) -> Outcome {
    let now = Clock::system().now();
    let asked = asked(context, now)?;
    let whose = whose(context)?;
    let mut listing = Listing::new(COLUMNS, Layout::Table);
    let mut exit = Exit::OK;
    match whose {
        Whose::Named(names) => {
            for name in names {
                match named(context, name).await {
                    Ok(view) => one(context, &mut listing, &view, &asked, now, &mut exit).await?,
                    Err(error) => {
                        exit = Exit::FAILED;
                        context.console.error(error).await?;
                    }
                }
            }
        }
        Whose::Those(whom) => {
            let (roles, random) = (context.roles()?.clone(), context.random.clone());
            let mut people = People::new(&roles, &random, whom);
            while let Some(page) = people.next().await.map_err(Failure::because)? {
                let users = page.into_iter().map(|line| line.user);
                for view in views(&roles, &random, users).await.map_err(Failure::because)? {
                    one(context, &mut listing, &view, &asked, now, &mut exit).await?;
                }
            }
        }
    }
    listing.end(&mut context.console).await?;
    Ok(exit)
}

/// Does one account. That it fails is said, and the next one's turn comes.
async fn one(
    context: &mut Context,
    listing: &mut Listing,
    view: &AccountView,
    asked: &Asked,
    now: Timestamp,
    exit: &mut Exit,
) -> Result<(), Failure> {
    let dry = context.arguments.has("dry-run") || context.arguments.has("n");
    let run = if dry { Run::Dry } else { Run::Real };
    let mut policy = Policy::of(&view.attributes);
    if context.arguments.has("unread") {
        policy.unread = Unread::Goes;
    }
    let rule = match asked {
        Asked::Policy => Rule::Class(policy),
        Asked::Before(before, folder) => Rule::Before(*before, folder.clone(), policy.unread),
    };
    let login = format!("{}@{}", view.line.user.name, view.line.user.domain);
    let roles = context.roles()?.at(&view.line.home);
    let done = expire_mailbox(&roles, &context.random, view.line.mailbox, &rule, now, run).await;
    match done {
        Ok(removed) => {
            for Removed { folder, expired } in removed {
                let counts = [expired.messages.into(), expired.bytes.into(), expired.protected.into()];
                let [messages, bytes, protected] = counts;
                let cells = [login.clone().into(), folder.into(), messages, bytes, protected];
                listing.row(&mut context.console, cells).await?;
            }
        }
        Err(error) => {
            *exit = Exit::FAILED;
            context.console.error(format!("{login}: {error}")).await?;
        }
    }
    Ok(())
}

/// The account behind a name, with its attributes.
async fn named(context: &Context, name: String) -> Result<AccountView, Failure> {
    let account = mailbox::account_named(context, name).await?;
    let login = account
        .login
        .rsplit_once('@')
        .and_then(|(name, domain)| Some(User { name: name.to_owned(), domain: Domain::parse(domain).ok()? }));
    let views =
        views(context.roles()?, &context.random, login.into_iter()).await.map_err(Failure::because)?;
    let gone = || Failure::because(format!("there is no account {}", account.login));
    views.into_iter().next().ok_or_else(gone)
}

fn asked(context: &Context, now: Timestamp) -> Result<Asked, Failure> {
    let arguments = &context.arguments;
    let folder = arguments.value("folder").map(str::to_owned);
    match (arguments.value("age"), arguments.value("before"), arguments.has("policy")) {
        (Some(age), None, false) => {
            let age =
                span(age).ok_or_else(|| Failure::Usage(format!("{age} is no age: 30d, 12h, 90m, 20s")))?;
            Ok(Asked::Before(now.minus(age), folder))
        }
        (None, Some(time), false) => {
            let bad = || Failure::Usage(format!("{time} is no time: 2026-11-23T12:00:00Z"));
            Ok(Asked::Before(Timestamp::parse_rfc3339(time).ok_or_else(bad)?, folder))
        }
        (None, None, true) if folder.is_none() => Ok(Asked::Policy),
        (None, None, true) => Err(Failure::Usage("-policy knows the folders by itself".into())),
        _ => Err(Failure::Usage("give one of -age, -before and -policy".into())),
    }
}

fn whose(context: &Context) -> Result<Whose, Failure> {
    let arguments = &context.arguments;
    let names = arguments.words().to_vec();
    let (all, class, domain) = (arguments.has("all"), arguments.value("cos"), arguments.value("domain"));
    let some = class.is_some() || domain.is_some();
    match (names.is_empty(), all, some) {
        (false, false, false) => Ok(Whose::Named(names)),
        (true, true, false) | (true, false, true) => {
            let bad = |error| Failure::Usage(format!("-domain: {error}"));
            let domain = domain.map(Domain::parse).transpose().map_err(bad)?;
            Ok(Whose::Those(Whom { domain, class: class.map(str::to_owned) }))
        }
        _ => Err(Failure::Usage("name accounts, or give -all, -cos or -domain".into())),
    }
}

/// `30d`, `12h`, `90m`, `20s`; a number alone is in days.
fn span(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let seconds = match unit {
        "" | "d" => 86_400,
        "h" => 3600,
        "m" => 60,
        "s" => 1,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::house::House;

    fn days_ago(days: u64) -> Timestamp {
        Clock::system().now().minus(Duration::from_secs(days * 86_400))
    }

    async fn house() -> House {
        let house = House::new().await;
        for name in ["anna", "bert"] {
            let mailbox = house.account(name).await;
            for days in [0, 1, 29, 31, 400] {
                house.deliver(mailbox, &format!("{days}"), days_ago(days)).await;
            }
        }
        house
    }

    async fn left(house: &House, name: &str) -> Vec<String> {
        let mailbox = mailbox_of(house, name).await;
        house.inbox(mailbox).await
    }

    async fn mailbox_of(house: &House, name: &str) -> mail::id::MailboxId {
        use roles::directory::Directory as _;
        let call = crate::people::call(&house.random);
        house.directory.account_find(&call, format!("{name}@example.org")).await.unwrap().mailbox
    }

    #[tokio::test]
    async fn its_22344_all_that_is_older_goes_and_nothing_newer() {
        let house = house().await;
        let before = days_ago(30).rfc3339();
        let dry = house.ok(&format!("imoldmsgdel -n -unread -before {before} anna@example.org")).await;
        assert!(dry.contains("anna@example.org") && dry.contains(" 2 "), "{dry}");
        assert_eq!(left(&house, "anna").await.len(), 5);
        house.ok("imoldmsgdel -unread -age 30 anna@example.org").await;
        assert_eq!(left(&house, "anna").await, ["0", "1", "29"]);
        assert_eq!(left(&house, "bert").await.len(), 5, "nobody else's");
        house.ok("imoldmsgdel -unread -age 12h -all").await;
        assert_eq!(
            (left(&house, "anna").await, left(&house, "bert").await),
            (vec!["0".into()], vec!["0".into()])
        );
    }

    #[tokio::test]
    async fn its_13904_unread_mail_stays_where_the_class_protects_it() {
        let house = house().await;
        let said = house.ok("imoldmsgdel -json -age 30 anna@example.org").await;
        let rows: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!((&rows[0]["removed"], &rows[0]["kept_unread"]), (&0.into(), &2.into()));
        house.ok("imdbcontrol sca default expireUnread yes").await;
        house.ok("imoldmsgdel -age 30 anna@example.org").await;
        assert_eq!(left(&house, "anna").await.len(), 3);
    }

    #[tokio::test]
    async fn classes_say_how_long_mail_is_kept() {
        let house = house().await;
        house.ok("imdbcontrol cc free").await;
        house.ok("imdbcontrol sca free expireMailDays 30").await;
        house.ok("imdbcontrol sca free expireUnread yes").await;
        house.ok("imdbcontrol ma bert example.org cos free").await;
        assert_eq!(house.ok("imoldmsgdel -json -policy anna@example.org").await, "[]\n");
        house.ok("imoldmsgdel -policy -cos FREE").await;
        assert_eq!((left(&house, "anna").await.len(), left(&house, "bert").await.len()), (5, 3));
        let other = house.run("imoldmsgdel -unread -age 1s -domain other.test").await;
        assert!(other.exit == Exit::FAILED && other.errors().contains("no domain other.test"));
        assert_eq!(left(&house, "anna").await.len(), 5);
    }

    #[tokio::test]
    async fn its_21092_the_name_of_the_system_plays_no_part() {
        // The site's host is mars, whatever the system is called; accounts live there.
        let house = house().await;
        let shown = house.ok("imdbcontrol gaf anna example.org").await;
        assert!(!shown.contains("Host: mars"), "{shown}");
        house.ok("imoldmsgdel -unread -age 30 -folder INBOX anna@example.org").await;
        assert_eq!(left(&house, "anna").await.len(), 3);
    }

    #[tokio::test]
    async fn a_line_that_does_not_say_all_removes_nothing() {
        let house = house().await;
        for line in [
            "-age 1",
            "anna@example.org",
            "-age x anna@example.org",
            "-age 1 -policy -all",
            "-before now -all",
            "-age 1 -all anna@example.org",
            "-policy -folder INBOX -all",
            "-age 1 -all -cos default",
        ] {
            assert_eq!(house.run(&format!("imoldmsgdel {line}")).await.exit, Exit::USAGE, "{line}");
        }
        assert_eq!(house.run("imoldmsgdel -age 1 nobody@example.org").await.exit, Exit::FAILED);
        assert_eq!(left(&house, "anna").await.len(), 5);
    }

    #[test]
    fn ages_have_units() {
        for (text, seconds) in [("2", 172_800), ("2d", 172_800), ("1h", 3600), ("3m", 180), ("0s", 0)] {
            assert_eq!(span(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "d", "-1", "1w", "1 d", "99999999999999999999", "999999999999999999d"] {
            assert_eq!(span(bad), None, "{bad}");
        }
    }
}
