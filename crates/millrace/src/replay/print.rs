//! What a replay prints: every row with its score for programs, the alerts for people.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, StdoutLock};

use anomaly_core::{Anomaly, Device, Explanation, Observation, Scored};

use crate::output::{Cell, Format, Rows, rounded};
use crate::ui::Ui;

/// What was scored, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Rows of the file.
    pub(crate) rows: u64,
    /// Rows with a score of 1 or more.
    pub(crate) abnormal: u64,
    /// Rows on which an alert was raised.
    pub(crate) alerts: u64,
}

impl Totals {
    /// Counts a row.
    pub(super) fn count(&mut self, scored: &Scored) {
        self.rows += 1;
        self.abnormal += u64::from(scored.score >= 1.0);
        self.alerts += u64::from(scored.alert.is_some());
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = if self.rows == 0 { 0.0 } else { 100.0 * self.abnormal as f64 / self.rows as f64 };
        let plural = |count| if count == 1 { "" } else { "s" };
        let (rows, alerts) = (plural(self.rows), plural(self.alerts));
        write!(f, "{} row{rows}, {} alert{alerts}, {} % of the rows abnormal", self.rows, self.alerts, rounded(share))
    }
}

/// Where the rows of a replay go.
pub(super) struct Printer {
    rows: Rows<StdoutLock<'static>>,
    /// A table is for people: it shows the alerts alone.
    alerts_only: bool,
    several_devices: bool,
    explain: bool,
}

impl Printer {
    /// Begins. `several_devices` says that the file may hold more than one, so that each row has to name its own.
    pub(super) fn new(ui: &Ui, several_devices: bool, explain: bool) -> io::Result<Self> {
        let alerts_only = ui.format() == Format::Table;
        let mut columns = vec!["timestamp"];
        if several_devices {
            columns.push("device");
        }
        columns.push("score");
        if alerts_only {
            columns.extend(["onset", "severity", "metrics", "detector", "explanation"]);
        } else {
            columns.extend(["alert", "status"]);
            if explain {
                columns.extend(["metric", "detector", "explanation"]);
            }
        }
        Ok(Self { rows: ui.rows(columns)?, alerts_only, several_devices, explain })
    }

    /// Prints a row.
    pub(super) fn row(&mut self, row: &Observation<'_>, device: &Device, scored: &Scored) -> io::Result<()> {
        match &scored.alert {
            Some(anomaly) if self.alerts_only => self.alert(row, scored, anomaly),
            None if self.alerts_only => Ok(()),
            _ => self.every(row, device, scored),
        }
    }

    fn begin<'a>(&self, row: &Observation<'a>, scored: &Scored) -> Vec<Cell<'a>> {
        let mut cells = Vec::with_capacity(8);
        cells.push(Cell::shown(&row.at));
        if self.several_devices {
            cells.push(Cell::text(row.device.as_str()));
        }
        cells.push(Cell::Number(scored.score));
        cells
    }

    fn alert(&mut self, row: &Observation<'_>, scored: &Scored, anomaly: &Anomaly) -> io::Result<()> {
        let mut cells = self.begin(row, scored);
        cells.push(Cell::shown(&anomaly.onset));
        cells.push(Cell::text(anomaly.severity.as_str()));
        cells.push(Cell::Text(Cow::Owned(anomaly.metrics.join(" "))));
        cells.push(Cell::text(anomaly.detector.as_str()));
        cells.push(Cell::text(&anomaly.explanation.summary));
        self.rows.push(&cells)
    }

    fn every(&mut self, row: &Observation<'_>, device: &Device, scored: &Scored) -> io::Result<()> {
        let explanation: Option<Explanation> = self.explain.then(|| device.explain(&scored.readings));
        let mut cells = self.begin(row, scored);
        cells.push(Cell::Number(scored.alert_rank()));
        cells.push(Cell::text(scored.status.as_str()));
        if let Some(explanation) = &explanation {
            match explanation.contributions.first() {
                Some(strongest) => {
                    cells.push(Cell::text(&strongest.metric));
                    cells.push(Cell::text(strongest.detector.as_str()));
                    cells.push(Cell::text(&explanation.summary));
                }
                None => cells.extend([Cell::Nothing, Cell::Nothing, Cell::text("no value in this row")]),
            }
        }
        self.rows.push(&cells)
    }

    /// Ends the output.
    pub(super) fn finish(self) -> io::Result<()> {
        self.rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Totals;

    #[test]
    fn the_summary_reads_well_whatever_the_counts() {
        let totals = |rows, abnormal, alerts| Totals { rows, abnormal, alerts }.to_string();
        assert_eq!(totals(960, 790, 2), "960 rows, 2 alerts, 82.29 % of the rows abnormal");
        assert_eq!(totals(1, 0, 1), "1 row, 1 alert, 0 % of the rows abnormal");
        assert_eq!(totals(0, 0, 0), "0 rows, 0 alerts, 0 % of the rows abnormal");
    }
}
