//! What the run's anomalies came to for people: incidents, their course, and how many messages that made.

use std::collections::BTreeMap;

use alert_fanout::delivery::{Delivery, DeliveryState};
use alert_fanout::place;
use anomaly_core::Timestamp;
use anomaly_core::incident::{Incident, Phase};
use anyhow::Context as _;
use platform::embedded::Local;
use platform::ports::{ListEntries as _, Order};
use simulator::Plant;

use super::TENANT;
use crate::output::{Cell, Format};
use crate::ui::Ui;

/// Most entries of one device that are looked at.
const ENTRIES_MAX: usize = 100_000;
/// Incidents that are shown, the newest.
const SHOWN_MAX: usize = 20;

/// How many.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Incidents that opened in the span.
    pub(super) incidents: u64,
    /// Messages that were taken over in it, digests among them.
    pub(super) messages: u64,
}

/// An incident and what was told of it.
#[derive(Debug)]
struct Course {
    incident: Incident,
    /// In the order of the notices: what, and when it was taken over.
    told: Vec<(&'static str, Timestamp)>,
}

/// The incidents of a span, by when they opened.
#[derive(Debug)]
pub(super) struct Incidents {
    courses: Vec<Course>,
    counts: Counts,
}

impl Incidents {
    /// Reads what opened and what was told in `span` (milliseconds, end excluded).
    ///
    /// # Errors
    /// The store's, or something that is stored is of another kind than its key says.
    pub(super) async fn new(world: &Local, plant: &Plant, span: (i64, i64)) -> anyhow::Result<Self> {
        let (mut courses, mut counts) = (Vec::new(), Counts::default());
        let is_in = |at: Timestamp| (span.0..span.1).contains(&at.millis());
        for device in 0..plant.config().devices {
            let Some(name) = plant.device_name(device) else { continue };
            let pk = place::of_device(TENANT, &name);
            let mut told = told(world, &pk).await?;
            counts.messages += told.values().flatten().filter(|(_, at)| is_in(*at)).count() as u64;
            for entry in world.list_entries(&pk, place::INCIDENTS, Order::OldestFirst, ENTRIES_MAX).await? {
                let incident: Incident =
                    serde_json::from_value(entry.body).with_context(|| format!("`{}` is no incident", entry.key))?;
                if is_in(incident.opened) {
                    let told = told.remove(incident.id.as_str()).unwrap_or_default();
                    courses.push(Course { incident, told });
                }
            }
        }
        let digests = told(world, TENANT).await?;
        counts.messages += digests.values().flatten().filter(|(_, at)| is_in(*at)).count() as u64;
        counts.incidents = courses.len() as u64;
        courses.sort_by(|a, b| (a.incident.opened, &a.incident.id).cmp(&(b.incident.opened, &b.incident.id)));
        Ok(Self { courses, counts })
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Prints the newest for the eye; programs ask `millrace alerts list`.
    pub(super) fn print(&self, ui: &Ui) -> anyhow::Result<()> {
        if ui.format() != Format::Table || self.courses.is_empty() {
            return Ok(());
        }
        let columns =
            vec!["opened", "device", "severity", "told", "resolved", "minutes", "anomalies", "messages", "course"];
        let mut rows = ui.rows(columns)?;
        for Course { incident, told } in &self.courses[self.courses.len().saturating_sub(SHOWN_MAX)..] {
            let resolved = match incident.phase {
                Phase::Closed { at, .. } => Some(at),
                Phase::Open | Phase::Recovering { .. } => None,
            };
            let minutes = resolved.map(|at| ((at.millis() - incident.opened.millis()) as f64 / 60_000.0).round());
            let course: Vec<&str> = told.iter().map(|(what, _)| *what).collect();
            rows.push(&[
                Cell::text(minute(incident.opened)),
                Cell::text(&incident.device),
                Cell::text(incident.severity.as_str()),
                Cell::perhaps(told.first().map(|(_, at)| minute(*at))),
                Cell::perhaps(resolved.map(minute)),
                minutes.map_or(Cell::Nothing, Cell::Number),
                Cell::Number(f64::from(incident.anomalies)),
                Cell::Number(told.len() as f64),
                Cell::text(course.join(", ")),
            ])?;
        }
        rows.finish()?;
        if self.courses.len() > SHOWN_MAX {
            ui.note(format_args!(
                "the newest {SHOWN_MAX} of {} incidents; `millrace alerts list` has all",
                self.courses.len()
            ));
        }
        Ok(())
    }
}

/// `YYYY-MM-DD HH:MM` of UTC.
fn minute(at: Timestamp) -> String {
    let mut text = at.to_string().replacen('T', " ", 1);
    text.truncate(16);
    text
}

/// The messages of a partition that were taken over, by incident.
async fn told(world: &Local, pk: &str) -> anyhow::Result<BTreeMap<String, Vec<(&'static str, Timestamp)>>> {
    let mut told: BTreeMap<String, Vec<(&'static str, Timestamp)>> = BTreeMap::new();
    for entry in world.list_entries(pk, place::DELIVERIES, Order::OldestFirst, ENTRIES_MAX).await? {
        let delivery: Delivery =
            serde_json::from_value(entry.body).with_context(|| format!("`{}` is no delivery", entry.key))?;
        if let DeliveryState::Sent { at, .. } = delivery.state {
            let what = delivery.message.state();
            told.entry(delivery.message.incident).or_default().push((what, at));
        }
    }
    Ok(told)
}
