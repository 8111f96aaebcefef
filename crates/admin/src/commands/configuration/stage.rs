//! `imconfcontrol -stage`, `-promote`, `-abort`: a change that some hosts have before all.

use super::imconfcontrol::report;
use crate::command::{Exit, Outcome};
use crate::context::{Context, Failure};
use crate::output::Format;
use roles::configuration::{Proposal, Version};
use roles::rollout::{End, Ended, Restarts, RolloutError, State, Trial};
use serde_json::json;
use std::time::Duration;

/// How long hosts are watched where nothing is said.
const WATCH: u64 = 60;

/// Begins a trial and waits for its end.
pub(super) async fn begin(context: &mut Context, proposal: Proposal) -> Outcome {
    let trial = trial(context)?;
    let refused = |error: RolloutError| Failure::because(format!("{error}; nothing was changed"));
    let begun = context.roles()?.rollout.trial_begin(&context.call(), proposal, trial).await;
    let assessed = begun.map_err(refused)?;
    if context.console.format() == Format::Text {
        report(&mut context.console, &assessed, "is tried").await?;
        context.console.flush().await?;
    }
    let ended = wait(context, assessed.version).await?;
    tell(context, ended).await
}

fn trial(context: &Context) -> Result<Trial, Failure> {
    let arguments = &context.arguments;
    let hosts = arguments.value("stage").unwrap_or_default().split(',').filter(|name| !name.is_empty());
    let watch = arguments.value("watch").map_or(Ok(WATCH), str::parse);
    let watch = watch.map_err(|_| Failure::Usage("-watch: expected a number of seconds".into()))?;
    let restarts = if arguments.has("restart") { Restarts::Done } else { Restarts::None };
    Ok(Trial { hosts: hosts.map(str::to_owned).collect(), watch: Duration::from_secs(watch), restarts })
}

/// A trial ends by itself: there is a limit to how long it may be watched.
async fn wait(context: &Context, version: Version) -> Result<Ended, Failure> {
    loop {
        let state = context.roles()?.rollout.trial_wait(&context.call(), version).await;
        if let State::Ended(ended) = state.map_err(Failure::because)? {
            return Ok(ended);
        }
    }
}

/// Ends the trial that is under way.
pub(super) async fn end(context: &mut Context, end: End) -> Outcome {
    let who = context.arguments.value("who").unwrap_or("operator").to_owned();
    let ended = context.roles()?.rollout.trial_end(&context.call(), end, who).await;
    let ended = ended.map_err(Failure::because)?;
    let wished = ended.end == end;
    tell(context, ended).await.map(|exit| if wished { Exit::OK } else { exit })
}

async fn tell(context: &mut Context, Ended { trial, version, end, why }: Ended) -> Outcome {
    let (word, exit) = match end {
        End::Spread => ("spread", Exit::OK),
        End::TakenBack => ("taken back", Exit::FAILED),
    };
    let console = &mut context.console;
    match console.format() {
        Format::Json => {
            let value = json!({ "stage": trial.0, "version": version.0, "end": word, "why": why });
            console.json(&value).await?;
        }
        Format::Text if exit == Exit::OK => console.line(format!("version {version}: {why}")).await?,
        Format::Text => console.error(format!("version {version}: {why}")).await?,
    }
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::roles::Double;
    use crate::testing::run;

    #[tokio::test]
    async fn a_change_is_tried_and_its_end_is_told() {
        let line = "imconfcontrol -stage venus,mars -watch 5 -who root -key /*/mta/maxMessageSize=8";
        let double = Double::default();
        let spread = run(line).with_roles(double.clone()).done().await;
        let said = "/venus/mta/maxMessageSize is tried\nversion 2: it was seen\n";
        assert_eq!((spread.exit, spread.output().as_str()), (Exit::OK, said));
        let (proposal, trial) = double.tried();
        assert_eq!(
            (trial.hosts.len(), trial.watch, trial.restarts),
            (2, Duration::from_secs(5), Restarts::None)
        );
        assert_eq!(proposal.who, "root");
        let ill = run(line).with_roles(Double::default().with_trial_end(End::TakenBack)).done().await;
        assert_eq!(
            (ill.exit, ill.errors().as_str()),
            (Exit::FAILED, "imconfcontrol: version 2: it was seen\n")
        );
        let json =
            run(&line.replace("-stage", "-json -restart -stage")).with_roles(double.clone()).done().await;
        let value: serde_json::Value = serde_json::from_str(&json.output()).unwrap();
        assert_eq!((&value["stage"], &value["end"]), (&json!(1), &json!("spread")));
        assert_eq!(double.tried().1.restarts, Restarts::Done);
    }

    #[tokio::test]
    async fn wrong_lines_and_a_site_that_does_not_run_try_nothing() {
        for (line, exit) in [
            ("imconfcontrol -stage venus", Exit::USAGE),
            ("imconfcontrol -stage venus -watch soon -key /*/mta/maxMessageSize=8", Exit::USAGE),
            ("imconfcontrol -stage venus -install -key /*/mta/maxMessageSize=8", Exit::USAGE),
            ("imconfcontrol -stage venus -key /*/mta/maxMessageSize=8", Exit::FAILED),
            ("imconfcontrol -promote", Exit::FAILED),
        ] {
            assert_eq!(run(line).done().await.exit, exit, "{line}");
        }
    }

    #[tokio::test]
    async fn what_is_tried_is_ended_before_its_time() {
        for (line, exit) in [("imconfcontrol -promote", Exit::OK), ("imconfcontrol -abort", Exit::OK)] {
            assert_eq!(run(line).with_roles(Double::default()).done().await.exit, exit, "{line}");
        }
    }
}
