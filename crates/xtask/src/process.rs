//! Running other programs, and saying what ran, how long it took and why it failed.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Does `work` under a heading, with its duration on stderr. A failure carries the heading as its first context.
///
/// # Errors
/// Whatever `work` returned.
pub(crate) fn step<T>(heading: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    #[expect(clippy::disallowed_methods, reason = "how long a chore took is the point")]
    let started = Instant::now();
    eprintln!("==> {heading}");
    let outcome = work();
    let verdict = if outcome.is_ok() { "done" } else { "FAILED" };
    eprintln!("==> {heading}: {verdict} in {:.1} s", started.elapsed().as_secs_f64());
    outcome.with_context(|| format!("step `{heading}` failed"))
}

/// Runs a program to its end, its output going where ours goes.
///
/// # Errors
/// The program cannot be started, or it ends with anything but success; the message quotes the command line.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = command_line(command);
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

/// Runs a program to its end and returns what it wrote to stdout; its stderr goes where ours goes.
///
/// # Errors
/// As [`run`], or output that is not UTF-8.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let line = command_line(command);
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` ended with {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` wrote something that is not UTF-8"))
}

/// Whether a program can be started and succeeds, its output ignored: the way to ask if an optional tool is installed.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

fn command_line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
