//! The processes in which the emulator runs functions.
//!
//! The emulator starts a function's `bootstrap` as an ordinary process and keeps it warm, so a crash is as real as it
//! gets: `SIGKILL`, at whatever point the function is. Linux only, as the zip is.

use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// How often it is looked whether a process that was killed has ended, and how many times.
const LOOK_EVERY: Duration = Duration::from_millis(1);
const LOOKS_MAX: u32 = 10_000;

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

/// Ends the function's processes at once, whatever they are doing, and sees that they have ended: the emulator would give the next
/// event to one that is still about to. Returns how many there were.
///
/// # Errors
/// The process table cannot be listed, or one does not end.
pub fn kill(function: &str) -> Result<usize> {
    kill_all(&format!("AWS_LAMBDA_FUNCTION_NAME={function}"))
}

/// The same, of all functions that have this variable with this value.
pub(crate) fn kill_all(variable: &str) -> Result<usize> {
    let killed = send(variable, Signal::KILL)?;
    for pid in &killed {
        let mut looks = 0;
        while is_there(*pid) {
            looks += 1;
            ensure!(looks < LOOKS_MAX, "process {} does not end", pid.as_raw_nonzero());
            thread::sleep(LOOK_EVERY);
        }
    }
    Ok(killed.len())
}

/// Whether a process has not ended yet, so that its parent would not hear of its end. One that has is a zombie, `Z`; its first thread is
/// that before the others have ended (proc(5), `/proc/pid/stat` and `/proc/pid/task`).
fn is_there(pid: Pid) -> bool {
    let of_process = |file: &str| format!("/proc/{}/{file}", pid.as_raw_nonzero());
    let Ok(stat) = fs::read_to_string(of_process("stat")) else { return false };
    // The name before the state is in parentheses, and may hold any character.
    let is_zombie = stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']));
    let has_others = fs::read_dir(of_process("task")).is_ok_and(|threads| threads.count() > 1);
    !is_zombie || has_others
}

/// Stops those, to be continued.
pub(crate) fn stop_all(variable: &str) -> Result<usize> {
    send(variable, Signal::STOP).map(|stopped| stopped.len())
}

/// Continues those.
pub(crate) fn continue_all(variable: &str) -> Result<usize> {
    send(variable, Signal::CONT).map(|continued| continued.len())
}

/// Returns which it has reached: one may have ended by itself since.
fn send(variable: &str, signal: Signal) -> Result<Vec<Pid>> {
    Ok(with(variable)?.into_iter().filter(|pid| kill_process(*pid, signal).is_ok()).collect())
}
