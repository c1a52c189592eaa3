//! One message of one device, before it is written as a payload.

use crate::injection::Sample;
use crate::metric::{AssetType, METRICS};
use crate::poison::PoisonKind;

/// What one device sends at one instant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Emission {
    /// When it was measured, UTC milliseconds.
    pub at_ms: i64,
    /// Index of the device.
    pub device: u32,
    /// Name of the device, for example `pump-00017`.
    pub device_name: String,
    /// Metric and value at sensor resolution, in the order of [`Metric::ALL`](crate::Metric::ALL). A silent metric is
    /// missing; a silent device emits nothing at all.
    pub values: Vec<(&'static str, f64)>,
    /// If set, the payload is unreadable in this way and the values are lost with it.
    pub poison: Option<PoisonKind>,
}

impl Emission {
    /// Overwrites this emission, reusing its buffers.
    pub(crate) fn fill(
        &mut self,
        at_ms: i64,
        device: u32,
        asset: AssetType,
        sample: &Sample,
        poison: Option<PoisonKind>,
    ) {
        self.at_ms = at_ms;
        self.device = device;
        asset.write_device_name(device, &mut self.device_name);
        self.poison = poison;
        self.values.clear();
        self.values.reserve(METRICS);
        for &metric in asset.metrics() {
            if sample.present[metric as usize] {
                self.values.push((metric.name(), sample.values[metric as usize]));
            }
        }
    }
}
