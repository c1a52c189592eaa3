//! Where the scorer's memory is: a folder, or an environment in AWS.

use std::path::PathBuf;

use anomaly_core::Timestamp;
use anyhow::bail;
use kinesis_scorer::fold::Tenancy;
use platform::embedded::Local;
use platform::embedded::stream::{REGION, SHARDS_MAX, Stream};
use platform::model::ShardInfo;
use platform::ports::ListShards as _;

use crate::options::TENANT_DEFAULT;

/// The folder where none is named.
const DIR_DEFAULT: &str = "millrace-data";

/// Which stream, and where it is.
#[derive(Debug, clap::Args)]
pub(crate) struct PlaceOptions {
    /// The stream whose scorer is to know the devices [default: the environment's]
    #[arg(long, value_name = "NAME")]
    pub(super) stream: Option<String>,
    /// Folder of the embedded store [default: millrace-data]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Shards that the stream is to begin with, where the folder does not know it yet
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(SHARDS_MAX)))]
    shards: Option<u32>,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    aws: super::aws::Options,
}

/// The stores, the stream and its shards.
pub(crate) struct Place<W> {
    pub(crate) world: W,
    pub(crate) region: String,
    pub(crate) stream: String,
    pub(crate) shards: Vec<ShardInfo>,
    /// How the scorer tells tenants.
    pub(crate) tenancy: Tenancy,
    /// Now, where streams live in the present.
    pub(crate) now: Option<Timestamp>,
}

impl PlaceOptions {
    /// A folder.
    pub(super) async fn folder(&self, is_rehearsal: bool) -> anyhow::Result<Place<Local>> {
        let dir = self.dir.clone().unwrap_or_else(|| DIR_DEFAULT.into());
        let Some(stream) = self.stream.clone() else {
            bail!("a folder may have several streams: say --stream NAME, as of `millrace esm --stream-name`");
        };
        // A new folder is made only for a stream that is to begin.
        let is_new = self.shards.is_some() && !dir.exists();
        if is_new && is_rehearsal {
            bail!("there is no folder `{}` to rehearse in: leave --dry-run out, and it is made", dir.display());
        }
        let world = if is_rehearsal { Local::open_read_only(&dir)? } else { self.open(&dir)? };
        let known = world.list_shards(&stream).await?;
        let shards = match (known.is_empty(), self.shards) {
            (false, None) => known,
            (false, Some(_)) => bail!("the stream `{stream}` has {} shards already: leave --shards out", known.len()),
            (true, None) => bail!(
                "`{}` knows no stream `{stream}`: name one that was scored there, or say --shards N to begin it",
                dir.display()
            ),
            (true, Some(count)) => {
                let shards = Stream::new(&stream, count, 1).shards();
                if !is_rehearsal {
                    world.define_shards(&stream, &shards).await?;
                }
                shards
            }
        };
        // As `millrace demo` and `millrace esm --in-process` have it.
        let tenancy = Tenancy::new(None, TENANT_DEFAULT);
        Ok(Place { world, region: REGION.to_owned(), stream, shards, tenancy, now: None })
    }

    fn open(&self, dir: &std::path::Path) -> anyhow::Result<Local> {
        if self.shards.is_none() {
            // Whoever names a wrong folder wants to hear that, and not have a store made in it.
            drop(Local::open_read_only(dir)?);
        }
        Ok(Local::open(dir)?)
    }

    /// An environment in AWS, if one is named.
    #[cfg(feature = "aws")]
    pub(super) async fn on_aws(&self) -> anyhow::Result<Option<Place<platform::aws::Aws>>> {
        self.aws.open(self.stream.as_deref()).await
    }
}
