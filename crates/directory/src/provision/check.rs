//! Which texts are names and values. Pure; every refusal names the text, what is wrong with it and what is expected.

use crate::fault::Fault;
use crate::route::split_target;
use catalog::account::DomainKind;
use catalog::cos::{self, MAX_NAME, Type};
use mail::address::{Domain, MAX_LOCAL_PART};
use mail::id::MailboxId;
use roles::directory::DirectoryError;
use storage::directory::MAX_GIVEN_MAILBOX;

/// Longest login name without domain, in bytes (ITS 15691).
const MAX_LOGIN: usize = 255;

fn invalid(reason: String) -> Fault {
    Fault(DirectoryError::Invalid(reason))
}

/// A login name: letters, digits, underscore, dash, period (ITS 25528); blanks around it do not count (ITS 19403).
pub(super) fn login_name(text: &str) -> Result<&str, Fault> {
    let name = text.trim();
    let fine = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    match name.len() {
        0 => Err(invalid("the login name is empty".into())),
        n if n > MAX_LOGIN => {
            Err(invalid(format!("the login name is {n} bytes long; {MAX_LOGIN} are allowed")))
        }
        _ if !name.chars().all(fine) => {
            let reason = "a login name has letters, digits, underscores, dashes and periods";
            Err(invalid(format!("the login name {name:?} is not valid: {reason}")))
        }
        _ => Ok(name),
    }
}

/// The local part of an address, without quotes, with every character that one can have (ITS 17587).
pub(super) fn local_part(text: &str) -> Result<&str, Fault> {
    let local = text.trim();
    match local.len() {
        0 => Err(invalid("the local part of the address is empty".into())),
        n if n > MAX_LOCAL_PART => Err(invalid(format!(
            "the local part {local:?} is {n} bytes long; RFC 5321 allows {MAX_LOCAL_PART}"
        ))),
        _ if local.chars().any(char::is_control) => {
            Err(invalid(format!("the local part {local:?} has a control character")))
        }
        _ => Ok(local),
    }
}

/// The name of a class or an attribute; `what` says of which.
pub(super) fn name<'a>(what: &str, text: &'a str) -> Result<&'a str, Fault> {
    let name = text.trim();
    match name.len() {
        0 => Err(invalid(format!("the name of the {what} is empty"))),
        n if n > MAX_NAME => {
            Err(invalid(format!("the name of the {what} is {n} bytes long; {MAX_NAME} are allowed")))
        }
        _ if name.chars().any(char::is_control) => {
            Err(invalid(format!("the name of the {what} has a control character")))
        }
        _ => Ok(name),
    }
}

/// The name of an attribute: one word.
pub(super) fn attribute_name(text: &str) -> Result<&str, Fault> {
    let name = name("attribute", text)?;
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.chars().all(fine) {
        return Ok(name);
    }
    Err(invalid(format!(
        "the attribute name {name:?} may have ASCII letters, digits, underscores, dashes and periods"
    )))
}

/// A value of an attribute, as it is to be stored.
pub(super) fn value<'a>(attribute: &str, kind: Type, text: &'a str) -> Result<&'a str, Fault> {
    let value = text.trim();
    let expected = match cos::find(attribute) {
        Some(built_in) if built_in.allows(value) => return Ok(value),
        Some(built_in) => built_in.expected(),
        None if kind.allows(value) => return Ok(value),
        None => kind.to_string(),
    };
    Err(invalid(format!("{attribute} cannot be {value:?}: expected {expected}")))
}

/// A mailbox id that is given by hand.
pub(super) fn mailbox(id: MailboxId) -> Result<MailboxId, Fault> {
    if (-MAX_GIVEN_MAILBOX..=MAX_GIVEN_MAILBOX).contains(&id.0) {
        return Ok(id);
    }
    Err(invalid(format!(
        "the mailbox id {id} is out of range: at most {MAX_GIVEN_MAILBOX} on either side of zero"
    )))
}

/// The name of a domain that mail can have: no address literal.
pub(super) fn domain(domain: &Domain) -> Result<&str, Fault> {
    match domain.literal() {
        Some(_) => Err(invalid(format!("{domain} is an address, not the name of a domain"))),
        None => Ok(domain.as_str()),
    }
}

/// The target of a domain as it is to be stored; empty: none.
pub(super) fn target(kind: DomainKind, target: Option<&str>) -> Result<String, Fault> {
    match (kind, target.map(str::trim).filter(|t| !t.is_empty())) {
        (DomainKind::Local, None) | (DomainKind::Relay | DomainKind::NonAuthoritative, None) => {
            Ok(String::new())
        }
        (DomainKind::Local, Some(target)) => {
            Err(invalid(format!("a local domain has no target; {target} would never be used")))
        }
        (DomainKind::Relay | DomainKind::NonAuthoritative, Some(target)) => match split_target(target) {
            Some((host, port)) => Ok(format!("{host}:{port}")),
            None => Err(invalid(format!("the target {target:?} is not of the form HOST or HOST:PORT"))),
        },
        (DomainKind::Rewrite, Some(target)) => match Domain::parse(target) {
            Ok(domain) => Ok(self::domain(&domain)?.to_owned()),
            Err(_) => Err(invalid(format!("the target {target:?} is not the name of a domain"))),
        },
        (DomainKind::Rewrite, None) => {
            Err(invalid("a rewrite domain needs a target: the domain that it is another name of".into()))
        }
    }
}

/// A domain that comes from the tables.
pub(super) fn stored_domain(text: &str) -> Result<Domain, Fault> {
    Domain::parse(text).map_err(|e| Fault(DirectoryError::Broken(format!("the stored domain {text:?}: {e}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason<T: std::fmt::Debug>(result: Result<T, Fault>) -> String {
        result.unwrap_err().0.to_string()
    }

    #[test]
    fn its_19403_blanks_around_names_do_not_count() {
        assert_eq!(login_name("  bob ").unwrap(), "bob");
        assert_eq!(local_part(" o'neil&co ").unwrap(), "o'neil&co");
        assert_eq!(name("class of service", " O'Neil's gold ").unwrap(), "O'Neil's gold");
    }

    #[test]
    fn its_15691_login_names_may_be_long() {
        assert!(login_name(&"x".repeat(255)).is_ok());
        assert_eq!(reason(login_name(&"x".repeat(256))), "the login name is 256 bytes long; 255 are allowed");
    }

    #[test]
    fn refusals_say_what_is_expected() {
        assert!(reason(login_name("a b")).contains("\"a b\""));
        assert!(
            reason(value("quotaThreshold", Type::Number, "101")).ends_with("expected a number from 0 to 100")
        );
        assert!(
            reason(value("pref_popaccess", Type::Text, "some")).ends_with("expected none, trusted or all")
        );
        assert!(reason(value("colour", Type::Flag, "maybe")).ends_with("expected yes or no"));
        assert!(reason(target(DomainKind::Rewrite, None)).contains("needs a target"));
        assert!(reason(target(DomainKind::Relay, Some("a b"))).contains("HOST:PORT"));
        assert!(reason(target(DomainKind::Local, Some("x"))).contains("never be used"));
        assert!(reason(attribute_name("a b")).contains("a b"));
        assert!(mailbox(MailboxId(-7)).is_ok() && mailbox(MailboxId(i64::MIN)).is_err());
    }

    #[test]
    fn targets_are_stored_in_one_form() {
        assert_eq!(target(DomainKind::Relay, Some("Mail.Test")).unwrap(), "mail.test:25");
        assert_eq!(target(DomainKind::Relay, Some(" ")).unwrap(), "");
        assert_eq!(target(DomainKind::Rewrite, Some("Other.Test.")).unwrap(), "other.test");
    }
}
