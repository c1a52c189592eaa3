//! The processes in which the emulator runs functions.
//!
//! The emulator starts a function's `bootstrap` as an ordinary process and keeps it warm, so a crash is as real as it
//! gets: `SIGKILL`, at whatever point the function is. Linux only, as the zip is.

use std::fs;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

/// The processes that run the function of this name now.
fn running(function: &str) -> Result<Vec<Pid>> {
    let own_name = format!("AWS_LAMBDA_FUNCTION_NAME={function}");
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot list the processes")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        // A process may end, or belong to somebody else, while we look: then it is none of ours.
        let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
        if environment.split(|byte| *byte == 0).any(|variable| variable == own_name.as_bytes()) {
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
    let mut killed = 0;
    for pid in running(function)? {
        // It may have ended by itself since.
        killed += usize::from(kill_process(pid, Signal::KILL).is_ok());
    }
    Ok(killed)
}
