//! The event files of `events/`: made here, compared with what is stored, and decoded.
//!
//! `UPDATE_EVENTS=1 cargo nextest run -p telemetry events` writes them anew.

use std::path::PathBuf;

use anomaly_core::{TenantName, Timestamp};
use telemetry::kinesis::{KinesisEvent, RecordOut, Source, write_event};
use telemetry::payload::{Context, Decoder};
use telemetry::poison::PoisonReason;
use telemetry::sequence::SequenceNumber;
use telemetry::sparkplug::Births;

use crate::poison::samples;
use crate::support::{ARRIVED_MS, Value, aggregate, born, changed, sparkplug, wrapped};

const SOURCE: Source<'_> = Source {
    partition: "aws",
    region: "eu-west-1",
    account: "123456789012",
    stream: "millrace-telemetry",
    shard: "shardId-000000000000",
};

/// A record whose place in the shard is its number.
struct Put {
    place: u64,
    key: String,
    data: Vec<u8>,
}

fn sequence(place: u64) -> SequenceNumber {
    format!("49690338271490256608559692538361571095921575{:012}", 989_136_588_898 + place * 1_048_577).parse().unwrap()
}

fn arrived(place: u64) -> Timestamp {
    Timestamp::from_millis(ARRIVED_MS + place as i64 * 250 + 37).unwrap()
}

/// The event as text, one record a line.
fn event(puts: &[Put]) -> String {
    let records = puts.iter().map(|put| RecordOut {
        sequence: sequence(put.place),
        partition_key: &put.key,
        data: &put.data,
        arrived: arrived(put.place),
    });
    let mut bytes = Vec::new();
    write_event(records, &SOURCE, &mut bytes);
    String::from_utf8(bytes).unwrap().replace(r#"{"kinesis":{"#, "\n  {\"kinesis\":{") + "\n"
}

fn puts(from: u64, records: impl IntoIterator<Item = (String, Vec<u8>)>) -> Vec<Put> {
    (from..).zip(records).map(|(place, (key, data))| Put { place, key, data }).collect()
}

/// Four devices in the three shapes, a record each in turn, as they would measure just before record `place` arrives.
fn readings(place: u64) -> (String, Vec<u8>) {
    let millis = arrived(place).millis() - 40;
    let wave = (place as f64 * 0.7).sin();
    let round = |value: f64| (value * 100.0).round() / 100.0;
    let (key, text) = match place % 4 {
        0 => {
            // Above the default limit of 80 °C, once.
            let value = if place == 8 { 95.0 } else { round(24.0 + wave) };
            let text =
                format!(r#"{{"deviceId":"oven-1","sensorType":"temperature","value":{value},"timestamp":{millis}}}"#);
            ("oven-1", text)
        }
        1 => {
            let (temperature, vibration) = (round(61.0 + 2.0 * wave), round(0.19 + wave / 50.0));
            let text = format!(
                r#"{{"ts":{millis},"temperature":{temperature},"vibration":{vibration},"topic":"tenants/acme/devices/pump-7/telemetry"}}"#
            );
            ("pump-7", text)
        }
        2 => {
            let (temp, rpm, power) = (round(59.2 + wave), (1425.0 + 5.0 * wave).round(), round(7.1 + wave / 10.0));
            ("M001", format!(r#"{{"device_id":"M001","temp":{temp},"vibration":0.42,"rpm":{rpm},"power":{power}}}"#))
        }
        _ => {
            let text = format!(
                r#"{{"deviceId":"line-3","sensorType":"pressure","value":{},"unit":"PSI","timestamp":"{}"}}"#,
                round(88.0 + 3.0 * wave),
                Timestamp::from_millis(millis).unwrap()
            );
            ("line-3", text)
        }
    };
    (key.to_owned(), text.into_bytes())
}

fn good() -> String {
    event(&puts(0, (0..16).map(readings)))
}

/// The second half of [`good`], and what came after it.
fn recut() -> String {
    event(&puts(8, (8..24).map(readings)))
}

/// Reasons whose smallest example is too large for a file that people read.
const LARGE: [PoisonReason; 2] = [PoisonReason::TooLarge, PoisonReason::TooManyDevices];

/// One record of each reason, good ones before, between and behind, and one whose base64 is broken.
fn poison() -> String {
    const MARK: &str = "broken on purpose";
    let named = |reason: &PoisonReason| !LARGE.contains(reason);
    let mut records = vec![readings(0)];
    for (place, reason) in PoisonReason::ALL.iter().copied().filter(named).enumerate() {
        records.extend(samples(reason).swap_remove(0));
        if place % 4 == 3 {
            records.push(readings(records.len() as u64));
        }
    }
    records.push(("d1".to_owned(), MARK.as_bytes().to_vec()));
    records.push(readings(records.len() as u64));
    let mark = base64_simd::STANDARD.encode_to_string(MARK);
    event(&puts(100, records)).replace(&mark, "not*base64")
}

fn kpl() -> String {
    let of = |places: std::ops::Range<u64>| {
        let records: Vec<_> = places.map(readings).collect();
        aggregate(&records.iter().map(|(key, data)| (key.as_str(), data.clone())).collect::<Vec<_>>())
    };
    event(&puts(200, [("a".to_owned(), of(0..12)), readings(201), ("a".to_owned(), of(12..24))]))
}

fn sparkplug_event() -> String {
    let birth = sparkplug(vec![
        born("bdSeq", 0, 4, Value::Long(3)),
        born("Temperature", 1, 10, Value::Double(71.5)),
        born("Vibration", 2, 9, Value::Float(0.5)),
        born("Valve Offset", 3, 2, Value::Int(-12_i32 as u32)),
        born("Serial Number", 4, 12, Value::Text("PX-1138".to_owned())),
    ]);
    let data = |wave: f64| {
        sparkplug(vec![
            changed(1, Value::Double(71.5 + wave)),
            changed(2, Value::Float(0.5)),
            changed(3, Value::Int((wave as i32 - 12) as u32)),
        ])
    };
    let topic = |kind: &str| format!("tenants/acme/spBv1.0/plant/{kind}/line-3");
    let key = || "plant/line-3".to_owned();
    event(&puts(
        300,
        [
            (key(), wrapped(&topic("NBIRTH"), &birth).into_bytes()),
            (key(), wrapped(&topic("NDATA"), &data(1.0)).into_bytes()),
            (topic("NDATA"), data(2.0)),
            (key(), wrapped(&topic("NDATA"), &data(3.0)).into_bytes()),
        ],
    ))
}

fn senml() -> String {
    let pack = |place: u64| {
        let urn = "urn:dev:ow:10e2073a01080063";
        let seconds = arrived(place).millis() / 1000;
        format!(
            r#"[{{"bn":"{urn}:","bt":{seconds},"n":"temperature","u":"Cel","v":23.{place}}},{{"n":"pressure","v":88.5}},{{"n":"temperature","t":-1,"v":23}},{{"bn":"tank-2/","n":"level","u":"m","v":1.25}}]"#
        )
    };
    event(&puts(400, (400..403).map(|place| ("pack".to_owned(), pack(place).into_bytes()))))
}

/// Each file with how many messages become observations and how many poison.
fn files() -> [(&'static str, String, usize, usize); 7] {
    let reasons = PoisonReason::ALL.len() - LARGE.len();
    [
        ("kinesis-good.json", good(), 16, 0),
        ("kinesis-poison.json", poison(), 2 + reasons / 4, reasons + 1),
        ("kinesis-kpl.json", kpl(), 25, 0),
        ("kinesis-sparkplug.json", sparkplug_event(), 4, 0),
        ("kinesis-senml.json", senml(), 3, 0),
        ("kinesis-empty.json", "{\"Records\":[]}\n".to_owned(), 0, 0),
        ("kinesis-recut.json", recut(), 16, 0),
    ]
}

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../events", name].iter().collect()
}

#[test]
fn the_event_files_are_what_is_made_here() {
    #[expect(clippy::disallowed_methods, reason = "a switch for the person who changes the events, not configuration")]
    let update = std::env::var("UPDATE_EVENTS").is_ok();
    for (name, text, ..) in files() {
        if update {
            std::fs::write(path(name), &text).unwrap();
        }
        let stored = std::fs::read_to_string(path(name)).unwrap();
        assert_eq!(stored, text, "events/{name} differs; UPDATE_EVENTS=1 writes it anew");
    }
}

#[test]
fn every_event_file_decodes_as_it_says() {
    for (name, text, good, poison) in files() {
        let event = KinesisEvent::parse(text.as_bytes()).unwrap();
        let source = event.source().unwrap();
        assert_eq!(source, (!event.records.is_empty()).then_some(SOURCE), "{name}");
        assert!(event.records.is_sorted_by(|a, b| a.sequence < b.sequence), "{name}");
        let (mut decoder, mut births, mut bytes) = (Decoder::new(), Births::default(), Vec::new());
        let (mut goods, mut reasons) = (0, Vec::new());
        for record in &event.records {
            if let Err(poison) = record.payload_bytes(&mut bytes) {
                reasons.push(poison.reason());
                continue;
            }
            let context = Context {
                stream_tenant: Some(TenantName::new("acme").unwrap()),
                default_tenant: TenantName::new("default").unwrap(),
                arrived: record.arrived,
                partition_key: &record.partition_key,
            };
            decoder.decode(&bytes, &context, &mut births, &mut |message| match message.result {
                Ok(observations) => {
                    assert!(!observations.is_empty(), "{name}");
                    goods += 1;
                }
                Err(poison) => reasons.push(poison.reason()),
            });
        }
        assert_eq!((goods, reasons.len()), (good, poison), "{name}: {reasons:?}");
        if name == "kinesis-poison.json" {
            let missing = |reason: &&PoisonReason| !reasons.contains(reason) && !LARGE.contains(reason);
            assert_eq!(PoisonReason::ALL.iter().find(missing), None);
        }
    }
}

#[test]
fn the_recut_event_overlaps_the_second_half_of_the_good_one() {
    let (good, recut) = (good(), recut());
    let records =
        |text: &str| text.lines().map(|line| line.trim_end_matches([',', ']', '}']).to_owned()).collect::<Vec<_>>();
    let (good, recut) = (records(&good), records(&recut));
    assert_eq!(good[9..17], recut[1..9]);
}
