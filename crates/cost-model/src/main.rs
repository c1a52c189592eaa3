//! `cost-model`: what a million readings cost, beside the naive design. Started by `cargo xtask cost`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "figures on stdout, progress and remarks on stderr")]

use anyhow::Result;
use clap::{Parser, ValueEnum};
use cost_model::naive;
use cost_model::report::{Column, json, table};
use cost_model::run::{Outcome, Setting, run};
use cost_model::workload::{Shape, Workload};
use platform::cost::{Architecture, Prices};

/// What a million readings cost: calls, bytes, GB-seconds and dollars, beside the naive design.
#[derive(Parser)]
#[command(name = "cost")]
struct Arguments {
    /// How many readings to run, for each shape of message
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    readings: u64,
    /// How many rows a fault lasts; the share of abnormal readings stays one in a thousand
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    fault_rows: u64,
    /// The mapping's batch window in seconds
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(0..=300))]
    window_seconds: u32,
    /// The function's memory in megabytes
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(128..=10_240))]
    memory_mb: u32,
    /// The function's processor, for its price; processor time is this machine's
    #[arg(long, value_enum, default_value_t = Processor::Arm64)]
    arch: Processor,
    /// Regions that the tables have beside the first
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10))]
    replicas: u32,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Processor {
    #[value(name = "arm64")]
    Arm64,
    #[value(name = "x86_64")]
    X86_64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Aligned columns, which are Markdown as well
    Table,
    /// One object a design
    Json,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let prices = Prices::built_in()?;
    let one = measure(&arguments, &prices, Shape::One)?;
    let five = measure(&arguments, &prices, Shape::Five)?;
    let columns = [
        Column::of("1 metric a message", one.clone()),
        Column::of("5 metrics a message", five),
        naive(&one, &arguments, &prices),
    ];
    match arguments.output {
        Output::Table => println!("{}", table(&columns)),
        Output::Json => println!("{}", serde_json::to_string_pretty(&json(&columns))?),
    }
    remark(&columns, &one, &arguments, &prices);
    Ok(())
}

fn architecture(arguments: &Arguments) -> Architecture {
    match arguments.arch {
        Processor::Arm64 => Architecture::Arm64,
        Processor::X86_64 => Architecture::X86_64,
    }
}

fn measure(arguments: &Arguments, prices: &Prices, shape: Shape) -> Result<Outcome> {
    let setting = Setting {
        workload: Workload { shape, fault_rows: arguments.fault_rows },
        readings: arguments.readings,
        window_seconds: arguments.window_seconds,
        memory_mb: arguments.memory_mb,
        architecture: architecture(arguments),
        replicas: arguments.replicas,
        prices: prices.clone(),
    };
    let mut tenth = 0;
    run(&setting, |done| {
        let now = done * 10 / arguments.readings;
        if now > tenth {
            tenth = now;
            eprintln!("{} metric(s) a message: {done} of {} readings", shape.readings(), arguments.readings);
        }
    })
}

/// The naive design over the messages of `one`, in one Region.
fn naive(one: &Outcome, arguments: &Arguments, prices: &Prices) -> Column {
    let mut usage = naive::usage(one.readings, one.payload_bytes, prices);
    (usage.kinesis_put_units, usage.kinesis_shard_hours) = (one.usage.kinesis_put_units, one.usage.kinesis_shard_hours);
    let cost = usage.dollars(prices, architecture(arguments), arguments.replicas);
    Column { title: "naive, 1 metric a message", readings: one.readings, usage, cost, outcome: None }
}

/// What the figures rest on.
fn remark(columns: &[Column], one: &Outcome, arguments: &Arguments, prices: &Prices) {
    let assumed = &prices.assumed;
    let shard_dollars = one.stream_seconds / 3_600.0 * prices.kinesis.shard_dollars_per_hour.get();
    eprintln!(
        "Prices: crates/platform/prices.toml. GB-seconds: {} MB ({:.0} % of a processor), processor time of this machine, \
         and assumed: S3 {} ms, DynamoDB item {} ms, transaction {} ms, {} MB/s, {} ms of processor a call.",
        arguments.memory_mb,
        f64::from(arguments.memory_mb) / 17.69,
        assumed.s3_wait_ms.get(),
        assumed.dynamodb_item_wait_ms.get(),
        assumed.dynamodb_transaction_wait_ms.get(),
        assumed.bytes_per_second.get() / 1e6,
        assumed.cpu_ms_per_call.get(),
    );
    eprintln!(
        "Kinesis: a full shard. This workload fills {:.0} % of one, whose hours come to ${:.4} a million readings.",
        one.records as f64 / one.stream_seconds / 10.0,
        shard_dollars * 1e6 / one.readings as f64,
    );
    eprintln!("Not in the figures: keeping, initialisation, metrics and alarms by the month, alerts, queries.");
    for column in columns {
        let month = column.keeping_dollars_per_month(prices);
        eprintln!("  keeping for a month what a million readings put into S3, {}: ${month:.5}", column.title);
    }
}
