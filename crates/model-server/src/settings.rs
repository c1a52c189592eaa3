//! What the server is told: variables that SageMaker sets, and a few of our own, every mistake reported at once.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::path::PathBuf;

use function::settings::{Settings, SettingsError};

use crate::container::ROOT_DEFAULT;
use crate::row::Columns;

/// Bytes of a megabyte, as SageMaker counts payloads.
const MEGABYTE: usize = 1 << 20;

/// Everything the server is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeSettings {
    /// `MILLRACE_ML_ROOT`: where `model/` is. Default `/opt/ml`.
    pub root: PathBuf,
    /// `MILLRACE_BIND_ADDRESS`: the interface. Default 127.0.0.1; SageMaker asks from outside of the container, so the image sets
    /// 0.0.0.0. `SAGEMAKER_BIND_TO_PORT`: the port, 0 for any. Default 8080 (SageMaker Developer Guide, "Run Real-time
    /// Predictions with an Inference Pipeline").
    pub address: SocketAddr,
    /// The same settings without a place.
    pub limits: Limits,
}

/// How much is answered, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// `SAGEMAKER_MAX_PAYLOAD_IN_MB`: longest request, 1 to 100 MB; default 6, what SageMaker sends unless told.
    pub payload_bytes_max: usize,
    /// `SAGEMAKER_MAX_CONCURRENT_TRANSFORMS`: requests that are read and scored at once, 1 to 256; default, the processors.
    /// Others wait.
    pub concurrency: usize,
    /// `MILLRACE_COLUMNS`: columns of CSV, where they are not those of the training data.
    pub columns: Option<Columns>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { payload_bytes_max: 6 * MEGABYTE, concurrency: processors(), columns: None }
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

impl Limits {
    /// What SageMaker asks at `/execution-parameters`, in megabytes.
    #[must_use]
    pub fn payload_megabytes(&self) -> usize {
        self.payload_bytes_max / MEGABYTE
    }
}

impl ServeSettings {
    /// Reads the settings through `lookup`, which answers a variable's value.
    ///
    /// # Errors
    /// [`SettingsError`] with every mistake.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut read = Settings::new(lookup);
        let root = read.optional("MILLRACE_ML_ROOT").unwrap_or_else(|| ROOT_DEFAULT.to_owned());
        let address = read.parsed(
            "MILLRACE_BIND_ADDRESS",
            "an address such as 127.0.0.1 or 0.0.0.0",
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            |text| text.parse().ok(),
        );
        let port = read.number("SAGEMAKER_BIND_TO_PORT", 0..=65_535, 8_080);
        let payload = read.number("SAGEMAKER_MAX_PAYLOAD_IN_MB", 1..=100, 6);
        let concurrency = read.number("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", 1..=256, processors().min(256) as u32);
        let columns = read.parsed("MILLRACE_COLUMNS", "columns such as `device,ts,temperature`", None, |text| {
            Columns::new(text.split(',')).ok().map(Some)
        });
        let limits =
            Limits { payload_bytes_max: payload as usize * MEGABYTE, concurrency: concurrency as usize, columns };
        read.finish(Self { root: root.into(), address: SocketAddr::new(address, port as u16), limits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<ServeSettings, SettingsError> {
        ServeSettings::from_lookup(|name| {
            set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn unless_told_only_this_machine_can_ask() {
        let settings = read(&[]).unwrap();
        assert_eq!(
            (settings.address.to_string().as_str(), settings.root.to_str()),
            ("127.0.0.1:8080", Some("/opt/ml"))
        );
        assert_eq!(settings.limits, Limits::default());
        assert_eq!(settings.limits.payload_megabytes(), 6);
    }

    #[test]
    fn sagemaker_and_the_image_say_otherwise() {
        let set = [
            ("MILLRACE_BIND_ADDRESS", "0.0.0.0"),
            ("SAGEMAKER_BIND_TO_PORT", "9000"),
            ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "20"),
            ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", "3"),
            ("MILLRACE_COLUMNS", "ts,device,t"),
        ];
        let settings = read(&set).unwrap();
        assert_eq!(settings.address.to_string(), "0.0.0.0:9000");
        assert_eq!((settings.limits.payload_megabytes(), settings.limits.concurrency), (20, 3));
        assert!(settings.limits.columns.is_some());
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let set = [
            ("MILLRACE_BIND_ADDRESS", "everywhere"),
            ("SAGEMAKER_BIND_TO_PORT", "70000"),
            ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "0"),
            ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", "many"),
            ("MILLRACE_COLUMNS", "t"),
        ];
        let SettingsError(mistakes) = read(&set).unwrap_err();
        assert_eq!(mistakes.len(), 5, "{mistakes:?}");
    }
}
