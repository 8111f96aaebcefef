//! A connection: statements prepared once, sent together, answered in order.
//!
//! Promised: a statement whose answer nobody needs yet ([`Connection::later`]) costs no round trip of its own; it is sent
//! with the next one that does, and where it fails, that one fails. After the first failure of the way itself the
//! connection is of no more use and says so.

use super::failure::Failure;
use super::stream::Stream;
use super::text;
use crate::sql::SqlError;
use crate::sql::value::{Columns, Row, Value, write_text};
use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::{DataRowBody, Message};
use postgres_protocol::message::frontend;
use std::collections::{HashMap, VecDeque};
use std::io;

/// Statements that wait for their answers before they are waited for: what they are answered fits the socket's buffer.
const MAX_WAITING: usize = 200;
/// Bytes that wait to be sent before they are.
const MAX_UNSENT: usize = 64 << 10;
/// Most columns of a row.
const MAX_COLUMNS: usize = 64;

/// One connection to a server.
pub(in crate::sql) struct Connection {
    stream: Stream,
    out: BytesMut,
    /// What has been written to `out` or sent, and not yet been answered.
    waiting: VecDeque<Waiting>,
    prepared: HashMap<Box<str>, u32>,
    names: u32,
    state: State,
    /// Where this connection leads, for the log.
    place: String,
}

/// What an answer will be to.
enum Waiting {
    /// A statement; with its text where it is prepared on this occasion.
    Statement(Option<Box<str>>),
    /// The end of a bundle, after which the server goes on in spite of errors.
    End(Errors),
    /// A text of statements, which is a bundle of its own.
    Batch,
}

/// Whether an error of a bundle has somebody to hear it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Errors {
    Told,
    Dropped,
}

/// What the server has said of the transaction, or why there is none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::sql) enum State {
    Idle,
    Within,
    Failed,
    /// The connection is of no more use.
    Lost,
}

impl Connection {
    pub(super) fn new(stream: Stream, place: String) -> Self {
        let (out, waiting, prepared) = (BytesMut::new(), VecDeque::new(), HashMap::new());
        Self { stream, out, waiting, prepared, names: 0, state: State::Idle, place }
    }

    pub(in crate::sql) fn state(&self) -> State {
        self.state
    }

    pub(in crate::sql) fn place(&self) -> &str {
        &self.place
    }

    /// Whether the server is still there, as far as that can be seen without asking.
    pub(in crate::sql) fn is_alive(&mut self) -> bool {
        if !self.waiting.is_empty() {
            let _ = self.answers(&mut |_| Ok(()));
        }
        if self.state != State::Lost && !self.stream.is_quiet() {
            // It has said something by itself: that it ends, or only that a setting has changed.
            let _ = self.batch("");
        }
        self.state != State::Lost
    }

    /// Runs a statement and waits for it; how many rows it has found or changed.
    pub(in crate::sql) fn run(
        &mut self,
        sql: &str,
        params: &[Value<'_>],
        rows: &mut dyn FnMut(&Row<'_>) -> Result<(), SqlError>,
    ) -> Result<u64, SqlError> {
        self.add(sql, params)?;
        self.end(Errors::Told);
        self.answers(rows)
    }

    /// Takes a statement up; it is sent with the next that is waited for.
    pub(in crate::sql) fn later(&mut self, sql: &str, params: &[Value<'_>]) -> Result<(), SqlError> {
        self.add(sql, params)?;
        if self.waiting.len() >= MAX_WAITING || self.out.len() >= MAX_UNSENT {
            self.wait()?;
        }
        Ok(())
    }

    /// Waits for everything that was taken up.
    pub(in crate::sql) fn wait(&mut self) -> Result<(), SqlError> {
        self.end(Errors::Told);
        self.answers(&mut |_| Ok(())).map(|_| ())
    }

    /// Ends a transaction that has changed nothing: how that goes is nobody's concern, and the next one does not wait for it.
    pub(in crate::sql) fn end_with(&mut self, sql: &str) -> Result<(), SqlError> {
        self.add(sql, &[])?;
        self.end(Errors::Dropped);
        self.flush()?;
        self.state = State::Idle;
        Ok(())
    }

    /// Runs a text of several statements without values.
    pub(in crate::sql) fn batch(&mut self, statements: &str) -> Result<(), SqlError> {
        self.usable()?;
        if !self.waiting.is_empty() {
            self.end(Errors::Told);
        }
        frontend::query(statements, &mut self.out)?;
        self.waiting.push_back(Waiting::Batch);
        self.answers(&mut |_| Ok(())).map(|_| ())
    }

    fn usable(&self) -> Result<(), SqlError> {
        match self.state {
            State::Lost => Err(SqlError::Unavailable("the connection is lost".into())),
            _ => Ok(()),
        }
    }

    fn add(&mut self, sql: &str, params: &[Value<'_>]) -> Result<(), SqlError> {
        self.usable()?;
        let known = self.prepared.get(sql).copied();
        let number = known.unwrap_or(self.names);
        let name = format!("s{number}");
        if known.is_none() {
            self.names += 1;
            frontend::parse(&name, &text::statement(sql), [], &mut self.out)?;
            self.prepared.insert(sql.into(), number);
        }
        let write = |value: &Value<'_>, out: &mut BytesMut| {
            Ok(if write_text(*value, out).is_some() { IsNull::No } else { IsNull::Yes })
        };
        frontend::bind("", &name, [], params, write, [], &mut self.out)
            .map_err(|_| SqlError::Broken("a value is too long for the database".into()))?;
        frontend::execute("", 0, &mut self.out)?;
        self.waiting.push_back(Waiting::Statement(known.is_none().then(|| sql.into())));
        Ok(())
    }

    fn end(&mut self, errors: Errors) {
        frontend::sync(&mut self.out);
        self.waiting.push_back(Waiting::End(errors));
    }

    fn flush(&mut self) -> Result<(), SqlError> {
        let sent = self.usable().and_then(|()| Ok(self.stream.send(&self.out)?));
        self.out.clear();
        sent.inspect_err(|_| self.lose())
    }

    /// Reads until everything is answered; the rows of the last statement go to `rows`.
    fn answers(&mut self, rows: &mut dyn FnMut(&Row<'_>) -> Result<(), SqlError>) -> Result<u64, SqlError> {
        self.flush()?;
        let (mut count, mut failed) = (0, None);
        while !self.waiting.is_empty() {
            let message = self.stream.message().inspect_err(|_| self.lose())?;
            match message {
                Message::ParseComplete => {
                    if let Some(Waiting::Statement(new)) = self.waiting.front_mut() {
                        *new = None;
                    }
                }
                Message::DataRow(body) if failed.is_none() && self.is_last() => {
                    failed = each_row(&body, rows).err();
                }
                Message::CommandComplete(body) => {
                    count = body.tag().ok().and_then(rows_of).unwrap_or(0);
                    self.pop_statement();
                }
                Message::EmptyQueryResponse => self.pop_statement(),
                Message::ErrorResponse(body) => {
                    let failure = Failure::read(&body);
                    if failure.ends_connection {
                        self.lose();
                        return Err(failure.error);
                    }
                    failed.get_or_insert(failure.error);
                }
                Message::ReadyForQuery(body) => {
                    let errors = self.ready(body.status());
                    failed = failed.filter(|_| errors == Errors::Told);
                }
                // BindComplete, rows of earlier statements, notices, settings.
                _ => {}
            }
        }
        failed.map_or(Ok(count), Err)
    }

    /// Whether what is being answered is the last statement.
    fn is_last(&self) -> bool {
        self.waiting.len() <= 2
    }

    fn pop_statement(&mut self) {
        if matches!(self.waiting.front(), Some(Waiting::Statement(_))) {
            self.waiting.pop_front();
        }
    }

    /// A bundle has ended: what it left out after an error was not prepared.
    fn ready(&mut self, status: u8) -> Errors {
        self.state = match status {
            b'T' => State::Within,
            b'E' => State::Failed,
            _ => State::Idle,
        };
        while let Some(next) = self.waiting.pop_front() {
            match next {
                Waiting::Statement(Some(sql)) => drop(self.prepared.remove(&sql)),
                Waiting::Statement(None) => {}
                Waiting::End(errors) => return errors,
                Waiting::Batch => break,
            }
        }
        Errors::Told
    }

    fn lose(&mut self) {
        self.state = State::Lost;
        self.waiting.clear();
        self.out.clear();
    }
}

impl Drop for Connection {
    /// PostgreSQL 55.2.9: the server is told, so that it does not take this for a fault.
    fn drop(&mut self) {
        if self.state != State::Lost {
            self.out.clear();
            frontend::terminate(&mut self.out);
            let _ = self.stream.send(&self.out);
        }
    }
}

/// PostgreSQL 55.7, DataRow: for each column its length, -1 for NULL, and its text.
fn each_row(
    body: &DataRowBody,
    rows: &mut dyn FnMut(&Row<'_>) -> Result<(), SqlError>,
) -> Result<(), SqlError> {
    let mut columns = [None; MAX_COLUMNS];
    let (mut rest, mut count) = (body.buffer(), 0);
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let column = columns.get_mut(count).ok_or_else(bad_row)?;
        let length = usize::try_from(i32::from_be_bytes(*length)).ok();
        let (value, after) = match length {
            Some(length) => after.split_at_checked(length).map(|(v, a)| (Some(v), a)).ok_or_else(bad_row)?,
            None => (None, after),
        };
        *column = value;
        (rest, count) = (after, count + 1);
    }
    rows(&Row(Columns::Postgres(columns.get(..count).unwrap_or_default())))
}

fn bad_row() -> SqlError {
    io::Error::new(io::ErrorKind::InvalidData, "the server has sent a row that is none").into()
}

/// The count at the end of `INSERT 0 7` or `SELECT 7`.
fn rows_of(tag: &str) -> Option<u64> {
    tag.rsplit(' ').next()?.parse().ok()
}
