//! `imbatchload`: brings records of domains, attributes, classes of service and accounts into the directory.
//!
//! Nothing is held but the accounts of one call, however long the file is. Each account is one transaction; those of one call share
//! syncs. Where it has come to is written down when it is on disk, so that a run that was broken off goes on.

mod files;
mod surroundings;

use crate::command::{Command, Count, Example, Exit, Grammar, Group, Opt, Outcome, Place, Word};
use crate::context::{Context, Failure};
use crate::output::Format;
use crate::records::{Read, Reader, Record};
use files::{Mark, Rejects};
use roles::directory::DirectoryError;
use roles::directory::provision::{Existing, MAX_REQUESTS, Reply, Request, WholeAccount};
use roles::store::Run;
use serde_json::json;

/// The row.
pub const COMMAND: Command = Command {
    name: "imbatchload",
    aliases: &["batchload"],
    group: Group::Directory,
    summary: "Loads accounts, domains and classes of service from a file of records",
    about: "Reads records as imbatchextract writes them, LDIF or lines of JSON. An account is loaded with all that its record says or \
            not at all; a record that fails is named with its line, and the others are loaded. What is there already and is as its record \
            says is passed over, so a file may be loaded again; what is there and differs fails, or with -update is made like \
            its record: addresses, login aliases, forwards and values that the record has not are taken away, and only its mailbox stays. \
            Passwords come hashed (passwordHash, with scram where SCRAM keys are known) or in the clear (password) and are hashed \
            then, which takes about ten milliseconds each.\n\n\
            -Error keeps the records that failed in a file that can be loaded again. -state keeps how far the run has come: started \
            again with the same file it goes on behind that line, and the file goes away at the end. Both are absolute paths on the host that \
            has the directory, readable for its user alone. -dry-run tries every account against the directory as it is now and \
            changes nothing; domains, attributes and classes are only read.",
    usage: &["[-update] [-dry-run] [-Error FILE] [-state FILE] [-json] FILE"],
    options: &[
        Opt { name: "update", value: None, help: "Make what is there like its record" },
        Opt { name: "dry-run", value: None, help: "Only say what would fail" },
        Opt { name: "n", value: None, help: "The same as -dry-run" },
        Opt { name: "Error", value: Some("FILE"), help: "Write the records that failed to this file" },
        Opt {
            name: "state",
            value: Some("FILE"),
            help: "Go on where the run that has left this file was broken off",
        },
    ],
    words: &[Word { name: "FILE", count: Count::One, help: "The records; - is standard input" }],
    examples: &[
        Example { line: "imbatchload -n site.ldif", does: "Says which records would fail" },
        Example {
            line: "imbatchload -Error /var/tmp/failed.ldif -state /var/tmp/load.state site.ldif",
            does: "Loads it; the same line again goes on where it was broken off",
        },
    ],
    exits: &[(1, "some records were not loaded; standard error names their lines")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

#[derive(Default)]
struct Counts {
    loaded: u64,
    already: u64,
    failed: u64,
}

/// A run.
struct Load {
    existing: Existing,
    run: Run,
    rejects: Option<Rejects>,
    mark: Option<Mark>,
    counts: Counts,
    /// Accounts that wait for their call.
    waiting: Vec<(Read, WholeAccount)>,
    /// The last line of all that was read.
    line: u64,
}

async fn run(context: &mut Context) -> Outcome {
    let arguments = &context.arguments;
    let (update, dry) = (arguments.has("update"), arguments.has("dry-run") || arguments.has("n"));
    let mut load = Load {
        existing: if update { Existing::Update } else { Existing::Refuse },
        run: if dry { Run::Dry } else { Run::Real },
        rejects: arguments.value("Error").map(Rejects::new).transpose()?,
        mark: arguments.value("state").map(Mark::read).transpose()?,
        counts: Counts::default(),
        waiting: Vec::new(),
        line: 0,
    };
    let mut reader = Reader::default();
    while let Some(line) = context.console.read_line().await? {
        if let Some(read) = reader.line(line) {
            load.take(context, read).await?;
        }
    }
    if let Some(read) = reader.end() {
        load.take(context, read).await?;
    }
    load.carry_out(context).await?;
    context.console.progress(None).await?;
    if let Some(mark) = load.mark {
        mark.remove()?;
    }
    let Counts { loaded, already, failed } = load.counts;
    match context.console.format() {
        Format::Json => {
            let value = json!({ "dry_run": dry, "loaded": loaded, "already": already, "failed": failed });
            context.console.json(&value).await?;
        }
        Format::Text => {
            let word = if dry { "would be loaded" } else { "loaded" };
            context
                .console
                .line(format!("{loaded} {word}, {already} there already, {failed} failed"))
                .await?;
        }
    }
    Ok(if failed == 0 { Exit::OK } else { Exit::FAILED })
}

impl Load {
    async fn take(&mut self, context: &mut Context, mut read: Read) -> Result<(), Failure> {
        if self.mark.as_ref().is_some_and(|mark| read.last <= mark.line) {
            return Ok(());
        }
        self.line = read.last;
        let fields = std::mem::replace(&mut read.fields, Ok(Vec::new()));
        match fields.and_then(Record::of) {
            Ok(Record::Account(whole)) => {
                self.waiting.push((read, *whole));
                if self.waiting.len() == MAX_REQUESTS {
                    self.carry_out(context).await?;
                }
            }
            Ok(record) => {
                // In the order of the file: accounts need what stands before them.
                self.carry_out(context).await?;
                let provisioning = &context.roles()?.provisioning;
                let done =
                    surroundings::bring(&**provisioning, &context.random, record, (self.existing, self.run));
                let done = done.await;
                self.count(context, &read, done).await?;
                self.mark()?;
            }
            Err(reason) => {
                self.carry_out(context).await?;
                self.fail(context, &read, &reason).await?;
                self.mark()?;
            }
        }
        Ok(())
    }

    /// Loads the accounts that wait.
    async fn carry_out(&mut self, context: &mut Context) -> Result<(), Failure> {
        let waiting = std::mem::take(&mut self.waiting);
        let Some((last, _)) = waiting.last() else { return Ok(()) };
        let last = last.last;
        let (existing, run) = (self.existing, self.run);
        let (reads, wholes): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
        let request = |whole| Request::LoadAccount(Box::new(whole), existing, run);
        let requests = wholes.into_iter().map(request).collect();
        // Passwords in the clear take their time.
        let call = context.call().for_long_work();
        let answers = context.roles()?.provisioning.provision(&call, requests).await;
        // Nothing was refused: the directory is away. What is marked as done is done, and the next run goes on there.
        let answers = answers.map_err(Failure::because)?;
        for (read, answer) in reads.iter().zip(answers) {
            if let Err(error @ DirectoryError::Unavailable) = answer {
                return Err(Failure::because(format!("line {}: {error}", read.line)));
            }
            self.count(context, read, answer.map_err(|error| error.to_string())).await?;
        }
        self.line = last;
        self.mark()?;
        let Counts { loaded, already, failed } = self.counts;
        let text = format!("line {last}: {loaded} loaded, {already} there already, {failed} failed");
        context.console.progress(Some(&text)).await
    }

    fn mark(&mut self) -> Result<(), Failure> {
        match (&mut self.mark, self.run) {
            (Some(mark), Run::Real) => mark.write(self.line),
            _ => Ok(()),
        }
    }

    async fn count(
        &mut self,
        context: &mut Context,
        read: &Read,
        done: Result<Reply, String>,
    ) -> Result<(), Failure> {
        match done {
            Ok(Reply::Already(_)) => self.counts.already += 1,
            Ok(_) => self.counts.loaded += 1,
            Err(reason) => self.fail(context, read, &reason).await?,
        }
        Ok(())
    }

    async fn fail(&mut self, context: &mut Context, read: &Read, reason: &str) -> Result<(), Failure> {
        self.counts.failed += 1;
        if let Some(rejects) = &mut self.rejects {
            rejects.add(read, reason)?;
        }
        context.console.error(format!("line {}: {reason}", read.line)).await
    }
}

#[cfg(test)]
mod tests;
