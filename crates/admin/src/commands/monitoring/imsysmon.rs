//! `imsysmon`: the summary of the log, of the disks and of the servers, to read or by mail.

use crate::command::{Command, Example, Exit, Grammar, Group, Opt, Outcome, Place};
use crate::context::{Context, Failure};
use crate::output::Format;
use crate::sysmon::{self, Wanted};
use env::clock::Clock;
use env::settings::Settings;
use serde_json::json;
use std::time::Duration;

/// The row.
pub const COMMAND: Command = Command {
    name: "imsysmon",
    aliases: &[],
    group: Group::Monitoring,
    summary: "Sums up the log, looks at disks and servers, and mails what it found",
    about: "Counts what was logged, by server and severity, in the files in use and in those that were put aside; names the \
            events that deserve a look; says how full the disks are and, after some days of being run, when they will be \
            full; and asks the servers whether they answer. A log without any line is an alarm by itself.\n\n\
            config/imsysmon.ini of the site says what is wanted, a line each `Name = values`: LogEventFilters (names of \
            events, families as `Nio*`, severities; without any, Erro, Urgt and Fatl), MailTo and MailFrom (else the \
            postmaster of the site), Services (servers to ask, by their names, not those of hosts; else all), FileSystems \
            (folders whose disks to look at; else those of the site and its volumes), SpaceWarnPercent (90), PeriodInHours \
            (24). A name that stands several times adds up, but for single values. Other names, as in files of former \
            releases, are listed at the end of the summary.\n\n\
            The key imsysmonIntervalHours has the server send it by itself.",
    usage: &["[-mail] [-hours N] [-json]", "-selftest"],
    options: &[
        Opt { name: "mail", value: None, help: "Mail the summary instead of printing it" },
        Opt { name: "hours", value: Some("N"), help: "Sum up the last N hours, whatever the file says" },
        Opt { name: "selftest", value: None, help: "Mail a test alarm, to see that alarms arrive" },
    ],
    words: &[],
    examples: &[
        Example { line: "imsysmon -hours 1", does: "Shows what the last hour was like" },
        Example { line: "imsysmon -mail", does: "Mails the summary of the last day" },
        Example { line: "imsysmon -selftest", does: "Mails a test alarm" },
    ],
    exits: &[(3, "there are alarms, which stand at the top of the summary")],
    place: Place::Daemon,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

/// There are alarms.
const ALARMS: Exit = Exit(3);
/// Most hours of one summary.
const MAX_HOURS: u64 = 24 * 366;

async fn run(context: &mut Context) -> Outcome {
    let (selftest, mail) = (context.arguments.has("selftest"), context.arguments.has("mail"));
    if selftest && (mail || context.arguments.has("hours")) {
        return Err(Failure::Usage("-selftest stands alone".into()));
    }
    let site = context.site()?;
    let settings = Settings::new(site.host().as_str(), "common", site.configuration()?);
    let ini = sysmon::wishes(&site)?;
    let (random, servers) = (context.random.clone(), context.servers.clone());
    let wanted = Wanted {
        site: &site,
        settings: &settings,
        roles: servers.as_ref(),
        random: &random,
        until: Clock::system().now(),
        period: period(context)?.unwrap_or(ini.period),
    };
    if selftest {
        let subject = format!("[imsysmon] {}: test alarm", site.host());
        let to = sysmon::send(&wanted, context.roles()?, &ini, &subject, TEST).await?;
        return said(context, &to, Exit::OK).await;
    }
    let report = sysmon::summarize(&wanted, &ini).await?;
    let exit = if report.alarms().is_empty() { Exit::OK } else { ALARMS };
    if mail {
        let to = sysmon::send(&wanted, context.roles()?, &ini, &report.subject(), &report.text()).await?;
        return said(context, &to, exit).await;
    }
    match context.console.format() {
        Format::Json => context.console.json(&report.json()).await?,
        Format::Text => context.console.bytes(report.text().as_bytes()).await?,
    }
    Ok(exit)
}

const TEST: &str =
    "This is a test of the alarms of this site. Nothing is wrong: somebody has run imsysmon -selftest.\n";

fn period(context: &Context) -> Result<Option<Duration>, Failure> {
    let Some(text) = context.arguments.value("hours") else { return Ok(None) };
    let hours = text.parse().ok().filter(|hours| (1..=MAX_HOURS).contains(hours));
    let hours: u64 =
        hours.ok_or_else(|| Failure::Usage(format!("-hours {text}: expected 1 to {MAX_HOURS}")))?;
    Ok(Some(Duration::from_secs(hours * 3600)))
}

async fn said(context: &mut Context, to: &[mail::address::Address], exit: Exit) -> Outcome {
    let to: Vec<_> = to.iter().map(ToString::to_string).collect();
    match context.console.format() {
        Format::Json => context.console.json(&json!({ "mailed": to })).await?,
        Format::Text => context.console.line(format!("mailed to {}", to.join(", "))).await?,
    }
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::house::House;
    use roles::submission::SubmitError;

    async fn house(ini: &str) -> House {
        let house = House::new().await;
        let now = Clock::system().now().minus(Duration::from_secs(60)).rfc3339().to_string();
        let log = format!(
            "{now} mars mta[7] Note MtaMessageDelivered id=1\n{now} mars mta[7] Erro DbFailed reason=x\n"
        );
        house.file("log/mta.log", &log);
        house.file("run/x", "");
        house.file("config/imsysmon.ini", ini);
        house
    }

    fn text(house: &House) -> String {
        let submitted = house.double.submitted();
        String::from_utf8(submitted[0].body.read_blocking(0, 1 << 16).unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_summary_is_printed_or_mailed() {
        let house =
            house("MailTo = ops@example.org, night@example.org\nMailFrom = monitor@example.org\n").await;
        let run = house.run("imsysmon").await;
        let output = run.output();
        assert!(output.contains("\nmta        1     0     1     0     0\n"), "{output}");
        assert!(output.contains("\nDbFailed  Erro          1  "), "{output}");
        assert!(house.double.submitted().is_empty());
        let run = house.run("imsysmon -mail").await;
        assert_eq!(run.output(), "mailed to ops@example.org, night@example.org\n", "{}", run.errors());
        let submitted = house.double.submitted();
        assert_eq!(
            (submitted.len(), submitted[0].origin.sender.to_string()),
            (2, "monitor@example.org".into())
        );
        let mail = text(&house);
        assert!(
            mail.contains("\r\nTo: ops@example.org, night@example.org\r\nSubject: [imsysmon] mars: "),
            "{mail}"
        );
        assert!(mail.contains("\r\nDbFailed  Erro          1  "), "{mail}");
    }

    #[tokio::test]
    async fn its_22150_an_empty_log_is_mailed_too() {
        let house = house("").await;
        house.file("log/mta.log", "");
        let run = house.run("imsysmon -mail").await;
        assert_eq!((run.exit, run.output().as_str()), (ALARMS, "mailed to postmaster@localhost\n"));
        assert!(text(&house).contains("Subject: [imsysmon] mars: the log is EMPTY\r\n"));
    }

    #[tokio::test]
    async fn its_43558_servers_are_named_by_what_they_are_and_unknown_names_are_said() {
        let house = house("Services = mta venus.example.org\n").await;
        let run = house.run("imsysmon -json").await;
        let value: serde_json::Value = serde_json::from_str(&run.output()).unwrap();
        assert_eq!(value["failures"]["venus.example.org"], "there is no such server");
        assert_eq!(value["failures"].as_object().unwrap().len(), 2);
        assert_eq!(run.exit, ALARMS);
    }

    #[tokio::test]
    async fn a_test_alarm_goes_out_and_what_is_not_taken_is_said() {
        let house = house("MailTo = ops@example.org\n").await;
        assert_eq!(house.ok("imsysmon -selftest").await, "mailed to ops@example.org\n");
        assert!(text(&house).contains("Subject: [imsysmon] mars: test alarm\r\n"));
        house.double.refuse(SubmitError::TryLater("no space".into()));
        let run = house.run("imsysmon -selftest").await;
        assert_eq!(run.exit, Exit::FAILED);
        assert!(run.errors().starts_with("imsysmon: ops@example.org: "), "{}", run.errors());
        assert_eq!(house.run("imsysmon -selftest -mail").await.exit, Exit::USAGE);
        assert_eq!(house.run("imsysmon -hours 0").await.exit, Exit::USAGE);
    }
}
