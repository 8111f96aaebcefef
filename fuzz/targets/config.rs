//! A configuration that is read keeps its other bytes when one entry is changed.
#![no_main]

use catalog::tree::{Path, Tree, check, edit};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(tree) = Tree::parse(text) else { return };
    let _ = check::check(&tree);
    let Some(path) = Path::parse("/*/mta/maxMessageSize") else { return };
    let edited = edit::set(text, &path, &["7".to_owned()]);
    assert_eq!(Tree::parse(&edited).ok().and_then(|t| t.get(&path).map(<[String]>::to_vec)), Some(vec!["7".to_owned()]));
});
