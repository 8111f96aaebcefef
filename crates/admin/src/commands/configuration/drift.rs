//! `imconfcontrol -drift`: which process has which configuration.

use crate::command::{Exit, Outcome};
use crate::context::{Context, Failure};
use crate::output::{Column, Format, Layout, Listing};
use control::drift::{Line, Remark, judge};
use roles::probe::WaitingKey;
use roles::rollout::UnderWay;
use serde_json::json;

const COLUMNS: &[Column] = &[
    Column { title: "Host", key: "host" },
    Column { title: "Pid", key: "pid" },
    Column { title: "Program", key: "program" },
    Column { title: "Version", key: "version" },
    Column { title: "Remarks", key: "remarks" },
];

/// Asks every process and prints what is to be said of it. Ends with 1 where a process is not as it is to be.
pub(super) async fn print(context: &mut Context) -> Outcome {
    let rollout = std::sync::Arc::clone(&context.roles()?.rollout);
    let drift = rollout.drift_report(&context.call()).await.map_err(Failure::because)?;
    let under_way = rollout.trial_show(&context.call()).await.map_err(Failure::because)?;
    let lines = judge(&drift);
    let apart = lines.iter().flat_map(|line| &line.remarks).any(is_apart);
    let console = &mut context.console;
    match console.format() {
        Format::Json => {
            let staged = under_way.map(|u| json!({ "version": u.version.0, "hosts": u.hosts }));
            let processes: Vec<_> = lines.iter().map(as_json).collect();
            let (version, checksum) = (drift.version.0, &drift.checksum);
            let value = json!({
                "version": version, "checksum": checksum, "staged": staged, "processes": processes,
            });
            console.json(&value).await?;
        }
        Format::Text => {
            console.line(format!("version {} is to hold everywhere", drift.version)).await?;
            if let Some(UnderWay { version, hosts, watch, .. }) = under_way {
                let (hosts, seconds) = (hosts.join(", "), watch.as_secs());
                console.line(format!("version {version} is tried on {hosts} for {seconds} s")).await?;
            }
            let mut listing = Listing::new(COLUMNS, Layout::Table);
            for Line { host, pid, program, version, remarks } in lines {
                let remarks = remarks.iter().map(said).collect::<Vec<_>>().join("; ");
                let remarks = if remarks.is_empty() { "as it is to be".to_owned() } else { remarks };
                let version = version.map(|version| version.to_string());
                listing
                    .row(console, [host.into(), pid.into(), program.into(), version.into(), remarks.into()])
                    .await?;
            }
            listing.end(console).await?;
        }
    }
    Ok(if apart { Exit::FAILED } else { Exit::OK })
}

/// A change by hand that is in force is worth a word, and no fault.
fn is_apart(remark: &Remark) -> bool {
    !matches!(remark, Remark::ByHand(_))
}

fn said(remark: &Remark) -> String {
    match remark {
        Remark::Silent(why) => format!("does not answer: {why}"),
        Remark::Version(Some(version)) => format!("version {version} is in force"),
        Remark::Version(None) => "a configuration that no version is like is in force".into(),
        Remark::File => "its file is not what is in force".into(),
        Remark::ByHand(at) => format!("changed by hand at {}", at.rfc3339()),
        Remark::Waiting(all) => format!("waits for a restart: {}", keys(all).join(", ")),
    }
}

fn keys(all: &[WaitingKey]) -> Vec<String> {
    all.iter().map(|waiting| format!("{}/{}", waiting.server, waiting.key)).collect()
}

fn as_json(line: &Line) -> serde_json::Value {
    let (mut silent, mut file, mut by_hand, mut waiting, mut right) = (None, true, None, Vec::new(), true);
    for remark in &line.remarks {
        match remark {
            Remark::Silent(why) => silent = Some(why.clone()),
            Remark::Version(_) => right = false,
            Remark::File => file = false,
            Remark::ByHand(at) => by_hand = Some(at.rfc3339().to_string()),
            Remark::Waiting(all) => waiting = keys(all),
        }
    }
    json!({
        "host": line.host, "pid": line.pid, "program": line.program, "version": line.version.map(|v| v.0),
        "failure": silent, "current": right && silent.is_none(), "file_in_force": file, "by_hand": by_hand,
        "waiting": waiting,
    })
}

#[cfg(test)]
mod tests {
    use crate::command::Exit;
    use crate::testing::roles::Double;
    use crate::testing::run;
    use serde_json::json;

    #[tokio::test]
    async fn processes_that_are_apart_are_told_and_counted_as_a_failure() {
        let run_with = async |line: &str| run(line).with_roles(Double::default()).done().await;
        let text = run_with("imconfcontrol -drift").await;
        assert_eq!(text.exit, Exit::FAILED);
        let output = text.output();
        for part in [
            "version 8 is to hold everywhere",
            "as it is to be",
            "version 7 is in force; waits for a restart: mss/numMssPorts",
            "does not answer: no route",
        ] {
            assert!(output.contains(part), "{part} is not in\n{output}");
        }
        let json = run_with("imconfcontrol -json -drift").await;
        let value: serde_json::Value = serde_json::from_str(&json.output()).unwrap();
        let [mars, venus, pluto] = [0, 1, 2].map(|at| value["processes"][at].clone());
        assert_eq!((&mars["current"], &mars["version"]), (&json!(true), &json!(8)));
        assert_eq!((&venus["current"], &venus["waiting"]), (&json!(false), &json!(["mss/numMssPorts"])));
        assert_eq!((&pluto["failure"], &pluto["pid"]), (&json!("no route"), &json!(null)));
    }
}
