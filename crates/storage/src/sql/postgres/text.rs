//! Statements of the common subset, as PostgreSQL writes them. Pure.

/// A statement with `?1` for its values, as `$1`.
pub(super) fn statement(sql: &str) -> String {
    outside_quotes(sql, |code| code.replace('?', "$"))
}

/// Statements that make tables: BLOB is BYTEA here, and text sorts by its bytes whatever the database's locale is, so
/// that pages come in the same order from every engine.
pub(in crate::sql) fn schema(sql: &str) -> String {
    outside_quotes(sql, |code| {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut made = String::with_capacity(code.len() * 2);
        let mut rest = code;
        while let Some(at) = rest.find(word) {
            let end = rest[at..].find(|c| !word(c)).map_or(rest.len(), |n| at + n);
            made.push_str(&rest[..at]);
            made.push_str(match &rest[at..end] {
                "TEXT" => "TEXT COLLATE \"C\"",
                "BLOB" => "BYTEA",
                other => other,
            });
            rest = &rest[end..];
        }
        made.push_str(rest);
        made
    })
}

/// Changes what stands outside of quotes and comments (`--` to the end of the line).
fn outside_quotes(sql: &str, change: impl Fn(&str) -> String) -> String {
    let mut made = String::with_capacity(sql.len() * 2);
    let mut rest = sql;
    while let Some(at) = rest.find(['\'', '"', '-']) {
        let (code, kept) = rest.split_at(at);
        made.push_str(&change(code));
        let end = match kept.as_bytes() {
            [b'-', b'-', ..] => kept.find('\n').unwrap_or(kept.len()),
            [b'-', ..] => 1,
            [quote, ..] => kept[1..].find(char::from(*quote)).map_or(kept.len(), |n| n + 2),
            [] => 0,
        };
        let (kept, after) = kept.split_at(end);
        made.push_str(kept);
        rest = after;
    }
    made.push_str(&change(rest));
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_values_are_translated_and_quoted_text_stays() {
        assert_eq!(
            statement("SELECT a - 1 FROM t WHERE b = ?1 AND c <> '?2' AND d = ?12 -- why?\nLIMIT ?3"),
            "SELECT a - 1 FROM t WHERE b = $1 AND c <> '?2' AND d = $12 -- why?\nLIMIT $3"
        );
    }

    #[test]
    fn types_are_translated_and_names_that_hold_them_stay() {
        assert_eq!(
            schema("-- TEXT\nCREATE TABLE TEXTS (a TEXT PRIMARY KEY, b BLOB DEFAULT 'TEXT', c_TEXT BIGINT)"),
            "-- TEXT\nCREATE TABLE TEXTS (a TEXT COLLATE \"C\" PRIMARY KEY, b BYTEA DEFAULT 'TEXT', c_TEXT BIGINT)"
        );
    }
}
