//! A second opinion: what another model says of readings between watch and alarm, and what comes of it.
//!
//! The engine learns nothing from it, so that scoring stays a function of the records alone. An opinion is recorded in silver
//! with the readings it is about, and the fold of the recorded ones is a state beside the engine's: which devices have been
//! told of. So a replay takes the same opinions from silver and asks nobody
//! (`docs/adr/0015-a-second-opinion.md`).
//!
//! - [`candidates`]: what a batch has to ask about, as JSON lines.
//! - [`answer`]: what the model's lines mean.
//! - [`episodes`]: opinions in, episodes out: the state.
//! - [`breaker`]: when not to ask, because it has failed again and again.

pub mod answer;
pub mod breaker;
pub mod candidates;
pub mod episodes;

use telemetry::bronze::LakeError;
use telemetry::silver::SilverReader;

pub use breaker::Breaker;
pub use candidates::{Candidate, Candidates};
pub use episodes::Episodes;

/// When a second model is asked, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct OpinionSettings {
    /// `MILLRACE_OPINION_ENDPOINT`: name of the SageMaker endpoint. Not set: nobody is asked.
    pub endpoint: String,
    /// `MILLRACE_OPINION_BUDGET_MS`: how long a batch waits for opinions at most, over all its tries, 50 to 5000. Default 300.
    pub budget_ms: u32,
    /// `MILLRACE_OPINION_ROWS`: how many observations of a batch are asked about at most, the first ones, 1 to 5000. Default
    /// 200.
    pub rows: u32,
    /// `MILLRACE_OPINION_WATCH`: from which score of the device on, in units of the alarm line, 0.05 to 0.99. Default 0.7.
    pub watch: f64,
    /// `MILLRACE_OPINION_LINE`: the alarm line on the model's scale where its answer names none, above 0. Default 1.
    pub line: f64,
}

impl OpinionSettings {
    /// The defaults for an endpoint.
    #[must_use]
    pub fn new(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), budget_ms: 300, rows: 200, watch: 0.7, line: 1.0 }
    }
}

/// Takes the opinions that are recorded in a silver object, in their order. An opinion stands in every row of the readings
/// it is about; readings of one device and instant in one message, one after the other, are one.
///
/// # Errors
/// [`LakeError`] when the object is none.
pub fn replay(episodes: &mut Episodes, silver: Vec<u8>, bytes_max: usize) -> Result<(), LakeError> {
    let reader = SilverReader::new(silver, bytes_max)?;
    let mut before = None;
    for row in reader.rows() {
        let about = row.opinion.map(|_| (row.seq, row.sub, row.tenant, row.device, row.at));
        if let Some(strength) = row.opinion.filter(|_| about != before) {
            episodes.take(row.tenant, row.device, row.at, strength);
        }
        before = about;
    }
    Ok(())
}
