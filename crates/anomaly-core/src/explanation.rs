//! Why: for an abnormal row what was expected and how far off it was, for a normal one how far it is from the line.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::series::Silence;
use crate::{DetectorId, Outcome, ReadingVerdict, Series};

/// What one metric adds to a verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// The metric, in the profile's spelling.
    pub metric: String,
    /// Its unit, where the profile names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The value that was seen.
    pub observed: f64,
    /// The value that was expected, or the limit that was crossed.
    pub expected: f64,
    /// One standard deviation of what is usual, in the metric's unit; 0 where there is none.
    pub spread: f64,
    /// The detector that speaks loudest for this metric.
    pub detector: DetectorId,
    /// In units of the alarm line.
    pub strength: f64,
    /// Probability of something at least this far off while all is well.
    pub tail: f64,
    /// What became of the reading.
    pub outcome: Outcome,
    /// The same as a sentence.
    pub sentence: String,
}

/// Why a row has the score it has: the strongest metric first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Strength of the strongest metric, in units of the alarm line.
    pub score: f64,
    /// One sentence for people.
    pub summary: String,
    /// One entry a metric, strongest first; ties by name. None for a device that is silent as a whole.
    pub contributions: Vec<Contribution>,
}

impl Contribution {
    pub(crate) fn of(reading: &ReadingVerdict, series: &Series) -> Self {
        let evidence = reading.evidence;
        let mut contribution = Self {
            metric: series.name().to_owned(),
            unit: series.settings().unit.as_deref().map(str::to_owned),
            observed: reading.observed,
            expected: evidence.expected,
            spread: evidence.spread,
            detector: evidence.detector,
            strength: evidence.strength,
            tail: evidence.tail(),
            outcome: reading.outcome,
            sentence: String::new(),
        };
        contribution.sentence = contribution.describe(series.limits_stood_down());
        contribution
    }

    /// A metric that is not there: what was seen of it last.
    pub(crate) fn of_silence(silence: &Silence, series: &Series) -> Self {
        let name = series.name();
        let (silent, usual) = (duration(silence.silent_ms), duration(silence.usual_ms));
        Self {
            metric: name.to_owned(),
            unit: series.settings().unit.as_deref().map(str::to_owned),
            observed: silence.last_value,
            expected: silence.last_value,
            spread: 0.0,
            detector: DetectorId::Silence,
            strength: silence.strength,
            tail: libm::exp(-silence.silent_ms / silence.usual_ms.max(1.0)).max(crate::detector::TAIL_MIN),
            outcome: Outcome::Scored,
            sentence: format!(
                "{name} has not reported for {silent}, it usually does every {usual}; the device still does"
            ),
        }
    }

    fn with_unit(&self, value: f64) -> WithUnit<'_> {
        WithUnit { value, unit: self.unit.as_deref() }
    }

    fn describe(&self, limits_stood_down: bool) -> String {
        let (name, seen) = (&self.metric, self.with_unit(self.observed));
        let mut text = match self.outcome {
            Outcome::Late => sentence(format_args!("{name} {seen} came after a newer reading and was not scored")),
            Outcome::Repeated => sentence(format_args!("{name} {seen} repeats an instant that was scored already")),
            Outcome::Future => {
                sentence(format_args!("{name} {seen} is more than an hour ahead of its arrival and was not scored"))
            }
            Outcome::BadQuality => {
                sentence(format_args!("{name} {seen} is marked bad by its source and was not scored"))
            }
            Outcome::Scored | Outcome::Warming if self.detector == DetectorId::Limit && self.strength >= 1.0 => {
                let (side, word) = if self.observed > self.expected { ("above", "upper") } else { ("below", "lower") };
                let limit = self.with_unit(self.expected);
                sentence(format_args!("{name} {seen} is {side} its {word} limit of {limit}"))
            }
            Outcome::Scored | Outcome::Warming if self.detector == DetectorId::Stuck && self.strength >= 1.0 => {
                sentence(format_args!("{name} repeats {seen} again and again, more often than it ever did"))
            }
            Outcome::Warming => {
                sentence(format_args!("{name} {seen} is within its limits; its usual range is still being learned"))
            }
            Outcome::Scored => self.describe_departure(seen),
        };
        if limits_stood_down {
            text.push_str("; the built-in limits do not fit this metric, set limits in the profile");
        }
        text
    }
}

impl Contribution {
    /// Departures from the usual, and how far a normal reading is from the line.
    fn describe_departure(&self, seen: WithUnit<'_>) -> String {
        let (name, expected) = (&self.metric, self.with_unit(self.expected));
        let off = (self.observed - self.expected).abs();
        let deviations = if self.spread > 0.0 { off / self.spread } else { 0.0 };
        let side = if self.observed > self.expected { "above" } else { "below" };
        let many = Readable(deviations);
        match self.detector {
            _ if self.strength < 1.0 => {
                let percent = (self.strength * 100.0).round();
                sentence(format_args!(
                    "{name} {seen} is as expected (about {expected}), {percent} % of the way to the alarm line"
                ))
            }
            DetectorId::Relation => sentence(format_args!(
                "{name} {seen} does not fit the device's other metrics, which make one expect about {expected}"
            )),
            DetectorId::Roughness => {
                sentence(format_args!("{name} (now {seen}) varies from reading to reading as it usually does not"))
            }
            DetectorId::Novelty => sentence(format_args!(
                "{name} {seen} is rare in all of its history so far; about {expected} was expected"
            )),
            DetectorId::Spike => sentence(format_args!(
                "{name} {seen} is {many} standard deviations {side} the {expected} that was expected"
            )),
            _ if deviations >= 2.0 => {
                sentence(format_args!("{name} {seen} is {many} standard deviations {side} its usual {expected}"))
            }
            _ => sentence(format_args!(
                "the average of recent {name} readings has left its usual {expected} (now {seen})"
            )),
        }
    }
}

/// Room for a usual sentence, so that it is made in one go.
const SENTENCE_BYTES: usize = 128;

fn sentence(words: fmt::Arguments<'_>) -> String {
    let mut text = String::with_capacity(SENTENCE_BYTES);
    // Writing to a String cannot fail.
    let _ = text.write_fmt(words);
    text
}

impl Explanation {
    /// Of a device that stopped reporting.
    pub(crate) fn of_silent_device(device: &str, silent_ms: f64, usual_ms: f64, strength: f64) -> Self {
        let (silent, usual) = (duration(silent_ms), duration(usual_ms));
        let summary = format!("{device} has not reported anything for {silent}, it usually does every {usual}");
        Self { score: strength, summary, contributions: Vec::new() }
    }

    pub(crate) fn of(mut contributions: Vec<Contribution>) -> Self {
        contributions.sort_by(|a, b| b.strength.total_cmp(&a.strength).then_with(|| a.metric.cmp(&b.metric)));
        let score = contributions.first().map_or(0.0, |c| c.strength);
        let mut summary = contributions.first().map_or_else(|| "nothing to score".to_owned(), |c| c.sentence.clone());
        let others = contributions.iter().skip(1).filter(|c| c.strength >= 1.0).count();
        if others > 0 {
            // Writing to a String cannot fail.
            let _ =
                write!(summary, "; {others} more {} abnormal", if others == 1 { "metric is" } else { "metrics are" });
        }
        Self { score, summary, contributions }
    }
}

/// A span of time as people say it.
fn duration(millis: f64) -> String {
    let seconds = millis / 1_000.0;
    if seconds < 120.0 {
        format!("{} s", Readable(seconds))
    } else if seconds < 7_200.0 {
        format!("{} min", Readable((seconds / 6.0).round() / 10.0))
    } else {
        format!("{} h", Readable((seconds / 360.0).round() / 10.0))
    }
}

/// A value, with its unit where there is one.
#[derive(Clone, Copy)]
struct WithUnit<'a> {
    value: f64,
    unit: Option<&'a str>,
}

impl fmt::Display for WithUnit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Readable(self.value).fmt(f)?;
        self.unit.map_or(Ok(()), |unit| write!(f, " {unit}"))
    }
}

/// A number with about four significant digits, as people write it.
#[derive(Clone, Copy)]
struct Readable(f64);

impl fmt::Display for Readable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, size) = (self.0, self.0.abs());
        if size != 0.0 && !(1e-3..1e7).contains(&size) {
            return write!(f, "{value:.3e}");
        }
        let decimals = if size >= 1_000.0 {
            0
        } else if size >= 100.0 {
            1
        } else if size >= 1.0 {
            2
        } else {
            4
        };
        let mut digits = Digits::default();
        write!(digits, "{value:.decimals$}")?;
        f.write_str(digits.without_trailing_zeros())
    }
}

/// The few digits of a number, on the stack.
#[derive(Default)]
struct Digits {
    bytes: [u8; 16],
    len: usize,
}

impl Digits {
    fn without_trailing_zeros(&self) -> &str {
        let text = std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default();
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
    }
}

impl fmt::Write for Digits {
    /// Below ten million and with up to four decimals, a number has at most 12 characters.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Readable;

    #[test]
    fn numbers_read_as_people_write_them() {
        for (value, text) in [
            (95.0, "95"),
            (0.19, "0.19"),
            (2704.5, "2704"),
            (123.456, "123.5"),
            (-0.0042, "-0.0042"),
            (1.5e-9, "1.500e-9"),
            (0.0, "0"),
            (-9_999_999.0, "-9999999"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(Readable(value).to_string(), text);
        }
    }
}
