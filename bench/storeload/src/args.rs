//! `--key value` options.
use std::collections::HashMap;
use std::path::PathBuf;

pub(crate) struct Args(HashMap<String, String>);

impl Args {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut map = HashMap::new();
        while let Some(word) = words.next() {
            let key = word.strip_prefix("--").ok_or(format!("expected an option, got '{word}'"))?;
            let value = words.next().ok_or(format!("--{key} needs a value"))?;
            map.insert(key.to_owned(), value);
        }
        Ok(Self(map))
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub(crate) fn number(&self, key: &str, default: u64) -> Result<u64, String> {
        let Some(text) = self.text(key) else { return Ok(default) };
        text.parse().map_err(|_| format!("--{key} needs a whole number, got '{text}'"))
    }

    pub(crate) fn folder(&self) -> Result<PathBuf, String> {
        self.text("folder").map(PathBuf::from).ok_or("--folder is missing".into())
    }
}
