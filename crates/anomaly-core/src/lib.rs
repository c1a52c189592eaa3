//! The engine of Millrace: readings in, verdicts out.
//!
//! A reading enters as an [`Observation`] (one device, one instant, one or many metrics) and leaves as a [`Scored`]
//! row: what became of each reading, how abnormal the device is, and whether that is worth an [`Alert`]. Time arrives
//! with the data; nothing here reads a clock, a file, a socket or an environment variable, and nothing is random. The
//! same profile and the same observations in the same order give the same verdicts to the bit, on every machine
//! (transcendental functions come from `libm`, not from the platform's C library) and however the observations were cut
//! into batches.
//!
//! What it does not do: decode bytes, store anything, or decide who is told.

pub mod anomaly;
mod cadence;
pub mod detector;
mod device;
mod engine;
pub mod explanation;
mod familiar;
pub mod identity;
pub mod incident;
mod late;
mod name;
pub mod profile;
mod reading;
mod scored;
mod series;
mod telling;
mod time;

pub use anomaly::{Anomaly, AnomalyId, Severity};
pub use detector::{DetectorId, Evidence};
pub use device::{Device, DeviceStatus};
pub use engine::{DEVICES_MAX, Engine, Refused};
pub use explanation::{Contribution, Explanation};
pub use incident::{AlertSettings, Incident, IncidentId};
pub use late::LATE_RUN_ACCEPTED;
pub use name::{DeviceName, MetricName, NameError, TenantName};
pub use profile::{MetricSettings, Profile, ProfileSet};
pub use reading::{Finite, METRICS_MAX, NotFinite, Observation, Quality, Reading};
pub use series::{FUTURE_MAX_MS, Outcome, ReadingVerdict, Series};
pub use time::{TimeError, Timestamp};

pub use scored::{Alert, Scored};

/// Version of the serialised [`Engine`]: part of every snapshot, raised whenever the layout or the meaning of a field
/// changes. Version 2 stores runs of late readings in full.
pub const STATE_VERSION: u16 = 2;
/// The oldest version that is still read.
pub const STATE_VERSION_OLDEST: u16 = 1;
