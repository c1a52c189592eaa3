//! Where nothing is wrong nothing is found.

use replication_checker::Checker;
use replication_checker::check::Verdict;
use replication_checker::metrics;
use replication_checker::ports::Table;

use crate::world::{Lag, World, unwell};

const LATE_MS: i64 = 300_000;

/// Law: 1,000 checks of Regions that replicate in less than the limit, however that jitters, raise no alarm.
#[tokio::test(start_paused = true)]
async fn a_thousand_clean_checks_find_nothing() {
    let mut checks = 0;
    for seed in 0..10 {
        let world = World::new(seed);
        for side in [0, 1] {
            for of in [None, Some(Table::Results), Some(Table::Checkpoints)] {
                // From fast to just within the limit; the sub-second of S3's times is the checker's to bear.
                let bound = [2_000, 30_000, LATE_MS - 1_000][(seed % 3) as usize];
                world.state().lags.insert((side, of), Lag::Below(bound));
            }
        }
        // Each has to have checked once before the other can know it.
        world.check(0).await;
        world.check(1).await;
        for step in 0..50 {
            let pause = 240 + world.state().chance(120) as u64;
            world.wait(pause).await;
            let now_ms = world.now_ms();
            for _ in 0..4 {
                let side = world.state().chance(2) as usize;
                let ago_ms = world.state().chance(600_000);
                // What was committed between the checks, and is on its way or there by now.
                world.batch(side, now_ms - ago_ms);
            }
            world.state().forget_before(now_ms - 3 * 86_400_000);
            for side in [0, 1] {
                let done = world.check(side).await;
                assert!(unwell(&done).is_empty(), "seed {seed}, step {step}: {:#?}", unwell(&done));
                checks += 1;
            }
        }
    }
    assert_eq!(checks, 1_000);
}

#[tokio::test(start_paused = true)]
async fn lags_are_measured_by_one_clock_and_told_with_their_error() {
    let world = World::new(1);
    world.settle().await;
    let done = world.check(0).await;
    assert_eq!(done.report.verdict, Verdict::Ok, "{:#?}", unwell(&done));
    let canaries: Vec<_> = done.report.checks.iter().filter_map(|check| check.lag).collect();
    assert_eq!(canaries.len(), 6, "three channels in both directions");
    for lag in canaries {
        assert_eq!(lag.arrived, 3);
        // The fake is late by less than three seconds, and is looked at every half.
        assert!(lag.p50_ms <= lag.p99_ms && lag.max_ms <= 3_500 && lag.error_ms <= 500, "{lag:?}");
    }
    let lines = metrics::lines(&done, "prod");
    assert_eq!(lines.len(), 4);
    let counts: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((&counts["ReplicationMissing"], &counts["ReplicationUnknown"]), (&0.into(), &0.into()));
    assert!(counts["ReplicationCheckAge"].as_i64().is_some_and(|age| (300..400).contains(&age)), "{counts}");
    let lags: serde_json::Value = serde_json::from_str(&lines[1]).unwrap();
    assert_eq!((&lags["Kind"], lags["ReplicationLag"].as_array().unwrap().len()), (&"lake".into(), 2));
    let defined = &lags["_aws"]["CloudWatchMetrics"][0];
    assert_eq!((&defined["Namespace"], &defined["Dimensions"][0][1]), (&"IoT/Manufacturing".into(), &"Kind".into()));
}

#[tokio::test(start_paused = true)]
async fn the_report_lies_where_it_is_looked_for() {
    use replication_checker::ports::Objects as _;
    let world = World::new(2);
    world.settle().await;
    let done = world.check(0).await;
    let here = world.region(0);
    let json = here.get("reports/replication/eu-west-1/latest.json", 1 << 20).await.unwrap().unwrap();
    let stored: replication_checker::report::Report = serde_json::from_slice(&json).unwrap();
    assert_eq!(stored, done.report);
    let markdown = here.get("reports/replication/eu-west-1/latest.md", 1 << 20).await.unwrap().unwrap();
    assert!(String::from_utf8(markdown).unwrap().starts_with("# eu-west-1 and eu-central-1: ok"));
    let kept = here.list("reports/replication/eu-west-1/dt=", 1_000).await.unwrap();
    assert!(kept.all.len() >= 2, "the first check of an hour is kept");
}

#[tokio::test(start_paused = true)]
async fn a_dry_check_writes_nothing_and_sees_all_but_canaries() {
    let world = World::new(3);
    world.settle().await;
    let before = world.written();
    let checker = Checker { is_dry: true, ..world.checker(0) };
    let done = checker.check(|| world.now(), |_| {}).await;
    assert_eq!(world.written(), before);
    assert_eq!(done.report.verdict, Verdict::Ok, "{:#?}", unwell(&done));
    assert_eq!(done.report.skipped, ["lake-canary", "results-canary", "checkpoints-canary"]);
    assert!(done.report.checks.len() > 10, "{}", done.report.checks.len());
}
