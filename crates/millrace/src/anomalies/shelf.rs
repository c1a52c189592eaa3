//! Where `anomalies` looks: a folder, or a table on AWS.
//!
//! The folder's database answers what the table can only be asked a day or a device at a time: the newest of all, and which
//! ids begin so. There the days are gone through, the latest first, as far back as [`Shelf::how_far`] says.

use std::path::PathBuf;

use platform::embedded::Local;
use platform::model::AnomalyRecord;
use platform::ports::{AnomalyQuery, FindAnomalies as _};

use super::Store;
#[cfg(feature = "aws")]
use super::table::Table;

/// The folder where none is named.
const DIR_DEFAULT: &str = "millrace-data";

/// Stored anomalies.
pub(super) enum Shelf {
    /// One machine's.
    Folder { local: Box<Local>, dir: PathBuf },
    /// DynamoDB's.
    #[cfg(feature = "aws")]
    Table(Table),
}

impl Shelf {
    /// # Errors
    /// There is no store, or the environment says something that cannot be.
    pub(super) fn open(store: &Store) -> anyhow::Result<Self> {
        #[cfg(feature = "aws")]
        if store.dir.is_none()
            && let Some(table) = store.aws.open()?
        {
            return Ok(Self::Table(table));
        }
        let dir = store.dir.clone().unwrap_or_else(|| DIR_DEFAULT.into());
        // The reason says which folder and what to do.
        Ok(Self::Folder { local: Box::new(Local::open_read_only(&dir)?), dir })
    }

    /// The newest first, at most so many.
    pub(super) async fn find(&self, query: &AnomalyQuery, count_max: usize) -> anyhow::Result<Vec<AnomalyRecord>> {
        Ok(match self {
            Self::Folder { local, .. } => local.find_anomalies(query, count_max).await?,
            #[cfg(feature = "aws")]
            Self::Table(table) => table.find(query, count_max).await?,
        })
    }

    /// A tenant's, the newest first, at most so many.
    pub(super) async fn newest(&self, tenant: &str, count_max: usize) -> anyhow::Result<Vec<AnomalyRecord>> {
        Ok(match self {
            Self::Folder { local, .. } => local.recent_anomalies(Some(tenant), count_max).await?,
            #[cfg(feature = "aws")]
            Self::Table(table) => table.newest(tenant, count_max).await?,
        })
    }

    /// Those whose id begins so, at most so many. In a folder those of other tenants as well.
    #[cfg_attr(not(feature = "aws"), expect(unused_variables, reason = "only a table has to be told whose they are"))]
    pub(super) async fn beginning_with(
        &self,
        tenant: &str,
        id: &str,
        count_max: usize,
    ) -> anyhow::Result<Vec<AnomalyRecord>> {
        Ok(match self {
            Self::Folder { local, .. } => local.anomalies_by_id(id, count_max).await?,
            #[cfg(feature = "aws")]
            Self::Table(table) => table.beginning_with(tenant, id, count_max).await?,
        })
    }

    /// Some tenant that has anomalies, where the store can be asked for that.
    pub(super) async fn another_tenant(&self) -> anyhow::Result<Option<String>> {
        Ok(match self {
            Self::Folder { local, .. } => {
                local.recent_anomalies(None, 1).await?.into_iter().next().map(|record| record.anomaly.tenant)
            }
            #[cfg(feature = "aws")]
            Self::Table(_) => None,
        })
    }

    /// How far back it was looked, where not everything was: in words, to stand after "no anomalies".
    pub(super) fn how_far(&self, query: Option<&AnomalyQuery>) -> String {
        match (self, query) {
            #[cfg(feature = "aws")]
            (Self::Table(table), None) => table.how_far(),
            _ => String::new(),
        }
    }

    /// In words, such as "`millrace-data`".
    pub(super) fn place(&self) -> String {
        match self {
            Self::Folder { dir, .. } => format!("`{}`", dir.display()),
            #[cfg(feature = "aws")]
            Self::Table(table) => table.place(),
        }
    }
}
