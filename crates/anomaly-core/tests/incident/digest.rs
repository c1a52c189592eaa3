//! Digests: parts merge into the whole, however they were cut.

use anomaly_core::incident::{AlertPolicy, Digest, Incident, METRICS_KEPT, SAMPLE_MAX};
use anomaly_core::{Anomaly, Severity};
use proptest::prelude::*;

use crate::support::{anomaly, at, critical, warning};

fn of(device: &str, found: Anomaly, now: i64) -> Digest {
    let found = Anomaly { device: device.to_owned(), ..found };
    Digest::of(&Incident::open(&found, &AlertPolicy::default(), None, at(now)), at(now))
}

fn digests() -> impl Strategy<Value = Digest> {
    let incident = (0..30_u8, 0..3_usize, 0..8_u8, proptest::collection::btree_set(0..40_u8, 0..4), 0..60_i64);
    let one = incident.prop_map(|(device, severity, strength, metrics, now)| {
        let severity = [Severity::Info, Severity::Warning, Severity::Critical][severity];
        let names: Vec<String> = metrics.iter().map(|metric| format!("m{metric}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        of(&format!("d{device}"), anomaly(0, severity, 1.0 + f64::from(strength), &names), now)
    });
    proptest::collection::vec(one, 1..40).prop_map(|parts| parts.into_iter().reduce(Digest::merge).unwrap())
}

proptest! {
    #[test]
    fn merging_is_associative_and_commutative(a in digests(), b in digests(), c in digests()) {
        prop_assert_eq!(a.clone().merge(b.clone()), b.clone().merge(a.clone()));
        prop_assert_eq!(a.clone().merge(b.clone()).merge(c.clone()), a.merge(b.merge(c)));
    }

    #[test]
    fn a_digest_is_bounded_and_counts_all(a in digests(), b in digests()) {
        let both = a.clone().merge(b.clone());
        prop_assert_eq!(both.count, a.count + b.count);
        prop_assert_eq!(both.count, both.critical + both.warning + both.info);
        prop_assert!(both.sample.len() <= SAMPLE_MAX && both.metrics.len() <= METRICS_KEPT);
    }
}

#[test]
fn the_worst_device_is_named_first_and_each_once() {
    let digest = of("a", warning(0), 0).merge(of("b", critical(0), 1)).merge(of("a", critical(1), 2));
    let names: Vec<_> = digest.sample.iter().map(|device| device.device.as_str()).collect();
    assert_eq!((names, digest.count), (vec!["a", "b"], 3));
}
