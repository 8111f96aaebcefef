//! `--key value` options; a key without a value is a flag.
use std::collections::HashMap;

pub(crate) struct Args(HashMap<String, String>);

impl Args {
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Args, String> {
        let mut map = HashMap::new();
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            let key = word.strip_prefix("--").ok_or(format!("expected an option, got '{word}'"))?;
            let value = match words.peek() {
                Some(next) if !next.starts_with("--") => words.next().unwrap(),
                _ => "1".to_string(),
            };
            map.insert(key.to_string(), value);
        }
        Ok(Args(map))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub(crate) fn text(&self, key: &str, default: &str) -> String {
        self.get(key).unwrap_or(default).to_string()
    }

    pub(crate) fn num(&self, key: &str, default: u64) -> u64 {
        match self.get(key) {
            None => default,
            Some(v) => v.parse().unwrap_or_else(|_| {
                eprintln!("load: --{key} needs a whole number, got '{v}'");
                std::process::exit(2)
            }),
        }
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|v| v != "0" && v != "off" && v != "no")
    }
}

/// The accounts the run uses: names are templates with `{n}` for 1..=count.
#[derive(Clone)]
pub(crate) struct Users {
    pub(crate) first: u64,
    pub(crate) count: u64,
    login: String,
    addr: String,
    pub(crate) pass: String,
}

impl Users {
    pub(crate) fn from(args: &Args) -> Users {
        let addr = args.text("addr", "u{n}@bench.test");
        Users {
            first: args.num("first-user", 1),
            count: args.num("users", 100).max(1),
            login: args.text("login", &addr),
            addr,
            pass: args.text("pass", "secret"),
        }
    }
    pub(crate) fn login(&self, n: u64) -> String {
        self.login.replace("{n}", &n.to_string())
    }
    pub(crate) fn addr(&self, n: u64) -> String {
        self.addr.replace("{n}", &n.to_string())
    }
    /// The account of the `k`th slot (wraps round).
    pub(crate) fn nth(&self, k: u64) -> u64 {
        self.first + k % self.count
    }
}
