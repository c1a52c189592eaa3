//! The alarm line of a type of asset: the score from which on a row is beyond what is usual.
//!
//! Three can draw it. What the model's training has found is believed first: it has seen months without the job's faults. It is
//! not believed where a quarter of the job's rows lie beyond it, for then the machines are others than those that it has learned.
//! Next come the job's own stretches of time ([`crate::crest`]), and where there are too few, its rows ([`crate::tail`]).

use serde::{Deserialize, Serialize};

use crate::crest;
use crate::tail::{Tail, Watched};

/// Share of a job's rows beyond a trained line at which it is not believed.
const BEYOND_MAX: f64 = 0.25;

/// Who has drawn a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drawn {
    /// The model's training.
    Training,
    /// The highest scores of the job's stretches of time.
    Stretches,
    /// The tail of the job's rows.
    Rows,
}

impl Drawn {
    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Stretches => "stretches of six hours",
            Self::Rows => "tail of the rows",
        }
    }
}

/// The alarm line of a type of asset.
#[derive(Debug, Clone)]
pub struct Line {
    /// How the job's scores are distributed.
    pub tail: Tail,
    /// The score on the line: above what the middle row has.
    pub score: f64,
    /// By whom.
    pub drawn: Drawn,
}

/// What a line is drawn from.
#[derive(Debug)]
pub struct Scores {
    /// A sample of the rows' scores, ascending.
    pub rows: Vec<f64>,
    /// The highest scores of stretches of time, ascending.
    pub highest: Vec<f64>,
    /// How long devices were watched.
    pub watched: Watched,
    /// False alerts a device and week that are put up with.
    pub alerts_per_week: f64,
    /// The line that the model's training has found.
    pub trained: Option<f64>,
}

impl Line {
    /// Draws it. `None`: there are too few scores, or they are too much alike.
    #[must_use]
    pub fn draw(scores: Scores) -> Option<Self> {
        let Scores { rows, highest, watched, alerts_per_week, trained } = scores;
        let tail = Tail::fit(rows)?;
        let median = tail.median();
        let believed = trained.filter(|line| tail.share_above(*line) < BEYOND_MAX);
        let lines = [
            (believed, Drawn::Training),
            (crest::line(&highest, alerts_per_week), Drawn::Stretches),
            (Some(tail.score_of(watched.line(alerts_per_week))), Drawn::Rows),
        ];
        let drawn = lines.into_iter().find_map(|(line, drawn)| line.filter(|line| *line > median).zip(Some(drawn)));
        drawn.map(|(score, drawn)| Self { tail, score, drawn })
    }

    /// A score in units of the line: 1.0 on it, 0 for what the middle row has and all below.
    #[must_use]
    pub fn strength(&self, score: f64) -> f64 {
        let usual = self.tail.median();
        ((score - usual) / (self.score - usual)).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two bodies, as of a plant with weekends: two sevenths of the rows around 0.2, the others around 1.
    fn scores() -> Scores {
        let noise = |index: u32| f64::from(index * 7_919 % 1_000) / 1_000.0;
        let body = |index: u32| if index % 7 < 2 { 0.2 + 0.1 * noise(index) } else { 1.0 + 0.3 * noise(index) };
        let mut rows: Vec<f64> = (0..20_000).map(body).collect();
        rows.sort_by(f64::total_cmp);
        let mut highest: Vec<f64> = (0..280).map(|index| 1.2 + 0.2 * noise(index)).collect();
        highest.sort_by(f64::total_cmp);
        Scores { rows, highest, watched: Watched::default(), alerts_per_week: 0.3, trained: None }
    }

    #[test]
    fn who_has_seen_more_draws_the_line() {
        let trained = Line::draw(Scores { trained: Some(1.4), ..scores() }).unwrap();
        assert_eq!((trained.score, trained.drawn), (1.4, Drawn::Training));
        let own = Line::draw(scores()).unwrap();
        assert!(own.drawn == Drawn::Stretches && (1.4..2.0).contains(&own.score), "{own:?}");
        let few = Line::draw(Scores { highest: vec![1.3; 19], ..scores() }).unwrap();
        assert_eq!(few.drawn, Drawn::Rows);
    }

    #[test]
    fn a_trained_line_that_a_quarter_of_the_rows_exceed_is_not_believed() {
        let line = Line::draw(Scores { trained: Some(1.1), ..scores() }).unwrap();
        assert_eq!(line.drawn, Drawn::Stretches);
    }

    #[test]
    fn strength_is_one_on_the_line_and_nothing_up_to_the_middle() {
        let line = Line::draw(Scores { trained: Some(1.5), ..scores() }).unwrap();
        let median = line.tail.median();
        assert!(
            (line.strength(1.5) - 1.0).abs() < 1e-12 && (line.strength(f64::midpoint(median, 1.5)) - 0.5).abs() < 1e-12
        );
        assert_eq!((line.strength(median), line.strength(-3.0)), (0.0, 0.0));
    }

    #[test]
    fn scores_that_are_all_alike_draw_no_line_and_few_none_either() {
        let alike = Scores { rows: vec![1.0; 1_000], highest: vec![1.0; 100], ..scores() };
        assert!(Line::draw(alike).is_none());
        assert!(Line::draw(Scores { rows: vec![1.0, 2.0], ..scores() }).is_none());
    }
}
