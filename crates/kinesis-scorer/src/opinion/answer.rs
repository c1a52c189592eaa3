//! What the model's lines mean.
//!
//! A line a row, in their order: `{"score":1.7,"line":2.5}`, or `{"error":"…"}` for a row that the model has no score of.
//! `line` is its alarm line for that row on the score's own scale. An answer of another number of lines counts for nothing:
//! nobody knows which line is missing.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// What a model said of the rows it was asked about.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Strength of each row in units of the alarm line, finite; `None` where the model has no opinion.
    pub strengths: Vec<Option<f32>>,
    /// Why nothing could be made of a line, the first one; errors that the model tells of a row are none.
    pub misread: Option<String>,
}

/// An answer that counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It has not a line for each row.
    #[error("the model answered {found} lines to {expected} rows; it must answer one line of JSON a row")]
    Count {
        /// Rows that were asked about.
        expected: usize,
        /// Lines of the answer.
        found: usize,
    },
    /// It has no opinion of any row, and not because the model says so.
    #[error("nothing can be made of the model's answer: {0}; a line must be {{\"score\":number,\"line\":number}}")]
    Misread(String),
}

/// A line of an answer.
#[derive(Deserialize)]
struct Answered {
    score: Option<f64>,
    line: Option<f64>,
    error: Option<IgnoredAny>,
}

/// The strength of a line, `None` where the model says that it has none; in words what is wrong with it.
fn strength(text: &[u8], default_line: f64) -> Result<Option<f32>, String> {
    let Answered { score, line, error } = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    match (score, error) {
        (Some(score), _) => {
            let line = line.unwrap_or(default_line);
            let strength = (score / line) as f32;
            if line > 0.0 && strength.is_finite() {
                Ok(Some(strength))
            } else {
                Err(format!("a score of {score} against a line of {line}"))
            }
        }
        (None, Some(_)) => Ok(None),
        (None, None) => Err("neither `score` nor `error`".to_owned()),
    }
}

impl Answer {
    /// Reads the answer to `rows` rows; `default_line` is the alarm line where a line of the answer names none.
    ///
    /// # Errors
    /// [`AnswerError`]. A line that cannot be read among others that can costs itself.
    pub fn read(text: &[u8], rows: usize, default_line: f64) -> Result<Self, AnswerError> {
        let lines = || text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        let found = lines().count();
        if found != rows {
            return Err(AnswerError::Count { expected: rows, found });
        }
        let mut answer = Self { strengths: Vec::with_capacity(rows), misread: None };
        for line in lines() {
            answer.strengths.push(strength(line, default_line).unwrap_or_else(|why| {
                answer.misread.get_or_insert(why);
                None
            }));
        }
        match answer.misread {
            Some(why) if answer.strengths.iter().all(Option::is_none) => Err(AnswerError::Misread(why)),
            _ => Ok(answer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[Option<f32>]) {
        let answer = Answer::read(text.as_bytes(), expected.len(), 2.0).unwrap();
        assert_eq!(answer.strengths, expected, "{text}");
    }

    #[test]
    fn a_strength_is_the_score_beside_the_line() {
        check(
            "{\"score\":3,\"line\":1.5}\n{\"score\":3}\n\n{\"error\":\"no such device\"}",
            &[Some(2.0), Some(1.5), None],
        );
        check("{\"line\":4,\"more\":[1],\"score\":-1e0}\r\n", &[Some(-0.25)]);
        check("", &[]);
    }

    #[test]
    fn what_is_no_number_against_a_line_costs_its_own_row() {
        for bad in [
            "{\"score\":NaN}",
            "{\"score\":1,\"line\":0}",
            "{\"score\":1,\"line\":-2}",
            "{\"score\":1e308,\"line\":1e-10}",
            "{\"score\":1e39,\"line\":1}",
            "{\"score\":null}",
            "{\"score\":\"1\"}",
            "{}",
            "[1]",
            "7",
        ] {
            check(&format!("{{\"score\":1}}\n{bad}"), &[Some(0.5), None]);
            let error = Answer::read(bad.as_bytes(), 1, 1.0).unwrap_err();
            assert!(matches!(error, AnswerError::Misread(_)), "{bad}: {error}");
        }
    }

    #[test]
    fn an_answer_of_another_number_of_lines_counts_for_nothing() {
        let error = Answer::read(b"{\"score\":1}\n{\"score\":2}\n", 3, 1.0).unwrap_err();
        assert_eq!(error, AnswerError::Count { expected: 3, found: 2 });
        assert!(Answer::read(b"<html>\n</html>", 1, 1.0).is_err());
    }

    #[test]
    fn a_model_that_has_no_opinion_of_any_row_has_answered() {
        check("{\"error\":\"a\"}\n{\"error\":\"b\"}", &[None, None]);
    }
}
