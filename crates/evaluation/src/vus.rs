//! VUS-PR: how well scores rank abnormal rows above normal ones, without a threshold and forgiving about where exactly a
//! labelled span ends.
//!
//! The measure is that of Paparrizos, Boniol, Palpanas, Tsay, Elmore and Franklin, "Volume Under the Surface: A New Accuracy
//! Evaluation Measure for Time-Series Anomaly Detection", PVLDB 15(11), 2022. For a buffer of ℓ rows, a row at a distance of
//! d rows from the nearest abnormal one has the soft label √(1 − d/ℓ) where d ≤ ℓ/2, else 0; an abnormal row has 1. With the
//! rows at or above a threshold called positive, TP is the sum of their soft labels, P is the mean of the sums of hard and
//! soft labels over all rows, and the existence reward is the share of the extended spans that have a positive row. Then
//! recall = min(TP / P, 1) × existence, precision = TP / positive rows, and the range-PR-AUC is the sum over falling
//! thresholds of (gain in recall) × precision. VUS-PR is its mean over the buffers.
//!
//! The variant here, where the paper leaves a choice or its authors' program samples:
//! - every distinct score is a threshold, and rows of equal scores pass together, so that only the order of scores matters;
//! - a gain in recall counts with the precision at the lower of its two thresholds, not with the mean of both, by which a
//!   constant score would be worth more than chance;
//! - the buffers are [`BUFFERS_MAX`] evenly spaced lengths from 0 to L, where L is the median length of the labelled spans in
//!   rows, at most [`BUFFER_ROWS_MAX`];
//! - where the buffers of two spans overlap, the larger soft label counts, and the two count as one extended span.
//!
//! What to expect: scores that rank by nearness to the spans reach nearly 1; a detector that is right to the row but says
//! only yes or no stays below, at 0.8 to 0.9 for one span, because buffer rows are left to find; random scores reach
//! the share of abnormal rows, buffers included.

/// Most buffer lengths that the mean is taken over.
pub const BUFFERS_MAX: usize = 16;
/// Longest buffer, in rows.
pub const BUFFER_ROWS_MAX: usize = 1_000;

/// VUS-PR of one series in the order of time, from 0 to 1; none where no row is abnormal. The scores are finite, as many as
/// there are labels.
///
/// Takes O(n log n) time once for the order of the scores and O(n) for each buffer, and O(n) memory.
#[must_use]
pub fn vus_pr(is_abnormal: &[bool], scores: &[f64]) -> Option<f64> {
    debug_assert_eq!(is_abnormal.len(), scores.len());
    debug_assert!(scores.iter().all(|score| score.is_finite()));
    let buffers = buffers(longest_buffer(is_abnormal)?);
    let distances = distances(is_abnormal);
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let levels: Vec<&[usize]> = order.chunk_by(|a, b| scores[*a].total_cmp(&scores[*b]).is_eq()).collect();
    let sum: f64 = buffers.iter().map(|buffer| range_pr_auc(&levels, &distances, *buffer)).sum();
    // Sums of fractions can miss 1 by a rounding.
    Some((sum / buffers.len() as f64).clamp(0.0, 1.0))
}

/// The median length of the spans in rows, bounded; none where there are none.
fn longest_buffer(is_abnormal: &[bool]) -> Option<usize> {
    let runs = is_abnormal.chunk_by(|a, b| a == b).filter(|run| run[0]);
    let mut lengths: Vec<usize> = runs.map(<[bool]>::len).collect();
    lengths.sort_unstable();
    lengths.get(lengths.len() / 2).map(|median| (*median).min(BUFFER_ROWS_MAX))
}

/// Distinct lengths from 0 to `longest`, both included.
fn buffers(longest: usize) -> Vec<usize> {
    let last = BUFFERS_MAX - 1;
    let mut lengths: Vec<usize> = (0..=last).map(|index| (index * longest + last / 2) / last).collect();
    lengths.dedup();
    lengths
}

/// Rows from each row to the nearest abnormal one, of which there is one at least.
fn distances(is_abnormal: &[bool]) -> Vec<usize> {
    let mut nearest = vec![usize::MAX; is_abnormal.len()];
    let mut pass = |rows: &mut dyn Iterator<Item = usize>| {
        let mut since = usize::MAX;
        for row in rows {
            since = if is_abnormal[row] { 0 } else { since.saturating_add(1) };
            nearest[row] = nearest[row].min(since);
        }
    };
    pass(&mut (0..is_abnormal.len()));
    pass(&mut (0..is_abnormal.len()).rev());
    nearest
}

fn soft_label(distance: usize, buffer: usize) -> f64 {
    if distance == 0 {
        1.0
    } else if distance <= buffer / 2 {
        (1.0 - distance as f64 / buffer as f64).sqrt()
    } else {
        0.0
    }
}

/// The area under the curve of precision over recall for one buffer. `levels` are the rows by falling score, those of equal
/// scores together.
fn range_pr_auc(levels: &[&[usize]], distances: &[usize], buffer: usize) -> f64 {
    let labels: Vec<f64> = distances.iter().map(|distance| soft_label(*distance, buffer)).collect();
    let abnormal = distances.iter().filter(|distance| **distance == 0).count() as f64;
    let positives = f64::midpoint(abnormal, labels.iter().sum());
    let (span_of, spans) = extended_spans(&labels);
    let (mut is_found, mut found) = (vec![false; spans], 0_usize);
    let (mut hits, mut rows, mut recall, mut area) = (0.0, 0_usize, 0.0, 0.0);
    for level in levels {
        rows += level.len();
        for row in *level {
            hits += labels[*row];
            if let Some(span) = span_of[*row]
                && !std::mem::replace(&mut is_found[span], true)
            {
                found += 1;
            }
        }
        let existence = found as f64 / spans as f64;
        let recall_now = (hits / positives).min(1.0) * existence;
        area += (recall_now - recall) * hits / rows as f64;
        recall = recall_now;
    }
    area
}

/// For each row the run of labels above 0 that it is in, and how many runs there are.
fn extended_spans(labels: &[f64]) -> (Vec<Option<usize>>, usize) {
    let mut span_of = Vec::with_capacity(labels.len());
    let mut spans = 0;
    for run in labels.chunk_by(|a, b| (*a > 0.0) == (*b > 0.0)) {
        let is_extended = run[0] > 0.0;
        span_of.extend(std::iter::repeat_n(is_extended.then_some(spans), run.len()));
        spans += usize::from(is_extended);
    }
    (span_of, spans)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Normal and abnormal rows in turn, of these lengths.
    fn labels(lengths: &[usize]) -> Vec<bool> {
        let runs = lengths.iter().enumerate();
        runs.flat_map(|(index, length)| std::iter::repeat_n(index % 2 == 1, *length)).collect()
    }

    fn nearness(is_abnormal: &[bool]) -> Vec<f64> {
        distances(is_abnormal).into_iter().map(|distance| 1.0 / (1.0 + distance as f64)).collect()
    }

    fn as_scores(is_abnormal: &[bool]) -> Vec<f64> {
        is_abnormal.iter().map(|is_abnormal| f64::from(u8::from(*is_abnormal))).collect()
    }

    #[test]
    fn without_an_abnormal_row_there_is_nothing_to_measure() {
        assert_eq!(vus_pr(&[false; 5], &[1.0; 5]), None);
        assert_eq!(vus_pr(&[], &[]), None);
        assert_eq!(vus_pr(&[true; 5], &[1.0; 5]), Some(1.0));
    }

    #[test]
    fn without_a_buffer_it_is_the_average_precision() {
        // Of the rows by falling score, the first, third and fourth are abnormal.
        let (is_abnormal, scores) = ([true, false, true, true, false], [9.0, 8.0, 7.0, 6.0, 5.0]);
        let order: Vec<usize> = (0..5).collect();
        let levels: Vec<&[usize]> = order.chunks(1).collect();
        // Two spans, of which the first row finds one: the gain in recall is 1/3 × 1/2, then 2/3 - 1/6, then 1/3.
        let expected = 1.0 / 6.0 + (2.0 / 3.0 - 1.0 / 6.0) * 2.0 / 3.0 + 1.0 / 3.0 * 3.0 / 4.0;
        assert!((range_pr_auc(&levels, &distances(&is_abnormal), 0) - expected).abs() < 1e-12);
        assert!(vus_pr(&is_abnormal, &scores).is_some());
    }

    #[test]
    fn a_buffer_is_worked_out_by_hand() {
        // One abnormal row, a buffer of 2: its neighbours have √½. All rows tie, so P is reached at once.
        let is_abnormal = [false, true, false, false];
        let mass = 1.0 + 2.0 * 0.5_f64.sqrt();
        let all = [0, 1, 2, 3];
        assert!((range_pr_auc(&[&all], &distances(&is_abnormal), 2) - mass / 4.0).abs() < 1e-12);
        // The abnormal row first: recall 1 / P at precision 1, the rest at the precision of all rows.
        let positives = f64::midpoint(1.0, mass);
        let expected = 1.0 / positives + (1.0 - 1.0 / positives) * mass / 4.0;
        assert!((range_pr_auc(&[&[1], &[0, 2, 3]], &distances(&is_abnormal), 2) - expected).abs() < 1e-12);
    }

    #[test]
    fn buffers_are_evenly_spaced_distinct_and_bounded() {
        assert_eq!(buffers(0), [0]);
        assert_eq!(buffers(3), [0, 1, 2, 3]);
        assert_eq!(buffers(30), (0..=15).map(|index| index * 2).collect::<Vec<_>>());
        assert_eq!((buffers(1_000).len(), buffers(1_000)[15]), (BUFFERS_MAX, 1_000));
        assert_eq!(longest_buffer(&labels(&[5, 5_000, 5])), Some(BUFFER_ROWS_MAX));
        assert_eq!(longest_buffer(&labels(&[5, 2, 5, 9, 5, 3])), Some(3));
    }

    #[test]
    fn a_detector_that_says_only_yes_or_no_loses_the_buffers() {
        let is_abnormal = labels(&[400, 100, 400]);
        let vus = vus_pr(&is_abnormal, &as_scores(&is_abnormal)).unwrap();
        assert!((0.8..0.9).contains(&vus), "{vus}");
    }

    #[test]
    fn an_alarm_a_little_early_is_better_than_one_elsewhere() {
        let is_abnormal = labels(&[400, 60, 400]);
        let shifted = |rows: usize| {
            let mut scores = vec![0.0; is_abnormal.len()];
            scores[400 - rows..460 - rows].fill(1.0);
            vus_pr(&is_abnormal, &scores).unwrap()
        };
        assert!(shifted(0) > shifted(20) && shifted(20) > shifted(60) && shifted(60) > shifted(200));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn random_scores_reach_the_share_of_abnormal_rows(seed in 1_u64..u64::MAX, abnormal in 200_usize..600) {
            const DRAWS: u32 = 16;
            let is_abnormal = labels(&[1_500, abnormal, 1_500]);
            let mut state = seed;
            let mut draw = || {
                // Splitmix64, Steele, Lea and Flood, OOPSLA 2014.
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                ((mixed ^ (mixed >> 31)) >> 11) as f64
            };
            // One ranking of few abnormal rows may be lucky; the mean of some is not.
            let total: f64 = (0..DRAWS)
                .map(|_| vus_pr(&is_abnormal, &is_abnormal.iter().map(|_| draw()).collect::<Vec<_>>()).unwrap())
                .sum();
            let (vus, share) = (total / f64::from(DRAWS), abnormal as f64 / is_abnormal.len() as f64);
            // With its buffers a span has up to 1.86 times its rows' weight.
            prop_assert!((0.9 * share..2.0 * share).contains(&vus), "{vus} {share}");
        }
    }

    proptest! {
        #[test]
        fn a_ranking_by_nearness_is_almost_perfect(
            lengths in prop::collection::vec((50_usize..300, 1_usize..60), 1..6),
        ) {
            let mut lengths: Vec<usize> = lengths.into_iter().flat_map(|(normal, abnormal)| [normal, abnormal]).collect();
            lengths.push(50);
            let is_abnormal = labels(&lengths);
            let vus = vus_pr(&is_abnormal, &nearness(&is_abnormal)).unwrap();
            prop_assert!(vus > 0.95, "{vus}");
        }

        #[test]
        fn only_the_order_of_scores_matters_and_the_result_is_a_share(
            rows in prop::collection::vec((any::<bool>(), 0_i32..20), 1..200),
        ) {
            let (is_abnormal, scores): (Vec<bool>, Vec<f64>) =
                rows.iter().map(|(is_abnormal, score)| (*is_abnormal, f64::from(*score))).unzip();
            let bent: Vec<f64> = scores.iter().map(|score| (score / 4.0).exp() - 7.0).collect();
            let vus = vus_pr(&is_abnormal, &scores);
            prop_assert_eq!(vus, vus_pr(&is_abnormal, &bent));
            prop_assert_eq!(vus.is_some(), is_abnormal.contains(&true));
            prop_assert!(vus.is_none_or(|vus| (0.0..=1.0).contains(&vus)));
        }
    }
}
