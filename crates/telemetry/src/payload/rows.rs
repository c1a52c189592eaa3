//! From loose values to observations: the last step of every format, and the place where names, bounds and repetitions
//! are checked.
//!
//! A format reads a message into [`Row`]s in any order; [`Outlet::deliver`] brings the values of one device and one instant
//! together and hands all of them over, or none.

use std::mem;

use anomaly_core::{DeviceName, Finite, MetricName, NameError, Observation, Quality, Reading, TenantName, Timestamp};

use super::Outcome;
use super::text::{Arena, Text};
use crate::poison::{METRICS_MAX, Poison, PoisonReason, Shown};

/// One value as a format found it; the names are not checked yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'p> {
    pub(crate) device: Text<'p>,
    pub(crate) metric: Text<'p>,
    pub(crate) at: Timestamp,
    pub(crate) value: Finite,
    pub(crate) quality: Quality,
}

/// The memory of an emptied vector, for elements of another lifetime: collecting in place keeps the allocation.
pub(crate) fn recycle<A, B>(mut used: Vec<A>) -> Vec<B> {
    used.clear();
    used.into_iter().filter_map(|_| None).collect()
}

/// What [`Outlet::deliver`] needs to know of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'m> {
    pub(crate) tenant: TenantName<'m>,
    pub(crate) arrived: Timestamp,
}

/// Hands messages over and keeps the memory for the next one.
#[derive(Debug, Default)]
pub(crate) struct Outlet {
    readings: Vec<Reading<'static>>,
    observations: Vec<Observation<'static>>,
}

impl Outlet {
    /// Gives `emit` the observations of `rows`, ordered by device and time, or what is wrong with them. Says whether it
    /// was observations.
    pub(crate) fn deliver(
        &mut self,
        origin: Origin<'_>,
        rows: &mut [Row<'_>],
        arena: &Arena,
        emit: impl FnOnce(Outcome<'_>),
    ) -> bool {
        let mut readings = recycle(mem::take(&mut self.readings));
        let mut observations = recycle(mem::take(&mut self.observations));
        let order = |a: &Row<'_>, b: &Row<'_>| (arena.get(a.device), a.at).cmp(&(arena.get(b.device), b.at));
        if !rows.is_sorted_by(|a, b| order(a, b).is_le()) {
            rows.sort_by(order);
        }
        let checked = check_metrics(rows, arena, &mut readings)
            .and_then(|()| observe(origin, rows, arena, &readings, &mut observations));
        let good = checked.is_ok();
        emit(checked.map(|()| observations.as_slice()));
        self.observations = recycle(observations);
        self.readings = recycle(readings);
        good
    }
}

/// Pushes the reading of each row, in the order of the rows.
fn check_metrics<'m>(rows: &[Row<'m>], arena: &'m Arena, readings: &mut Vec<Reading<'m>>) -> Result<(), Poison> {
    for row in rows {
        let metric = MetricName::new(arena.get(row.metric)).map_err(bad_name)?;
        readings.push(Reading { metric, value: row.value, quality: row.quality });
    }
    Ok(())
}

/// Cuts the readings of the sorted rows into one observation a device and instant.
fn observe<'m>(
    origin: Origin<'m>,
    rows: &[Row<'m>],
    arena: &'m Arena,
    mut readings: &'m [Reading<'m>],
    observations: &mut Vec<Observation<'m>>,
) -> Result<(), Poison> {
    for run in rows.chunk_by(|a, b| a.at == b.at && arena.get(a.device) == arena.get(b.device)) {
        let (these, rest) = readings.split_at(run.len());
        readings = rest;
        let device = DeviceName::new(arena.get(run[0].device)).map_err(bad_name)?;
        if these.len() > METRICS_MAX {
            return Err(too_many_metrics(these.len()));
        }
        if let Some(metric) = repeated(these) {
            return Err(Poison::new(
                PoisonReason::DuplicateKey,
                format_args!("the metric `{}` stands twice for one device and instant", Shown(metric.as_str())),
            ));
        }
        let Origin { tenant, arrived } = origin;
        observations.push(Observation { tenant, device, at: run[0].at, arrived, readings: these });
    }
    Ok(())
}

/// At most [`METRICS_MAX`] names are compared, so comparing each with each is cheapest.
fn repeated<'m>(readings: &[Reading<'m>]) -> Option<MetricName<'m>> {
    let twice =
        |(index, reading): &(usize, &Reading<'m>)| readings[..*index].iter().any(|r| r.metric == reading.metric);
    readings.iter().enumerate().find(twice).map(|(_, reading)| reading.metric)
}

pub(crate) fn bad_name(error: NameError) -> Poison {
    Poison::new(PoisonReason::BadName, error)
}

pub(crate) fn too_many_metrics(found: usize) -> Poison {
    Poison::new(
        PoisonReason::TooManyMetrics,
        format_args!("{found} metrics of one device at one instant, the limit is {METRICS_MAX}; split the device"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recycling_keeps_the_memory() {
        let texts: Vec<&str> = Vec::with_capacity(100);
        let at = texts.as_ptr() as usize;
        let again: Vec<&'static str> = recycle(texts);
        assert_eq!((again.as_ptr() as usize, again.capacity()), (at, 100));
    }
}
