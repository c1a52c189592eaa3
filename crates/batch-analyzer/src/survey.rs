//! What a job's rows look like as a whole: the first of two readings, from which the alarm lines follow.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher as _;

use anomaly_core::{DEVICES_MAX, DeviceName, Profile, Timestamp};
use foldhash::fast::FixedState;
use foldhash::quality::RandomState;
use telemetry::inference::{Moments, Row, STRETCH_MS, Sample, mix};

use crate::line::{Line, Scores};
use crate::refusal::{Reason, Refusal};
use crate::tail::Watched;

/// Types of asset that are told apart. Devices of further types are judged with those of no type.
pub const ASSETS_MAX: usize = 64;
/// Name of the devices that the profile gives no type.
pub const NO_ASSET: &str = "other";
/// Scores of rows in a sample at most: enough for a tail probability of one in a thousand to rest on sixteen of them.
const ROWS_KEPT_MAX: usize = 16_384;
/// Stretches of time in a sample at most.
const STRETCHES_KEPT_MAX: usize = 8_192;
/// The seed is fixed: the same rows are chosen each time. Nobody gains by choosing which.
const SEED: u64 = 0x6d69_6c6c_7261_6365;
/// Lines of a part have numbers below this, those of the next part begin there.
const LINES_OF_PART: u64 = 1 << 40;
/// False alerts a device and week that are put up with where the profile does not say.
const ALERTS_PER_WEEK: f64 = 0.3;

/// What is known of all rows.
#[derive(Debug, Default)]
pub struct Survey {
    assets: BTreeMap<String, AssetSurvey>,
    devices: HashMap<String, DeviceSurvey, RandomState>,
    /// Rows that count.
    pub rows: u64,
}

/// Samples of the scores of a type of asset.
#[derive(Debug)]
struct AssetSurvey {
    rows: Sample,
    /// The highest score of a device in six hours.
    stretches: Sample,
}

impl Default for AssetSurvey {
    fn default() -> Self {
        Self { rows: Sample::new(ROWS_KEPT_MAX, SEED), stretches: Sample::new(STRETCHES_KEPT_MAX, SEED) }
    }
}

/// What is known of a device.
#[derive(Debug, Clone)]
pub struct DeviceSurvey {
    /// Its type of asset.
    pub asset: String,
    /// How many rows it has.
    pub rows: u64,
    /// Time of its first row.
    pub first: Timestamp,
    /// Time of its last row.
    pub last: Timestamp,
    /// Its scores.
    pub scores: Moments,
    /// Its metrics, by number.
    pub metrics: BTreeMap<u16, Moments>,
    /// A number of its own, and the stretch of time with its highest score that was looked at last.
    number: u64,
    stretch: (i64, f64),
}

impl Survey {
    /// Adds a row with its score, of a line of a part.
    ///
    /// # Errors
    /// A [`Refusal`] where there are too many devices.
    pub fn add(&mut self, place: (usize, u64), row: &Row, score: f64, profile: &Profile) -> Result<(), Refusal> {
        if !self.devices.contains_key(&row.device) {
            if self.devices.len() >= DEVICES_MAX {
                let what = format_args!("the device `{}`: a job has at most {DEVICES_MAX}", row.device);
                return Err(Refusal::new(Reason::TooMany, what));
            }
            let asset = self.asset_of(&row.device, profile);
            self.devices.insert(row.device.clone(), DeviceSurvey::new(asset, row));
        }
        let Some(device) = self.devices.get_mut(&row.device) else { return Ok(()) };
        device.add(row, score);
        if !self.assets.contains_key(&device.asset) {
            self.assets.insert(device.asset.clone(), AssetSurvey::default());
        }
        if let Some(asset) = self.assets.get_mut(&device.asset) {
            asset.rows.add(place.0 as u64 * LINES_OF_PART + place.1, score);
            if let Some(number) = device.rises(row.at, score) {
                asset.stretches.add(number, score);
            }
        }
        self.rows += 1;
        Ok(())
    }

    fn asset_of(&self, device: &str, profile: &Profile) -> String {
        let name = DeviceName::new(device).ok();
        let asset = name.and_then(|device| profile.assets.iter().find(|asset| asset.covers(device)));
        let asset = asset.map_or(NO_ASSET, |asset| asset.name.as_str());
        let has_room = self.assets.len() < ASSETS_MAX || self.assets.contains_key(asset);
        if has_room { asset.to_owned() } else { NO_ASSET.to_owned() }
    }

    /// Adds all that the other one has seen: the rows of a part that has turned out to be whole.
    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        for (asset, samples) in other.assets {
            let known = self.assets.entry(asset).or_default();
            known.rows.merge(samples.rows);
            known.stretches.merge(samples.stretches);
        }
        for (name, device) in other.devices {
            let has_room = self.devices.len() < DEVICES_MAX;
            match self.devices.get_mut(&name) {
                Some(known) => known.merge(&device),
                None if has_room => drop(self.devices.insert(name, device)),
                // A row of a device that is not known here is refused when it is judged.
                None => {}
            }
        }
    }

    /// A device. `None`: it has no row that counts.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<&DeviceSurvey> {
        self.devices.get(name)
    }

    /// Time of the newest row that counts.
    #[must_use]
    pub fn last(&self) -> Option<Timestamp> {
        self.devices.values().map(|device| device.last).max()
    }

    /// The devices by name.
    #[must_use]
    pub fn devices(&self) -> BTreeMap<&str, &DeviceSurvey> {
        self.devices.iter().map(|(name, device)| (name.as_str(), device)).collect()
    }

    /// The alarm lines by type of asset, where the model's training has found `trained`. A type with too few rows has none.
    #[must_use]
    pub fn lines(&self, profile: &Profile, trained: &BTreeMap<String, f64>) -> BTreeMap<String, Option<Line>> {
        let alerts_per_week = profile.sensitivity.unwrap_or(ALERTS_PER_WEEK);
        let mut watched: BTreeMap<&str, Watched> = BTreeMap::new();
        // In order of name, so that sums of numbers come out the same each time.
        for device in self.devices().values() {
            watched.entry(&device.asset).or_default().add(device.rows, device.first, device.last);
        }
        let line = |(asset, samples): (&String, &AssetSurvey)| {
            let scores = Scores {
                rows: samples.rows.sorted(),
                highest: samples.stretches.sorted(),
                watched: watched.get(asset.as_str()).copied().unwrap_or_default(),
                alerts_per_week,
                trained: trained.get(asset).copied(),
            };
            (asset.clone(), Line::draw(scores))
        };
        self.assets.iter().map(line).collect()
    }
}

impl DeviceSurvey {
    fn new(asset: String, row: &Row) -> Self {
        let number = FixedState::with_seed(SEED).hash_one(row.device.as_str());
        let (scores, metrics) = (Moments::default(), BTreeMap::new());
        Self { asset, rows: 0, first: row.at, last: row.at, scores, metrics, number, stretch: (0, f64::NEG_INFINITY) }
    }

    /// The number of the row's stretch of time, if the score is the highest in it so far.
    fn rises(&mut self, at: Timestamp, score: f64) -> Option<u64> {
        let stretch = at.millis().div_euclid(STRETCH_MS);
        if self.stretch.0 == stretch && score <= self.stretch.1 {
            return None;
        }
        self.stretch = (stretch, score);
        Some(mix(self.number ^ mix(stretch as u64)))
    }

    fn add(&mut self, row: &Row, score: f64) {
        self.rows += 1;
        (self.first, self.last) = (self.first.min(row.at), self.last.max(row.at));
        self.scores.add(score);
        for (metric, value) in &row.values {
            self.metrics.entry(*metric).or_default().add(*value);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        (self.first, self.last) = (self.first.min(other.first), self.last.max(other.last));
        self.scores.merge(&other.scores);
        for (metric, moments) in &other.metrics {
            self.metrics.entry(*metric).or_default().merge(moments);
        }
    }
}
