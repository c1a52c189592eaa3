//! The zips that are deployed: one for each package with `[package.metadata.lambda]`, built by `cargo lambda`.
//!
//! They are built with default features only, so nothing of the embedded stores gets in, and with the profile
//! `lambda` of the root manifest. The packager's own release settings are switched off: they would turn panics into
//! aborts, and the Lambda runtime could no longer report them. What they would set beside that is in that profile or in
//! [`rustflags`].

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{run, step};
use crate::repository::Repository;
use crate::venv::Venv;
use crate::{Architecture, venv};

/// Compiler flags of a function for this processor; none where the target's own are right.
///
/// Every x86 machine behind Lambda has AVX2 (AWS Lambda Developer Guide, "Using AVX2 vectorization in Lambda", which
/// compiles for Haswell); `x86-64-v3` is that level without one vendor's timings. A fused multiply-add is never made of a
/// multiplication and an addition by this, so that verdicts stay equal to the bit. A machine that runs the zip itself, as
/// the tests do, needs a processor of 2013 or later.
pub(crate) fn rustflags(architecture: Architecture) -> Option<&'static str> {
    match architecture {
        Architecture::X86_64 => Some("-C target-cpu=x86-64-v3"),
        Architecture::Arm64 => None,
    }
}

/// What Lambda accepts in a direct upload, in bytes (Lambda quotas: deployment package, zipped).
const ZIP_BYTES_MAX: u64 = 50 * 1024 * 1024;

/// A function's zip.
pub(crate) struct LambdaZip {
    /// The package, which is also the function's name without its environment.
    pub(crate) function: String,
    /// The file, with `bootstrap` inside.
    pub(crate) path: PathBuf,
}

/// Builds the zip of every function.
///
/// # Errors
/// The tools cannot be installed, the build fails, or a zip is larger than Lambda takes.
pub(crate) fn all(repository: &Repository, architecture: Architecture) -> Result<Vec<LambdaZip>> {
    let venv = venv::ready(repository)?;
    if repository.functions().is_empty() {
        bail!("no package has [package.metadata.lambda]: there is nothing to package");
    }
    step("package the functions", || {
        let mut build = repository.cargo();
        build.env("PATH", venv.path_variable()?);
        build.args(["lambda", "build", "--profile", "lambda", "--disable-optimizations", "--output-format", "zip"]);
        build.arg(match architecture {
            Architecture::Arm64 => "--arm64",
            Architecture::X86_64 => "--x86-64",
        });
        if let Some(flags) = rustflags(architecture) {
            build.env("RUSTFLAGS", flags);
        }
        for function in repository.functions() {
            build.args(["--package", function]);
        }
        run(&mut build)?;
        repository.functions().iter().map(|function| built(repository, function)).collect()
    })
}

/// Zips of the functions that a build of the tests has left, without the symbols, which nobody reads there.
///
/// # Errors
/// A function was not built, or `strip` (of the binutils, which a linker comes with) or Python fails.
pub(crate) fn tested(repository: &Repository, venv: &Venv) -> Result<Vec<LambdaZip>> {
    step("zips of the functions", || {
        let zip = |function: &String| {
            let folder = repository.target(&format!("lambda-tested/{function}"));
            fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            let bootstrap = folder.join("bootstrap");
            let program = repository.target("debug").join(format!("{function}{}", std::env::consts::EXE_SUFFIX));
            run(Command::new("strip").arg("-o").arg(&bootstrap).arg(program))?;
            let mut python = Command::new(venv.tool("python"));
            run(python.args(["-m", "zipfile", "-c", "bootstrap.zip", "bootstrap"]).current_dir(&folder))?;
            fs::remove_file(&bootstrap).with_context(|| format!("cannot remove {}", bootstrap.display()))?;
            weighed(function, folder.join("bootstrap.zip"))
        };
        repository.functions().iter().map(zip).collect()
    })
}

fn built(repository: &Repository, function: &str) -> Result<LambdaZip> {
    weighed(function, repository.target(&format!("lambda/{function}/bootstrap.zip")))
}

fn weighed(function: &str, path: PathBuf) -> Result<LambdaZip> {
    let bytes = fs::metadata(&path).with_context(|| format!("the build left no {}", path.display()))?.len();
    if bytes > ZIP_BYTES_MAX {
        bail!("{} has {bytes} bytes; Lambda takes at most {ZIP_BYTES_MAX}", path.display());
    }
    eprintln!("    {} {:.2} MB", path.display(), bytes as f64 / 1e6);
    Ok(LambdaZip { function: function.to_owned(), path })
}
