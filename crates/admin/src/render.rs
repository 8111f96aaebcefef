//! Rows to text: help, usage, manual page, the reference chapter, completion, the list of commands. Pure.

use crate::command::{COMMON, Command, EXITS, Grammar, Opt, Place};
use crate::frame::REVISION;
use std::fmt::Write as _;

/// The product's version, the same in every program and command.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The build's number or name; set by `INTERMAIL_BUILD` when it is compiled.
pub const BUILD: &str = match option_env!("INTERMAIL_BUILD") {
    Some(build) => build,
    None => "local",
};
/// Longest line of help.
const WIDTH: usize = 100;

/// What `-version` says: product, version, build, revision of the protocol between our own processes (ITS 18760).
pub fn version(name: &str) -> String {
    format!("{name}: InterMail {VERSION} (build {BUILD}, RME revision {REVISION})\n")
}

/// The forms of the command line, as they follow an error.
pub fn usage(row: &Command) -> String {
    let mut text = String::new();
    for (at, form) in row.usage.iter().enumerate() {
        let lead = if at == 0 { "usage: " } else { "       " };
        let _ = writeln!(text, "{lead}{}", with_name(row, form));
    }
    text
}

/// What `-help` says.
pub fn help(row: &Command) -> String {
    let mut text = format!("{}: {}\n\n{}\n", row.name, row.summary, usage(row));
    for paragraph in row.about.split("\n\n").filter(|p| !p.is_empty()) {
        fold(&mut text, "", paragraph);
        text.push('\n');
    }
    let words: Vec<_> = row.words.iter().map(|w| (w.name.to_owned(), w.help)).collect();
    section(&mut text, "Arguments", &words);
    let options: Vec<_> = options(row).map(|opt| (with_value(opt), opt.help)).collect();
    section(&mut text, "Options", &options);
    text.push_str("Examples\n");
    for example in row.examples {
        let _ = writeln!(text, "  {}", example.line);
        fold(&mut text, "      ", example.does);
    }
    let exits: Vec<_> = exits(row).map(|(code, means)| (code.to_string(), means)).collect();
    text.push('\n');
    section(&mut text, "Exit status", &exits);
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// The chapter `docs/reference/commands.md`.
pub fn markdown(rows: &[&Command]) -> String {
    let mut text = catalog::render::heading("Commands");
    text.push_str(
        "Every command finds its site by `$INTERMAIL` or `--site DIR`, and may be called by its own name or as\n\
         `intermail NAME`. Options are understood with one dash or two.\n",
    );
    let mut group = None;
    for row in by_group(rows) {
        if group != Some(row.group) {
            group = Some(row.group);
            let _ = write!(text, "\n## {}\n", row.group.title());
        }
        markdown_of(&mut text, row);
    }
    text
}

fn markdown_of(text: &mut String, row: &Command) {
    let _ = write!(text, "\n### {}\n\n{}.\n\n```text\n", row.name, row.summary);
    for form in row.usage {
        let _ = writeln!(text, "{}", with_name(row, form));
    }
    let _ = write!(text, "```\n\n{}\n", row.about);
    if !row.aliases.is_empty() {
        let _ = write!(text, "\nAlso called `{}`.\n", row.aliases.join("`, `"));
    }
    let _ = write!(text, "\n{}\n", place(row.place));
    text.push_str("\n| Option or argument | Meaning |\n|---|---|\n");
    let words = row.words.iter().map(|w| (w.name.to_owned(), w.help));
    for (name, means) in words.chain(options(row).map(|opt| (with_value(opt), opt.help))) {
        let _ = writeln!(text, "| `{}` | {} |", name.replace('|', "\\|"), means.replace('|', "\\|"));
    }
    text.push_str("\n```text\n");
    for example in row.examples {
        let _ = writeln!(text, "# {}\n{}", example.does, example.line);
    }
    text.push_str("```\n\nExit status: ");
    let exits: Vec<_> = exits(row).map(|(code, means)| format!("{code} {means}")).collect();
    let _ = writeln!(text, "{}.", exits.join("; "));
}

fn place(place: Place) -> &'static str {
    match place {
        Place::Here => "Needs no running daemon.",
        Place::Daemon => "Runs in the daemon of the site.",
        Place::Site => {
            "Runs in the daemon of the site; where none is running, opens the site for as long as it takes."
        }
        Place::SiteUnless(_) => {
            "Runs in the daemon of the site (where none is running, opens the site for as long as it takes), but for \
             the forms that only read a backup: those need no site."
        }
    }
}

/// A manual page in roff.
pub fn man(row: &Command) -> String {
    let mut text = format!(
        ".TH {} 1 \"\" \"InterMail {VERSION}\" \"InterMail commands\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n",
        row.name.to_uppercase(),
        roff(row.name),
        roff(row.summary)
    );
    for form in row.usage {
        let _ = write!(text, "{}\n.br\n", roff(&with_name(row, form)));
    }
    let _ = write!(text, ".SH DESCRIPTION\n{}\n", roff(row.about).replace("\n\n", "\n.PP\n"));
    text.push_str(".SH OPTIONS\n");
    let words = row.words.iter().map(|w| (w.name.to_owned(), w.help));
    for (name, means) in words.chain(options(row).map(|opt| (with_value(opt), opt.help))) {
        let _ = write!(text, ".TP\n.B {}\n{}.\n", roff(&name), roff(means));
    }
    text.push_str(".SH EXAMPLES\n");
    for example in row.examples {
        let _ = write!(text, ".TP\n.B {}\n{}.\n", roff(example.line), roff(example.does));
    }
    text.push_str(".SH \"EXIT STATUS\"\n");
    for (code, means) in exits(row) {
        let _ = write!(text, ".TP\n.B {code}\n{}.\n", roff(means));
    }
    text
}

/// Completion for bash: the names of options behind each command's name, and files.
pub fn completion(rows: &[&Command]) -> String {
    let mut text = String::from("# Completion for the commands of InterMail; generated.\n");
    for row in rows {
        let words: Vec<String> = options(row).map(|opt| format!("-{}", opt.name)).collect();
        for name in std::iter::once(&row.name).chain(row.aliases) {
            let _ = writeln!(text, "complete -o default -W '{}' {name}", words.join(" "));
        }
    }
    text
}

/// The rows in the order of their groups, else as they stand.
pub fn by_group<'a>(rows: &[&'a Command]) -> Vec<&'a Command> {
    let mut sorted = rows.to_vec();
    sorted.sort_by_key(|row| row.group);
    sorted
}

/// The options that a row understands: its own and the common ones that these do not hide.
fn options(row: &Command) -> impl Iterator<Item = Opt> + '_ {
    let common = COMMON.iter().filter(|opt| {
        let hidden = row.options.iter().any(|own| own.name == opt.name);
        !hidden && (opt.name != "json" || row.grammar != Grammar::Own)
    });
    row.options.iter().chain(common).copied()
}

fn exits(row: &Command) -> impl Iterator<Item = (u8, &'static str)> + '_ {
    let common = EXITS.iter().filter(|(code, _)| row.exits.iter().all(|(own, _)| own != code));
    let mut all: Vec<_> = common.chain(row.exits).copied().collect();
    all.sort_by_key(|(code, _)| *code);
    all.into_iter()
}

fn with_name(row: &Command, form: &str) -> String {
    format!("{} {form}", row.name).trim_end().to_owned()
}

fn with_value(opt: Opt) -> String {
    match opt.value {
        Some(value) => format!("-{} {value}", opt.name),
        None => format!("-{}", opt.name),
    }
}

fn section(text: &mut String, title: &str, entries: &[(String, &str)]) {
    if entries.is_empty() {
        return;
    }
    let width = entries.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let _ = writeln!(text, "{title}");
    for (name, means) in entries {
        let _ = writeln!(text, "  {name:width$}  {means}");
    }
    text.push('\n');
}

/// Appends a paragraph in lines of at most [`WIDTH`] columns.
fn fold(text: &mut String, indent: &str, paragraph: &str) {
    let mut column = 0;
    for word in paragraph.split_whitespace() {
        let width = word.chars().count();
        if column == 0 || column + 1 + width > WIDTH {
            if column > 0 {
                text.push('\n');
            }
            text.push_str(indent);
            column = indent.len();
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += width;
    }
    text.push('\n');
}

/// Text that roff does not take for requests.
fn roff(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    match escaped.starts_with(['.', '\'']) {
        true => format!("\\&{escaped}"),
        false => escaped,
    }
}
