//! Classes of service and their attributes: created, set, removed, shown.

use super::{Outcome, check, conflict, find};
use crate::classes::{Definition, view};
use crate::fault::Fault;
use catalog::cos::{self, Rule, Type};
use roles::directory::DirectoryError;
use roles::directory::provision::{Confirmation, CosView, PAGE, Reply, User};
use storage::directory::{AttributeRow, ClassRow, Edit, Rows};

/// Attributes that are not set but follow from what is there (ITS 46403).
const COUNTED: &[&str] = &["numusers", "cosname"];
/// Most attributes that a site may define: every look at an account reads them all.
const MAX_ATTRIBUTES: usize = 500;

fn missing(reason: String) -> Fault {
    Fault(DirectoryError::Missing(reason))
}

fn class(rows: &Rows<'_>, name: &str) -> Result<(String, ClassRow), Fault> {
    let key = name.trim().to_lowercase();
    let found = rows.class(&key)?;
    let row =
        found.ok_or_else(|| missing(format!("there is no class of service {name:?}: see ListCosNames")))?;
    Ok((key, row))
}

fn class_view(row: ClassRow) -> CosView {
    CosView { name: row.name, users: u64::try_from(row.users).unwrap_or(0) }
}

pub(super) fn create(e: &Edit<'_>, name: &str) -> Outcome {
    let name = check::name("class of service", name)?;
    let key = name.to_lowercase();
    if let Some(there) = e.class(&key)? {
        return Ok(Reply::Already(format!("the class of service {:?} is there already", there.name)));
    }
    e.add_class(&key, name)?;
    Ok(Reply::Done)
}

pub(super) fn delete(e: &Edit<'_>, name: &str) -> Outcome {
    let (key, row) = class(e, name)?;
    if key == "default" {
        return Err(conflict(
            "the class of service \"default\" cannot be deleted: accounts without a class get it".into(),
        ));
    }
    if row.users > 0 {
        let reason = format!(
            "{} accounts have the class of service {:?}: give them another first (ModifyAccount)",
            row.users, row.name
        );
        return Err(conflict(reason));
    }
    e.remove_class(&key)?;
    Ok(Reply::Done)
}

pub(super) fn list(rows: &Rows<'_>, after: &str) -> Outcome {
    let page = rows.classes_after(&after.to_lowercase(), PAGE)?;
    Ok(Reply::Classes(page.into_iter().map(class_view).collect()))
}

pub(super) fn show(rows: &Rows<'_>, name: &str) -> Outcome {
    let (key, row) = class(rows, name)?;
    let site = rows.attributes_after("", PAGE)?;
    Ok(Reply::Class(class_view(row), view(&site, &Vec::new(), &rows.class_values(&key)?)))
}

pub(super) fn attributes(rows: &Rows<'_>) -> Outcome {
    let site = rows.attributes_after("", PAGE)?;
    Ok(Reply::Attributes(view(&site, &Vec::new(), &Vec::new())))
}

/// Defines an attribute. To define one again in the same way is no error (`ok_if_exists`, ITS 15368), and so
/// the seed's lines for built-in ones work on a site that has them.
pub(super) fn create_attribute(
    e: &Edit<'_>,
    name: &str,
    rule: Rule,
    kind: Type,
    default: Option<String>,
) -> Outcome {
    let name = check::attribute_name(name)?;
    let key = name.to_lowercase();
    if COUNTED.contains(&key.as_str()) {
        return Err(conflict(format!("{name} is counted by the system: it cannot be defined")));
    }
    let site = e.attribute(&key)?;
    let there = cos::find(name).map(Definition::from).or(site.as_ref().map(Definition::from));
    if let Some(there) = there {
        let same = there.rule == rule && there.kind == kind && default.is_none_or(|d| d == there.default);
        let text = format!(
            "the attribute {} is there already, as {} {} with default {:?}",
            there.name,
            there.rule.letter(),
            there.kind.letter(),
            there.default
        );
        return if same { Ok(Reply::Already(text)) } else { Err(conflict(text)) };
    }
    if matches!(rule, Rule::Least | Rule::Greatest) && kind == Type::Text {
        let reason = "texts have no order: the rules L and G are for numbers and switches".into();
        return Err(DirectoryError::Invalid(reason).into());
    }
    let fallback = default.unwrap_or_else(|| natural_default(kind).to_owned());
    let fallback = check::value(name, kind, &fallback)?.to_owned();
    if e.attributes_after("", PAGE)?.len() >= MAX_ATTRIBUTES {
        return Err(conflict(format!("{MAX_ATTRIBUTES} attributes are defined, the most there may be")));
    }
    e.add_attribute(&key, &AttributeRow { name: name.to_owned(), rule, kind, fallback })?;
    Ok(Reply::Done)
}

/// The default of an attribute for which none was given.
fn natural_default(kind: Type) -> &'static str {
    match kind {
        Type::Text => "",
        Type::Number => "0",
        Type::Flag => "no",
    }
}

/// Refused without confirmation, for built-in attributes, and while anybody has a value (C-06).
pub(super) fn delete_attribute(e: &Edit<'_>, name: &str, confirmed: Confirmation) -> Outcome {
    let key = name.trim().to_lowercase();
    if let Some(built_in) = cos::find(&key) {
        let reason =
            format!("{} is built in: set a value instead of deleting it (SetCosAttribute)", built_in.name);
        return Err(conflict(reason));
    }
    if e.attribute(&key)?.is_none() {
        return Err(missing(format!("there is no attribute {name}: see ListCosAttributes")));
    }
    if confirmed == Confirmation::Missing {
        let reason = format!(
            "deleting {name} takes it from every class and account of the site; if that is meant, confirm it"
        );
        return Err(DirectoryError::Invalid(reason).into());
    }
    let clear = "clear it there first (UnsetCosAttribute, UnsetAccountCos)";
    match e.attribute_in_use(&key)? {
        (Some(class), _) => {
            Err(conflict(format!("the class of service {class:?} has a value of {name}: {clear}")))
        }
        (None, Some(id)) => {
            let who = e.account(id)?.map_or_else(|| format!("account {id}"), |a| a.key().to_string());
            Err(conflict(format!("{who} has a value of {name}: {clear}")))
        }
        (None, None) => {
            e.remove_attribute(&key)?;
            Ok(Reply::Done)
        }
    }
}

/// The key, the name and the type of an attribute that can be set.
fn settable(rows: &Rows<'_>, name: &str) -> Result<(String, String, Rule, Type), Fault> {
    let key = name.trim().to_lowercase();
    if COUNTED.contains(&key.as_str()) {
        return Err(conflict(format!("{} is counted by the system: it cannot be set", name.trim())));
    }
    let site = rows.attribute(&key)?;
    let of = cos::find(&key).map(Definition::from).or(site.as_ref().map(Definition::from));
    let of = of.ok_or_else(|| {
        let define = "see ListCosAttributes, or define it with CreateCosAttribute";
        missing(format!("there is no attribute {:?}: {define}", name.trim()))
    })?;
    Ok((key, of.name.to_owned(), of.rule, of.kind))
}

pub(super) fn set(e: &Edit<'_>, cos: &str, name: &str, value: Option<String>) -> Outcome {
    let (class_key, _) = class(e, cos)?;
    let (key, name, _, kind) = settable(e, name)?;
    let value = value.as_deref().map(|v| check::value(&name, kind, v)).transpose()?;
    e.set_class_value(&class_key, &key, value)?;
    Ok(Reply::Done)
}

pub(super) fn set_own(e: &Edit<'_>, user: &User, name: &str, value: Option<String>) -> Outcome {
    let account = find(e, user)?;
    let (key, name, rule, kind) = settable(e, name)?;
    if rule == Rule::Class && value.is_some() {
        let reason =
            format!("{name} has rule C: only classes of service have values of it (SetCosAttribute)");
        return Err(conflict(reason));
    }
    let value = value.as_deref().map(|v| check::value(&name, kind, v)).transpose()?;
    e.set_override(account.id, &key, value)?;
    Ok(Reply::Done)
}
