//! What a job's rows look like as a whole: the first of two readings, from which the alarm lines follow.

use std::collections::{BTreeMap, HashMap};

use anomaly_core::{DEVICES_MAX, DeviceName, Profile, Timestamp};
use foldhash::quality::RandomState;

use crate::moments::Moments;
use crate::refusal::{Reason, Refusal};
use crate::row::Row;
use crate::sample::Sample;
use crate::tail::{Tail, Watched};

/// Types of asset that are told apart. Devices of further types are judged with those of no type.
pub const ASSETS_MAX: usize = 64;
/// Name of the devices that the profile gives no type.
pub const NO_ASSET: &str = "other";
/// False alerts a device and week that are put up with where the profile does not say.
const ALERTS_PER_WEEK: f64 = 0.3;

/// What is known of all rows.
#[derive(Debug, Default)]
pub struct Survey {
    assets: BTreeMap<String, Sample>,
    devices: HashMap<String, DeviceSurvey, RandomState>,
    /// Rows that count.
    pub rows: u64,
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
}

/// The alarm line of a type of asset.
#[derive(Debug, Clone)]
pub struct Line {
    /// The scores' distribution.
    pub tail: Tail,
    /// Tail probability of a row that is on the line.
    pub probability: f64,
}

impl Line {
    /// A score in units of the alarm line: 1.0 on it, 0 for what every row has.
    #[must_use]
    pub fn strength(&self, score: f64) -> f64 {
        libm::log(self.tail.of(score)) / libm::log(self.probability)
    }
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
            self.devices.insert(row.device.clone(), DeviceSurvey::new(asset, row.at));
        }
        let Some(device) = self.devices.get_mut(&row.device) else { return Ok(()) };
        device.add(row, score);
        if !self.assets.contains_key(&device.asset) {
            self.assets.insert(device.asset.clone(), Sample::default());
        }
        if let Some(sample) = self.assets.get_mut(&device.asset) {
            sample.add(place.0, place.1, score);
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
        for (asset, sample) in other.assets {
            self.assets.entry(asset).or_default().merge(sample);
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

    /// The alarm lines by type of asset. A type with too few rows has none.
    #[must_use]
    pub fn lines(&self, profile: &Profile) -> BTreeMap<String, Option<Line>> {
        let budget = profile.sensitivity.unwrap_or(ALERTS_PER_WEEK);
        let mut watched: BTreeMap<&str, Watched> = BTreeMap::new();
        // In order of name, so that sums of numbers come out the same each time.
        for device in self.devices().values() {
            watched.entry(&device.asset).or_default().add(device.rows, device.first, device.last);
        }
        let line = |(asset, sample): (&String, &Sample)| {
            let probability = watched.get(asset.as_str()).map(|watched| watched.line(budget));
            let tail = Tail::fit(sample.sorted());
            (asset.clone(), tail.zip(probability).map(|(tail, probability)| Line { tail, probability }))
        };
        self.assets.iter().map(line).collect()
    }
}

impl DeviceSurvey {
    fn new(asset: String, at: Timestamp) -> Self {
        Self { asset, rows: 0, first: at, last: at, scores: Moments::default(), metrics: BTreeMap::new() }
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
