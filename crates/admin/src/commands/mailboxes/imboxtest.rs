//! `imboxtest`: the life of a mailbox from end to end: log in, deliver, find, read, delete.

use super::mailbox;
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::output::{Cell, Column, Layout, Listing, Tint};
use env::clock::Clock;
use mail::address::Address;
use mail::envelope::Origin as Envelope;
use mail::id::{FolderId, MailboxId};
use mail::search::{Criterion, Needle, Place as Where};
use mail::secret::Secret;
use mail::sequence::NumberSet;
use roles::Body;
use roles::directory::{Account, Login, Origin, Proof, Protocol, Transport};
use roles::store::{Message, Need, Read};
use roles::submission::Submit;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// The row.
pub const COMMAND: Command = Command {
    name: "imboxtest",
    aliases: &[],
    group: Group::Mailboxes,
    summary: "Tests a mailbox from login to deletion of a message",
    about: "Logs in as the user, sends a message to the account, waits until it is in the Inbox, reads it back and \
            compares it, removes it and looks that it is gone. Each step is printed with the time that it took; the \
            first that fails ends the test. Other mail of the mailbox is not touched. HOST is accepted for the sake of \
            old habits: the test runs on the site that the command is given. Where PASSWORD is -, it is the first line \
            of standard input.",
    usage: &["[-json] [HOST] USER@DOMAIN PASSWORD"],
    options: &[],
    words: &[Word { name: "USER@DOMAIN PASSWORD", count: Count::Some, help: "Who logs in" }],
    examples: &[
        Example { line: "imboxtest testman@software.com -", does: "Asks standard input for the password" },
        Example { line: "imboxtest venus testman@software.com secret", does: "The form of former releases" },
    ],
    exits: &[(1, "a step failed")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

const COLUMNS: &[Column] = &[
    Column { title: "Step", key: "step" },
    Column { title: "Result", key: "result" },
    Column { title: "ms", key: "ms" },
];

/// How long the message may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes that are compared.
const MAX_READ: usize = 64 << 10;

async fn run(context: &mut Context) -> Outcome {
    let (name, password) = match context.arguments.words() {
        [name, password] | [_, name, password] => (name.clone(), password.clone()),
        _ => return Err(Failure::Usage("USER@DOMAIN and PASSWORD are needed".into())),
    };
    let password = match password.as_str() {
        "-" => context.console.read_line().await?.unwrap_or_default(),
        _ => password,
    };
    let mut test = Test { listing: Listing::new(COLUMNS, Layout::Table), clock: Clock::system() };
    let outcome = test.all(context, name, Secret::new(password)).await;
    test.listing.end(&mut context.console).await?;
    match outcome {
        Ok(()) => Ok(Exit::OK),
        Err(failure @ (Failure::Failed(_) | Failure::With(..))) => {
            context.console.error(failure).await?;
            Ok(Exit::FAILED)
        }
        Err(failure) => Err(failure),
    }
}

struct Test {
    listing: Listing,
    clock: Clock,
}

impl Test {
    async fn all(&mut self, context: &mut Context, name: String, password: Secret) -> Result<(), Failure> {
        let token = format!("imboxtest.{:032x}", context.random.request_id().0);
        let began = self.clock.moment();
        let done = log_in(context, name, password).await;
        let account = self.step(context, "login", began, done).await?;
        let began = self.clock.moment();
        let done = send(context, &account, &token).await;
        self.step(context, "deliver", began, done).await?;
        let began = self.clock.moment();
        let done = tokio::time::timeout(PATIENCE, find(context, account.mailbox, &token)).await;
        let done =
            done.unwrap_or_else(|_| Err(Failure::because("the message has not arrived after 30 seconds")));
        let found = self.step(context, "find", began, done).await?;
        let began = self.clock.moment();
        let done = read(context, account.mailbox, &found, &token).await;
        self.step(context, "read", began, done).await?;
        let began = self.clock.moment();
        let done = delete(context, account.mailbox, &found, &token).await;
        self.step(context, "delete", began, done).await
    }

    async fn step<T>(
        &mut self,
        context: &mut Context,
        name: &str,
        began: env::clock::Moment,
        done: Result<T, Failure>,
    ) -> Result<T, Failure> {
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let result = match &done {
            Ok(_) => Cell::Tinted(Tint::Green, "ok".into()),
            Err(_) => Cell::Tinted(Tint::Red, "FAILED".into()),
        };
        self.listing.row(&mut context.console, [name.into(), result, ms.into()]).await?;
        done.map_err(|failure| Failure::because(format!("{name}: {failure}")))
    }
}

async fn log_in(context: &Context, name: String, password: Secret) -> Result<Account, Failure> {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let origin = Origin { protocol: Protocol::Imap, transport: Transport::Tls, peer: here, local: here };
    let login = Login { name, proof: Proof::Password(password), origin };
    let account = context.roles()?.directory.authenticate(&context.call(), login).await;
    let account = account.map_err(Failure::because)?;
    let made = context.roles()?.store.mailbox_create(&context.call(), account.mailbox).await;
    made.map_err(Failure::because)?;
    Ok(account)
}

fn text(login: &str, token: &str) -> String {
    format!(
        "From: {login}\r\nTo: {login}\r\nSubject: imboxtest\r\nMessage-ID: <{token}@imboxtest.invalid>\r\n\
         Auto-Submitted: auto-generated\r\n\r\nThis message tests the mailbox and is removed again: {token}\r\n"
    )
}

async fn send(context: &Context, account: &Account, token: &str) -> Result<(), Failure> {
    let address = Address::parse(&account.login)
        .map_err(|bad| Failure::because(format!("{}: {bad}", account.login)))?;
    let body = Body::from_bytes(text(&account.login, token));
    let submit = Submit { origin: Envelope::default(), to: vec![address.into()], body };
    let sent = context.roles()?.submission.submit(&context.call(), submit).await;
    sent.map(drop).map_err(Failure::because)
}

/// Waits until the message is in the Inbox.
async fn find(context: &Context, mailbox: MailboxId, token: &str) -> Result<NumberSet, Failure> {
    let store = &context.roles()?.store;
    let mut watch = store.mailbox_watch(&context.call(), mailbox).await.map_err(Failure::because)?;
    loop {
        let found = search(context, mailbox, token).await?;
        if !found.is_empty() {
            return Ok(found);
        }
        watch.changed().await.map_err(Failure::because)?;
    }
}

async fn search(context: &Context, mailbox: MailboxId, token: &str) -> Result<NumberSet, Failure> {
    let needle = Needle::new(token).ok_or_else(|| Failure::because("the token is too long"))?;
    let criterion = Criterion::Text(Where::Header("message-id".into()), needle);
    let store = &context.roles()?.store;
    let found = store.message_search(&context.call(), mailbox, FolderId::INBOX, criterion).await;
    found.map_err(Failure::because)
}

/// Compares what was delivered, behind the header lines of its delivery, with what was sent.
async fn read(context: &Context, mailbox: MailboxId, uids: &NumberSet, token: &str) -> Result<(), Failure> {
    let read = Read {
        mailbox,
        folder: FolderId::INBOX,
        uids: uids.clone(),
        need: Need::Body,
        changed_since: None,
        limit: 2,
    };
    let page = context.roles()?.store.message_read(&context.call(), read).await.map_err(Failure::because)?;
    let [message] = page.messages.as_slice() else {
        return Err(Failure::because(format!("the message is there {} times", page.messages.len())));
    };
    let id = mailbox::message_id(message).unwrap_or_default();
    let end = format!("\r\n\r\nThis message tests the mailbox and is removed again: {token}\r\n");
    let whole = body(message).await?;
    if id != format!("<{token}@imboxtest.invalid>") || !whole.ends_with(end.as_bytes()) {
        return Err(Failure::because("what was read is not what was sent"));
    }
    Ok(())
}

async fn body(message: &Message) -> Result<Vec<u8>, Failure> {
    let mut whole = Vec::new();
    let Some(body) = &message.body else { return Ok(whole) };
    while (whole.len() as u64) < body.len() && whole.len() < MAX_READ {
        let piece = body.read(whole.len() as u64, MAX_READ).await.map_err(Failure::because)?;
        if piece.is_empty() {
            break;
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

async fn delete(context: &Context, mailbox: MailboxId, uids: &NumberSet, token: &str) -> Result<(), Failure> {
    let store = &context.roles()?.store;
    let gone = store.message_delete(&context.call(), mailbox, FolderId::INBOX, uids.clone()).await;
    let gone = gone.map_err(Failure::because)?;
    if gone.is_empty() || !search(context, mailbox, token).await?.is_empty() {
        return Err(Failure::because("the message is still there"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::house::House;
    use mail::time::Timestamp;

    #[tokio::test]
    async fn its_22318_a_mailbox_that_works_passes_and_keeps_its_mail() {
        let house = House::new().await;
        let mailbox = house.account("anna").await;
        house.deliver(mailbox, "Subject: mine\r\n\r\n", Timestamp::default()).await;
        house.double.submit_into(&house.store, mailbox);
        for (line, input) in
            [("imboxtest anna@example.org -", "secret\n"), ("imboxtest venus anna@example.org secret", "")]
        {
            let run = house.run_reading(line, input).await;
            assert_eq!((run.exit, run.errors().as_str()), (Exit::OK, ""), "{}", run.output());
            let steps: Vec<_> = run
                .output()
                .lines()
                .skip(1)
                .map(|l| l.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
                .collect();
            assert_eq!(steps, ["login ok", "deliver ok", "find ok", "read ok", "delete ok"]);
        }
        assert_eq!(house.inbox(mailbox).await, ["Subject: mine\r\n\r\n"]);
    }

    #[tokio::test]
    async fn the_first_step_that_fails_ends_the_test() {
        let house = House::new().await;
        let mailbox = house.account("anna").await;
        let run = house.run("imboxtest anna@example.org wrong").await;
        assert_eq!(run.exit, Exit::FAILED);
        assert_eq!(run.output().lines().count(), 2, "{}", run.output());
        assert_eq!(run.errors(), "imboxtest: login: the name or the password is wrong\n");
        house.double.refuse(roles::submission::SubmitError::TryLater("no space".into()));
        let run = house.run("imboxtest -json anna@example.org secret").await;
        let rows: serde_json::Value = serde_json::from_str(&run.output()).unwrap();
        assert_eq!((run.exit, &rows[1]["result"]), (Exit::FAILED, &"FAILED".into()));
        assert!(house.inbox(mailbox).await.is_empty());
        assert_eq!(house.run("imboxtest anna@example.org").await.exit, Exit::USAGE);
    }
}
