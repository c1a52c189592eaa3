//! A trained model, and a request's look at it.
//!
//! A model never changes. Who asks begins a [`Session`], in which rows of a device follow one another: the engine goes on
//! from where training ended, each session anew, so that the answer depends on the session's rows alone and not on who asked
//! before. A forest has no memory at all.

mod engine;
mod forest;

use std::sync::Arc;

use anomaly_core::{Profile, ProfileSet, TenantName};
use serde::{Deserialize, Serialize};
use telemetry::profile::{BundleError, ProfileBundle, ProfileErrors};

pub(crate) use self::engine::EngineModel;
pub use self::forest::PlantError;
pub(crate) use self::forest::{ForestModel, Forests, StatisticsOf, asset_of};
use crate::card::Card;
use crate::row::{Columns, Row};

/// A trained model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Model {
    /// See [`crate::card::Kind::Engine`].
    Engine(Box<EngineModel>),
    /// See [`crate::card::Kind::Forest`].
    Forest(Box<ForestModel>),
}

/// Why a row has no score.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScoreError {
    /// The model knows nothing of the device.
    #[error("the model was not trained on this device")]
    UnknownDevice,
    /// The model knows nothing of the device's type.
    #[error("the model was not trained on devices of this type")]
    UnknownAsset,
    /// None of the row's metrics is known.
    #[error("the model knows none of these metrics")]
    UnknownMetrics,
    /// The device, or its type, had too few rows.
    #[error("the model was still warming up when training ended")]
    Warming,
    /// The row is not newer than what was learned, or scored before.
    #[error("the row is not newer than what the model has seen of the device")]
    Late,
    /// The row would break a bound.
    #[error("{0}")]
    Refused(anomaly_core::Refused),
    /// The forest cannot answer.
    #[error("the forest: {0}")]
    Forest(String),
}

/// A model, ready to be asked, with the profile that it was trained with.
#[derive(Debug)]
pub struct Loaded {
    /// What it says of itself.
    pub card: Card,
    model: Model,
    profiles: Arc<ProfileSet>,
}

/// The profiles of a tenant with this text.
pub(crate) fn profiles(tenant: &str, text: Option<&str>) -> Result<(ProfileSet, String), ProfileErrors> {
    let mut bundle = ProfileBundle::default();
    if let Some(text) = text {
        bundle.replace(tenant, text)?;
    }
    let fingerprint = bundle.fingerprint();
    match bundle.compile() {
        Ok(profiles) => Ok((profiles, fingerprint)),
        Err(BundleError::Profile { source, .. }) => Err(source),
        // A bundle that was filled here is of this release, and names no other tenant.
        Err(_) => Ok((ProfileSet::default(), fingerprint)),
    }
}

impl Loaded {
    /// Makes an artifact ready.
    ///
    /// # Errors
    /// This release does not take the profile that the model was trained with.
    pub fn new(artifact: crate::artifact::Artifact) -> Result<Self, ProfileErrors> {
        let (profiles, _) = profiles(&artifact.card.tenant, artifact.card.profile.as_deref())?;
        Ok(Self { card: artifact.card, model: artifact.model, profiles: Arc::new(profiles) })
    }

    /// With the model's own columns of CSV; none where it has too many metrics for that.
    #[must_use]
    pub fn columns(&self) -> Option<Columns> {
        Columns::new(self.card.columns.iter().map(String::as_str)).ok()
    }

    /// The score from which on a row of this device is beyond what training has seen; none where training drew no line for its
    /// type.
    #[must_use]
    pub fn line(&self, device: &str) -> Option<f64> {
        let default = Profile::default();
        let profile = TenantName::new(&self.card.tenant).map_or(&default, |tenant| self.profiles.of(tenant));
        self.card.lines.get(asset_of(device, profile)).copied()
    }

    /// Begins a session.
    #[must_use]
    pub fn session(&self) -> Session<'_> {
        match &self.model {
            Model::Engine(model) => Session::Engine(model.session(&self.card.tenant, &self.profiles)),
            Model::Forest(model) => Session::Forest(model.session(&self.card.tenant, &self.profiles)),
        }
    }
}

/// A request's look at a model.
#[derive(Debug)]
pub enum Session<'m> {
    /// With the states of the devices that were asked for.
    Engine(engine::Session<'m>),
    /// With nothing.
    Forest(forest::Session<'m>),
}

impl Session<'_> {
    /// The score of a row; those of a device are asked for in the order of time.
    ///
    /// # Errors
    /// [`ScoreError`]; it costs only this row.
    pub fn score(&mut self, row: &Row) -> Result<f64, ScoreError> {
        match self {
            Self::Engine(session) => session.score(row),
            Self::Forest(session) => session.score(row),
        }
    }
}
