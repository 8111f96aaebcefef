//! Values on their way into a statement and out of a row: the three types that both engines have.
//!
//! TEXT, BIGINT (and SMALLINT), BLOB (BYTEA), each of them NULL where the column allows it. What a column holds is
//! decided by whoever asks for it: a column of another type is damage, never converted.

use super::SqlError;
use bytes::BytesMut;
use rusqlite::types::{ToSqlOutput, ValueRef};
use std::fmt::Write as _;

/// What a statement is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// BIGINT or SMALLINT.
    Integer(i64),
    /// TEXT.
    Text(&'a str),
    /// BLOB or BYTEA.
    Bytes(&'a [u8]),
}

/// What can be given to a statement.
pub trait ToValue {
    /// As a value, without copying.
    fn to_value(&self) -> Value<'_>;
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value<'_> {
        (**self).to_value()
    }
}

impl ToValue for i64 {
    fn to_value(&self) -> Value<'_> {
        Value::Integer(*self)
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, ToValue::to_value)
    }
}

impl ToValue for u32 {
    fn to_value(&self) -> Value<'_> {
        Value::Integer(i64::from(*self))
    }
}

impl ToValue for str {
    fn to_value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl ToValue for String {
    fn to_value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl ToValue for [u8] {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(i) => ValueRef::Integer(*i),
            Self::Text(t) => ValueRef::Text(t.as_bytes()),
            Self::Bytes(b) => ValueRef::Blob(b),
        }))
    }
}

/// The values of a statement, in the order of its numbers: anything that is [`ToValue`].
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::sql::ToValue::to_value(&$value)),*] };
}
pub(crate) use params;

/// A row that a statement found.
#[derive(Debug)]
pub struct Row<'a>(pub(super) Columns<'a>);

/// Where the columns of a row are.
#[derive(Debug)]
pub(super) enum Columns<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    /// One text a column, as PostgreSQL writes it; `None` is NULL.
    Postgres(&'a [Option<&'a [u8]>]),
}

/// A column as its engine has it.
#[derive(Debug, Clone, Copy)]
pub enum Column<'a> {
    /// Of the type that it was stored with.
    Typed(ValueRef<'a>),
    /// As text, of whatever type it is.
    Text(&'a [u8]),
    /// NULL.
    Null,
}

impl Row<'_> {
    /// The column of that number, from 0.
    ///
    /// # Errors
    /// [`SqlError::Broken`] where there is none or it holds something else.
    pub fn get<T: FromColumn>(&self, column: usize) -> Result<T, SqlError> {
        self.column(column).and_then(T::from_column).ok_or_else(|| unfit(column))
    }

    fn column(&self, column: usize) -> Option<Column<'_>> {
        match &self.0 {
            Columns::Sqlite(row) => row.get_ref(column).ok().map(|value| match value {
                ValueRef::Null => Column::Null,
                value => Column::Typed(value),
            }),
            Columns::Postgres(columns) => columns.get(column).map(|c| c.map_or(Column::Null, Column::Text)),
        }
    }
}

/// What a column can be read as.
pub trait FromColumn: Sized {
    /// `None` where the column holds something else.
    fn from_column(column: Column<'_>) -> Option<Self>;
}

impl FromColumn for i64 {
    fn from_column(column: Column<'_>) -> Option<Self> {
        match column {
            Column::Typed(ValueRef::Integer(i)) => Some(i),
            Column::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
            _ => None,
        }
    }
}

impl FromColumn for String {
    fn from_column(column: Column<'_>) -> Option<Self> {
        match column {
            Column::Typed(ValueRef::Text(text)) | Column::Text(text) => {
                std::str::from_utf8(text).ok().map(str::to_owned)
            }
            _ => None,
        }
    }
}

impl FromColumn for Vec<u8> {
    fn from_column(column: Column<'_>) -> Option<Self> {
        match column {
            Column::Typed(ValueRef::Blob(bytes)) => Some(bytes.to_vec()),
            Column::Text(text) => unhex(text.strip_prefix(b"\\x")?),
            _ => None,
        }
    }
}

impl<T: FromColumn> FromColumn for Option<T> {
    fn from_column(column: Column<'_>) -> Option<Self> {
        match column {
            Column::Null => Some(None),
            column => T::from_column(column).map(Some),
        }
    }
}

/// Writes a value as PostgreSQL reads it; `None` is NULL.
pub(super) fn write_text(value: Value<'_>, text: &mut BytesMut) -> Option<()> {
    match value {
        Value::Null => return None,
        Value::Integer(i) => drop(write!(text, "{i}")),
        Value::Text(t) => text.extend_from_slice(t.as_bytes()),
        Value::Bytes(bytes) => {
            text.extend_from_slice(b"\\x");
            for byte in bytes {
                let _ = write!(text, "{byte:02x}");
            }
        }
    }
    Some(())
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

fn unfit(column: usize) -> SqlError {
    SqlError::Broken(format!("column {column} does not hold what is kept there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_back_from_its_text() {
        let text = |value| {
            let mut text = BytesMut::new();
            write_text(value, &mut text).map(|()| text)
        };
        assert_eq!(text(Value::Null), None);
        let bytes = text(Value::Bytes(&[0, 255, 16])).unwrap();
        assert_eq!(&bytes[..], b"\\x00ff10");
        let columns =
            [Some(&bytes[..]), Some(b"-7".as_slice()), None, Some("\u{e4}".as_bytes()), Some(b"\\x0")];
        let row = Row(Columns::Postgres(&columns));
        assert_eq!(row.get::<Vec<u8>>(0).unwrap(), [0, 255, 16]);
        assert_eq!((row.get::<i64>(1).unwrap(), row.get::<Option<i64>>(2).unwrap()), (-7, None));
        assert_eq!(row.get::<String>(3).unwrap(), "\u{e4}");
        assert!(row.get::<Vec<u8>>(4).is_err() && row.get::<i64>(2).is_err() && row.get::<i64>(9).is_err());
    }
}
