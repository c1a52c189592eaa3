//! Disks that are full, have no files left, or may not be written, and limits of file sizes.
//!
//! A small disk is a tmpfs in a mount namespace of its own, held by a shell: it needs no privileges where the kernel lets
//! users have namespaces. Programs enter it with `nsenter`; a look at it goes through `/proc` (where SQLite, which takes
//! paths apart, would leave it again). Where that is forbidden, only the limit of file sizes (`prlimit --fsize`) is tried.
//! All three commands are util-linux's.

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::program::Program;
use crate::stored::{Stored, copy};

/// Mounts, says so, and mounts anew with what it is told, until it is told no more.
const HOLDER: &str = r#"mount -t tmpfs -o "$2" soak "$1" && echo ready &&
while read -r options; do mount -o "remount,$options" soak "$1" && echo ready; done"#;

/// A disk that goes when this goes.
#[derive(Debug)]
pub(crate) struct Disk {
    holder: Child,
    told: RefCell<ChildStdin>,
    says: RefCell<BufReader<ChildStdout>>,
    at: PathBuf,
}

impl Disk {
    /// `None` where this user may not have one.
    pub(crate) fn mount(at: &Path, options: &str) -> Result<Option<Self>> {
        fs::create_dir_all(at)?;
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", HOLDER, "sh"]).arg(at).arg(options);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let Ok(mut holder) = command.spawn() else { return Ok(None) };
        let (told, says) = (holder.stdin.take().context("no stdin")?, holder.stdout.take().context("no stdout")?);
        let (told, says) = (RefCell::new(told), RefCell::new(BufReader::new(says)));
        let disk = Self { holder, told, says, at: at.to_owned() };
        Ok(disk.is_ready()?.then_some(disk))
    }

    fn is_ready(&self) -> Result<bool> {
        let mut line = String::new();
        self.says.borrow_mut().read_line(&mut line)?;
        Ok(line == "ready\n")
    }

    /// Changes its options, for example `size=1g`.
    pub(crate) fn remount(&self, options: &str) -> Result<()> {
        writeln!(self.told.borrow_mut(), "{options}")?;
        ensure!(self.is_ready()?, "the disk cannot be mounted again with {options}");
        Ok(())
    }

    /// `program` where the disk is mounted.
    pub(crate) fn enter(&self, program: &Program) -> Program {
        let target = self.holder.id().to_string();
        let words = ["nsenter", "--target", &target, "--user", "--mount", "--preserve-credentials"];
        Program { wrapper: words.map(str::to_owned).to_vec(), ..program.clone() }
    }

    /// What a folder of it holds, copied off.
    pub(crate) fn copy(&self, dir: &Path, to: &Path) -> Result<()> {
        let below = dir.strip_prefix("/").context("a folder of a disk is an absolute path")?;
        let seen = Path::new("/proc").join(self.holder.id().to_string()).join("root").join(below);
        ensure!(dir.starts_with(&self.at), "`{}` is not on the disk", dir.display());
        if seen.exists() { copy(&seen, to) } else { Ok(()) }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// What is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// Bytes of the disk.
    Bytes,
    /// Files of the disk.
    Files,
    /// Bytes of one file.
    FileSize,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Sizes that were tried.
    pub(crate) sizes: u32,
    /// Of these, how many were too small for a whole run.
    pub(crate) filled: u32,
    /// Records that were committed before the shortage, all sizes together.
    pub(crate) kept: usize,
    pub(crate) differences: Vec<String>,
    /// Every way in which a run has ended, in its own words.
    pub(crate) words: Vec<String>,
}

/// Runs `program` with so little of it, then with enough, and compares. `None` where that cannot be arranged here.
pub(crate) fn shortage(
    program: &Program,
    reference: &Stored,
    scratch: &Path,
    shortage: Shortage,
    sizes: impl IntoIterator<Item = u64>,
) -> Result<Option<Outcome>> {
    let mut outcome = Outcome::default();
    for size in sizes {
        let place = scratch.join(format!("{shortage:?}-{size}"));
        let dir = place.join("plant");
        let tried = match shortage {
            Shortage::FileSize => {
                let wrapper = vec!["prlimit".to_owned(), format!("--fsize={size}")];
                if Command::new("prlimit").arg("--version").stdout(Stdio::null()).status().is_err() {
                    return Ok(None);
                }
                fs::create_dir_all(&place)?;
                let small = Program { wrapper, ..program.clone() };
                let copy_to = |to: &Path| if dir.exists() { copy(&dir, to) } else { Ok(()) };
                try_one([&small, program], &dir, reference, "ulimit", &mut outcome, copy_to, || Ok(()))
            }
            Shortage::Bytes | Shortage::Files => {
                let (small, large) = match shortage {
                    Shortage::Bytes => (format!("size={size}"), "size=1g"),
                    _ => (format!("size=1g,nr_inodes={size}"), "nr_inodes=100k"),
                };
                let Some(disk) = Disk::mount(&place, &small)? else { return Ok(None) };
                let inside = disk.enter(program);
                let copy_to = |to: &Path| disk.copy(&dir, to);
                try_one([&inside, &inside], &dir, reference, "full", &mut outcome, copy_to, || disk.remount(large))
            }
        };
        tried.with_context(|| format!("{shortage:?} {size}"))?;
        fs::remove_dir_all(&place)?;
    }
    Ok(Some(outcome))
}

fn try_one(
    [small, large]: [&Program; 2],
    dir: &Path,
    reference: &Stored,
    word: &str,
    outcome: &mut Outcome,
    copy_to: impl Fn(&Path) -> Result<()>,
    make_room: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let look = || {
        let seen = tempfile::tempdir()?;
        copy_to(seen.path())?;
        Stored::read(seen.path()).map(Option::unwrap_or_default)
    };
    outcome.sizes += 1;
    let ended = small.run(dir)?;
    if !ended.status.success() {
        outcome.filled += 1;
        if ended.status.code() != Some(1) || !ended.stderr.contains("error:") || !ended.stderr.contains(word) {
            outcome.differences.push(format!("{}, and does not say `{word}`: {}", ended.status, ended.stderr.trim()));
        }
        outcome.words.push(ended.stderr.trim().to_owned());
        let stored = look()?;
        outcome.kept += stored.messages();
        outcome.differences.extend(stored.differences_so_far(reference));
        make_room()?;
        large.finish(dir)?;
    }
    outcome.differences.extend(look()?.differences(reference));
    Ok(())
}
