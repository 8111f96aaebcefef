//! Output and input of a command: text, tables, JSON, lines of input.
//!
//! A command writes to a [`Console`] and never to the process: the same command prints to a terminal, or into
//! frames that go to the process that was started. Output is collected in small pieces and goes out when a piece
//! is full, before input is read, before an error is said and at the end. When the reader is gone, the next write
//! answers [`Failure::Gone`] and the command ends without a word. How bytes get out is [`Terminal`]'s business:
//! [`crate::stdio`] here, [`crate::control_socket`] in the daemon.

use crate::context::Failure;
use serde_json::{Map, Value};
use std::fmt::{self, Write as _};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// Most bytes of one piece of output or input.
pub const PIECE: usize = 64 * 1024;
/// Most bytes of one line of input.
pub const MAX_INPUT_LINE: usize = 1024 * 1024;
/// Rows whose widths are taken together; a longer table goes out in pages of these.
const PAGE: usize = 1000;

/// The two ways out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Errors,
}

/// The other side of the console is gone: a closed pipe, a broken connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

impl From<Gone> for Failure {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// A step of a terminal.
pub type Step<'a, T> = Pin<Box<dyn Future<Output = Result<T, Gone>> + Send + 'a>>;

/// Where a command's words go to and its input comes from.
pub trait Terminal: Send + Sync {
    /// Writes all of these bytes, at most [`PIECE`] of them.
    fn write<'a>(&'a mut self, to: Stream, bytes: &'a [u8]) -> Step<'a, ()>;
    /// The next piece of input, at most [`PIECE`] bytes; empty at its end.
    fn read(&mut self) -> Step<'_, Vec<u8>>;
    /// Whether standard output shows colours.
    fn colour(&self) -> bool;
}

/// How a listing and its values are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: one JSON value.
    Json,
}

/// What a command prints to and reads from.
pub struct Console {
    terminal: Box<dyn Terminal>,
    name: &'static str,
    format: Format,
    pending: Vec<u8>,
    input: Vec<u8>,
    input_ended: bool,
}

impl Console {
    /// A console for the command of this name.
    pub fn new(terminal: Box<dyn Terminal>, name: &'static str, format: Format) -> Self {
        Self { terminal, name, format, pending: Vec::new(), input: Vec::new(), input_ended: false }
    }

    /// The name of the command.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What was asked for.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The text in this colour, where colours are shown.
    pub fn tinted(&self, tint: Tint, text: &str) -> String {
        match self.format == Format::Text && self.terminal.colour() {
            true => format!("\x1b[{}m{text}\x1b[0m", tint as u8),
            false => text.to_owned(),
        }
    }

    /// Prints a line.
    ///
    /// # Errors
    /// [`Failure::Gone`].
    pub async fn line(&mut self, text: impl fmt::Display) -> Result<(), Failure> {
        let text = format!("{text}\n");
        self.bytes(text.as_bytes()).await
    }

    /// Prints bytes as they are.
    ///
    /// # Errors
    /// [`Failure::Gone`].
    pub async fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        for piece in bytes.chunks(PIECE) {
            if self.pending.len() + piece.len() > PIECE {
                self.flush().await?;
            }
            self.pending.extend_from_slice(piece);
        }
        Ok(())
    }

    /// Prints a value as one line of JSON.
    ///
    /// # Errors
    /// [`Failure::Gone`].
    pub async fn json(&mut self, value: &Value) -> Result<(), Failure> {
        self.line(value).await
    }

    /// Says on standard error what went wrong, with the command's name before it.
    ///
    /// # Errors
    /// [`Failure::Gone`].
    pub async fn error(&mut self, text: impl fmt::Display) -> Result<(), Failure> {
        self.flush().await?;
        let text = format!("{}: {text}\n", self.name);
        for piece in text.as_bytes().chunks(PIECE) {
            self.terminal.write(Stream::Errors, piece).await?;
        }
        Ok(())
    }

    /// Shows how far something is, on one line of standard error that the next call replaces; `None` takes it away.
    /// Only where a person looks at a terminal.
    ///
    /// # Errors
    /// [`Failure::Gone`].
    pub async fn progress(&mut self, text: Option<&str>) -> Result<(), Failure> {
        if self.format == Format::Json || !self.terminal.colour() {
            return Ok(());
        }
        let line = format!("\r\x1b[K{}", text.unwrap_or_default());
        Ok(self.terminal.write(Stream::Errors, line.as_bytes()).await?)
    }

    /// Sends what has been collected.
    ///
    /// # Errors
    /// [`Failure::Gone`].
    pub async fn flush(&mut self) -> Result<(), Failure> {
        if !self.pending.is_empty() {
            self.terminal.write(Stream::Output, &self.pending).await?;
            self.pending.clear();
        }
        Ok(())
    }

    /// The next piece of standard input as it comes, at most [`PIECE`] bytes; `None` at its end.
    ///
    /// # Errors
    /// [`Failure::Gone`].
    pub async fn read(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        if !self.input.is_empty() {
            return Ok(Some(std::mem::take(&mut self.input)));
        }
        if self.input_ended {
            return Ok(None);
        }
        self.flush().await?;
        let piece = self.terminal.read().await?;
        self.input_ended = piece.is_empty();
        Ok((!self.input_ended).then_some(piece))
    }

    /// Whether [`Console::read_line`] would give a whole line at once, from input that is here already.
    pub fn has_line(&self) -> bool {
        self.input.contains(&b'\n')
    }

    /// The next line of standard input without its end (LF or CRLF); `None` after the last.
    ///
    /// # Errors
    /// A line longer than [`MAX_INPUT_LINE`], one that is not UTF-8, or [`Failure::Gone`].
    pub async fn read_line(&mut self) -> Result<Option<String>, Failure> {
        let mut line = Vec::new();
        let mut any = false;
        while let Some(mut piece) = self.read().await? {
            any = true;
            let end = piece.iter().position(|&byte| byte == b'\n');
            if let Some(end) = end {
                self.input = piece.split_off(end + 1);
                piece.truncate(end);
            }
            if line.len() + piece.len() > MAX_INPUT_LINE {
                return Err(Failure::because("a line of input is longer than 1 MB"));
            }
            line.append(&mut piece);
            if end.is_some() {
                break;
            }
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let text = String::from_utf8(line).map_err(|_| Failure::because("a line of input is not UTF-8"))?;
        Ok(any.then_some(text))
    }
}

/// Colours, as the numbers of their escape sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tint {
    /// Something is broken.
    Red = 31,
    /// All is well.
    Green = 32,
    /// Look at this.
    Yellow = 33,
}

/// A column of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The heading in text.
    pub title: &'static str,
    /// The name in JSON: lower case with underscores; never changed once released.
    pub key: &'static str,
}

/// A value in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// Words that stand out.
    Tinted(Tint, String),
    /// A number, set to the right.
    Number(i64),
    /// Several numbers.
    Numbers(Vec<i64>),
    /// How long something has lasted; seconds in JSON.
    Span(Duration),
    /// Not known or not there.
    Nothing,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Cell {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Into::into)
    }
}

/// How a listing looks as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Columns with a heading.
    Table,
    /// One row a line, values parted by a tab, no heading: for lists that are read by other programs.
    Lines,
}

/// Rows of equal shape, of any number: they go out page by page. As JSON: one array of objects.
pub struct Listing {
    columns: &'static [Column],
    layout: Layout,
    page: Vec<Vec<Cell>>,
    begun: bool,
}

impl Listing {
    /// An empty one.
    pub fn new(columns: &'static [Column], layout: Layout) -> Self {
        Self { columns, layout, page: Vec::new(), begun: false }
    }

    /// Adds a row: one cell a column.
    ///
    /// # Errors
    /// [`Failure::Gone`].
    pub async fn row<const N: usize>(
        &mut self,
        console: &mut Console,
        cells: [Cell; N],
    ) -> Result<(), Failure> {
        self.page.push(cells.into());
        if self.page.len() == PAGE { self.send(console).await } else { Ok(()) }
    }

    /// Prints what is left. Without this, the listing is not complete.
    ///
    /// # Errors
    /// [`Failure::Gone`].
    pub async fn end(mut self, console: &mut Console) -> Result<(), Failure> {
        self.send(console).await?;
        match console.format() {
            Format::Json if self.begun => console.line("\n]").await,
            Format::Json => console.line("[]").await,
            Format::Text => Ok(()),
        }
    }

    async fn send(&mut self, console: &mut Console) -> Result<(), Failure> {
        let page = std::mem::take(&mut self.page);
        let text = match (console.format(), self.layout) {
            (Format::Json, _) => self.as_json(&page),
            (Format::Text, Layout::Lines) => as_lines(&page),
            (Format::Text, Layout::Table) => self.as_table(&page, console),
        };
        self.begun |= !page.is_empty();
        console.bytes(text.as_bytes()).await
    }

    fn as_json(&self, page: &[Vec<Cell>]) -> String {
        let mut text = String::new();
        for (at, row) in page.iter().enumerate() {
            text.push_str(if at == 0 && !self.begun { "[\n" } else { ",\n" });
            let object = self.columns.iter().zip(row).map(|(c, cell)| (c.key.to_owned(), value(cell)));
            let _ = write!(text, "{}", Value::Object(object.collect::<Map<_, _>>()));
        }
        text
    }

    fn as_table(&self, page: &[Vec<Cell>], console: &Console) -> String {
        let heading = (!self.begun).then(|| self.columns.iter().map(|c| Cell::from(c.title)).collect());
        let rows: Vec<&Vec<Cell>> = heading.iter().chain(page).collect();
        let mut widths = vec![0; self.columns.len()];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row.iter()) {
                *width = (*width).max(plain(cell).chars().count());
            }
        }
        let mut text = String::new();
        for row in rows {
            push_row(&mut text, row, &widths, console);
        }
        text
    }
}

fn push_row(text: &mut String, row: &[Cell], widths: &[usize], console: &Console) {
    let start = text.len();
    for (cell, &width) in row.iter().zip(widths) {
        let shown = plain(cell);
        let pad = " ".repeat(width.saturating_sub(shown.chars().count()));
        let _ = match cell {
            Cell::Number(_) => write!(text, "{pad}{shown}  "),
            Cell::Tinted(tint, _) => write!(text, "{}{pad}  ", console.tinted(*tint, &shown)),
            Cell::Text(_) | Cell::Numbers(_) | Cell::Span(_) | Cell::Nothing => {
                write!(text, "{shown}{pad}  ")
            }
        };
    }
    text.truncate(start + text[start..].trim_end().len());
    text.push('\n');
}

fn as_lines(page: &[Vec<Cell>]) -> String {
    page.iter().map(|row| row.iter().map(plain).collect::<Vec<_>>().join("\t") + "\n").collect()
}

/// The cell for people: control characters are replaced, so that a folder's name cannot drive the terminal.
fn plain(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) | Cell::Tinted(_, text) => text.replace(char::is_control, "?"),
        Cell::Number(number) => number.to_string(),
        Cell::Numbers(numbers) if numbers.is_empty() => "-".to_owned(),
        Cell::Numbers(numbers) => numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(","),
        Cell::Span(span) => span_text(*span),
        Cell::Nothing => "-".to_owned(),
    }
}

/// `3d 4h`, `4h 5m`, `5m 6s`, `6s`.
fn span_text(span: Duration) -> String {
    let seconds = span.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        (_, _, _) => format!("{days}d {hours}h"),
    }
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Text(text) | Cell::Tinted(_, text) => Value::from(text.as_str()),
        Cell::Number(number) => Value::from(*number),
        Cell::Numbers(numbers) => Value::from(numbers.as_slice()),
        Cell::Span(span) => Value::from(span.as_secs()),
        Cell::Nothing => Value::Null,
    }
}

#[cfg(test)]
mod tests;
