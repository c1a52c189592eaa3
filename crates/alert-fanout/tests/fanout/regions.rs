//! Two regions: who tells people, and what the other one has told.

use std::time::Duration;

use alert_fanout::config::Config;
use alert_fanout::fanout::Fanout;
use anomaly_core::Severity;
use platform::model::{Checkpoint, CheckpointChange, Epoch, ShardId, Transaction};
use platform::ports::CommitTransaction as _;
use platform::sim::SimWorld;
use telemetry::sequence::SequenceNumber;
use tokio::time::{Instant, sleep};

use super::plant::{at, block_on, fanout, finding, in_time, only, state, store, take, tick_through, world};
use super::receiver::{Mood, Receiver};

#[test]
fn the_region_that_has_not_the_say_is_quiet_and_tells_what_was_missed_when_it_has() {
    block_on(async {
        let (world, receiver) = (world(), Receiver::default());
        let fanout = fanout(&world, &receiver);
        alert_fanout::active::switch(&world, "elsewhere", at(0)).await.unwrap();
        let began = store(&world, &[finding("oven-1", 5, Severity::Warning)], &[state("oven-1", 5, true)]).await;
        take(&fanout, &began, at(6)).await;
        fanout.tick(at(60), &in_time).await.unwrap();
        assert!(receiver.got().is_empty());
        assert!(alert_fanout::active::switch(&world, "local", at(70)).await.unwrap());
        assert!(!alert_fanout::active::switch(&world, "local", at(71)).await.unwrap(), "it has the say already");
        tick_through(&fanout, 120, 300).await;
        assert_eq!(only(&world, &receiver, "ops").await, ["opened"]);
    });
}

#[test]
fn a_region_that_hears_of_a_newer_epoch_alone_is_quiet() {
    block_on(async {
        let (world, receiver) = (world(), Receiver::default());
        let config = Config { stream: Some("plant".to_owned()), ..Config::local("unused") };
        let fanout = Fanout::new(world.clone(), receiver.clone(), config);
        alert_fanout::active::switch(&world, "local", at(0)).await.unwrap();
        let moved = Epoch { epoch: 2, active: "elsewhere".to_owned(), is_fenced: false, since: at(3) };
        world.place_epoch("plant", &moved);
        let began = store(&world, &[finding("oven-1", 5, Severity::Warning)], &[state("oven-1", 5, true)]).await;
        take(&fanout, &began, at(6)).await;
        assert!(receiver.got().is_empty(), "the say was given away, and the item that says so has not arrived");
        // What is written later than the epoch holds.
        alert_fanout::active::switch(&world, "elsewhere", at(7)).await.unwrap();
        alert_fanout::active::switch(&world, "local", at(8)).await.unwrap();
        fanout.tick(at(60), &in_time).await.unwrap();
        assert_eq!(only(&world, &receiver, "ops").await, ["opened"]);
    });
}

/// What comes to a region that was cut off is late, and that it has the say no more comes after it.
#[test]
fn what_is_late_is_told_by_a_region_of_two_when_it_has_listened_who_has_the_say() {
    const LATE_SECONDS: i64 = 40;
    for (seconds_until_heard, is_told) in [(2, false), (60, true)] {
        block_on(async {
            let (world, receiver) = (world(), Receiver::default());
            let fanout = fanout(&world, &receiver);
            alert_fanout::active::switch(&world, "local", at(-100)).await.unwrap();
            let missed = store(&world, &[finding("oven-1", 0, Severity::Warning)], &[]).await;
            let began = Instant::now();
            let hearing = async {
                sleep(Duration::from_secs(seconds_until_heard)).await;
                alert_fanout::active::switch(&world, "elsewhere", at(-10)).await.unwrap();
            };
            let telling = async {
                let done = take(&fanout, &missed, at(LATE_SECONDS)).await;
                (done, began.elapsed())
            };
            let ((done, took), ()) = tokio::join!(telling, hearing);
            assert_eq!((took.as_secs(), done.sent > 0), (5, is_told));
            assert_eq!(receiver.got().is_empty(), !is_told);
            assert_eq!(world.entries().iter().any(|entry| entry.key.sk.starts_with("I#")), is_told);
        });
    }
}

#[test]
fn what_is_in_time_or_of_one_region_alone_is_told_at_once_and_a_backlog_is_listened_to_once() {
    block_on(async {
        for (is_pair, late_seconds, pauses) in [(true, 1, [0, 0]), (true, 40, [5, 0]), (false, 40, [0, 0])] {
            let (world, receiver) = (world(), Receiver::default());
            let fanout = fanout(&world, &receiver);
            if is_pair {
                alert_fanout::active::switch(&world, "local", at(-100)).await.unwrap();
            }
            for (number, pause) in pauses.into_iter().enumerate() {
                let device = format!("oven-{number}");
                let found = store(&world, &[finding(&device, 0, Severity::Warning)], &[]).await;
                let began = Instant::now();
                assert_eq!(take(&fanout, &found, at(late_seconds)).await.sent, 1);
                assert_eq!(began.elapsed().as_secs(), pause, "{device} {late_seconds} s late, a pair: {is_pair}");
            }
        }
    });
}

/// What another region has found was committed with a checkpoint, which says in which epoch it had the say.
#[test]
fn what_another_region_has_found_is_told_when_its_checkpoint_is_here_and_not_when_that_is_of_a_newer_epoch() {
    const KNOWN: u64 = 3;
    // The epoch of its checkpoint and when that comes, milliseconds; whether it is told, and after how long.
    for (epoch, comes_after_ms, is_told, took_ms) in
        [(2, 0, true, 0), (2, 600, true, 750), (4, 0, false, 0), (4, 1_100, false, 1_250), (4, 60_000, true, 5_000)]
    {
        block_on(async {
            let (world, receiver) = (world(), Receiver::default());
            let config = Config { stream: Some("plant".to_owned()), ..Config::local("unused") };
            let fanout = Fanout::new(world.clone(), receiver.clone(), config);
            let here = Epoch { epoch: KNOWN, active: "local".to_owned(), is_fenced: false, since: at(-100) };
            world.place_epoch("plant", &here);
            let mut record = finding("oven-1", 5, Severity::Warning);
            record.shard = "elsewhere/plant/shardId-000000000000".to_owned();
            let seq = record.seq;
            let found = store(&world, &[record], &[]).await;
            let began = Instant::now();
            let hearing = async {
                if comes_after_ms > 0 {
                    sleep(Duration::from_millis(comes_after_ms)).await;
                }
                commit_elsewhere(&world, seq, epoch).await;
            };
            let telling = async { (take(&fanout, &found, at(6)).await, began.elapsed().as_millis()) };
            // What is there already was there before.
            let ((), (done, took)) = tokio::join!(hearing, telling);
            assert_eq!((done.sent > 0, took), (is_told, took_ms), "epoch {epoch} after {comes_after_ms} ms");
        });
    }
}

/// A checkpoint of the other region up to a record, in an epoch.
async fn commit_elsewhere(world: &SimWorld, last_seq: SequenceNumber, epoch: u64) {
    let shard = ShardId {
        region: "elsewhere".to_owned(),
        stream: "plant".to_owned(),
        shard: "shardId-000000000000".to_owned(),
    };
    let next = Checkpoint {
        version: 1,
        last_seq,
        stream_time: at(5),
        batch: String::new(),
        snapshot: None,
        segments: Vec::new(),
        epoch,
        hash_range: None,
    };
    let checkpoint = Some(CheckpointChange { shard: &shard, next: &next, expected: None });
    world.commit(&Transaction { checkpoint, ..Transaction::default() }).await.unwrap();
}

/// The other region has sent what was due, and that it did so comes after the tick has begun.
#[test]
fn a_tick_that_finds_something_overdue_listens_first() {
    block_on(async {
        let (world, receiver) = (world(), Receiver::default());
        let fanout = fanout(&world, &receiver);
        alert_fanout::active::switch(&world, "local", at(-100)).await.unwrap();
        receiver.be(vec![Mood::Busy]);
        let found = store(&world, &[finding("oven-1", 0, Severity::Warning)], &[]).await;
        take(&fanout, &found, at(1)).await;
        let hearing = async {
            sleep(Duration::from_secs(2)).await;
            alert_fanout::active::switch(&world, "elsewhere", at(300)).await.unwrap();
        };
        let (done, ()) = tokio::join!(fanout.tick(at(3_600), &in_time), hearing);
        assert_eq!(done.unwrap().sent, 0);
        assert!(receiver.got().is_empty());
    });
}

#[test]
fn a_notice_that_another_region_has_told_holds_nothing_up() {
    block_on(async {
        let (world, receiver) = (world(), Receiver::default());
        let fanout = fanout(&world, &receiver);
        let began = store(&world, &[finding("oven-1", 0, Severity::Warning)], &[state("oven-1", 0, true)]).await;
        assert_eq!(take(&fanout, &began, at(1)).await.sent, 1);
        // Of two writers of an incident the later one stays: what this one knew of it is gone, its deliveries are not.
        for entry in
            world.entries().iter().filter(|entry| entry.key.sk.starts_with("I#") || entry.key.sk.starts_with("W#"))
        {
            world.remove_entry(&entry.key);
        }
        assert_eq!(take(&fanout, &began, at(2)).await.sent, 0, "it is told already");
        assert_eq!(only(&world, &receiver, "ops").await, ["opened"]);
        let over = store(&world, &[], &[state("oven-1", 300, false)]).await;
        take(&fanout, &over, at(301)).await;
        tick_through(&fanout, 360, 1_200).await;
        assert_eq!(only(&world, &receiver, "ops").await, ["opened", "resolved"], "and it goes on from there");
    });
}

#[test]
fn what_a_device_found_whose_clock_is_past_midnight_already_is_told_after_a_switch() {
    block_on(async {
        let (world, receiver) = (world(), Receiver::default());
        let fanout = fanout(&world, &receiver);
        alert_fanout::active::switch(&world, "elsewhere", at(0)).await.unwrap();
        let mut found = finding("oven-1", 36_000, Severity::Warning);
        found.detected_at = at(5);
        assert_ne!(found.anomaly.onset.date(), at(120).date());
        let began = store(&world, &[found], &[]).await;
        take(&fanout, &began, at(6)).await;
        assert!(alert_fanout::active::switch(&world, "local", at(70)).await.unwrap());
        tick_through(&fanout, 120, 300).await;
        assert_eq!(only(&world, &receiver, "ops").await, ["opened"]);
    });
}
