//! The names a plant's readings go by: five metrics and the types of machine that have some of them.
//!
//! Only names, units and printing resolution live here; what the values do is in `machine`.

use serde::{Deserialize, Serialize};

/// How many metrics there are; the signals of a machine are arrays of this length, indexed by [`Metric`].
pub(crate) const METRICS: usize = 5;

/// A quantity that a sensor measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Of the bearing housing, °C; healthy values lie within 10–80.
    Temperature,
    /// Root mean square velocity, mm/s; healthy values lie below 5.0.
    Vibration,
    /// Of the medium, PSI; healthy values lie within 30–150.
    Pressure,
    /// Revolutions per minute of the shaft.
    Rpm,
    /// Electrical power taken, kW.
    Power,
}

impl Metric {
    /// Every metric, in the order in which payloads carry them.
    pub const ALL: [Self; METRICS] = [Self::Temperature, Self::Vibration, Self::Pressure, Self::Rpm, Self::Power];

    /// The name in payloads and truth, for example `temperature`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Temperature => "temperature",
            Self::Vibration => "vibration",
            Self::Pressure => "pressure",
            Self::Rpm => "rpm",
            Self::Power => "power",
        }
    }

    /// The metric of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Digits after the point that a sensor of this metric resolves.
    #[must_use]
    pub const fn decimals(self) -> u32 {
        match self {
            Self::Vibration => 3,
            Self::Temperature | Self::Pressure | Self::Power => 2,
            Self::Rpm => 1,
        }
    }

    /// The value as the sensor reports it: rounded to its resolution.
    pub(crate) fn resolve(self, value: f64) -> f64 {
        let scale = match self.decimals() {
            1 => 10.0,
            2 => 100.0,
            _ => 1_000.0,
        };
        (value * scale).round() / scale
    }
}

/// A type of machine, which decides the metrics it has and the name its devices bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AssetType {
    /// All five metrics.
    Pump,
    /// All five metrics.
    Compressor,
    /// No pressure.
    Motor,
    /// A hydraulic press: the shaft is inside, so no rpm.
    Press,
    /// Neither pressure nor power.
    Fan,
}

impl AssetType {
    /// Every type of machine.
    pub const ALL: [Self; 5] = [Self::Pump, Self::Compressor, Self::Motor, Self::Press, Self::Fan];

    /// The name with which device names begin, for example `pump`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pump => "pump",
            Self::Compressor => "compressor",
            Self::Motor => "motor",
            Self::Press => "press",
            Self::Fan => "fan",
        }
    }

    /// The metrics its devices report, in the order of [`Metric::ALL`].
    #[must_use]
    pub const fn metrics(self) -> &'static [Metric] {
        use Metric::{Power, Pressure, Rpm, Temperature, Vibration};
        match self {
            Self::Pump | Self::Compressor => &[Temperature, Vibration, Pressure, Rpm, Power],
            Self::Motor => &[Temperature, Vibration, Rpm, Power],
            Self::Press => &[Temperature, Vibration, Pressure, Power],
            Self::Fan => &[Temperature, Vibration, Rpm],
        }
    }

    /// Writes the name of device `index` of this type over `name`: `pump-00017`.
    pub(crate) fn write_device_name(self, index: u32, name: &mut String) {
        name.clear();
        name.push_str(self.name());
        name.push('-');
        for power in [10_000, 1_000, 100, 10, 1] {
            name.push(char::from(b'0' + (index / power % 10) as u8));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_its_name() {
        for metric in Metric::ALL {
            assert_eq!(Metric::from_name(metric.name()), Some(metric));
        }
        assert_eq!(Metric::from_name("humidity"), None);
    }

    #[test]
    fn a_device_name_has_five_digits() {
        let mut name = "old".to_owned();
        AssetType::Press.write_device_name(17, &mut name);
        assert_eq!(name, "press-00017");
        AssetType::Fan.write_device_name(99_999, &mut name);
        assert_eq!(name, "fan-99999");
    }

    #[test]
    fn a_sensor_reports_no_more_digits_than_it_resolves() {
        assert_eq!(Metric::Vibration.resolve(1.234_56).to_string(), "1.235");
        assert_eq!(Metric::Temperature.resolve(45.678).to_string(), "45.68");
        assert_eq!(Metric::Rpm.resolve(1449.96).to_string(), "1450");
    }
}
