//! The directory grows tenfold step by step; then its copy is measured.

use crate::load::Load;
use crate::{Engine, Options, Said, copy, meter};
use anyhow::{Context as _, Result};
use catalog::tree::Tree;
use env::Env;
use env::settings::Settings;
use std::time::Instant;
use testkit::postgres::{Care, Postgres};

/// The smallest directory.
const FIRST: u64 = 10_000;

/// Where what was measured goes: every figure is shown as it comes, for whoever waits.
pub(crate) struct Figures(Said);

impl Figures {
    pub(crate) fn put(&mut self, name: &str, value: impl Into<serde_json::Value>) {
        let value = value.into();
        eprintln!("  {name} {value} (load {:.1})", meter::load());
        self.0.insert(name.to_owned(), value);
    }

    pub(crate) fn take(&mut self, said: Said) {
        said.into_iter().for_each(|(name, value)| self.put(&name, value));
    }
}

pub(crate) async fn run(options: &Options) -> Result<Said> {
    let server = (options.engine == Engine::Postgres).then(|| Postgres::start(Care::Durable));
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("directory/isd.db");
    std::fs::create_dir_all(file.parent().context("a folder")?)?;
    let mut env = Env::for_test("imdircacheserv");
    if let Some(server) = &server {
        let keys = format!("/*/common/primaryDBUrl: [{}]\n", server.database());
        env.settings = Settings::new("venus", "imdircacheserv", Tree::parse(&keys)?);
    }
    let load = Load::open(env, &file).await?;
    let mut figures = Figures(Said::new());
    figures.put("accounts", options.accounts);
    figures.put("load_before", meter::load());
    let mut size = 0;
    for goal in sizes(options.accounts) {
        let begun = Instant::now();
        load.fill(size, goal).await?;
        figures.put(&format!("filled_per_s_to_{goal}"), per_second(goal - size, begun));
        let begun = Instant::now();
        load.create_singly(&format!("single{goal}"), options.singles).await?;
        figures.put(&format!("singles_per_s_at_{goal}"), per_second(options.singles, begun));
        size = goal;
    }
    copy::run(options, &load, folder.path(), &file, &mut figures).await?;
    figures.put("load_after", meter::load());
    Ok(figures.0)
}

/// 10,000, 100,000 and so on, and the last one.
fn sizes(last: u64) -> Vec<u64> {
    let mut sizes: Vec<_> =
        std::iter::successors(Some(FIRST), |n| n.checked_mul(10)).take_while(|n| *n < last).collect();
    sizes.push(last);
    sizes
}

pub(crate) fn per_second(count: u64, begun: Instant) -> f64 {
    (count as f64 / begun.elapsed().as_secs_f64()).round()
}
