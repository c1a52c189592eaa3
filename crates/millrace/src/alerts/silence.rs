//! `alerts silence`, `unsilence` and `silences`: nothing is told of some incidents for a while.
//!
//! A silence keeps back messages and nothing else. What is still open when it ends is told then.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use alert_fanout::place;
use alert_fanout::tenants::SILENCES_MAX;
use anomaly_core::incident::{Incident, Matcher, QuietCause, Silence};
use anomaly_core::{Severity, Timestamp};
use anyhow::{Context as _, bail};
use platform::model::{Entry, EntryChange};
use platform::ports::{AlertWorld, ChangeError, Order};

use super::desk::{Desk, StoreOptions};
use super::find::{self, Kept, after};
use crate::options;
use crate::output::Cell;
use crate::ui::{Ui, Usage};

/// How long a silence is kept after its end, seconds.
const KEPT_SECONDS: i64 = 30 * 86_400;
/// Tries at an entry that somebody else changes at the same time.
const TRIES_MAX: u32 = 8;

/// What `alerts silence` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
In a pattern `*` stands for any run of characters. What is said together must hold together; --metric is for incidents of \
which every metric matches.

Examples:
  millrace alerts silence --device 'press-*' --for 2h --by jo --reason 'tool change'
  millrace alerts silence --metric humidity --severity-max warning --for 7d --by jo --reason 'sensor ordered'")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) store: StoreOptions,
    /// Incidents of devices whose names match
    #[arg(long, value_name = "PATTERN", value_parser = options::pattern)]
    device: Option<String>,
    /// Incidents of which every metric matches
    #[arg(long, value_name = "PATTERN", value_parser = options::pattern)]
    metric: Option<String>,
    /// Incidents that are at most so urgent: info, warning or critical
    #[arg(long, value_name = "SEVERITY", value_parser = options::severity)]
    severity_max: Option<Severity>,
    /// Every incident of the tenant
    #[arg(long)]
    everything: bool,
    /// For how long, at most 30 days
    #[arg(long = "for", value_name = "SPAN", value_parser = options::long_span_ms::<30>)]
    span: i64,
    /// Your name, as others shall read it
    #[arg(long, value_name = "NAME", value_parser = options::words)]
    by: String,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = options::words)]
    reason: String,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// What `alerts unsilence` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  millrace alerts silences
  millrace alerts unsilence 9c04b1d7")]
pub(crate) struct End {
    /// The silence's id, as `millrace alerts silences` shows it
    id: String,
    #[command(flatten)]
    pub(super) store: StoreOptions,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// What `alerts silences` is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  millrace alerts silences --output json")]
pub(crate) struct List {
    #[command(flatten)]
    pub(super) store: StoreOptions,
}

impl Args {
    /// # Errors
    /// A [`Usage`] where everything would be silenced and that was not said.
    pub(super) fn check(&self) -> Result<(), Usage> {
        // A pattern of nothing but `*` says nothing.
        let says = |pattern: &Option<String>| pattern.as_ref().is_some_and(|text| text.chars().any(|c| c != '*'));
        let narrows = says(&self.device)
            || says(&self.metric)
            || self.severity_max.is_some_and(|severity| severity < Severity::Critical);
        match (self.everything, narrows) {
            (false, false) => Err(Usage(
                "this would silence every incident of the tenant: say which with --device, --metric or --severity-max, or \
                 that you mean it with --everything"
                    .to_owned(),
            )),
            (true, true) => Err(Usage("--everything does not go together with what narrows it".to_owned())),
            _ => Ok(()),
        }
    }
}

/// Sets one.
pub(super) async fn begin<W: AlertWorld>(args: &Args, desk: &Desk<W>, ui: &Ui) -> anyhow::Result<()> {
    let matcher = Matcher { device: args.device.clone(), metric: args.metric.clone(), severity_max: args.severity_max };
    let until = after(desk.now, args.span);
    let open = find::open(desk).await?;
    let covered = open.iter().filter(|kept| covers(&matcher, &kept.incident)).count();
    let silences = format!("{}; {covered} of {} open incidents are meant", ends(until), open.len());
    if args.dry_run {
        ui.note(format_args!("would silence {} {silences}", words(&matcher)));
        return Ok(());
    }
    let id = place_of(desk, |id| Silence {
        id,
        matcher: matcher.clone(),
        until,
        by: args.by.clone(),
        reason: args.reason.clone(),
    })
    .await?;
    let mut rows = ui.rows(vec!["id", "until", "matches"])?;
    rows.push(&[Cell::text(&id), Cell::shown(&until), Cell::text(words(&matcher))])?;
    rows.finish()?;
    ui.note(format_args!("silenced {silences}; end it before with `millrace alerts unsilence {id}`"));
    Ok(())
}

/// Stores a silence under an id of its own, or in the place of one that has ended: so many are looked at and no more.
async fn place_of<W: AlertWorld>(desk: &Desk<W>, of: impl Fn(String) -> Silence) -> anyhow::Result<String> {
    for attempt in 0..TRIES_MAX {
        let kept = all(desk).await?;
        let ended = kept.iter().filter(|(_, silence)| silence.until <= desk.now).min_by_key(|(_, s)| s.until);
        let (id, expected) = match ended {
            Some((entry, silence)) if kept.len() >= SILENCES_MAX => (silence.id.clone(), Some(entry.version)),
            None if kept.len() >= SILENCES_MAX => bail!(
                "tenant `{}` has {} silences in force, the most that are looked at: end some with `millrace alerts unsilence`",
                desk.tenant,
                kept.len()
            ),
            _ => (id(desk, attempt), None),
        };
        let silence = of(id.clone());
        let entry = entry(desk, &silence, expected.unwrap_or(0) + 1)?;
        match desk.world.change_entries(&[EntryChange { entry: &entry, expected }]).await {
            Ok(()) => return Ok(id),
            Err(ChangeError::Moved(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("others set silences of tenant `{}` all the time: try again", desk.tenant)
}

/// Ends one, and has what it kept back told with the next tick.
pub(super) async fn end<W: AlertWorld>(args: &End, desk: &Desk<W>, ui: &Ui) -> anyhow::Result<()> {
    let in_force: Vec<(Entry, Silence)> =
        all(desk).await?.into_iter().filter(|(_, silence)| silence.until > desk.now).collect();
    let Some((kept, silence)) = in_force.iter().find(|(_, silence)| silence.id == args.id) else {
        let ids: Vec<&str> = in_force.iter().map(|(_, silence)| silence.id.as_str()).collect();
        let there = if ids.is_empty() { "there is none".to_owned() } else { format!("there are {}", ids.join(", ")) };
        bail!("no silence `{}` of tenant `{}` is in force {}; {there}", args.id.escape_debug(), desk.tenant, desk.place)
    };
    let of =
        format!("silence {} of {}, set by {} ({})", silence.id, words(&silence.matcher), silence.by, silence.reason);
    if args.dry_run {
        ui.note(format_args!("would end {of}"));
        return Ok(());
    }
    let ended = Silence { until: desk.now, ..silence.clone() };
    let entry = entry(desk, &ended, kept.version + 1)?;
    let change = EntryChange { entry: &entry, expected: Some(kept.version) };
    desk.world.change_entries(&[change]).await.context("the silence was not ended")?;
    let mut woken = 0;
    for kept in find::open(desk).await? {
        woken += u32::from(wake(desk, kept, &silence.id).await?);
    }
    ui.note(format_args!("ended {of}; {woken} incident(s) that it kept back are told with the next tick"));
    Ok(())
}

/// Has the tick look at an incident that a silence keeps back. Whether there was something to do.
async fn wake<W: AlertWorld>(desk: &Desk<W>, listed: Kept, silence: &str) -> anyhow::Result<bool> {
    for _ in 0..TRIES_MAX {
        // The index that it was found by may be late.
        let Some(stored) = desk.world.load_entry(&listed.entry.key).await? else { return Ok(false) };
        let Kept { entry, incident } = Kept::read(stored)?;
        let is_its = |cause: &QuietCause| matches!(cause, QuietCause::Silence(id) if id == silence);
        if !incident.quiet.as_ref().is_some_and(|quiet| is_its(&quiet.cause)) {
            return Ok(false);
        }
        let due = Some(place::due(&desk.tenant, desk.now));
        let woken = Entry { version: entry.version + 1, due, ..entry.clone() };
        match desk.world.change_entries(&[EntryChange { entry: &woken, expected: Some(entry.version) }]).await {
            Ok(()) => return Ok(true),
            Err(ChangeError::Moved(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("`{}` is changed by others all the time: end the silence again", listed.entry.key)
}

/// Lists those that are in force.
pub(super) async fn list<W: AlertWorld>(desk: &Desk<W>, ui: &Ui) -> anyhow::Result<()> {
    let mut in_force: Vec<Silence> = all(desk).await?.into_iter().map(|(_, silence)| silence).collect();
    in_force.retain(|silence| silence.until > desk.now);
    in_force.sort_by(|a, b| (a.until, &a.id).cmp(&(b.until, &b.id)));
    let mut rows = ui.rows(vec!["id", "until", "device", "metric", "severity_max", "by", "reason"])?;
    for silence in &in_force {
        let Matcher { device, metric, severity_max } = &silence.matcher;
        rows.push(&[
            Cell::text(&silence.id),
            Cell::shown(&silence.until),
            Cell::perhaps(device.as_deref()),
            Cell::perhaps(metric.as_deref()),
            Cell::perhaps(severity_max.map(Severity::as_str)),
            Cell::text(&silence.by),
            Cell::text(&silence.reason),
        ])?;
    }
    rows.finish()?;
    if in_force.is_empty() {
        ui.note(format_args!("no silence of tenant `{}` is in force {}", desk.tenant, desk.place));
    }
    Ok(())
}

/// The tenant's silences as far as they are looked at, those that have ended among them. One that cannot be read is an error:
/// it would silence nothing, and nobody would know.
async fn all<W: AlertWorld>(desk: &Desk<W>) -> anyhow::Result<Vec<(Entry, Silence)>> {
    let kept = desk.world.list_entries(&desk.tenant, place::SILENCES, Order::OldestFirst, SILENCES_MAX).await?;
    let read = |entry: Entry| {
        let silence = serde_json::from_value(entry.body.clone()).with_context(|| {
            format!("`{}` is no silence that this millrace knows: was it stored by a newer one?", entry.key)
        })?;
        Ok((entry, silence))
    };
    kept.into_iter().map(read).collect()
}

fn entry<W>(desk: &Desk<W>, silence: &Silence, version: u64) -> anyhow::Result<Entry> {
    Ok(Entry {
        key: place::silence(&desk.tenant, &silence.id),
        version,
        due: None,
        day: None,
        expires_at: Some(silence.until.millis() / 1_000 + KEPT_SECONDS),
        body: serde_json::to_value(silence)?,
    })
}

/// An id that no two silences share that are set by different processes or at different times.
fn id<W>(desk: &Desk<W>, attempt: u32) -> String {
    let mut hasher = DefaultHasher::new();
    (&desk.tenant, desk.now.millis(), std::process::id(), attempt).hash(&mut hasher);
    format!("{:08x}", hasher.finish() >> 32)
}

fn covers(matcher: &Matcher, incident: &Incident) -> bool {
    let metrics: Vec<&str> = incident.metric_names().collect();
    matcher.covers(&incident.device, &metrics, incident.severity)
}

/// Which incidents are meant, in words.
fn words(matcher: &Matcher) -> String {
    let Matcher { device, metric, severity_max } = matcher;
    let parts: Vec<String> = [
        device.as_ref().map(|pattern| format!("device `{pattern}`")),
        metric.as_ref().map(|pattern| format!("metric `{pattern}`")),
        severity_max.map(|severity| format!("at most {}", severity.as_str())),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() { "everything".to_owned() } else { parts.join(", ") }
}

/// When it ends, by the clock on the wall and in UTC.
fn ends(until: Timestamp) -> String {
    let local = jiff::Timestamp::from_millisecond(until.millis()).ok();
    let local = local.map(|at| at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M %Z").to_string());
    format!("until {} ({until})", local.unwrap_or_default())
}
