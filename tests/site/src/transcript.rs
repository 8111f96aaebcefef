//! Transcripts: text files that read like the log of a session, played against a fresh site.
//!
//! ```text
//! # EHLO names the extensions.              a comment
//! % account carol@example.test:pass         an account; without any the site has ALICE and BOB
//! % entry /*/mta/maxRecipients: [100]       a line of config.db
//! % service submission                      what C: and S: connect to; else the folder's own protocol
//! S: 220 * ESMTP *                          the next line must match
//! C: EHLO client.example.net                a line is sent, with its CRLF
//! S: 250-*
//! S: ...                                    any number of lines may come before the next S: matches
//! S: 250 *
//! C: RSET\c                                 \c at the end: no CRLF is sent
//! C: \n
//! % tls                                     TLS is spoken from here on
//! C2: NOOP                                  a second connection, opened where it is first named
//! % connect 3 pop3                          a third one, to another service
//! % mail bob@example.test                   a message from outside, delivered before the next line is played
//! | Subject: one
//! |
//! | text
//! % command imdbcontrol la                  an administrative command that must succeed
//! % closed                                  the other side has closed; % closed 2 for the second connection
//! ```
//!
//! In `C:` and `S:`: `\r \n \t \0 \\` and `\xHH` are bytes. In `S:`: `*` stands for any text, `\*` for a star, and
//! `* ` at the begin of the line stands for itself, as IMAP begins its untagged responses so. `%{name}` in `S:`
//! keeps a word (letters, digits, `.`, `_`, `-`); once it is known it stands for that word, in `C:` too.
//! `%{alice}` and `%{bob}` are known: the passwords of the two accounts.

use crate::connection::Connection;
use crate::program::{ALICE, BOB, Service, Site, Wish};
use crate::smtp;
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::Path;

/// How many lines of the dialogue are shown when a transcript fails.
const SHOWN: usize = 20;

/// A transcript that was read.
#[derive(Debug)]
pub struct Transcript {
    wish: Wish,
    service: Service,
    steps: Vec<(usize, Step)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Send(u32, Vec<Token>),
    Expect(u32, Vec<Token>),
    Skip(u32),
    Tls(u32),
    Closed(u32),
    Connect(u32, Service),
    Mail(String, Vec<u8>),
    Command(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(Vec<u8>),
    Any,
    Word(String),
}

/// Plays every `.txt` of a folder, each against a site of its own.
///
/// # Errors
/// All that failed, each with its file and line.
pub fn play_all(folder: &Path, service: Service) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("no folder {}", folder.display()))?;
    let mut files: Vec<_> = entries.map(|e| Ok(e?.path())).collect::<Result<_>>()?;
    files.retain(|f| f.extension().is_some_and(|e| e == "txt"));
    files.sort();
    ensure!(!files.is_empty(), "no transcripts in {}", folder.display());
    let failures: Vec<_> = files.iter().filter_map(|file| Some((file, play(file, service).err()?))).collect();
    for (file, error) in &failures {
        eprintln!("{}: {error:#}\n", file.display());
    }
    ensure!(failures.is_empty(), "{} of {} transcripts failed", failures.len(), files.len());
    Ok(())
}

fn play(file: &Path, service: Service) -> Result<()> {
    let transcript = Transcript::parse(&fs::read_to_string(file)?, service)?;
    let mut site = transcript.wish.clone().start()?;
    transcript.play(&site)?;
    site.stop().map(|_| ())
}

impl Transcript {
    /// Reads a transcript; `service` is what it talks to unless it says otherwise.
    ///
    /// # Errors
    /// The first line that is not in the grammar.
    pub fn parse(text: &str, service: Service) -> Result<Self> {
        let mut read = Self { wish: Wish::default(), service, steps: Vec::new() };
        for (at, line) in text.lines().enumerate() {
            read.line(at + 1, line).with_context(|| format!("line {}: {line}", at + 1))?;
        }
        ensure!(!read.steps.is_empty(), "it holds no step");
        Ok(read)
    }

    fn line(&mut self, number: usize, line: &str) -> Result<()> {
        if line.starts_with('#') || line.trim().is_empty() {
            return Ok(());
        }
        if let Some(text) = line.strip_prefix('|') {
            let Some((_, Step::Mail(_, message))) = self.steps.last_mut() else {
                bail!("no % mail before it")
            };
            message.extend_from_slice(&bytes(text.strip_prefix(' ').unwrap_or(text))?);
            message.extend_from_slice(b"\r\n");
            return Ok(());
        }
        if let Some(directive) = line.strip_prefix('%') {
            return self.directive(number, directive.trim());
        }
        let (who, text) = line.split_once(':').context("neither C: nor S: nor %")?;
        let text = text.strip_prefix(' ').unwrap_or(text);
        let connection = if who.len() > 1 { who[1..].parse()? } else { 1 };
        let step = match (who.as_bytes().first(), text) {
            (Some(b'C'), text) => Step::Send(connection, sent(text)?),
            (Some(b'S'), "...") => Step::Skip(connection),
            (Some(b'S'), text) => Step::Expect(connection, pattern(text)?),
            _ => bail!("neither C: nor S: nor %"),
        };
        self.steps.push((number, step));
        Ok(())
    }

    fn directive(&mut self, number: usize, directive: &str) -> Result<()> {
        let (word, rest) = directive.split_once(' ').unwrap_or((directive, ""));
        let rest = rest.trim();
        let connection = || if rest.is_empty() { Ok(1) } else { rest.parse() };
        let service =
            |name: &str| Service::by_name(name).with_context(|| format!("no service is called {name}"));
        let step = match word {
            "account" => {
                let (address, password) = rest.split_once(':').context("address:password")?;
                self.wish = std::mem::take(&mut self.wish).account(address, password);
                return Ok(());
            }
            "entry" => {
                self.wish = std::mem::take(&mut self.wish).entry(rest);
                return Ok(());
            }
            "service" => {
                self.service = service(rest)?;
                return Ok(());
            }
            "tls" => Step::Tls(connection()?),
            "closed" => Step::Closed(connection()?),
            "connect" => {
                let (connection, name) = rest.split_once(' ').context("connection and service")?;
                Step::Connect(connection.parse()?, service(name.trim())?)
            }
            "mail" => Step::Mail(rest.to_owned(), Vec::new()),
            "command" => Step::Command(rest.split_whitespace().map(str::to_owned).collect()),
            other => bail!("no directive is called {other}"),
        };
        self.steps.push((number, step));
        Ok(())
    }

    /// Plays it against a site.
    ///
    /// # Errors
    /// The line that did not hold, what came instead, and the dialogue before it.
    pub fn play(&self, site: &Site) -> Result<()> {
        let mut play = Play::new(site, self.service);
        for (number, step) in &self.steps {
            play.step(step).with_context(|| format!("line {number} does not hold\n{}", play.dialogue()))?;
        }
        Ok(())
    }
}

/// A transcript while it is played.
struct Play<'a> {
    site: &'a Site,
    service: Service,
    connections: BTreeMap<u32, Connection>,
    skipping: BTreeMap<u32, bool>,
    words: BTreeMap<String, String>,
    said: VecDeque<String>,
}

impl<'a> Play<'a> {
    fn new(site: &'a Site, service: Service) -> Self {
        let known = [("alice", ALICE.password), ("bob", BOB.password)];
        let words = known.into_iter().map(|(name, word)| (name.to_owned(), word.to_owned())).collect();
        let (connections, skipping) = (BTreeMap::new(), BTreeMap::new());
        Self { site, service, connections, skipping, words, said: VecDeque::new() }
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Connect(number, service) => {
                self.connections.insert(*number, self.site.connect(*service)?);
            }
            Step::Send(number, tokens) => {
                let bytes = filled(tokens, &self.words)?;
                self.note(*number, 'C', &String::from_utf8_lossy(&bytes));
                self.connection(*number)?.send(&bytes)?;
            }
            Step::Skip(number) => {
                self.skipping.insert(*number, true);
            }
            Step::Expect(number, pattern) => self.expect(*number, pattern)?,
            Step::Tls(number) => self.connection(*number)?.start_tls()?,
            Step::Closed(number) => {
                let rest = self.connection(*number)?.until_closed()?;
                let skip = self.skipping.insert(*number, false).unwrap_or(false);
                ensure!(rest.is_empty() || skip, "before the end came {rest:?}");
            }
            Step::Mail(to, message) => {
                let mut smtp = smtp::Smtp::connect(self.site, Service::Smtp)?;
                smtp.deliver("sender@remote.test", &[to], message)?;
            }
            Step::Command(words) => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                self.site.must(&words)?;
            }
        }
        Ok(())
    }

    fn expect(&mut self, number: u32, pattern: &[Token]) -> Result<()> {
        let skip = self.skipping.insert(number, false).unwrap_or(false);
        loop {
            let line = self.connection(number)?.line()?;
            self.note(number, 'S', &line);
            let mut words = self.words.clone();
            if matches(pattern, line.as_bytes(), &mut words) {
                self.words = words;
                return Ok(());
            }
            // What is skipped is bounded by the deadline of each line and by the other side's end.
            ensure!(skip, "this came: {line}");
        }
    }

    fn connection(&mut self, number: u32) -> Result<&mut Connection> {
        if !self.connections.contains_key(&number) {
            let opened = self.site.connect(self.service)?;
            self.connections.insert(number, opened);
        }
        self.connections.get_mut(&number).context("no connection")
    }

    fn note(&mut self, number: u32, who: char, text: &str) {
        if self.said.len() == SHOWN {
            self.said.pop_front();
        }
        self.said.push_back(format!("    {who}{number}: {}", text.trim_end().escape_debug()));
    }

    fn dialogue(&self) -> String {
        self.said.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// The bytes of a line that is sent.
fn sent(text: &str) -> Result<Vec<Token>> {
    let (text, end) = match text.strip_suffix("\\c") {
        Some(text) => (text, &b""[..]),
        None => (text, &b"\r\n"[..]),
    };
    let mut tokens = Vec::new();
    for (at, part) in text.split("%{").enumerate() {
        let literal = match (at, part.split_once('}')) {
            (0, _) => part,
            (_, Some((name, rest))) => {
                tokens.push(Token::Word(name.to_owned()));
                rest
            }
            (_, None) => bail!("%{{ without }}"),
        };
        tokens.push(Token::Literal(bytes(literal)?));
    }
    tokens.push(Token::Literal(end.to_vec()));
    Ok(tokens)
}

/// What a line that comes is compared with.
fn pattern(text: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    if let Some(untagged) = text.strip_prefix("* ") {
        literal.push_str("* ");
        rest = untagged;
    }
    while let Some(first) = rest.chars().next() {
        let taken = if let Some(star) = rest.strip_prefix("\\*") {
            literal.push('*');
            rest = star;
            continue;
        } else if first == '\\' {
            let length = 2 + if rest[1..].starts_with('x') { 2 } else { 0 };
            literal.push_str(rest.get(..length).context("an escape is cut off")?);
            rest = &rest[length..];
            continue;
        } else if let Some(name) = rest.strip_prefix("%{") {
            let (name, after) = name.split_once('}').context("%{ without }")?;
            rest = after;
            Token::Word(name.to_owned())
        } else if first == '*' {
            rest = &rest[1..];
            Token::Any
        } else {
            literal.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        tokens.push(Token::Literal(bytes(&std::mem::take(&mut literal))?));
        tokens.push(taken);
    }
    tokens.push(Token::Literal(bytes(&literal)?));
    Ok(tokens)
}

/// Escapes undone.
fn bytes(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let mut chars = after.chars();
        let byte = match chars.next().context("an escape is cut off")? {
            'r' => b'\r',
            'n' => b'\n',
            't' => b'\t',
            '0' => 0,
            '\\' => b'\\',
            'x' => {
                let hex = after.get(1..3).context("\\x without two digits")?;
                chars = after[3..].chars();
                u8::from_str_radix(hex, 16)?
            }
            other => bail!("no escape is called \\{other}"),
        };
        bytes.push(byte);
        rest = chars.as_str();
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

fn filled(tokens: &[Token], words: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for token in tokens {
        match token {
            Token::Literal(literal) => bytes.extend_from_slice(literal),
            Token::Word(name) => {
                let word = words.get(name).with_context(|| format!("%{{{name}}} is not known yet"))?;
                bytes.extend_from_slice(word.as_bytes());
            }
            Token::Any => bail!("* cannot be sent"),
        }
    }
    Ok(bytes)
}

/// Whether the whole text fits; words that became known on the way are kept. The depth is the length of the
/// pattern.
fn matches(pattern: &[Token], text: &[u8], words: &mut BTreeMap<String, String>) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return text.is_empty() };
    match first {
        Token::Literal(literal) => text.strip_prefix(&literal[..]).is_some_and(|t| matches(rest, t, words)),
        Token::Any => (0..=text.len()).any(|at| matches(rest, &text[at..], words)),
        Token::Word(name) => {
            if let Some(word) = words.get(name) {
                let word = word.clone();
                return text.strip_prefix(word.as_bytes()).is_some_and(|t| matches(rest, t, words));
            }
            let is_word = |b: &&u8| b.is_ascii_alphanumeric() || b"._-".contains(*b);
            let longest = text.iter().take_while(is_word).count();
            (1..=longest).rev().any(|length| {
                words.insert(name.clone(), String::from_utf8_lossy(&text[..length]).into_owned());
                let fits = matches(rest, &text[length..], words);
                if !fits {
                    words.remove(name);
                }
                fits
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(text: &str, line: &str) -> bool {
        matches(&pattern(text).unwrap(), line.as_bytes(), &mut BTreeMap::new())
    }

    #[test]
    fn a_star_is_any_text_but_not_where_imap_means_it() {
        assert!(fits("250-* there", "250-hello there"));
        assert!(!fits("250-* there", "250 hello there"));
        assert!(fits("* OK *", "* OK ready"));
        assert!(!fits("* OK *", "a OK ready"));
        assert!(fits("* FLAGS (\\* *)", "* FLAGS (* x)"));
        assert!(fits("", "") && !fits("", "x"));
        assert!(fits("a\\\\b\\x41", "a\\bA"));
    }

    #[test]
    fn a_word_is_kept_and_stands_for_itself_afterwards() {
        let mut words = BTreeMap::new();
        assert!(matches(
            &pattern("* OK [UIDVALIDITY %{v}] *").unwrap(),
            b"* OK [UIDVALIDITY 17] x",
            &mut words
        ));
        assert_eq!(words["v"], "17");
        assert!(!matches(&pattern("v=%{v}").unwrap(), b"v=18", &mut words));
        assert_eq!(filled(&sent("CHECK %{v}").unwrap(), &words).unwrap(), b"CHECK 17\r\n");
        assert!(filled(&sent("%{unknown}").unwrap(), &words).is_err());
    }

    #[test]
    fn steps_are_read_with_their_lines() {
        let text = "# c\n% service imap\n% mail a@b\n| x\n|\nS: ...\nC2: \\0a\\c\n% closed 2\n";
        let read = Transcript::parse(text, Service::Smtp).unwrap();
        assert_eq!(read.service, Service::Imap);
        let literal = |b: &[u8]| Token::Literal(b.to_vec());
        assert_eq!(
            read.steps,
            [
                (3, Step::Mail("a@b".into(), b"x\r\n\r\n".to_vec())),
                (6, Step::Skip(1)),
                (7, Step::Send(2, vec![literal(b"\0a"), literal(b"")])),
                (8, Step::Closed(2)),
            ]
        );
        for bad in ["% nothing", "X: y", "S: \\q", "C: %{x", "| x", "hello"] {
            assert!(Transcript::parse(bad, Service::Smtp).is_err(), "{bad}");
        }
    }
}
