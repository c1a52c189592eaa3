//! A result of many gigabytes, written to a folder, analysed twice, and what that takes: time, throughput, memory.
//!
//! `cargo run --release -p batch-analyzer --no-default-features --example large -- 5` for five gigabytes. The folder is
//! removed at the end.

#![expect(clippy::print_stdout, reason = "its figures are for people")]

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anomaly_core::Timestamp;
use batch_analyzer::handler::{Outcome, Request, run};
use batch_analyzer::job::JobId;
use platform::clock::Stopwatch;
use platform::embedded::Local;

const DEVICES: u64 = 2_000;
const PARTS: u64 = 4;
const BEGIN_MS: u64 = 1_793_491_200_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let gigabytes: u64 = std::env::args().nth(1).map_or(Ok(1), |text| text.parse())?;
    let folder = tempfile::tempdir_in("target")?;
    let world = Local::open(folder.path())?;
    let id = JobId::new("acme", "large")?;
    let lake = folder.path().join("lake/inference/acme/large");
    let rows = write(&lake, gigabytes << 30)?;
    println!("{gigabytes} GiB of results in {PARTS} parts, {rows} rows of {DEVICES} devices");
    let before_bytes = peak_bytes()?;
    for _ in 0..2 {
        let request = Request { id: &id, accepts_missing: false, ttl_days: 90, now: Timestamp::MAX };
        let watch = Stopwatch::start();
        let outcome = run(&world, &request, || true).await?;
        let seconds = watch.elapsed().as_secs_f64();
        let (what, report) = match outcome {
            Outcome::Analyzed(report, _) => ("analysed", report),
            Outcome::Done(report) => ("done before", report),
            other => return Err(format!("{other:?}").into()),
        };
        let megabytes = report.plain_bytes as f64 / 1e6;
        println!(
            "{what}: {} rows, {} findings, {} refused; {seconds:.1} s, {:.0} MB/s (each byte read twice)",
            report.rows,
            report.alone + report.seen_twice,
            report.refused.values().sum::<u64>(),
            megabytes / seconds,
        );
    }
    println!("memory: {} MiB at the most, {} MiB before the analysis", peak_bytes()? >> 20, before_bytes >> 20);
    Ok(())
}

/// Joined results, a row a minute of each device, one of them faulty for half an hour each day.
fn write(lake: &Path, bytes: u64) -> Result<u64, Box<dyn Error>> {
    fs::create_dir_all(lake.join("output"))?;
    let names: Vec<String> = (0..PARTS).map(|part| format!("\"{part}\"")).collect();
    let job =
        format!(r#"{{"version":1,"model":"large","format":"jsonl","joined":true,"parts":[{}]}}"#, names.join(","));
    fs::write(lake.join("job.json"), job)?;
    let (mut rows, mut state) = (0_u64, 1_u64);
    for part in 0..PARTS {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(lake.join(format!("output/{part}.out")))?);
        let mut written = 0;
        while written < bytes / PARTS {
            let (device, minute) = (rows % DEVICES, rows / DEVICES);
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let chance = ((state >> 33) as f64 + 0.5) / f64::from(1_u32 << 31);
            let is_faulty = device == 7 && minute % 1_440 >= 1_410;
            let score = if is_faulty { 6.0 } else { 0.8 - 0.1 * chance.ln() };
            let line = format!(
                "{{\"device\":\"pump-{device}\",\"ts\":{},\"temperature\":{:.2},\"vibration\":{:.3},\"pressure\":{:.1},\"rpm\":{},\"SageMakerOutput\":{{\"score\":{score:.6}}}}}\n",
                BEGIN_MS + minute * 60_000,
                60.0 + chance,
                2.0 + 0.2 * chance,
                90.0 + chance,
                1_400 + state % 50,
            );
            file.write_all(line.as_bytes())?;
            written += line.len() as u64;
            rows += 1;
        }
        file.flush()?;
    }
    Ok(rows)
}

/// The most memory that this process ever had, in bytes.
fn peak_bytes() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kilobytes << 10)
}
