//! Just enough of Rust's surface to measure it: where comments and literals are, where functions begin
//! and end. It does not parse; macro bodies are read like any other text.

/// A source text with comments and the insides of literals blanked out, byte for byte as long as before.
pub(crate) struct Source {
    code: Vec<u8>,
    /// The string literals with the line they begin on, from 1.
    pub(crate) literals: Vec<(usize, String)>,
}

/// A function with a body.
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// The line of `fn`, from 1.
    pub(crate) line: usize,
    /// Lines of its body that hold code.
    pub(crate) code_lines: usize,
    /// Whether anybody outside the crate may call it.
    pub(crate) public: bool,
    /// Whether a parameter is a plain `bool`.
    pub(crate) takes_bool: bool,
    /// Whether an attribute excuses its length.
    pub(crate) excused: bool,
}

impl Source {
    /// Blanks out what is not code.
    pub(crate) fn read(text: &str) -> Self {
        let mut source = Self { code: text.as_bytes().to_vec(), literals: Vec::new() };
        let mut at = 0;
        while at < source.code.len() {
            at = source.skip_one(text, at);
        }
        source
    }

    /// Handles what begins at `at` and returns where to go on.
    fn skip_one(&mut self, text: &str, at: usize) -> usize {
        let bytes = text.as_bytes();
        let rest = &bytes[at..];
        let word_before = at > 0 && is_word(bytes[at - 1]);
        if rest.starts_with(b"//") {
            let end = find(bytes, at, b"\n").unwrap_or(bytes.len());
            self.blank(at, end);
            return end;
        }
        if rest.starts_with(b"/*") {
            let end = block_comment_end(bytes, at);
            self.blank(at, end);
            return end;
        }
        if let Some(hashes) = raw_string_hashes(rest).filter(|_| !word_before) {
            let open = find(bytes, at, b"\"").map_or(bytes.len(), |q| q + 1);
            let close = [&b"\""[..], &b"#".repeat(hashes)].concat();
            return self.literal(text, open, find(bytes, open, &close).unwrap_or(bytes.len()), close.len());
        }
        match bytes[at] {
            b'"' => self.literal(text, at + 1, escaped_end(bytes, at + 1, b'"'), 1),
            b'\'' => match char_literal_end(bytes, at) {
                Some(end) => {
                    self.blank(at + 1, end);
                    end + 1
                }
                None => at + 1,
            },
            _ => at + 1,
        }
    }

    fn literal(&mut self, text: &str, from: usize, to: usize, close: usize) -> usize {
        let line = 1 + text.as_bytes()[..from].iter().filter(|b| **b == b'\n').count();
        self.literals.push((line, String::from_utf8_lossy(&text.as_bytes()[from..to]).into_owned()));
        self.blank(from, to);
        to + close
    }

    fn blank(&mut self, from: usize, to: usize) {
        self.code[from..to].iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
    }

    /// The code as text: comments and literals are spaces.
    pub(crate) fn code(&self) -> String {
        String::from_utf8_lossy(&self.code).into_owned()
    }

    /// Every function that has a body, in order.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(here) = find(&self.code, at, b"fn ") {
            at = here + 3;
            let boundary = here == 0 || !is_word(self.code[here - 1]);
            if let Some(function) = boundary.then(|| self.function(here)).flatten() {
                found.push(function);
            }
        }
        found
    }

    fn function(&self, here: usize) -> Option<Function> {
        let name_at = here + 3;
        let length = self.code[name_at..].iter().take_while(|b| is_word(**b)).count();
        if length == 0 {
            return None;
        }
        let open = body_start(&self.code, name_at)?;
        let close = matching_brace(&self.code, open)?;
        let head = &self.code[..here];
        let before = head.iter().rposition(|b| matches!(b, b';' | b'}')).map_or(0, |p| p + 1);
        let before = String::from_utf8_lossy(&head[before..]).into_owned();
        let line_before = before.lines().last().unwrap_or_default();
        let signature = String::from_utf8_lossy(&self.code[name_at..open]);
        let body = String::from_utf8_lossy(&self.code[open + 1..close]);
        Some(Function {
            name: String::from_utf8_lossy(&self.code[name_at..name_at + length]).into_owned(),
            line: 1 + head.iter().filter(|b| **b == b'\n').count(),
            code_lines: body.lines().filter(|l| !l.trim().is_empty()).count(),
            public: line_before.trim_start().starts_with("pub "),
            takes_bool: signature.split(',').any(is_bool_parameter),
            excused: before.contains("clippy::too_many_lines"),
        })
    }
}

/// Whether a piece of a signature between commas ends as a parameter of type `bool`.
fn is_bool_parameter(piece: &str) -> bool {
    let parameter = piece.split("->").next().unwrap_or(piece);
    let typed = parameter.rsplit_once(':').map(|(_, t)| t.trim().trim_end_matches(')').trim());
    typed == Some("bool")
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    let tail = bytes.get(from..)?;
    tail.windows(what.len()).position(|w| w == what).map(|p| from + p)
}

fn block_comment_end(bytes: &[u8], from: usize) -> usize {
    let (mut depth, mut at) = (0_usize, from);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

/// The number of `#` where a raw string begins.
fn raw_string_hashes(rest: &[u8]) -> Option<usize> {
    let rest = rest.strip_prefix(b"b").or(rest.strip_prefix(b"c")).unwrap_or(rest).strip_prefix(b"r")?;
    let hashes = rest.iter().take_while(|b| **b == b'#').count();
    (rest.get(hashes) == Some(&b'"')).then_some(hashes)
}

fn escaped_end(bytes: &[u8], from: usize, close: u8) -> usize {
    let mut at = from;
    while at < bytes.len() && bytes[at] != close {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len())
}

/// The closing quote of a character literal; `None` where the quote begins a lifetime.
fn char_literal_end(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at + 1) == Some(&b'\\') {
        return Some(escaped_end(bytes, at + 1, b'\'')).filter(|end| *end < bytes.len());
    }
    let width = bytes[at + 1..].iter().skip(1).take_while(|b| **b & 0xC0 == 0x80).count() + 1;
    (bytes.get(at + 1 + width) == Some(&b'\'')).then_some(at + 1 + width)
}

/// The opening brace of the body; `None` where a semicolon ends the declaration.
fn body_start(code: &[u8], from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in code.iter().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b'{' if depth == 0 => return Some(at),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

fn matching_brace(code: &[u8], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in code.iter().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_in_comments_literals_and_lifetimes_do_not_count() {
        let text = "/// } \nfn a<'x>(s: &'x str) -> char {\n    // }\n    let t = \"}\\\"}\"; /* } /* } */ */\n    let r = r#\"}\"}\"#;\n    let b = b'}';\n\n    '}'\n}\nfn b() {}\n";
        let source = Source::read(text);
        let found: Vec<_> = source.functions().into_iter().map(|f| (f.name, f.line, f.code_lines)).collect();
        assert_eq!(found, [("a".to_owned(), 2, 4), ("b".to_owned(), 10, 0)]);
        assert_eq!(source.literals, [(4, "}\\\"}".to_owned()), (5, "}\"}".to_owned())]);
    }

    #[test]
    fn a_plain_bool_parameter_is_seen_in_public_functions() {
        let text = "pub fn a(x: bool) {}\npub(crate) fn b(x: bool) {}\npub async fn c(x: Option<bool>) -> bool {}\n    pub fn d(\n        on: bool,\n    ) {}\npub fn e(f: fn(u8) -> bool, g: &[bool; 2]) {}\n";
        let found = Source::read(text).functions();
        let bad: Vec<_> =
            found.iter().filter(|f| f.public && f.takes_bool).map(|f| f.name.as_str()).collect();
        assert_eq!(bad, ["a", "d"]);
    }

    #[test]
    fn an_excuse_belongs_to_the_function_it_stands_before() {
        let text = "fn a() {}\n#[expect(clippy::too_many_lines, reason = \"a table\")]\nfn b() {}\ntrait T { fn c(&self); }\n";
        let found = Source::read(text).functions();
        let found: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.excused)).collect();
        assert_eq!(found, [("a", false), ("b", true)]);
    }
}
