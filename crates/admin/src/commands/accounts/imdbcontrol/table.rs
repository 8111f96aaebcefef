//! The sub-commands: their names, what they take, what they do. Help, usage and the manual are made from these rows.

use super::parse::{Args, Parsed};
use mail::address::Domain;
use roles::directory::provision::{AccountChange, Confirmation, Holder, NewAccount, Place, Request, User};

/// What a line asks for.
#[derive(Debug)]
pub(super) enum Act {
    /// One request.
    Ask(Box<Request>),
    /// The account, of which only a part is shown.
    Part(User, Part),
    /// The autoreply of an account.
    AutoReply(User, AutoReply),
    /// A list in pages.
    List(List),
    /// The sub-commands, or one.
    Help(Option<String>),
}

/// What to do with an autoreply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AutoReply {
    /// Show it.
    Get,
    /// Store this text.
    Set(String),
    /// Take it away.
    Unset,
}

/// Which part of an account is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Cos,
    Addresses,
    Forwards,
}

/// What is listed.
#[derive(Debug, Clone)]
pub(super) enum List {
    /// Of one domain, or of all.
    Accounts(Option<Domain>),
    Domains,
    Classes,
}

/// One sub-command.
pub(super) struct Sub {
    pub(super) name: &'static str,
    /// Shorter names; the first is the usual one.
    pub(super) short: &'static [&'static str],
    /// The arguments as they stand in help; those in brackets may be missing.
    pub(super) takes: &'static str,
    pub(super) help: &'static str,
    pub(super) parse: fn(Args<'_>) -> Parsed<Act>,
}

macro_rules! subs {
    ($($name:literal [$($short:literal),*] $takes:literal, $help:literal, $parse:expr;)+) => {
        /// All of them, in the order of the manual.
        pub(super) const SUBS: &[Sub] = &[$(Sub {
            name: $name, short: &[$($short),*], takes: $takes, help: $help, parse: $parse,
        }),+];
        /// A paragraph on each for the manual.
        pub(super) const ABOUT: &str = concat!(
            "Sub-commands have a long and a short name and are found without regard to case. One is given on the command \
             line, or many in a file or on standard input, one a line: words are parted by blanks, quotes keep blanks, a \
             line that begins with # is a comment. Each line is carried out for itself; results come in order, one line \
             each with the number of its line, and a summary on standard error.\n\n\
             Where a host or a mailbox id is asked for, - lets the system choose. A password of type clear is given as it \
             is and stored hashed; for every other type it is a hash as impwdhash makes it. Creating an account in a domain \
             that is not there creates the domain as a local one, unless createMissingDomains is off; the result says so.",
            $("\n\n", $name, $(" (", $short, ")",)* " ", $takes, ": ", $help, "."),+
        );
    };
}

subs! {
    "CreateAccount" ["ca"] "LOGIN HOST MAILBOX LOCALPART PASSWORD TYPE DOMAIN [STATUS [ACCOUNTTYPE [COS]]]",
        "creates an account with its first address LOCALPART@DOMAIN; without the last three: A, S, default", create_account;
    "DeleteAccount" ["da"] "USER DOMAIN",
        "removes an account and its names; its mailbox stays in the store",
        |a| ask(Request::DeleteAccount(a.user(0)?));
    "ModifyAccount" ["ma"] "USER DOMAIN FIELD VALUE",
        "changes one field of an account: cos, host or status", modify_account;
    "SetAccountStatus" ["sas"] "USER DOMAIN STATUS",
        "sets the status: A active, M maintenance, S suspended, L locked, D deleted, P proxied",
        |a| change(a, AccountChange::Status(a.status(2)?));
    "SetPassword" ["sp"] "USER DOMAIN PASSWORD [TYPE]",
        "sets the password; without TYPE it is clear",
        |a| change(a, AccountChange::Password(a.password(2, 3)?));
    "GetAccountFull" ["gaf"] "USER DOMAIN",
        "shows everything about an account but its password",
        |a| ask(Request::ShowAccount(a.user(0)?));
    "GetAccountCos" ["gac"] "USER DOMAIN",
        "shows an account's view of its class of service",
        |a| Ok(Act::Part(a.user(0)?, Part::Cos));
    "ListAccounts" ["la", "1a"] "[DOMAIN]",
        "lists the accounts of a domain, or of all",
        |a| Ok(Act::List(List::Accounts(a.get(0).map(|_| a.domain(0)).transpose()?)));

    "CreateAlias" ["cal"] "USER DOMAIN ADDRESS",
        "gives an account one more address; a local part alone is one in DOMAIN",
        |a| alias(a, Request::CreateAlias);
    "DeleteAlias" ["dal"] "USER DOMAIN ADDRESS",
        "takes an address, but not the first, from an account",
        |a| alias(a, Request::DeleteAlias);
    "ListAliases" ["lal"] "USER DOMAIN",
        "lists the addresses and login aliases of an account",
        |a| Ok(Act::Part(a.user(0)?, Part::Addresses));
    "CreateLoginAlias" ["cla"] "USER DOMAIN LOGIN",
        "gives an account one more login name, LOGIN or LOGIN@DOMAIN",
        |a| login_alias(a, Request::CreateLoginAlias);
    "DeleteLoginAlias" ["dla"] "USER DOMAIN LOGIN",
        "takes a login alias from an account",
        |a| login_alias(a, Request::DeleteLoginAlias);

    "CreateLocalForward" ["clf"] "USER DOMAIN ADDRESS",
        "forwards the account's mail to an address of this site as well",
        |a| forward(a, Place::Local, Request::CreateForward);
    "CreateRemoteForward" ["crf"] "USER DOMAIN ADDRESS",
        "forwards the account's mail to an address elsewhere as well",
        |a| forward(a, Place::Remote, Request::CreateForward);
    "DeleteLocalForward" ["dlf"] "USER DOMAIN ADDRESS",
        "removes a forward within this site",
        |a| forward(a, Place::Local, Request::DeleteForward);
    "DeleteRemoteForward" ["drf"] "USER DOMAIN ADDRESS",
        "removes a forward to elsewhere, also the last one",
        |a| forward(a, Place::Remote, Request::DeleteForward);
    "EnableForward" ["ef"] "USER DOMAIN on|off",
        "says whether the account's forwards are followed",
        |a| change(a, AccountChange::Forwarding(a.switch(2)?));
    "ListForwards" ["lf"] "USER DOMAIN",
        "lists the forwards of an account",
        |a| Ok(Act::Part(a.user(0)?, Part::Forwards));

    "SetAutoReply" ["sar"] "USER DOMAIN TEXT",
        "stores the text that is sent back while the user is away; \\n in TEXT begins a new line",
        |a| Ok(Act::AutoReply(a.user(0)?, AutoReply::Set(autoreply_text(a.text(2))?)));
    "GetAutoReply" ["gar"] "USER DOMAIN",
        "shows the autoreply of an account",
        |a| Ok(Act::AutoReply(a.user(0)?, AutoReply::Get));
    "UnsetAutoReply" ["uar"] "USER DOMAIN",
        "takes the autoreply of an account away",
        |a| Ok(Act::AutoReply(a.user(0)?, AutoReply::Unset));

    "CreateDomain" ["cd"] "DOMAIN [KIND [TARGET]]",
        "creates a domain: local, nonauth HOST[:PORT], relay [HOST[:PORT]], rewrite DOMAIN; without KIND: local",
        |a| domain(a, Request::CreateDomain);
    "ChangeDomain" ["chd"] "DOMAIN KIND [TARGET]",
        "changes what the site does for a domain",
        |a| domain(a, Request::ChangeDomain);
    "DeleteDomain" ["dd"] "DOMAIN",
        "removes a domain in which nobody has a name",
        |a| ask(Request::DeleteDomain(a.domain(0)?));
    "ListDomains" ["ld"] "",
        "lists the domains",
        |_| Ok(Act::List(List::Domains));

    "CreateCos" ["cc"] "COS",
        "creates a class of service",
        |a| ask(Request::CreateCos(a.text(0).to_owned()));
    "DeleteCos" ["dc"] "COS",
        "removes a class of service that no account has",
        |a| ask(Request::DeleteCos(a.text(0).to_owned()));
    "ListCosNames" ["lcn"] "",
        "lists the classes of service and how many accounts have them",
        |_| Ok(Act::List(List::Classes));
    "ShowCos" ["sc"] "COS",
        "shows the values that hold for accounts of a class of service",
        |a| ask(Request::ShowCos(a.text(0).to_owned()));
    "SetCosAttribute" ["sca"] "COS NAME VALUE",
        "sets the value of an attribute for a class of service",
        |a| set(a, Holder::Cos(a.text(0).to_owned()), 1);
    "UnsetCosAttribute" ["uca"] "COS NAME",
        "takes the value of an attribute from a class of service, so that the default holds",
        |a| set(a, Holder::Cos(a.text(0).to_owned()), 1);
    "SetAccountCos" ["sac"] "USER DOMAIN NAME VALUE",
        "sets the value of an attribute for one account",
        |a| set(a, Holder::Account(a.user(0)?), 2);
    "UnsetAccountCos" ["uac"] "USER DOMAIN NAME",
        "takes the account's own value of an attribute away, so that the class's holds",
        |a| set(a, Holder::Account(a.user(0)?), 2);
    "CreateCosAttribute" ["cca"] "NAME RULE TYPE [DEFAULT]",
        "defines an attribute: rule A account over class, C class only, L least, G greatest; type S string, N number, B yes or no",
        create_attribute;
    "DeleteCosAttribute" ["dca"] "NAME [confirm]",
        "removes the definition of an attribute that nobody has a value of; dangerous, so the word confirm must follow",
        delete_attribute;
    "ListCosAttributes" ["lca"] "",
        "lists the attributes with rule, type and default",
        |_| ask(Request::ListAttributes);

    "GetFirstModified" ["gfm"] "[NUMBER]",
        "shows the first entry of the change log, or the first after NUMBER",
        |a| ask(Request::FirstModified(a.number(0)?));
    "SetServiceLevel" [] "ARGUMENT...",
        "is gone since 4.0.3",
        |_| Err("SetServiceLevel is gone since 4.0.3: use SetCosAttribute for a class or SetAccountCos for one account".into());
    "help" [] "[SUBCOMMAND]",
        "shows all sub-commands, or one",
        |a| Ok(Act::Help(a.get(0).map(str::to_owned)));
}

/// The sub-command of a long or short name, without regard to case.
pub(super) fn find(name: &str) -> Option<&'static Sub> {
    let fits = |known: &&str| known.eq_ignore_ascii_case(name);
    SUBS.iter().find(|sub| fits(&sub.name) || sub.short.iter().any(fits))
}

impl Sub {
    /// Reads its arguments.
    pub(super) fn read(&self, words: &[String]) -> Parsed<Act> {
        let (least, most) = self.counts();
        if words.len() < least || words.len() > most {
            return Err(format!("{} takes {}; {} given", self.name, self.takes_text(), words.len()));
        }
        (self.parse)(Args(words))
    }

    /// One line of help.
    pub(super) fn line(&self) -> String {
        let short: Vec<_> = self.short.iter().map(|s| format!("({s}) ")).collect();
        format!("{} {}{}: {}", self.name, short.concat(), self.takes, self.help)
    }

    fn takes_text(&self) -> &'static str {
        if self.takes.is_empty() { "no arguments" } else { self.takes }
    }

    /// How many words its arguments are.
    fn counts(&self) -> (usize, usize) {
        let words = || self.takes.split_whitespace();
        let optional = words().filter(|w| w.starts_with('[')).count();
        let most = if self.takes.contains("...") { usize::MAX } else { words().count() };
        (words().count() - optional, most)
    }
}

fn ask(request: Request) -> Parsed<Act> {
    Ok(Act::Ask(Box::new(request)))
}

fn create_account(a: Args<'_>) -> Parsed<Act> {
    a.account_type(8)?;
    ask(Request::CreateAccount(Box::new(NewAccount {
        user: User { name: a.text(0).trim().to_owned(), domain: a.domain(6)? },
        home: a.host(1)?,
        mailbox: a.mailbox(2)?,
        local_part: a.text(3).trim().to_owned(),
        password: a.password(4, 5)?,
        status: match a.get(7) {
            Some(_) => a.status(7)?,
            None => catalog::account::Status::Active,
        },
        cos: a.get(9).map(str::to_owned),
    })))
}

/// Lines end as in mail; what stands behind the last one is dropped (ITS 18794).
fn autoreply_text(text: &str) -> Parsed<String> {
    let text = text.replace("\\n", "\n").replace("\r\n", "\n");
    let text = text.trim_end();
    if text.is_empty() {
        return Err("the autoreply is empty: UnsetAutoReply takes it away".into());
    }
    Ok(text.replace('\n', "\r\n") + "\r\n")
}

fn modify_account(a: Args<'_>) -> Parsed<Act> {
    let field = a.text(2).to_ascii_lowercase();
    let change = match field.as_str() {
        "cos" => AccountChange::Cos(a.text(3).to_owned()),
        "status" => AccountChange::Status(a.status(3)?),
        "host" => AccountChange::Home(a.host(3)?.ok_or("name the host that has the mailbox")?),
        _ => return Err(format!("an account has no field {field:?}: expected cos, host or status")),
    };
    self::change(a, change)
}

fn change(a: Args<'_>, change: AccountChange) -> Parsed<Act> {
    ask(Request::ChangeAccount(a.user(0)?, change))
}

fn alias(a: Args<'_>, make: fn(User, mail::address::Address) -> Request) -> Parsed<Act> {
    let user = a.user(0)?;
    let address = a.address_in(2, &user.domain)?;
    ask(make(user, address))
}

fn login_alias(a: Args<'_>, make: fn(User, User) -> Request) -> Parsed<Act> {
    let user = a.user(0)?;
    let alias = a.user_in(2, &user.domain)?;
    ask(make(user, alias))
}

fn forward(
    a: Args<'_>,
    place: Place,
    make: fn(User, Place, mail::address::Address) -> Request,
) -> Parsed<Act> {
    let user = a.user(0)?;
    let address = a.address_in(2, &user.domain)?;
    ask(make(user, place, address))
}

fn domain(
    a: Args<'_>,
    make: fn(Domain, catalog::account::DomainKind, Option<String>) -> Request,
) -> Parsed<Act> {
    let kind = match a.get(1) {
        Some(_) => a.domain_kind(1)?,
        None => catalog::account::DomainKind::Local,
    };
    ask(make(a.domain(0)?, kind, a.get(2).map(str::to_owned)))
}

/// Sets the attribute named at this place to the value behind it; clears it where there is none.
fn set(a: Args<'_>, holder: Holder, at: usize) -> Parsed<Act> {
    ask(Request::SetAttribute(holder, a.text(at).to_owned(), a.get(at + 1).map(str::to_owned)))
}

fn create_attribute(a: Args<'_>) -> Parsed<Act> {
    let default = a.get(3).map(str::to_owned);
    ask(Request::CreateAttribute(a.text(0).to_owned(), a.rule(1)?, a.kind(2)?, default))
}

fn delete_attribute(a: Args<'_>) -> Parsed<Act> {
    let confirmation = match a.get(1) {
        None => Confirmation::Missing,
        Some("confirm") => Confirmation::Given,
        Some(word) => return Err(format!("{word:?} is not the word confirm")),
    };
    ask(Request::DeleteAttribute(a.text(0).to_owned(), confirmation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_none_twice() {
        let mut names: Vec<_> =
            SUBS.iter().flat_map(|s| s.short.iter().chain([&s.name])).map(|n| n.to_lowercase()).collect();
        let all = names.len();
        for sub in SUBS {
            assert_eq!(find(&sub.name.to_uppercase()).map(|s| s.name), Some(sub.name));
            assert!(!sub.help.ends_with('.') && ABOUT.contains(sub.help), "{}", sub.name);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(find("imdbmake").is_none());
    }

    #[test]
    fn its_9400_no_sub_command_makes_or_deletes_the_database() {
        let database = |s: &&Sub| s.help.contains("database") || s.name.to_lowercase().contains("database");
        assert_eq!(SUBS.iter().filter(database).count(), 0);
    }

    #[test]
    fn the_number_of_arguments_is_checked() {
        let read = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            find(&words[0]).unwrap().read(&words[1..]).map(|_| ())
        };
        assert!(read("ca testman venus 432234 testman testman clear software.com").is_ok());
        assert!(read("ca testman venus 432234 testman testman clear software.com A S default").is_ok());
        let few = read("ca testman venus").unwrap_err();
        assert!(
            few.starts_with("CreateAccount takes LOGIN HOST MAILBOX") && few.ends_with("; 2 given"),
            "{few}"
        );
        assert_eq!(read("ld x").unwrap_err(), "ListDomains takes no arguments; 1 given");
        assert!(read("SetServiceLevel a b c d e").unwrap_err().contains("SetAccountCos"));
        assert!(read("la").is_ok() && read("LA a.test").is_ok() && read("la a b").is_err());
    }

    #[test]
    fn its_4468_bad_arguments_are_named_with_what_is_expected() {
        let cases = [
            ("ca t - x t p clear a.test", "the mailbox id \"x\" is not a number; - means the next free one"),
            (
                "ca t - - t p rot13 a.test",
                "there is no password type \"rot13\": expected one of clear, argon2id",
            ),
            ("ca t - - t p ssha a.test", "the password hash is damaged"),
            ("ca t - - t p clear a.test X", "there is no status \"X\": expected one of A (active), M"),
            ("ca t - - t p clear a.test A W", "there is no account type \"W\": expected S (standard)"),
            ("cd a..test", "\"a..test\" is not a domain name"),
            ("cd a.test remote", "there is no kind of domain \"remote\": expected one of local, nonauth"),
            ("cca x Z S", "there is no rule \"Z\""),
            ("cca x A Q", "there is no type \"Q\""),
            ("ef t a.test maybe", "\"maybe\" is not a switch"),
            ("ma t a.test colour red", "an account has no field \"colour\""),
            ("cal t a.test a..b@a.test", "\"a..b@a.test\" is not an address"),
            ("dca x yes", "\"yes\" is not the word confirm"),
            ("gfm x", "\"x\" is not a number"),
        ];
        for (line, reason) in cases {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let error = find(&words[0]).unwrap().read(&words[1..]).unwrap_err();
            assert!(error.starts_with(reason), "{line}: {error}");
        }
    }

    #[test]
    fn its_14929_long_domain_names_are_refused_with_their_length() {
        let long = |text: String| find("cd").unwrap().read(&[text]).unwrap_err();
        assert!(long(format!("{}.test", "x".repeat(64))).contains("is 64 characters long; 63 are allowed"));
        assert!(long(["abcdefghi"; 30].join(".")).contains("is 299 characters long; 255 are allowed"));
    }
}
