//! `simulate`: what a plant sends, as payloads or as a recording to replay, and the truth about its faults.
//!
//! The same options give the same bytes. It sends nothing anywhere and does not wait between readings.

mod write;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anomaly_core::Timestamp;
use anyhow::Context as _;
use indicatif::ProgressBar;
use simulator::{Emission, PayloadFormat, Plant, PlantConfig};

use crate::options;
use crate::output::Cell;
use crate::ui::{Ui, Usage};
use write::Writer;

const EXAMPLES: &str = "\
Examples:
  millrace simulate --devices 3 --days 2 > plant.ndjson
  millrace simulate --devices 20 --days 4 --format csv --out plant.csv --truth truth.json
  millrace simulate --days 3 --csv-device pump-00001 --out pump.csv && millrace replay pump.csv
  millrace simulate --days 14 --stops-per-week 2 --new-products-per-week 1 --truth truth.json > plant.ndjson
  millrace simulate --devices 1000 --days 30 --dry-run

The first day (--fault-free-days) has no faults, so that a detector can learn.
Stops and new products are healthy changes; they may come from the first day on.";

const DAY_MS: f64 = 86_400_000.0;
const HOUR_MS: f64 = 3_600_000.0;
const PROGRESS: &str = "{bar:40} {human_pos} of {human_len} emissions, {eta} left";

/// What `simulate` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How many devices; adding some leaves the others unchanged
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=i64::from(simulator::DEVICES_MAX)))]
    devices: u32,
    /// How long the plant runs, in days, up to 3660 [default: 4]
    #[arg(long, value_name = "DAYS", conflicts_with = "hours", value_parser = options::at_most::<3_660>)]
    days: Option<f64>,
    /// How long the plant runs, in hours
    #[arg(long, value_name = "HOURS", value_parser = options::at_most::<87_840>)]
    hours: Option<f64>,
    /// Chooses machines, noise, faults and poison
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Time between two readings of a device, 1ms to 24h; a plain number is seconds
    #[arg(long, value_name = "SPAN", default_value = "60s", value_parser = options::span_ms)]
    cadence: i64,
    /// Whose plant it is
    #[arg(long, value_name = "NAME", default_value = options::TENANT_DEFAULT, value_parser = options::tenant)]
    tenant: String,
    /// What is written
    #[arg(long, visible_alias = "form", value_enum, default_value_t = Form::Topic)]
    format: Form,
    /// Expected faults a device and week, 0 to 20
    #[arg(long, value_name = "RATE", default_value_t = 5.0, value_parser = options::at_most::<20>)]
    faults_per_week: f64,
    /// Days at the beginning without faults
    #[arg(long, value_name = "DAYS", default_value_t = 1.0, value_parser = options::at_most::<3_660>)]
    fault_free_days: f64,
    /// Expected planned stops a device and week, 0 to 20: healthy, no faults
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = options::at_most::<20>)]
    stops_per_week: f64,
    /// Expected products a device and week that were never made before, 0 to 20: healthy, no faults
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = options::at_most::<20>)]
    new_products_per_week: f64,
    /// Unreadable payloads per million; a CSV leaves these readings out
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    poison_per_million: u32,
    /// First instant
    #[arg(long, value_name = "TIME", default_value = "2026-01-05T00:00:00Z", value_parser = options::instant)]
    start: Timestamp,
    /// File to write, `-` for standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
    /// File for the truth: every injected fault, stop and new product, as JSON
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Write only this device, as a CSV with a column a metric
    #[arg(long, value_name = "NAME", conflicts_with = "format")]
    csv_device: Option<String>,
    /// Write nothing; say what would be written
    #[arg(long)]
    dry_run: bool,
}

/// What is written for an emission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// Payloads that carry their MQTT topic: {"topic":"tenants/demo/devices/pump-00001/telemetry","ts":…,"temperature":…}
    Topic,
    /// Payloads that name the device: {"device_id":"pump-00001","ts":…,"temp":…}
    DeviceId,
    /// A payload a metric: {"deviceId":"pump-00001","sensorType":"temperature","value":…,"timestamp":…}
    Single,
    /// CSV with the columns timestamp, device, metric, value
    Csv,
}

impl Args {
    fn config(&self) -> PlantConfig {
        let duration_ms = match (self.days, self.hours) {
            (Some(days), _) => days * DAY_MS,
            (None, Some(hours)) => hours * HOUR_MS,
            (None, None) => 4.0 * DAY_MS,
        };
        PlantConfig {
            seed: self.seed,
            devices: self.devices,
            start: self.start.millis(),
            duration_ms: duration_ms.round() as i64,
            cadence_ms: self.cadence,
            fault_rate: self.faults_per_week,
            quiet_ms: (self.fault_free_days * DAY_MS).round() as i64,
            tenant: self.tenant.clone(),
            poison_per_million: self.poison_per_million,
            stops_per_week: self.stops_per_week,
            new_products_per_week: self.new_products_per_week,
            ..PlantConfig::default()
        }
    }

    fn plan(&self, plant: &Plant) -> Result<Writer, Usage> {
        Ok(match (&self.csv_device, self.format) {
            (Some(name), _) => Writer::wide(plant, name)?,
            (None, Form::Csv) => Writer::long(),
            (None, Form::Topic) => Writer::payloads(PayloadFormat::Topic, &self.tenant),
            (None, Form::DeviceId) => Writer::payloads(PayloadFormat::DeviceId, &self.tenant),
            (None, Form::Single) => Writer::payloads(PayloadFormat::Single, &self.tenant),
        })
    }
}

/// Writes what the plant sends.
///
/// # Errors
/// A plant that is out of bounds, a device that it does not have, or a file that cannot be written.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let mut plant = Plant::new(args.config()).map_err(|errors| Usage(errors.to_string()))?;
    let mut writer = args.plan(&plant)?;
    if args.dry_run {
        return dry_run(plant, &mut writer, ui);
    }
    if ui.has_chosen_format() {
        let words = "--output is the form of --dry-run's counts: choose with --format what the plant writes";
        return Err(Usage(words.to_owned()).into());
    }
    if args.out.as_os_str() == "-" {
        let bar = if ui.shows_output() { ProgressBar::hidden() } else { progress(&plant, ui) };
        send(&mut plant, &mut writer, io::stdout().lock(), &bar)?;
    } else {
        let (file, bar) = (create(&args.out)?, progress(&plant, ui));
        send(&mut plant, &mut writer, file, &bar)
            .with_context(|| format!("cannot write `{}`: look for room on its disk", args.out.display()))?;
    }
    if let Some(path) = &args.truth {
        let mut file = BufWriter::new(create(path)?);
        let written = serde_json::to_writer_pretty(&mut file, &plant.report()).map_err(io::Error::from);
        written
            .and_then(|()| file.flush())
            .with_context(|| format!("cannot write the truth to `{}`: look for room on its disk", path.display()))?;
    }
    ui.detail(writer.written());
    Ok(())
}

fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| {
        format!("cannot create `{}`: its folder must exist and be writable, or choose another file", path.display())
    })
}

fn progress(plant: &Plant, ui: &Ui) -> ProgressBar {
    ui.progress(Some(plant.emissions_max()), PROGRESS)
}

fn send(plant: &mut Plant, writer: &mut Writer, out: impl Write, bar: &ProgressBar) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, out);
    let mut emission = Emission::default();
    writer.begin(&mut out)?;
    while plant.next_into(&mut emission) {
        writer.emission(&emission, &mut out)?;
        bar.inc(1);
    }
    out.flush()?;
    bar.finish_and_clear();
    Ok(())
}

fn dry_run(mut plant: Plant, writer: &mut Writer, ui: &Ui) -> anyhow::Result<()> {
    let bar = progress(&plant, ui);
    send(&mut plant, writer, io::sink(), &bar)?;
    let mut rows = ui.rows(vec!["what", "count"])?;
    let written = writer.written();
    for (what, count) in [
        ("devices", u64::from(plant.config().devices)),
        ("faults", plant.truth().len() as u64),
        ("changes", plant.changes().len() as u64),
        ("readings", written.readings),
        ("lines", written.lines),
        ("bytes", written.bytes),
        ("poison", plant.poison_emitted()),
    ] {
        rows.push(&[Cell::text(what), Cell::Number(count as f64)])?;
    }
    rows.finish()?;
    ui.note("nothing was written: --dry-run");
    Ok(())
}
