//! Answers as lines and as JSON. Pure. Every line of a listing is one entry: a word, a colon, the entry; values that
//! hold blanks are quoted. Names in JSON do not change once released.

use super::table::Part;
use catalog::cos::Rule;
use roles::directory::provision::{
    AccountLine, AccountView, AttributeView, CosView, DomainView, Forwarding, Place, Reply, Source, User,
};
use serde_json::{Value, json};

/// An answer in both forms.
#[derive(Debug, Default)]
pub(super) struct Printed {
    pub(super) lines: Vec<String>,
    pub(super) value: Value,
}

impl Printed {
    fn one(line: String, value: Value) -> Self {
        Self { lines: vec![line], value }
    }

    fn list<T>(items: &[T], line: impl Fn(&T) -> String, value: impl Fn(&T) -> Value) -> Self {
        Self { lines: items.iter().map(line).collect(), value: items.iter().map(value).collect() }
    }
}

pub(super) fn reply(reply: &Reply) -> Printed {
    match reply {
        Reply::Done => Printed::one("done".into(), json!({ "done": true })),
        Reply::Already(text) => {
            Printed::one(format!("nothing to do: {text}"), json!({ "done": false, "already": text }))
        }
        Reply::Created(line, domain) => created(line, domain.as_ref().map(mail::address::Domain::as_str)),
        Reply::Account(view) => account(view),
        Reply::Accounts(lines) => Printed::list(lines, account_line, account_value),
        Reply::Domains(domains) => Printed::list(domains, domain_line, domain_value),
        Reply::Classes(classes) => Printed::list(classes, class_line, class_value),
        Reply::Class(class, attributes) => {
            let mut printed = Printed::list(attributes, attribute_line, attribute_value);
            printed.lines.insert(0, class_line(class));
            let mut value = class_value(class);
            value["attributes"] = printed.value;
            Printed { lines: printed.lines, value }
        }
        Reply::Attributes(attributes) => Printed::list(attributes, definition_line, attribute_value),
        // No sub-command asks for these.
        Reply::Whole(all) => Printed::one(format!("accounts: {}", all.len()), json!(all.len())),
        Reply::Change(None) => Printed::one("no change".into(), Value::Null),
        Reply::Change(Some(change)) => Printed::one(
            format!("change: {} {} {}", change.id, change.at.rfc3339(), change.what),
            json!({ "id": change.id, "at": change.at.rfc3339().to_string(), "what": change.what }),
        ),
    }
}

/// A part of an account.
pub(super) fn part(view: &AccountView, part: Part) -> Printed {
    let whole = account(view);
    let words: &[&str] = match part {
        Part::Cos => &["account", "cos", "attribute"],
        Part::Addresses => &["address", "alias", "loginalias"],
        Part::Forwards => &["forwarding", "localforward", "remoteforward"],
    };
    let keys: &[&str] = match part {
        Part::Cos => &["account", "cos", "attributes"],
        Part::Addresses => &["addresses", "login_aliases"],
        Part::Forwards => &["forwarding", "local_forwards", "remote_forwards"],
    };
    let fits = |line: &String| {
        line.split_once(':').is_some_and(|(w, _)| words.iter().any(|k| w.eq_ignore_ascii_case(k)))
    };
    let mut value = json!({});
    for key in keys {
        value[key] = whole.value[key].clone();
    }
    Printed { lines: whole.lines.into_iter().filter(fits).collect(), value }
}

/// The autoreply of an account, in the form in which a batch line would set it again.
pub(super) fn autoreply(line: &AccountLine, text: Option<&str>) -> Printed {
    let user = user(&line.user);
    let shown = text.map_or_else(
        || format!("autoreply: {user} none"),
        |text| format!("autoreply: {user} {}", quoted(&text.trim_end().replace("\r\n", "\\n"))),
    );
    Printed::one(shown, json!({ "account": user, "autoreply": text }))
}

fn created(line: &AccountLine, domain: Option<&str>) -> Printed {
    let user = user(&line.user);
    let mut text = format!("created: {user} id={} mailbox={} host={}", line.id, line.mailbox, line.home);
    if let Some(domain) = domain {
        text.push_str(&format!(" domain={domain}"));
    }
    let mut value = account_value(line);
    value["created_domain"] = domain.map_or(Value::Null, Value::from);
    Printed::one(text, value)
}

fn user(user: &User) -> String {
    format!("{}@{}", user.name, user.domain)
}

fn account_line(line: &AccountLine) -> String {
    let (cos, user) = (quoted(&line.cos), user(&line.user));
    format!("account: {user} status={} cos={cos} mailbox={} host={}", line.status, line.mailbox, line.home)
}

fn account_value(line: &AccountLine) -> Value {
    json!({
        "account": user(&line.user),
        "id": line.id.0,
        "mailbox": line.mailbox.0,
        "host": line.home.as_str(),
        "status": line.status.to_string(),
        "type": "S",
        "cos": line.cos,
    })
}

fn account(view: &AccountView) -> Printed {
    let line = &view.line;
    let password = view.password.map_or("damaged", |p| p.name());
    let forwarding = if view.forwarding == Forwarding::On { "on" } else { "off" };
    let mut lines = vec![
        format!("Account: {}", user(&line.user)),
        format!("Id: {}", line.id),
        format!("Mailbox: {}", line.mailbox),
        format!("Host: {}", line.home),
        format!("Status: {}", line.status),
        "Type: S".to_owned(),
        format!("Cos: {}", line.cos),
        format!("Password: {password}"),
    ];
    let word = |at: usize| if at == 0 { "Address" } else { "Alias" };
    lines.extend(view.addresses.iter().enumerate().map(|(at, a)| format!("{}: {a}", word(at))));
    lines.extend(view.login_aliases.iter().map(|a| format!("LoginAlias: {}", user(a))));
    lines.push(format!("Forwarding: {forwarding}"));
    let place = |p: Place| if p == Place::Local { "LocalForward" } else { "RemoteForward" };
    lines.extend(view.forwards.iter().map(|(p, a)| format!("{}: {a}", place(*p))));
    lines.extend(view.attributes.iter().map(attribute_line));
    let to = |place: Place| {
        let here = view.forwards.iter().filter(|(p, _)| *p == place);
        here.map(|(_, a)| Value::from(a.to_string())).collect::<Value>()
    };
    let mut value = account_value(line);
    value["password"] = password.into();
    value["addresses"] = view.addresses.iter().map(ToString::to_string).collect();
    value["login_aliases"] = view.login_aliases.iter().map(user).collect();
    value["forwarding"] = (view.forwarding == Forwarding::On).into();
    value["local_forwards"] = to(Place::Local);
    value["remote_forwards"] = to(Place::Remote);
    value["attributes"] = view.attributes.iter().map(attribute_value).collect();
    Printed { lines, value }
}

fn domain_line(d: &DomainView) -> String {
    let target = if d.target.is_empty() { String::new() } else { format!(" target={}", d.target) };
    format!("domain: {} kind={}{target}", d.name, d.kind)
}

fn domain_value(d: &DomainView) -> Value {
    let target = (!d.target.is_empty()).then_some(&d.target);
    json!({ "domain": d.name, "kind": d.kind.word(), "target": target })
}

fn class_line(class: &CosView) -> String {
    format!("cos: {} numusers={}", quoted(&class.name), class.users)
}

fn class_value(class: &CosView) -> Value {
    json!({ "cos": class.name, "numusers": class.users })
}

fn source(source: Source) -> &'static str {
    match source {
        Source::Account => "account",
        Source::Cos => "cos",
        Source::Default => "default",
    }
}

fn attribute_line(a: &AttributeView) -> String {
    format!("attribute: {}={} source={}", a.name, quoted(&a.value), source(a.source))
}

fn definition_line(a: &AttributeView) -> String {
    let (rule, kind): (Rule, _) = (a.rule, a.kind.letter());
    format!("attribute: {} rule={} type={kind} default={}", a.name, rule.letter(), quoted(&a.value))
}

fn attribute_value(a: &AttributeView) -> Value {
    json!({
        "attribute": a.name,
        "rule": a.rule.letter().to_string(),
        "type": a.kind.letter().to_string(),
        "value": a.value,
        "source": source(a.source),
    })
}

/// The value as a batch line would have to have it.
fn quoted(value: &str) -> String {
    let plain =
        !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\'));
    if plain { value.to_owned() } else { format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")) }
}
