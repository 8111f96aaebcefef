//! Certificates for the wire between the servers of a site: its authority, and the hosts that it vouches for.
//!
//! The authority's key lies on one host only, in `lib/rme/authority.pem`. Every host has `ca.pem` (whom it believes) and
//! `host.pem` (who it is); what they are used for is in `rpc::identity`.

use crate::folder;
use admin::site::Site;
use anyhow::Context as _;
use control::topology::Topology;
use env::settings::Settings;
use mail::id::HostName;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rpc::identity::{AUTHORITIES, HOST};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivateKeyDer, ServerName};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The certificate and the key of the authority.
const AUTHORITY: &str = "authority.pem";

/// The files of one host: what it believes and who it is.
#[derive(Debug, Clone)]
pub(crate) struct Papers {
    /// Certificates of the authorities.
    pub(crate) authorities: String,
    /// The host's certificate and its key.
    pub(crate) host: String,
}

/// Whether the authority of the site is on this host.
pub(crate) fn has_authority(site: &Site) -> bool {
    authority_file(site).exists()
}

/// Makes the authority of a new site. One that is there stays.
///
/// # Errors
/// Names the file that cannot be written.
pub(crate) fn make_authority(site: &Site) -> anyhow::Result<()> {
    if has_authority(site) {
        return Ok(());
    }
    let key = KeyPair::generate().context("cannot make a key")?;
    let certificate = authority()?.self_signed(&key).context("cannot make the authority's certificate")?;
    let pem = certificate.pem();
    write_private(&authority_file(site), &format!("{pem}{}", key.serialize_pem()))?;
    write_private(&folder::identity_folder(site).join(AUTHORITIES), &pem)
}

/// Makes the authority of a new site and the papers of its first host, where there are none.
///
/// # Errors
/// As [`make_authority`] and [`certify`].
pub(crate) fn of_first_host(site: &Site) -> anyhow::Result<()> {
    if has_papers(site) {
        return Ok(());
    }
    make_authority(site)?;
    install(site, &certify(site, site.host())?)
}

/// The same for a site of one host that was not made by `intermail init`: a second host may be invited then. Where there
/// are others, they have an authority already, and this host has lost its papers.
///
/// # Errors
/// As [`of_first_host`].
pub(crate) fn of_lone_host(site: &Site, settings: &Settings) -> anyhow::Result<()> {
    match Topology::of(&settings.tree(), site.host()).is_alone() {
        true => of_first_host(site),
        false => Ok(()),
    }
}

/// Certifies a host of the site.
///
/// # Errors
/// Where the authority is not on this host, or its file is damaged.
pub(crate) fn certify(site: &Site, host: &HostName) -> anyhow::Result<Papers> {
    let file = authority_file(site);
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("the authority of the site is not here: cannot read {}", file.display()))?;
    let no_key = || format!("{} has no key", file.display());
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).with_context(no_key)?;
    let key = KeyPair::try_from(&key).with_context(no_key)?;
    let issuer = Issuer::new(authority()?, key);
    let own = KeyPair::generate().context("cannot make a key")?;
    let name = host.as_str();
    let no_name = || format!("{name} cannot stand in a certificate: it is no name for a host");
    ServerName::try_from(name).with_context(no_name)?;
    let mut params = CertificateParams::new(vec![name.to_owned()]).with_context(no_name)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&own, &issuer).context("cannot certify the host")?;
    let authorities = folder::identity_folder(site).join(AUTHORITIES);
    let authorities = std::fs::read_to_string(&authorities)
        .with_context(|| format!("cannot read {}", authorities.display()))?;
    Ok(Papers { authorities, host: format!("{}{}", certificate.pem(), own.serialize_pem()) })
}

/// Gives this host its papers.
///
/// # Errors
/// Names the file that cannot be written.
pub(crate) fn install(site: &Site, papers: &Papers) -> anyhow::Result<()> {
    let folder = folder::identity_folder(site);
    write_private(&folder.join(AUTHORITIES), &papers.authorities)?;
    write_private(&folder.join(HOST), &papers.host)
}

/// Whether this host has papers already.
pub(crate) fn has_papers(site: &Site) -> bool {
    folder::identity_folder(site).join(HOST).exists()
}

/// What the authority's certificate says. Always the same: several authorities of a site are told apart by their keys.
fn authority() -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new()).context("cannot name the authority")?;
    params.distinguished_name.push(DnType::CommonName, "InterMail site authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn authority_file(site: &Site) -> PathBuf {
    folder::identity_folder(site).join(AUTHORITY)
}

/// Writes a file that nobody else may read, in one step: a crash leaves all of it or nothing.
pub(crate) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || {
        let new = path.with_extension("new");
        let mut file =
            std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::tree::Tree;
    use rpc::identity::Identity;

    #[test]
    fn a_certified_host_has_an_identity_and_the_authority_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let site = folder::create(dir.path(), "venus").unwrap();
        assert!(certify(&site, site.host()).is_err());
        make_authority(&site).unwrap();
        let first = std::fs::read(authority_file(&site)).unwrap();
        make_authority(&site).unwrap();
        assert_eq!(std::fs::read(authority_file(&site)).unwrap(), first);
        install(&site, &certify(&site, site.host()).unwrap()).unwrap();
        assert!(has_papers(&site) && Identity::load(&folder::identity_folder(&site)).is_ok());
        assert!(certify(&site, &HostName::new("not a name\n")).is_err());
    }

    #[test]
    fn a_host_without_papers_gets_them_where_it_is_the_only_one() {
        let dir = tempfile::tempdir().unwrap();
        let site = folder::create(dir.path(), "venus").unwrap();
        let settings = |text: &str| Settings::new("venus", "common", Tree::parse(text).unwrap());
        of_lone_host(&site, &settings("/mars/sysadmin/mss_run: [on]\n")).unwrap();
        assert!(!has_authority(&site) && !has_papers(&site));
        of_lone_host(&site, &settings("")).unwrap();
        assert!(has_authority(&site) && has_papers(&site));
        let papers = || std::fs::read(folder::identity_folder(&site).join(HOST)).unwrap();
        let first = papers();
        of_lone_host(&site, &settings("")).unwrap();
        assert_eq!(papers(), first, "again is nothing");
    }
}
