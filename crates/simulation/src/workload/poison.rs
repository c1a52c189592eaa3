//! Records that cannot become readings, one way for each reason.

use anomaly_core::Timestamp;
use telemetry::poison::{KPL_RECORDS_MAX, METRICS_MAX, PoisonReason};

use super::Meaning;
use super::machine::Fleet;
use super::wire::{self, SparkplugMetric};
use crate::chance::Chance;

/// What marks a record whose envelope is to arrive broken; its number follows, so that the mark is unique.
pub const BROKEN_ENVELOPE: &str = "this envelope arrives broken: ";

/// Reasons that a payload can give. Left out are those that need more bytes than a record has, or a thousand nodes.
const REASONS: [PoisonReason; 16] = [
    PoisonReason::NotUtf8,
    PoisonReason::NotJson,
    PoisonReason::TooDeep,
    PoisonReason::NoDevice,
    PoisonReason::UnknownShape,
    PoisonReason::BadName,
    PoisonReason::NotFinite,
    PoisonReason::TimeImpossible,
    PoisonReason::TooManyMetrics,
    PoisonReason::OtherTenant,
    PoisonReason::OtherDevice,
    PoisonReason::BadChecksum,
    PoisonReason::WrongEncoding,
    PoisonReason::DuplicateKey,
    PoisonReason::TooManyRecords,
    PoisonReason::UnknownAlias,
];

/// A record to be refused, under the key of some machine.
pub(super) fn record(
    fleet: &Fleet,
    index: usize,
    arrived: Timestamp,
    chance: &mut Chance,
) -> (String, Vec<u8>, Meaning) {
    let machine = &fleet.machines[chance.below(fleet.machines.len())];
    let tenant = machine.tenant.as_str();
    if chance.happens(0.1) {
        let meaning =
            Meaning { refused: vec![(0, PoisonReason::WrongEncoding)], broken_envelope: true, ..Meaning::default() };
        return (machine.device.clone(), format!("{BROKEN_ENVELOPE}{index:06}").into_bytes(), meaning);
    }
    let reason = match chance.one_of(REASONS) {
        // A hundred kilobytes: now and then is enough.
        PoisonReason::TooManyRecords if !chance.happens(0.05) => PoisonReason::NotJson,
        reason => reason,
    };
    let data = payload(reason, tenant, arrived.millis());
    (machine.device.clone(), data, Meaning { refused: vec![(0, reason)], ..Meaning::default() })
}

fn payload(reason: PoisonReason, tenant: &str, ts: i64) -> Vec<u8> {
    let topic = format!(r#""topic":"tenants/{tenant}/devices/pump-0/telemetry","ts":{ts}"#);
    let text = match reason {
        PoisonReason::NotUtf8 => return b"{\"device_id\":\"\xc3\x28\",\"v\":1}".to_vec(),
        PoisonReason::TooDeep => format!("{{{topic},\"a\":{}1{}}}", "[".repeat(40), "]".repeat(40)),
        PoisonReason::NoDevice => format!(r#"{{"ts":{ts},"temperature":20}}"#),
        PoisonReason::UnknownShape => format!(r#"{{{topic},"state":"running"}}"#),
        PoisonReason::BadName => format!(r#"{{"device_id":"no spaces, please","ts":{ts},"temperature":20}}"#),
        PoisonReason::NotFinite => format!(r#"{{{topic},"temperature":"NaN"}}"#),
        PoisonReason::TimeImpossible => {
            format!(r#"{{"topic":"tenants/{tenant}/devices/pump-0/telemetry","ts":86400,"temperature":20}}"#)
        }
        PoisonReason::TooManyMetrics => {
            let metrics: Vec<String> = (0..=METRICS_MAX).map(|index| format!("\"m{index}\":1")).collect();
            format!("{{{topic},{}}}", metrics.join(","))
        }
        PoisonReason::OtherTenant => format!(r#"{{{topic},"tenant":"somebody-else","temperature":20}}"#),
        PoisonReason::OtherDevice => format!(r#"{{{topic},"deviceId":"pump-99","temperature":20}}"#),
        PoisonReason::BadChecksum => {
            let mut aggregate = wire::aggregate("line-0", &[b"{}".to_vec()]);
            if let Some(last) = aggregate.last_mut() {
                *last ^= 1;
            }
            return aggregate;
        }
        PoisonReason::WrongEncoding => return vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0],
        PoisonReason::DuplicateKey => format!(r#"{{{topic},"temperature":20,"temperature":21}}"#),
        PoisonReason::TooManyRecords => return wire::aggregate("line-0", &vec![Vec::new(); KPL_RECORDS_MAX + 1]),
        PoisonReason::UnknownAlias => {
            let metric = SparkplugMetric { name: None, alias: 77, value: 1.0 };
            let data = base64_simd::STANDARD.encode_to_string(wire::sparkplug(ts, &[metric]));
            format!(r#"{{"topic":"tenants/{tenant}/spBv1.0/hall/NDATA/ghost","ts":{ts},"data":"{data}"}}"#)
        }
        _ => "{\"nonsense\"".to_owned(),
    };
    text.into_bytes()
}

#[cfg(test)]
pub(super) const REASONS_MADE: &[PoisonReason] = &REASONS;
