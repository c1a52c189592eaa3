//! `target/venv`: a Python environment of its own with the pinned tools of `requirements.txt`.
//!
//! The emulator pins libraries that would collide with anybody's global ones, hence the separate environment. It is
//! built once and again when the requirements or the Python behind it change; a build that was interrupted leaves no
//! stamp and is started over.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::process::{capture, run, step};
use crate::repository::Repository;

const REQUIREMENTS: &str = "crates/xtask/requirements.txt";
/// The oldest Python that the emulator supports.
const PYTHON_MIN: (u32, u32) = (3, 10);

/// The folder with the tools' executables.
pub(crate) struct Venv {
    bin: PathBuf,
}

impl Venv {
    /// An executable of the environment.
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// `PATH` with the environment's tools first, so that one tool finds another (the packager its linker).
    ///
    /// # Errors
    /// The folder's name holds the separator of `PATH`.
    pub(crate) fn path_variable(&self) -> Result<OsString> {
        let inherited = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.bin.clone()).chain(env::split_paths(&inherited));
        env::join_paths(folders).with_context(|| format!("{} cannot be put in PATH", self.bin.display()))
    }
}

/// Makes the environment if it is not there or no longer what `requirements.txt` asks for.
///
/// # Errors
/// No Python 3.10 or later, no `venv` module, or a package that cannot be installed.
pub(crate) fn ready(repository: &Repository) -> Result<Venv> {
    let folder = repository.target("venv");
    let venv = Venv { bin: folder.join(if cfg!(windows) { "Scripts" } else { "bin" }) };
    let stamp = folder.join("made-from.txt");
    let requirements = repository.path(REQUIREMENTS);
    let wanted = format!(
        "{}\n{}",
        python_version()?,
        fs::read_to_string(&requirements).with_context(|| format!("cannot read {REQUIREMENTS}"))?
    );
    if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == wanted) {
        return Ok(venv);
    }
    step("tools (target/venv)", || {
        remove(&folder)?;
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder)).context(
            "Python's `venv` module is needed to install the test tools; on Debian it is the package python3-venv",
        )?;
        run(Command::new(venv.tool("python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--requirement"])
            .arg(&requirements))?;
        fs::write(&stamp, &wanted).with_context(|| format!("cannot write {}", stamp.display()))
    })?;
    Ok(venv)
}

/// `Python 3.11.7 at /usr`, the identity of the interpreter an environment is made from.
fn python_version() -> Result<String> {
    let answer =
        capture(Command::new("python3").args(["-c", "import sys; print(*sys.version_info[:3], sys.base_prefix)"]))
            .context("Python 3 is needed to run the emulator; `python3` must be in PATH")?;
    let mut words = answer.split_whitespace();
    let mut number = || words.next().and_then(|word| word.parse::<u32>().ok());
    match (number(), number()) {
        (Some(major), Some(minor)) if (major, minor) >= PYTHON_MIN => Ok(format!("# Python {}", answer.trim())),
        _ => bail!("Python {}.{} or later is needed, `python3` is {}", PYTHON_MIN.0, PYTHON_MIN.1, answer.trim()),
    }
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove the old environment {}", folder.display()))
        }
        _ => Ok(()),
    }
}
