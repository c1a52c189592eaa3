//! What is asked of the results table when a tenant goes: everything that was found about it.

use std::future::Future;

use serde_json::Value;

use account::Trouble;

/// The results of tenants.
pub trait Results {
    /// Anomalies, incidents and what people noted of them that belong to one day, `yyyy-mm-dd`, as stored.
    fn of_day(&self, table: &str, tenant: &str, day: &str) -> impl Future<Output = Result<Vec<Value>, Trouble>>;
    /// Everything that is stored of a device.
    fn of_device(&self, table: &str, tenant: &str, device: &str) -> impl Future<Output = Result<Vec<Value>, Trouble>>;
}
