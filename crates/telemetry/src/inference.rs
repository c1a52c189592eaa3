//! What training, serving and the analysis of batch inference share: the rows of devices as models read them, and what is kept
//! of more values than can be.
//!
//! A row is one device at one instant with all its metrics. It stands on a line of its own, as CSV without a head whose columns
//! are told beforehand, or as a JSON object. Each reader takes the same rows for rows, so that what a model was asked is what
//! its answers are matched with.

mod columns;
mod fields;
mod moments;
mod row;
mod sample;

pub use columns::{COLUMNS_MAX, Column, Columns};
pub use fields::{FIELDS_MAX, Fields};
pub use moments::Moments;
pub use row::{ANSWER, METRIC_NAMES_MAX, MetricNames, Row, RowError, RowReader};
pub use sample::{Sample, mix};

/// Longest line, in bytes. A longer one is no row.
pub const LINE_BYTES_MAX: usize = 1 << 20;
/// One false alert is one stretch of so much too many: rows that follow one another are alike, so that of each device's six hours
/// only the highest score counts where alarm lines are drawn.
pub const STRETCH_MS: i64 = 6 * 3_600_000;
/// Largest window of zstd that is followed back, as a power of two: 8 MiB, what `zstd` writes up to level 19.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 23;
