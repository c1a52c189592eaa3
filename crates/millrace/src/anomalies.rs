//! `anomalies list` and `anomalies show`: what the store holds, a folder's or the results table's on AWS.
//!
//! Looks only: the folder may be in use by a process that writes. Says nothing of incidents or acknowledgements.

mod shelf;
#[cfg(feature = "aws")]
mod table;

use std::borrow::Cow;
use std::future::Future;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use platform::model::AnomalyRecord;
use platform::ports::AnomalyQuery;
use shelf::Shelf;

use crate::options;
use crate::output::{Cell, Format};
use crate::ui::Ui;

/// Most anomalies whose ids begin alike that are looked at. Four digits are shared by one in 65,536.
const ALIKE_MAX: usize = 10_000;
/// Most ids that an error names.
const NAMED_MAX: usize = 5;

/// Which store to look into.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Store {
    /// Folder of the embedded store, as `millrace demo --dir` made it [default: millrace-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Tenant whose anomalies are meant
    #[arg(long, value_name = "NAME", default_value = options::TENANT_DEFAULT, value_parser = options::tenant)]
    pub(crate) tenant: String,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    aws: table::Options,
}

/// What `anomalies` is asked.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List stored anomalies, newest first
    #[command(after_help = "\
Examples:
  millrace anomalies list
  millrace anomalies list --device pump-00001 --limit 5
  millrace anomalies list --day 2026-01-07 --output ndjson
  millrace anomalies list --results-table millrace-dev-results --tenant acme    (on AWS)")]
    List(List),
    /// Show one stored anomaly with everything that is known of it
    #[command(after_help = "\
Examples:
  millrace anomalies show 08f4060f0ff7012f1d0f737735fc04a4
  millrace anomalies show 08f4060f --output json")]
    Show(Show),
}

/// What `anomalies list` is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    store: Store,
    /// Only those of this device
    #[arg(long, value_name = "NAME", conflicts_with = "day", value_parser = options::device)]
    device: Option<String>,
    /// Only those that began on this day, UTC
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = options::day)]
    day: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

/// What `anomalies show` is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// The anomaly's id, or enough of its beginning to tell it from others (at least 4 digits)
    #[arg(value_parser = options::anomaly_id)]
    id: String,
    #[command(flatten)]
    store: Store,
}

/// Answers.
///
/// # Errors
/// The store cannot be opened or read, there is no such anomaly, or standard output cannot be written.
pub(crate) fn run(command: &Command, ui: &Ui) -> anyhow::Result<()> {
    match command {
        Command::List(args) => list(args, ui),
        Command::Show(args) => show(&by_id(&args.store, &args.id)?, ui),
    }
}

fn list(args: &List, ui: &Ui) -> anyhow::Result<()> {
    let tenant = || args.store.tenant.clone();
    let query = match (&args.device, &args.day) {
        (Some(device), _) => Some(AnomalyQuery::Device { tenant: tenant(), device: device.clone() }),
        (None, Some(day)) => Some(AnomalyQuery::Day { tenant: tenant(), day: day.clone() }),
        (None, None) => None,
    };
    // One more than is shown tells whether there are more.
    let limit = args.limit as usize;
    let (found, shelf) = wait(async {
        let shelf = Shelf::open(&args.store)?;
        let found = match &query {
            Some(query) => shelf.find(query, limit + 1).await?,
            None => shelf.newest(&args.store.tenant, limit + 1).await?,
        };
        anyhow::Ok((found, shelf))
    })??;
    let columns = vec!["onset", "tenant", "device", "severity", "score", "detector", "metrics", "summary", "id"];
    let mut rows = ui.rows(columns)?;
    for record in found.iter().take(limit) {
        let anomaly = &record.anomaly;
        rows.push(&[
            Cell::shown(&anomaly.onset),
            Cell::text(&anomaly.tenant),
            Cell::text(&anomaly.device),
            Cell::text(anomaly.severity.as_str()),
            Cell::Number(anomaly.score),
            Cell::text(anomaly.detector.as_str()),
            Cell::Text(Cow::Owned(anomaly.metrics.join(" "))),
            Cell::text(&anomaly.explanation.summary),
            Cell::text(anomaly.id.as_str()),
        ])?;
    }
    rows.finish()?;
    if found.is_empty() {
        let other = if query.is_some() { None } else { wait(shelf.another_tenant())?? };
        match other {
            None => ui.note(format_args!("no anomalies{}", shelf.how_far(query.as_ref()))),
            Some(other) => ui.note(format_args!(
                "no anomalies of tenant `{}`; there are some of `{other}`: add `--tenant {other}`",
                args.store.tenant,
            )),
        }
    } else if found.len() > limit {
        ui.note(format_args!("there are more than {limit}; ask for them with --limit"));
    }
    Ok(())
}

fn show(record: &AnomalyRecord, ui: &Ui) -> anyhow::Result<()> {
    if matches!(ui.format(), Format::Json | Format::Ndjson) {
        return ui.document(record);
    }
    let anomaly = &record.anomaly;
    let mut rows = ui.rows(vec!["field", "value"])?;
    let mut field = |name: &'static str, value: Cell<'_>| rows.push(&[Cell::text(name), value]);
    field("id", Cell::text(anomaly.id.as_str()))?;
    field("tenant", Cell::text(&anomaly.tenant))?;
    field("device", Cell::text(&anomaly.device))?;
    field("onset", Cell::shown(&anomaly.onset))?;
    field("severity", Cell::text(anomaly.severity.as_str()))?;
    field("score", Cell::Number(anomaly.score))?;
    field("detector", Cell::text(anomaly.detector.as_str()))?;
    field("metrics", Cell::Text(Cow::Owned(anomaly.metrics.join(" "))))?;
    field("summary", Cell::text(&anomaly.explanation.summary))?;
    field("detected_at", Cell::shown(&record.detected_at))?;
    field("shard", Cell::text(&record.shard))?;
    field("sequence_number", Cell::text(record.seq.trimmed()))?;
    field("profiles", Cell::text(&record.profiles))?;
    rows.finish()?;
    Ok(())
}

/// The one anomaly whose id begins like that.
///
/// # Errors
/// The store cannot be opened or read, or there is none or more than one.
pub(crate) fn by_id(store: &Store, id: &str) -> anyhow::Result<AnomalyRecord> {
    let (alike, place) = wait(async {
        let shelf = Shelf::open(store)?;
        anyhow::Ok((shelf.beginning_with(&store.tenant, id, ALIKE_MAX).await?, shelf.place()))
    })??;
    let (mut found, others): (Vec<_>, Vec<_>) =
        alike.into_iter().partition(|record| record.anomaly.tenant == store.tenant);
    let of = format!("of tenant `{}` in {place}", store.tenant);
    match (found.pop(), others.first()) {
        (Some(record), _) if found.is_empty() => Ok(record),
        (Some(record), _) => {
            found.push(record);
            bail!(
                "{} anomalies {of} have an id that begins with `{id}`: give more digits of {}",
                found.len(),
                names(&found)
            )
        }
        (None, Some(other)) => bail!(
            "no anomaly {of} has an id that begins with `{id}`, but one of tenant `{0}` has: add `--tenant {0}`",
            other.anomaly.tenant
        ),
        (None, None) => {
            bail!("no anomaly {of} has an id that begins with `{id}`: `millrace anomalies list` shows the ids")
        }
    }
}

/// The ids of some, each with what tells it from the others, to choose from.
fn names(records: &[AnomalyRecord]) -> String {
    let named = records
        .iter()
        .take(NAMED_MAX)
        .map(|AnomalyRecord { anomaly, .. }| format!("{} ({} at {})", anomaly.id, anomaly.device, anomaly.onset));
    let named: Vec<String> = named.collect();
    let more = if records.len() > NAMED_MAX { ", …" } else { "" };
    format!("{}{more}", named.join(", "))
}

/// The ports are asynchronous; a command has nothing else to do meanwhile.
fn wait<F: Future>(call: F) -> anyhow::Result<F::Output> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    Ok(runtime.block_on(call))
}

#[cfg(test)]
mod tests;
