//! Our engine against a random cut forest: the same data in the same run, on one thread.
//!
//! `cargo bench -p anomaly-core --bench forest` prints, for one metric and for rows of eight, what a row costs, how large
//! the state is (both as postcard writes it, the forest's with the caches that it keeps) and how well the scores rank. The
//! forest is that of the crate `rcf3`; the method is of Guha, Mishra, Roy and Schrijvers, "Robust Random Cut Forest Based
//! Anomaly Detection On Streams", ICML 2016.
//!
//! **What the data are.** They are made here: two weeks of readings a minute, with a day's season, a slow wander that the
//! metrics of a row share, and correlated noise; after four sound days an anomaly every nine hours, each of another kind
//! and in another metric. We made them and we made the engine, so the ranking shows that nothing is broken and what is
//! traded, not who wins on your machines; for that see the public sets in `cargo xtask quality`. Costs and sizes carry
//! over, up to the speed of the machine. The forest is treated well: its input is scaled to unit deviation by the sound
//! days, which a stream would not give beforehand.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, and it is here to measure time"
)]

use std::error::Error;
use std::time::{Duration, Instant};

use anomaly_core::{
    DeviceName, Engine, Finite, MetricName, Observation, ProfileSet, Quality, Reading, Scored, TenantName, Timestamp,
};
use rcf3::Forest;

type Outcome<T> = Result<T, Box<dyn Error>>;

const ROWS: usize = 14 * 1_440;
/// Nothing is wrong in the first four days, and they are not judged.
const LEARNED: usize = 4 * 1_440;
const T0: i64 = 1_790_000_000_000;
const MINUTE_MS: i64 = 60_000;
/// From one anomaly's beginning to the next one's.
const APART: usize = 540;
/// Each series is made from another one, and figures are means over them.
const SEEDS: [u64; 3] = [1, 2, 3];
/// Names that no profile has limits for.
const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
/// So long after an anomaly rows are judged neither way: both detectors take time to let go, the forest for its shingle.
const ECHO: usize = 120;
/// Share of the sound rows that a threshold is set to flag.
const FALSE_ROWS: f64 = 0.005;

/// What goes wrong in one metric, and for how many rows. Sizes are in deviations of its noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Eight deviations up.
    Spike,
    /// Five deviations up.
    Shift,
    /// Noise of five times the size.
    Noise,
    /// One value again and again.
    Stuck,
    /// Eight deviations away at its end.
    Drift,
    /// It no longer follows the wander that the other metrics follow.
    Decoupled,
}

impl Kind {
    fn rows(self) -> usize {
        match self {
            Self::Spike => 3,
            Self::Shift | Self::Stuck => 90,
            Self::Noise => 120,
            Self::Drift | Self::Decoupled => 240,
        }
    }
}

/// Readings and the truth about them.
struct Series {
    metrics: usize,
    /// Row after row.
    values: Vec<f64>,
    /// The anomaly that a row lies in, counted from 0.
    anomaly: Vec<Option<usize>>,
}

impl Series {
    fn make(seed: u64, metrics: usize) -> Self {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let kinds: &[Kind] = if metrics == 1 {
            &[Kind::Spike, Kind::Shift, Kind::Noise, Kind::Stuck, Kind::Drift]
        } else {
            &[Kind::Spike, Kind::Shift, Kind::Decoupled, Kind::Noise, Kind::Stuck, Kind::Drift]
        };
        let mut values = Vec::with_capacity(ROWS * metrics);
        let mut anomaly = Vec::with_capacity(ROWS);
        let (mut shared, mut own) = (0.0, 0.0);
        let (mut noise, mut held) = ([0.0; NAMES.len()], 0.0);
        for row in 0..ROWS {
            // A wander of unit deviation that forgets in half a day.
            shared = 0.9986 * shared + 0.053 * chance.normal();
            own = 0.9986 * own + 0.053 * chance.normal();
            let day = libm::sin(row as f64 / 1_440.0 * std::f64::consts::TAU);
            let number = row.checked_sub(LEARNED).map(|since| since / APART);
            let into = row.saturating_sub(LEARNED) % APART;
            let on = number.map(|number| (number, kinds[number % kinds.len()])).filter(|(_, kind)| into < kind.rows());
            anomaly.push(on.map(|(number, _)| number));
            for (metric, noise) in noise.iter_mut().enumerate().take(metrics) {
                *noise = 0.5 * *noise + 0.866 * chance.normal();
                let kind = on.filter(|(number, _)| number * 3 % metrics == metric).map(|(_, kind)| kind);
                let follows = if kind == Some(Kind::Decoupled) { own } else { shared };
                let level = 6.0 * day + (2.0 + 0.5 * metric as f64) * follows;
                let sound = level + *noise;
                if into == 0 && kind == Some(Kind::Stuck) {
                    held = sound;
                }
                let deviations = match kind {
                    None | Some(Kind::Decoupled) => sound,
                    Some(Kind::Spike) => sound + 8.0,
                    Some(Kind::Shift) => sound + 5.0,
                    Some(Kind::Noise) => level + 5.0 * *noise,
                    Some(Kind::Stuck) => held,
                    Some(Kind::Drift) => sound + 8.0 * into as f64 / Kind::Drift.rows() as f64,
                };
                // Metrics of very different size and unit, to a sensor's digits.
                let unit = 0.1 * 3.0_f64.powi(metric as i32);
                values.push(((100.0 + deviations) * unit * 100.0).round() / 100.0);
            }
        }
        Self { metrics, values, anomaly }
    }

    fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks_exact(self.metrics)
    }

    /// Every metric less its mean and divided by its deviation over the learned rows.
    fn scaled(&self) -> Vec<f32> {
        let learned = || self.rows().take(LEARNED);
        let mean = |metric: usize| learned().map(|row| row[metric]).sum::<f64>() / LEARNED as f64;
        let means: Vec<f64> = (0..self.metrics).map(mean).collect();
        let variance = |metric: usize| {
            learned().map(|row| (row[metric] - means[metric]) * (row[metric] - means[metric])).sum::<f64>()
        };
        let deviations: Vec<f64> = (0..self.metrics).map(|m| (variance(m) / LEARNED as f64).sqrt()).collect();
        self.values
            .iter()
            .enumerate()
            .map(|(index, value)| {
                let metric = index % self.metrics;
                ((value - means[metric]) / deviations[metric]) as f32
            })
            .collect()
    }
}

/// A stream of numbers by `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
struct Chance(u64);

impl Chance {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// Standard normal, by Box and Muller.
    fn normal(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.unit(), self.unit());
        libm::sqrt(-2.0 * libm::log(radius)) * libm::cos(angle * std::f64::consts::TAU)
    }
}

/// What a detector did with one series.
struct Run {
    scores: Vec<f64>,
    spent: Duration,
    bytes: usize,
}

fn engine(series: &Series) -> Outcome<Run> {
    let profiles = ProfileSet::default();
    let (tenant, device) = (TenantName::new("bench")?, DeviceName::new("pump-1")?);
    let names: Vec<_> = NAMES.iter().map(|name| MetricName::new(name)).collect::<Result<_, _>>()?;
    let (mut engine, mut verdict, mut scores) = (Engine::default(), Scored::default(), Vec::with_capacity(ROWS));
    let mut readings = Vec::with_capacity(series.metrics);
    let started = Instant::now();
    for (minute, row) in (0_i64..).zip(series.rows()) {
        let at = Timestamp::from_millis(T0 + minute * MINUTE_MS)?;
        readings.clear();
        for (metric, value) in names.iter().zip(row) {
            readings.push(Reading { metric: *metric, value: Finite::try_from(*value)?, quality: Quality::Good });
        }
        let observation = Observation { tenant, device, at, arrived: at, readings: &readings };
        engine.observe(&observation, &profiles, &mut verdict)?;
        scores.push(verdict.score);
    }
    Ok(Run { scores, spent: started.elapsed(), bytes: postcard::to_allocvec(&engine)?.len() })
}

fn forest(series: &Series, trees: usize, shingle: usize) -> Outcome<Run> {
    let mut forest =
        Forest::builder(series.metrics).shingle_size(shingle).num_trees(trees).capacity(256).seed(1).build()?;
    let (scaled, mut scores) = (series.scaled(), Vec::with_capacity(ROWS));
    let started = Instant::now();
    for row in scaled.chunks_exact(series.metrics) {
        scores.push(forest.update_and_score(row)?);
    }
    Ok(Run { scores, spent: started.elapsed(), bytes: postcard::to_allocvec(&forest)?.len() })
}

/// How well scores rank the judged rows.
struct Ranking {
    /// Area under the curve of precision over recall, rows of equal score taken together; a coin reaches the share of
    /// abnormal rows.
    auc_pr: f64,
    /// Share of the anomalies with a row above the threshold that [`FALSE_ROWS`] of the sound rows pass.
    found: f64,
}

fn rank(series: &Series, scores: &[f64]) -> Ranking {
    let is_echo = |row: usize| {
        series.anomaly[row].is_none() && series.anomaly[row.saturating_sub(ECHO)..row].iter().any(Option::is_some)
    };
    let judged = (LEARNED..ROWS).filter(|row| !is_echo(*row));
    let mut rows: Vec<_> = judged.map(|row| (scores[row], series.anomaly[row])).collect();
    rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let abnormal = rows.iter().filter(|(_, on)| on.is_some()).count();
    let sound_allowed = ((rows.len() - abnormal) as f64 * FALSE_ROWS) as usize;
    let anomalies = rows.iter().filter_map(|(_, on)| *on).max().map_or(0, |last| last + 1);
    let mut found = vec![false; anomalies];
    let (mut flagged, mut right, mut area) = (0, 0, 0.0);
    for level in rows.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let gained = level.iter().filter(|(_, on)| on.is_some()).count();
        flagged += level.len();
        right += gained;
        area += gained as f64 / abnormal as f64 * (right as f64 / flagged as f64);
        if flagged - right <= sound_allowed {
            for number in level.iter().filter_map(|(_, on)| *on) {
                found[number] = true;
            }
        }
    }
    let hits = found.iter().filter(|found| **found).count();
    Ranking { auc_pr: area, found: hits as f64 / anomalies as f64 }
}

/// Runs a detector over every series and prints its line; returns microseconds a row and bytes, for the ratios.
fn compare(
    name: &str,
    all: &[Series],
    ours: Option<(f64, f64)>,
    run: &dyn Fn(&Series) -> Outcome<Run>,
) -> Outcome<(f64, f64)> {
    let (mut spent, mut bytes, mut auc_pr, mut found) = (Duration::ZERO, 0, 0.0, 0.0);
    for series in all {
        let run = run(series)?;
        let ranking = rank(series, &run.scores);
        spent += run.spent;
        bytes = bytes.max(run.bytes);
        auc_pr += ranking.auc_pr / all.len() as f64;
        found += ranking.found / all.len() as f64;
    }
    let micros = spent.as_secs_f64() * 1e6 / (all.len() * ROWS) as f64;
    let size = bytes as f64;
    let times = ours.map_or_else(String::new, |(m, b)| format!("{:>6.0}x {:>6.0}x", micros / m, size / b));
    println!("{name:<34} {micros:>9.2} {bytes:>9} {auc_pr:>7.3} {:>6.0}%  {times}", found * 100.0);
    Ok((micros, size))
}

fn main() -> Outcome<()> {
    println!("{:<34} {:>9} {:>9} {:>7} {:>7}    time   state", "", "us a row", "bytes", "AUC-PR", "found");
    for metrics in [1, NAMES.len()] {
        let all: Vec<_> = SEEDS.iter().map(|seed| Series::make(*seed, metrics)).collect();
        let share = all[0].anomaly.iter().skip(LEARNED).flatten().count() as f64 / (ROWS - LEARNED) as f64;
        println!("{metrics} metric(s), {:.0}% of the rows after the sound days are abnormal", share * 100.0);
        let ours = compare("  this engine", &all, None, &engine)?;
        let shingles: &[usize] = if metrics == 1 { &[8] } else { &[1, 8] };
        for shingle in shingles {
            for trees in [50, 100] {
                let name = format!("  forest, {trees} trees of 256, shingle {shingle}");
                compare(&name, &all, Some(ours), &|series| forest(series, trees, *shingle))?;
            }
        }
    }
    println!("found: anomalies with a row above the threshold that {}% of the sound rows pass", FALSE_ROWS * 100.0);
    Ok(())
}
