//! What each tenant has set about alerts, as far as this process has looked.
//!
//! A profile is read again when a minute has passed. A bad one never replaces a good one; where there never was a good one, the
//! defaults hold, which tell nobody: who reads the log is told why.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use anomaly_core::incident::{
    AlertSettings, ChannelSettings, MaintenanceWindow, Quiet, Silence, UnknownZone, ZonedWindow, quiet_at,
};
use anomaly_core::{Severity, Timestamp};
use jiff::tz::TimeZone;
use platform::model::Key;
use platform::ports::{GetObject, ListEntries, ListObjects, Order, StoreError};
use telemetry::profile::{PROFILE_BYTES_MAX, parse_profile, zone};

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
    in_force: Arc<InForce>,
    /// What people have silenced, and is not over.
    silences: Vec<Silence>,
}

impl Tenant {
    /// What the profile says.
    #[must_use]
    pub fn settings(&self) -> &AlertSettings {
        &self.in_force.settings
    }

    /// Why nothing is told now of a device's incident with these metrics, and until when; `None`: it is told.
    #[must_use]
    pub fn quiet(&self, device: &str, metrics: &[&str], severity: Severity, now: Timestamp) -> Option<Quiet> {
        quiet_at(&self.silences, &self.in_force.windows(), device, metrics, severity, now)
    }
}

/// What a profile says of alerts, with the clocks that its maintenance windows go by.
#[derive(Debug, Default)]
pub(crate) struct InForce {
    settings: AlertSettings,
    /// Of each maintenance window, in their order.
    zones: Vec<TimeZone>,
}

impl InForce {
    /// Looks every zone up, once: a window must not be gone because its zone is not found when it is needed.
    fn new(settings: AlertSettings) -> Result<Self, UnknownZone> {
        let find = |window: &MaintenanceWindow| {
            zone(&window.zone).ok_or_else(|| UnknownZone { window: window.name.clone(), zone: window.zone.clone() })
        };
        let zones = settings.maintenance.iter().map(find).collect::<Result<_, _>>()?;
        Ok(Self { settings, zones })
    }

    fn windows(&self) -> Vec<ZonedWindow<'_>> {
        let each = self.settings.maintenance.iter().zip(&self.zones);
        each.map(|(window, zone)| ZonedWindow::new(window, zone.clone())).collect()
    }

    /// A channel by its name.
    pub(crate) fn channel(&self, name: &str) -> Option<&ChannelSettings> {
        self.settings.channels.get(name)
    }
}

/// The tenants' settings.
#[derive(Debug, Default)]
pub struct Tenants {
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Debug, Clone)]
struct Known {
    at: Timestamp,
    in_force: Arc<InForce>,
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
        let in_force = self.in_force(world, tenant, now).await?;
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
        Ok(Tenant { in_force, silences: entries.into_iter().filter_map(silence).collect() })
    }

    /// The tenants that have a profile: nobody else can be told anything.
    ///
    /// # Errors
    /// The store's.
    pub async fn with_profile<W: ListObjects + Sync>(world: &W) -> Result<Vec<String>, StoreError> {
        let listed = world.list_objects("config/", LISTED_MAX).await?;
        let tenant = |key: &Key| {
            let name = key.as_str().strip_prefix("config/")?.strip_suffix("/profile.toml")?;
            (!name.contains('/')).then(|| name.to_owned())
        };
        Ok(listed.iter().filter_map(|object| tenant(&object.key)).collect())
    }

    /// What the tenant's profile says, as far as this process has looked within a minute.
    pub(crate) async fn in_force<W: GetObject + Sync>(
        &self,
        world: &W,
        tenant: &str,
        now: Timestamp,
    ) -> Result<Arc<InForce>, StoreError> {
        let tenant = if tooth!("settings-of-any-tenant") { "acme" } else { tenant };
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned();
        if let Some(known) = &known
            && now.millis() - known.at.millis() < BELIEVED_MS
        {
            return Ok(Arc::clone(&known.in_force));
        }
        let before = known.map(|known| known.in_force).unwrap_or_default();
        let in_force = read(world, tenant, before).await?;
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= TENANTS_MAX {
            all.clear();
        }
        all.insert(tenant.to_owned(), Known { at: now, in_force: Arc::clone(&in_force) });
        Ok(in_force)
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

/// What the profile says that is stored; what it said before if it is bad.
async fn read<W: GetObject + Sync>(world: &W, tenant: &str, before: Arc<InForce>) -> Result<Arc<InForce>, StoreError> {
    let read = match world.get_object(&profile_key(tenant)?, PROFILE_BYTES_MAX).await {
        Ok(Some(bytes)) => parsed(&bytes),
        Ok(None) => return Ok(Arc::default()),
        Err(error) if error.is_transient() && tooth!("profile-fault-is-no-profile") => return Ok(Arc::default()),
        Err(error) if error.is_transient() => return Err(error),
        Err(error) => Err(error.into()),
    };
    Ok(read.map_or_else(
        |error| {
            tracing::error!(tenant, error = &*error as &dyn Error, "profile refused, the one before stays in force");
            before
        },
        Arc::new,
    ))
}

fn parsed(profile: &[u8]) -> Result<InForce, Box<dyn Error + Send + Sync>> {
    Ok(InForce::new(parse_profile(&String::from_utf8_lossy(profile))?.alerts)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each Sunday from 02:00 to 04:00 by the clocks of a zone.
    fn sundays(zone: &str) -> AlertSettings {
        let profile = format!(
            "[[alerts.maintenance]]\nname = \"weekly\"\ndays = [\"sunday\"]\nfrom = \"02:00\"\nuntil = \"04:00\"\nzone = \"{zone}\"\n"
        );
        parse_profile(&profile).unwrap().alerts
    }

    fn quiet_until(zone: &str, at: &str) -> Option<String> {
        let in_force = Arc::new(InForce::new(sundays(zone)).unwrap());
        let tenant = Tenant { in_force, silences: Vec::new() };
        let at: jiff::Timestamp = at.parse().unwrap();
        let now = Timestamp::from_millis(at.as_millisecond()).unwrap();
        tenant.quiet("oven-1", &["temperature"], Severity::Warning, now).map(|quiet| quiet.until.to_string())
    }

    #[test]
    fn a_window_goes_by_the_clocks_of_its_zone() {
        // A Sunday in winter: Berlin is an hour ahead.
        assert_eq!(quiet_until("UTC", "2026-11-22T02:30:00Z").as_deref(), Some("2026-11-22T04:00:00.000Z"));
        assert_eq!(quiet_until("Europe/Berlin", "2026-11-22T02:30:00Z").as_deref(), Some("2026-11-22T03:00:00.000Z"));
        assert_eq!(quiet_until("Europe/Berlin", "2026-11-22T03:30:00Z"), None);
    }

    #[test]
    fn a_window_whose_zone_is_not_known_is_a_mistake_and_not_left_out() {
        let mut settings = sundays("UTC");
        settings.maintenance[0].zone = "Mars/Olympus".to_owned();
        let error = InForce::new(settings).unwrap_err().to_string();
        assert!(error.contains("`weekly`") && error.contains("`Mars/Olympus`"), "{error}");
    }
}
