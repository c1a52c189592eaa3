//! The two Regions of a pair, by the names that the templates give.

use std::time::Duration;

use account::Access;
use anyhow::Context as _;
use aws_types::SdkConfig;
use deployment::aws::Aws as Stacks;
use deployment::cloud::Cloud as _;
use deployment::plan::stack_name;
use deployment::template::STORAGE;
use platform::aws::in_region;

use crate::deploy::{Across, Environment, Where};
use crate::ui::Usage;

/// How long one try of a call may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which environment, where.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Regions {
    #[command(flatten)]
    pub(super) environment: Environment,
    /// The other Region [default: what the storage's stack says]
    #[arg(long, value_name = "REGION")]
    peer: Option<String>,
    /// The lake of this Region [default: millrace-ENVIRONMENT-ACCOUNT-REGION]
    #[arg(long, value_name = "BUCKET")]
    lake: Option<String>,
    /// The lake of the other Region [default: likewise]
    #[arg(long, value_name = "BUCKET")]
    peer_lake: Option<String>,
    #[command(flatten)]
    pub(super) across: Across,
    #[command(flatten)]
    pub(super) place: Where,
}

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Region {
    /// Its name.
    pub(super) name: String,
    /// What clients are made of.
    pub(super) config: SdkConfig,
    /// Its lake.
    pub(super) lake: String,
}

/// Both.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    /// The one that was said.
    pub(super) here: Region,
    /// The other one.
    pub(super) there: Region,
    /// The account of both.
    pub(super) account: String,
    /// Whether buckets stand in the path of addresses.
    pub(super) path_style: bool,
}

impl Regions {
    /// Finds both.
    ///
    /// # Errors
    /// No Region is set, the other one is not known, or the account cannot be asked for its number.
    pub(super) async fn find(&self) -> anyhow::Result<Pair> {
        let Access { config, region, is_elsewhere } = Access::find(&self.place.place(), PATIENCE).await?;
        let peer = match &self.peer {
            Some(peer) => peer.clone(),
            None => self.peer_of_storage().await?,
        };
        if peer == region {
            return Err(Usage(format!("the other Region of {region} cannot be {region} itself: say --peer")).into());
        }
        let account = account::number(&config).await?;
        let lake = |region: &str| format!("millrace-{}-{account}-{region}", self.environment.environment);
        let there = in_region(&config, &peer, self.across.endpoint().as_deref());
        Ok(Pair {
            here: Region { lake: self.lake.clone().unwrap_or_else(|| lake(&region)), name: region, config },
            there: Region { lake: self.peer_lake.clone().unwrap_or_else(|| lake(&peer)), name: peer, config: there },
            account,
            path_style: is_elsewhere,
        })
    }

    async fn peer_of_storage(&self) -> anyhow::Result<String> {
        let stacks = Stacks::connect(&self.place.place()).await?;
        let name = stack_name(&STORAGE, &self.environment.environment);
        let storage = stacks.stack(&name).await?;
        let peer = storage.and_then(|stack| stack.parameters.get("PeerRegion").cloned());
        peer.filter(|peer| !peer.is_empty()).with_context(|| {
            format!("`{name}` names no other Region: say --peer, or run `millrace deploy --peer … --both`")
        })
    }

    /// The name of something that both Regions have under one.
    pub(super) fn named(&self, what: &str) -> String {
        format!("millrace-{}-{what}", self.environment.environment)
    }
}
