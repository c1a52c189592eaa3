//! A random cut forest for each type of asset (Guha, Mishra, Roy and Schrijvers, "Robust Random Cut Forest Based Anomaly
//! Detection On Streams", ICML 2016), as the crate `rcf3` grows it.
//!
//! A row is a point with a dimension a metric, each in spreads from its middle: those of the device where it had rows enough,
//! else those of its type. Middle and spread are those of the bulk, and what is far off is cut short: so machines that are
//! switched off lie in one corner, all of them, and are a crowd there and no strangers. A metric that is not there counts as
//! usual. Trees keep an even sample of all rows, not of the latest: a model is asked what months were like.
//!
//! Why `rcf3` and not `krcflib`, which is derived from AWS's own: it is seeded and stored with nothing but serde, has no
//! threads, brings few crates, and is measured beside our engine in `anomaly-core`'s benchmark already.

use std::collections::BTreeMap;

use anomaly_core::{DEVICES_MAX, DeviceName, METRICS_MAX, MetricName, Profile, ProfileSet, TenantName};
use rcf3::Forest;
use serde::{Deserialize, Serialize};

use super::ScoreError;
use crate::card::Statistics;
use crate::hyperparameters::ForestSettings;
use crate::middle::Middle;
use crate::row::Row;
use telemetry::inference::Moments;

/// Name of the devices that the profile gives no type, as `batch-analyzer` names them.
const NO_ASSET: &str = "other";
/// Readings from which on a device's own middle and spread count.
const OWN_READINGS_MIN: u64 = 200;
/// Farther off than so many spreads is all the same.
const SPREADS_MAX: f64 = 6.0;
/// A spread below this share of the mean is none: a metric that never moved.
const SPREAD_MIN: f64 = 1e-6;
/// The crate's way to say "hardly": 0 would stand for its default, by which a tree remembers some ten samples' worth of rows.
const DECAY: f64 = 1e-12;

/// What is known of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Usual {
    middle: f64,
    spread: f64,
}

impl Usual {
    fn of(metric: &MetricOf) -> Self {
        let Moments { mean, .. } = metric.moments;
        let (middle, spread) = metric.middle.median_and_spread().unwrap_or((mean, 0.0));
        let least = (middle.abs() * SPREAD_MIN).max(f64::MIN_POSITIVE);
        // Where most readings are one number, the others tell how far they usually lie apart.
        Self { middle, spread: if spread > least { spread } else { metric.moments.deviation().max(least) } }
    }

    fn spreads(self, value: f64) -> f32 {
        ((value - self.middle) / self.spread).clamp(-SPREADS_MAX, SPREADS_MAX) as f32
    }
}

/// What is seen of a metric of a device.
#[derive(Debug, Clone, Default)]
struct MetricOf {
    moments: Moments,
    middle: Middle,
}

/// The forests by type of asset.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForestModel {
    assets: BTreeMap<String, AssetForest>,
    /// Of devices with rows enough: in the order of their type's metrics.
    devices: BTreeMap<String, Vec<Option<Usual>>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct AssetForest {
    /// The dimensions, by name and in the order of names.
    metrics: Vec<String>,
    usual: Vec<Usual>,
    forest: Forest,
}

/// Means and spreads of everything: the first of two readings of the training data.
#[derive(Debug, Default)]
pub(crate) struct StatisticsOf {
    devices: BTreeMap<String, DeviceStatistics>,
    /// Rows of devices beyond the bound.
    pub(crate) left_out: u64,
}

#[derive(Debug)]
struct DeviceStatistics {
    asset: String,
    metrics: BTreeMap<String, MetricOf>,
}

/// The first type of the profile that covers the device.
pub(crate) fn asset_of<'p>(device: &str, profile: &'p Profile) -> &'p str {
    let name = DeviceName::new(device).ok();
    let asset = name.and_then(|device| profile.assets.iter().find(|asset| asset.covers(device)));
    asset.map_or(NO_ASSET, |asset| asset.name.as_str())
}

/// The profile's name of a metric.
fn canonical<'a>(device: &str, metric: &'a str, profile: &'a Profile) -> &'a str {
    match (DeviceName::new(device), MetricName::new(metric)) {
        (Ok(device), Ok(metric)) => profile.canonical(device, metric),
        _ => metric,
    }
}

impl StatisticsOf {
    pub(crate) fn add(&mut self, row: &Row, profile: &Profile) {
        if !self.devices.contains_key(&row.device) {
            if self.devices.len() >= DEVICES_MAX {
                self.left_out += 1;
                return;
            }
            let asset = asset_of(&row.device, profile).to_owned();
            self.devices.insert(row.device.clone(), DeviceStatistics { asset, metrics: BTreeMap::new() });
        }
        let Some(device) = self.devices.get_mut(&row.device) else { return };
        for (metric, value) in &row.values {
            let metric = canonical(&row.device, metric, profile);
            if !device.metrics.contains_key(metric) && device.metrics.len() < METRICS_MAX {
                device.metrics.insert(metric.to_owned(), MetricOf::default());
            }
            if let Some(of) = device.metrics.get_mut(metric) {
                of.moments.add(*value);
                of.middle.add(*value);
            }
        }
    }

    pub(crate) fn devices(&self) -> impl Iterator<Item = &String> {
        self.devices.keys()
    }

    /// By type of asset and metric.
    pub(crate) fn assets(&self) -> BTreeMap<String, BTreeMap<String, Statistics>> {
        let assets = self.moments();
        let metrics = |metrics: BTreeMap<&str, Moments>| {
            let statistics = |(name, moments): (&str, Moments)| {
                let Moments { count, mean, low, high, .. } = moments;
                let deviation = moments.deviation();
                (name.to_owned(), Statistics { readings: count, mean, deviation, low, high })
            };
            metrics.into_iter().map(statistics).collect()
        };
        assets.into_iter().map(|(asset, of)| (asset.to_owned(), metrics(of))).collect()
    }

    /// Of a device that is known too little: the middle of its type's, device by device.
    fn usual(&self, asset: &str, metric: &str) -> Usual {
        let of_asset = self.devices.values().filter(|device| device.asset == asset);
        let mut usual: Vec<Usual> = of_asset.filter_map(|device| device.metrics.get(metric)).map(Usual::of).collect();
        let mut middle = |key: fn(&Usual) -> f64| {
            usual.sort_by(|a, b| key(a).total_cmp(&key(b)));
            usual.get(usual.len() / 2).map_or(0.0, key)
        };
        let (middle, spread) = (middle(|usual| usual.middle), middle(|usual| usual.spread));
        Usual { middle, spread: spread.max(f64::MIN_POSITIVE) }
    }

    fn moments(&self) -> BTreeMap<&str, BTreeMap<&str, Moments>> {
        let mut assets: BTreeMap<&str, BTreeMap<&str, Moments>> = BTreeMap::new();
        for device in self.devices.values() {
            let asset = assets.entry(&device.asset).or_default();
            for (name, of) in &device.metrics {
                asset.entry(name).or_default().merge(&of.moments);
            }
        }
        assets
    }
}

/// Forests that grow: the second reading.
pub(crate) struct Forests<'p> {
    model: ForestModel,
    profile: &'p Profile,
    point: Vec<f32>,
}

/// A type of asset has more metrics than a device may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the devices of type `{asset}` have {metrics} metrics, the limit is {METRICS_MAX}: give them several types in the profile, \
     or leave metrics out by `columns`"
)]
pub struct TooManyMetrics {
    asset: String,
    metrics: usize,
}

impl<'p> Forests<'p> {
    pub(crate) fn plant(
        statistics: &StatisticsOf,
        settings: ForestSettings,
        profile: &'p Profile,
    ) -> Result<Self, PlantError> {
        let mut assets = BTreeMap::new();
        for (asset, metrics) in statistics.moments() {
            if metrics.len() > METRICS_MAX {
                return Err(TooManyMetrics { asset: asset.to_owned(), metrics: metrics.len() }.into());
            }
            let builder = Forest::builder(metrics.len())
                .num_trees(settings.trees as usize)
                .capacity(settings.sample as usize)
                .time_decay(DECAY)
                .seed(settings.seed ^ u64::from(crc32fast::hash(asset.as_bytes())));
            let forest = builder.build().map_err(|error| PlantError::Forest(error.to_string()))?;
            let usual = metrics.keys().map(|metric| statistics.usual(asset, metric)).collect();
            let metrics = metrics.into_keys().map(str::to_owned).collect();
            assets.insert(asset.to_owned(), AssetForest { metrics, usual, forest });
        }
        let own = |device: &DeviceStatistics| {
            let asset = assets.get(&device.asset)?;
            let usual = |name: &String| {
                device.metrics.get(name).filter(|of| of.moments.count >= OWN_READINGS_MIN).map(Usual::of)
            };
            let own: Vec<Option<Usual>> = asset.metrics.iter().map(usual).collect();
            own.iter().any(Option::is_some).then_some(own)
        };
        let devices = statistics.devices.iter().filter_map(|(name, device)| Some((name.clone(), own(device)?)));
        Ok(Self { model: ForestModel { devices: devices.collect(), assets }, profile, point: Vec::new() })
    }

    /// Learns a row. A row of a device that was left out is passed over.
    pub(crate) fn learn(&mut self, row: &Row) -> Result<(), ScoreError> {
        let Ok(asset) = self.model.point(row, self.profile, &mut self.point) else { return Ok(()) };
        let Some(grown) = self.model.assets.get_mut(asset) else { return Ok(()) };
        grown.forest.update(&self.point).map_err(|error| ScoreError::Forest(error.to_string()))
    }

    pub(crate) fn finish(self) -> ForestModel {
        self.model
    }
}

/// Why there is no forest.
#[derive(Debug, thiserror::Error)]
pub enum PlantError {
    /// A row would have too many dimensions.
    #[error(transparent)]
    Metrics(#[from] TooManyMetrics),
    /// The crate refuses.
    #[error("the forest: {0}")]
    Forest(String),
}

impl ForestModel {
    /// Makes a row a point, and says of which type of asset it is.
    fn point<'p>(&self, row: &Row, profile: &'p Profile, point: &mut Vec<f32>) -> Result<&'p str, ScoreError> {
        let name = asset_of(&row.device, profile);
        let asset = self.assets.get(name).ok_or(ScoreError::UnknownAsset)?;
        let own = self.devices.get(&row.device);
        point.clear();
        point.resize(asset.metrics.len(), 0.0);
        let mut is_known = false;
        for (metric, value) in &row.values {
            let metric = canonical(&row.device, metric, profile);
            let Ok(at) = asset.metrics.binary_search_by(|known| known.as_str().cmp(metric)) else { continue };
            is_known = true;
            let usual = own.and_then(|own| own[at]).unwrap_or(asset.usual[at]);
            point[at] = usual.spreads(*value);
        }
        if is_known { Ok(name) } else { Err(ScoreError::UnknownMetrics) }
    }

    pub(crate) fn session<'m>(&'m self, tenant: &str, profiles: &'m ProfileSet) -> Session<'m> {
        static NONE: std::sync::LazyLock<Profile> = std::sync::LazyLock::new(Profile::default);
        let profile = TenantName::new(tenant).map_or(&*NONE, |tenant| profiles.of(tenant));
        Session { model: self, profile, point: Vec::new() }
    }
}

/// A request's look at it.
#[derive(Debug)]
pub struct Session<'m> {
    model: &'m ForestModel,
    profile: &'m Profile,
    point: Vec<f32>,
}

impl Session<'_> {
    pub(crate) fn score(&mut self, row: &Row) -> Result<f64, ScoreError> {
        let asset = self.model.point(row, self.profile, &mut self.point)?;
        let grown = self.model.assets.get(asset).ok_or(ScoreError::UnknownAsset)?;
        if !grown.forest.is_ready() {
            return Err(ScoreError::Warming);
        }
        let score = grown.forest.score(&self.point).map_err(|error| ScoreError::Forest(error.to_string()))?;
        if score.is_finite() { Ok(score) } else { Err(ScoreError::Forest("its score is no number".to_owned())) }
    }
}
