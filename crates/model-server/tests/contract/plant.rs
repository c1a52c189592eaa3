//! Rows of machines that breathe, and a folder that SageMaker could have made of them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// 2026-11-01T00:00:00Z.
pub(crate) const BEGIN: i64 = 1_793_491_200;
pub(crate) const DEVICES: [&str; 3] = ["pump-1", "pump-2", "oven-1"];

/// A row: seconds, temperature and vibration. Ovens are hotter.
pub(crate) fn row(device: &str, minute: i64) -> (i64, f64, f64) {
    // A cheap generator is enough to make noise of (Knuth, MMIX); the upper bits are the good ones.
    let mut state = u64::from(device.as_bytes()[device.len() - 1]) << 32 | minute as u64;
    let mut chance = || {
        for _ in 0..3 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        }
        (state >> 33) as f64 / f64::from(1_u32 << 31)
    };
    let wave = (minute as f64 / 229.0).sin();
    let hotter = if device.starts_with("oven") { 15.0 } else { 0.0 };
    (BEGIN + minute * 60, 50.0 + hotter + wave + chance(), 2.0 + 0.3 * wave + 0.2 * chance())
}

/// CSV without a head: device, ts, temperature, vibration.
pub(crate) fn csv(minutes: std::ops::Range<i64>) -> String {
    let mut text = String::new();
    for minute in minutes {
        for device in DEVICES {
            let (ts, temperature, vibration) = row(device, minute);
            writeln!(text, "{device},{ts},{temperature},{vibration}").unwrap();
        }
    }
    text
}

/// A folder as `/opt/ml`.
pub(crate) struct Ml(tempfile::TempDir);

pub(crate) const HYPERPARAMETERS: &str = r#"{"kind":"forest","model":"plant","version":"7","tenant":"acme",
    "columns":"device,ts,temperature,vibration","trees":"20","sample":"64"}"#;

impl Ml {
    /// With a day of rows to learn from.
    pub(crate) fn new(hyperparameters: &str) -> Self {
        let ml = Self(tempfile::tempdir().unwrap());
        ml.put("input/config/hyperparameters.json", hyperparameters.as_bytes());
        ml.put(
            "input/config/inputdataconfig.json",
            br#"{"train":{"ContentType":"text/csv","TrainingInputMode":"File",
            "S3DistributionType":"FullyReplicated","RecordWrapperType":"None"}}"#,
        );
        ml.put("input/data/train/a.csv", csv(0..700).as_bytes());
        let packed = zstd::encode_all(csv(700..1_440).as_bytes(), 3).unwrap();
        ml.put("input/data/train/b.csv.zst", &packed);
        ml
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn get(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.path(name)).ok()
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }
}
