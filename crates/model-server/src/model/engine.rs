//! The engine of the warm path, warmed up: one state a device.

use std::collections::{BTreeMap, HashMap};

use anomaly_core::{
    DEVICES_MAX, DeviceName, Engine, Finite, MetricName, Observation, Outcome, ProfileSet, Quality, Reading, Scored,
    TenantName,
};
use serde::{Deserialize, Serialize};

use super::ScoreError;
use crate::row::Row;

/// The states when training ended, each in an engine of its own, so that a session copies no more than it is asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EngineModel {
    devices: BTreeMap<String, Engine>,
}

impl EngineModel {
    /// Learns a row, and says how abnormal the device is by now; none where the row is of no use. Rows of a device come in
    /// the order of time.
    pub(crate) fn learn(
        &mut self,
        row: &Row,
        tenant: &str,
        profiles: &ProfileSet,
        scored: &mut Scored,
    ) -> Result<f64, ScoreError> {
        if !self.devices.contains_key(&row.device) {
            if self.devices.len() >= DEVICES_MAX {
                return Err(ScoreError::Refused(anomaly_core::Refused::TooManyDevices));
            }
            self.devices.insert(row.device.clone(), Engine::default());
        }
        let engine = self.devices.get_mut(&row.device).ok_or(ScoreError::UnknownDevice)?;
        observe(engine, row, tenant, profiles, scored)
    }

    pub(super) fn session<'m>(&'m self, tenant: &'m str, profiles: &'m ProfileSet) -> Session<'m> {
        Session { model: self, tenant, profiles, live: HashMap::new(), scored: Scored::default() }
    }
}

/// A request's look at it.
#[derive(Debug)]
pub struct Session<'m> {
    model: &'m EngineModel,
    tenant: &'m str,
    profiles: &'m ProfileSet,
    /// Those that were asked for, gone on from where training ended.
    live: HashMap<&'m str, Engine>,
    scored: Scored,
}

impl Session<'_> {
    pub(super) fn score(&mut self, row: &Row) -> Result<f64, ScoreError> {
        if !self.live.contains_key(row.device.as_str()) {
            let (name, engine) = self.model.devices.get_key_value(&row.device).ok_or(ScoreError::UnknownDevice)?;
            self.live.insert(name, engine.clone());
        }
        let engine = self.live.get_mut(row.device.as_str()).ok_or(ScoreError::UnknownDevice)?;
        observe(engine, row, self.tenant, self.profiles, &mut self.scored)
    }
}

fn observe(
    engine: &mut Engine,
    row: &Row,
    tenant: &str,
    profiles: &ProfileSet,
    scored: &mut Scored,
) -> Result<f64, ScoreError> {
    // Names and values were checked when the row was read.
    let readings = row.values.iter().filter_map(|(metric, value)| {
        let (metric, value) = (MetricName::new(metric).ok()?, Finite::try_from(*value).ok()?);
        Some(Reading { metric, value, quality: Quality::Good })
    });
    let readings: Vec<Reading<'_>> = readings.collect();
    let (Ok(tenant), Ok(device)) = (TenantName::new(tenant), DeviceName::new(&row.device)) else {
        return Err(ScoreError::UnknownDevice);
    };
    let observation = Observation { tenant, device, at: row.at, arrived: row.at, readings: &readings };
    engine.observe(&observation, profiles, scored).map_err(ScoreError::Refused)?;
    let outcomes = || scored.readings.iter().map(|reading| reading.outcome);
    if outcomes().any(|outcome| outcome == Outcome::Scored) {
        Ok(scored.score)
    } else if outcomes().any(|outcome| outcome == Outcome::Warming) {
        Err(ScoreError::Warming)
    } else {
        Err(ScoreError::Late)
    }
}
