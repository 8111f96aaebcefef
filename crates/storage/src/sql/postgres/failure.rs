//! What a server says is wrong, in the words of [`SqlError`].

use crate::sql::SqlError;
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::message::backend::ErrorResponseBody;

/// An error of the server.
pub(super) struct Failure {
    pub(super) error: SqlError,
    /// Whether the connection is of no more use.
    pub(super) ends_connection: bool,
}

impl Failure {
    pub(super) fn read(body: &ErrorResponseBody) -> Self {
        let (mut severity, mut code, mut text) = (String::new(), String::new(), String::new());
        let mut fields = body.fields();
        while let Ok(Some(field)) = fields.next() {
            let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                b'V' => severity = value,
                b'C' => code = value,
                b'M' => text = value,
                _ => {}
            }
        }
        let ends_connection = matches!(severity.as_str(), "FATAL" | "PANIC") || code == STALE_PLAN;
        Self { error: judge(&code, &text), ends_connection }
    }
}

/// A prepared statement no longer fits its tables, because another process has migrated them: a new connection
/// prepares it anew. (PostgreSQL appendix A: feature_not_supported.)
const STALE_PLAN: &str = "0A000";

/// By the codes of PostgreSQL's appendix A.
fn judge(code: &str, text: &str) -> SqlError {
    let said = || format!("{text} ({code})");
    match code {
        // lock_not_available, query_canceled (by a time limit), serialization_failure, deadlock_detected.
        "55P03" | "57014" | "40001" | "40P01" => SqlError::Busy,
        "53100" => SqlError::Full,
        // read_only_sql_transaction: a standby, or a server that is kept from writing.
        "25006" | STALE_PLAN => SqlError::Unavailable(said()),
        // Refused logins and databases that are not there; connections, resources, operator's intervention, system.
        _ if ["28", "3D", "08", "53", "57", "58", "25P03"].iter().any(|c| code.starts_with(c)) => {
            SqlError::Unavailable(said())
        }
        _ => SqlError::Broken(said()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_judged_by_what_the_caller_can_do() {
        assert!(matches!(judge("40P01", ""), SqlError::Busy));
        assert!(matches!(judge("53100", ""), SqlError::Full));
        for away in ["57P01", "57P03", "53300", "28P01", "3D000", "08006", "25006"] {
            assert!(matches!(judge(away, ""), SqlError::Unavailable(_)), "{away}");
        }
        assert_eq!(
            judge("23505", "duplicate key").to_string(),
            "the database is broken: duplicate key (23505)"
        );
    }
}
