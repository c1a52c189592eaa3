//! `alerts show`: everything that is known of one incident.

use std::collections::BTreeSet;

use alert_fanout::place;
use anomaly_core::incident::{ClosedBy, Incident, Phase};
use platform::model::AnomalyRecord;
use platform::ports::{AlertWorld, AnomalyQuery, Order};
use serde::Serialize;

use super::desk::{Desk, StoreOptions};
use super::find::{self, LOOKED_AT_MAX};
use super::list::{state, why};
use super::steps::{self, Step};
use crate::options;
use crate::output::{Cell, Format};
use crate::ui::Ui;

/// What `alerts show` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
As CSV it is the course alone, a row for each notice and channel; as JSON one document with everything.

Examples:
  millrace alerts show 5b1f03c2
  millrace alerts show 5b1f03c2 --output json")]
pub(crate) struct Args {
    /// The incident's id, or enough of its beginning to tell it from others (at least 4 digits)
    #[arg(value_parser = options::incident_id)]
    id: String,
    #[command(flatten)]
    pub(super) store: StoreOptions,
    /// Look among the incidents of this device alone, also those of long ago
    #[arg(long, value_name = "NAME", value_parser = options::device)]
    device: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    incident: Incident,
    course: Vec<Step>,
    anomalies: Vec<AnomalyRecord>,
}

/// Shows it.
pub(super) async fn run<W: AlertWorld>(args: &Args, desk: &Desk<W>, ui: &Ui) -> anyhow::Result<()> {
    let incident = find::by_id(desk, &args.id, args.device.as_deref()).await?.incident;
    let course = steps::of(&desk.world, &incident).await?;
    let anomalies = anomalies(desk, &incident).await?;
    match ui.format() {
        Format::Json | Format::Ndjson => return ui.document(&Shown { incident, course, anomalies }),
        Format::Csv => return print_course(&course, ui),
        Format::Table => {}
    }
    print_fields(&incident, ui)?;
    print_course(&course, ui)?;
    let mut rows = ui.rows(vec!["onset", "severity", "score", "metrics", "summary", "anomaly"])?;
    for AnomalyRecord { anomaly, .. } in &anomalies {
        rows.push(&[
            Cell::shown(&anomaly.onset),
            Cell::text(anomaly.severity.as_str()),
            Cell::Number(anomaly.score),
            Cell::text(anomaly.metrics.join(" ")),
            Cell::text(&anomaly.explanation.summary),
            Cell::text(anomaly.id.as_str()),
        ])?;
    }
    rows.finish()?;
    if anomalies.len() < incident.anomalies as usize {
        ui.note(format_args!("{} of {} anomalies are kept", anomalies.len(), incident.anomalies));
    }
    Ok(())
}

/// The anomalies of an incident, the oldest first: those whose witness names it.
async fn anomalies<W: AlertWorld>(desk: &Desk<W>, incident: &Incident) -> anyhow::Result<Vec<AnomalyRecord>> {
    let pk = place::of_device(&incident.tenant, &incident.device);
    let witnesses = desk.world.list_entries(&pk, place::WITNESSES, Order::OldestFirst, LOOKED_AT_MAX).await?;
    let own = witnesses.iter().filter(|entry| entry.body["incident"].as_str() == Some(incident.id.as_str()));
    let ids: BTreeSet<&str> = own.filter_map(|entry| entry.key.sk.strip_prefix(place::WITNESSES)).collect();
    let query = AnomalyQuery::Device { tenant: incident.tenant.clone(), device: incident.device.clone() };
    let mut found = desk.world.find_anomalies(&query, LOOKED_AT_MAX).await?;
    found.retain(|record| ids.contains(record.anomaly.id.as_str()));
    found.reverse();
    Ok(found)
}

fn print_fields(incident: &Incident, ui: &Ui) -> anyhow::Result<()> {
    let mut rows = ui.rows(vec!["field", "value"])?;
    let mut field = |name: &'static str, value: Option<String>| match value {
        Some(value) => rows.push(&[Cell::text(name), Cell::text(value)]),
        None => Ok(()),
    };
    let metrics: Vec<&str> = incident.metric_names().collect();
    field("id", Some(incident.id.to_string()))?;
    field("tenant", Some(incident.tenant.clone()))?;
    field("device", Some(incident.device.clone()))?;
    field("state", Some(state(incident).to_owned()))?;
    field("severity", Some(incident.severity.as_str().to_owned()))?;
    field("score", Some(crate::output::rounded(incident.peak)))?;
    field("detector", Some(incident.detector.as_str().to_owned()))?;
    field("metrics", Some(metrics.join(" ")))?;
    field("opened", Some(incident.opened.to_string()))?;
    field("reopened", incident.reopened.map(|at| at.to_string()))?;
    field("closed", closed(incident))?;
    field("told", incident.told.as_ref().map(|told| told.at.to_string()))?;
    field("not told, because of", incident.quiet.as_ref().map(why))?;
    field("acknowledged", acknowledged(incident))?;
    field("escalated to level", (incident.level > 0).then(|| incident.level.to_string()))?;
    field("anomalies", Some(incident.anomalies.to_string()))?;
    field("summary", Some(incident.summary.clone()))?;
    field("because", Some(incident.sentences.join("\n")).filter(|sentences| !sentences.is_empty()))?;
    Ok(rows.finish()?)
}

/// When it was closed, and why.
pub(super) fn closed(incident: &Incident) -> Option<String> {
    let Phase::Closed { at, by } = &incident.phase else { return None };
    Some(match by {
        ClosedBy::Recovered => format!("{at}, the device is normal"),
        ClosedBy::TimedOut => format!("{at}, nothing was heard of it"),
        ClosedBy::Person(name) => format!("{at} by {name}"),
    })
}

/// Who takes care of it, since when, and what they said.
pub(super) fn acknowledged(incident: &Incident) -> Option<String> {
    let by = incident.acknowledged.as_ref()?;
    let note = by.note.as_ref().map_or(String::new(), |note| format!(": {note}"));
    Some(format!("{} by {}{note}", by.at, by.by))
}

fn print_course(course: &[Step], ui: &Ui) -> anyhow::Result<()> {
    let columns =
        vec!["notice", "at", "what", "severity", "channel", "state", "done", "tries", "next_try", "receipt", "error"];
    let instant = |at: Option<anomaly_core::Timestamp>| at.map_or(Cell::Nothing, |at| Cell::shown(&at));
    let mut rows = ui.rows(columns)?;
    for step in course {
        rows.push(&[
            Cell::Number(f64::from(step.notice)),
            instant(step.at),
            Cell::text(&step.what),
            Cell::perhaps(step.severity),
            Cell::perhaps(step.channel.as_deref()),
            Cell::text(step.state),
            instant(step.done),
            Cell::Number(f64::from(step.tries)),
            instant(step.next_try),
            Cell::perhaps(step.receipt.as_deref()),
            Cell::perhaps(step.error.as_deref()),
        ])?;
    }
    Ok(rows.finish()?)
}
