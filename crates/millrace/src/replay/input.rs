//! A recording and what belongs to it, through the engine.

use std::ops::ControlFlow;
use std::path::Path;

use anomaly_core::{
    Device, DeviceName, Engine, Finite, MetricName, Observation, ProfileSet, Reading, Scored, TenantName,
};
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

/// A row that was scored.
pub(crate) struct Row<'a> {
    pub(crate) observation: Observation<'a>,
    /// The file may hold several devices.
    pub(crate) several_devices: bool,
}

/// Takes each row with its device and what the engine says of it; may end the replay.
type Each<'e> = dyn FnMut(&Row<'_>, &Device, &Scored) -> anyhow::Result<ControlFlow<()>> + 'e;

/// Learns from the history, then scores the file and hands each of its rows to `each`.
///
/// # Errors
/// What `each` returns; a file that cannot be read, with the place; a row that the engine refuses.
pub(crate) fn score(input: &Input<'_>, ui: &Ui, each: &mut Each<'_>) -> anyhow::Result<()> {
    let file = if input.file.as_os_str() == "-" { Path::new(STANDARD_INPUT) } else { input.file };
    let tenant = TenantName::new(input.tenant)?;
    let named = input.device.or_else(|| file.file_stem()?.to_str()).and_then(|name| DeviceName::new(name).ok());
    let device = named.map_or_else(|| DeviceName::new(DEVICE_DEFAULT), Ok)?;
    let defaults = Defaults { tenant, device };
    let mut scorer = Scorer {
        engine: Engine::default(),
        profiles: profile::load(input.profile, tenant.as_str())?,
        tenant: tenant.as_str(),
        tenant_seen: false,
        scored: Scored::default(),
    };

    let mut history = History::open(file, &defaults)?;
    // A recording without a row is an error of its own, so there is a first one.
    let Some(first) = history.next().transpose()? else { return Ok(()) };
    for shift in warmup::plan(input.warmup, first.at, &defaults)? {
        scorer.learn(&shift, &defaults, ui)?;
    }
    let several_devices = history.form() != Form::CsvWide || *first.device != *device.as_str();
    let bar = ui.progress(None, PROGRESS).with_message(file.display().to_string());
    let mut next = Some(first);
    while let Some(row) = next {
        bar.inc(1);
        if scorer.observe(file, &row, several_devices, each)?.is_break() {
            break;
        }
        next = history.next().transpose()?;
    }
    bar.finish_and_clear();
    let shown = file.display();
    if history.refused() > 0 {
        let refused = history.refused();
        ui.warn(format_args!("`{shown}`: {refused} messages were refused again, as they were when they arrived"));
    }
    if let Some(profile) = input.profile.filter(|_| !scorer.tenant_seen) {
        let profile = profile.display();
        ui.warn(format_args!(
            "no row is of tenant `{tenant}`, so `{profile}` was not used; name its tenant with --tenant"
        ));
    }
    Ok(())
}

/// The engine and what it needs beside the rows.
struct Scorer<'a> {
    engine: Engine,
    profiles: ProfileSet,
    /// Whose the profile is.
    tenant: &'a str,
    tenant_seen: bool,
    /// Reused from row to row.
    scored: Scored,
}

impl Scorer<'_> {
    /// Learns from one file of history; what the engine says of it is dropped.
    fn learn(&mut self, shift: &Shift<'_>, defaults: &Defaults<'_>, ui: &Ui) -> anyhow::Result<()> {
        let shown = shift.file.display();
        if shift.days > 0 {
            let days = if shift.days == 1 { "1 day".to_owned() } else { format!("{} days", shift.days) };
            ui.detail(format_args!("`{shown}` does not end before what follows begins: moved back by {days}"));
        }
        let bar = ui.progress(None, PROGRESS).with_message(format!("learning from {shown}"));
        for row in History::open(shift.file, defaults)? {
            let row = shift.apply(row?)?;
            let _dropped = self.observe(shift.file, &row, true, &mut |_, _, _| Ok(ControlFlow::Continue(())))?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn observe(
        &mut self,
        file: &Path,
        row: &HistoryRow,
        several_devices: bool,
        each: &mut Each<'_>,
    ) -> anyhow::Result<ControlFlow<()>> {
        self.tenant_seen |= *row.tenant == *self.tenant;
        let readings = readings(row)?;
        let observation = Observation {
            tenant: TenantName::new(&row.tenant)?,
            device: DeviceName::new(&row.device)?,
            at: row.at,
            arrived: row.arrived,
            readings: &readings,
        };
        let device = self
            .engine
            .observe(&observation, &self.profiles, &mut self.scored)
            .with_context(|| format!("{}, row {}: device `{}`", file.display(), row.number, row.device))?;
        each(&Row { observation, several_devices }, device, &self.scored)
    }
}

/// The values that are there.
fn readings(row: &HistoryRow) -> anyhow::Result<Vec<Reading<'_>>> {
    let present = row.values.iter().filter_map(|value| Some((value, value.value?)));
    let reading = present.map(|(value, number)| {
        let (metric, number) = (MetricName::new(&value.metric)?, Finite::try_from(number)?);
        Ok(Reading { metric, value: number, quality: value.quality })
    });
    reading.collect()
}
