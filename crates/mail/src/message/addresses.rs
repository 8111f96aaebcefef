//! Address lists of a header: mailboxes and groups. RFC 5322 3.4 with the obsolete forms of 4.4.
//!
//! An iterator that borrows from the value where it can and never fails: what is no address is passed over.
//! It takes a value with or without folding. Comments are skipped, but `a@b (Name)` gives its comment as
//! the name, as mail of the eighties means it and readers still show it. Encoded words are left alone.

use super::lex::{Cursor, is_white};
use std::borrow::Cow;

/// One mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox<'a> {
    /// Display name without quotes.
    pub name: Option<Cow<'a, [u8]>>,
    /// Obsolete source route: `@a,@b`, without the colon. RFC 5322 4.4.
    pub route: Option<Cow<'a, [u8]>>,
    /// Local part without quotes.
    pub local: Cow<'a, [u8]>,
    /// Domain; empty where there is none.
    pub domain: Cow<'a, [u8]>,
}

/// One step through an address list, in the order in which IMAP shows it. RFC 9051 7.5.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A mailbox, alone or in the group that is open.
    Mailbox(Mailbox<'a>),
    /// A group begins; its name.
    GroupStart(Cow<'a, [u8]>),
    /// The group ends.
    GroupEnd,
}

/// The entries of an address list. Groups do not nest (RFC 5322 3.4), and every group that starts ends.
pub fn parse(value: &[u8]) -> Addresses<'_> {
    Addresses { cursor: Cursor::new(value), in_group: false }
}

/// Walks over an address list.
#[derive(Debug, Clone)]
pub struct Addresses<'a> {
    cursor: Cursor<'a>,
    in_group: bool,
}

impl<'a> Iterator for Addresses<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            self.cursor.skip_space();
            match self.cursor.peek() {
                None if std::mem::take(&mut self.in_group) => return Some(Entry::GroupEnd),
                None => return None,
                Some(b',') => self.cursor.bump(),
                Some(b';') => {
                    self.cursor.bump();
                    if std::mem::take(&mut self.in_group) {
                        return Some(Entry::GroupEnd);
                    }
                }
                Some(_) => {
                    if let Some(entry) = self.entry() {
                        return Some(entry);
                    }
                }
            }
        }
    }
}

impl<'a> Addresses<'a> {
    /// What begins here: always moves on, `None` where it was nothing.
    fn entry(&mut self) -> Option<Entry<'a>> {
        let words = words(&mut self.cursor);
        match self.cursor.peek() {
            Some(b'<') => {
                self.cursor.bump();
                let name = (!words.text.is_empty()).then_some(words.text);
                self.angle(name).map(Entry::Mailbox)
            }
            Some(b'@') => {
                self.cursor.bump();
                let domain = domain(&mut self.cursor);
                let name = self.trailing_comment();
                let local = words.local;
                (!local.is_empty() || !domain.is_empty()).then_some(Entry::Mailbox(Mailbox {
                    name,
                    route: None,
                    local,
                    domain,
                }))
            }
            Some(b':') if !self.in_group => {
                self.cursor.bump();
                self.in_group = true;
                Some(Entry::GroupStart(words.text))
            }
            Some(b',' | b';') | None => {
                // A name without a domain, as in `To: root`; or an empty place in the list.
                (!words.local.is_empty()).then_some({
                    Entry::Mailbox(Mailbox {
                        name: words.comment,
                        route: None,
                        local: words.local,
                        domain: Cow::Borrowed(b""),
                    })
                })
            }
            Some(_) => {
                self.cursor.bump();
                None
            }
        }
    }

    /// From after `<` to after `>`. RFC 5322 3.4: angle-addr, 4.4: obs-angle-addr.
    fn angle(&mut self, name: Option<Cow<'a, [u8]>>) -> Option<Mailbox<'a>> {
        let route = route(&mut self.cursor);
        let local = words(&mut self.cursor).local;
        let domain = if self.cursor.eat(b'@') { domain(&mut self.cursor) } else { Cow::Borrowed(&b""[..]) };
        self.cursor.take_while(|b| !matches!(b, b'>' | b','));
        self.cursor.eat(b'>');
        let comment = self.trailing_comment();
        // Nothing may stand between the address and the comma; what does is passed over.
        while !matches!(self.cursor.peek(), None | Some(b',' | b';')) {
            self.cursor.skip_space();
            if self.cursor.quoted().is_none() && !matches!(self.cursor.peek(), Some(b',' | b';')) {
                self.cursor.bump();
            }
        }
        let is_something = name.is_some() || !local.is_empty() || !domain.is_empty();
        is_something.then_some(Mailbox { name: name.or(comment), route, local, domain })
    }

    /// The last comment before the next token.
    fn trailing_comment(&mut self) -> Option<Cow<'a, [u8]>> {
        let mut last = None;
        loop {
            self.cursor.skip_white();
            match self.cursor.comment() {
                Some(comment) => last = Some(comment),
                None => return last.filter(|comment: &Cow<'_, [u8]>| !comment.trim_ascii().is_empty()),
            }
        }
    }
}

/// A run of words: as a phrase, with single spaces, and as a local part, without any.
struct Words<'a> {
    text: Cow<'a, [u8]>,
    local: Cow<'a, [u8]>,
    comment: Option<Cow<'a, [u8]>>,
}

/// RFC 5322 3.2.5: phrase, 4.1: dots in it; 3.4.1: local-part, 4.4: white space around its dots.
fn words<'a>(cursor: &mut Cursor<'a>) -> Words<'a> {
    let none = || Cow::Borrowed(&b""[..]);
    let mut words = Words { text: none(), local: none(), comment: None };
    let mut is_first = true;
    loop {
        let had_white = cursor.skip_white();
        if let Some(comment) = cursor.comment() {
            words.comment = Some(comment);
            continue;
        }
        let word = match cursor.quoted() {
            Some(quoted) => quoted,
            None => match cursor.take_while(is_word) {
                b"" => return words,
                atom => Cow::Borrowed(atom),
            },
        };
        if is_first {
            (words.text, words.local, is_first) = (word.clone(), word, false);
        } else {
            if had_white {
                words.text.to_mut().push(b' ');
            }
            words.text.to_mut().extend_from_slice(&word);
            words.local.to_mut().extend_from_slice(&word);
        }
    }
}

/// What may stand in an atom, the dot, and all that only bad mail has there.
fn is_word(byte: u8) -> bool {
    !is_white(byte) && !b"()<>@,;:\"".contains(&byte)
}

/// Domain or address literal, white space and comments left out.
fn domain<'a>(cursor: &mut Cursor<'a>) -> Cow<'a, [u8]> {
    cursor.skip_space();
    if cursor.peek() == Some(b'[') {
        let literal = cursor.take_while(|b| !matches!(b, b']' | b'>' | b','));
        let mut literal = Cow::Borrowed(literal);
        if cursor.eat(b']') {
            literal.to_mut().push(b']');
        }
        return literal;
    }
    let mut domain = Cow::Borrowed(cursor.take_while(is_word));
    loop {
        // White space only ends a domain where no dot stands around it.
        let mut ahead = cursor.clone();
        ahead.skip_space();
        let more = ahead.take_while(is_word);
        if more.is_empty() || !(more.starts_with(b".") || domain.ends_with(b".")) {
            return domain;
        }
        domain.to_mut().extend_from_slice(more);
        *cursor = ahead;
    }
}

/// RFC 5322 4.4: obs-route, `@a,@b:`.
fn route<'a>(cursor: &mut Cursor<'a>) -> Option<Cow<'a, [u8]>> {
    cursor.skip_space();
    if !matches!(cursor.peek(), Some(b'@' | b',')) {
        return None;
    }
    let mut ahead = cursor.clone();
    let route = ahead.take_while(|b| !matches!(b, b':' | b'>'));
    ahead.eat(b':').then(|| {
        *cursor = ahead;
        Cow::Borrowed(route.trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each entry on a line: `name|route|local|domain`, `+name` and `-` for groups.
    fn shown(value: &str) -> Vec<String> {
        let text = |b: &Cow<'_, [u8]>| String::from_utf8_lossy(b).into_owned();
        let maybe = |b: &Option<Cow<'_, [u8]>>| b.as_ref().map(text).unwrap_or_default();
        parse(value.as_bytes())
            .map(|entry| match entry {
                Entry::GroupStart(name) => format!("+{}", text(&name)),
                Entry::GroupEnd => "-".into(),
                Entry::Mailbox(m) => {
                    format!("{}|{}|{}|{}", maybe(&m.name), maybe(&m.route), text(&m.local), text(&m.domain))
                }
            })
            .collect()
    }

    #[test]
    fn examples_of_rfc_5322() {
        assert_eq!(shown("John Doe <jdoe@machine.example>"), ["John Doe||jdoe|machine.example"]);
        assert_eq!(
            shown(r#""Joe Q. Public" <john.q.public@example.com>"#),
            ["Joe Q. Public||john.q.public|example.com"]
        );
        assert_eq!(
            shown(r#"Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>"#),
            ["Mary Smith||mary|x.test", "||jdoe|example.org", "Who?||one|y.test"]
        );
        assert_eq!(
            shown(r#"<boss@nil.test>, "Giant; \"Big\" Box" <sysservices@example.net>"#),
            ["||boss|nil.test", "Giant; \"Big\" Box||sysservices|example.net"]
        );
        assert_eq!(
            shown("A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;"),
            ["+A Group", "Ed Jones||c|a.test", "||joe|where.test", "John||jdoe|one.test", "-"]
        );
        assert_eq!(shown("Undisclosed recipients:;"), ["+Undisclosed recipients", "-"]);
    }

    #[test]
    fn comments_and_obsolete_forms_of_rfc_5322_appendix_a() {
        assert_eq!(
            shown("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>"),
            ["Pete||pete|silly.test"]
        );
        assert_eq!(
            shown(
                "A Group(Some people)\r\n :Chris Jones <c@(Chris's host.)public.example>,\r\n joe@example.org"
            ),
            ["+A Group", "Chris Jones||c|public.example", "||joe|example.org", "-"]
        );
        assert_eq!(
            shown("Mary Smith <@node.test,@x.test:mary@example.net>, , jdoe@test  . example"),
            ["Mary Smith|@node.test,@x.test|mary|example.net", "||jdoe|test.example"]
        );
        assert_eq!(
            shown("Joe Q. Public <john . q . public@example.com>"),
            ["Joe Q. Public||john.q.public|example.com"]
        );
    }

    #[test]
    fn what_real_mail_has() {
        assert_eq!(shown("bob@example.com (Bob Smith)"), ["Bob Smith||bob|example.com"]);
        assert_eq!(shown("root"), ["||root|"]);
        assert_eq!(shown("=?utf-8?q?B=C3=B6b?= <b@c>"), ["=?utf-8?q?B=C3=B6b?=||b|c"]);
        assert_eq!(shown("<>"), Vec::<String>::new());
        assert_eq!(shown("a@[IPv6:::1]"), ["||a|[IPv6:::1]"]);
        assert_eq!(shown("\"a b\"@c"), ["||a b|c"]);
        assert_eq!(shown("<a@b> junk \"x,y\", c@d"), ["||a|b", "||c|d"]);
        assert_eq!(shown("B\u{f6}b <b@c>"), ["B\u{f6}b||b|c"]);
    }

    #[test]
    fn it_ends_however_bad_the_value() {
        for bad in
            ["<", "<<<<", "a <b", "\"", "(", "a:b:c;", ",,,;;;", "@", "<@", "a@", "@@@", "a@[", ">", "\\"]
        {
            assert!(shown(bad).len() < 8, "{bad}");
        }
        assert_eq!(parse(&b"a@b,".repeat(10_000)).count(), 10_000);
    }
}
