//! Where models are: a file that `train` wrote, or the lake, at `models/{tenant}/{model}/{version}/`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use model_server::artifact::{ARTIFACT_BYTES_MAX, Artifact, FILE_NAME, Published};
use model_server::container;
use model_server::hyperparameters::{is_model_name, is_version};
use model_server::model::Loaded;
use platform::embedded::Local;
use platform::model::{ContentHash, Key};
use platform::ports::{GetObject as _, ListFolders as _};

use crate::options;

/// Where published models are.
pub(super) const PREFIX: &str = "models/";
/// What stands beside each.
pub(super) const CARD: &str = "model.json";
/// Longest `model.json`, in bytes: 64 types of asset with 64 metrics each have less.
const CARD_BYTES_MAX: usize = 16 << 20;
/// Most tenants, models of one, and versions of one.
const FOLDERS_MAX: usize = 10_000;

/// A folder of the embedded store.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Store {
    /// Folder of the embedded store
    #[arg(long, value_name = "DIR", default_value = "millrace-data")]
    pub(super) dir: PathBuf,
}

/// Which model.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Which {
    /// A file that `millrace model train` wrote, or the name of a published model, `name` or `name@version`
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Whose published model it is
    #[arg(long, value_name = "NAME", default_value = options::TENANT_DEFAULT, value_parser = options::tenant)]
    tenant: String,
}

impl Which {
    /// Reads the model.
    pub(super) async fn load(&self, dir: &Path) -> anyhow::Result<Loaded> {
        let artifact = if self.model.is_file() { container::load(&self.model)? } else { self.published(dir).await? };
        let name = artifact.card.full_name();
        Loaded::new(artifact).with_context(|| format!("the profile of the model `{name}` is refused: train it again"))
    }

    async fn published(&self, dir: &Path) -> anyhow::Result<Artifact> {
        let shown = self.model.display();
        let text = self.model.to_str().unwrap_or_default();
        let (name, version) = text.split_once('@').map_or((text, None), |(name, version)| (name, Some(version)));
        if !is_model_name(name) || !version.is_none_or(is_version) {
            bail!("there is no file `{shown}`, and no model can have that name: write `name` or `name@version`");
        }
        let local = Local::open_read_only(dir)?;
        let folder = format!("{PREFIX}{}/{name}/", self.tenant);
        let versions = local.list_folders(&folder, FOLDERS_MAX).await?;
        let version = match (version, &versions[..]) {
            (Some(version), _) if versions.iter().any(|known| known == version) => version,
            (None, [only]) => only,
            (_, []) => {
                let tenant = &self.tenant;
                bail!(
                    "there is no file `{shown}` and no model `{name}` of tenant `{tenant}`: `millrace model list` names them"
                );
            }
            (Some(version), _) => bail!("`{name}` has no version `{version}`; there are {}", versions.join(", ")),
            (None, _) => {
                bail!("`{name}` has several versions, say which: {name}@{}", versions.join(&format!(", {name}@")))
            }
        };
        let folder = format!("{folder}{version}/");
        let published = card(&local, &folder).await?;
        let published = published.with_context(|| format!("`{folder}{CARD}` is not there: publish the model again"))?;
        let key = Key::new(format!("{folder}{FILE_NAME}"))?;
        let bytes = local.get_object(&key, ARTIFACT_BYTES_MAX).await?;
        let bytes = bytes.with_context(|| format!("`{key}` is not there: publish the model again"))?;
        if ContentHash::of(&bytes).as_str() != published.sha256 {
            bail!("`{key}` is not what `{CARD}` beside it says: publish the model again");
        }
        Artifact::from_bytes(&bytes).with_context(|| format!("`{key}`"))
    }
}

/// What stands beside the model of a folder.
async fn card(local: &Local, folder: &str) -> anyhow::Result<Option<Published>> {
    let key = Key::new(format!("{folder}{CARD}"))?;
    let Some(bytes) = local.get_object(&key, CARD_BYTES_MAX).await? else { return Ok(None) };
    Ok(Some(serde_json::from_slice(&bytes).with_context(|| format!("`{key}` is not of this release"))?))
}

/// All published models, in the order of tenant, name and version.
pub(super) async fn published(local: &Local, tenant: Option<&str>) -> anyhow::Result<Vec<Published>> {
    let tenants = match tenant {
        Some(tenant) => vec![tenant.to_owned()],
        None => local.list_folders(PREFIX, FOLDERS_MAX).await?,
    };
    let mut found = Vec::new();
    for tenant in tenants {
        let of_tenant = format!("{PREFIX}{tenant}/");
        for model in local.list_folders(&of_tenant, FOLDERS_MAX).await? {
            let of_model = format!("{of_tenant}{model}/");
            // Objects are no folders: without a card the version is not published yet.
            for version in local.list_folders(&of_model, FOLDERS_MAX).await? {
                found.extend(card(local, &format!("{of_model}{version}/")).await?);
            }
        }
    }
    Ok(found)
}
