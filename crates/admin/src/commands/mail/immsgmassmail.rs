//! `immsgmassmail`: one message to a list of addresses.
//!
//! An address is never anything but an address: no shell, no template sees it (ITS 23169, 24879).

use super::bulk;
use crate::command::{Command, Example, Exit, Grammar, Group, Opt, Outcome, Place};
use crate::context::{Context, Failure};
use crate::output::Format;
use env::clock::Clock;
use mail::address::Address;
use mail::envelope::{Origin, Recipient};
use roles::Body;
use roles::submission::Submit;
use serde_json::json;
use std::collections::HashSet;
use std::time::Duration;

/// The option that names the file with the addresses.
pub(crate) const LIST: &str = "list";

/// The row.
pub const COMMAND: Command = Command {
    name: "immsgmassmail",
    aliases: &[],
    group: Group::Mail,
    summary: "Sends one message to a list of addresses",
    about: "Reads addresses, one a line, up to an empty line, and behind it the message, all from standard input; or the \
            addresses from a file (-list FILE) and the message from standard input. Lines that begin with # are \
            comments. Each address gets a message of its own, handed in like any other mail, so forwards, queue and \
            bounces work as usual; an address that stands twice gets one. -rate holds the number of messages in a \
            minute down. A line that is no address, or whose message is refused, is named, and the others are sent.",
    usage: &["[-dry-run] [-json] [-from ADDRESS] [-rate N] [-list FILE] <ADDRESSES-AND-MESSAGE"],
    options: &[
        Opt { name: "from", value: Some("ADDRESS"), help: "Who sends; else the postmaster" },
        Opt {
            name: "rate",
            value: Some("N"),
            help: "At most so many messages in a minute; 0, the default: no limit",
        },
        Opt { name: LIST, value: Some("FILE"), help: "The addresses" },
        Opt { name: "dry-run", value: None, help: "Only read the list" },
        Opt { name: "n", value: None, help: "The same as -dry-run" },
    ],
    words: &[],
    examples: &[
        Example {
            line: "immsgmassmail -list customers.txt -rate 600 <letter.txt",
            does: "Sends ten messages a second",
        },
        Example {
            line: "immsgmassmail -n -list customers.txt <letter.txt",
            does: "Says which lines are no addresses",
        },
    ],
    exits: &[(1, "some addresses did not get it; standard error names them")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

/// Most addresses of one run.
const MAX_ADDRESSES: usize = 1_000_000;

async fn run(context: &mut Context) -> Outcome {
    let dry = context.arguments.has("dry-run") || context.arguments.has("n");
    let rate = context.arguments.value("rate").unwrap_or("0");
    let rate: u32 = rate.parse().map_err(|_| Failure::Usage(format!("-rate {rate}: expected a number")))?;
    let from = bulk::sender(context, "from")?;
    let (to, mut failed) = read_list(context).await?;
    let message = bulk::read_message(context).await?;
    let body = Body::from_bytes(message.clone());
    let clock = Clock::system();
    let mut sent = 0u64;
    for address in to {
        if !dry {
            if sent > 0 && rate > 0 {
                clock.sleep(Duration::from_secs(60) / rate).await;
            }
            let id = format!("massmail.{:032x}", context.random.request_id().0);
            let front = bulk::missing_fields(&message, &from, &id, clock.now());
            let body = Body::joined(vec![Body::from_bytes(front), body.clone()]);
            let origin =
                Origin { sender: from.clone().into(), utf8: address.needs_utf8(), ..Origin::default() };
            let submit = Submit { origin, to: vec![Recipient::from(address.clone())], body };
            if let Err(error) = context.roles()?.submission.submit(&context.call(), submit).await {
                failed += 1;
                context.console.error(format!("{address}: {error}")).await?;
                continue;
            }
        }
        sent += 1;
    }
    match context.console.format() {
        Format::Json => {
            context.console.json(&json!({ "dry_run": dry, "sent": sent, "failed": failed })).await?;
        }
        Format::Text => {
            let done = if dry { "would be sent" } else { "sent" };
            context.console.line(format!("{sent} {done}, {failed} not")).await?;
        }
    }
    Ok(if failed == 0 { Exit::OK } else { Exit::FAILED })
}

/// The addresses up to the empty line, each once, and how many lines were none.
async fn read_list(context: &mut Context) -> Result<(Vec<Address>, u64), Failure> {
    let (mut all, mut seen, mut bad) = (Vec::new(), HashSet::new(), 0);
    while let Some(line) = context.console.read_line().await? {
        let text = line.trim();
        if text.is_empty() {
            break;
        }
        if text.starts_with('#') {
            continue;
        }
        match Address::parse(text) {
            Ok(address) if seen.insert(address.key()) => all.push(address),
            Ok(_) => {}
            Err(error) => {
                bad += 1;
                let shown = text.replace(char::is_control, "?");
                context.console.error(format!("{shown}: {error}")).await?;
            }
        }
        if all.len() > MAX_ADDRESSES {
            return Err(Failure::because(format!("the list has more than {MAX_ADDRESSES} addresses")));
        }
    }
    Ok((all, bad))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::house::House;
    use roles::submission::SubmitError;

    #[tokio::test]
    async fn its_23169_signs_of_the_shell_are_letters_of_an_address() {
        let house = House::new().await;
        let odd = "\"a; rm -rf $HOME | x `id` > /dev/null\"@example.org";
        let input =
            format!("# customers\nbert@example.org\n{odd}\nBERT@example.org\n\nSubject: x\n\nDear $NAME,\n");
        let run = house.run_reading("immsgmassmail", &input).await;
        assert_eq!((run.exit, run.output().as_str()), (Exit::OK, "2 sent, 0 not\n"), "{}", run.errors());
        let submitted = house.double.submitted();
        assert_eq!(submitted[1].to[0].address.to_string(), odd);
        let text = submitted[1].body.read_blocking(0, 4096).unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert!(text.ends_with("Subject: x\r\n\r\nDear $NAME,\r\n"), "{text}");
        assert_eq!(submitted[0].origin.sender.to_string(), "postmaster@localhost");
    }

    #[tokio::test]
    async fn its_24879_what_fails_is_named_and_the_rest_is_sent() {
        let house = House::new().await;
        let run = house.run_reading("immsgmassmail -n -from a@b.test", "x\na@b.test\n\nSubject: y\n\n").await;
        assert_eq!((run.exit, run.output().as_str()), (Exit::FAILED, "1 would be sent, 1 not\n"));
        assert!(run.errors().starts_with("immsgmassmail: x: ") && house.double.submitted().is_empty());
        house.double.refuse(SubmitError::TryLater("no space".into()));
        let run = house.run_reading("immsgmassmail -json", "a@b.test\n\nSubject: y\n\n").await;
        let value: serde_json::Value = serde_json::from_str(&run.output()).unwrap();
        assert_eq!((run.exit, &value["sent"], &value["failed"]), (Exit::FAILED, &0.into(), &1.into()));
        assert_eq!(house.run_reading("immsgmassmail -rate x", "").await.exit, Exit::USAGE);
        let empty = house.run_reading("immsgmassmail", "a@b.test\n").await;
        assert_eq!(empty.errors(), "immsgmassmail: there is no message on standard input\n");
    }
}
