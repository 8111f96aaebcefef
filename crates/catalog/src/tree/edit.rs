//! Changes one entry in the text of a `config.db` and leaves every other byte, comment and order alone
//! (ITS 15790). The text need not be free of bad lines: they are kept as they are.

use super::{Path, write_values};

/// The text with `path` set to `values`. Where lines of that path exist, the last of them (the one that
/// holds) gets the new values; else a line is added behind the last one of the same host and server, or at
/// the end.
pub fn set(text: &str, path: &Path, values: &[String]) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let value = write_values(values);
    if let Some(at) = lines.iter().rposition(|l| path_of(l).as_ref() == Some(path)) {
        let changed = with_value(lines[at], &value);
        return [lines[..at].concat(), changed, lines[at + 1..].concat()].concat();
    }
    let neighbour = |l: &&str| path_of(l).is_some_and(|p| p.host == path.host && p.server == path.server);
    let at = lines.iter().rposition(neighbour).map_or(lines.len(), |at| at + 1);
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let before = lines[..at].concat();
    let joint = if before.is_empty() || before.ends_with('\n') { "" } else { end };
    [before, joint.to_owned(), format!("{path}: {value}{end}"), lines[at..].concat()].concat()
}

/// The text without any line of `path`; `None` where there is none.
pub fn remove(text: &str, path: &Path) -> Option<String> {
    let kept: String = text.split_inclusive('\n').filter(|l| path_of(l).as_ref() != Some(path)).collect();
    (kept.len() < text.len()).then_some(kept)
}

/// The path of an entry's line; comments and lines outside the grammar have none.
fn path_of(line: &str) -> Option<Path> {
    Path::parse(line.split_once(':')?.0)
}

/// The line with another value: what stands before the colon, the space behind it and the line's end stay.
fn with_value(line: &str, value: &str) -> String {
    let colon = line.find(':').map_or(0, |at| at + 1);
    let (head, rest) = line.split_at(colon);
    let space = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let end = rest.trim_end_matches(['\r', '\n']).len();
    [head, &rest[..space.min(end)], value, &rest[end..]].concat()
}

#[cfg(test)]
mod tests {
    use super::super::Tree;
    use super::*;

    const TEXT: &str = "# ports\r\n\r\n  /Venus/mta/SMTPPort :\t[25]\r\n/*/mta/SMTPPort:[26]\r\nnot a line\r\n# /*/mta/SMTPPort: [27]\r\n/*/mss/numMssPorts: [2]";

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    #[test]
    fn its_15790_setting_an_entry_keeps_every_other_byte() {
        let new = set(TEXT, &path("/venus/mta/SMTPPort"), &["1]0".into()]);
        assert_eq!(new, TEXT.replace("[25]", "[1\\]0]"));
        let new = set(TEXT, &path("/*/mta/SMTPPort"), &["1".into(), "2".into()]);
        assert_eq!(new, TEXT.replace("[26]", "[1][2]"));
    }

    #[test]
    fn its_15790_a_new_entry_joins_its_neighbours_or_the_end() {
        let new = set(TEXT, &path("/*/mta/maxRecipients"), &["200".into()]);
        assert_eq!(new, TEXT.replace("[26]\r\n", "[26]\r\n/*/mta/maxRecipients: [200]\r\n"));
        let new = set(TEXT, &path("/mars/mta/SMTPPort"), &["1".into()]);
        assert_eq!(new, format!("{TEXT}\r\n/mars/mta/SMTPPort: [1]\r\n"));
        assert_eq!(set("", &path("/*/mta/SMTPPort"), &[]), "/*/mta/SMTPPort: \n");
    }

    #[test]
    fn its_15790_removing_an_entry_keeps_every_other_byte() {
        let new = remove(TEXT, &path("/*/mta/SMTPPort")).unwrap();
        assert_eq!(new, TEXT.replace("/*/mta/SMTPPort:[26]\r\n", ""));
        assert_eq!(remove(TEXT, &path("/mars/mta/SMTPPort")), None);
    }

    #[test]
    fn of_a_repeated_entry_the_one_that_holds_is_changed() {
        let text = "/*/mta/SMTPPort: [1]\n/*/mta/SMTPPort: [2]\n";
        let new = set(text, &path("/*/mta/SMTPPort"), &["3".into()]);
        assert_eq!(new, "/*/mta/SMTPPort: [1]\n/*/mta/SMTPPort: [3]\n");
        let tree = Tree::parse(&new).unwrap();
        assert_eq!(tree.get(&path("/*/mta/SMTPPort")), Some(&["3".to_owned()][..]));
        assert_eq!(remove(text, &path("/*/mta/SMTPPort")).as_deref(), Some(""));
    }
}
