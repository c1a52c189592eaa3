//! All devices of a plant together, in the order of time.
//!
//! Every device emits on a clock of its own: the plant's cadence, shifted by a phase drawn for the device. The order
//! within one cadence is therefore the same every time, so merging the devices costs nothing: they are kept sorted by
//! phase and visited round after round.

use crate::change::{Change, Changes, Orders};
use crate::config::{ConfigErrors, PlantConfig};
use crate::emission::Emission;
use crate::fault::{Fault, Truth};
use crate::injection::{self, Sample};
use crate::machine::Machine;
use crate::metric::AssetType;
use crate::poison::PoisonKind;
use crate::random::{Purpose, chance_at};
use crate::schedule::{Planned, Schedule};

/// A plant, and the place in time it has come to.
///
/// Memory is constant in time: about half a kibibyte a device, twice that with stops or new products, plus the lists of
/// faults and changes, which are made at the beginning.
#[derive(Debug, Clone)]
pub struct Plant {
    config: PlantConfig,
    /// By phase, then index.
    devices: Vec<Device>,
    /// The type of each device, by index.
    assets: Vec<AssetType>,
    truth: Vec<Fault>,
    changes: Vec<Change>,
    /// The step that `next_device` is about to take.
    step: i64,
    /// Position in `devices`.
    next_device: usize,
    poison_emitted: u64,
}

/// One device: its machine, its clock and the fault that is on or comes next.
#[derive(Debug, Clone)]
struct Device {
    index: u32,
    /// Offset of its clock into the cadence.
    phase_ms: i64,
    machine: Machine,
    fault: Planned,
    schedule: Schedule,
    /// Boxed, because most plants have none.
    changes: Option<Box<Changes>>,
    /// The value a stuck sensor repeats.
    held: f64,
}

impl Device {
    fn new(config: &PlantConfig, index: u32) -> Self {
        let phase = chance_at(config.seed, index, Purpose::Phase, 0) % config.cadence_ms.unsigned_abs();
        let phase_ms = phase as i64;
        let machine = Machine::new(config.seed, index, config.cadence_ms, config.noise, config.start + phase_ms);
        let mut schedule = Schedule::new(config, index, machine.asset(), machine.ratings());
        let fault = schedule.draw();
        let changes = Changes::new(config, index).map(Box::new);
        Self { index, phase_ms, machine, fault, schedule, changes, held: 0.0 }
    }

    fn advance(&mut self, step: i64, at_ms: i64) -> Sample {
        if step >= self.fault.until {
            self.fault = self.schedule.draw();
        }
        let orders = self.changes.as_mut().map_or(Orders::USUAL, |changes| changes.orders(step));
        let signals = self.machine.step(at_ms, injection::cooling_lost(&self.fault, step), orders);
        injection::sample(&signals, &self.fault, step, &mut self.held)
    }

    fn poison(&self, config: &PlantConfig, step: i64) -> Option<PoisonKind> {
        PoisonKind::at(config.poison_per_million, config.seed, self.index, step)
    }

    /// The faults of this device that begin within the run, in order.
    fn faults(&self, config: &PlantConfig) -> Vec<Fault> {
        let (first, end) = (config.start + self.phase_ms, config.end());
        let at = |step: i64| first.saturating_add(step.saturating_mul(config.cadence_ms));
        let asset = self.machine.asset();
        let mut device_name = String::new();
        asset.write_device_name(self.index, &mut device_name);

        let mut schedule = self.schedule.clone();
        let mut planned = self.fault;
        let mut faults = Vec::new();
        while at(planned.from) < end {
            let metrics = match planned.metric {
                Some(metric) => vec![metric.name()],
                None => asset.metrics().iter().map(|metric| metric.name()).collect(),
            };
            faults.push(Fault {
                device: self.index,
                device_name: device_name.clone(),
                kind: planned.kind,
                metrics,
                start_ms: at(planned.from),
                end_ms: at(planned.until).min(end),
                magnitude: planned.magnitude,
            });
            planned = schedule.draw();
        }
        faults
    }

    /// The stops and runs of new products that begin within the run, the stops first.
    fn changes(&self, config: &PlantConfig) -> Vec<Change> {
        let Some(changes) = &self.changes else { return Vec::new() };
        let (first, end) = (config.start + self.phase_ms, config.end());
        let at = |step: i64| first.saturating_add(step.saturating_mul(config.cadence_ms));
        let mut device_name = String::new();
        self.machine.asset().write_device_name(self.index, &mut device_name);
        let begins_within = changes.before(steps_before(end - first, config.cadence_ms));
        begins_within
            .into_iter()
            .map(|coming| Change {
                device: self.index,
                device_name: device_name.clone(),
                kind: coming.kind,
                start_ms: at(coming.from),
                end_ms: at(coming.until).min(end),
            })
            .collect()
    }
}

/// How many steps a clock takes in less than `span_ms`, the first at 0.
fn steps_before(span_ms: i64, cadence_ms: i64) -> i64 {
    if span_ms <= 0 { 0 } else { (span_ms - 1) / cadence_ms + 1 }
}

impl Plant {
    /// Builds the plant at its first instant and plans its faults. Takes a few microseconds a device.
    ///
    /// # Errors
    /// Every field of the configuration that is out of bounds.
    pub fn new(config: PlantConfig) -> Result<Self, ConfigErrors> {
        config.validate().map_err(ConfigErrors)?;
        let mut devices: Vec<_> = (0..config.devices).map(|index| Device::new(&config, index)).collect();
        let assets = devices.iter().map(|device| device.machine.asset()).collect();
        let mut truth: Vec<_> = devices.iter().flat_map(|device| device.faults(&config)).collect();
        truth.sort_by_key(|fault| (fault.start_ms, fault.device));
        let mut changes: Vec<_> = devices.iter().flat_map(|device| device.changes(&config)).collect();
        changes.sort_by_key(|change| (change.start_ms, change.device));
        devices.sort_by_key(|device| (device.phase_ms, device.index));
        Ok(Self { config, devices, assets, truth, changes, step: 0, next_device: 0, poison_emitted: 0 })
    }

    /// What the plant was made of.
    #[must_use]
    pub fn config(&self) -> &PlantConfig {
        &self.config
    }

    /// Every fault that begins within the run, by start and then device, known before the first emission. A fault that the
    /// end of the run cuts off ends there; a longer run goes on with it.
    #[must_use]
    pub fn truth(&self) -> &[Fault] {
        &self.truth
    }

    /// Every planned stop and run of a new product that begins within the run, by start and then device; what the end of
    /// the run cuts off ends there.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Poison emitted so far, counted as an uninterrupted run would: what [`skip_to`](Self::skip_to) passed is included.
    #[must_use]
    pub fn poison_emitted(&self) -> u64 {
        self.poison_emitted
    }

    /// The whole truth as of now, to be stored.
    #[must_use]
    pub fn report(&self) -> Truth {
        Truth {
            config: self.config.clone(),
            faults: self.truth.clone(),
            changes: self.changes.clone(),
            poison_emitted: self.poison_emitted,
        }
    }

    /// The type of a device, if there is one of that index.
    #[must_use]
    pub fn asset_type(&self, device: u32) -> Option<AssetType> {
        self.assets.get(device as usize).copied()
    }

    /// The name of a device as its payloads bear it, if there is one of that index.
    #[must_use]
    pub fn device_name(&self, device: u32) -> Option<String> {
        let asset = self.asset_type(device)?;
        let mut name = String::new();
        asset.write_device_name(device, &mut name);
        Some(name)
    }

    /// How many emissions the whole run has if no device is ever silent: the measure for a progress bar.
    #[must_use]
    pub fn emissions_max(&self) -> u64 {
        self.devices.iter().map(|device| self.steps_before(self.config.end(), device.phase_ms).unsigned_abs()).sum()
    }

    /// Overwrites `emission` with the next one, in order of time and then device. `false` at the end of the run, and
    /// `emission` is as it was. Allocates nothing once the buffers of `emission` have grown.
    pub fn next_into(&mut self, emission: &mut Emission) -> bool {
        loop {
            if self.next_device == self.devices.len() {
                self.next_device = 0;
                self.step += 1;
            }
            let device = &mut self.devices[self.next_device];
            let at_ms = self.config.start + device.phase_ms + self.step * self.config.cadence_ms;
            if at_ms >= self.config.end() {
                // Every other device's next instant is later still.
                return false;
            }
            self.next_device += 1;
            let sample = device.advance(self.step, at_ms);
            if sample.is_silent() {
                continue;
            }
            let poison = device.poison(&self.config, self.step);
            self.poison_emitted += u64::from(poison.is_some());
            emission.fill(at_ms, device.index, device.machine.asset(), &sample, poison);
            return true;
        }
    }

    /// Passes over every emission before `at_ms`, without building it, so that the next one is the first at or after that
    /// time, with exactly the values of an uninterrupted run. A time already reached changes nothing; one beyond the end
    /// ends the run. Takes time in proportion to what is passed over, a fraction of emitting it.
    pub fn skip_to(&mut self, at_ms: i64) {
        let target = at_ms.min(self.config.end());
        if target <= self.now() {
            return;
        }
        let PlantConfig { start, cadence_ms, .. } = self.config;
        // Device by device, so that a device's state stays in the cache for its whole way.
        for position in 0..self.devices.len() {
            let from = self.step + i64::from(position < self.next_device);
            let until = self.steps_before(target, self.devices[position].phase_ms);
            let device = &mut self.devices[position];
            for step in from..until {
                let sample = device.advance(step, start + device.phase_ms + step * cadence_ms);
                let poisoned = !sample.is_silent() && device.poison(&self.config, step).is_some();
                self.poison_emitted += u64::from(poisoned);
            }
        }
        let passed = target - start;
        self.step = passed / cadence_ms;
        self.next_device = self.devices.partition_point(|device| device.phase_ms < passed % cadence_ms);
    }

    /// The instant that the next step would be at.
    fn now(&self) -> i64 {
        let (step, phase_ms) = match self.devices.get(self.next_device) {
            Some(device) => (self.step, device.phase_ms),
            None => (self.step + 1, self.devices.first().map_or(0, |device| device.phase_ms)),
        };
        self.config.start + phase_ms + step * self.config.cadence_ms
    }

    /// How many steps a device of that phase takes before the instant `at_ms`.
    fn steps_before(&self, at_ms: i64, phase_ms: i64) -> i64 {
        steps_before(at_ms - self.config.start - phase_ms, self.config.cadence_ms)
    }
}

impl Iterator for Plant {
    type Item = Emission;

    fn next(&mut self) -> Option<Emission> {
        let mut emission = Emission::default();
        self.next_into(&mut emission).then_some(emission)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_takes_about_half_a_kibibyte() {
        assert!(size_of::<Device>() <= 600, "{} bytes", size_of::<Device>());
    }
}
