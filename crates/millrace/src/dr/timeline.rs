//! Moves as rows: a step a row, with when it began and how long it took.

use failover::{Move, Outcome};

use crate::output::Cell;
use crate::ui::Ui;

/// Prints the steps of moves.
///
/// # Errors
/// The output cannot be written.
pub(super) fn print(moves: &[Move], ui: &Ui) -> anyhow::Result<()> {
    let columns =
        vec!["epoch", "purpose", "from", "to", "step", "outcome", "began", "at_seconds", "seconds", "evidence"];
    let mut rows = ui.rows(columns)?;
    for record in moves {
        for done in &record.steps {
            let seconds = |from: i64, to: i64| Cell::Number(to.saturating_sub(from) as f64 / 1_000.0);
            rows.push(&[
                Cell::Number(record.epoch as f64),
                Cell::text(record.purpose.name()),
                Cell::text(&record.from),
                Cell::text(&record.to),
                Cell::text(done.step.name()),
                Cell::text(match done.outcome {
                    Outcome::Done => "done",
                    Outcome::Warned => "warned",
                }),
                Cell::shown(&done.began),
                seconds(record.began.millis(), done.began.millis()),
                seconds(done.began.millis(), done.ended.millis()),
                Cell::text(&done.evidence),
            ])?;
        }
    }
    Ok(rows.finish()?)
}
