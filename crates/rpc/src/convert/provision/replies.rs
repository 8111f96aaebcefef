//! What provisioning answers: a reply or an error for each request.

use super::super::proto as p;
use super::super::{Bad, common, each, failure_of, need};
use super::{forward, forward_of, forwarding, kind, letter, rule, status, user, value_type, whole};
use mail::id::{AccountId, HostName, MailboxId};
use mail::password::PasswordType;
use mail::time::Timestamp;
use p::provision_reply::What;
use roles::directory::DirectoryError;
use roles::directory::provision as r;

impl From<r::AccountLine> for p::AccountLine {
    fn from(line: r::AccountLine) -> Self {
        Self {
            id: line.id.0,
            user: Some(line.user.into()),
            mailbox: line.mailbox.0,
            home: line.home.as_str().to_owned(),
            status: line.status.to_string(),
            cos: line.cos,
        }
    }
}

impl TryFrom<p::AccountLine> for r::AccountLine {
    type Error = Bad;

    fn try_from(line: p::AccountLine) -> Result<Self, Bad> {
        Ok(Self {
            id: AccountId(line.id),
            user: user(line.user)?,
            mailbox: MailboxId(line.mailbox),
            home: HostName::new(&line.home),
            status: status(&line.status)?,
            cos: line.cos,
        })
    }
}

impl From<r::AttributeView> for p::AttributeView {
    fn from(view: r::AttributeView) -> Self {
        let source = match view.source {
            r::Source::Account => p::AttributeSource::SourceAccount,
            r::Source::Cos => p::AttributeSource::SourceCos,
            r::Source::Default => p::AttributeSource::SourceDefault,
        };
        Self {
            name: view.name,
            rule: letter(view.rule.letter()),
            r#type: letter(view.kind.letter()),
            value: view.value,
            source: source.into(),
        }
    }
}

impl TryFrom<p::AttributeView> for r::AttributeView {
    type Error = Bad;

    fn try_from(view: p::AttributeView) -> Result<Self, Bad> {
        let source = match view.source() {
            p::AttributeSource::SourceAccount => r::Source::Account,
            p::AttributeSource::SourceCos => r::Source::Cos,
            p::AttributeSource::SourceDefault => r::Source::Default,
        };
        Ok(Self {
            name: view.name,
            rule: rule(&view.rule)?,
            kind: value_type(&view.r#type)?,
            value: view.value,
            source,
        })
    }
}

fn attributes(list: Vec<r::AttributeView>) -> Vec<p::AttributeView> {
    list.into_iter().map(Into::into).collect()
}

impl From<r::AccountView> for p::AccountView {
    fn from(view: r::AccountView) -> Self {
        Self {
            line: Some(view.line.into()),
            password: view.password.map(|form| form.name().to_owned()),
            addresses: view.addresses.iter().map(ToString::to_string).collect(),
            login_aliases: view.login_aliases.into_iter().map(Into::into).collect(),
            forwarding: view.forwarding == r::Forwarding::On,
            forwards: view.forwards.iter().map(|(place, to)| forward(*place, to)).collect(),
            attributes: attributes(view.attributes),
        }
    }
}

impl TryFrom<p::AccountView> for r::AccountView {
    type Error = Bad;

    fn try_from(view: p::AccountView) -> Result<Self, Bad> {
        let addresses: Result<_, _> = view.addresses.iter().map(|text| common::address(text)).collect();
        let forwards: Result<_, _> = view.forwards.iter().map(forward_of).collect();
        Ok(Self {
            line: need(view.line, "line")?.try_into()?,
            password: view.password.as_deref().and_then(PasswordType::parse),
            addresses: addresses?,
            login_aliases: each(view.login_aliases)?,
            forwarding: forwarding(view.forwarding),
            forwards: forwards?,
            attributes: each(view.attributes)?,
        })
    }
}

impl From<r::DomainView> for p::DomainView {
    fn from(view: r::DomainView) -> Self {
        Self { name: view.name, kind: view.kind.word().to_owned(), target: view.target }
    }
}

impl TryFrom<p::DomainView> for r::DomainView {
    type Error = Bad;

    fn try_from(view: p::DomainView) -> Result<Self, Bad> {
        Ok(Self { name: view.name, kind: kind(&view.kind)?, target: view.target })
    }
}

impl From<r::CosView> for p::CosView {
    fn from(view: r::CosView) -> Self {
        Self { name: view.name, users: view.users }
    }
}

impl From<p::CosView> for r::CosView {
    fn from(view: p::CosView) -> Self {
        Self { name: view.name, users: view.users }
    }
}

impl From<r::ChangeView> for p::ChangeView {
    fn from(view: r::ChangeView) -> Self {
        Self { id: view.id, at: view.at.as_micros(), what: view.what }
    }
}

impl From<p::ChangeView> for r::ChangeView {
    fn from(view: p::ChangeView) -> Self {
        Self { id: view.id, at: Timestamp::from_micros(view.at), what: view.what }
    }
}

impl From<Result<r::Reply, DirectoryError>> for p::ProvisionReply {
    fn from(outcome: Result<r::Reply, DirectoryError>) -> Self {
        use r::Reply as R;
        let what = match outcome {
            Err(error) => What::Failure(failure_of(&error)),
            Ok(R::Done) => What::Done(p::Empty {}),
            Ok(R::Already(what)) => What::Already(what),
            Ok(R::Created(line, domain)) => What::Created(p::CreatedAccount {
                line: Some(line.into()),
                domain: domain.map(|domain| domain.as_str().to_owned()),
            }),
            Ok(R::Account(view)) => What::Account((*view).into()),
            Ok(R::Accounts(lines)) => {
                What::Accounts(p::AccountLines { lines: lines.into_iter().map(Into::into).collect() })
            }
            Ok(R::Domains(views)) => {
                What::Domains(p::DomainViews { domains: views.into_iter().map(Into::into).collect() })
            }
            Ok(R::Classes(views)) => {
                What::Classes(p::CosViews { classes: views.into_iter().map(Into::into).collect() })
            }
            Ok(R::Class(cos, views)) => {
                What::Class(p::ClassView { cos: Some(cos.into()), attributes: attributes(views) })
            }
            Ok(R::Attributes(views)) => What::Attributes(p::AttributeViews { attributes: attributes(views) }),
            Ok(R::Change(view)) => What::Change(p::FirstChange { change: view.map(Into::into) }),
            Ok(R::Whole(all)) => What::Whole(whole::page(all)),
        };
        Self { what: Some(what) }
    }
}

/// The reply to one request, or its error.
fn outcome(reply: p::ProvisionReply) -> Result<Result<r::Reply, DirectoryError>, Bad> {
    use r::Reply as R;
    Ok(Ok(match need(reply.what, "reply")? {
        What::Failure(failure) => return Ok(Err(failure.error())),
        What::Done(_) => R::Done,
        What::Already(what) => R::Already(what),
        What::Created(created) => {
            let domain = created.domain.as_deref().map(super::domain).transpose()?;
            R::Created(need(created.line, "line")?.try_into()?, domain)
        }
        What::Account(view) => R::Account(Box::new(view.try_into()?)),
        What::Accounts(lines) => R::Accounts(each(lines.lines)?),
        What::Domains(views) => R::Domains(each(views.domains)?),
        What::Classes(views) => R::Classes(views.classes.into_iter().map(Into::into).collect()),
        What::Class(class) => R::Class(need(class.cos, "cos")?.into(), each(class.attributes)?),
        What::Attributes(views) => R::Attributes(each(views.attributes)?),
        What::Change(first) => R::Change(first.change.map(Into::into)),
        What::Whole(page) => R::Whole(whole::page_of(page)?),
    }))
}

/// The replies of a call, in the order of its requests.
pub(crate) fn replies(outcomes: Vec<Result<r::Reply, DirectoryError>>) -> p::ProvisionReplies {
    p::ProvisionReplies { replies: outcomes.into_iter().map(Into::into).collect() }
}

/// The outcomes of so many requests.
pub(crate) fn replies_of(
    replies: p::ProvisionReplies,
    requests: usize,
) -> Result<Vec<Result<r::Reply, DirectoryError>>, Bad> {
    if replies.replies.len() != requests {
        return Err(Bad("replies"));
    }
    replies.replies.into_iter().map(outcome).collect()
}
