//! Everything that a change must pass, cheapest first. `.ci/run` ends here.

use crate::test::{self, Clients};
use crate::workspace::{Workspace, must};
use crate::{catalog_use, docs, its, layers, licences, proto, sizes};
use anyhow::{Context, Result};
use std::time::Instant;

/// A step: its name and what it does.
type Step = (&'static str, fn(&Workspace) -> Result<()>);

const STEPS: &[Step] = &[
    ("format", |w| must(w.cargo().args(["fmt", "--all", "--check"]))),
    ("layers", |w| layers::run(w, &[])),
    ("sizes", |w| sizes::run(w, &[])),
    ("catalog", |w| catalog_use::run(w, &[])),
    ("docs", |w| docs::run(w, &["--check".into()])),
    ("its", |w| its::run(w, &[])),
    ("proto", |w| proto::run(w, &[])),
    ("licences", |w| licences::run(w, &[])),
    ("clippy", |w| must(w.cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))),
    ("test", |w| test::everything(w, Clients::AllNeeded)),
];

pub(crate) fn run(workspace: &Workspace, _words: &[String]) -> Result<()> {
    for (name, step) in STEPS {
        println!("ci: {name}");
        let begun = now();
        step(workspace).with_context(|| format!("ci: {name} failed"))?;
        println!("ci: {name} passed in {:.1} s", begun.elapsed().as_secs_f64());
    }
    println!("ci: all green");
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "how long a step took is for the eye only")]
fn now() -> Instant {
    Instant::now()
}
