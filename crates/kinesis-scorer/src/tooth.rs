//! Bugs that can be seeded into the scorer, to see that the simulation catches them.
//!
//! `tooth!("name")` is the constant `false` unless the feature `teeth` is on, which nothing that is deployed turns on. With
//! it, one bug at a time is switched on by name, for the thread that asks.

#[cfg(feature = "teeth")]
use std::cell::Cell;

/// Every bug that can be switched on.
#[cfg(feature = "teeth")]
pub const TEETH: &[&str] = &[
    "adopts-every-device",
    "adopts-what-is-here",
    "adopts-what-is-older",
    "adopts-while-passive",
    "bad-profile-replaces",
    "births-stay",
    "child-keeps-everything",
    "child-starts-empty",
    "episodes-not-in-snapshot",
    "episodes-stay",
    "epoch-not-noted",
    "epoch-without-snapshot",
    "first-is-skipped",
    "last-comes-twice",
    "memory-across-epochs",
    "memory-after-fault",
    "memory-after-move",
    "memory-of-any-shard",
    "metrics-before-commit",
    "names-without-identity",
    "nothing-is-old",
    "numbers-as-floats",
    "oldest-peer-first",
    "one-parent-only",
    "one-segment-only",
    "opinion-of-another-row",
    "opinions-not-noted",
    "own-state-wins",
    "parents-only",
    "profile-fault-is-bad-profile",
    "profiles-not-noted",
    "profiles-not-stored",
    "profiles-once",
    "replay-backwards",
    "replay-skips-last",
    "replay-without-snapshot",
    "rest-is-forgotten",
    "routes-forgotten",
    "segments-stay",
    "settled-by-last",
    "settled-by-version",
    "shutdown-forgets-batch",
    "snapshot-before-batch",
    "stale-epoch-commits",
    "states-left-out-too",
    "states-of-any-epoch",
    "stream-time-goes-back",
    "success-on-fault",
    "version-stays",
];

#[cfg(feature = "teeth")]
thread_local! {
    static BITING: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Switches one bug on for this thread, or all of them off.
#[cfg(feature = "teeth")]
pub fn bite(tooth: Option<&'static str>) {
    BITING.set(tooth);
}

#[cfg(feature = "teeth")]
pub(crate) fn bites(tooth: &str) -> bool {
    BITING.get() == Some(tooth)
}

/// Whether the bug of this name is switched on.
#[cfg(feature = "teeth")]
macro_rules! tooth {
    ($name:literal) => {
        $crate::tooth::bites($name)
    };
}

/// Whether the bug of this name is switched on: never, in this build.
#[cfg(not(feature = "teeth"))]
macro_rules! tooth {
    ($name:literal) => {
        false
    };
}
