//! Alerts of two detectors on the same device: which are about the same thing.

/// One alert, or two that are about the same thing, by their indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairing {
    /// Only the first detector told it.
    OnlyA(usize),
    /// Only the second detector told it.
    OnlyB(usize),
    /// Both told it, within the tolerance of each other.
    Both(usize, usize),
}

/// Pairs the instants of two detectors' alerts, each in the order of time: the earliest two that are left are a pair where
/// they are at most `tolerance_ms` apart, else the earlier of them stands alone. Every alert is in the result once, in the
/// order of time. Takes linear time.
#[must_use]
pub fn pair_alerts(a_ms: &[i64], b_ms: &[i64], tolerance_ms: i64) -> Vec<Pairing> {
    debug_assert!(a_ms.is_sorted() && b_ms.is_sorted());
    let (mut a, mut b) = (0, 0);
    let mut pairings = Vec::with_capacity(a_ms.len().max(b_ms.len()));
    loop {
        let pairing = match (a_ms.get(a), b_ms.get(b)) {
            (None, None) => return pairings,
            (Some(at_a), Some(at_b)) if at_a.abs_diff(*at_b) <= tolerance_ms.unsigned_abs() => Pairing::Both(a, b),
            (Some(at_a), at_b) if at_b.is_none_or(|at_b| at_a < at_b) => Pairing::OnlyA(a),
            _ => Pairing::OnlyB(b),
        };
        a += usize::from(!matches!(pairing, Pairing::OnlyB(_)));
        b += usize::from(!matches!(pairing, Pairing::OnlyA(_)));
        pairings.push(pairing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn alerts_within_the_tolerance_are_a_pair() {
        use Pairing::{Both, OnlyA, OnlyB};
        assert_eq!(pair_alerts(&[0, 100, 200], &[10, 150], 10), [Both(0, 0), OnlyA(1), OnlyB(1), OnlyA(2)]);
        assert_eq!(pair_alerts(&[], &[5], 10), [OnlyB(0)]);
        assert_eq!(pair_alerts(&[5, 6], &[5], 10), [Both(0, 0), OnlyA(1)]);
    }

    proptest! {
        #[test]
        fn every_alert_is_told_once_and_exchanging_the_two_exchanges_the_sides(
            mut a in prop::collection::vec(0_i64..500, 0..20),
            mut b in prop::collection::vec(0_i64..500, 0..20),
            tolerance in 0_i64..60,
        ) {
            a.sort_unstable();
            b.sort_unstable();
            let pairings = pair_alerts(&a, &b, tolerance);
            let of_a: Vec<usize> = pairings.iter().filter_map(|pairing| match pairing {
                Pairing::OnlyA(index) | Pairing::Both(index, _) => Some(*index),
                Pairing::OnlyB(_) => None,
            }).collect();
            prop_assert_eq!(of_a, (0..a.len()).collect::<Vec<_>>());
            let exchanged: Vec<Pairing> = pair_alerts(&b, &a, tolerance).into_iter().map(|pairing| match pairing {
                Pairing::OnlyA(index) => Pairing::OnlyB(index),
                Pairing::OnlyB(index) => Pairing::OnlyA(index),
                Pairing::Both(b, a) => Pairing::Both(a, b),
            }).collect();
            prop_assert_eq!(pairings, exchanged);
        }
    }
}
