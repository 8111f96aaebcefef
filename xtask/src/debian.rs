//! The programs of other people that the tests run against the server: mail clients, a tracer, a compiler.
//!
//! On Debian, as root, what is missing is installed; else it is named. Nothing that is installed starts by
//! itself: a policy of the host forbids it meanwhile.

use crate::workspace::{Workspace, must};
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A program and the Debian package that holds it.
const PROGRAMS: &[(&str, &str)] = &[
    ("curl", "curl"),
    ("swaks", "swaks"),
    ("mbsync", "isync"),
    ("fetchmail", "fetchmail"),
    ("getmail", "getmail6"),
    ("mpop", "mpop"),
    ("smtp-source", "postfix"),
    ("smtp-sink", "postfix"),
    ("strace", "strace"),
    ("initdb", "postgresql"),
    ("ip", "iproute2"),
    ("python3", "python3"),
    ("npm", "npm"),
];

/// What programs above only look for when it is needed, and is no program itself: swaks speaks TLS by it.
const LIBRARIES: &[&str] = &["libnet-ssleay-perl"];
/// Debian's list of what is installed: a file a package.
const INSTALLED: &str = "/var/lib/dpkg/info";

/// Where programs lie that are not on everybody's path.
const SYSTEM_FOLDERS: &[&str] = &["/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/lib/postgresql/15/bin"];
/// Debian asks this program before it starts a daemon.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what is missing where that is possible, and returns the packages that are still missing.
///
/// # Errors
/// Where the installation was begun and failed.
pub(crate) fn install(workspace: &Workspace) -> Result<Vec<&'static str>> {
    let needed = missing();
    if needed.is_empty() || !may_install(workspace) {
        return Ok(needed);
    }
    println!("test: installing {}", needed.join(" "));
    let policy = Policy::forbid_starts()?;
    let outcome = apt(workspace, &needed);
    drop(policy);
    outcome?;
    Ok(missing())
}

fn missing() -> Vec<&'static str> {
    let programs = PROGRAMS.iter().filter(|(program, _)| find(program).is_none()).map(|p| p.1);
    let mut packages: Vec<_> =
        programs.chain(LIBRARIES.iter().copied().filter(|l| !has_library(l))).collect();
    packages.dedup();
    packages
}

/// Whether a library is installed; taken to be so where there is no list that says it.
fn has_library(package: &str) -> bool {
    let listed = |name: &str| {
        name.strip_suffix(".list")
            .is_some_and(|name| name.split_once(':').map_or(name, |(name, _)| name) == package)
    };
    let Ok(entries) = fs::read_dir(INSTALLED) else { return true };
    entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).any(|name| listed(&name))
}

/// The path of a program, looked for where root would.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(SYSTEM_FOLDERS.iter().map(PathBuf::from));
    folders.map(|f| f.join(program)).find(|p| p.is_file())
}

fn may_install(workspace: &Workspace) -> bool {
    let root = workspace.output("id", &["-u"]).is_ok_and(|id| id.trim() == "0");
    root && Path::new("/etc/debian_version").exists() && find("apt-get").is_some()
}

fn apt(workspace: &Workspace, packages: &[&str]) -> Result<()> {
    let quiet = |words: &[&str]| {
        let mut command = workspace.command("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq").args(words);
        must(&mut command)
    };
    quiet(&["update"])?;
    let words = [&["install", "-y", "--no-install-recommends"], packages].concat();
    quiet(&words)
}

/// The policy that no daemon starts, for as long as it lives; one that the host has already stays.
struct Policy {
    ours: bool,
}

impl Policy {
    fn forbid_starts() -> Result<Self> {
        let ours = !Path::new(POLICY).exists();
        if ours {
            fs::write(POLICY, "#!/bin/sh\nexit 101\n").with_context(|| format!("cannot write {POLICY}"))?;
            fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        }
        Ok(Self { ours })
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if self.ours && fs::remove_file(POLICY).is_err() {
            println!("test: {POLICY} could not be removed");
        }
    }
}
