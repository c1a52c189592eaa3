//! Models: what was published to the lake, and what can be asked in `SageMaker`.
//!
//! `CloudFormation` makes up the names of models and endpoint configurations, so that they are known by their artifact: the key of
//! a model's data in this environment's lake. Others of the account are none of this environment's.

use std::collections::{BTreeMap, BTreeSet};

use account::{Kind as TroubleKind, Trouble};
use serde::Deserialize;

use super::Eye;
use crate::check::Kind;
use crate::gather::gather;
use crate::inventory::{Horizon, Inventory, Item};
use crate::limits::{ARTIFACTS_MAX, MODELS_MAX, SHELF_MAX};
use crate::ports::{EndpointConfig, Listed, Looked, Model, Object, Region};

const SHELF: &str = "models/";
/// What stands beside a published model.
const CARD: &str = "/model.json";
/// What SageMaker takes, beside it as well. Models that a former release has published have none.
const ARCHIVE: &str = "/model.tar.gz";
/// Largest card, in bytes, as who publishes allows.
const CARD_BYTES_MAX: usize = 16 << 20;

/// What `model.json` says of the artifact beside it.
#[derive(Deserialize)]
struct Published {
    sha256: String,
    bytes: u64,
}

/// Models of this environment by the name that `CloudFormation` has made up.
struct Own {
    /// The key of each one's data and the digest of its image.
    models: BTreeMap<String, (String, String)>,
    is_cut: bool,
}

impl<R: Region> Eye<'_, R> {
    pub(super) async fn models(&self) -> Vec<(Kind, Looked<Inventory>)> {
        let artifacts = self.inventory(Kind::Artifact, self.artifacts());
        let asked = async {
            if !self.scope.has(Kind::Model) && !self.scope.has(Kind::EndpointConfig) {
                return Vec::new();
            }
            let models = self.within("DescribeModel", "models", self.region.models(MODELS_MAX)).await;
            let models = models.map(|listed| self.own(listed));
            let configs = self.inventory(Kind::EndpointConfig, self.endpoint_configs(&models)).await;
            let models = models.map(|own| inventory(own.models.values().map(named), own.is_cut));
            let models = self.scope.has(Kind::Model).then_some((Kind::Model, models));
            models.into_iter().chain(configs).collect()
        };
        let (artifacts, asked) = tokio::join!(artifacts, asked);
        artifacts.into_iter().chain(asked).collect()
    }

    /// Published models by their folder: the hash that was published, whether the artifact of that size is there, and its archive.
    async fn artifacts(&self) -> Looked<Inventory> {
        let listed = self.region.list(SHELF, SHELF_MAX).await?;
        let horizon = listed.all.last().filter(|_| listed.is_cut).map(|object| object.key.clone());
        let mut folders: BTreeMap<&str, Vec<&Object>> = BTreeMap::new();
        for object in &listed.all {
            if let Some((folder, _)) = object.key.rsplit_once('/') {
                folders.entry(folder).or_default().push(object);
            }
        }
        let has_card = |objects: &[&Object]| objects.iter().any(|object| object.key.ends_with(CARD));
        let published: Vec<(&str, Vec<&Object>)> =
            folders.into_iter().filter(|(_, objects)| has_card(objects)).collect();
        let mut inventory =
            Inventory { horizon: horizon.map_or(Horizon::Whole, Horizon::UpTo), ..Inventory::default() };
        let read = gather(published.iter().take(ARTIFACTS_MAX).map(|(folder, objects)| self.artifact(folder, objects)));
        inventory.items = read.await?.into_iter().collect();
        if let Some((folder, _)) = published.get(ARTIFACTS_MAX - 1).filter(|_| published.len() > ARTIFACTS_MAX) {
            inventory.horizon = Horizon::UpTo((*folder).to_owned());
        }
        Ok(inventory)
    }

    async fn artifact(&self, folder: &str, objects: &[&Object]) -> Looked<(String, Item)> {
        let since = objects.iter().map(|object| object.modified).max();
        let key = format!("{folder}{CARD}");
        // Gone since the listing: as if it had not been in it.
        let Some(bytes) = self.region.get(&key, CARD_BYTES_MAX).await? else {
            return Ok((folder.to_owned(), Item { form: "no model.json".to_owned(), since }));
        };
        let published: Published = serde_json::from_slice(&bytes).map_err(|error| {
            let message = format!("it is not of this release ({error}): publish the model again");
            Trouble { action: "ReadModel", subject: key, kind: TroubleKind::Refused, message }
        })?;
        let is_there = objects.iter().any(|object| !object.key.ends_with(CARD) && object.bytes == published.bytes);
        let artifact = if is_there { "with its artifact" } else { "without its artifact" };
        let archive = objects.iter().find(|object| object.key.ends_with(ARCHIVE));
        let archive =
            archive.map_or("no archive".to_owned(), |archive| format!("an archive of {} bytes", archive.bytes));
        let form = format!("sha256 {}, {artifact} and {archive}", published.sha256);
        Ok((folder.to_owned(), Item { form, since }))
    }

    /// Those whose artifact is in this environment's lake.
    fn own(&self, listed: Listed<Model>) -> Own {
        let lake = format!("s3://{}/", self.ground.bucket);
        let models = listed.all.into_iter().filter_map(|Model { name, image, data }| {
            let digest =
                image.rsplit_once('@').map_or_else(|| self.ground.plain(&image), |(_, digest)| digest.to_owned());
            Some((name, (data.strip_prefix(&lake)?.to_owned(), digest)))
        });
        Own { models: models.collect(), is_cut: listed.is_cut }
    }

    /// Endpoint configurations by the models that they serve.
    async fn endpoint_configs(&self, own: &Looked<Own>) -> Looked<Inventory> {
        let own = own.as_ref().map_err(Clone::clone)?;
        let listed = self.region.endpoint_configs(MODELS_MAX).await?;
        let is_cut = listed.is_cut || own.is_cut;
        let named = listed.all.into_iter().filter_map(|EndpointConfig { variants, .. }| {
            let variants: BTreeSet<(String, String)> = variants
                .into_iter()
                .filter_map(|(model, instance, count)| {
                    let (data, digest) = own.models.get(&model)?;
                    Some((data.clone(), format!("{count} {instance} of {digest}")))
                })
                .collect();
            let name: Vec<&str> = variants.iter().map(|(data, _)| data.as_str()).collect();
            let form: Vec<&str> = variants.iter().map(|(_, form)| form.as_str()).collect();
            (!variants.is_empty()).then(|| (name.join(" + "), form.join(" + ")))
        });
        Ok(inventory(named, is_cut))
    }
}

fn named((data, digest): &(String, String)) -> (String, String) {
    (data.clone(), digest.clone())
}

/// Several of one name, such as a model and the one that took its place, are one with all their forms.
fn inventory(named: impl IntoIterator<Item = (String, String)>, is_cut: bool) -> Inventory {
    let mut forms: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, form) in named {
        forms.entry(name).or_default().insert(form);
    }
    let items = forms.into_iter().map(|(name, forms)| {
        let forms: Vec<String> = forms.into_iter().collect();
        (name, Item { form: forms.join(", "), since: None })
    });
    Inventory { items: items.collect(), horizon: if is_cut { Horizon::Part } else { Horizon::Whole } }
}
