//! Loss of power on a real file system: the site lies on ext4 in a file, mounted so that nothing is written back by
//! itself. After kill -9 that file is copied at once: what was not synced is not in the copy. The copy is mounted, the
//! site starts on it, and every acknowledged message must be there. First the same with syncs that do nothing: that must
//! lose mail, or this shows nothing. Takes root and loop devices; where there are none it says so and passes.

use super::strace::Tracer;
use super::{Rack, USERS};
use crate::bench::contender::{Contender, wait_for};
use crate::bench::ours::Ours;
use crate::workspace::must;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const CUTS: u32 = 8;
const SIZE_MB: u64 = 3000;
/// Before the kernel writes dirty pages back by itself.
const LOAD: Duration = Duration::from_secs(3);

pub(super) fn run(rack: &Rack) -> Result<String> {
    let folder = rack.folder.path().join("power");
    fs::create_dir_all(&folder)?;
    let mut power = Power { rack, folder, cuts: 0 };
    let control = match Loop::fresh(&power.folder, "control") {
        Ok(disk) => disk,
        Err(error) => return Ok(format!("SKIPPED, no loop mount on this machine: {error:#}")),
    };
    power.found(&control)?;
    // Where a site does not even start, all is lost.
    let lying = power.cut(&control, "control", Syncs::DoNothing)?;
    let lost = lying.open(rack, &power.ledger("control")).unwrap_or(u64::MAX);
    drop((control, lying));
    ensure!(lost > 0, "syncs that did nothing lost nothing: this shows nothing");
    let mut disk = Loop::fresh(&power.folder, "first")?;
    power.found(&disk)?;
    let mut there = 0;
    for _ in 0..CUTS {
        disk = power.cut(&disk, "power", Syncs::Real)?;
        let mut site = Ours::new(rack.program.clone(), disk.site(), USERS);
        site.start()?;
        wait_for(site.ports().imap)?;
        there = rack.verify_drained(&site, &power.ledger("power")).context("after a loss of power")?;
        site.stop()?;
    }
    ensure!(there > 0, "nothing was acknowledged: nothing was shown");
    Ok(format!(
        "{CUTS} losses of power on ext4, {there} acknowledged messages all there; without syncs mail was lost"
    ))
}

/// What syncs do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Syncs {
    Real,
    DoNothing,
}

struct Power<'a> {
    rack: &'a Rack,
    folder: PathBuf,
    cuts: u32,
}

impl Power<'_> {
    fn ledger(&self, run: &str) -> PathBuf {
        self.rack.ledger(run)
    }

    /// Makes a site on a disk.
    fn found(&self, disk: &Loop) -> Result<()> {
        Ours::new(self.rack.program.clone(), disk.site(), USERS).reset()?;
        // What an operator has written by hand is not what is tested.
        must(Command::new("sync").arg("-f").arg(&disk.at))
    }

    /// Loads the site on a disk and takes the power away; returns the disk as it is found then.
    fn cut(&mut self, disk: &Loop, run: &str, syncs: Syncs) -> Result<Loop> {
        self.cuts += 1;
        let mut site = Ours::new(self.rack.program.clone(), disk.site(), USERS);
        site.start()?;
        let pid = site.pid().context("the server is not there")?;
        let tracer = match syncs {
            Syncs::Real => None,
            Syncs::DoNothing => {
                Some(Tracer::attach(pid, "fsync,fdatasync,sync_file_range,msync", "retval=0")?)
            }
        };
        let id = format!("{run}{}", self.cuts);
        let words =
            ["--conns", "32", "--messages", "1000000", "--limit", "60", "--timeout", "5", "--run", &id];
        let mut load = self.rack.begin(&site, &words, &self.ledger(run))?;
        std::thread::sleep(LOAD);
        site.kill()?;
        let copy = disk.copy(&self.folder.join(format!("cut{}", self.cuts)))?;
        drop(tracer);
        load.kill()?;
        load.wait()?;
        Ok(copy)
    }
}

/// A file system in a file, mounted.
struct Loop {
    file: PathBuf,
    at: PathBuf,
}

impl Loop {
    fn fresh(folder: &Path, name: &str) -> Result<Self> {
        let file = folder.join(name).with_extension("img");
        fs::File::create(&file)?.set_len(SIZE_MB << 20)?;
        must(
            Command::new("mkfs.ext4").args(["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0"]).arg(&file),
        )?;
        Self::mount(file)
    }

    fn mount(file: PathBuf) -> Result<Self> {
        let at = file.with_extension("mnt");
        fs::create_dir_all(&at)?;
        // Neither the journal nor the pages of files are written before somebody syncs.
        must(Command::new("mount").args(["-o", "loop,commit=600"]).arg(&file).arg(&at))?;
        Ok(Self { file, at })
    }

    fn site(&self) -> PathBuf {
        self.at.join("site")
    }

    /// The disk as it is without what only memory knows.
    fn copy(&self, to: &Path) -> Result<Self> {
        let file = to.with_extension("img");
        must(Command::new("cp").arg("--sparse=always").arg(&self.file).arg(&file))?;
        Self::mount(file)
    }

    /// Starts the site on it and counts what is lost.
    fn open(&self, rack: &Rack, ledger: &Path) -> Result<u64> {
        let mut site = Ours::new(rack.program.clone(), self.site(), USERS);
        site.start()?;
        let seen = rack.read("pop3", &site, ledger)?;
        site.kill()?;
        let counted = |name: &str| seen[name].as_f64().unwrap_or(0.0) as u64;
        Ok(counted("lost") + counted("unread") + counted("corrupt"))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
        let _ = fs::remove_file(&self.file);
    }
}
