//! Answering what a line asks for. Lists go out page by page, whatever their length.

use super::print::{self, Printed};
use super::table::{self, Act, AutoReply, List, SUBS};
use super::unknown;
use crate::context::{Failure, Roles};
use crate::output::{Console, Format};
use mail::address::Domain;
use mail::attribute::AttributeName;
use mail::id::MailboxId;
use roles::Call;
use roles::directory::DirectoryError;
use roles::directory::provision::{PAGE, Reply, Request};
use roles::store::StoreError;
use serde_json::json;

/// What came of one line; `Err`: why it failed, not yet said.
pub(super) type Said = Result<Result<(), String>, Failure>;

/// The answers to one line, as they go out.
pub(super) struct Answers<'a> {
    console: &'a mut Console,
    /// The number and the name of the line in a batch; `None`: the only one.
    line: Option<(usize, &'a str)>,
    /// Entries of a list that have gone out.
    listed: usize,
}

/// Both layers of a request that failed: the console is gone, or the directory refused.
enum Broken {
    Console(Failure),
    Refused(DirectoryError),
    Store(StoreError),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Console(failure)
    }
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<DirectoryError> for Broken {
    fn from(error: DirectoryError) -> Self {
        Self::Refused(error)
    }
}

impl<'a> Answers<'a> {
    /// To the only command of this run.
    pub(super) fn alone(console: &'a mut Console) -> Self {
        Self { console, line: None, listed: 0 }
    }

    /// To a line of a batch.
    pub(super) fn of_line(console: &'a mut Console, number: usize, name: &'a str) -> Self {
        Self { console, line: Some((number, name)), listed: 0 }
    }

    /// Does what is asked for and prints it.
    pub(super) async fn act(mut self, roles: &Roles, call: &Call, act: Act) -> Said {
        match self.answer(roles, call, act).await {
            Ok(()) => Ok(Ok(())),
            Err(Broken::Refused(error)) => Ok(Err(explain(&error))),
            Err(Broken::Store(error)) => Ok(Err(error.to_string())),
            Err(Broken::Console(failure)) => Err(failure),
        }
    }

    async fn answer(&mut self, roles: &Roles, call: &Call, act: Act) -> Result<(), Broken> {
        match act {
            Act::Ask(request) => {
                let reply = ask(roles, call, *request).await?;
                Ok(self.whole(print::reply(&reply)).await?)
            }
            Act::Part(user, part) => match ask(roles, call, Request::ShowAccount(user)).await? {
                Reply::Account(view) => Ok(self.whole(print::part(&view, part)).await?),
                reply => Ok(self.whole(print::reply(&reply)).await?),
            },
            Act::AutoReply(user, what) => {
                let Reply::Account(view) = ask(roles, call, Request::ShowAccount(user)).await? else {
                    return Err(DirectoryError::Broken("the directory gave no account".into()).into());
                };
                let text = autoreply(&roles.at(&view.line.home), call, view.line.mailbox, what).await?;
                Ok(self.whole(print::autoreply(&view.line, text.as_deref())).await?)
            }
            Act::Help(name) => Ok(self.whole(help(name.as_deref())?).await?),
            Act::List(what) => {
                self.list(roles, call, what).await?;
                Ok(self.end_of_list().await?)
            }
        }
    }

    async fn list(&mut self, roles: &Roles, call: &Call, what: List) -> Result<(), Broken> {
        match what {
            List::Domains => self.pages(roles, call, Request::ListDomains).await,
            List::Classes => self.pages(roles, call, Request::ListCos).await,
            List::Accounts(Some(domain)) => self.accounts(roles, call, domain).await,
            List::Accounts(None) => {
                let mut after = String::new();
                loop {
                    let Reply::Domains(page) = ask(roles, call, Request::ListDomains(after)).await? else {
                        return Ok(());
                    };
                    for domain in page.iter().filter_map(|d| Domain::parse(&d.name).ok()) {
                        self.accounts(roles, call, domain).await?;
                    }
                    match page.last() {
                        Some(last) if page.len() >= PAGE as usize => after = last.name.clone(),
                        _ => return Ok(()),
                    }
                }
            }
        }
    }

    async fn accounts(&mut self, roles: &Roles, call: &Call, domain: Domain) -> Result<(), Broken> {
        self.pages(roles, call, |after| Request::ListAccounts(domain.clone(), after)).await
    }

    async fn pages(
        &mut self,
        roles: &Roles,
        call: &Call,
        request: impl Fn(String) -> Request,
    ) -> Result<(), Broken> {
        let mut after = String::new();
        loop {
            let reply = ask(roles, call, request(after)).await?;
            let (count, last) = match &reply {
                Reply::Accounts(lines) => (lines.len(), lines.last().map(|l| l.user.name.clone())),
                Reply::Domains(domains) => (domains.len(), domains.last().map(|d| d.name.clone())),
                Reply::Classes(classes) => (classes.len(), classes.last().map(|c| c.name.clone())),
                _ => (0, None),
            };
            self.page(print::reply(&reply)).await?;
            match last {
                Some(last) if count >= PAGE as usize => after = last,
                _ => return Ok(()),
            }
        }
    }

    /// A whole answer: `17: ok CreateAccount: created: …`; one of several lines stands before its line of result.
    pub(super) async fn whole(&mut self, printed: Printed) -> Result<(), Failure> {
        match (self.console.format(), self.line) {
            (Format::Json, None) => self.console.json(&printed.value).await,
            (Format::Json, Some((line, command))) => {
                let value = json!({ "line": line, "command": command, "ok": true, "result": printed.value });
                self.console.json(&value).await
            }
            (Format::Text, line) => match (line, printed.lines.as_slice()) {
                (Some((number, name)), [only]) => {
                    self.console.line(format!("{number}: ok {name}: {only}")).await
                }
                (_, lines) => {
                    self.listed += lines.len();
                    self.lines(lines).await?;
                    self.end_of_list().await
                }
            },
        }
    }

    /// One page of a list.
    async fn page(&mut self, printed: Printed) -> Result<(), Failure> {
        match (self.console.format(), self.line) {
            (Format::Text, _) => self.lines(&printed.lines).await?,
            (Format::Json, Some((line, command))) => {
                let result = printed.value;
                let value =
                    json!({ "line": line, "command": command, "ok": true, "result": result, "more": true });
                self.console.json(&value).await?;
            }
            (Format::Json, None) => {
                for (at, item) in printed.value.as_array().into_iter().flatten().enumerate() {
                    let before = if self.listed + at == 0 { "[\n" } else { ",\n" };
                    self.console.bytes(format!("{before}{item}").as_bytes()).await?;
                }
            }
        }
        self.listed += printed.lines.len();
        Ok(())
    }

    async fn end_of_list(&mut self) -> Result<(), Failure> {
        match (self.console.format(), self.line) {
            (Format::Text, None) => Ok(()),
            (Format::Text, Some((number, name))) => {
                self.console.line(format!("{number}: ok {name}: {} lines", self.listed)).await
            }
            (Format::Json, None) if self.listed == 0 => self.console.line("[]").await,
            (Format::Json, None) => self.console.line("\n]").await,
            (Format::Json, Some((line, command))) => {
                let value =
                    json!({ "line": line, "command": command, "ok": true, "result": [], "more": false });
                self.console.json(&value).await
            }
        }
    }

    async fn lines(&mut self, lines: &[String]) -> Result<(), Failure> {
        for line in lines {
            self.console.line(line).await?;
        }
        Ok(())
    }
}

/// Does it; returns the text that is there then. A mailbox that is not there yet is made for a text to be kept in.
async fn autoreply(
    roles: &Roles,
    call: &Call,
    mailbox: MailboxId,
    what: AutoReply,
) -> Result<Option<String>, StoreError> {
    let (store, name) = (&roles.store, AttributeName::autoreply());
    let done = match what {
        AutoReply::Get => Ok(()),
        AutoReply::Unset => store.attribute_set(call, mailbox, name.clone(), None).await,
        AutoReply::Set(text) => {
            store.mailbox_create(call, mailbox).await?;
            store.attribute_set(call, mailbox, name.clone(), Some(text.into())).await
        }
    };
    let found = match done {
        Ok(()) => store.attribute_get(call, mailbox, name).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(text) => Ok(text.map(|text| String::from_utf8_lossy(&text).into_owned())),
        Err(StoreError::NoMailbox) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn ask(roles: &Roles, call: &Call, request: Request) -> Result<Reply, DirectoryError> {
    let answers = roles.provisioning.provision(call, vec![request]).await?;
    let missing = || Err(DirectoryError::Broken("the directory gave no answer".into()));
    answers.into_iter().next().unwrap_or_else(missing)
}

fn help(name: Option<&str>) -> Result<Printed, DirectoryError> {
    let subs: Vec<_> = match name {
        None => SUBS.iter().collect(),
        Some(name) => vec![table::find(name).ok_or_else(|| DirectoryError::Missing(unknown(name)))?],
    };
    let row =
        |s: &&table::Sub| json!({ "name": s.name, "short": s.short, "arguments": s.takes, "help": s.help });
    Ok(Printed { lines: subs.iter().map(|s| s.line()).collect(), value: subs.iter().map(row).collect() })
}

/// What a failure means to somebody who administers, with the way out.
pub(super) fn explain(error: &DirectoryError) -> String {
    match error {
        DirectoryError::Unavailable => {
            format!(
                "{error}: whether anything was changed is not known; see DbFailed in the log, then try again"
            )
        }
        DirectoryError::Broken(_) => format!("{error}; see DbFailed in the log"),
        other => other.to_string(),
    }
}
