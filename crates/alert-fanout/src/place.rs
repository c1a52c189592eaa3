//! Where things of the fan-out lie in the results table.
//!
//! What belongs to a device lies in the device's partition, so that what confines a tenant's readers by the leading key
//! (`{tenant}#{device}`) confines them here too. What belongs to a tenant lies under the tenant's name alone, what belongs to
//! the deployment under a name that no tenant can have.

use anomaly_core::{AnomalyId, Incident, Timestamp};
use platform::model::{DayPlace, Due, EntryKey};

/// Sort keys of incidents begin with this.
pub const INCIDENTS: &str = "I#";
/// Sort keys of witnesses begin with this.
pub const WITNESSES: &str = "W#";
/// Sort keys of deliveries begin with this.
pub const DELIVERIES: &str = "D#";
/// Sort keys of a tenant's silences begin with this.
pub const SILENCES: &str = "Q#";
/// Sort key of a tenant's budget of messages.
pub const BUDGET: &str = "B";
/// Parts of the index of what is due. A tenant is in one of them, so that what is due of a tenant is found in one query, and
/// no part holds everything.
pub const QUEUES: u32 = 8;

/// Partition of a device.
#[must_use]
pub fn of_device(tenant: &str, device: &str) -> String {
    format!("{tenant}#{device}")
}

/// An incident: `I#{opened}#{id}`, so that a device's incidents are in order of time.
#[must_use]
pub fn incident(incident: &Incident) -> EntryKey {
    EntryKey {
        pk: of_device(&incident.tenant, &incident.device),
        sk: format!("{INCIDENTS}{}#{}", incident.opened, incident.id),
    }
}

/// That an anomaly is in an incident: `W#{anomaly}`. It is written with the incident, and never again.
#[must_use]
pub fn witness(tenant: &str, device: &str, anomaly: &AnomalyId) -> EntryKey {
    EntryKey { pk: of_device(tenant, device), sk: format!("{WITNESSES}{anomaly}") }
}

/// One notice on one channel: `D#{incident}#{number}#{channel}`.
#[must_use]
pub fn delivery(incident: &Incident, notice: u32, channel: &str) -> EntryKey {
    EntryKey {
        pk: of_device(&incident.tenant, &incident.device),
        sk: format!("{DELIVERIES}{}#{notice:06}#{channel}", incident.id),
    }
}

/// A digest on one channel: `D#digest#{when}#{channel}` under the tenant.
#[must_use]
pub fn digest(tenant: &str, at: Timestamp, channel: &str) -> EntryKey {
    EntryKey { pk: tenant.to_owned(), sk: format!("{DELIVERIES}digest#{at}#{channel}") }
}

/// How many messages a tenant has had, and what is held.
#[must_use]
pub fn budget(tenant: &str) -> EntryKey {
    EntryKey { pk: tenant.to_owned(), sk: BUDGET.to_owned() }
}

/// A silence of a tenant.
#[must_use]
pub fn silence(tenant: &str, id: &str) -> EntryKey {
    EntryKey { pk: tenant.to_owned(), sk: format!("{SILENCES}{id}") }
}

/// Which region tells people. No tenant's name begins with `#`.
#[must_use]
pub fn active() -> EntryKey {
    EntryKey { pk: "#alerts".to_owned(), sk: "active".to_owned() }
}

/// Up to which epoch a region has looked for anomalies that nobody told.
#[must_use]
pub fn swept(region: &str) -> EntryKey {
    EntryKey { pk: "#alerts".to_owned(), sk: format!("swept#{region}") }
}

/// The part of the index of what is due that a tenant is in (FNV-1a over its name).
#[must_use]
pub fn queue(tenant: &str) -> String {
    let hash = tenant.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    queue_number(hash % QUEUES)
}

/// All parts of that index.
pub fn queues() -> impl Iterator<Item = String> {
    (0..QUEUES).map(queue_number)
}

fn queue_number(number: u32) -> String {
    format!("due#{number}")
}

/// When something of a tenant is due.
#[must_use]
pub fn due(tenant: &str, at: Timestamp) -> Due {
    Due { queue: queue(tenant), at }
}

/// A tenant's day, beside its anomalies.
#[must_use]
pub fn day(tenant: &str, at: Timestamp) -> DayPlace {
    DayPlace { day: format!("{tenant}#{}", at.date()), at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_in_one_queue_and_every_queue_is_looked_at() {
        let all: Vec<String> = queues().collect();
        assert_eq!(all.len(), QUEUES as usize);
        for tenant in ["acme", "umbra", "default", "t-1"] {
            assert!(all.contains(&queue(tenant)), "{tenant}");
        }
    }

    #[test]
    fn the_queue_of_a_tenant_is_what_it_was_in_the_first_release() {
        // A tenant that moves to another queue would leave what is due in the old one, where it is found all the same; but
        // its list would have gaps.
        assert_eq!((queue("acme"), queue("default")), ("due#7".to_owned(), "due#6".to_owned()));
    }
}
