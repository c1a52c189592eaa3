//! The second model of a run: it answers otherwise whenever it is asked, wrongly or not at all now and then, and notes what it
//! said, so that the checks know what may be recorded.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use platform::ports::{AskError, AskErrorKind};
use serde_json::Value;

use crate::chance::Chance;

/// A row: tenant, device and time in milliseconds.
type Row = (String, String, i64);

/// What was said of each row, as the bits of a strength. Clones are the same notes.
#[derive(Clone, Default)]
pub struct Sayings(Arc<Mutex<BTreeMap<Row, Vec<u32>>>>);

impl Sayings {
    /// Whether this was ever said of a row.
    #[must_use]
    pub fn has(&self, (tenant, device, at_ms): (&str, &str, i64), strength: f32) -> bool {
        let row = (tenant.to_owned(), device.to_owned(), at_ms);
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.get(&row).is_some_and(|said| said.contains(&strength.to_bits()))
    }

    fn note(&self, row: Row, strength: f32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(row).or_default().push(strength.to_bits());
    }
}

fn row_of(line: &[u8]) -> Option<Row> {
    let row: Value = serde_json::from_slice(line).ok()?;
    Some((row["tenant"].as_str()?.to_owned(), row["device"].as_str()?.to_owned(), row["ts"].as_i64()?))
}

/// A model that draws what it says.
pub fn model(mut chance: Chance, sayings: Sayings) -> impl FnMut(&[u8]) -> Result<Vec<u8>, AskError> + Send + use<> {
    move |rows| {
        if chance.happens(0.04) {
            let (target, remedy) = ("second".to_owned(), "the model has failed".to_owned());
            return Err(AskError { kind: AskErrorKind::Model, target, remedy, source: None });
        }
        if chance.happens(0.04) {
            return Ok(b"<html>502 Bad Gateway</html>".to_vec());
        }
        let mut answer = String::new();
        for line in rows.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if chance.happens(0.02) {
                // A line is missing, so that nobody knows which row the others are of.
                continue;
            }
            if chance.happens(0.03) {
                answer.push_str("{\"score\":NaN}\n");
                continue;
            }
            let strength: f64 = chance.one_of([0.0, 0.2, 0.45, 0.45, 0.6, 0.9, 1.0, 1.3, 2.5]);
            let (line_of_asset, is_named) = chance.one_of([(1.0, false), (0.5, true), (40.0, true)]);
            let score = strength * line_of_asset;
            match row_of(line).filter(|_| !chance.happens(0.1)) {
                Some(row) => {
                    sayings.note(row, (score / line_of_asset) as f32);
                    let named = if is_named { format!(",\"line\":{line_of_asset:?}") } else { String::new() };
                    // Writing to a string cannot fail.
                    let _ = writeln!(answer, "{{\"score\":{score:?}{named}}}");
                }
                None => answer.push_str("{\"error\":\"no such device\"}\n"),
            }
        }
        Ok(answer.into_bytes())
    }
}
