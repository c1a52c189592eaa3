//! A simulated plant that knows the truth about its own faults.
//!
//! Machines run under shifts, weekends, product changes and a day season; every metric follows the load through simple
//! physics, so that metrics of one machine move together as they do on a real floor. Faults of eight kinds are injected
//! and listed, which lets a detector be judged without labelled data.
//!
//! What a plant does that is new and yet healthy can be asked for: planned stops, and products that were never made before
//! ([`PlantConfig::stops_per_week`], [`PlantConfig::new_products_per_week`]).
//!
//! The crate is a pure library: no I/O, no clock, no environment. Everything follows from [`PlantConfig`], to the bit and
//! on every machine (transcendental functions come from `libm`, not from the platform). Four laws hold:
//!
//! - the same configuration gives the same bytes;
//! - a longer duration continues a shorter one: neither earlier values nor earlier faults change;
//! - a device's series depends on the seed and its own index alone, not on how many devices there are;
//! - [`Plant::skip_to`] arrives at the state that an uninterrupted run would have.
//!
//! It does not publish, pace or store anything, and it does not aim to be a model of any particular machine.
//!
//! ```
//! use simulator::{Emission, PayloadFormat, Plant, PlantConfig};
//!
//! let mut plant = Plant::new(PlantConfig { devices: 3, ..PlantConfig::default() })?;
//! let mut emission = Emission::default();
//! let mut payload = Vec::new();
//! for _ in 0..10 {
//!     assert!(plant.next_into(&mut emission));
//!     emission.payload(PayloadFormat::Topic, "demo", &mut payload);
//!     assert!(payload.starts_with(br#"{"topic":"tenants/demo/devices/"#));
//! }
//! println!("{} faults are injected", plant.truth().len());
//! # Ok::<(), simulator::ConfigErrors>(())
//! ```

mod calendar;
mod change;
mod config;
mod emission;
mod fault;
mod injection;
mod machine;
mod metric;
mod payload;
mod plant;
mod poison;
mod random;
mod schedule;

pub use change::{Change, ChangeKind};
pub use config::{ConfigError, ConfigErrors, DEVICES_MAX, PlantConfig};
pub use emission::Emission;
pub use fault::{Fault, FaultKind, Truth};
pub use metric::{AssetType, Metric};
pub use payload::PayloadFormat;
pub use plant::Plant;
pub use poison::PoisonKind;
