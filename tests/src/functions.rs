//! The processes in which the emulator runs functions.
//!
//! The emulator starts a function's `bootstrap` as an ordinary process and keeps it warm, so a crash is as real as it
//! gets: `SIGKILL`, at whatever point the function is. Linux only, as the zip is.

use std::fs;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

/// The name that every function has a variable of, and no emulator.
const FUNCTION: &[u8] = b"AWS_LAMBDA_FUNCTION_NAME=";

/// The processes that have this variable with this value.
fn with(variable: &str) -> Result<Vec<Pid>> {
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot list the processes")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        // A process may end, or belong to somebody else, while we look: then it is none of ours.
        let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
        let mut variables = environment.split(|byte| *byte == 0);
        let is_function = variables.clone().any(|one| one.starts_with(FUNCTION));
        if is_function && variables.any(|one| one == variable.as_bytes()) {
            processes.push(pid);
        }
    }
    Ok(processes)
}

/// Ends the function's processes at once, whatever they are doing. Returns how many there were.
///
/// # Errors
/// The process table cannot be listed.
pub fn kill(function: &str) -> Result<usize> {
    send(&format!("AWS_LAMBDA_FUNCTION_NAME={function}"), Signal::KILL)
}

/// The same, of all functions that have this variable with this value.
pub(crate) fn kill_all(variable: &str) -> Result<usize> {
    send(variable, Signal::KILL)
}

/// Stops those, to be continued.
pub(crate) fn stop_all(variable: &str) -> Result<usize> {
    send(variable, Signal::STOP)
}

/// Continues those.
pub(crate) fn continue_all(variable: &str) -> Result<usize> {
    send(variable, Signal::CONT)
}

fn send(variable: &str, signal: Signal) -> Result<usize> {
    let mut reached = 0;
    for pid in with(variable)? {
        // It may have ended by itself since.
        reached += usize::from(kill_process(pid, signal).is_ok());
    }
    Ok(reached)
}
