//! What people write and record: profiles and files.

use std::fs;
use std::path::Path;

use anomaly_core::{DeviceName, METRICS_MAX, MetricName, TenantName};
use telemetry::history::{Defaults, History, HistoryRow};
use telemetry::profile::{ProfileBundle, parse_profile};

use super::{Outcome, kind, law};

/// A profile that is taken is stored and read as the same profile; one that is not says why, with a place in the text.
pub(super) fn profile(input: &[u8]) -> Outcome {
    if let Ok(bundle) = ProfileBundle::from_bytes(input) {
        let again = ProfileBundle::from_bytes(&bundle.to_bytes());
        law(again.is_ok_and(|again| again == bundle), "a stored bundle is read as it was")?;
    }
    let Ok(text) = std::str::from_utf8(input) else { return Ok("not text".to_owned()) };
    let mut bundle = ProfileBundle::default();
    let before = bundle.clone();
    match (parse_profile(text), bundle.replace("acme", text)) {
        (Ok(profile), Ok(())) => {
            law(parse_profile(text).is_ok_and(|again| again == profile), "a text is always the same profile")?;
            let again = ProfileBundle::from_bytes(&bundle.to_bytes()).map_err(|error| format!("is stored: {error}"))?;
            law(again == bundle, "a stored profile is read as it was")?;
            again.compile().map_err(|error| format!("a stored profile is taken again: {error}"))?;
            Ok("taken".to_owned())
        }
        (Err(errors), Err(_)) => {
            law(bundle == before, "a bad profile replaces nothing")?;
            law(!errors.mistakes().is_empty(), "a refusal names a mistake")?;
            let last = errors.mistakes().len() - 1;
            Ok(format!("{} {}", kind(&errors), errors.mistakes().get(last).map(kind).unwrap_or_default()))
        }
        _ => Err("a bundle takes what the parser takes".to_owned()),
    }
}

/// Rows are counted, bounded and named rightly, and nothing follows an error.
pub(super) fn history(input: &[u8], scratch: &Path) -> Outcome {
    fs::write(scratch, input).map_err(|error| format!("{} is written: {error}", scratch.display()))?;
    let names = TenantName::new("default").ok().zip(DeviceName::new("d1").ok());
    let (tenant, device) = names.ok_or("the names of the defaults are names")?;
    let mut history = match History::open(scratch, &Defaults { tenant, device }) {
        Ok(history) => history,
        Err(error) => return Ok(kind(&Unplaced(&error.to_string(), scratch))),
    };
    let (mut rows, mut answer) = (0, String::from("whole"));
    while let Some(row) = history.next() {
        match row {
            Ok(row) => {
                rows += 1;
                law(row.number == rows, "rows are counted from 1")?;
                lawful(&row)?;
            }
            Err(error) => {
                answer = kind(&Unplaced(&error.to_string(), scratch));
                law(history.next().is_none(), "nothing follows an error")?;
            }
        }
    }
    Ok(format!("{:?} {} {} {answer}", history.form(), rows.min(3), history.refused().min(3)))
}

fn lawful(row: &HistoryRow) -> Result<(), String> {
    law(row.values.len() <= METRICS_MAX, "a row has at most METRICS_MAX values")?;
    let finite = row.values.iter().filter_map(|value| value.value).all(f64::is_finite);
    law(finite, "values are finite")?;
    let named = TenantName::new(&row.tenant).is_ok()
        && DeviceName::new(&row.device).is_ok()
        && row.values.iter().all(|value| MetricName::new(&value.metric).is_ok());
    law(named, "names are names")
}

/// A message without the path of the file, which is another in every run.
struct Unplaced<'a>(&'a str, &'a Path);

impl std::fmt::Display for Unplaced<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.replace(&self.1.display().to_string(), ""))
    }
}
