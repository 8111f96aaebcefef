//! `imconfformput`: puts the entries of a form into the configuration, and leaves the form where it is (ITS 12340).

use super::imconfcontrol::change;
use super::imconfedit::{input, read};
use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::context::{Context, Failure};
use catalog::tree::Tree;
use roles::configuration::{Change, Wish};

/// The row.
pub const COMMAND: Command = Command {
    name: "imconfformput",
    aliases: &[],
    group: Group::Configuration,
    summary: "Puts the entries of a form into the configuration",
    about: "A form is a file of the grammar of config.db: what was filled in for a host or a site, such as by an \
            installation. Each of its entries is set, all of them or, where one is refused, none; every other line of \
            the configuration stays as it is. The form is read and stays in place.\n\n\
            Without FILE, the form is config.form beside the site's config.db.",
    usage: &["[-json] [-who NAME] [-why TEXT] [FILE]"],
    options: &[
        Opt { name: "who", value: Some("NAME"), help: "Who makes the change, for the history" },
        Opt { name: "why", value: Some("TEXT"), help: "Why, for the history" },
    ],
    words: &[Word { name: "FILE", count: Count::Optional, help: "The form; - is standard input" }],
    examples: &[Example {
        line: "imconfformput -why installation config.form",
        does: "Sets every entry of the form",
    }],
    exits: &[(1, "nothing was changed, or it was changed and the daemon could not put it in force")],
    place: Place::Daemon,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    let site = context.site()?;
    let form = match context.arguments.word(0) {
        // It comes as the input of the command, from wherever that was started.
        Some(_) => input(&mut context.console).await?,
        None => read(&site.configuration_files().current.with_extension("form"))?,
    };
    let tree = Tree::parse(&form).map_err(|bad| Failure::because(format!("the form: {bad}")))?;
    let set = tree.entries().map(|(path, _, values)| Change::Set(path.clone(), values.to_vec()));
    let changes: Vec<_> = set.collect();
    if changes.is_empty() {
        return Err(Failure::because("the form has no entry"));
    }
    change(context, &site, Wish::Entries(changes)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;

    const FORM: &str = "# venus\n/venus/mta/banners: [x]\n/*/mta/maxMessageSize: [8]\n";

    #[tokio::test]
    async fn its_12340_the_entries_of_a_form_are_set_and_the_form_stays() {
        let before = "# mine\n/*/mta/maxMessageSize: [7]\n";
        let after = "# mine\n/*/mta/maxMessageSize: [8]\n/venus/mta/banners: [x]\n";
        let done = run("imconfformput")
            .with_configuration(before)
            .with_file("config/config.form", FORM)
            .done()
            .await;
        assert_eq!((done.exit, done.configuration().as_str()), (Exit::OK, after));
        let form = std::fs::read_to_string(done.folder().join("config/config.form")).unwrap();
        assert_eq!(form, FORM);
        let done = run("imconfformput -").with_configuration(before).with_input([FORM]).done().await;
        assert_eq!((done.exit, done.configuration().as_str()), (Exit::OK, after));
    }

    #[tokio::test]
    async fn a_bad_form_changes_nothing() {
        for (form, why) in [
            ("/*/mta/maxMessageSize: [8]\n/*/mta/noSuchKey: [1]\n", "unknown key"),
            ("/*/mta/maxMessageSize 8\n", "line 1"),
            ("# nothing\n", "no entry"),
        ] {
            let done = run("imconfformput -").with_configuration("# mine\n").with_input([form]).done().await;
            assert_eq!((done.exit, done.configuration().as_str()), (Exit::FAILED, "# mine\n"), "{form}");
            assert!(done.errors().contains(why), "{}", done.errors());
        }
        assert!(run("imconfformput").done().await.errors().contains("config.form"));
    }
}
