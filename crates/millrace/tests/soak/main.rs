//! The embedded mode under kills, full disks, rivals and damage, in seconds; `cargo xtask soak` does it at length.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test ends where it cannot go on, and says what it skips"
)]

mod disks;
mod kills;
mod program;
mod refusals;
mod stored;
mod told;

use disks::{Shortage, shortage};
use program::Program;

/// A plant of 4,320 messages: seconds, and more than one commit.
fn small() -> Program {
    Program::new(env!("CARGO_BIN_EXE_millrace"), 3, 1)
}

#[test]
fn nothing_is_lost_or_doubled_wherever_a_run_is_killed() {
    let scratch = tempfile::tempdir().unwrap();
    let (reference, time) = kills::reference(&small(), scratch.path()).unwrap();
    let outcome = kills::soak(&small(), (&reference, time), scratch.path(), 6, 7, |_| {}).unwrap();
    assert!(outcome.differences.is_empty(), "{:#?}", outcome.differences);
    assert_eq!(outcome.kills, 6, "in {} folders: {:?}, {} orphans", outcome.folders, outcome.moments, outcome.orphans);
}

/// Every shortage ends with words and exit code 1, and the same command goes on once there is room.
fn check(what: Shortage, steps: u64) {
    let scratch = tempfile::tempdir().unwrap();
    let (reference, _) = kills::reference(&small(), scratch.path()).unwrap();
    let size = stored::size(&scratch.path().join("reference")).unwrap();
    let most = match what {
        Shortage::Bytes => size.bytes,
        Shortage::Files => size.files,
        Shortage::FileSize => size.largest,
    };
    let sizes = (0..steps).map(|step| (most * step / steps).max(1));
    match shortage(&small(), &reference, scratch.path(), what, sizes).unwrap() {
        None => eprintln!("skipped: {what:?} cannot be arranged for this user on this machine"),
        Some(outcome) => {
            assert!(outcome.differences.is_empty(), "{:#?}", outcome.differences);
            assert!(outcome.filled * 2 >= outcome.sizes, "little was short: {:?}", outcome.words);
            assert!(what == Shortage::FileSize || outcome.kept > 0, "no size left room for a commit");
        }
    }
}

#[test]
fn a_disk_that_fills_up_loses_nothing() {
    check(Shortage::Bytes, 4);
}

#[test]
fn a_disk_without_files_left_loses_nothing() {
    check(Shortage::Files, 3);
}

#[test]
fn a_limit_of_file_sizes_is_an_error_and_no_silent_death() {
    check(Shortage::FileSize, 3);
}
