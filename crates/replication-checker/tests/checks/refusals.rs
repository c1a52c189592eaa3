//! A failure to look is unknown, names the call and the Region, and leaves everything else to be seen.

use account::Kind as TroubleKind;
use replication_checker::{Kind, Verdict};

use crate::world::{REGIONS, World, unwell};

/// The calls, and the kinds that hang on each.
const CALLS: [(&str, &[Kind]); 15] = [
    ("get", &[Kind::LakeCanary, Kind::Artifact, Kind::Checker]),
    ("list", &[Kind::LakeListing, Kind::LakeStatus, Kind::Artifact, Kind::Profile]),
    ("copying", &[Kind::LakeStatus]),
    ("put_canary", &[Kind::ResultsCanary, Kind::CheckpointsCanary]),
    ("canary", &[Kind::ResultsCanary, Kind::CheckpointsCanary]),
    ("table", &[Kind::Replica]),
    ("stream", &[Kind::Stream]),
    ("models", &[Kind::Model, Kind::EndpointConfig]),
    ("endpoint_configs", &[Kind::EndpointConfig]),
    ("things", &[Kind::Thing, Kind::Attachment]),
    ("principals", &[Kind::Attachment]),
    ("certificates", &[Kind::Certificate]),
    ("policies", &[Kind::Policy, Kind::Certificate]),
    ("rules", &[Kind::Rule]),
    ("function", &[Kind::Function]),
];

#[tokio::test(start_paused = true)]
async fn whatever_is_refused_is_unknown_and_blames_nothing_else() {
    for (call, kinds) in CALLS {
        for kind in [TroubleKind::Forbidden, TroubleKind::Transient, TroubleKind::Refused] {
            let world = World::new(11);
            world.settle().await;
            world.check(1).await;
            world.state().refused.insert((1, call), kind);
            let done = world.check(0).await;
            let unwell = unwell(&done);
            for check in &unwell {
                assert_eq!(check.verdict, Verdict::Unknown, "{call}: {check:#?}");
                assert!(kinds.contains(&check.kind), "{call} does not touch {check:#?}");
                assert!(check.evidence.contains(call) && check.evidence.contains(REGIONS[1]), "{call}: {check:#?}");
            }
            for expected in kinds {
                assert!(unwell.iter().any(|check| check.kind == *expected), "{call}: {expected} is ok");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_never_answers_is_unknown_within_a_bound() {
    for (call, kind) in [("stream", Kind::Stream), ("list", Kind::LakeListing), ("function", Kind::Function)] {
        let world = World::new(12);
        world.settle().await;
        world.check(1).await;
        world.state().silent.insert((1, call));
        let done = world.check(0).await;
        let check = unwell(&done).into_iter().find(|check| check.kind == kind).unwrap();
        assert_eq!(check.verdict, Verdict::Unknown);
        assert!(check.evidence.contains("not done within"), "{}", check.evidence);
        // One look after another, at worst.
        assert!(done.report.took_ms <= 110_000, "{}", done.report.took_ms);
    }
}

#[tokio::test(start_paused = true)]
async fn without_its_ledger_a_checker_sends_nothing_and_says_so() {
    let world = World::new(13);
    world.settle().await;
    world.check(1).await;
    world.state().refused.insert((0, "get"), TroubleKind::Forbidden);
    let done = world.check(0).await;
    let canaries: Vec<_> = unwell(&done).into_iter().filter(|check| check.kind == Kind::LakeCanary).collect();
    assert_eq!(canaries.len(), 2);
    assert!(canaries.iter().all(|check| check.verdict == Verdict::Unknown && check.evidence.contains("no canary")));
    world.state().refused.clear();
    world.wait(300).await;
    world.check(1).await;
    assert!(unwell(&world.check(0).await).is_empty(), "it goes on where it was");
}

#[tokio::test(start_paused = true)]
async fn a_report_that_cannot_be_stored_is_told_beside_it() {
    let world = World::new(14);
    world.settle().await;
    world.check(1).await;
    world.state().refused.insert((0, "put"), TroubleKind::Forbidden);
    let done = world.checker(0).check(|| world.now(), |_| {}).await;
    assert!(done.unstored.len() >= 3, "report, text and ledger: {:?}", done.unstored);
    // The canary could not be written either.
    assert_eq!(done.report.verdict, Verdict::Unknown);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_out_is_not_asked_for_and_is_named() {
    let world = World::new(15);
    world.settle().await;
    for (call, _) in
        CALLS.iter().filter(|(call, _)| ["models", "endpoint_configs", "things", "principals"].contains(call))
    {
        world.state().refused.insert((0, call), TroubleKind::Forbidden);
    }
    let mut checker = world.checker(0);
    for kind in [Kind::Model, Kind::EndpointConfig, Kind::Thing, Kind::Attachment] {
        checker.kinds.remove(&kind);
    }
    world.check(1).await;
    let done = checker.check(|| world.now(), |_| {}).await;
    assert!(unwell(&done).is_empty(), "{:#?}", unwell(&done));
    assert_eq!(done.report.skipped, ["model", "endpoint-config", "thing", "attachment"]);
}
