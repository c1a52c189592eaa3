//! Judges verdicts against truth: which labelled spans were found, how soon, how often somebody was called in vain, and how
//! well the scores rank the abnormal rows above the others.
//!
//! It knows nothing of engines, files or clocks: times are milliseconds, alerts are instants, scores are numbers. Whoever
//! runs a detector hands over what it said and what was true, and adds up [`Judgement`]s over devices. It chooses no
//! threshold: an alarm is a score of [`ALARM_LINE`] or more.

mod incidents;
mod judgement;
mod pairing;
mod rows;
mod spans;
mod vus;

pub use incidents::{AlertFit, Grace, Incidents, Matches, match_alerts};
pub use judgement::{ALARM_LINE, Judgement, ScoredRow, judge};
pub use pairing::{Pairing, pair_alerts};
pub use rows::RowCounts;
pub use spans::{EndsBeforeItBegins, Span, Spans};
pub use vus::{BUFFER_ROWS_MAX, BUFFERS_MAX, vus_pr};
