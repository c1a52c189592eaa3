//! Records in, state and findings out: the pure heart of the scorer, used alike for new batches and for replay.
//!
//! Scoring a batch and replaying it later must be the same function of the same bytes, or a cold start would not be where
//! the warm process was. So there is one function, [`Fold::take`], and only what is done with its findings differs.

mod batch;

use anomaly_core::{Anomaly, Device, Observation, ProfileSet, Scored, TenantName, Timestamp};
use telemetry::payload::{Context, Decoder, Message, RawForm};
use telemetry::poison::{Poison, PoisonReason};
use telemetry::sequence::SequenceNumber;

pub use batch::{Batch, Objects, TOLD_MAX};

use crate::state::ShardState;

/// How a message's tenant is found when its topic is silent, and whether the stream belongs to one tenant alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenancy {
    stream: Option<String>,
    default: String,
}

/// The tenant that takes over where a configured name is none: never reached with a checked configuration.
const FALLBACK: &str = "default";

impl Tenancy {
    /// From checked names ([`crate::Config`]).
    #[must_use]
    pub fn new(stream: Option<&str>, default: &str) -> Self {
        Self { stream: stream.map(str::to_owned), default: default.to_owned() }
    }

    fn context<'c>(&'c self, arrived: Timestamp, partition_key: &'c str) -> Option<Context<'c>> {
        let stream_tenant = self.stream.as_deref().map(TenantName::new).transpose().ok()?;
        let default_tenant = TenantName::new(&self.default).or_else(|_| TenantName::new(FALLBACK)).ok()?;
        Some(Context { stream_tenant, default_tenant, arrived, partition_key })
    }
}

/// One record as it came from the stream.
#[derive(Debug, Clone, Copy)]
pub struct RawRecord<'r> {
    /// Its place in the shard.
    pub seq: SequenceNumber,
    /// When the stream took it.
    pub arrived: Timestamp,
    /// What decided its shard.
    pub partition_key: &'r str,
    /// Its bytes; or, where the envelope itself is broken, what is wrong with it and the text that could not be decoded.
    pub data: Result<&'r [u8], (&'r Poison, &'r [u8])>,
}

/// What is done with what a record means.
pub trait Findings {
    /// A device's readings of one instant were taken in.
    fn observed(
        &mut self,
        of: &RawRecord<'_>,
        sub: u32,
        observation: &Observation<'_>,
        scored: &Scored,
        device: &Device,
    );

    /// A device was found silent when this record arrived.
    fn fell_silent(&mut self, of: &RawRecord<'_>, anomaly: Anomaly, device: &Device);

    /// A message was refused; `data` are its bytes.
    fn refused(&mut self, of: &RawRecord<'_>, sub: u32, poison: &Poison, data: &[u8]);
}

/// Counts readings and drops everything else: for replay.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard {
    /// Readings seen.
    pub readings: u64,
}

impl Findings for Discard {
    fn observed(&mut self, _: &RawRecord<'_>, _: u32, observation: &Observation<'_>, _: &Scored, _: &Device) {
        self.readings += observation.readings.len() as u64;
    }

    fn fell_silent(&mut self, _: &RawRecord<'_>, _: Anomaly, _: &Device) {}

    fn refused(&mut self, _: &RawRecord<'_>, _: u32, _: &Poison, _: &[u8]) {}
}

/// Buffers that are reused from record to record. Carries nothing from one record to the next.
#[derive(Debug, Default)]
pub struct Fold {
    decoder: Decoder,
    scored: Scored,
}

impl Fold {
    /// Takes one record. Says in which form its bytes may stand in a line of the lake.
    pub fn take(
        &mut self,
        state: &mut ShardState,
        record: &RawRecord<'_>,
        profiles: &ProfileSet,
        tenancy: &Tenancy,
        findings: &mut impl Findings,
    ) -> RawForm {
        let bytes = match record.data {
            Ok(bytes) => bytes,
            Err((poison, bytes)) => {
                findings.refused(record, 0, poison, bytes);
                return RawForm::Bytes;
            }
        };
        // Not for a broken envelope: bronze does not have it, so that a replay would not look then.
        state.parts().0.look_for_silence(record.arrived, profiles, |anomaly, device| {
            findings.fell_silent(record, anomaly, device);
        });
        let Some(context) = tenancy.context(record.arrived, record.partition_key) else {
            return RawForm::Bytes;
        };
        let scored = &mut self.scored;
        let (engine, births, routes) = state.parts();
        self.decoder.decode(bytes, &context, births, &mut |message: Message<'_>| {
            let observations = match &message.result {
                Ok(observations) => *observations,
                Err(poison) => return findings.refused(record, message.sub, poison, message.bytes),
            };
            // A message is taken whole or not at all.
            if let Err(refused) = engine.admits(observations, profiles) {
                let reason = match refused {
                    anomaly_core::Refused::TooManyMetrics => PoisonReason::TooManyMetrics,
                    anomaly_core::Refused::TooManyDevices => PoisonReason::TooManyDevices,
                };
                return findings.refused(record, message.sub, &Poison::new(reason, refused), message.bytes);
            }
            for observation in observations {
                routes.note(observation.tenant.as_str(), observation.device.as_str(), message.partition_key);
                if let Ok(device) = engine.observe(observation, profiles, scored) {
                    findings.observed(record, message.sub, observation, scored, device);
                }
            }
        })
    }
}
