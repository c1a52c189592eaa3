//! What comes from the streams: events, payloads, topics; changes of the table.

use anomaly_core::{METRICS_MAX, Observation, TenantName, Timestamp};
use platform::aws::{parse_change, sequence_number};
use platform::model::Image;
use serde_json::value::RawValue;
use telemetry::kinesis::{EVENT_RECORDS_MAX, KinesisEvent, RecordOut, write_event};
use telemetry::payload::{Context, Decoder, Message, RawForm};
use telemetry::poison::{DETAIL_BYTES_MAX, RECORD_BYTES_MAX};
use telemetry::sparkplug::Births;
use telemetry::topic::Topic;

use super::{Bench, Outcome, kind, law};
use crate::shell::split_line;

/// 2026-11-01T12:00:00Z, when every record here arrives.
const ARRIVED_MS: i64 = 1_793_534_400_000;

/// A Sparkplug BIRTH of the metrics `a` (a double under alias 1) and `b` (a 32-bit integer under alias 2).
const BIRTH: &[u8] =
    b"\x12\x10\x0a\x01a\x10\x01\x20\x0a\x69\0\0\0\0\0\0\xf0\x3f\x12\x09\x0a\x01b\x10\x02\x20\x03\x50\x04";

/// Topics of which [`BIRTH`] was heard.
const BORN: [&str; 2] = ["spBv1.0/plant/DBIRTH/line-3/press", "spBv1.0/plant/NBIRTH/line-3"];

/// What one record became, as text to compare.
struct Decoded {
    form: RawForm,
    messages: Vec<String>,
    answer: String,
}

fn decode(decoder: &mut Decoder, births: &mut Births, partition_key: &str, bytes: &[u8]) -> Result<Decoded, String> {
    let tenant = TenantName::new("default").map_err(|error| error.to_string())?;
    let arrived = Timestamp::from_millis(ARRIVED_MS).map_err(|error| error.to_string())?;
    let context = Context { stream_tenant: None, default_tenant: tenant, arrived, partition_key };
    let (mut messages, mut answer, mut broken) = (Vec::new(), String::new(), Ok(()));
    let form = decoder.decode(bytes, &context, births, &mut |message: Message<'_>| {
        if broken.is_ok() {
            broken = message.result.as_ref().map_or_else(
                |poison| law(poison.detail().len() <= DETAIL_BYTES_MAX, "what is said of poison is bounded"),
                |observations| lawful(observations),
            );
        }
        if messages.len() < 2 {
            match &message.result {
                Ok(observations) => answer.push_str(if observations.is_empty() { "none " } else { "observed " }),
                Err(poison) => {
                    let kind = kind(&poison.detail());
                    answer.extend([poison.reason().as_str(), " ", kind.get(..24).unwrap_or(&kind), " "]);
                }
            }
        }
        messages.push(format!("{} {} {:?}", message.sub, message.partition_key, message.result));
    });
    broken?;
    law(!messages.is_empty(), "a record gives at least one message")?;
    Ok(Decoded { form, messages, answer })
}

fn lawful(observations: &[Observation<'_>]) -> Result<(), String> {
    for observation in observations {
        let readings = observation.readings.len();
        law((1..=METRICS_MAX).contains(&readings), "an observation has 1 to METRICS_MAX readings")?;
        law(observation.readings.iter().all(|reading| reading.value.get().is_finite()), "values are finite")?;
    }
    let ascending = observations.is_sorted_by(|a, b| (a.device, a.at) < (b.device, b.at));
    law(ascending, "observations are ordered by device and time, each once")
}

impl Bench {
    pub(super) fn announce(&mut self) -> Result<(), String> {
        for topic in BORN {
            decode(&mut self.decoder, &mut self.births, topic, BIRTH)?;
        }
        law(self.births.len() == BORN.len(), "the announcement is understood")
    }

    /// What a record gives depends on the record, its context and the births alone, not on what was decoded before.
    pub(super) fn payload(&mut self, input: &[u8]) -> Outcome {
        let (key, bytes) = split_line(input);
        let key = String::from_utf8_lossy(key);
        let (mut births, mut births_again) = (self.births.clone(), self.births.clone());
        let decoded = decode(&mut self.decoder, &mut births, &key, bytes)?;
        let again = decode(&mut Decoder::new(), &mut births_again, &key, bytes)?;
        law(decoded.messages == again.messages && decoded.form == again.form, "a used decoder decodes as a new one")?;
        law(births == births_again, "a used decoder learns as a new one")?;
        if decoded.form == RawForm::Json {
            law(serde_json::from_slice::<&RawValue>(bytes).is_ok(), "what is called JSON is JSON")?;
            law(!bytes.contains(&b'\n') && !bytes.contains(&b'\r'), "what is called JSON is one line")?;
        }
        Ok(format!("{:?} {}", decoded.form, decoded.answer))
    }

    /// An event written from the records of one is read as the same records.
    pub(super) fn event(&mut self, input: &[u8]) -> Outcome {
        let event = match KinesisEvent::parse(input) {
            Ok(event) => event,
            Err(error) => return Ok(kind(&error)),
        };
        law(event.records.len() <= EVENT_RECORDS_MAX, "an event has at most EVENT_RECORDS_MAX records")?;
        let (mut bytes, mut whole, mut answer) = (Vec::new(), Vec::new(), String::new());
        for record in &event.records {
            match record.payload_bytes(&mut bytes) {
                Ok(()) => {
                    law(bytes.len() <= RECORD_BYTES_MAX + 2, "a payload is bounded")?;
                    decode(&mut self.decoder, &mut self.births.clone(), &record.partition_key, &bytes)?;
                    whole.push((record, bytes.clone()));
                }
                Err(poison) if answer.len() < 80 => answer.push_str(&kind(&poison.detail())),
                Err(_) => {}
            }
        }
        let source = match event.source() {
            Ok(Some(source)) => source,
            Ok(None) => return Ok("no records".to_owned()),
            Err(error) => return Ok(kind(&error)),
        };
        let mut written = Vec::new();
        let records = whole.iter().map(|(record, data)| RecordOut {
            sequence: record.sequence,
            partition_key: &record.partition_key,
            data,
            arrived: record.arrived,
        });
        write_event(records, &source, &mut written);
        let again = KinesisEvent::parse(&written).map_err(|error| format!("a written event is read: {error}"))?;
        law(again.records.len() == whole.len(), "a written event has as many records")?;
        for ((record, data), again) in whole.iter().zip(&again.records) {
            let same = record.sequence == again.sequence
                && record.partition_key == again.partition_key
                && record.arrived == again.arrived
                && again.payload_bytes(&mut bytes).is_ok_and(|()| bytes == *data);
            law(same, "a written record is read as it was")?;
        }
        let same_source = again.source().is_ok_and(|again| again.is_none_or(|again| again == source));
        law(same_source, "a written event is of the same shard")?;
        Ok(format!("{} whole; {answer}", whole.len().min(4)))
    }
}

/// A topic's levels are parts of the topic.
pub(super) fn topic(input: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(input);
    let topic = Topic::parse(&text);
    let mut parts: Vec<&str> = topic.tenant().into_iter().collect();
    match &topic {
        Topic::Device { device, .. } => parts.push(device),
        Topic::Sparkplug(levels) => parts.extend([levels.group, levels.node].into_iter().chain(levels.device)),
        Topic::Tenant(_) | Topic::Other => {}
    }
    law(parts.iter().all(|part| text.contains(part)), "a level is a part of its topic")?;
    Ok(match topic {
        Topic::Device { tenant, .. } => format!("device {}", tenant.is_some()),
        Topic::Sparkplug(levels) => format!("{:?} {}", levels.message, levels.device.is_some()),
        Topic::Tenant(_) => "tenant".to_owned(),
        Topic::Other => "other".to_owned(),
    })
}

/// A change says of which item it is, and what it was before or is now; a record always gives the same.
pub(super) fn change(input: &[u8]) -> Outcome {
    let Ok(record) = std::str::from_utf8(input) else { return Ok("not text".to_owned()) };
    let numbered = sequence_number(record).is_some();
    match parse_change(record) {
        Ok(change) => {
            law(change.old.is_some() || change.new.is_some(), "a change has an image")?;
            law(parse_change(record).is_ok_and(|again| again == change), "a record is always the same change")?;
            let kind = |image: Option<&Image>| match image {
                None => "none",
                Some(Image::Anomaly(_)) => "anomaly",
                Some(Image::State(_)) => "state",
                Some(Image::Entry(_)) => "entry",
                Some(Image::Unknown) => "unknown",
            };
            Ok(format!("{numbered} {} {}", kind(change.old.as_ref()), kind(change.new.as_ref())))
        }
        Err(error) => Ok(format!("{numbered} {}", kind(&error))),
    }
}
