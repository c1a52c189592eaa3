//! Instructions of each stage of the path, counted by valgrind: figures that do not depend on what else the machine does.
//!
//! Run and compared with `instructions.toml` by `cargo xtask bench`. Each function does one event's worth of work over
//! devices that have run for two days; making events, warming up and freeing stand outside of what is counted. The id of
//! a bench says what it is divided by.
#![expect(missing_docs, reason = "the macros that make a bench of a function make public modules")]
#![expect(clippy::unwrap_used, reason = "a bench ends where it cannot go on")]

#[path = "plant/forms.rs"]
mod forms;
mod plant;
#[path = "plant/warm.rs"]
mod warm;
#[path = "plant/whole.rs"]
#[expect(dead_code, reason = "shared with what needs the rest")]
mod whole;

use std::fs;
use std::hint::black_box;
use std::path::PathBuf;

use anomaly_core::{DeviceName, Observation, ProfileSet, Reading, Scored, TenantName, Timestamp};
use gungraun::Callgrind;
use gungraun::prelude::*;
use kinesis_scorer::fold::Objects;
use kinesis_scorer::state::ShardState;
use plant::{Plant, Shape, TENANT, sequence};
use telemetry::bronze::BronzeWriter;
use telemetry::kinesis::KinesisEvent;
use telemetry::payload::{Context, Decoder};
use telemetry::sequence::SequenceNumber;
use telemetry::silver::{SilverCell, SilverHead, SilverWriter};
use telemetry::sparkplug::Births;
use whole::Whole;

const ROW: Plant = Plant::of(Shape::Row);
const SINGLE: Plant = Plant::of(Shape::Single);
/// Two days of the plant's cadence.
const WARM_ROWS: u64 = 2 * 1_440;
/// Messages that one KPL aggregate holds.
const AGGREGATED: u64 = 70;
const PROFILES: &str = "0000000000000000";

type Failed = Box<dyn std::error::Error>;

fn counts(plant: &Plant) -> std::ops::Range<u64> {
    let first = WARM_ROWS * plant.devices;
    first..first + plant.messages()
}

fn event(plant: Plant) -> Vec<u8> {
    let mut bytes = Vec::new();
    plant.event(counts(&plant), &mut bytes);
    bytes
}

fn snapshot_file(shape: Shape) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("stages-{shape:?}.snapshot"))
}

/// Warms the devices up. Runs once and at full speed: under valgrind it would take minutes for every bench.
fn warm_up() {
    for plant in [ROW, SINGLE] {
        let warmed = || -> Result<(), Failed> {
            let count = counts(&plant).start - 1;
            let state = warm::state(&plant, count + 1)?;
            let snapshot = state.to_snapshot(sequence(count), plant.arrived(count), PROFILES)?;
            Ok(fs::write(snapshot_file(plant.shape), snapshot)?)
        };
        warmed().unwrap();
    }
}

fn warm_state(plant: Plant) -> ShardState {
    let bytes = fs::read(snapshot_file(plant.shape)).unwrap();
    ShardState::from_snapshot(&bytes).unwrap().1
}

/// A record, its payload decoded from base64.
struct Record {
    key: String,
    count: u64,
    data: Vec<u8>,
}

fn json(plant: Plant) -> Vec<Record> {
    let record = |count| Record { key: plant.device(count), count, data: plant.message(count).into_bytes() };
    counts(&plant).map(record).collect()
}

/// A decoder with its buffers grown, and what it is to decode.
struct Decoding {
    decoder: Decoder,
    births: Births,
    plant: Plant,
    records: Vec<Record>,
}

impl Decoding {
    fn of(plant: Plant, records: Vec<Record>) -> Self {
        let mut decoding = Self { decoder: Decoder::new(), births: Births::default(), plant, records };
        assert_eq!(decoding.run(), plant::EVENT_READINGS, "the records are not what the decoder takes");
        decoding
    }

    fn run(&mut self) -> u64 {
        let Ok(default_tenant) = TenantName::new(TENANT) else { return 0 };
        let mut readings = 0;
        for record in &self.records {
            let arrived = self.plant.arrived(record.count);
            let context = Context { stream_tenant: None, default_tenant, arrived, partition_key: &record.key };
            self.decoder.decode(&record.data, &context, &mut self.births, &mut |message| {
                let observations = black_box(&message.result).as_ref().map_or(&[][..], |observations| observations);
                readings += observations.iter().map(|observation| observation.readings.len() as u64).sum::<u64>();
            });
        }
        readings
    }
}

fn senml() -> Decoding {
    let record = |count| Record { key: ROW.device(count), count, data: forms::senml(&ROW, count) };
    Decoding::of(ROW, counts(&ROW).map(record).collect())
}

fn sparkplug() -> Decoding {
    let data = |count| Record {
        key: forms::sparkplug_topic(&ROW, count, "DDATA"),
        count,
        data: forms::sparkplug(&ROW, count, false),
    };
    let records = counts(&ROW).map(data).collect();
    let mut decoding = Decoding { decoder: Decoder::new(), births: Births::default(), plant: ROW, records };
    let births = counts(&ROW).take(ROW.devices as usize).map(|count| Record {
        key: forms::sparkplug_topic(&ROW, count, "DBIRTH"),
        count,
        data: forms::sparkplug(&ROW, count, true),
    });
    let data = std::mem::replace(&mut decoding.records, births.collect());
    decoding.run();
    decoding.records = data;
    assert_eq!(decoding.run(), plant::EVENT_READINGS, "the decoder does not know the aliases");
    decoding
}

fn kpl() -> Decoding {
    let firsts = counts(&ROW).step_by(AGGREGATED as usize);
    let record =
        |count| Record { key: "aggregate".to_owned(), count, data: forms::aggregate(&ROW, count..count + AGGREGATED) };
    Decoding::of(ROW, firsts.map(record).collect())
}

/// A message's readings as the decoder hands them on.
struct Observed {
    device: String,
    at: Timestamp,
    arrived: Timestamp,
    readings: Vec<Reading<'static>>,
}

/// A warm engine and what it is to take.
struct Scoring {
    state: ShardState,
    profiles: ProfileSet,
    scored: Scored,
    observed: Vec<Observed>,
}

impl Scoring {
    fn of(plant: Plant) -> Self {
        let metrics = warm::metrics().unwrap();
        let observed = counts(&plant).map(|count| Observed {
            device: plant.device(count),
            at: plant.at(count),
            arrived: plant.arrived(count),
            readings: warm::readings(&plant, count, &metrics),
        });
        let observed = observed.collect();
        Self { state: warm_state(plant), profiles: ProfileSet::default(), scored: Scored::default(), observed }
    }

    fn run(&mut self, mut found: impl FnMut(&Observed, &Scored)) {
        let Ok(tenant) = TenantName::new(TENANT) else { return };
        for observed in &self.observed {
            let Observed { device, at, arrived, readings } = observed;
            let Ok(device) = DeviceName::new(device) else { continue };
            let observation = Observation { tenant, device, at: *at, arrived: *arrived, readings };
            if self.state.engine.observe(&observation, &self.profiles, &mut self.scored).is_ok() {
                found(observed, &self.scored);
            }
        }
    }
}

/// Scored rows and a writer that has written them once.
struct Rows {
    rows: Vec<(Observed, SequenceNumber, Vec<SilverCell<'static>>)>,
    writer: SilverWriter,
}

fn rows() -> Rows {
    let mut scoring = Scoring::of(ROW);
    let (mut rows, mut count) = (Vec::new(), counts(&ROW).start);
    scoring.run(|observed, scored| {
        let cell = |(reading, verdict): (&Reading<'static>, &anomaly_core::ReadingVerdict)| SilverCell {
            metric: reading.metric.as_str(),
            value: verdict.observed,
            score: verdict.evidence.strength as f32,
            expected: verdict.evidence.expected,
            outcome: verdict.outcome,
            quality: reading.quality,
        };
        let cells = observed.readings.iter().zip(&scored.readings).map(cell).collect();
        let Observed { device, at, arrived, .. } = observed;
        let kept = Observed { device: device.clone(), at: *at, arrived: *arrived, readings: Vec::new() };
        rows.push((kept, sequence(count), cells));
        count += 1;
    });
    let mut rows = Rows { rows, writer: SilverWriter::new() };
    rows.write();
    rows
}

impl Rows {
    fn write(&mut self) -> Vec<u8> {
        for (observed, seq, cells) in &self.rows {
            let Observed { device, at, arrived, .. } = observed;
            let head = SilverHead { tenant: TENANT, device, at: *at, alert: 0.0, seq: *seq, sub: 0, arrived: *arrived };
            self.writer.observation(&head, cells.iter().copied());
        }
        self.writer.finish().unwrap()
    }
}

/// Records and a writer that has written them once.
struct Raw {
    records: Vec<(SequenceNumber, Timestamp, Record)>,
    writer: BronzeWriter,
}

fn raw() -> Raw {
    let with_place = |record: Record| (sequence(record.count), ROW.arrived(record.count), record);
    let mut raw = Raw { records: json(ROW).into_iter().map(with_place).collect(), writer: BronzeWriter::new() };
    raw.write();
    raw
}

impl Raw {
    fn write(&mut self) -> Vec<u8> {
        for (seq, arrived, record) in &self.records {
            self.writer.push(seq, *arrived, &record.key, &record.data, true);
        }
        self.writer.finish().unwrap()
    }
}

/// A process in the middle of its life: it has scored the event before.
fn process(plant: Plant) -> (Whole, Vec<u8>) {
    let mut whole = Whole::new(warm_state(plant));
    let counts = counts(&plant);
    let mut bytes = Vec::new();
    plant.event(counts.clone(), &mut bytes);
    whole.take(&bytes).unwrap();
    assert_eq!(whole.readings(), plant::EVENT_READINGS, "the events are not what the decoder takes");
    plant.event(counts.end..counts.end + plant.messages(), &mut bytes);
    (whole, bytes)
}

#[library_benchmark]
#[bench::per_7700_readings(event(ROW))]
fn parse_event(event: Vec<u8>) -> Vec<u8> {
    let mut payload = Vec::new();
    for record in &KinesisEvent::parse(&event).unwrap().records {
        record.payload_bytes(black_box(&mut payload)).unwrap();
    }
    event
}

#[library_benchmark]
#[bench::per_7700_readings(Decoding::of(ROW, json(ROW)))]
fn decode_json_5(mut decoding: Decoding) -> Decoding {
    decoding.run();
    decoding
}

#[library_benchmark]
#[bench::per_7700_readings(Decoding::of(SINGLE, json(SINGLE)))]
fn decode_json_1(mut decoding: Decoding) -> Decoding {
    decoding.run();
    decoding
}

#[library_benchmark]
#[bench::per_7700_readings(senml())]
fn decode_senml(mut decoding: Decoding) -> Decoding {
    decoding.run();
    decoding
}

#[library_benchmark]
#[bench::per_7700_readings(sparkplug())]
fn decode_sparkplug(mut decoding: Decoding) -> Decoding {
    decoding.run();
    decoding
}

#[library_benchmark]
#[bench::per_7700_readings(kpl())]
fn decode_kpl(mut decoding: Decoding) -> Decoding {
    decoding.run();
    decoding
}

#[library_benchmark]
#[bench::per_7700_readings(Scoring::of(ROW))]
fn score_rows_of_5(mut scoring: Scoring) -> Scoring {
    scoring.run(|_, scored| {
        black_box(scored.score);
    });
    scoring
}

#[library_benchmark]
#[bench::per_7700_readings(Scoring::of(SINGLE))]
fn score_one_metric(mut scoring: Scoring) -> Scoring {
    scoring.run(|_, scored| {
        black_box(scored.score);
    });
    scoring
}

#[library_benchmark]
#[bench::per_7700_readings(raw())]
fn encode_bronze(mut raw: Raw) -> (Raw, Vec<u8>) {
    let object = raw.write();
    (raw, object)
}

#[library_benchmark]
#[bench::per_7700_readings(rows())]
fn encode_silver(mut rows: Rows) -> (Rows, Vec<u8>) {
    let object = rows.write();
    (rows, object)
}

#[library_benchmark]
#[bench::per_7700_readings(process(ROW))]
fn whole_path_5((mut whole, event): (Whole, Vec<u8>)) -> (Whole, Vec<u8>, Option<Objects>) {
    let objects = whole.take(&event);
    (whole, event, objects)
}

#[library_benchmark]
#[bench::per_7700_readings(process(SINGLE))]
fn whole_path_1((mut whole, event): (Whole, Vec<u8>)) -> (Whole, Vec<u8>, Option<Objects>) {
    let objects = whole.take(&event);
    (whole, event, objects)
}

#[library_benchmark]
#[bench::per_500_metrics(warm_state(ROW))]
fn encode_snapshot(state: ShardState) -> (ShardState, Vec<u8>) {
    let bytes = state.to_snapshot(sequence(0), ROW.arrived(0), PROFILES).unwrap();
    (state, bytes)
}

#[library_benchmark]
#[bench::per_500_metrics(fs::read(snapshot_file(Shape::Row)).unwrap())]
fn decode_snapshot(bytes: Vec<u8>) -> (ShardState, Vec<u8>) {
    let state = ShardState::from_snapshot(&bytes).unwrap().1;
    (state, bytes)
}

library_benchmark_group!(
    name = stages,
    setup = warm_up(),
    benchmarks = [
        parse_event,
        decode_json_5,
        decode_json_1,
        decode_senml,
        decode_sparkplug,
        decode_kpl,
        score_rows_of_5,
        score_one_metric,
        encode_bronze,
        encode_silver,
        whole_path_5,
        whole_path_1,
        encode_snapshot,
        decode_snapshot,
    ]
);

main!(
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"])),
    library_benchmark_groups = stages
);
