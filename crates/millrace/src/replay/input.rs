//! A recording and what belongs to it: row by row, and through the engine.

use std::ops::ControlFlow;
use std::path::Path;

use anomaly_core::{Device, DeviceName, Engine, Finite, MetricName, Observation, Reading, Scored, TenantName};
use anyhow::Context as _;
use telemetry::history::{Defaults, Form, History, HistoryRow};

use super::warmup::{self, Shift};
use crate::profile;
use crate::ui::Ui;

/// Device where neither the file nor its name gives one.
const DEVICE_DEFAULT: &str = "device";
/// What `-` stands for.
const STANDARD_INPUT: &str = "/dev/stdin";
const PROGRESS: &str = "{spinner} {msg}: {human_pos} rows";

/// What to score, and with what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a> {
    /// The recording.
    pub(crate) file: &'a Path,
    /// History, in the order in which it is learned from.
    pub(crate) warmup: &'a [std::path::PathBuf],
    /// Profile of the tenant.
    pub(crate) profile: Option<&'a Path>,
    /// Whose data it is where the file does not say, and whose the profile is.
    pub(crate) tenant: &'a str,
    /// Whose readings they are where the file does not say.
    pub(crate) device: Option<&'a str>,
}

/// Columns of the recording that are no metric.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NotMetrics<'a> {
    /// The one that says with 1 or 0 whether the row is abnormal.
    pub(crate) label: Option<&'a str>,
    /// Those that say something else.
    pub(crate) others: &'a [String],
}

impl NotMetrics<'_> {
    fn have(&self, name: &str) -> bool {
        self.label == Some(name) || self.others.iter().any(|other| other == name)
    }
}

/// A row of the recording or of its history.
pub(crate) struct Row<'a> {
    pub(crate) observation: Observation<'a>,
    /// The file may hold several devices.
    pub(crate) several_devices: bool,
    /// To be learned from, not judged.
    pub(crate) is_history: bool,
    /// What is in the column of labels.
    pub(crate) label: Option<f64>,
    file: &'a Path,
    number: u64,
}

impl Row<'_> {
    /// Where it stands, for messages.
    pub(crate) fn place(&self) -> String {
        format!("{}, row {}: device `{}`", self.file.display(), self.number, self.observation.device)
    }
}

/// Takes each row; may end the reading.
type Each<'e> = dyn FnMut(&Row<'_>) -> anyhow::Result<ControlFlow<()>> + 'e;
/// Takes each row with its device and what the engine says of it; may end the replay.
type EachScored<'e> = dyn FnMut(&Row<'_>, &Device, &Scored) -> anyhow::Result<ControlFlow<()>> + 'e;

/// Learns from the history, then scores the file and hands each of its rows to `each`.
///
/// # Errors
/// What `each` returns; a file that cannot be read, with the place; a row that the engine refuses.
pub(crate) fn score(input: &Input<'_>, ui: &Ui, each: &mut EachScored<'_>) -> anyhow::Result<()> {
    score_without(input, NotMetrics::default(), ui, each)
}

/// The same for a recording with columns that are no metric.
///
/// # Errors
/// Those of [`score`].
pub(crate) fn score_without(
    input: &Input<'_>,
    not_metrics: NotMetrics<'_>,
    ui: &Ui,
    each: &mut EachScored<'_>,
) -> anyhow::Result<()> {
    let profiles = profile::load(input.profile, input.tenant)?;
    let (mut engine, mut scored) = (Engine::default(), Scored::default());
    let tenant_seen = read(input, not_metrics, ui, &mut |row| {
        let device = engine.observe(&row.observation, &profiles, &mut scored).with_context(|| row.place())?;
        if row.is_history { Ok(ControlFlow::Continue(())) } else { each(row, device, &scored) }
    })?;
    if let Some(profile) = input.profile.filter(|_| !tenant_seen) {
        warn_of_unused(profile, input.tenant, ui);
    }
    Ok(())
}

/// Says that the profile was of no use, because no row was of its tenant.
pub(crate) fn warn_of_unused(profile: &Path, tenant: &str, ui: &Ui) {
    let profile = profile.display();
    ui.warn(format_args!("no row is of tenant `{tenant}`, so `{profile}` was not used; name its tenant with --tenant"));
}

/// Reads the history, then the file, and hands each row to `each`. The profile is not looked at. Says whether a row was of
/// the tenant of the input.
///
/// # Errors
/// What `each` returns; a file that cannot be read, with the place.
pub(crate) fn read(
    input: &Input<'_>,
    not_metrics: NotMetrics<'_>,
    ui: &Ui,
    each: &mut Each<'_>,
) -> anyhow::Result<bool> {
    let file = if input.file.as_os_str() == "-" { Path::new(STANDARD_INPUT) } else { input.file };
    let tenant = TenantName::new(input.tenant)?;
    let named = input.device.or_else(|| file.file_stem()?.to_str()).and_then(|name| DeviceName::new(name).ok());
    let device = named.map_or_else(|| DeviceName::new(DEVICE_DEFAULT), Ok)?;
    let defaults = Defaults { tenant, device };

    let mut history = History::open(file, &defaults)?;
    // A recording without a row is an error of its own, so there is a first one.
    let Some(first) = history.next().transpose()? else { return Ok(false) };
    let mut reader = Reader { file, not_metrics, tenant_seen: false, several_devices: true, is_history: true, each };
    for shift in warmup::plan(input.warmup, first.at, &defaults)? {
        reader.learn(&shift, &defaults, ui)?;
    }
    reader.file = file;
    reader.several_devices = history.form() != Form::CsvWide || *first.device != *device.as_str();
    reader.is_history = false;
    let bar = ui.progress(None, PROGRESS).with_message(file.display().to_string());
    let mut next = Some(first);
    while let Some(row) = next {
        bar.inc(1);
        if reader.hand_over(&row, tenant)?.is_break() {
            break;
        }
        next = history.next().transpose()?;
    }
    bar.finish_and_clear();
    if history.refused() > 0 {
        let (shown, refused) = (file.display(), history.refused());
        ui.warn(format_args!("`{shown}`: {refused} messages were refused again, as they were when they arrived"));
    }
    Ok(reader.tenant_seen)
}

/// What a row is handed over with.
struct Reader<'r, 'e> {
    file: &'r Path,
    not_metrics: NotMetrics<'r>,
    tenant_seen: bool,
    several_devices: bool,
    is_history: bool,
    each: &'r mut Each<'e>,
}

impl<'r> Reader<'r, '_> {
    /// Hands over one file of history.
    fn learn(&mut self, shift: &Shift<'r>, defaults: &Defaults<'_>, ui: &Ui) -> anyhow::Result<()> {
        let shown = shift.file.display();
        if shift.days > 0 {
            let days = if shift.days == 1 { "1 day".to_owned() } else { format!("{} days", shift.days) };
            ui.detail(format_args!("`{shown}` does not end before what follows begins: moved back by {days}"));
        }
        let bar = ui.progress(None, PROGRESS).with_message(format!("learning from {shown}"));
        self.file = shift.file;
        for row in History::open(shift.file, defaults)? {
            let row = shift.apply(row?)?;
            if self.hand_over(&row, defaults.tenant)?.is_break() {
                break;
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn hand_over(&mut self, row: &HistoryRow, tenant: TenantName<'_>) -> anyhow::Result<ControlFlow<()>> {
        self.tenant_seen |= *row.tenant == *tenant.as_str();
        let readings = readings(row, self.not_metrics)?;
        let labels = row.values.iter().find(|value| self.not_metrics.label == Some(&*value.metric));
        let observation = Observation {
            tenant: TenantName::new(&row.tenant)?,
            device: DeviceName::new(&row.device)?,
            at: row.at,
            arrived: row.arrived,
            readings: &readings,
        };
        (self.each)(&Row {
            observation,
            several_devices: self.several_devices,
            is_history: self.is_history,
            label: labels.and_then(|value| value.value),
            file: self.file,
            number: row.number,
        })
    }
}

/// The values that are there.
fn readings<'r>(row: &'r HistoryRow, not_metrics: NotMetrics<'_>) -> anyhow::Result<Vec<Reading<'r>>> {
    let metrics = row.values.iter().filter(|value| !not_metrics.have(&value.metric));
    let present = metrics.filter_map(|value| Some((value, value.value?)));
    let reading = present.map(|(value, number)| {
        let (metric, number) = (MetricName::new(&value.metric)?, Finite::try_from(number)?);
        Ok(Reading { metric, value: number, quality: value.quality })
    });
    reading.collect()
}
