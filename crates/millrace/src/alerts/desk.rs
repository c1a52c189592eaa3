//! Where a command of `alerts` looks and acts: the stores, the channels, the tenant, the time.

#[cfg(feature = "aws")]
mod aws;

use std::path::PathBuf;

use alert_fanout::config::Config;
use alert_fanout::dispatch::Channels;
use alert_fanout::fanout::Fanout;
use alert_fanout::network::Outbound;
use alert_fanout::secret::AnySecrets;
use alert_fanout::tenants::profile_key;
use anomaly_core::Timestamp;
use anomaly_core::incident::AlertSettings;
use anyhow::bail;
use platform::clock;
use platform::embedded::Local;
use platform::ports::{AlertWorld, GetObject};
use telemetry::profile::{PROFILE_BYTES_MAX, parse_profile};

use crate::{demo, options};

/// The folder where none is named.
const DIR_DEFAULT: &str = "millrace-data";

/// Which store, and whose incidents.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct StoreOptions {
    /// Folder of the embedded store, as `millrace demo --dir` made it [default: millrace-data]
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
    /// Tenant whose incidents are meant
    #[arg(long, value_name = "NAME", default_value = options::TENANT_DEFAULT, value_parser = options::tenant)]
    pub(super) tenant: String,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    aws: aws::Options,
}

/// Whether the store is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Beside whoever writes.
    Look,
    /// One process at a time, in a folder.
    Change,
}

/// The desk over one of the stores.
pub(super) enum Opened {
    /// One machine.
    Folder(Desk<Local>),
    /// DynamoDB and S3.
    #[cfg(feature = "aws")]
    Aws(Desk<platform::aws::Aws>),
}

/// Stores, channels, tenant, time.
pub(super) struct Desk<W> {
    pub(super) world: W,
    /// The tables of the other region of a pair.
    pub(super) peer: Option<W>,
    pub(super) channels: Channels<AnySecrets>,
    pub(super) config: Config,
    pub(super) tenant: String,
    /// In words, such as "in `millrace-data`".
    pub(super) place: String,
    /// By the clock; in a folder of `millrace demo`, by the plant's.
    pub(super) now: Timestamp,
    /// When the newest anomaly began, where that can be known: what was simulated lies in the past or the future.
    pub(super) newest: Option<Timestamp>,
}

impl StoreOptions {
    /// Opens it.
    ///
    /// # Errors
    /// There is no store, it is in use, or the environment says something that cannot be.
    pub(super) async fn open(&self, access: Access) -> anyhow::Result<Opened> {
        #[cfg(feature = "aws")]
        if self.dir.is_none()
            && let Some(desk) = self.aws.open(&self.tenant)?
        {
            return Ok(Opened::Aws(desk));
        }
        let dir = self.dir.clone().unwrap_or_else(|| DIR_DEFAULT.into());
        // Whoever names a wrong folder wants to hear that, and not have a store made in it.
        let looking = Local::open_read_only(&dir)?;
        let newest = looking.recent_anomalies(Some(&self.tenant), 1).await?;
        // Where a plant is simulated, people live in its time.
        let now = demo::plant_time(&looking).await?;
        let world = match access {
            Access::Look => looking,
            Access::Change => {
                drop(looking);
                Local::open(&dir)?
            }
        };
        let folder = dir.to_string_lossy().into_owned();
        let config = Config::from_lookup(|name| match name {
            "MILLRACE_DIR" => Some(folder.clone()),
            _ => environment(name),
        })?;
        let secrets = AnySecrets::beside_a_folder(&config.secrets, environment)?;
        Ok(Opened::Folder(Desk {
            world,
            peer: None,
            channels: Channels::new(secrets, Outbound::system(), config.allow_private, clock::now),
            config,
            tenant: self.tenant.clone(),
            place: format!("in `{}`", dir.display()),
            now: now.unwrap_or_else(clock::now),
            newest: newest.first().map(|record| record.anomaly.onset),
        }))
    }
}

/// A variable. This is the rim; text that is not Unicode counts as not set.
fn environment(name: &str) -> Option<String> {
    std::env::var_os(name)?.into_string().ok()
}

impl<W: AlertWorld> Desk<W> {
    /// The fan-out over these stores, for what changes incidents.
    pub(super) fn into_fanout(self) -> Fanout<W, Channels<AnySecrets>> {
        Fanout::new(self.world, self.channels, self.config).with_peer(self.peer)
    }
}

impl<W: GetObject + Sync> Desk<W> {
    /// What the tenant's profile says of alerts.
    ///
    /// # Errors
    /// There is no profile, it has mistakes (all of them are named), or it cannot be read.
    pub(super) async fn settings(&self) -> anyhow::Result<AlertSettings> {
        let key = profile_key(&self.tenant)?;
        let Some(bytes) = self.world.get_object(&key, PROFILE_BYTES_MAX).await? else {
            bail!(
                "tenant `{}` has no profile {}: nobody is told anything; put one at `{key}` of the lake, with `[channels.…]` \
                 and `[[alerts.routes]]`",
                self.tenant,
                self.place
            )
        };
        match parse_profile(&String::from_utf8_lossy(&bytes)) {
            Ok(profile) => Ok(profile.alerts),
            Err(errors) => bail!("the profile `{key}` {} has mistakes and does not count:\n{errors}", self.place),
        }
    }
}
