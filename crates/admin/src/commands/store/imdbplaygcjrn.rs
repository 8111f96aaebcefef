//! `imdbplaygcjrn`: played a journal of the garbage collector (ITS 17382). There is none any more.

use crate::command::{Command, Count, Example, Exit, Grammar, Group, Outcome, Place, Word};
use crate::context::Context;

/// The row.
pub const COMMAND: Command = Command {
    name: "imdbplaygcjrn",
    aliases: &[],
    group: Group::Store,
    summary: "Does nothing: the garbage collector has no journal any more",
    about: "Former releases kept a journal of what the garbage collector was about to delete, which had to be played \
            after a crash. Every step of immssgc is now a commit of the store, whole or not at all, so that there is \
            nothing to play: the command says so and ends well, as often as it is run. It is kept for scripts.",
    usage: &["[FILE...]"],
    options: &[],
    words: &[Word { name: "FILE", count: Count::Any, help: "Looked at by former releases; not read" }],
    examples: &[Example { line: "imdbplaygcjrn", does: "Says that there is nothing to do" }],
    exits: &[],
    place: Place::Here,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    let text = "The garbage collector has no journal: nothing is left to be played after a crash.";
    context.console.line(text).await?;
    Ok(Exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;

    #[tokio::test]
    async fn its_17382_there_is_nothing_to_play_as_often_as_one_asks() {
        for line in ["imdbplaygcjrn", "imdbplaygcjrn", "imdbplaygcjrn gc.jrn"] {
            let run = run(line).done().await;
            assert_eq!((run.exit, run.errors().as_str()), (Exit::OK, ""));
            assert!(run.output().contains("has no journal"));
        }
    }
}
