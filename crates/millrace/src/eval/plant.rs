//! `eval plant`: the simulator as labelled data, judged fault kind by fault kind.
//!
//! The engine sees what the plant's devices send, row by row; nothing is encoded or stored. It learns for the warm-up, in
//! which there are no faults; what it says after that is judged. A fault is found by an alert raised from its start to
//! [`FOUND_MS`] after its end; an alert is false outside of every fault of its device, with an echo of [`ECHO_MS`].
//!
//! The plant changes as plants do. By default the warm-up has seen what comes: shifts, weekends, planned stops. With
//! `--unseen` it has seen four working days, and the first weekend, the first stops and products that were never made
//! before come while it is judged.

use std::collections::BTreeMap;

use anomaly_core::{
    DetectorId, DeviceName, Engine, Finite, MetricName, Observation, ProfileSet, Quality, Reading, Scored, TenantName,
    Timestamp,
};
use anyhow::Context as _;
use evaluation::{AlertFit, Grace, Incidents, Matches, Span, Spans, match_alerts};
use simulator::{Emission, Fault, FaultKind, Plant, PlantConfig};
use telemetry::profile::{ProfileBundle, SENSITIVITY_MAX, SENSITIVITY_MIN};

use super::{count, number};
use crate::options;
use crate::output::Cell;
use crate::ui::{Ui, Usage};

const EXAMPLES: &str = "\
Examples:
  millrace eval plant
  millrace eval plant --unseen --seed 7
  millrace eval plant --devices 20 --days 28 --sensitivity 0.1 --output csv

A fault is found by an alert from its start to 30 minutes after its end; an alert is false that is neither in a fault of
its device nor within 2 hours after one. Faults come about twice a device and week, planned stops once. With --unseen the
warm-up is Monday to Thursday without a stop, and once in two weeks a product is made that was never made before.";

/// So long after a fault's end an alert still finds it.
const FOUND_MS: i64 = 30 * 60_000;
/// So long after a fault's end an alert is its echo.
const ECHO_MS: i64 = 2 * 3_600_000;
const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: f64 = 60_000.0;
const FAULTS_PER_WEEK: f64 = 2.0;
const STOPS_PER_WEEK: f64 = 1.0;
/// With `--unseen`; what is new cannot have been seen.
const NEW_PRODUCTS_PER_WEEK: f64 = 0.5;
/// Days of warm-up and days judged.
const SEEN_DAYS: (u32, u32) = (14, 14);
/// The same where stops, new products and weekends have not been seen; the plant begins on a Monday.
const UNSEEN_DAYS: (u32, u32) = (4, 10);
const PROGRESS: &str = "{bar:40} {human_pos} of {human_len} emissions, {eta} left";

/// What `eval plant` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How many devices
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    devices: u32,
    /// Days without faults at the beginning, that are learned from [default: 14, with --unseen 4]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=1_800))]
    warmup_days: Option<u32>,
    /// Days after that, that are judged [default: 14, with --unseen 10]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=1_800))]
    days: Option<u32>,
    /// Chooses machines, noise, faults, stops and products
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Seconds between two readings of a device
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    cadence_seconds: u32,
    /// False alerts a device and week that are put up with, 0.001 to 100 [default: that of an empty profile]
    #[arg(long, value_name = "NUMBER", value_parser = sensitivity)]
    sensitivity: Option<f64>,
    /// No stop, no new product and no weekend in the warm-up
    #[arg(long)]
    unseen: bool,
}

fn sensitivity(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (SENSITIVITY_MIN..=SENSITIVITY_MAX).contains(number));
    number.ok_or_else(|| format!("must be a number from {SENSITIVITY_MIN} to {SENSITIVITY_MAX}"))
}

impl Args {
    /// Milliseconds of warm-up, and of what is judged.
    fn spans_ms(&self) -> (i64, i64) {
        let (warmup, judged) = if self.unseen { UNSEEN_DAYS } else { SEEN_DAYS };
        let days_ms = |days: u32| i64::from(days) * DAY_MS;
        (days_ms(self.warmup_days.unwrap_or(warmup)), days_ms(self.days.unwrap_or(judged)))
    }

    fn config(&self) -> PlantConfig {
        let (warmup_ms, judged_ms) = self.spans_ms();
        PlantConfig {
            seed: self.seed,
            devices: self.devices,
            duration_ms: warmup_ms + judged_ms,
            cadence_ms: i64::from(self.cadence_seconds) * 1_000,
            fault_rate: FAULTS_PER_WEEK,
            quiet_ms: warmup_ms,
            stops_per_week: STOPS_PER_WEEK,
            new_products_per_week: if self.unseen { NEW_PRODUCTS_PER_WEEK } else { 0.0 },
            changes_from_ms: if self.unseen { warmup_ms } else { 0 },
            ..PlantConfig::default()
        }
    }

    fn profiles(&self) -> anyhow::Result<ProfileSet> {
        let mut bundle = ProfileBundle::default();
        if let Some(sensitivity) = self.sensitivity {
            // With a point in it, TOML takes a whole number as a number, too.
            bundle.replace(options::TENANT_DEFAULT, &format!("sensitivity = {sensitivity:?}"))?;
        }
        Ok(bundle.compile()?)
    }
}

/// An alert, when it was raised and by what.
#[derive(Debug, Clone, Copy)]
struct Raised {
    at_ms: i64,
    detector: DetectorId,
}

/// Judges the engine and prints what came of each kind of fault, and of all.
///
/// # Errors
/// A plant that is out of bounds, or standard output that cannot be written.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let mut plant = Plant::new(args.config()).map_err(|errors| Usage(errors.to_string()))?;
    let (warmup_ms, judged_ms) = args.spans_ms();
    let judged_from_ms = plant.config().start + warmup_ms;
    let raised = alerts(&mut plant, &args.profiles()?, judged_from_ms, ui)?;
    let mut faults = vec![Vec::new(); raised.len()];
    for fault in plant.truth() {
        faults[fault.device as usize].push(fault);
    }
    let mut result = Outcome::default();
    for (faults, raised) in faults.iter().zip(&raised) {
        result.add(faults, raised, judged_ms)?;
    }
    result.print(ui)
}

/// Runs the plant through an engine; what is raised from `judged_from_ms` on, by device, in the order of time.
fn alerts(plant: &mut Plant, profiles: &ProfileSet, judged_from_ms: i64, ui: &Ui) -> anyhow::Result<Vec<Vec<Raised>>> {
    let tenant = TenantName::new(options::TENANT_DEFAULT)?;
    let mut raised = vec![Vec::new(); plant.config().devices as usize];
    let indices = (0..plant.config().devices).filter_map(|index| Some((plant.device_name(index)?, index as usize)));
    let indices: BTreeMap<String, usize> = indices.collect();
    let (mut engine, mut scored, mut emission) = (Engine::default(), Scored::default(), Emission::default());
    let bar = ui.progress(Some(plant.emissions_max()), PROGRESS);
    while plant.next_into(&mut emission) {
        bar.inc(1);
        let reading = |(name, value): &(&'static str, f64)| -> anyhow::Result<Reading<'_>> {
            let (metric, value) = (MetricName::new(name)?, Finite::try_from(*value)?);
            Ok(Reading { metric, value, quality: Quality::Good })
        };
        let readings = emission.values.iter().map(reading).collect::<anyhow::Result<Vec<_>>>()?;
        let at = Timestamp::from_millis(emission.at_ms)?;
        let device = DeviceName::new(&emission.device_name)?;
        engine.look_for_silence(at, profiles, |anomaly, _| {
            if let Some(index) = indices.get(&anomaly.device).filter(|_| emission.at_ms >= judged_from_ms) {
                raised[*index].push(Raised { at_ms: emission.at_ms, detector: anomaly.detector });
            }
        });
        let observation = Observation { tenant, device, at, arrived: at, readings: &readings };
        engine.observe(&observation, profiles, &mut scored).with_context(|| format!("device `{device}` at {at}"))?;
        if let (Some(anomaly), true) = (&scored.alert, emission.at_ms >= judged_from_ms) {
            raised[emission.device as usize].push(Raised { at_ms: emission.at_ms, detector: anomaly.detector });
        }
    }
    bar.finish_and_clear();
    Ok(raised)
}

/// What came of it.
#[derive(Debug, Default)]
struct Outcome {
    kinds: BTreeMap<FaultKind, Incidents>,
    total: Incidents,
    /// Who raised the false alerts.
    false_by: BTreeMap<&'static str, u64>,
}

impl Outcome {
    /// Adds a device: its faults and its alerts, both in the order of time.
    fn add(&mut self, faults: &[&Fault], raised: &[Raised], observed_ms: i64) -> anyhow::Result<()> {
        let spans = faults.iter().map(|fault| Span::new(fault.start_ms, fault.end_ms));
        // Faults of a device lie hours apart, so each is a span of its own.
        let spans = Spans::new(spans.collect::<Result<_, _>>()?);
        anyhow::ensure!(spans.merged() == 0, "two faults of one device overlap: report this with the seed");
        let times: Vec<i64> = raised.iter().map(|raised| raised.at_ms).collect();
        let matches = match_alerts(&spans, &times, Grace { found_ms: FOUND_MS, echo_ms: ECHO_MS });
        self.total.absorb(&Incidents::of(&matches, observed_ms));
        for (fault, delay_ms) in faults.iter().zip(&matches.delays_ms) {
            let alone = Matches { alerts: Vec::new(), delays_ms: vec![*delay_ms] };
            self.kinds.entry(fault.kind).or_default().absorb(&Incidents::of(&alone, 0));
        }
        for (raised, _) in raised.iter().zip(&matches.alerts).filter(|(_, fit)| **fit == AlertFit::False) {
            *self.false_by.entry(raised.detector.as_str()).or_default() += 1;
        }
        Ok(())
    }

    /// Who raised the false alerts, most first.
    fn false_by(&self) -> String {
        let mut detectors: Vec<(&str, u64)> = self.false_by.iter().map(|(name, count)| (*name, *count)).collect();
        detectors.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let detectors: Vec<String> = detectors.into_iter().map(|(name, count)| format!("{name} {count}")).collect();
        detectors.join(", ")
    }

    fn print(&self, ui: &Ui) -> anyhow::Result<()> {
        let columns = ["kind", "faults", "found", "recall", "median_delay_minutes"];
        let of_all = ["false_alerts", "false_per_device_week", "false_by_detector"];
        let mut rows = ui.rows([&columns[..], &of_all].concat())?;
        let cells = |kind: &'static str, incidents: &Incidents| {
            vec![
                Cell::text(kind),
                count(incidents.spans),
                count(incidents.found()),
                number(incidents.recall()),
                number(incidents.median_delay_ms().map(|delay| delay / MINUTE_MS)),
            ]
        };
        for kind in FaultKind::ALL {
            let none = Incidents::default();
            let mut cells = cells(kind.name(), self.kinds.get(&kind).unwrap_or(&none));
            cells.extend([Cell::Nothing, Cell::Nothing, Cell::Nothing]);
            rows.push(&cells)?;
        }
        let mut cells = cells("total", &self.total);
        cells.extend([
            count(self.total.false_alerts),
            number(self.total.false_per_device_week()),
            Cell::text(self.false_by()),
        ]);
        rows.push(&cells)?;
        Ok(rows.finish()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: FaultKind, start_ms: i64, end_ms: i64) -> Fault {
        let device_name = "pump-00000".to_owned();
        Fault { device: 0, device_name, kind, metrics: vec![], start_ms, end_ms, magnitude: 1.0 }
    }

    #[test]
    fn a_fault_is_found_half_an_hour_late_and_echoes_for_two() {
        let faults = [fault(FaultKind::Drift, 0, DAY_MS), fault(FaultKind::Spike, 3 * DAY_MS, 3 * DAY_MS + 60_000)];
        let late = 3 * DAY_MS + 60_000 + FOUND_MS;
        let at = |at_ms, detector| Raised { at_ms, detector };
        let mut outcome = Outcome::default();
        let raised = [
            at(DAY_MS + FOUND_MS + 1, DetectorId::Level),
            at(DAY_MS + ECHO_MS + 1, DetectorId::Level),
            at(2 * DAY_MS, DetectorId::Spike),
            at(2 * DAY_MS, DetectorId::Spike),
            at(late, DetectorId::Relation),
        ];
        outcome.add(&faults.iter().collect::<Vec<_>>(), &raised, 7 * DAY_MS).unwrap();
        assert_eq!((outcome.kinds[&FaultKind::Drift].found(), outcome.kinds[&FaultKind::Spike].found()), (0, 1));
        assert_eq!(outcome.total.delays_ms, [60_000 + FOUND_MS]);
        assert_eq!((outcome.total.false_alerts, outcome.total.false_per_device_week()), (3, Some(3.0)));
        assert_eq!(outcome.false_by(), "spike 2, level 1");
    }

    #[test]
    fn a_sensitivity_reaches_every_metric_and_is_bounded() {
        let args = |sensitivity| Args {
            devices: 1,
            warmup_days: None,
            days: None,
            seed: 1,
            cadence_seconds: 60,
            sensitivity,
            unseen: true,
        };
        let tenant = TenantName::new(options::TENANT_DEFAULT).unwrap();
        for wanted in [0.001, 0.25, 5.0, 100.0] {
            let profiles = args(Some(wanted)).profiles().unwrap();
            let settings = profiles.of(tenant).settings(DeviceName::new("d").unwrap(), "rpm");
            assert!((settings.sensitivity - wanted).abs() < 1e-12);
        }
        assert_eq!(args(None).profiles().unwrap().fingerprint(), ProfileSet::default().fingerprint());
        assert!(sensitivity("0").is_err() && sensitivity("nan").is_err() && sensitivity("0.3").is_ok());
        assert_eq!(args(None).spans_ms(), (4 * DAY_MS, 10 * DAY_MS));
    }
}
