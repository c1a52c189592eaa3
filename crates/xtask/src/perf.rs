//! `perf`: what the deployed zip weighs, how long it takes to start, and how much memory a full event takes.
//!
//! The zip is run as it is: `millrace esm` unpacks it and serves it as a Runtime API on a loopback port. Its stores are the
//! emulator's, so that the connections that are opened during init are real but for TLS, whose certificates are read all
//! the same; or an address where nobody listens, which shows what a service that is out of reach costs a start. Times
//! depend on the machine, so nothing here fails on a figure: the table is for a person to read.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use crate::emulator::{Emulator, Policies};
use crate::lambda_zip;
use crate::process::{capture, run, step};
use crate::repository::Repository;
use crate::suite::{SCORER, host_architecture, zip_of};
use crate::venv;

/// Starts that are measured against each kind of store.
const STARTS: usize = 20;
/// Records of the full events: what three events of 6 MB hold.
const RECORDS: u64 = 3 * 7_700;
const DEVICES: u64 = 500;
const T0_MS: u64 = 1_790_000_000_000;
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// One record, and what fills three events.
const STREAMS: [&str; 2] = ["one", "full"];
const BUCKET: &str = "perf-lake";
const RESULTS: &str = "perf-results";
const CHECKPOINTS: &str = "perf-checkpoints";

/// Builds the zip and `millrace`, measures, and prints the table on stdout.
///
/// # Errors
/// Something does not build, the emulator does not start, or the function does not take the records.
#[expect(clippy::print_stdout, reason = "the table is the result, to be redirected into a document")]
pub(crate) fn table(repository: &Repository) -> Result<()> {
    let venv = venv::ready(repository)?;
    let zips = lambda_zip::all(repository, host_architecture())?;
    let zip = &zip_of(&zips, SCORER)?.path;
    step("millrace, release", || {
        run(repository.cargo().args(["build", "--release", "--quiet", "--package", "millrace"]))
    })?;
    let program = repository.target("release").join(format!("millrace{}", std::env::consts::EXE_SUFFIX));
    let emulator = Emulator::start(repository, &venv, Policies::Ignored)?;
    make_stores(&emulator.endpoint())?;
    let folder = repository.target("perf");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let host = Host { program: &program, zip, folder: &folder };

    let started = step("init, stores on the emulator", || host.starts(&emulator.endpoint()))?;
    let refused = step("init, stores out of reach", || host.starts(&format!("http://{}", nobody()?)))?;
    let full = step("memory on full events", || host.full_events(&emulator.endpoint()))?;
    let bytes = fs::metadata(zip).with_context(|| format!("no {}", zip.display()))?.len();
    println!("| figure | here | wanted | goal |\n|---|---|---|---|");
    println!("| zip | {:.2} MB | 5 MB | 3 MB |", bytes as f64 / 1e6);
    println!("| init, median of {STARTS} | {:.1} ms | 15 ms | 5 ms |", percentile(&started, 50));
    println!("| init, 90th percentile | {:.1} ms | 15 ms | 5 ms |", percentile(&started, 90));
    println!("| init, stores out of reach, median | {:.0} ms | | |", percentile(&refused, 50));
    println!("| memory on events of 6 MB | {full:.0} MB | 64 MB | |");
    Ok(())
}

/// The function behind a Runtime API.
struct Host<'a> {
    program: &'a Path,
    zip: &'a Path,
    folder: &'a Path,
}

impl Host<'_> {
    /// How long each start took until the function asked for an event, in milliseconds.
    fn starts(&self, endpoint: &str) -> Result<Vec<f64>> {
        let record = self.records(STREAMS[0], 1)?;
        let mut taken = (0..STARTS)
            .map(|_| figure(&self.run(&record, endpoint, &["--retries", "0"])?, "init_ms_max"))
            .collect::<Result<Vec<_>>>()?;
        taken.sort_by(f64::total_cmp);
        Ok(taken)
    }

    /// The most memory that the process has had, in MB.
    fn full_events(&self, endpoint: &str) -> Result<f64> {
        let records = self.records(STREAMS[1], RECORDS)?;
        let limits = ["--batch-size", "10000", "--report-batch-item-failures", "--retries", "2"];
        let report = self.run(&records, endpoint, &limits)?;
        if report["whole"] != "yes" {
            bail!("the function did not take every record: {report}");
        }
        figure(&report, "memory_mb_max")
    }

    /// One run over the file; the report of `millrace esm`.
    fn run(&self, records: &Path, endpoint: &str, options: &[&str]) -> Result<Value> {
        let mut esm = Command::new(self.program);
        esm.arg("esm").arg(records).arg("--bootstrap").arg(self.zip);
        esm.args(["--partition-key-field", "/device", "--timeout", "2m", "--output", "json"]).args(options);
        let settings = [
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_REGION", "us-east-1"),
            // Never anybody's own, and no looking for any.
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("MILLRACE_BUCKET", BUCKET),
            ("MILLRACE_RESULTS_TABLE", RESULTS),
            ("MILLRACE_CHECKPOINTS_TABLE", CHECKPOINTS),
            ("MILLRACE_S3_PATH_STYLE", "true"),
            ("MILLRACE_LOG", "off"),
        ];
        for (name, value) in settings {
            esm.arg("--env").arg(format!("{name}={value}"));
        }
        esm.stdin(std::process::Stdio::null());
        let answer: Value = serde_json::from_str(&capture(&mut esm)?).context("millrace esm did not answer in JSON")?;
        answer.get(0).cloned().ok_or_else(|| anyhow!("millrace esm reported nothing"))
    }

    /// A file of messages with five metrics.
    fn records(&self, name: &str, count: u64) -> Result<PathBuf> {
        let mut lines = String::new();
        for index in 0..count {
            let (device, at) = (index % DEVICES, T0_MS + index / DEVICES * 60_000);
            let wander = (index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as f64 / 1_024.0;
            // Writing to a String cannot fail.
            let _ = writeln!(
                lines,
                r#"{{"device":"pump-{device:03}","ts":{at},"temperature":{:.2},"vibration":{:.3},"pressure":{:.1},"rpm":{:.0},"power":{:.2}}}"#,
                55.0 + wander,
                2.0 + 0.2 * wander,
                90.0 + 3.0 * wander,
                1_450.0 + 20.0 * wander,
                7.0 + 0.1 * wander
            );
        }
        let path = self.folder.join(format!("{name}.ndjson"));
        fs::write(&path, lines).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

fn figure(report: &Value, name: &str) -> Result<f64> {
    report[name].as_f64().with_context(|| format!("millrace esm reported no `{name}`: {report}"))
}

/// The nearest-rank percentile of values in rising order.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

/// An address where nobody listens.
fn nobody() -> Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on the loopback interface")?;
    Ok(listener.local_addr()?.to_string())
}

/// The bucket, the tables and the streams that the function is told of. The emulator asks for no signature.
fn make_stores(endpoint: &str) -> Result<()> {
    let address = endpoint.trim_start_matches("http://");
    ask(address, &format!("PUT /{BUCKET}"), "", "")?;
    // A function that meets a new shard looks for its parents; `millrace esm` calls a stream as its file is called.
    for stream in STREAMS {
        let request = json!({"StreamName": stream, "ShardCount": 1}).to_string();
        ask(address, "POST /", &headers("Kinesis_20131202.CreateStream", "1.1"), &request)?;
    }
    for (table, keys) in [(RESULTS, &["pk", "sk"][..]), (CHECKPOINTS, &["pk"][..])] {
        let attribute = |name: &&str| json!({"AttributeName": name, "AttributeType": "S"});
        let key = |(name, kind): (&&str, &str)| json!({"AttributeName": name, "KeyType": kind});
        let request = json!({
            "TableName": table,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": keys.iter().map(attribute).collect::<Vec<_>>(),
            "KeySchema": keys.iter().zip(["HASH", "RANGE"]).map(key).collect::<Vec<_>>(),
        });
        ask(address, "POST /", &headers("DynamoDB_20120810.CreateTable", "1.0"), &request.to_string())?;
    }
    Ok(())
}

/// Headers of a call to a service that speaks JSON (AWS JSON protocol, Smithy specification).
fn headers(target: &str, version: &str) -> String {
    format!("X-Amz-Target: {target}\r\nContent-Type: application/x-amz-json-{version}\r\n")
}

/// One request; anything but success is an error.
fn ask(address: &str, line: &str, headers: &str, body: &str) -> Result<()> {
    let mut connection = TcpStream::connect(address).with_context(|| format!("cannot reach {address}"))?;
    connection.set_read_timeout(Some(ANSWER_MAX))?;
    let length = body.len();
    write!(
        connection,
        "{line} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).with_context(|| format!("no answer to `{line}`"))?;
    if !answer.starts_with("HTTP/1.1 2") {
        bail!("the emulator refused `{line}`: {answer}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=20).map(f64::from).collect();
        let rank = |values: &[f64], percent| percentile(values, percent) as u32;
        assert_eq!(rank(&values, 50), 10);
        assert_eq!(rank(&values, 90), 18);
        assert_eq!(rank(&values[..1], 90), 1);
    }
}
