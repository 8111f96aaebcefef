//! The usage test: what holds for every row.

use super::*;
use crate::command::{Count, Exit, Grammar};
use crate::connect::{Opener, Opening, start};
use crate::site::Site;
use crate::testing::Script;
use crate::{arguments, render};

struct Never;

impl Opener for Never {
    fn open<'a>(&'a self, _: &'a Site) -> Opening<'a> {
        Box::pin(async { anyhow::bail!("a wrong command line opens no site") })
    }
}

async fn run(line: &str) -> (Exit, Script) {
    let mut words = line.split(' ');
    let name = words.next().unwrap();
    let script = Script::default();
    let exit = start(name, words.map(Into::into).collect(), &Never, Box::new(script.clone())).await;
    (exit, script)
}

#[tokio::test]
async fn every_command_answers_help_with_its_examples() {
    for row in ALL {
        for ask in ["--help", "-help"] {
            let (exit, script) = run(&format!("{} {ask}", row.name)).await;
            let text = script.output();
            assert_eq!(exit, Exit::OK, "{} {ask}", row.name);
            assert!(text.starts_with(&format!("{}: {}\n", row.name, row.summary)), "{text}");
            assert!(!row.examples.is_empty(), "{} has no example", row.name);
            for example in row.examples {
                assert!(text.contains(example.line), "{text}");
                assert!(example.line.contains(row.name), "{}", example.line);
            }
        }
    }
}

#[tokio::test]
async fn every_command_tells_its_version() {
    for row in ALL {
        let (exit, script) = run(&format!("{} -version", row.name)).await;
        assert_eq!((exit, script.output()), (Exit::OK, render::version(row.name)));
    }
}

#[tokio::test]
async fn every_command_refuses_a_wrong_line_with_its_usage() {
    for row in ALL.iter().filter(|row| row.grammar != Grammar::Own) {
        let (exit, script) = run(&format!("{} -no-such-option", row.name)).await;
        assert_eq!(exit, Exit::USAGE, "{}", row.name);
        let errors = script.errors();
        assert!(
            errors.starts_with(&format!("{}: unknown option -no-such-option\nusage: ", row.name)),
            "{errors}"
        );
        assert_eq!(script.output(), "");
    }
}

#[tokio::test]
async fn an_unknown_command_is_named() {
    let (exit, script) = run("imcorelogs").await;
    assert_eq!(exit, Exit::USAGE);
    assert!(script.errors().contains("there is no command imcorelogs"));
}

#[test]
fn rows_are_well_formed() {
    let mut names: Vec<_> = ALL.iter().flat_map(|row| row.aliases.iter().chain([&row.name])).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "a name stands twice");
    for row in ALL {
        assert!(!row.summary.ends_with('.') && row.summary.len() < 80, "{}", row.name);
        assert!(!row.about.is_empty() && row.about.ends_with('.'), "{}", row.name);
        assert!(!row.usage.is_empty(), "{}", row.name);
        for opt in row.options {
            assert!(!opt.name.starts_with('-') && !opt.help.ends_with('.'), "{} -{}", row.name, opt.name);
        }
        let rest = row.words.iter().rev().skip(1);
        assert!(rest.clone().all(|word| !matches!(word.count, Count::Any | Count::Some)), "{}", row.name);
    }
}

#[test]
fn every_example_is_a_command_line_that_its_row_allows() {
    for row in ALL {
        for example in row.examples {
            let part = example.line.split('|').find(|part| part.contains(row.name)).unwrap();
            let part = part.split(['<', '>']).next().unwrap_or_default();
            let words = part.split_whitespace().skip_while(|word| *word != row.name).skip(1);
            let line: Vec<String> = words.map(|word| word.trim_matches('"').to_owned()).collect();
            assert!(arguments::read(row, &line).is_ok(), "{}: {line:?}", example.line);
        }
    }
}

#[tokio::test]
async fn the_list_is_complete() {
    let (_, script) = run("imcmdlist").await;
    let text = script.output();
    for row in ALL {
        assert!(text.lines().any(|line| line.starts_with(row.name) && line.ends_with(row.summary)), "{text}");
    }
}

#[tokio::test]
async fn every_row_renders_as_manual_page_markdown_and_completion() {
    let (_, markdown) = run("imcmdlist -markdown").await;
    let (_, completion) = run("imcmdlist -completion").await;
    for row in ALL {
        let (exit, man) = run(&format!("imcmdlist -man {}", row.name)).await;
        assert_eq!(exit, Exit::OK);
        assert!(man.output().starts_with(&format!(".TH {} 1", row.name.to_uppercase())));
        assert!(markdown.output().contains(&format!("\n### {}\n", row.name)));
        assert!(completion.output().contains(&format!("' {}\n", row.name)));
    }
}
