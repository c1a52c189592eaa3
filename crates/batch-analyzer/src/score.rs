//! One line of the output: the model's score of a row. Higher is more abnormal; the scale is the model's own.

use serde::Deserialize;
use serde_json::value::RawValue;
use telemetry::inference::Fields;

use crate::job::{Rows, ScorePlace};
use crate::refusal::{Reason, Refusal, Shown};

/// Reads scores.
#[derive(Debug)]
pub struct ScoreReader {
    place: ScorePlace,
    is_csv: bool,
    fields: Fields,
}

/// The shapes in which models answer. Random cut forest: `{"score":…}` a line, `{"scores":[{"score":…}]}` a request
/// (SageMaker Developer Guide, "RCF Response Formats"); serving containers: `{"predictions":[…]}`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Number(f64),
    One { score: f64 },
    Scores { scores: Vec<Nested> },
    Predictions { predictions: Vec<Nested> },
    List(Vec<f64>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Nested {
    Number(f64),
    One { score: f64 },
}

impl Nested {
    fn only(list: &[Self]) -> Option<f64> {
        match list {
            [Self::Number(score) | Self::One { score }] => Some(*score),
            _ => None,
        }
    }
}

impl Answer {
    fn score(&self) -> Option<f64> {
        match self {
            Self::Number(score) | Self::One { score } => Some(*score),
            Self::Scores { scores } => Nested::only(scores),
            Self::Predictions { predictions } => Nested::only(predictions),
            Self::List(list) => match list[..] {
                [score] => Some(score),
                _ => None,
            },
        }
    }
}

impl ScoreReader {
    /// For results of one job.
    #[must_use]
    pub fn new(rows: &Rows, place: &ScorePlace) -> Self {
        Self { place: place.clone(), is_csv: matches!(rows, Rows::Csv(_)), fields: Fields::default() }
    }

    /// The score in a line that holds a result alone or, of CSV, behind `width` fields of its row.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn read(&mut self, line: &[u8], width: usize) -> Result<f64, Refusal> {
        let none = || Refusal::new(Reason::NoScore, Shown(line));
        if let Ok(text) = std::str::from_utf8(line)
            && let (ScorePlace::Usual, 0, Ok(score)) = (&self.place, width, text.trim().parse::<f64>())
        {
            return finite(score, line);
        }
        if !self.is_csv {
            let text = std::str::from_utf8(line).map_err(|_| none())?;
            return self.of_json(text, line);
        }
        if !self.fields.split(line) {
            return Err(none());
        }
        let index = match self.place {
            ScorePlace::Column(column) => Some(column),
            _ => self.fields.len().checked_sub(1).filter(|last| *last >= width),
        };
        let field = self.fields.get(index.ok_or_else(none)?).ok_or_else(none)?;
        finite(field.parse().map_err(|_| none())?, line)
    }

    /// The score in what stands beside a joined row.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn read_joined(&self, answer: Option<&RawValue>, line: &[u8]) -> Result<f64, Refusal> {
        match (answer, &self.place) {
            // A pointer is for the whole line.
            (_, ScorePlace::Pointer(_)) => self.of_json(std::str::from_utf8(line).unwrap_or_default(), line),
            (Some(answer), _) => self.of_json(answer.get(), line),
            (None, _) => Err(Refusal::new(Reason::NoScore, Shown(line))),
        }
    }

    fn of_json(&self, text: &str, line: &[u8]) -> Result<f64, Refusal> {
        let score = match &self.place {
            ScorePlace::Pointer(pointer) => {
                let value: Option<serde_json::Value> = serde_json::from_str(text).ok();
                value.and_then(|value| value.pointer(pointer)?.as_f64())
            }
            _ => serde_json::from_str::<Answer>(text).ok().and_then(|answer| answer.score()),
        };
        finite(score.ok_or_else(|| Refusal::new(Reason::NoScore, Shown(line)))?, line)
    }
}

fn finite(score: f64, line: &[u8]) -> Result<f64, Refusal> {
    if score.is_finite() { Ok(score) } else { Err(Refusal::new(Reason::BadScore, Shown(line))) }
}

#[cfg(test)]
mod tests {
    use telemetry::inference::Columns;

    use super::*;

    fn json(place: &ScorePlace, line: &str) -> Result<f64, Reason> {
        ScoreReader::new(&Rows::JsonLines, place).read(line.as_bytes(), 0).map_err(|refusal| refusal.reason)
    }

    fn csv(place: &ScorePlace, line: &str, width: usize) -> Result<f64, Reason> {
        ScoreReader::new(&Rows::Csv(Columns::default()), place)
            .read(line.as_bytes(), width)
            .map_err(|refusal| refusal.reason)
    }

    #[test]
    fn the_usual_shapes_are_known() {
        for line in [
            "1.5",
            " 1.5 ",
            r#"{"score":1.5}"#,
            r#"{"scores":[{"score":1.5}]}"#,
            r#"{"scores":[1.5]}"#,
            r#"{"predictions":[{"score":1.5,"label":0}]}"#,
            r#"{"predictions":[1.5]}"#,
            "[1.5]",
        ] {
            assert_eq!(json(&ScorePlace::Usual, line), Ok(1.5), "{line}");
        }
        assert_eq!(csv(&ScorePlace::Usual, "1.5", 0), Ok(1.5));
        assert_eq!(csv(&ScorePlace::Usual, "pump-7,1793534400,25.5,1.5", 3), Ok(1.5));
        assert_eq!(csv(&ScorePlace::Column(1), "0.1,1.5,7", 0), Ok(1.5));
        assert_eq!(json(&ScorePlace::Pointer("/a/0/b".to_owned()), r#"{"a":[{"b":1.5}]}"#), Ok(1.5));
    }

    #[test]
    fn what_is_no_score_is_refused() {
        for line in ["", "x", "{}", r#"{"score":"high"}"#, r#"{"scores":[1,2]}"#, "[]", r#"{"error":"model failed"}"#] {
            assert_eq!(json(&ScorePlace::Usual, line), Err(Reason::NoScore), "{line}");
        }
        assert_eq!(csv(&ScorePlace::Usual, "pump-7,1793534400,25.5", 3), Err(Reason::NoScore), "the row alone");
        assert_eq!(csv(&ScorePlace::Column(3), "1,2", 0), Err(Reason::NoScore));
        for line in ["nan", "inf", "-inf", "NaN"] {
            assert_eq!(json(&ScorePlace::Usual, line), Err(Reason::BadScore), "{line}");
            assert_eq!(csv(&ScorePlace::Column(1), &format!("1,{line}"), 0), Err(Reason::BadScore), "{line}");
        }
    }

    #[test]
    fn a_joined_result_is_read_from_its_own_member() {
        let reader = ScoreReader::new(&Rows::JsonLines, &ScorePlace::Usual);
        let line = br#"{"device":"p","score":9,"SageMakerOutput":{"score":1.5}}"#;
        let answer: &RawValue = serde_json::from_str(r#"{"score":1.5}"#).unwrap();
        assert_eq!(reader.read_joined(Some(answer), line), Ok(1.5));
        assert_eq!(reader.read_joined(None, line).unwrap_err().reason, Reason::NoScore);
        let place = ScorePlace::Pointer("/SageMakerOutput/score".to_owned());
        assert_eq!(ScoreReader::new(&Rows::JsonLines, &place).read_joined(Some(answer), line), Ok(1.5));
    }
}
