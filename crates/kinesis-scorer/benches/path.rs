//! What a reading costs from event bytes to verdict and encoded objects, on one thread, without any store.
//!
//! `cargo bench -p kinesis-scorer --no-default-features --bench path` prints readings a second and, where valgrind is
//! installed, instructions a reading, from the first message of a plant on: a tenth of the time and more is warming up.
//! What is measured is the path over events of 100 devices with 5 metrics a message, 1,540 messages an event; `--single`
//! takes 7,700 messages of one metric instead. Making the events is timed and counted apart and taken off.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, and it is here to measure time"
)]

mod plant;
#[path = "plant/whole.rs"]
#[expect(dead_code, reason = "shared with what needs the rest")]
mod whole;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use kinesis_scorer::state::ShardState;
use plant::{EVENT_READINGS, Plant, Shape};
use whole::Whole;

/// Readings whose time is taken.
const TIMED: u64 = 1_000_000;
/// Readings whose instructions are counted; few, because valgrind takes its time.
const COUNTED: u64 = 154_000;

/// Readings done, time spent on them, and bytes of bronze and silver written.
struct Tally {
    readings: u64,
    spent: Duration,
    stored: u64,
}

fn run(plant: &Plant, readings: u64, score: bool) -> Tally {
    let mut whole = Whole::new(ShardState::default());
    let mut bytes = Vec::new();
    let mut tally = Tally { readings: 0, spent: Duration::ZERO, stored: 0 };
    for index in 0..readings.div_ceil(EVENT_READINGS) {
        plant.event(index * plant.messages()..(index + 1) * plant.messages(), &mut bytes);
        if !score {
            tally.stored += std::hint::black_box(&bytes).len() as u64;
            continue;
        }
        let started = Instant::now();
        let objects = whole.take(&bytes);
        tally.spent += started.elapsed();
        if let Some(objects) = objects {
            tally.stored += objects.bronze.len() as u64 + objects.silver.map_or(0, |silver| silver.len() as u64);
            tally.readings += whole.readings();
        }
    }
    tally
}

/// Instructions of this very program with these arguments, counted by valgrind; `None` where it is not installed.
fn instructions(what: &str, shape: Shape) -> Option<u64> {
    let program = std::env::current_exe().ok()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([what, &COUNTED.to_string()])
        .args((shape == Shape::Single).then_some("--single"))
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
    let is_single = arguments.iter().any(|argument| argument == "--single");
    let shape = if is_single { Shape::Single } else { Shape::Row };
    let plant = Plant::of(shape);
    if let Some(readings) = number("--make") {
        run(&plant, readings, false);
        return ExitCode::SUCCESS;
    }
    if let Some(readings) = number("--score") {
        run(&plant, readings, true);
        return ExitCode::SUCCESS;
    }
    let tally = run(&plant, TIMED, true);
    if tally.readings < TIMED {
        println!("only {} of {TIMED} readings were scored: the events are not what the decoder takes", tally.readings);
        return ExitCode::FAILURE;
    }
    let nanoseconds = tally.spent.as_nanos() as f64 / tally.readings as f64;
    println!("readings                  {}, {} a message", tally.readings, plant.readings());
    println!("readings a second         {:.0}", 1e9 / nanoseconds);
    println!("nanoseconds a reading     {nanoseconds:.0}");
    println!("bronze + silver           {:.1} bytes a reading", tally.stored as f64 / tally.readings as f64);
    match (instructions("--score", shape), instructions("--make", shape)) {
        (Some(all), Some(made)) => {
            println!("instructions a reading    {:.0}", all.saturating_sub(made) as f64 / COUNTED as f64);
        }
        _ => println!("instructions a reading    not counted: install valgrind"),
    }
    ExitCode::SUCCESS
}
