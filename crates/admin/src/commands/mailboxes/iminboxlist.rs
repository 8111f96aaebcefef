//! `iminboxlist`: the messages of an Inbox, each once (ITS 22786).

use super::mailbox::{self, Messages};
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Outcome, Place, Word};
use crate::context::Context;
use crate::output::{Cell, Column, Layout, Listing};
use mail::message::Head;
use mail::sequence::NumberSet;
use mail::text::words;
use roles::store::Message;

/// The row.
pub const COMMAND: Command = Command {
    name: "iminboxlist",
    aliases: &[],
    group: Group::Mailboxes,
    summary: "Lists the messages of an Inbox",
    about: "Prints the messages in the Inbox of an account in the order of their arrival: UID, when it came, its size in \
            bytes, its flags, its Message-Id and its subject.",
    usage: &["[-json] USER@DOMAIN"],
    options: &[],
    words: &[Word {
        name: "USER@DOMAIN",
        count: Count::One,
        help: "An address, alias or login name of the account",
    }],
    examples: &[Example { line: "iminboxlist testman@software.com", does: "Lists the Inbox of testman" }],
    exits: &[],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

const COLUMNS: &[Column] = &[
    Column { title: "UID", key: "uid" },
    Column { title: "Received", key: "received" },
    Column { title: "Bytes", key: "bytes" },
    Column { title: "Flags", key: "flags" },
    Column { title: "Message-Id", key: "message_id" },
    Column { title: "Subject", key: "subject" },
];

async fn run(context: &mut Context) -> Outcome {
    let account = mailbox::account(context).await?;
    let inbox = mailbox::folders(context, account.mailbox, Some("INBOX")).await?;
    let mut listing = Listing::new(COLUMNS, Layout::Table);
    for folder in inbox {
        let mut pages = Messages::new(account.mailbox, folder.id, NumberSet::all());
        while let Some(page) = pages.next(context).await? {
            for message in page {
                listing.row(&mut context.console, cells(&message)).await?;
            }
        }
    }
    listing.end(&mut context.console).await?;
    Ok(Exit::OK)
}

fn cells(message: &Message) -> [Cell; 6] {
    [
        message.uid.0.into(),
        message.received.rfc3339().to_string().into(),
        message.size.into(),
        message.flags.to_string().into(),
        mailbox::message_id(message).into(),
        subject(message).into(),
    ]
}

/// The subject as people read it; `None` where there is none.
fn subject(message: &Message) -> Option<String> {
    let head = Head::decode(message.outline.as_deref()?).ok()?;
    Some(words::decode(head.envelope.subject()?))
}

#[cfg(test)]
mod tests {
    use crate::testing::house::House;
    use mail::time::Timestamp;

    #[tokio::test]
    async fn its_22786_each_message_is_listed_once_in_order() {
        let house = House::new().await;
        let mailbox = house.account("anna").await;
        for n in 0..1201 {
            // Many are the same message: that is no reason to fail.
            let text =
                format!("Message-Id: <{}@x>\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?= {n}\r\n\r\n", n % 7);
            house.deliver(mailbox, &text, Timestamp::from_secs(n)).await;
        }
        let said = house.ok("iminboxlist -json anna@example.org").await;
        let rows: Vec<serde_json::Value> = serde_json::from_str(&said).unwrap();
        let uids: Vec<_> = rows.iter().map(|row| row["uid"].as_u64().unwrap()).collect();
        assert_eq!(uids, (1..=1201).collect::<Vec<_>>());
        assert_eq!((&rows[8]["message_id"], &rows[8]["subject"]), (&"<1@x>".into(), &"grüße 8".into()));
        assert_eq!(rows[0]["received"], "1970-01-01T00:00:00.000Z");
        let text = house.ok("iminboxlist anna@example.org").await;
        assert!(text.starts_with("UID ") && text.lines().count() == 1202);
    }
}
