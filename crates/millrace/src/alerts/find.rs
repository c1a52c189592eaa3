//! Finding incidents: by what is due, by day, by device, by the beginning of an id.

use std::collections::BTreeSet;

use alert_fanout::delivery::later;
use alert_fanout::place;
use anomaly_core::Timestamp;
use anomaly_core::incident::Incident;
use anyhow::{Context as _, bail};
use platform::model::Entry;
use platform::ports::{AlertWorld, Order};

use super::desk::Desk;

const DAY_MS: i64 = 86_400_000;
/// Most entries of a day, a device or a queue that are looked at.
pub(super) const LOOKED_AT_MAX: usize = 10_000;
/// Days in which an id is looked for: a closed incident is kept so long unless the deployment says otherwise.
const DAYS_OF_IDS: i64 = 90;
/// Most incidents that an error names.
const NAMED_MAX: usize = 5;

/// An incident where it is stored.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) entry: Entry,
    pub(super) incident: Incident,
}

impl Kept {
    /// # Errors
    /// What is stored is no incident.
    pub(super) fn read(entry: Entry) -> anyhow::Result<Self> {
        let incident = serde_json::from_value(entry.body.clone()).with_context(|| {
            format!("`{}` is no incident that this millrace knows: was it stored by a newer one?", entry.key)
        })?;
        Ok(Self { entry, incident })
    }
}

/// The tenant's days back from now, and back from the newest anomaly where that is not now: a simulated plant lives in another
/// time. The newest first.
pub(super) fn days<W>(desk: &Desk<W>, span_ms: i64) -> Vec<String> {
    let mut days = BTreeSet::new();
    for end in [Some(desk.now), desk.newest].into_iter().flatten() {
        let first = (end.millis() - span_ms).div_euclid(DAY_MS);
        let instants = (first..=end.millis().div_euclid(DAY_MS)).map(|day| Timestamp::from_millis(day * DAY_MS));
        days.extend(instants.flatten().map(|at| place::day(&desk.tenant, at).day));
    }
    days.into_iter().rev().collect()
}

/// Entries of the tenant's days that are in the span, the newest first, up to `count_max`.
pub(super) async fn of_days<W: AlertWorld>(
    desk: &Desk<W>,
    span_ms: i64,
    prefix: &str,
    count_max: usize,
) -> anyhow::Result<Vec<Entry>> {
    let first = desk.newest.map_or(desk.now, |newest| newest.min(desk.now)).millis() - span_ms;
    let mut found: Vec<Entry> = Vec::new();
    for day in days(desk, span_ms) {
        let of_day = desk.world.list_day(&day, prefix, count_max - found.len()).await?;
        found.extend(
            of_day.into_iter().filter(|entry| entry.day.as_ref().is_some_and(|place| place.at.millis() >= first)),
        );
        if found.len() >= count_max {
            break;
        }
    }
    Ok(found)
}

/// The tenant's open incidents, the newest first. Every open incident is due some time, if only to be closed at last, so that
/// the index of what is due has all of them, however old.
pub(super) async fn open<W: AlertWorld>(desk: &Desk<W>) -> anyhow::Result<Vec<Kept>> {
    let due = desk.world.find_due(&place::queue(&desk.tenant), Timestamp::MAX, LOOKED_AT_MAX).await?;
    let own = |entry: &Entry| {
        let tenant = entry.key.pk.strip_prefix(desk.tenant.as_str());
        entry.key.sk.starts_with(place::INCIDENTS) && tenant.is_some_and(|rest| rest.starts_with('#'))
    };
    let mut found = due.into_iter().filter(own).map(Kept::read).collect::<anyhow::Result<Vec<_>>>()?;
    found.retain(|kept| kept.incident.is_open());
    found.sort_by(|a, b| (b.incident.opened, &b.entry.key).cmp(&(a.incident.opened, &a.entry.key)));
    Ok(found)
}

/// A device's incidents, the newest first.
pub(super) async fn of_device<W: AlertWorld>(
    desk: &Desk<W>,
    device: &str,
    count_max: usize,
) -> anyhow::Result<Vec<Kept>> {
    let pk = place::of_device(&desk.tenant, device);
    let found = desk.world.list_entries(&pk, place::INCIDENTS, Order::NewestFirst, count_max).await?;
    found.into_iter().map(Kept::read).collect()
}

/// The one incident whose id begins so, as it is now.
///
/// # Errors
/// There is none, or more than one.
pub(super) async fn by_id<W: AlertWorld>(desk: &Desk<W>, id: &str, device: Option<&str>) -> anyhow::Result<Kept> {
    let begins = |kept: &Kept| kept.incident.id.as_str().starts_with(id);
    let mut found = match device {
        Some(device) => of_device(desk, device, LOOKED_AT_MAX).await?,
        None => anywhere(desk, id).await?,
    };
    found.retain(begins);
    found.sort_by(|a, b| a.incident.id.cmp(&b.incident.id));
    found.dedup_by(|a, b| a.incident.id == b.incident.id);
    let of = of(desk, device);
    match found.pop() {
        None => bail!(
            "no incident {of} has an id that begins with `{id}`: `millrace alerts list` shows the ids{}",
            if device.is_none() { "; one that closed longer ago is found with --device" } else { "" }
        ),
        Some(kept) if found.is_empty() => {
            // The index that it was found by may be late.
            let now = desk.world.load_entry(&kept.entry.key).await?;
            now.map_or(Ok(kept), Kept::read)
        }
        Some(kept) => {
            found.push(kept);
            bail!(
                "{} incidents {of} have an id that begins with `{id}`: give more digits of {}",
                found.len(),
                names(&found)
            )
        }
    }
}

/// Incidents that are open or began within [`DAYS_OF_IDS`], as far as they have to be looked at for this id.
async fn anywhere<W: AlertWorld>(desk: &Desk<W>, id: &str) -> anyhow::Result<Vec<Kept>> {
    let is_found = |found: &[Kept]| found.iter().any(|kept| kept.incident.id.as_str() == id);
    let mut found = open(desk).await?;
    for day in days(desk, DAYS_OF_IDS * DAY_MS) {
        if is_found(&found) {
            break;
        }
        for entry in desk.world.list_day(&day, place::INCIDENTS, LOOKED_AT_MAX).await? {
            found.push(Kept::read(entry)?);
        }
    }
    Ok(found)
}

/// Where it was looked, in words.
fn of<W>(desk: &Desk<W>, device: Option<&str>) -> String {
    let of = format!("of tenant `{}` {}", desk.tenant, desk.place);
    match device {
        Some(device) => format!("of device `{device}` {of}"),
        None => format!("{of} that is open or began in the last {DAYS_OF_IDS} days"),
    }
}

fn names(found: &[Kept]) -> String {
    let named = found
        .iter()
        .take(NAMED_MAX)
        .map(|Kept { incident, .. }| format!("{} ({} at {})", incident.id, incident.device, incident.opened));
    let more = if found.len() > NAMED_MAX { ", …" } else { "" };
    format!("{}{more}", named.collect::<Vec<_>>().join(", "))
}

/// An instant of a span after now, for times that people give.
pub(super) fn after(now: Timestamp, span_ms: i64) -> Timestamp {
    later(now, std::time::Duration::from_millis(span_ms.unsigned_abs()))
}
