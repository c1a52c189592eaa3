//! The state of devices that have run for days, made by the engine alone: days of JSON would take minutes.

use anomaly_core::{
    DeviceName, Finite, MetricName, NameError, Observation, ProfileSet, Quality, Reading, Scored, TenantName,
};
use kinesis_scorer::state::ShardState;

use crate::plant::{METRICS, Plant, TENANT};

/// The metrics' names, checked.
pub(crate) fn metrics() -> Result<Vec<MetricName<'static>>, NameError> {
    METRICS.iter().map(|(name, _)| MetricName::new(name)).collect()
}

/// The readings of message `count`, as its text would give them.
pub(crate) fn readings<'n>(plant: &Plant, count: u64, metrics: &[MetricName<'n>]) -> Vec<Reading<'n>> {
    let said = plant.values(count).into_iter().zip(METRICS).zip(metrics).take(plant.readings() as usize);
    said.filter_map(|((value, (_, places)), metric)| {
        let step = 10_f64.powi(places);
        let value = Finite::try_from((value * step).round() / step).ok()?;
        Some(Reading { metric: *metric, value, quality: Quality::Good })
    })
    .collect()
}

/// What a shard remembers after the messages `0..counts` of `plant`.
///
/// # Errors
/// [`NameError`] if a name of the plant is none.
pub(crate) fn state(plant: &Plant, counts: u64) -> Result<ShardState, NameError> {
    let (tenant, metrics, profiles) = (TenantName::new(TENANT)?, metrics()?, ProfileSet::default());
    let devices: Vec<String> = (0..plant.devices).map(|count| plant.device(count)).collect();
    let (mut state, mut scored) = (ShardState::default(), Scored::default());
    for count in 0..counts {
        let device = DeviceName::new(&devices[(count % plant.devices) as usize])?;
        let (at, arrived) = (plant.at(count), plant.arrived(count));
        let readings = readings(plant, count, &metrics);
        let observation = Observation { tenant, device, at, arrived, readings: &readings };
        // Nothing here comes near a bound of the engine.
        let taken = state.engine.observe(&observation, &profiles, &mut scored);
        debug_assert!(taken.is_ok(), "the engine refused a device of the plant");
    }
    Ok(state)
}
