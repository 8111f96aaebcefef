//! A line of a batch file as words. Pure.
//!
//! Words are parted by blanks. `"…"` keeps blanks, with `\"` and `\\` inside; `'…'` keeps everything; outside quotes a
//! backslash takes the next character as it is. A line whose first character is `#` is a comment.

/// Most words of one line.
pub(super) const MAX_WORDS: usize = 64;

/// Why a line is not words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadLine {
    #[error("a quote is not closed")]
    OpenQuote,
    #[error("a backslash stands at the end")]
    LooseBackslash,
    #[error("the line has more than {MAX_WORDS} words")]
    TooMany,
}

/// The words of a line; none where it is empty or a comment.
pub(super) fn split(line: &str) -> Result<Vec<String>, BadLine> {
    let mut words = Vec::new();
    let mut chars = line.trim().chars().peekable();
    if chars.peek() == Some(&'#') {
        return Ok(words);
    }
    while let Some(c) = chars.peek() {
        if c.is_whitespace() {
            chars.next();
            continue;
        }
        if words.len() == MAX_WORDS {
            return Err(BadLine::TooMany);
        }
        words.push(word(&mut chars)?);
    }
    Ok(words)
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn word(chars: &mut Chars<'_>) -> Result<String, BadLine> {
    let mut word = String::new();
    while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
        match c {
            '"' => quoted(chars, &mut word)?,
            '\'' => loop {
                match chars.next().ok_or(BadLine::OpenQuote)? {
                    '\'' => break,
                    c => word.push(c),
                }
            },
            '\\' => word.push(chars.next().ok_or(BadLine::LooseBackslash)?),
            c => word.push(c),
        }
    }
    Ok(word)
}

fn quoted(chars: &mut Chars<'_>, word: &mut String) -> Result<(), BadLine> {
    loop {
        match chars.next().ok_or(BadLine::OpenQuote)? {
            '"' => return Ok(()),
            '\\' => match chars.next().ok_or(BadLine::OpenQuote)? {
                c @ ('"' | '\\') => word.push(c),
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_quotes() {
        let split = |line| split(line).unwrap();
        assert_eq!(split("  ca  bob -\t7 "), ["ca", "bob", "-", "7"]);
        assert_eq!(
            split(r#"cc "O'Neil \"gold\" \\ \n" 'a "b" \' c\ d """#),
            ["cc", r#"O'Neil "gold" \ \n"#, r#"a "b" \"#, "c d", ""]
        );
        assert_eq!(split("a#b"), ["a#b"]);
        assert!(split("  # a comment").is_empty() && split("").is_empty() && split(" \r").is_empty());
    }

    #[test]
    fn what_is_not_words() {
        assert_eq!(split("a \"b"), Err(BadLine::OpenQuote));
        assert_eq!(split("a 'b"), Err(BadLine::OpenQuote));
        assert_eq!(split("a\\"), Err(BadLine::LooseBackslash));
        assert_eq!(split(&"x ".repeat(MAX_WORDS + 1)), Err(BadLine::TooMany));
    }
}
