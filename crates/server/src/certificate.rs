//! The certificate of a site: the operator's, or one that the site signs for itself.

use crate::folder;
use crate::identity::write_private;
use admin::site::Site;
use anyhow::Context as _;
use net::tls::ServerTls;
use std::path::PathBuf;

/// Loads the certificate that a server uses: the configured file, or the site's own, made on first use.
///
/// # Errors
/// Names the file and what is wrong with it.
pub(crate) fn load(site: &Site, configured: &str) -> anyhow::Result<ServerTls> {
    let path = match configured {
        "" => own(site)?,
        path => PathBuf::from(path),
    };
    ServerTls::load(&path).map_err(anyhow::Error::from)
}

/// The site's own certificate, made if it is not there.
fn own(site: &Site) -> anyhow::Result<PathBuf> {
    let path = folder::own_certificate(site);
    if !path.exists() {
        let pem = self_signed(site.host().as_str()).context("cannot make a certificate")?;
        write_private(&path, &pem)?;
    }
    Ok(path)
}

/// Chain and key in one PEM text, for the host's name and the loopback.
fn self_signed(host: &str) -> Result<String, rcgen::Error> {
    let mut names = vec![host.to_owned(), "localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.dedup();
    let made = rcgen::generate_simple_self_signed(names)?;
    Ok(format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_certificate_is_made_once_and_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let site = folder::create(folder.path(), "venus").unwrap();
        load(&site, "").unwrap();
        let path = folder::own_certificate(&site);
        let first = std::fs::read(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        load(&site, "").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first);
    }

    #[test]
    fn a_bad_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let site = folder::create(folder.path(), "venus").unwrap();
        let error = load(&site, "/nonexistent/cert.pem").err().unwrap();
        assert!(error.to_string().contains("/nonexistent/cert.pem"), "{error}");
    }
}
