//! Bugs that can be seeded into the fan-out, to see that the simulation catches them.
//!
//! `tooth!("name")` is the constant `false` unless the feature `teeth` is on, which nothing that is deployed turns on. With
//! it, one bug at a time is switched on by name, for the thread that asks.

#[cfg(feature = "teeth")]
use std::cell::Cell;

/// Every bug that can be switched on.
#[cfg(feature = "teeth")]
pub const TEETH: &[&str] = &[
    "active-not-looked-at",
    "claim-not-written",
    "claimed-anew-unwritten",
    "digest-without-message",
    "failed-send-is-sent",
    "failure-not-reported",
    "first-change-is-skipped",
    "key-without-channel",
    "never-due-again",
    "profile-fault-is-no-profile",
    "result-before-sending",
    "settings-of-any-tenant",
    "status-epoch-ignored",
    "sweep-only-noted",
    "witness-not-written",
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
