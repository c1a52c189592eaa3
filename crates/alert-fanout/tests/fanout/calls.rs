//! What a message costs in calls to the stores.

use std::collections::BTreeMap;

use anomaly_core::Severity;
use platform::sim::SimWorld;

use super::plant::{at, block_on, fanout, finding, in_time, state, store, take};
use super::receiver::Receiver;

/// The calls since the last look, by verb. The test's own reading of changes is no call of the fan-out's.
fn calls(world: &SimWorld, from: &mut usize) -> BTreeMap<&'static str, usize> {
    let all = world.calls();
    let mut counts = BTreeMap::new();
    for call in all[*from..].iter().filter(|call| !matches!(call.verb, "read changes" | "commit")) {
        *counts.entry(call.verb).or_insert(0) += 1;
    }
    *from = all.len();
    counts
}

#[expect(clippy::print_stdout, reason = "what a message costs is for the record")]
fn told(what: &str, counts: &BTreeMap<&'static str, usize>) -> usize {
    println!("{what}: {} calls {counts:?}", counts.values().sum::<usize>());
    counts.values().sum()
}

#[test]
fn an_alert_takes_seven_calls_and_what_comes_again_or_is_fine_writes_nothing() {
    block_on(async {
        let (world, receiver, mut seen) = (SimWorld::new(), Receiver::default(), 0);
        let profile = platform::model::Key::new("config/acme/profile.toml").unwrap();
        world.place_object(profile, super::plant::PROFILE);
        let fanout = fanout(&world, &receiver);
        // A process that has told something before: the tenant's profile is known.
        let first = store(&world, &[finding("oven-1", 0, Severity::Warning)], &[state("oven-1", 0, true)]).await;
        take(&fanout, &first, at(1)).await;
        told("the first alert of a process", &calls(&world, &mut seen));

        let began = store(&world, &[finding("oven-2", 10, Severity::Warning)], &[state("oven-2", 10, true)]).await;
        assert_eq!(take(&fanout, &began, at(11)).await.sent, 1);
        let alert = calls(&world, &mut seen);
        assert!(told("an alert on one channel", &alert) <= 7, "{alert:?}");
        assert_eq!(alert["change entries"], 2, "the claim with the incident, and what came of it");

        let before = world.entries();
        take(&fanout, &began, at(12)).await;
        told("the same changes once more, which the store refuses", &calls(&world, &mut seen));
        assert_eq!(world.entries(), before);

        fanout.tick(at(60), &in_time).await.unwrap();
        let tick = calls(&world, &mut seen);
        told("a tick at which nothing is due", &tick);
        assert_eq!(tick.get("change entries"), None, "{tick:?}");
    });
}
