//! `imbatchextract`: writes the directory as records that `imbatchload` reads.

use crate::command::{Command, Example, Exit, Grammar, Group, Opt, Outcome, Place};
use crate::context::{Context, Failure, Roles};
use crate::output::Format;
use crate::people::ask;
use crate::records::{Form, Record};
use catalog::cos;
use env::random::Random;
use mail::address::Domain;
use mail::id::AccountId;
use roles::directory::DirectoryError;
use roles::directory::provision::{CosView, DomainView, Hashes, PAGE, Reply, Request, Source, WholeAccount};

/// The row.
pub const COMMAND: Command = Command {
    name: "imbatchextract",
    aliases: &["batchextract"],
    group: Group::Directory,
    summary: "Writes the directory as records that imbatchload reads",
    about: "Writes to standard output, as LDIF or with -json as one line of JSON a record: domains, attributes that the site has \
            defined, classes of service with their values, and accounts with their addresses, login aliases, forwards and values. \
            Loaded into an empty directory they give the same. Passwords are left out unless -passwords is given: then their \
            hashes are written, and the file must be kept as the directory is. Reads page by page; accounts that change \
            meanwhile are written as they were before or after.",
    usage: &["[-domain DOMAIN] [-passwords] [-json]"],
    options: &[
        Opt { name: "domain", value: Some("DOMAIN"), help: "Only this domain and its accounts" },
        Opt { name: "passwords", value: None, help: "Write the hashes of passwords, too" },
    ],
    words: &[],
    examples: &[
        Example { line: "imbatchextract -passwords > site.ldif", does: "Writes all of it" },
        Example {
            line: "imbatchextract -json -domain example.org",
            does: "Writes a domain as lines of JSON",
        },
    ],
    exits: &[(1, "the directory could not be read to its end, or there is no such domain")],
    place: Place::Site,
    unavailable: Exit::FAILED,
    grammar: Grammar::Mixed,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &mut Context) -> Outcome {
    let bad = |error| Failure::Usage(format!("-domain: {error}"));
    let domain = context.arguments.value("domain").map(Domain::parse).transpose().map_err(bad)?;
    let hashes = if context.arguments.has("passwords") { Hashes::With } else { Hashes::Without };
    let form = if context.console.format() == Format::Json { Form::Json } else { Form::Ldif };
    let (roles, random) = (context.roles()?.clone(), context.random.clone());
    context.console.bytes(form.head().as_bytes()).await?;
    let mut found = domain.is_none();
    let mut more = Some(String::new());
    while let Some(after) = more.take() {
        let page = domains(&roles, &random, after).await?;
        more = page.last().filter(|_| page.len() >= PAGE as usize).map(|last| last.name.clone());
        for view in page.iter().filter(|view| domain.as_ref().is_none_or(|d| d.as_str() == view.name)) {
            found = true;
            write(context, form, &domain_record(view)?).await?;
        }
    }
    if !found {
        return Err(Failure::because("there is no such domain: see imdbcontrol ListDomains"));
    }
    for record in classes(&roles, &random).await? {
        write(context, form, &record).await?;
    }
    let mut after = AccountId(i64::MIN);
    loop {
        let page = whole(&roles, &random, after, hashes).await.map_err(Failure::because)?;
        let Some((last, _)) = page.last() else { return Ok(Exit::OK) };
        after = *last;
        for (_, account) in page {
            if domain.as_ref().is_none_or(|d| *d == account.user.domain) {
                write(context, form, &Record::Account(Box::new(account))).await?;
            }
        }
    }
}

async fn write(context: &mut Context, form: Form, record: &Record) -> Result<(), Failure> {
    context.console.bytes(form.write(record).as_bytes()).await
}

/// A page of whole accounts after this one.
pub(super) async fn whole(
    roles: &Roles,
    random: &Random,
    after: AccountId,
    hashes: Hashes,
) -> Result<Vec<(AccountId, WholeAccount)>, DirectoryError> {
    match ask(roles, random, Request::ListWhole(after, hashes)).await? {
        Reply::Whole(page) => Ok(page),
        _ => Err(DirectoryError::Broken("the directory has answered something else".into())),
    }
}

async fn domains(roles: &Roles, random: &Random, after: String) -> Result<Vec<DomainView>, Failure> {
    match ask(roles, random, Request::ListDomains(after)).await.map_err(Failure::because)? {
        Reply::Domains(page) => Ok(page),
        _ => Ok(Vec::new()),
    }
}

fn domain_record(view: &DomainView) -> Result<Record, Failure> {
    let name = Domain::parse(&view.name).map_err(Failure::because)?;
    Ok(Record::Domain(name, view.kind, Some(view.target.clone()).filter(|target| !target.is_empty())))
}

/// The attributes of the site and the classes.
async fn classes(roles: &Roles, random: &Random) -> Result<Vec<Record>, Failure> {
    let mut records = Vec::new();
    if let Reply::Attributes(all) =
        ask(roles, random, Request::ListAttributes).await.map_err(Failure::because)?
    {
        let own = all.into_iter().filter(|a| cos::find(&a.name).is_none());
        records.extend(own.map(|a| Record::Attribute(a.name, a.rule, a.kind, Some(a.value))));
    }
    for CosView { name, .. } in class_views(roles, random).await? {
        if let Reply::Class(cos, all) =
            ask(roles, random, Request::ShowCos(name)).await.map_err(Failure::because)?
        {
            let set = all.into_iter().filter(|a| a.source == Source::Cos);
            records.push(Record::Cos(cos.name, set.map(|a| (a.name, a.value)).collect()));
        }
    }
    Ok(records)
}

/// All classes of service.
pub(super) async fn class_views(roles: &Roles, random: &Random) -> Result<Vec<CosView>, Failure> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = match ask(roles, random, Request::ListCos(after)).await.map_err(Failure::because)? {
            Reply::Classes(page) => page,
            _ => Vec::new(),
        };
        let is_last = page.len() < PAGE as usize;
        after = page.last().map(|last| last.name.clone()).unwrap_or_default();
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}
