//! `alerts list`: incidents, newest first.

use alert_fanout::place;
use anomaly_core::incident::{Incident, Phase, Quiet, QuietCause};
use platform::ports::AlertWorld;

use super::desk::{Desk, StoreOptions};
use super::find::{self, Kept, LOOKED_AT_MAX};
use super::trouble;
use crate::options;
use crate::output::{Cell, Format};
use crate::ui::Ui;

/// Digits of an id that a table shows.
const DIGITS_SHOWN: usize = 8;

/// What `alerts list` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Open incidents are found however old they are; others by the day on which they began.

Examples:
  millrace alerts list --open
  millrace alerts list --since 30d --output csv
  millrace alerts list --failed")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) store: StoreOptions,
    /// Only those that are open, however long
    #[arg(long, conflicts_with_all = ["closed", "failed", "since"])]
    open: bool,
    /// Only those that are closed
    #[arg(long, conflicts_with = "failed")]
    closed: bool,
    /// Messages that did not arrive, or not at once, in place of incidents
    #[arg(long, conflicts_with = "device")]
    failed: bool,
    /// Only those of this device
    #[arg(long, value_name = "NAME", conflicts_with = "since", value_parser = options::device)]
    device: Option<String>,
    /// Only those that began in so long a time before now, or before the newest anomaly
    #[arg(long, value_name = "SPAN", default_value = "7d", value_parser = options::long_span_ms::<366>)]
    since: i64,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

/// Lists.
pub(super) async fn run<W: AlertWorld>(args: &Args, desk: &Desk<W>, ui: &Ui) -> anyhow::Result<()> {
    let limit = args.limit as usize;
    if args.failed {
        return trouble::list(desk, args.since, limit, ui).await;
    }
    let mut found = match &args.device {
        Some(device) => find::of_device(desk, device, LOOKED_AT_MAX).await?,
        None if args.open => find::open(desk).await?,
        None => {
            let entries = find::of_days(desk, args.since, place::INCIDENTS, LOOKED_AT_MAX).await?;
            entries.into_iter().map(Kept::read).collect::<anyhow::Result<_>>()?
        }
    };
    found.retain(|kept| (!args.open || kept.incident.is_open()) && (!args.closed || !kept.incident.is_open()));
    print(found.iter().take(limit).map(|kept| &kept.incident), ui)?;
    if found.is_empty() {
        let all = !args.open && !args.closed && args.device.is_none();
        let remedy = if all { "; ask for more with --since, or for another tenant with --tenant" } else { "" };
        ui.note(format_args!("no such incidents of tenant `{}` {}{remedy}", desk.tenant, desk.place));
    } else if found.len() > limit {
        ui.note(format_args!("there are more than {limit}; ask for them with --limit"));
    }
    Ok(())
}

fn print<'i>(incidents: impl Iterator<Item = &'i Incident>, ui: &Ui) -> anyhow::Result<()> {
    let columns =
        vec!["opened", "device", "severity", "state", "metrics", "anomalies", "told", "acknowledged_by", "id"];
    let mut rows = ui.rows(columns)?;
    for incident in incidents {
        let metrics: Vec<&str> = incident.metric_names().collect();
        let id = incident.id.as_str();
        rows.push(&[
            Cell::shown(&incident.opened),
            Cell::text(&incident.device),
            Cell::text(incident.severity.as_str()),
            Cell::text(state(incident)),
            Cell::text(metrics.join(" ")),
            Cell::Number(f64::from(incident.anomalies)),
            Cell::perhaps(told(incident)),
            Cell::perhaps(incident.acknowledged.as_ref().map(|by| &by.by)),
            Cell::text(if ui.format() == Format::Table { &id[..DIGITS_SHOWN.min(id.len())] } else { id }),
        ])?;
    }
    Ok(rows.finish()?)
}

/// Where an incident stands, in a word.
pub(crate) fn state(incident: &Incident) -> &'static str {
    match incident.phase {
        Phase::Open => "open",
        Phase::Recovering { .. } => "recovering",
        Phase::Closed { .. } => "closed",
    }
}

/// When it was told as open, or why it was not.
fn told(incident: &Incident) -> Option<String> {
    match (&incident.told, &incident.quiet) {
        (Some(told), _) if told.is_held => Some(format!("{} in a digest", told.at)),
        (Some(told), _) => Some(told.at.to_string()),
        (None, Some(quiet)) => Some(format!("no: {}", why(quiet))),
        (None, None) => None,
    }
}

/// Why it is quiet.
pub(super) fn why(quiet: &Quiet) -> String {
    match &quiet.cause {
        QuietCause::Silence(id) => format!("silence {id} until {}", quiet.until),
        QuietCause::Maintenance(name) => format!("maintenance `{name}` until {}", quiet.until),
    }
}
