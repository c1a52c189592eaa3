//! The tenants' profiles: read from the lake, replaced one by one, remembered by content.
//!
//! A bad profile never replaces a good one: its tenant keeps the profile that was in force, and the log says line by line
//! what is wrong. What was in force is stored by fingerprint, so that a replay scores with exactly that.

use std::collections::BTreeMap;
use std::sync::Arc;

use anomaly_core::{ProfileSet, Timestamp};
use platform::model::Key;
use platform::ports::{GetObject, GetTagged, ListObjects, PutError, PutIfAbsent, StoreError, Tagged};
use telemetry::profile::{EMPTY_FINGERPRINT, ProfileBundle};

use crate::layout;

/// Most tenants of one stream.
pub const TENANTS_MAX: usize = 10_000;
/// Largest profile, in bytes.
pub const PROFILE_BYTES_MAX: usize = 1 << 20;
/// Largest bundle of profiles, in bytes.
const BUNDLE_BYTES_MAX: usize = 64 << 20;

/// The profiles in force.
#[derive(Debug, Clone)]
pub struct Profiles {
    bundle: ProfileBundle,
    set: Arc<ProfileSet>,
    fingerprint: String,
    /// What was seen of each profile object, good or bad: it is read again only when its tag changes.
    tags: BTreeMap<Key, String>,
    looked_at: Option<Timestamp>,
    /// Whether the bundle of this fingerprint is in the lake.
    stored: bool,
}

impl Default for Profiles {
    fn default() -> Self {
        let bundle = ProfileBundle::default();
        let fingerprint = bundle.fingerprint();
        // The empty bundle needs no object: it is the defaults.
        Self { bundle, set: Arc::default(), fingerprint, tags: BTreeMap::new(), looked_at: None, stored: true }
    }
}

/// An object that is no bundle of profiles.
fn broken(key: &Key, problem: impl std::fmt::Display) -> StoreError {
    StoreError::permanent("read profiles", key.to_string(), format!("{problem}; restore the object"))
}

/// Reads the profiles that were in force under a fingerprint. `None`: they are not here.
///
/// # Errors
/// The store's, or a permanent one when the object is no bundle.
pub async fn find_bundle<W: GetObject + Sync>(
    world: &W,
    fingerprint: &str,
) -> Result<Option<ProfileBundle>, StoreError> {
    let empty = ProfileBundle::default();
    if empty.fingerprint() == fingerprint {
        return Ok(Some(empty));
    }
    let key = bundle_key(fingerprint)?;
    let Some(bytes) = world.get_object(&key, BUNDLE_BYTES_MAX).await? else { return Ok(None) };
    let bundle = ProfileBundle::from_bytes(&bytes).map_err(|error| broken(&key, error))?;
    if bundle.fingerprint() == fingerprint {
        Ok(Some(bundle))
    } else {
        Err(broken(&key, "its content has another fingerprint"))
    }
}

/// The calls that [`find_bundle`] makes: the empty bundle is nowhere.
pub(crate) fn bundle_calls(fingerprint: &str) -> u64 {
    u64::from(fingerprint != EMPTY_FINGERPRINT)
}

/// Where the profiles of a fingerprint lie.
pub(crate) fn bundle_key(fingerprint: &str) -> Result<Key, StoreError> {
    layout::bundle_key(fingerprint).map_err(|error| {
        StoreError::permanent("read profiles", fingerprint.escape_debug().to_string(), error.to_string())
    })
}

/// That a committed batch was scored with profiles that are not there.
pub(crate) fn gone(key: &Key) -> StoreError {
    broken(key, "a committed batch was scored with it, but it is gone")
}

/// Reads the profiles that were in force under a fingerprint.
///
/// # Errors
/// The store's, or a permanent one when the object is gone or is no bundle.
pub async fn load_bundle<W: GetObject + Sync>(world: &W, fingerprint: &str) -> Result<ProfileBundle, StoreError> {
    match find_bundle(world, fingerprint).await? {
        Some(bundle) => Ok(bundle),
        None => Err(gone(&bundle_key(fingerprint)?)),
    }
}

impl Profiles {
    /// Starts from what was in force when the last batch was committed, so that a profile that is bad now has a good one to
    /// fall back on.
    ///
    /// # Errors
    /// The store's, or a permanent one when the bundle does not compile any more.
    pub async fn resume<W: GetObject + Sync>(world: &W, fingerprint: &str) -> Result<Self, StoreError> {
        let bundle = load_bundle(world, fingerprint).await?;
        let set = compile(&bundle)?;
        Ok(Self { fingerprint: bundle.fingerprint(), bundle, set, ..Self::default() })
    }

    /// The profiles, ready for the engine.
    #[must_use]
    pub fn set(&self) -> Arc<ProfileSet> {
        Arc::clone(&self.set)
    }

    /// Changes whenever a profile does; 16 hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Whether the lake was never looked at: what is in force is a memory or the defaults.
    #[must_use]
    pub fn never_looked(&self) -> bool {
        self.looked_at.is_none()
    }

    /// Whether it is time to look again.
    #[must_use]
    pub fn is_due(&self, now: Timestamp, refresh_seconds: u32) -> bool {
        self.looked_at.is_none_or(|at| now.millis() - at.millis() >= i64::from(refresh_seconds) * 1_000)
    }

    /// Looks at the lake and takes over what changed. Returns the calls it took.
    ///
    /// # Errors
    /// The store's. The profiles in force stay as they are then.
    pub async fn refresh<W>(&mut self, world: &W, now: Timestamp) -> Result<u64, StoreError>
    where
        W: ListObjects + GetTagged + PutIfAbsent + Sync,
    {
        let mut calls = 1;
        let listed = world.list_objects(layout::PROFILES, TENANTS_MAX).await?;
        let mut next = self.clone();
        for object in &listed {
            let Some(tenant) = layout::profile_tenant(&object.key) else { continue };
            if next.tags.get(&object.key) == Some(&object.tag) {
                continue;
            }
            calls += 1;
            let Tagged { bytes, tag } = match world.get_tagged(&object.key, PROFILE_BYTES_MAX).await {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(error) if error.is_transient() && !tooth!("profile-fault-is-bad-profile") => return Err(error),
                // One tenant's object that cannot be read (too large, say) is that tenant's bad profile, nobody else's.
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(tenant, error, "profile refused, the one before stays in force");
                    next.tags.insert(object.key.clone(), object.tag.clone());
                    continue;
                }
            };
            // Not that of the listing: somebody may have written in between, and put the old text back since.
            next.tags.insert(object.key.clone(), tag);
            next.replace(tenant, &bytes, &object.key);
        }
        next.tags.retain(|key, _| listed.iter().any(|object| object.key == *key));
        let present: Vec<&str> = next.tags.keys().filter_map(layout::profile_tenant).collect();
        next.bundle.retain(|tenant| present.contains(&tenant));
        next.looked_at = Some(now);
        next.fingerprint = next.bundle.fingerprint();
        if next.fingerprint != self.fingerprint {
            next.set = compile(&next.bundle)?;
            next.stored = false;
            tracing::info!(from = self.fingerprint, to = next.fingerprint, "profiles changed");
        }
        if !next.stored {
            calls += 1;
            next.store(world).await?;
        }
        *self = next;
        Ok(calls)
    }

    fn replace(&mut self, tenant: &str, bytes: &[u8], key: &Key) {
        let text = String::from_utf8_lossy(bytes);
        if let Err(mistakes) = self.bundle.replace(tenant, &text) {
            if tooth!("bad-profile-replaces") {
                self.bundle.retain(|known| known != tenant);
            }
            tracing::error!(
                tenant,
                key = key.as_str(),
                error = &mistakes as &dyn std::error::Error,
                "profile refused, the one before stays in force"
            );
        }
    }

    async fn store<W: PutIfAbsent + Sync>(&mut self, world: &W) -> Result<(), StoreError> {
        let key = layout::bundle_key(&self.fingerprint)
            .map_err(|error| StoreError::permanent("store profiles", self.fingerprint.clone(), error.to_string()))?;
        if self.bundle != ProfileBundle::default() && !tooth!("profiles-not-stored") {
            match world.put_if_absent(&key, &self.bundle.to_bytes()).await {
                Ok(_) => {}
                Err(PutError::Store(error)) => return Err(error),
                Err(PutError::Conflict(key)) => return Err(broken(&key, "it holds other profiles than its name says")),
            }
        }
        self.stored = true;
        Ok(())
    }
}

/// Makes a bundle ready for the engine.
pub(crate) fn compile(bundle: &ProfileBundle) -> Result<Arc<ProfileSet>, StoreError> {
    bundle
        .compile()
        .map(Arc::new)
        .map_err(|error| StoreError::permanent("compile profiles", bundle.fingerprint(), error.to_string()))
}
