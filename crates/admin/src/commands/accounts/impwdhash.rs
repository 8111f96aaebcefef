//! `impwdhash`: hashes a password for use in batch files and in other systems.

use crate::command::{Command, Count, Example, Exit, Grammar, Group, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::output::Format;
use mail::password::{PasswordType, SALT_LEN, StoredPassword};
use mail::secret::Secret;
use serde_json::json;

/// The row.
pub const COMMAND: Command = Command {
    name: "impwdhash",
    aliases: &[],
    group: Group::Directory,
    summary: "Hashes a password",
    about: "Reads a password from standard input, one line, and prints its hash in the form that imdbcontrol takes with \
            the same TYPE. TYPE is one of argon2id (what a clear password is stored as), bcrypt, pbkdf2, unix (crypt, made \
            as $6$), sha512crypt, sha256crypt, md5crypt, ssha512, ssha256, ssha, smd5, sha512, sha256, sha, md5. The last \
            six have no cost or no salt: use them only where another system needs them.",
    usage: &["TYPE"],
    options: &[],
    words: &[Word { name: "TYPE", count: Count::One, help: "The form of the hash" }],
    examples: &[Example {
        line: "echo secret | impwdhash argon2id",
        does: "Prints a hash for imdbcontrol ca ... HASH argon2id ...",
    }],
    exits: &[],
    place: Place::Here,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    let name = context.arguments.word(0).unwrap_or_default();
    let kind = PasswordType::parse(name).filter(|kind| *kind != PasswordType::Clear);
    let kind = kind.ok_or_else(|| Failure::Usage(format!("there is no hash of type {name}")))?;
    let line = context.console.read_line().await?;
    let password = Secret::new(line.ok_or_else(|| Failure::because("no password on standard input"))?);
    let mut salt = [0; SALT_LEN];
    context.random.fill(&mut salt);
    let made = StoredPassword::make(kind, &password, &salt).map_err(Failure::because)?;
    match context.console.format() {
        Format::Text => context.console.line(made.expose()).await?,
        Format::Json => context.console.json(&json!({ "type": kind.name(), "hash": made.expose() })).await?,
    }
    Ok(Exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;

    #[tokio::test]
    async fn its_15223_the_output_is_the_hash_and_nothing_else() {
        for &(name, kind) in PasswordType::ALL.iter().filter(|(_, k)| *k != PasswordType::Clear) {
            let run = run(&format!("impwdhash {name}")).with_input(["se cret\r\n", "more\n"]).done().await;
            let output = run.output();
            let hash = output.strip_suffix('\n').unwrap();
            let stored = StoredPassword::parse_as(kind, hash).unwrap();
            assert!(stored.verify(&Secret::new("se cret")), "{name}");
            assert_eq!(run.errors(), "");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_hashed_is_said() {
        assert_eq!(run("impwdhash rot13").with_input(["x\n"]).done().await.exit, Exit::USAGE);
        assert_eq!(run("impwdhash clear").with_input(["x\n"]).done().await.exit, Exit::USAGE);
        let empty = run("impwdhash ssha").with_input(["\n"]).done().await;
        assert_eq!(empty.errors(), "impwdhash: a password has 1 to 1024 bytes\n");
        assert_eq!(run("impwdhash ssha").done().await.exit, Exit::FAILED);
    }
}
