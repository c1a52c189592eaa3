//! `eval compare`: what two profiles would have alerted on, over the same readings.
//!
//! The readings are read once and go through two engines side by side. Alerts of one device that are at most an hour apart
//! are about the same thing; which alerts are a pair depends on their times alone, not on metric or detector, since a change
//! of profile may well change who speaks first.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anomaly_core::{Anomaly, Engine, Observation, ProfileSet, Scored, Timestamp};
use anyhow::Context as _;
use evaluation::{Pairing, pair_alerts};

use super::count;
use crate::options;
use crate::output::{Cell, Format};
use crate::profile;
use crate::replay::{self, Input, NotMetrics};
use crate::ui::Ui;

const EXAMPLES: &str = "\
Examples:
  millrace eval compare now.toml next.toml millrace-data/lake
  millrace eval compare now.toml next.toml run.csv --warmup january.csv --output csv
  millrace eval compare now.toml next.toml lake --tenant acme --from 2026-11-01 --to 2026-11-08

Two alerts of one device are the same where they were raised within --tolerance of each other. A table shows the alerts
that only one of the profiles raises, and the counts of each device; csv, json and ndjson have every alert, with `in`:
  a, b     only the first profile raises it, only the second
  both     both do; what is printed is what the first says of it";

/// What `eval compare` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A profile, such as the one in force
    #[arg(value_name = "PROFILE_A")]
    a: PathBuf,
    /// Another profile, such as the one to be
    #[arg(value_name = "PROFILE_B")]
    b: PathBuf,
    /// Recorded readings: a folder of the lake, or anything else that `millrace replay` reads
    #[arg(value_name = "LAKE")]
    lake: PathBuf,
    /// History that both engines learn from first; may be given several times
    #[arg(long, value_name = "FILE")]
    warmup: Vec<PathBuf>,
    /// Tenant whose profiles these are, and whose readings where they do not say
    #[arg(long, value_name = "NAME", default_value = options::TENANT_DEFAULT, value_parser = options::tenant)]
    tenant: String,
    /// Leave out alerts before this time; the readings before it are learned from
    #[arg(long, value_name = "TIME", value_parser = options::instant)]
    from: Option<Timestamp>,
    /// Leave out alerts from this time on
    #[arg(long, value_name = "TIME", value_parser = options::instant)]
    to: Option<Timestamp>,
    /// Alerts at most so far apart are the same
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = options::span_ms)]
    tolerance: i64,
}

/// A device, by tenant and name.
type Key = (String, String);

/// An alert and when it was raised.
#[derive(Debug)]
struct Raised {
    at: Timestamp,
    anomaly: Box<Anomaly>,
}

/// One profile and what comes of it.
struct Side {
    engine: Engine,
    profiles: ProfileSet,
    /// Reused from row to row.
    scored: Scored,
    raised: BTreeMap<Key, Vec<Raised>>,
}

impl Side {
    fn new(profile: &Path, tenant: &str) -> anyhow::Result<Self> {
        let profiles = profile::load(Some(profile), tenant)?;
        Ok(Self { engine: Engine::default(), profiles, scored: Scored::default(), raised: BTreeMap::new() })
    }

    fn observe(&mut self, observation: &Observation<'_>, is_counted: bool) -> anyhow::Result<()> {
        self.engine.observe(observation, &self.profiles, &mut self.scored)?;
        if let Some(anomaly) = self.scored.alert.take().filter(|_| is_counted) {
            let key = (anomaly.tenant.clone(), anomaly.device.clone());
            self.raised.entry(key).or_default().push(Raised { at: observation.at, anomaly });
        }
        Ok(())
    }

    /// The alerts of a device, in the order of time.
    fn of(&mut self, key: &Key) -> Vec<Raised> {
        let mut raised = self.raised.remove(key).unwrap_or_default();
        raised.sort_by_key(|raised| raised.at);
        raised
    }
}

/// How many alerts of a device which profile raises.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    a: u64,
    b: u64,
    both: u64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.a += other.a;
        self.b += other.b;
        self.both += other.both;
    }
}

/// One line of the result.
struct Difference {
    by: &'static str,
    raised: Raised,
}

/// Compares.
///
/// # Errors
/// A profile or the readings cannot be read, with the place, or standard output cannot be written.
pub(crate) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let (mut a, mut b) = (Side::new(&args.a, &args.tenant)?, Side::new(&args.b, &args.tenant)?);
    let input = Input { file: &args.lake, warmup: &args.warmup, profile: None, tenant: &args.tenant, device: None };
    let tenant_seen = replay::read(&input, NotMetrics::default(), ui, &mut |row| {
        let at = row.observation.at;
        let is_after = args.from.is_none_or(|from| at >= from);
        let is_counted = !row.is_history && is_after && args.to.is_none_or(|to| at < to);
        for side in [&mut a, &mut b] {
            side.observe(&row.observation, is_counted).with_context(|| row.place())?;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    for profile in [&args.a, &args.b].into_iter().filter(|_| !tenant_seen) {
        replay::warn_of_unused(profile, &args.tenant, ui);
    }

    let mut keys: Vec<Key> = a.raised.keys().chain(b.raised.keys()).cloned().collect();
    keys.sort();
    keys.dedup();
    let (mut differences, mut counts) = (Vec::new(), Vec::new());
    for key in keys {
        let found = pair(a.of(&key), b.of(&key), args.tolerance, &mut differences);
        counts.push((key, found));
    }
    print(&differences, &counts, ui)
}

/// Pairs the alerts of one device and counts them.
fn pair(a: Vec<Raised>, b: Vec<Raised>, tolerance_ms: i64, differences: &mut Vec<Difference>) -> Counts {
    let times = |raised: &[Raised]| raised.iter().map(|raised| raised.at.millis()).collect::<Vec<i64>>();
    let pairings = pair_alerts(&times(&a), &times(&b), tolerance_ms);
    let (mut a, mut b) = (a.into_iter(), b.into_iter());
    let mut counts = Counts::default();
    // Pairings hold every alert once and in order, so the next of a side is the one meant.
    for pairing in pairings {
        let (by, counted, raised) = match pairing {
            Pairing::OnlyA(_) => ("a", &mut counts.a, a.next()),
            Pairing::OnlyB(_) => ("b", &mut counts.b, b.next()),
            Pairing::Both(..) => ("both", &mut counts.both, a.next().filter(|_| b.next().is_some())),
        };
        *counted += 1;
        differences.extend(raised.map(|raised| Difference { by, raised }));
    }
    counts
}

fn print(differences: &[Difference], counts: &[(Key, Counts)], ui: &Ui) -> anyhow::Result<()> {
    let is_table = ui.format() == Format::Table;
    let several_tenants = counts.windows(2).any(|pair| pair[0].0.0 != pair[1].0.0);
    let columns = ["in", "device", "at", "onset", "metric", "detector", "score", "severity", "summary"];
    let mut rows = ui.rows([&columns[..1], if several_tenants { &["tenant"] } else { &[] }, &columns[1..]].concat())?;
    for Difference { by, raised } in differences.iter().filter(|difference| !is_table || difference.by != "both") {
        let anomaly = &raised.anomaly;
        let mut cells = vec![Cell::text(*by)];
        if several_tenants {
            cells.push(Cell::text(&anomaly.tenant));
        }
        cells.extend([
            Cell::text(&anomaly.device),
            Cell::shown(&raised.at),
            Cell::shown(&anomaly.onset),
            Cell::text(anomaly.metrics.join(" ")),
            Cell::text(anomaly.detector.as_str()),
            Cell::Number(anomaly.score),
            Cell::text(anomaly.severity.as_str()),
            Cell::text(&anomaly.explanation.summary),
        ]);
        rows.push(&cells)?;
    }
    rows.finish()?;
    let mut total = Counts::default();
    for (_, found) in counts {
        total.add(*found);
    }
    if is_table {
        let mut rows = ui.rows(vec!["device", "only a", "only b", "both"])?;
        for ((tenant, device), found) in counts {
            let device = if several_tenants { format!("{tenant}/{device}") } else { device.clone() };
            rows.push(&[Cell::text(device), count(found.a), count(found.b), count(found.both)])?;
        }
        rows.push(&[Cell::text("total"), count(total.a), count(total.b), count(total.both)])?;
        rows.finish()?;
    }
    let Counts { a, b, both } = total;
    ui.note(format_args!("alerts: {a} only with the first profile, {b} only with the second, {both} with both"));
    Ok(())
}
