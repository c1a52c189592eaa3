//! What each tenant has set about alerts, as far as this process has looked.
//!
//! A profile is read again when a minute has passed. A bad one never replaces a good one; where there never was a good one, the
//! defaults hold, which tell nobody: who reads the log is told why.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anomaly_core::Timestamp;
use anomaly_core::incident::{AlertSettings, Silence};
use platform::model::Key;
use platform::ports::{GetObject, ListEntries, ListObjects, Order, StoreError};
use telemetry::profile::{PROFILE_BYTES_MAX, parse_profile};

use crate::place;

/// How long what was read is believed.
const BELIEVED_MS: i64 = 60_000;
/// Most tenants that are remembered; then all are forgotten, which costs a read each.
const TENANTS_MAX: usize = 4_096;
/// Most objects below `config/`, as for the scorer.
const LISTED_MAX: usize = 10_000;
/// Most silences of a tenant that are looked at.
pub const SILENCES_MAX: usize = 256;

/// What holds for one tenant.
#[derive(Debug, Clone, Default)]
pub struct Tenant {
    /// What the profile says.
    pub settings: Arc<AlertSettings>,
    /// What people have silenced, and is not over.
    pub silences: Vec<Silence>,
}

/// The tenants' settings.
#[derive(Debug, Default)]
pub struct Tenants {
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Debug, Clone)]
struct Known {
    at: Timestamp,
    settings: Arc<AlertSettings>,
}

impl Tenants {
    /// What holds for a tenant now. Silences are read each time: who sets one wants to hear nothing from then on.
    ///
    /// # Errors
    /// The store's.
    pub async fn of<W>(&self, world: &W, tenant: &str, now: Timestamp) -> Result<Tenant, StoreError>
    where
        W: GetObject + ListEntries + Sync,
    {
        let settings = self.settings(world, tenant, now).await?;
        let entries = world.list_entries(tenant, place::SILENCES, Order::OldestFirst, SILENCES_MAX).await?;
        let silence = |entry: platform::model::Entry| match serde_json::from_value::<Silence>(entry.body) {
            Ok(silence) => Some(silence).filter(|silence| silence.until > now),
            Err(error) => {
                tracing::error!(
                    tenant,
                    error = &error as &dyn std::error::Error,
                    "a silence that cannot be read is passed over"
                );
                None
            }
        };
        Ok(Tenant { settings, silences: entries.into_iter().filter_map(silence).collect() })
    }

    /// The tenants that have a profile: nobody else can be told anything.
    ///
    /// # Errors
    /// The store's.
    pub async fn with_profile<W: ListObjects + Sync>(&self, world: &W) -> Result<Vec<String>, StoreError> {
        let listed = world.list_objects("config/", LISTED_MAX).await?;
        let tenant = |key: &Key| {
            let name = key.as_str().strip_prefix("config/")?.strip_suffix("/profile.toml")?;
            (!name.contains('/')).then(|| name.to_owned())
        };
        Ok(listed.iter().filter_map(|object| tenant(&object.key)).collect())
    }

    async fn settings<W: GetObject + Sync>(
        &self,
        world: &W,
        tenant: &str,
        now: Timestamp,
    ) -> Result<Arc<AlertSettings>, StoreError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned();
        if let Some(known) = &known
            && now.millis() - known.at.millis() < BELIEVED_MS
        {
            return Ok(Arc::clone(&known.settings));
        }
        let before = known.map(|known| known.settings).unwrap_or_default();
        let settings = read(world, tenant, before).await?;
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= TENANTS_MAX {
            all.clear();
        }
        all.insert(tenant.to_owned(), Known { at: now, settings: Arc::clone(&settings) });
        Ok(settings)
    }
}

/// Where a tenant's profile lies.
///
/// # Errors
/// The tenant's name is none.
pub fn profile_key(tenant: &str) -> Result<Key, StoreError> {
    Key::new(format!("config/{tenant}/profile.toml"))
        .map_err(|error| StoreError::permanent("read profile", tenant.escape_debug().to_string(), error.to_string()))
}

/// The settings of the profile that is stored; those from before if it is bad.
async fn read<W: GetObject + Sync>(
    world: &W,
    tenant: &str,
    before: Arc<AlertSettings>,
) -> Result<Arc<AlertSettings>, StoreError> {
    let bytes = match world.get_object(&profile_key(tenant)?, PROFILE_BYTES_MAX).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(Arc::default()),
        Err(error) if error.is_transient() => return Err(error),
        Err(error) => {
            tracing::error!(
                tenant,
                error = &error as &dyn std::error::Error,
                "profile refused, the one before stays in force"
            );
            return Ok(before);
        }
    };
    match parse_profile(&String::from_utf8_lossy(&bytes)) {
        Ok(profile) => Ok(Arc::new(profile.alerts)),
        Err(error) => {
            tracing::error!(
                tenant,
                error = &error as &dyn std::error::Error,
                "profile refused, the one before stays in force"
            );
            Ok(before)
        }
    }
}
