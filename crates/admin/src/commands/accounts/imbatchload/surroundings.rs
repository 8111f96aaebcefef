//! What accounts need before they can be loaded: their domains, their classes of service, the attributes of the site.

use crate::people::call;
use crate::records::{Field, Record};
use env::random::Random;
use roles::directory::DirectoryError;
use roles::directory::provision::{AttributeView, Existing, Holder, Provisioning, Reply, Request, Source};
use roles::store::Run;

/// Brings a record that is of no account into the directory.
pub(super) async fn bring(
    directory: &dyn Provisioning,
    random: &Random,
    record: Record,
    (existing, run): (Existing, Run),
) -> Result<Reply, String> {
    let of = Asked { directory, random, existing };
    match record {
        _ if run == Run::Dry => Ok(Reply::Already("it was only read".into())),
        Record::Domain(name, kind, target) => {
            let made = of.ask(Request::CreateDomain(name.clone(), kind, target.clone())).await;
            match made {
                Err(DirectoryError::Conflict(_)) if existing == Existing::Update => {
                    of.said(Request::ChangeDomain(name, kind, target)).await
                }
                made => made.map_err(|error| error.to_string()),
            }
        }
        Record::Attribute(name, rule, kind, default) => {
            of.said(Request::CreateAttribute(name, rule, kind, default)).await
        }
        Record::Cos(name, values) => of.class(name, values).await,
        Record::Account(_) => Err("accounts are loaded many at a time".into()),
    }
}

struct Asked<'a> {
    directory: &'a dyn Provisioning,
    random: &'a Random,
    existing: Existing,
}

impl Asked<'_> {
    async fn ask(&self, request: Request) -> Result<Reply, DirectoryError> {
        let mut answers = self.directory.provision(&call(self.random), vec![request]).await?;
        answers.pop().unwrap_or(Err(DirectoryError::Unavailable))
    }

    async fn said(&self, request: Request) -> Result<Reply, String> {
        self.ask(request).await.map_err(|error| error.to_string())
    }

    /// A class with these values and no others; one that has none yet, such as `default` of a new site, takes them.
    async fn class(&self, name: String, values: Vec<Field>) -> Result<Reply, String> {
        let there = match self.ask(Request::ShowCos(name.clone())).await {
            Ok(Reply::Class(_, all)) => Some(all.into_iter().filter(|a| a.source == Source::Cos).collect()),
            Err(DirectoryError::Missing(_)) => None,
            Ok(_) => return Err("the directory has answered something else".into()),
            Err(error) => return Err(error.to_string()),
        };
        let (set, is_new): (Vec<AttributeView>, bool) = match there {
            Some(set) => (set, false),
            None => {
                self.said(Request::CreateCos(name.clone())).await?;
                (Vec::new(), true)
            }
        };
        let is = |(n, v): &Field, a: &AttributeView| a.name.eq_ignore_ascii_case(n) && a.value == *v;
        let wrong: Vec<_> =
            values.iter().filter(|value| !set.iter().any(|a| is(value, a))).cloned().collect();
        let named = |a: &AttributeView| values.iter().any(|(n, _)| a.name.eq_ignore_ascii_case(n));
        let needless: Vec<_> = set.iter().filter(|a| !named(a)).map(|a| a.name.clone()).collect();
        if wrong.is_empty() && needless.is_empty() {
            return Ok(if is_new { Reply::Done } else { Reply::Already(name) });
        }
        if !set.is_empty() && self.existing == Existing::Refuse {
            return Err(format!("the class of service {name:?} is there already, with other values"));
        }
        let clear = needless.into_iter().map(|name| (name, None));
        for (attribute, value) in clear.chain(wrong.into_iter().map(|(name, value)| (name, Some(value)))) {
            self.said(Request::SetAttribute(Holder::Cos(name.clone()), attribute, value)).await?;
        }
        Ok(Reply::Done)
    }
}
