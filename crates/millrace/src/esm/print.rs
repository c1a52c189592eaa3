//! What is printed: a line an invocation in the manner of Lambda's, the plan of a dry run, the report.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, StdoutLock, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use event_source::destination::FailureRecord;
use event_source::target::Answer;
use event_source::{Batch, Invoked, Observer, Report};
use platform::embedded::stream::Outcome;

use crate::output::{Cell, Format, Rows};
use crate::ui::Ui;

/// Prints a line an invocation, and keeps what was given up.
pub(super) struct Journal<'u> {
    ui: &'u Ui,
    on_failure: Option<BufWriter<File>>,
    failed: Option<io::Error>,
}

impl<'u> Journal<'u> {
    /// Opens the on-failure file, whose earlier content goes.
    pub(super) fn new(ui: &'u Ui, on_failure: Option<&Path>) -> anyhow::Result<Self> {
        let open = |path: &Path| {
            File::create(path).map(BufWriter::new).with_context(|| format!("--on-failure `{}`", path.display()))
        };
        Ok(Self { ui, on_failure: on_failure.map(open).transpose()?, failed: None })
    }

    /// Says whether everything was written.
    pub(super) fn finish(self) -> io::Result<()> {
        self.failed.map_or(Ok(()), Err)
    }

    fn write(&mut self, record: &FailureRecord) -> io::Result<()> {
        let Some(file) = &mut self.on_failure else { return Ok(()) };
        serde_json::to_writer(&mut *file, record)?;
        file.write_all(b"\n")?;
        // A run may be killed: what is given up is on disk then.
        file.flush()
    }
}

impl Observer for Journal<'_> {
    fn invoked(&mut self, invoked: &Invoked<'_>) {
        self.ui.note(line(invoked));
    }

    fn discarded(&mut self, record: &FailureRecord) {
        if let Err(error) = self.write(record) {
            self.failed.get_or_insert(error);
        }
    }
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

/// In the manner of Lambda's own `REPORT` (AWS Lambda Developer Guide, "Viewing CloudWatch logs for Lambda functions").
fn line(invoked: &Invoked<'_>) -> String {
    let Invoked { invocation, request_id, done, outcome } = *invoked;
    let mut line = format!("REPORT RequestId: {request_id} Duration: {} ms", millis(done.duration));
    // Writing to a String cannot fail.
    if let Some(bytes) = done.memory_bytes_max {
        let _ = write!(line, " Max Memory Used: {} MB", bytes.div_ceil(1 << 20));
    }
    if let Some(init) = done.init {
        let _ = write!(line, " Init Duration: {} ms", millis(init));
    }
    let _ = write!(line, " Shard: {} Records: {}", invocation.shard, invocation.records.len());
    if invocation.attempt > 1 {
        let _ = write!(line, " Attempt: {}", invocation.attempt);
    }
    let status = match (&done.answer, outcome) {
        (Answer::TimedOut, _) => "timeout".to_owned(),
        (Answer::NotInvoked(why) | Answer::Broken(why), _) => format!("not invoked: {}", why.escape_debug()),
        (_, Outcome::Failure { error }) => format!("error: {}", error.escape_debug()),
        (_, Outcome::FailedFrom(first)) => format!("failed from {}", first.trimmed()),
        (_, Outcome::Unnoted) => "success, comes again".to_owned(),
        (_, Outcome::Success | Outcome::NotInvoked) => "success".to_owned(),
    };
    let _ = write!(line, " Status: {status}");
    line
}

/// The batches of a dry run, as they are cut.
pub(super) struct Plan {
    rows: Rows<StdoutLock<'static>>,
    failed: Option<io::Error>,
}

impl Plan {
    pub(super) fn new(ui: &Ui) -> anyhow::Result<Self> {
        let columns = vec!["shard", "records", "event_bytes", "first_sequence_number", "last_sequence_number"];
        Ok(Self { rows: ui.rows(columns)?, failed: None })
    }

    pub(super) fn push(&mut self, batch: &Batch) {
        let cells = [
            Cell::text(&*batch.shard),
            Cell::Number(batch.records as f64),
            Cell::Number(batch.event_bytes as f64),
            Cell::text(batch.first.trimmed()),
            Cell::text(batch.last.trimmed()),
        ];
        if let Err(error) = self.rows.push(&cells) {
            self.failed.get_or_insert(error);
        }
    }

    pub(super) fn finish(self) -> anyhow::Result<()> {
        self.failed.map_or(Ok(()), Err)?;
        Ok(self.rows.finish()?)
    }
}

fn entries(report: &Report) -> [(&'static str, Cell<'static>); 25] {
    let count = |value: u64| Cell::Number(value as f64);
    let time = |value: Option<Duration>| value.map_or(Cell::Nothing, |value| Cell::Number(millis(value)));
    [
        ("records_read", count(report.records_read)),
        ("records_repeated", count(report.records_repeated)),
        ("records_unreadable", count(report.records_unreadable)),
        ("records_filtered", count(report.records_filtered)),
        ("records_delivered", count(report.records_delivered)),
        ("records_done", count(report.records_done)),
        ("records_discarded", count(report.records_discarded)),
        ("invocations", count(report.invocations)),
        ("retries", count(report.retries)),
        ("bisects", count(report.bisects)),
        ("partial_failures", count(report.partial_failures)),
        ("failures_ignored", count(report.failures_ignored)),
        ("function_errors", count(report.function_errors)),
        ("timeouts", count(report.timeouts)),
        ("crashes", count(report.crashes)),
        ("not_invoked", count(report.not_invoked)),
        ("duplicates", count(report.duplicates)),
        ("iterator_age_ms_max", count(u64::try_from(report.iterator_age_max.as_millis()).unwrap_or(u64::MAX))),
        ("duration_ms_mean", time(report.duration_mean())),
        ("duration_ms_max", time(Some(report.duration_max))),
        ("cold_starts", count(report.cold_starts)),
        ("init_ms_max", time(report.init_max)),
        ("memory_mb_max", report.memory_bytes_max.map_or(Cell::Nothing, |bytes| count(bytes.div_ceil(1 << 20)))),
        ("delivered_per_record", ratio(report.records_delivered, report.records_done)),
        ("whole", Cell::text(if report.is_whole() { "yes" } else { "no" })),
    ]
}

fn ratio(of: u64, to: u64) -> Cell<'static> {
    if to == 0 { Cell::Nothing } else { Cell::Number((of as f64 / to as f64 * 1_000.0).round() / 1_000.0) }
}

/// Prints the report: as a list for the eye, as one row for programs.
pub(super) fn report(report: &Report, ui: &Ui) -> anyhow::Result<()> {
    let entries = entries(report);
    if ui.format() == Format::Table {
        let mut rows = ui.rows(vec!["what", "this run"])?;
        for (name, value) in entries {
            rows.push(&[Cell::text(name.replace('_', " ")), value])?;
        }
        rows.finish()?;
    } else {
        let mut rows = ui.rows(entries.iter().map(|(name, _)| *name).collect())?;
        rows.push(&entries.map(|(_, value)| value))?;
        rows.finish()?;
    }
    Ok(())
}
