//! What a reading costs from event bytes to verdict and encoded objects, on one thread, without any store.
//!
//! `cargo bench -p kinesis-scorer --bench path` prints readings a second and, where valgrind is installed, instructions a
//! reading. The events are those of 100 devices with 5 metrics a message, 1,540 messages an event (about 6 MB as Lambda
//! counts it holds 7,700 readings of one metric). Making the events is timed and counted apart and taken off.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, and it is here to measure time"
)]

use std::fmt::Write as _;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anomaly_core::{ProfileSet, Timestamp};
use kinesis_scorer::fold::{Batch, Fold, RawRecord, Tenancy};
use kinesis_scorer::state::ShardState;
use telemetry::kinesis::{KinesisEvent, RecordOut, Source, write_event};
use telemetry::sequence::SequenceNumber;

const DEVICES: usize = 100;
const METRICS: u64 = 5;
const MESSAGES: usize = 1_540;
const T0: i64 = 1_790_000_000_000;
/// Readings whose instructions are counted; few, because valgrind takes its time.
const COUNTED: u64 = 154_000;
const SOURCE: Source<'_> = Source {
    partition: "aws",
    region: "eu-west-1",
    account: "123456789012",
    stream: "bench",
    shard: "shardId-000000000000",
};

/// Writes event number `index`. The values wander and are a little noisy, as a healthy plant's do.
fn event(index: u64, out: &mut Vec<u8>) {
    let mut messages = Vec::with_capacity(MESSAGES);
    for message in 0..MESSAGES {
        let count = index * MESSAGES as u64 + message as u64;
        let (device, row) = (count % DEVICES as u64, count / DEVICES as u64);
        let noise = |salt: u64| {
            let mixed = (count.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (mixed >> 40) as f64 / f64::from(1_u32 << 24) - 0.5
        };
        let day = libm::sin(row as f64 / 1_440.0 * std::f64::consts::TAU);
        let mut text = String::with_capacity(256);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            r#"{{"topic":"tenants/bench/devices/pump-{device:03}/telemetry","ts":{},"temperature":{:.2},"vibration":{:.3},"pressure":{:.1},"rpm":{:.0},"power":{:.2}}}"#,
            T0 + row as i64 * 60_000,
            55.0 + 3.0 * day + noise(1),
            2.0 + 0.2 * noise(2),
            90.0 + 2.0 * day + noise(3),
            1_450.0 + 20.0 * noise(4),
            7.0 + 0.3 * day + 0.1 * noise(5),
        );
        messages.push((count, format!("pump-{device:03}"), text, row));
    }
    out.clear();
    let records = messages.iter().map(|(count, key, text, row)| RecordOut {
        sequence: sequence(*count),
        partition_key: key,
        data: text.as_bytes(),
        arrived: Timestamp::from_millis(T0 + *row as i64 * 60_000 + 500).unwrap_or(Timestamp::MIN),
    });
    write_event(records, &SOURCE, out);
}

fn sequence(count: u64) -> SequenceNumber {
    format!("49{count:054}").parse().unwrap_or(SequenceNumber::ZERO)
}

/// Readings done, time spent on them, and bytes of bronze and silver written.
struct Tally {
    readings: u64,
    spent: Duration,
    stored: u64,
}

fn run(readings: u64, score: bool) -> Tally {
    let tenancy = Tenancy::new(None, "default");
    let profiles = ProfileSet::default();
    let (mut state, mut fold, mut batch) = (ShardState::default(), Fold::default(), Batch::default());
    let (mut bytes, mut payload) = (Vec::new(), Vec::new());
    let mut tally = Tally { readings: 0, spent: Duration::ZERO, stored: 0 };
    for index in 0..readings.div_ceil(MESSAGES as u64 * METRICS) {
        event(index, &mut bytes);
        if !score {
            tally.stored += std::hint::black_box(&bytes).len() as u64;
            continue;
        }
        let started = Instant::now();
        let Ok(event) = KinesisEvent::parse(&bytes) else { continue };
        batch.clear();
        for record in &event.records {
            let decoded = record.payload_bytes(&mut payload);
            let raw = RawRecord {
                seq: record.sequence,
                arrived: record.arrived,
                partition_key: &record.partition_key,
                data: decoded.as_ref().map(|()| payload.as_slice()).map_err(|poison| (poison, record.data.as_bytes())),
            };
            let form = fold.take(&mut state, &raw, &profiles, &tenancy, &mut batch);
            batch.keep_raw(&raw, form);
        }
        if let Ok(objects) = batch.finish() {
            tally.stored += objects.bronze.len() as u64 + objects.silver.map_or(0, |silver| silver.len() as u64);
        }
        tally.spent += started.elapsed();
        tally.readings += batch.readings;
    }
    tally
}

/// Instructions of this very program with these arguments, counted by valgrind; `None` where it is not installed.
fn instructions(readings: u64, what: &str) -> Option<u64> {
    let program = std::env::current_exe().ok()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([what, &readings.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<u64>().ok()
    };
    if let Some(readings) = number("--make") {
        run(readings, false);
        return ExitCode::SUCCESS;
    }
    if let Some(readings) = number("--score") {
        run(readings, true);
        return ExitCode::SUCCESS;
    }
    let tally = run(1_000_000, true);
    if tally.readings < 1_000_000 {
        println!("only {} of 1000000 readings were scored: the events are not what the decoder takes", tally.readings);
        return ExitCode::FAILURE;
    }
    let nanoseconds = tally.spent.as_nanos() as f64 / tally.readings as f64;
    println!("readings                  {}", tally.readings);
    println!("readings a second         {:.0}", 1e9 / nanoseconds);
    println!("nanoseconds a reading     {nanoseconds:.0}");
    println!("bronze + silver           {:.1} bytes a reading", tally.stored as f64 / tally.readings as f64);
    match (instructions(COUNTED, "--score"), instructions(COUNTED, "--make")) {
        (Some(all), Some(made)) => {
            println!("instructions a reading    {:.0}", all.saturating_sub(made) as f64 / COUNTED as f64);
        }
        _ => println!("instructions a reading    not counted: install valgrind"),
    }
    ExitCode::SUCCESS
}
