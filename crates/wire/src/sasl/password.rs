//! PLAIN and LOGIN: a name and a password in the clear.

use super::BadResponse;
use mail::secret::Secret;

/// RFC 4616 2: octets of each field.
const MAX_FIELD: usize = 255;

/// A claim with its password, to be checked by the caller.
#[derive(Debug)]
pub struct Password {
    /// The name as it was given.
    pub login: Box<str>,
    /// The password as it was given.
    pub secret: Secret,
}

impl Password {
    /// # Errors
    /// [`BadResponse::Syntax`] for an empty password, one with a NUL, or one over 255 octets.
    pub(super) fn new(login: Box<str>, secret: &[u8]) -> Result<Self, BadResponse> {
        if secret.is_empty() || secret.len() > MAX_FIELD || secret.contains(&0) {
            return Err(BadResponse::Syntax);
        }
        Ok(Self { login, secret: Secret::new(secret) })
    }

    /// RFC 4616 2: `[authzid] NUL authcid NUL passwd`. Acting as another user is not offered.
    pub(super) fn from_plain(response: &[u8]) -> Result<Self, BadResponse> {
        let mut fields = response.split(|b| *b == 0);
        let (Some(acting_as), Some(login), Some(secret), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(BadResponse::Syntax);
        };
        let login = login_name(login)?;
        if !acting_as.is_empty() && acting_as != login.as_bytes() {
            return Err(BadResponse::Authorization);
        }
        Self::new(login, secret)
    }
}

/// A login name: UTF-8 of 1 to 255 octets without control characters.
pub(super) fn login_name(name: &[u8]) -> Result<Box<str>, BadResponse> {
    let name = std::str::from_utf8(name).map_err(|_| BadResponse::Syntax)?;
    if name.is_empty() || name.len() > MAX_FIELD || name.chars().any(char::is_control) {
        return Err(BadResponse::Syntax);
    }
    Ok(name.into())
}

/// The only response of PLAIN, for the side that proves itself: an MTA to a smart host.
pub fn plain_response(login: &str, secret: &Secret) -> Vec<u8> {
    [b"", login.as_bytes(), secret.expose()].join(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_is_split_at_its_nuls() {
        let password = Password::from_plain(b"\0tim\0tanstaaftanstaaf").unwrap();
        assert_eq!((&*password.login, password.secret.expose()), ("tim", &b"tanstaaftanstaaf"[..]));
        assert!(Password::from_plain(b"tim\0tim\0x").is_ok());
        assert_eq!(Password::from_plain(&plain_response("a", &Secret::new("b"))).unwrap().login, "a".into());
    }

    #[test]
    fn bad_plain_responses_say_why() {
        assert_eq!(Password::from_plain(b"root\0tim\0x").unwrap_err(), BadResponse::Authorization);
        for bad in [&b"tim\0x"[..], b"", b"\0tim\0x\0", b"\0\0x", b"\0tim\0", b"\0t\xff\0x", b"\0t\nm\0x"] {
            assert_eq!(Password::from_plain(bad).unwrap_err(), BadResponse::Syntax, "{bad:?}");
        }
        assert!(Password::from_plain(&[b"\0a\0".as_slice(), &[b'x'; 256]].concat()).is_err());
    }
}
