//! Where the database is, by the keys: a file of the site, or a PostgreSQL server that all hosts share.

use catalog::keys::common::{
    DB_RECONNECT_INTERVAL, DB_STATEMENT_TIMEOUT, PRIMARY_DB_CA_FILE, PRIMARY_DB_ENCRYPTION,
    PRIMARY_DB_PASSWORD_FILE, PRIMARY_DB_URL, PRIMARY_DB_USER, RETRY_ON_CONNECT_FAIL,
};
use env::settings::Settings;
use mail::secret::Secret;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use storage::sql::postgres::{Address, Host, Server, Tls};
use storage::sql::{Location, Remote, Retry, SqlError};

/// How long a server may take to take a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest password file.
const MAX_PASSWORD: u64 = 4096;

/// The database of the keys; without any the file, which lies in a folder of the site.
///
/// # Errors
/// [`SqlError::Unavailable`] with the key that cannot be followed, and why.
pub fn locate(settings: &Settings, file: &Path) -> Result<Location, SqlError> {
    let url = settings.get(PRIMARY_DB_URL);
    if url.trim().is_empty() {
        return Ok(Location::File(file.to_owned()));
    }
    let site = file.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    let bad = |key: &str, reason: &dyn std::fmt::Display| SqlError::Unavailable(format!("{key}: {reason}"));
    let address = Address::parse(url.trim()).map_err(|e| bad("primaryDBUrl", &e))?;
    let remote = address.hosts.iter().any(|h| matches!(h, Host::Tcp(..)));
    let tls = match (remote, settings.get(PRIMARY_DB_ENCRYPTION).as_str()) {
        (true, "verified") => {
            let roots = settings.get(PRIMARY_DB_CA_FILE);
            if roots.is_empty() {
                let reason = "it is needed to know the server by: see primaryDBEncryption";
                return Err(bad("primaryDBCAFile", &reason));
            }
            Tls::of_roots(&site.join(roots)).map_err(|e| bad("primaryDBCAFile", &e))?
        }
        _ => Tls::Off,
    };
    let password = match settings.get(PRIMARY_DB_PASSWORD_FILE) {
        none if none.is_empty() => None,
        name => Some(password(&site.join(name)).map_err(|e| bad("primaryDBPasswordFile", &e))?),
    };
    let server = Server {
        user: address.user.clone().unwrap_or_else(|| settings.get(PRIMARY_DB_USER)),
        address,
        password,
        tls,
        connect_timeout: CONNECT,
        statement_timeout: settings.get(DB_STATEMENT_TIMEOUT),
    };
    let retry = if settings.get(RETRY_ON_CONNECT_FAIL) { Retry::Once } else { Retry::Never };
    let longest_pause = settings.get(DB_RECONNECT_INTERVAL);
    Ok(Location::Server(Box::new(Remote { server, longest_pause, retry })))
}

/// The first line of a file that nobody but its owner reads.
fn password(file: &PathBuf) -> Result<Secret, String> {
    let bad = |e: &dyn std::fmt::Display| format!("{}: {e}", file.display());
    let found = std::fs::metadata(file).map_err(|e| bad(&e))?;
    if found.permissions().mode() & 0o077 != 0 {
        return Err(bad(&"others may read it; its mode must be 0600"));
    }
    if found.len() > MAX_PASSWORD {
        return Err(bad(&"it is longer than a password"));
    }
    let text = std::fs::read_to_string(file).map_err(|e| bad(&e))?;
    Ok(Secret::new(text.lines().next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::tree::Tree;

    fn located(keys: &str) -> Result<Location, String> {
        let settings = Settings::new("venus", "imdircacheserv", Tree::parse(keys).unwrap());
        locate(&settings, Path::new("/site/directory/isd.db")).map_err(|e| e.to_string())
    }

    #[test]
    fn without_keys_it_is_the_file() {
        let file = PathBuf::from("/site/directory/isd.db");
        assert!(matches!(located("").unwrap(), Location::File(path) if path == file));
    }

    #[test]
    fn a_password_lies_in_a_file_that_nobody_else_reads() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "hunter2\nmore").unwrap();
        let keys = format!(
            "/*/common/primaryDBUrl: [postgres:///isd?host=/run/postgresql]\n\
             /*/common/primaryDBPasswordFile: [{}]\n/*/common/dbReconnectInterval: [7]\n",
            file.display()
        );
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(located(&keys).err().unwrap().contains("mode must be 0600"));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let Location::Server(remote) = located(&keys).unwrap() else { panic!("not a server") };
        assert!(remote.server.password.unwrap().same_as(b"hunter2"));
        assert_eq!((remote.server.user.as_str(), remote.longest_pause), ("imail", Duration::from_secs(7)));
    }

    #[test]
    fn a_server_across_a_network_is_known_by_its_certificate_unless_that_is_switched_off() {
        let url = "/*/common/primaryDBUrl: [postgres://u@db.example.com/isd]\n";
        assert!(located(url).err().unwrap().contains("primaryDBCAFile"));
        let off = format!("{url}/*/common/primaryDBEncryption: [none]\n");
        let Location::Server(remote) = located(&off).unwrap() else { panic!("not a server") };
        assert!(matches!(remote.server.tls, Tls::Off) && remote.server.user == "u");
    }
}
