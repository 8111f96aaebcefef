//! From root to the user that serves: the site is given to it, and root is left behind for good.
//!
//! Promises: nothing outside the site folder changes its owner. The user could write in the site before, so what lies
//! there is not trusted: links are never followed, and a file with a second name is left alone.

use admin::site::Site;
use anyhow::Context as _;
use nix::unistd::{User, initgroups, setgid, setuid};
use rustix::fs::{self, AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// Folders in folders; the site has five.
const MAX_DEPTH: u32 = 16;

/// Gives the site to the user and becomes that user, with all threads of the process.
///
/// # Errors
/// Where there is no such user, the process may not become it, or the site cannot be given to it.
pub(crate) fn become_user(site: &Site, name: &str) -> anyhow::Result<User> {
    let user = User::from_name(name).context("cannot look up the user")?;
    let user = user.with_context(|| format!("there is no user {name}"))?;
    let owner = Owner { user: Uid::from_raw(user.uid.as_raw()), group: Gid::from_raw(user.gid.as_raw()) };
    owner
        .take(site.folder())
        .with_context(|| format!("cannot give {} to {name}: start as root", site.folder().display()))?;
    let group_name = CString::new(name).context("the user's name is not valid")?;
    initgroups(&group_name, user.gid).with_context(|| format!("cannot become {name}: start as root"))?;
    setgid(user.gid).context("cannot take the user's group")?;
    setuid(user.uid).with_context(|| format!("cannot become {name}: start as root"))?;
    Ok(user)
}

/// Who is to own the site.
struct Owner {
    user: Uid,
    group: Gid,
}

impl Owner {
    fn take(&self, folder: &Path) -> rustix::io::Result<()> {
        let root = fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        if fs::fstat(&root)?.st_uid != self.user.as_raw() {
            fs::fchown(&root, Some(self.user), Some(self.group))?;
        }
        self.take_below(root.as_fd(), 0)
    }

    fn take_below(&self, folder: BorrowedFd<'_>, depth: u32) -> rustix::io::Result<()> {
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let is_folder = self.take_one(folder, name)?;
            if is_folder && depth < MAX_DEPTH {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let below = fs::openat(folder, name, flags, Mode::empty())?;
                self.take_below(below.as_fd(), depth + 1)?;
            }
        }
        Ok(())
    }

    /// Whether it is a folder.
    fn take_one(&self, folder: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<bool> {
        let stat = fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if stat.st_uid != self.user.as_raw() && (is_folder || stat.st_nlink == 1) {
            fs::chownat(folder, name, Some(self.user), Some(self.group), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(is_folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    #[test]
    fn all_of_the_site_is_given_and_nothing_behind_a_link() {
        if !nix::unistd::geteuid().is_root() {
            // Only root can give files away; the site's tests show what anybody else is told.
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["site/a/b", "other"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        for file in ["site/a/b/own", "other/file", "other/twice"] {
            std::fs::write(at(file), "").unwrap();
        }
        symlink(at("other"), at("site/a/link")).unwrap();
        symlink(at("other/file"), at("site/link")).unwrap();
        std::fs::hard_link(at("other/twice"), at("site/twice")).unwrap();
        Owner { user: Uid::from_raw(4711), group: Gid::from_raw(4712) }.take(&at("site")).unwrap();
        let owner = |name: &str| std::fs::symlink_metadata(at(name)).unwrap().uid();
        for given in ["site", "site/a", "site/a/b", "site/a/b/own", "site/link"] {
            assert_eq!(owner(given), 4711, "{given}");
        }
        for kept in ["other", "other/file", "other/twice"] {
            assert_eq!(owner(kept), 0, "{kept}");
        }
    }
}
