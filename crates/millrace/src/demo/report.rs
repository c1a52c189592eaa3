//! What came of the run: counts, and the plant's own truth beside what was found.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anomaly_core::Timestamp;
use platform::embedded::Local;
use platform::metrics::{BatchMetrics, EmitMetrics};
use platform::ports::{AnomalyQuery, FindAnomalies as _};
use simulator::{Fault, Plant};

use super::incidents::Counts;
use super::{DAY_MS, TENANT};
use crate::output::{Cell, Format};
use crate::ui::Ui;

/// A fault that begins so shortly before the end cannot be expected to be found.
const TOO_LATE_MS: i64 = 2 * 3_600_000;
/// An anomaly so shortly after a fault's end is its echo: hot metal cools, averages settle.
const ECHO_MS: i64 = 2 * 3_600_000;
/// Most anomalies of one device that are compared with the truth.
const ANOMALIES_MAX: usize = 100_000;

/// Sums up what the batches report of themselves.
#[derive(Debug, Default)]
pub(super) struct Tally {
    batches: AtomicU64,
    readings: AtomicU64,
    anomalies: AtomicU64,
    quarantined: AtomicU64,
    calls: AtomicU64,
}

impl EmitMetrics for Tally {
    async fn emit(&self, metrics: &BatchMetrics, _: &str, _: Timestamp) {
        let add = |counter: &AtomicU64, value| counter.fetch_add(value, Ordering::Relaxed);
        add(&self.batches, 1);
        add(&self.readings, metrics.readings);
        add(&self.anomalies, metrics.anomalies);
        add(&self.quarantined, metrics.quarantined);
        add(&self.calls, metrics.calls);
    }
}

/// The result of a run.
#[derive(Debug)]
pub(super) struct Report {
    batches: u64,
    readings: u64,
    anomalies: u64,
    quarantined: u64,
    calls: u64,
    elapsed: Duration,
    sent: u64,
    stored: u64,
    found: usize,
    missed: usize,
    delay_minutes: Option<f64>,
    false_per_device_week: f64,
    incidents: u64,
    told: u64,
    told_per_device_week: f64,
}

impl Report {
    /// Compares what is stored with the plant's truth for `span` (milliseconds, end excluded). `sent` and `stored` are messages
    /// of the plant.
    pub(super) async fn new(
        world: &Local,
        plant: &Plant,
        span: (i64, i64),
        tally: &Tally,
        elapsed: Duration,
        (sent, stored): (u64, u64),
        incidents: Counts,
    ) -> anyhow::Result<Self> {
        let (mut delays, mut missed, mut strays) = (Vec::new(), 0, 0_u64);
        let devices = plant.config().devices;
        for device in 0..devices {
            let Some(name) = plant.device_name(device) else { continue };
            let query = AnomalyQuery::Device { tenant: TENANT.to_owned(), device: name };
            let records = world.find_anomalies(&query, ANOMALIES_MAX).await?;
            let onsets: Vec<i64> = records.iter().map(|record| record.anomaly.onset.millis()).collect();
            let faults: Vec<&Fault> = plant.truth().iter().filter(|fault| fault.device == device).collect();
            for fault in faults
                .iter()
                .filter(|fault| (span.0..span.1).contains(&fault.start_ms) && fault.start_ms + TOO_LATE_MS < span.1)
            {
                match onsets.iter().filter(|onset| fault.covers(**onset)).min() {
                    Some(first) => delays.push(first - fault.start_ms),
                    None => missed += 1,
                }
            }
            let stray = |onset: &i64| {
                (span.0..span.1).contains(onset)
                    && !faults.iter().any(|fault| (fault.start_ms..fault.end_ms + ECHO_MS).contains(onset))
            };
            strays += onsets.iter().filter(|onset| stray(onset)).count() as u64;
        }
        delays.sort_unstable();
        let weeks = (span.1 - span.0) as f64 / (7 * DAY_MS) as f64 * f64::from(devices);
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Ok(Self {
            batches: load(&tally.batches),
            readings: load(&tally.readings),
            anomalies: load(&tally.anomalies),
            quarantined: load(&tally.quarantined),
            calls: load(&tally.calls),
            elapsed,
            sent,
            stored,
            found: delays.len(),
            missed,
            delay_minutes: delays.get(delays.len() / 2).map(|ms| *ms as f64 / 60_000.0),
            false_per_device_week: strays as f64 / weeks,
            incidents: incidents.incidents,
            told: incidents.messages,
            told_per_device_week: incidents.messages as f64 / weeks,
        })
    }

    /// Whether the lake holds every record once.
    pub(super) fn is_whole(&self) -> bool {
        self.sent == self.stored
    }

    /// What is wrong when it does not.
    pub(super) fn damage(&self) -> String {
        format!(
            "the plant has sent {} messages, the lake holds {}: keep the folder and report this",
            self.sent, self.stored
        )
    }

    fn entries(&self) -> [(&'static str, Cell<'static>); 15] {
        let count = |value: u64| Cell::Number(value as f64);
        let seconds = self.elapsed.as_secs_f64();
        let rounded =
            |value: f64, digits: i32| Cell::Number((value * 10_f64.powi(digits)).round() / 10_f64.powi(digits));
        [
            ("readings", count(self.readings)),
            ("readings_per_second", rounded(self.readings as f64 / seconds.max(1e-9), 0)),
            ("batches", count(self.batches)),
            ("store_calls", count(self.calls)),
            ("anomalies", count(self.anomalies)),
            ("incidents", count(self.incidents)),
            ("alerts_told", count(self.told)),
            ("alerts_told_per_device_week", rounded(self.told_per_device_week, 2)),
            ("faults_found", count(self.found as u64)),
            ("faults_missed", count(self.missed as u64)),
            ("median_delay_minutes", self.delay_minutes.map_or(Cell::Nothing, |minutes| rounded(minutes, 1))),
            ("false_alerts_per_device_week", rounded(self.false_per_device_week, 2)),
            ("quarantined", count(self.quarantined)),
            ("messages_sent", count(self.sent)),
            ("messages_stored_once", count(self.stored)),
        ]
    }

    /// Prints it: as a list for the eye, as one row for programs.
    pub(super) fn print(&self, ui: &Ui) -> anyhow::Result<()> {
        let entries = self.entries();
        if ui.format() == Format::Table {
            let mut rows = ui.rows(vec!["what", "this run"])?;
            for (name, value) in entries {
                rows.push(&[Cell::text(name.replace('_', " ")), value])?;
            }
            rows.finish()?;
        } else {
            let mut rows = ui.rows(entries.iter().map(|(name, _)| *name).collect())?;
            rows.push(&entries.map(|(_, value)| value))?;
            rows.finish()?;
        }
        ui.note("look closer: `millrace alerts list`, then `millrace alerts show ID`; `millrace anomalies list`, then `millrace explain ID`");
        Ok(())
    }
}
