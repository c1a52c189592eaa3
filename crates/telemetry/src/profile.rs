//! `profile.toml`: what a tenant says of its machines, as text that people write.
//!
//! ```toml
//! sensitivity = 0.3              # false alerts a device and week that are put up with, 0.001 to 100
//!
//! [metrics.temperature]
//! unit = "°C"
//! low = 10
//! high = 80
//! direction = "rise"             # both, rise or drop
//! severity = "warning"           # info, warning or critical
//! detectors = ["limit", "level"] # all when left out
//! aliases = ["temp"]
//!
//! [assets.pump]
//! devices = ["pump-*"]           # `*` stands for any run of characters; the first asset type that fits applies
//!
//! [assets.pump.metrics.vibration]
//! high = 4.5
//!
//! [alerts]
//! close_after_minutes = 10
//! escalate_after_minutes = [15]  # to the routes of level 1, when nobody has acknowledged
//!
//! [channels.hall]
//! type = "slack"                 # sns, slack, pagerduty, webhook, smtp or console
//! secret = "millrace/hall"       # the name under which the secret is kept, never the secret
//!
//! [[alerts.routes]]
//! channels = ["hall"]
//! severity_min = "warning"
//!
//! [[alerts.routes]]
//! channels = ["hall"]
//! level = 1
//!
//! [[alerts.maintenance]]
//! name = "weekly service"
//! days = ["sunday"]              # every day when left out
//! from = "22:00"
//! until = "06:00"                # on the next day
//! zone = "Europe/Berlin"         # UTC when left out
//! ```
//!
//! Everything may be left out; an empty file is complete. A file is taken as a whole or not at all: every mistake in it is
//! reported at once, with its line, its column and what to write instead, and [`ProfileBundle::replace`] keeps the good
//! profile that was there. A setting that is not known is a mistake, because a misspelt limit would guard nothing.
//!
//! What this does not do: read files, or say what the settings mean; [`anomaly_core::profile`] does.

mod alerts;
mod bundle;
mod mistake;
mod read;
mod value;

use anomaly_core::Profile;
use toml::Spanned;
use toml::de::DeTable;

#[cfg(feature = "zones")]
pub use self::alerts::zone;
pub use self::bundle::{BundleError, EMPTY_FINGERPRINT, ProfileBundle};
use self::mistake::Mistakes;
pub use self::mistake::{ProfileErrors, ProfileMistake};

/// Largest profile, in bytes.
pub const PROFILE_BYTES_MAX: usize = 1 << 20;
/// In a longer text only the first mistake against TOML is told: a mebibyte of nothing but mistakes would take three
/// quarters of a gibibyte to list.
const ALL_MISTAKES_BYTES_MAX: usize = 64 << 10;
/// Lowest sensitivity: one false alert a device in twenty years.
pub const SENSITIVITY_MIN: f64 = 0.001;
/// Highest sensitivity: a false alert a device every hundred minutes.
pub const SENSITIVITY_MAX: f64 = 100.0;
/// Longest unit, in bytes.
pub const UNIT_BYTES_MAX: usize = 32;
/// Longest name of an asset type, of a channel and of a maintenance window, in bytes.
pub const ASSET_BYTES_MAX: usize = 64;
/// Longest device pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 128;
/// Most asset types.
pub const ASSETS_MAX: usize = 1024;
/// Most device patterns of an asset type, and most metrics in one table.
pub const ENTRIES_MAX: usize = 4096;
/// Most routes, and most maintenance windows.
pub const ROUTES_MAX: usize = 256;
/// Most channels.
pub const CHANNELS_MAX: usize = 64;
/// Most receivers of a mail.
pub const RECEIVERS_MAX: usize = 50;
/// Longest address of a channel and longest name of a secret, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 512;
/// Most aliases of a metric.
pub const ALIASES_MAX: usize = 64;

/// Reads a profile.
///
/// # Errors
/// [`ProfileErrors`] with every mistake in the text, in the order of the lines; of a text above 64 KiB that is not TOML the
/// first alone.
pub fn parse_profile(text: &str) -> Result<Profile, ProfileErrors> {
    if text.len() > PROFILE_BYTES_MAX {
        let message =
            format!("the profile has {} bytes, the limit is {PROFILE_BYTES_MAX}; split the tenant", text.len());
        return Err(ProfileErrors::one(message));
    }
    let (table, syntax) = if text.len() <= ALL_MISTAKES_BYTES_MAX {
        DeTable::parse_recoverable(text)
    } else {
        match DeTable::parse(text) {
            Ok(table) => (table, Vec::new()),
            Err(first) => (Spanned::new(0..0, DeTable::new()), vec![first]),
        }
    };
    let mut mistakes = Mistakes::default();
    for error in &syntax {
        mistakes.syntax(error.span(), error.message());
    }
    let profile = read::profile(table.get_ref(), &mut mistakes);
    mistakes.into_result(text, profile)
}
