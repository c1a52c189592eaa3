//! The machines of a plant, and what each sends in its own format.

use anomaly_core::Timestamp;
use base64_simd::STANDARD;

use super::wire::{self, SparkplugMetric};
use super::{Meaning, Shape, TENANTS};
use crate::chance::Chance;
use telemetry::poison::PoisonReason;

/// How a machine writes its readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `{"topic": "tenants/…", "ts": …, "temperature": …, "vibration": …}`.
    Topic,
    /// `{"deviceId": …, "sensorType": …, "value": …, "timestamp": …}`: of the default tenant.
    Sensor,
    /// `{"device_id": …, "temp": …}`: of the default tenant.
    Flat,
    /// A SenML pack under a partition key that is a topic.
    SenMl,
    /// Sparkplug B, wrapped by the broker's rule.
    Sparkplug,
    /// Behind a producer that puts the messages of a line into KPL aggregates.
    Aggregated,
}

#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) tenant: String,
    pub(super) device: String,
    pub(super) format: Format,
    /// What decides its shard.
    pub(super) key: String,
    /// How wrong its clock is.
    skew_ms: i64,
    /// Counts the BIRTHs of a Sparkplug node: the aliases change with each.
    births: u64,
}

/// All machines.
#[derive(Debug, Clone)]
pub(super) struct Fleet {
    pub(super) machines: Vec<Machine>,
    /// So many records long is the hot spell of one machine before that of the next.
    spell: usize,
    storm: bool,
}

/// One message of one machine.
struct Message {
    data: Vec<u8>,
    readings: usize,
}

impl Fleet {
    pub(super) fn new(shape: &Shape, chance: &mut Chance) -> Self {
        let count = if shape.storm > 0 { shape.storm } else { 3 + chance.below(8) };
        let machine = |index: usize| {
            let format = if shape.storm > 0 {
                Format::Topic
            } else {
                chance.one_of([
                    Format::Topic,
                    Format::Topic,
                    Format::Sensor,
                    Format::Flat,
                    Format::SenMl,
                    Format::Sparkplug,
                    Format::Aggregated,
                ])
            };
            let named = !matches!(format, Format::Sensor | Format::Flat);
            let tenant = match &shape.stream_tenant {
                Some(tenant) => tenant.clone(),
                None if named => TENANTS[1 + index % 2].to_owned(),
                None => TENANTS[0].to_owned(),
            };
            // Tenants have machines of the same names; what tells them apart is the tenant alone.
            let number = index / 2;
            let device = match format {
                Format::Sparkplug => format!("hall:node-{number}"),
                _ => format!("pump-{number}"),
            };
            let key = match format {
                Format::SenMl => format!("tenants/{tenant}/devices/{device}/telemetry"),
                Format::Aggregated => format!("line-{}", index % 3),
                Format::Sparkplug if chance.happens(0.5) => "hall".to_owned(),
                _ => device.clone(),
            };
            let skew_ms = if shape.skewed { chance.one_of([0, 0, 3_600_000, -3_600_000]) } else { 0 };
            Machine { tenant, device, format, key, skew_ms, births: 0 }
        };
        let mut machines: Vec<Machine> = (0..count).map(machine).collect();
        // One name within a tenant belongs to one machine.
        machines.sort_by(|a, b| (&a.tenant, &a.device).cmp(&(&b.tenant, &b.device)));
        machines.dedup_by(|a, b| (&a.tenant, &a.device) == (&b.tenant, &b.device));
        Self { machines, spell: 5 + chance.below(30), storm: shape.storm > 0 }
    }

    /// The record that comes next: of any machine, or of a whole line.
    pub(super) fn record(
        &mut self,
        index: usize,
        arrived: Timestamp,
        chance: &mut Chance,
    ) -> (String, Vec<u8>, Meaning) {
        let which = if self.storm { index % self.machines.len() } else { chance.below(self.machines.len()) };
        if self.machines[which].format == Format::Aggregated {
            return self.aggregate(which, index, arrived, chance);
        }
        let message = self.message(which, index, arrived, chance);
        let machine = &self.machines[which];
        let meaning = Meaning {
            tenant: machine.tenant.clone(),
            devices: vec![machine.device.clone()],
            readings: message.readings,
            ..Meaning::default()
        };
        (machine.key.clone(), message.data, meaning)
    }

    /// An aggregate of the machines that share a line and a tenant, now and then with a message in it that cannot be read.
    fn aggregate(
        &mut self,
        which: usize,
        index: usize,
        arrived: Timestamp,
        chance: &mut Chance,
    ) -> (String, Vec<u8>, Meaning) {
        let Machine { tenant, key, .. } = self.machines[which].clone();
        let line: Vec<usize> = (0..self.machines.len())
            .filter(|other| {
                let other = &self.machines[*other];
                other.format == Format::Aggregated && other.key == key && other.tenant == tenant
            })
            .collect();
        let mut meaning = Meaning { tenant, ..Meaning::default() };
        let mut messages = Vec::new();
        for sub in 0..=chance.below(4) {
            if chance.happens(0.05) {
                messages.push(b"{\"half\":".to_vec());
                meaning.refused.push((sub as u32, PoisonReason::NotJson));
                continue;
            }
            let member = chance.pick(&line).copied().unwrap_or(which);
            let message = self.message(member, index, arrived, chance);
            meaning.readings += message.readings;
            meaning.devices.push(self.machines[member].device.clone());
            messages.push(message.data);
        }
        (key.clone(), wire::aggregate(&key, &messages), meaning)
    }

    fn message(&mut self, which: usize, index: usize, arrived: Timestamp, chance: &mut Chance) -> Message {
        let hot = self.storm || (index / self.spell) % self.machines.len() == which;
        let noise = |chance: &mut Chance, by: f64| ((chance.unit() - 0.5) * by * 1_000.0).round() / 1_000.0;
        let temperature = if hot { 91.0 } else { 55.0 } + noise(chance, 4.0);
        let vibration = 2.0 + noise(chance, 0.6);
        let off = match chance.below(40) {
            0 | 1 => -3_600_000,
            2 => 3 * 3_600_000,
            3 => -chance.within(0, 60_000),
            _ => -chance.within(10, 900),
        };
        let machine = &mut self.machines[which];
        let at_ms = arrived.millis() + off + machine.skew_ms;
        let time = time(at_ms, chance);
        let Machine { tenant, device, .. } = &*machine;
        let text = match machine.format {
            Format::Topic | Format::Aggregated => format!(
                r#"{{"topic":"tenants/{tenant}/devices/{device}/telemetry","ts":{time},"temperature":{temperature},"vibration":{vibration}}}"#
            ),
            Format::Sensor => {
                let data = format!(
                    r#"{{"deviceId":"{device}","sensorType":"temperature","value":{temperature},"timestamp":{time}}}"#
                );
                return Message { data: data.into_bytes(), readings: 1 };
            }
            Format::Flat => format!(
                r#"{{"device_id":"{device}","timestamp":{time},"temp":{temperature},"vibration":{vibration},"state":"on"}}"#
            ),
            Format::SenMl => {
                let seconds = at_ms as f64 / 1_000.0;
                format!(
                    r#"[{{"bn":"{device}:","bt":{seconds},"n":"temperature","u":"Cel","v":{temperature}}},{{"n":"vibration","v":{vibration}}}]"#
                )
            }
            Format::Sparkplug => machine.sparkplug(at_ms, arrived, [temperature, vibration], chance),
        };
        Message { data: text.into_bytes(), readings: 2 }
    }
}

impl Machine {
    /// A BIRTH at first and now and then, data in between. Each BIRTH gives the aliases anew, so that a reader that
    /// remembers an old one takes one metric for the other.
    fn sparkplug(&mut self, at_ms: i64, arrived: Timestamp, values: [f64; 2], chance: &mut Chance) -> String {
        let born = self.births == 0 || chance.happens(0.1);
        self.births += u64::from(born);
        let metric = |index: usize, name: &'static str| SparkplugMetric {
            name: born.then_some(name),
            alias: (index as u64 + self.births) % 2 + 1,
            value: values[index],
        };
        let payload = wire::sparkplug(at_ms, &[metric(0, "temperature"), metric(1, "vibration")]);
        let kind = if born { "NBIRTH" } else { "NDATA" };
        let node = self.device.trim_start_matches("hall:");
        let (tenant, data, ts) = (&self.tenant, STANDARD.encode_to_string(payload), arrived.millis());
        format!(r#"{{"topic":"tenants/{tenant}/spBv1.0/hall/{kind}/{node}","ts":{ts},"data":"{data}"}}"#)
    }
}

/// One instant as devices write it: milliseconds, seconds, or RFC 3339.
fn time(at_ms: i64, chance: &mut Chance) -> String {
    match chance.below(3) {
        0 => at_ms.to_string(),
        1 => format!("{:?}", at_ms as f64 / 1_000.0),
        _ => Timestamp::from_millis(at_ms).map_or_else(|_| at_ms.to_string(), |at| format!("\"{at}\"")),
    }
}
