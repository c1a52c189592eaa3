//! Where backups lie, and what is copied or compared: folders, buckets, environments.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use backup::folder::Folder;
use backup::manifest::Subject;
use backup::objects::{Became, Found, Objects, Put};
use backup::place::Id;
use platform::embedded::stream::REGION;
use platform::ports::StoreError;

#[cfg(feature = "aws")]
use crate::deploy::Where;

/// The folder where none is named.
const DIR_DEFAULT: &str = "millrace-data";

/// Where backups lie.
#[derive(Debug, clap::Args)]
pub(super) struct AtOptions {
    /// Where backups lie: a folder, or `s3://BUCKET/PREFIX`
    #[arg(long, value_name = "PLACE")]
    at: String,
    /// The Region of that bucket [default: as below]
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "NAME")]
    at_region: Option<String>,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    pub(super) aws: Where,
}

impl AtOptions {
    /// The place.
    ///
    /// # Errors
    /// It is a bucket, and AWS is not known here.
    #[cfg_attr(not(feature = "aws"), expect(clippy::unused_async, reason = "only a bucket is waited for"))]
    pub(super) async fn open(&self) -> anyhow::Result<At> {
        let Some(rest) = self.at.strip_prefix("s3://") else {
            return Ok(At::Folder(Folder::new(&self.at)));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        #[cfg(feature = "aws")]
        return Ok(At::Bucket(super::aws::bucket(&self.aws, self.at_region.as_deref(), bucket, prefix).await?));
        #[cfg(not(feature = "aws"))]
        anyhow::bail!(
            "this millrace was built without AWS, and cannot reach `{prefix}` of the bucket `{bucket}`: build it with --features aws"
        );
    }
}

/// A backup by its name.
pub(super) fn id(text: &str) -> Result<Id, String> {
    Id::parse(text).ok_or_else(|| format!("`{text}` is no name of a backup: `millrace backup list` shows them"))
}

/// Where backups lie.
#[derive(Debug, Clone)]
pub(super) enum At {
    /// A folder.
    Folder(Folder),
    /// A bucket.
    #[cfg(feature = "aws")]
    Bucket(backup::aws::Bucket),
}

/// The same verb of whichever it is.
macro_rules! either {
    ($self:ident, $verb:ident($($argument:expr),*)) => {
        match $self {
            At::Folder(folder) => folder.$verb($($argument),*).await,
            #[cfg(feature = "aws")]
            At::Bucket(bucket) => bucket.$verb($($argument),*).await,
        }
    };
}

impl Objects for At {
    fn name(&self) -> String {
        match self {
            Self::Folder(folder) => folder.name(),
            #[cfg(feature = "aws")]
            Self::Bucket(bucket) => bucket.name(),
        }
    }

    async fn page(&self, prefix: &str, after: &str, count_max: usize) -> Result<Vec<Found>, StoreError> {
        either!(self, page(prefix, after, count_max))
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        either!(self, folders(prefix))
    }

    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        either!(self, read(key))
    }

    async fn measure(&self, key: &str) -> Result<Option<u64>, StoreError> {
        either!(self, measure(key))
    }

    async fn put(&self, key: &str, body: &[u8], how: Put) -> Result<Became, StoreError> {
        either!(self, put(key, body, how))
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        either!(self, remove(key))
    }
}

/// What is copied, or restored into.
#[derive(Debug, clap::Args)]
pub(super) struct OfOptions {
    /// The environment in AWS, as of `millrace deploy`
    #[cfg(feature = "aws")]
    #[arg(long, short, value_name = "NAME", conflicts_with = "dir")]
    pub(super) environment: Option<String>,
    /// In place of an environment, the folder of the embedded store [default: millrace-data]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl OfOptions {
    /// The environment, if one is named.
    #[cfg_attr(not(feature = "aws"), expect(clippy::unused_self, reason = "only AWS has environments"))]
    pub(super) fn environment(&self) -> Option<&str> {
        #[cfg(feature = "aws")]
        return self.environment.as_deref();
        #[cfg(not(feature = "aws"))]
        None
    }

    /// The folder.
    pub(super) fn dir(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| DIR_DEFAULT.into())
    }
}

/// What `millrace demo` knows of its plant beside the tables: without it a restored folder's plant begins again.
pub(super) const LEDGER: &str = "demo.json";

/// What a folder has beside database and lake.
///
/// # Errors
/// It cannot be read.
pub(super) fn beside(dir: &Path) -> anyhow::Result<Vec<(String, serde_json::Value)>> {
    let path = dir.join(LEDGER);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("`{}` cannot be read", path.display())),
    };
    let ledger = serde_json::from_slice(&text).with_context(|| format!("`{}` is no JSON", path.display()))?;
    Ok(vec![(LEDGER.to_owned(), ledger)])
}

/// The lake of a folder.
pub(super) fn lake(dir: &Path) -> Folder {
    Folder::new(dir.join("lake"))
}

/// What a folder's backup is of. Its name is the folder's own.
pub(super) fn subject(dir: &Path) -> Subject {
    let canonical = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let name = canonical.file_name().map_or_else(|| "folder".to_owned(), |name| name.to_string_lossy().into_owned());
    let name = name.replace(|sign: char| !sign.is_ascii_alphanumeric() && sign != '-', "-");
    Subject { environment: name.trim_matches('-').to_owned(), region: REGION.to_owned(), stream: None }
}
