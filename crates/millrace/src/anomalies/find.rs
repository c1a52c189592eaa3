//! Finds stored anomalies where neither device nor day is known: the ports ask by either, so every day is asked.
//!
//! The days are those of the lake's partitions and their neighbours: a batch lies in the partition of its arrival, and a
//! reading may be a little older or ahead of it. An anomaly more than a day away from when its reading arrived is found by
//! naming its day or device.

use std::collections::BTreeSet;

use jiff::civil::Date;
use platform::embedded::Local;
use platform::model::AnomalyRecord;
use platform::ports::{AnomalyQuery, FindAnomalies as _, ListObjects as _, StoreError};

/// Most objects whose names are looked at.
const OBJECTS_MAX: usize = 10_000_000;
/// Most anomalies of a day among which an id is looked for.
const DAY_MAX: usize = 1_000_000;

/// At most `limit`, newest onset first.
pub(super) async fn newest(store: &Local, tenant: &str, limit: usize) -> Result<Vec<AnomalyRecord>, StoreError> {
    let mut found = Vec::new();
    for day in days(store).await? {
        if found.len() >= limit {
            break;
        }
        let query = AnomalyQuery::Day { tenant: tenant.to_owned(), day };
        found.extend(store.find_anomalies(&query, limit - found.len()).await?);
    }
    Ok(found)
}

/// Those whose id begins like that, newest onset first.
pub(super) async fn by_id(store: &Local, tenant: &str, beginning: &str) -> Result<Vec<AnomalyRecord>, StoreError> {
    let mut found = Vec::new();
    for day in days(store).await? {
        let query = AnomalyQuery::Day { tenant: tenant.to_owned(), day };
        let of_day = store.find_anomalies(&query, DAY_MAX).await?;
        found.extend(of_day.into_iter().filter(|record| record.anomaly.id.as_str().starts_with(beginning)));
    }
    Ok(found)
}

/// The days on which something arrived and their neighbours, the last one first.
async fn days(store: &Local) -> Result<Vec<String>, StoreError> {
    let objects = store.list_objects("bronze/", OBJECTS_MAX).await?;
    let arrivals: BTreeSet<Date> = objects.iter().filter_map(|object| day_of(object.key.as_str())).collect();
    let around = |day: Date| [day.yesterday().ok(), Some(day), day.tomorrow().ok()].into_iter().flatten();
    let days: BTreeSet<Date> = arrivals.into_iter().flat_map(around).collect();
    Ok(days.iter().rev().map(Date::to_string).collect())
}

/// The day in `bronze/dt=2026-11-21/…`.
fn day_of(key: &str) -> Option<Date> {
    key.strip_prefix("bronze/dt=")?.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::day_of;

    #[test]
    fn a_key_of_the_lake_tells_its_day() {
        assert_eq!(day_of("bronze/dt=2026-11-21/hour=07/x.ndjson.zst").unwrap().to_string(), "2026-11-21");
        assert!(day_of("silver/dt=2026-11-21/x").is_none() && day_of("bronze/dt=monday/x").is_none());
    }
}
