//! What a directory is carried in from one site to another: records of domains, attributes, classes of service and accounts, as
//! LDIF (RFC 2849) or as lines of JSON. Pure: bytes in and out are the business of the commands.
//!
//! A record is fields, names with values, in both forms with the same names. [`Reader`] makes fields of lines, `Record::of`
//! makes a record of fields, [`Form::write`] makes text of them. What a field is called is in `FIELDS`.

mod json;
mod ldif;

use catalog::account::{DomainKind, Status};
use catalog::cos::{Rule, Type};
use mail::address::{Address, Domain};
use mail::id::{HostName, MailboxId};
use mail::password::StoredPassword;
use mail::secret::Secret;
use roles::directory::provision::{Forwarding, NewPassword, Proofs, User, WholeAccount};

/// Most bytes of a record of several lines.
pub(crate) const MAX_RECORD: usize = 4 << 20;
/// Most fields of a record.
const MAX_FIELDS: usize = 10_000;
/// The field that says what a record is of.
const CLASS: &str = "objectClass";
const DOMAIN: &str = "intermailDomain";
const ATTRIBUTE: &str = "intermailAttribute";
const COS: &str = "intermailCos";
const ACCOUNT: &str = "intermailAccount";

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Ldif,
    Json,
}

/// A name and a value.
pub(crate) type Field = (String, String);

/// A record as it was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Read {
    /// The line with which it begins.
    pub(crate) line: u64,
    /// The line with which it ends.
    pub(crate) last: u64,
    /// As it stood there, without passwords being made out.
    pub(crate) text: String,
    pub(crate) fields: Result<Vec<Field>, String>,
}

/// Takes lines, gives records. The first line that is not empty says which form it is.
#[derive(Default)]
pub(crate) struct Reader {
    form: Option<Form>,
    number: u64,
    held: ldif::Held,
}

impl Reader {
    /// Takes the next line, without its end.
    pub(crate) fn line(&mut self, line: String) -> Option<Read> {
        self.number += 1;
        let form = match self.form {
            Some(form) => form,
            None if line.trim().is_empty() => return None,
            None => {
                *self.form.insert(if line.trim_start().starts_with('{') { Form::Json } else { Form::Ldif })
            }
        };
        match form {
            Form::Json if line.trim().is_empty() => None,
            Form::Json => {
                let fields = json::read(&line);
                Some(Read { line: self.number, last: self.number, text: line, fields })
            }
            Form::Ldif => self.held.line(self.number, line),
        }
    }

    /// There are no more lines.
    pub(crate) fn end(&mut self) -> Option<Read> {
        self.held.end(self.number)
    }
}

impl Form {
    /// What stands before the first record.
    pub(crate) fn head(self) -> &'static str {
        match self {
            Self::Ldif => "version: 1\n\n",
            Self::Json => "",
        }
    }

    pub(crate) fn write(self, record: &Record) -> String {
        let (name, fields) = record.fields();
        match self {
            Self::Ldif => ldif::write(&name, &fields),
            Self::Json => json::write(&fields),
        }
    }
}

/// What a record is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    Domain(Domain, DomainKind, Option<String>),
    Attribute(String, Rule, Type, Option<String>),
    Cos(String, Vec<Field>),
    Account(Box<WholeAccount>),
}

/// Names of fields that may stand more than once.
const MANY: &[&str] = &["address", "loginAlias", "forward", "value"];

impl Record {
    /// # Errors
    /// What is wrong with which field, for whoever wrote it.
    pub(crate) fn of(fields: Vec<Field>) -> Result<Self, String> {
        let mut fields = Fields(fields);
        let kind = fields.one(CLASS)?.ok_or_else(|| format!("there is no {CLASS}"))?;
        let is = |class: &str| kind.eq_ignore_ascii_case(class);
        let record = if is(ACCOUNT) {
            Self::Account(Box::new(account(&mut fields)?))
        } else if is(DOMAIN) {
            let (name, target) = (fields.needed("name")?, fields.one("target")?);
            let kind = fields.one("kind")?.unwrap_or_else(|| DomainKind::Local.word().to_owned());
            let kind =
                DomainKind::parse(&kind).ok_or_else(|| format!("kind: {kind:?} is no kind of a domain"))?;
            Self::Domain(domain("name", &name)?, kind, target.filter(|text| !text.is_empty()))
        } else if is(COS) {
            Self::Cos(fields.needed("name")?, fields.values()?)
        } else if is(ATTRIBUTE) {
            let letter = |name: &str, text: String| format!("{name}: {text:?} is none");
            let (rule, kind) = (fields.needed("rule")?, fields.needed("type")?);
            let rule = Rule::parse(&rule).ok_or_else(|| letter("rule", rule))?;
            let kind = Type::parse(&kind).ok_or_else(|| letter("type", kind))?;
            Self::Attribute(fields.needed("name")?, rule, kind, fields.one("default")?)
        } else {
            return Err(format!("{CLASS}: {kind:?} is not known"));
        };
        fields.end()?;
        Ok(record)
    }

    /// Its name and its fields, in the order in which they are written.
    fn fields(&self) -> (String, Vec<Field>) {
        let mut all = Vec::new();
        let mut put = |name: &str, value: &str| all.push((name.to_owned(), value.to_owned()));
        let name = match self {
            Self::Domain(name, kind, target) => {
                put(CLASS, DOMAIN);
                put("name", name.as_str());
                put("kind", kind.word());
                target.iter().for_each(|target| put("target", target));
                format!("domain={name}")
            }
            Self::Attribute(name, rule, kind, default) => {
                put(CLASS, ATTRIBUTE);
                put("name", name);
                put("rule", &rule.letter().to_string());
                put("type", &kind.letter().to_string());
                default.iter().for_each(|default| put("default", default));
                format!("attribute={name}")
            }
            Self::Cos(name, values) => {
                put(CLASS, COS);
                put("name", name);
                values.iter().for_each(|(name, value)| put("value", &format!("{name}={value}")));
                format!("cos={name}")
            }
            Self::Account(whole) => {
                put(CLASS, ACCOUNT);
                account_fields(whole, put);
                format!("login={}@{}", whole.user.name, whole.user.domain)
            }
        };
        (name, all)
    }
}

fn account_fields(whole: &WholeAccount, mut put: impl FnMut(&str, &str)) {
    let login = |user: &User| format!("{}@{}", user.name, user.domain);
    put("login", &login(&whole.user));
    whole.mailbox.iter().for_each(|mailbox| put("mailbox", &mailbox.to_string()));
    whole.home.iter().for_each(|home| put("home", home.as_str()));
    put("status", &whole.status.to_string());
    put("cos", &whole.cos);
    if let Some(Proofs { password, scram }) = &whole.proofs {
        match password {
            NewPassword::Hashed(stored) => put("passwordHash", stored.expose()),
            NewPassword::Clear(clear) => put("password", &String::from_utf8_lossy(clear.expose())),
        }
        scram.iter().for_each(|keys| put("scram", &String::from_utf8_lossy(keys.expose())));
    }
    whole.addresses.iter().for_each(|address| put("address", &address.to_string()));
    whole.login_aliases.iter().for_each(|alias| put("loginAlias", &login(alias)));
    put("forwarding", if whole.forwarding == Forwarding::On { "on" } else { "off" });
    whole.forwards.iter().for_each(|forward| put("forward", &forward.to_string()));
    whole.values.iter().for_each(|(name, value)| put("value", &format!("{name}={value}")));
}

fn account(fields: &mut Fields) -> Result<WholeAccount, String> {
    let user = user("login", &fields.needed("login")?)?;
    let mailbox = fields.one("mailbox")?;
    let mailbox =
        mailbox.map(|id| id.parse().map(MailboxId).map_err(|_| format!("mailbox: {id:?} is no number")));
    let status = fields.one("status")?.unwrap_or_else(|| Status::Active.to_string());
    let addresses = fields.many("address", |text| address("address", text))?;
    let own = || Address::new(&user.name, user.domain.clone()).map_err(|error| format!("login: {error}"));
    let forwarding = match fields.one("forwarding")?.as_deref() {
        None | Some("on") => Forwarding::On,
        Some("off") => Forwarding::Off,
        Some(other) => return Err(format!("forwarding: {other:?} is neither on nor off")),
    };
    Ok(WholeAccount {
        mailbox: mailbox.transpose()?,
        home: fields.one("home")?.map(|home| HostName::new(&home)),
        proofs: proofs(fields)?,
        status: Status::parse(&status).ok_or_else(|| format!("status: {status:?} is none"))?,
        cos: fields.one("cos")?.unwrap_or_else(|| "default".to_owned()),
        addresses: if addresses.is_empty() { vec![own()?] } else { addresses },
        login_aliases: fields.many("loginAlias", |text| self::user("loginAlias", text))?,
        forwarding,
        forwards: fields.many("forward", |text| address("forward", text))?,
        values: fields.values()?,
        user,
    })
}

fn proofs(fields: &mut Fields) -> Result<Option<Proofs>, String> {
    let scram = fields.one("scram")?.map(Secret::new);
    let password = match (fields.one("passwordHash")?, fields.one("password")?) {
        (None, None) if scram.is_none() => return Ok(None),
        (None, None) => return Err("scram: it needs a passwordHash".into()),
        (Some(_), Some(_)) => return Err("password: there is a passwordHash, too".into()),
        (None, Some(_)) if scram.is_some() => return Err("scram: it is made of the password".into()),
        (None, Some(clear)) => NewPassword::Clear(Secret::new(clear)),
        (Some(hash), None) => NewPassword::Hashed(
            StoredPassword::parse(&hash).map_err(|error| format!("passwordHash: {error}"))?,
        ),
    };
    Ok(Some(Proofs { password, scram }))
}

fn domain(field: &str, text: &str) -> Result<Domain, String> {
    Domain::parse(text).map_err(|error| format!("{field}: {error}"))
}

fn address(field: &str, text: &str) -> Result<Address, String> {
    Address::parse(text).map_err(|error| format!("{field}: {text:?}: {error}"))
}

fn user(field: &str, text: &str) -> Result<User, String> {
    let (name, of) = text.rsplit_once('@').ok_or_else(|| format!("{field}: {text:?} has no domain"))?;
    Ok(User { name: name.to_owned(), domain: domain(field, of)? })
}

/// Fields that were not asked for yet.
struct Fields(Vec<Field>);

impl Fields {
    fn take(&mut self, name: &str) -> Vec<String> {
        let of = self.0.extract_if(.., |(n, _)| n.eq_ignore_ascii_case(name));
        of.map(|(_, value)| value).collect()
    }

    fn one(&mut self, name: &str) -> Result<Option<String>, String> {
        let mut all = self.take(name);
        let last = all.pop();
        if all.is_empty() { Ok(last) } else { Err(format!("{name}: it stands there more than once")) }
    }

    fn needed(&mut self, name: &str) -> Result<String, String> {
        let value = self.one(name)?.filter(|value| !value.is_empty());
        value.ok_or_else(|| format!("there is no {name}"))
    }

    fn many<T>(&mut self, name: &str, make: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
        self.take(name).iter().map(|text| make(text)).collect()
    }

    /// Values of attributes.
    fn values(&mut self) -> Result<Vec<Field>, String> {
        self.many("value", |text| {
            let (name, value) =
                text.split_once('=').ok_or_else(|| format!("value: {text:?} is not NAME=VALUE"))?;
            Ok((name.trim().to_owned(), value.to_owned()))
        })
    }

    /// What nobody has asked for is a mistake.
    fn end(self) -> Result<(), String> {
        match self.0.first() {
            Some((name, _)) => Err(format!("{name}: there is no such field here")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
