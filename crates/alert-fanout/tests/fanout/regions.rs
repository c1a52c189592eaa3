//! Two regions: who tells people, and what the other one has told.

use std::time::Duration;

use alert_fanout::config::Config;
use alert_fanout::fanout::Fanout;
use anomaly_core::Severity;
use platform::model::{Change, Checkpoint, CheckpointChange, Epoch, ShardId, Transaction};
use platform::ports::CommitTransaction as _;
use platform::sim::{Fault, SimWorld, When};
use telemetry::sequence::SequenceNumber;
use tokio::time::{Instant, sleep};

use super::plant::{SimFanout, at, block_on, fanout, finding, in_time, only, state, store, take, tick_through, world};
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

/// When what is late is looked at.
const LATE: i64 = 40;

/// This region, which was away, and the other one, where a finding has arrived too.
struct Pair {
    here: SimFanout,
    there: SimFanout,
    peer: SimWorld,
    heard: [Receiver; 2],
    found: Vec<Change>,
}

/// As far as is known here, this region has the say.
async fn pair() -> Pair {
    let own = world();
    let peer = SimWorld::replicated();
    for (key, body) in own.objects() {
        peer.place_object(key, body);
    }
    let heard = [Receiver::default(), Receiver::default()];
    alert_fanout::active::switch(&own, "local", at(-100)).await.unwrap();
    alert_fanout::active::switch(&peer, "local", at(-100)).await.unwrap();
    let found = store(&own, &[finding("oven-1", 0, Severity::Warning)], &[]).await;
    let there = Config { region: "elsewhere".to_owned(), ..Config::local("unused") };
    let there = Fanout::new(peer.clone(), heard[1].clone(), there);
    let here = fanout(&own, &heard[0]).with_peer(Some(peer.clone()));
    Pair { here, there, peer, heard, found }
}

impl Pair {
    /// How many messages this region sends of the finding when that is late, and after how many milliseconds.
    async fn take_late(&self) -> (u64, u128) {
        let began = Instant::now();
        (take(&self.here, &self.found, at(LATE)).await.sent, began.elapsed().as_millis())
    }

    /// What was written in the other region arrives here.
    fn replicate(&self) {
        for written in self.peer.written() {
            self.here.world().receive(written);
        }
    }
}

#[test]
fn who_was_away_asks_the_other_region_and_neither_tells_nor_waits_where_that_has_the_say() {
    block_on(async {
        let pair = pair().await;
        alert_fanout::active::switch(&pair.peer, "elsewhere", at(10)).await.unwrap();
        assert_eq!(pair.take_late().await, (0, 0));
        assert_eq!(take(&pair.here, &pair.found, at(1)).await.sent, 0, "in time as well");
        assert!(
            pair.here.world().entries().iter().all(|entry| !entry.key.sk.starts_with("I#")),
            "no incident of its own"
        );
    });
}

#[test]
fn nor_does_it_send_what_is_due() {
    block_on(async {
        let pair = pair().await;
        pair.heard[0].be(vec![Mood::Busy]);
        assert_eq!(take(&pair.here, &pair.found, at(1)).await.unsent, 1);
        alert_fanout::active::switch(&pair.peer, "elsewhere", at(10)).await.unwrap();
        assert_eq!(pair.here.tick(at(3_600), &in_time).await.unwrap().sent, 0);
        assert!(pair.heard[0].got().is_empty());
    });
}

#[test]
fn what_is_late_is_told_at_once_where_the_other_region_knows_of_no_later_move() {
    block_on(async {
        let pair = pair().await;
        assert_eq!(pair.take_late().await, (1, 0));
    });
}

#[test]
fn of_the_epochs_that_the_two_know_the_newer_one_holds() {
    const KNOWN: u64 = 3;
    for (epoch, active, sent) in [(3, "local", 1), (4, "elsewhere", 0), (2, "elsewhere", 1), (4, "local", 1)] {
        block_on(async {
            let (own, receiver, peer) = (world(), Receiver::default(), SimWorld::new());
            let of = |epoch: u64, active: &str| Epoch {
                epoch,
                active: active.to_owned(),
                is_fenced: false,
                since: at(10 * epoch as i64 - 100),
            };
            own.place_epoch("plant", &of(KNOWN, "local"));
            peer.place_epoch("plant", &of(epoch, active));
            let config = Config { stream: Some("plant".to_owned()), ..Config::local("unused") };
            let fanout = Fanout::new(own.clone(), receiver.clone(), config).with_peer(Some(peer));
            let found = store(&own, &[finding("oven-1", 0, Severity::Warning)], &[]).await;
            let began = Instant::now();
            assert_eq!(take(&fanout, &found, at(LATE)).await.sent, sent, "epoch {epoch} of {active}");
            assert_eq!(began.elapsed().as_millis(), 0);
        });
    }
}

/// This region has the say again, and has not heard what the other one told meanwhile.
#[test]
fn what_the_other_region_is_known_to_have_told_is_waited_for_and_not_told_again() {
    for (arrives_after_ms, sent, took_ms) in [(0, 0, 0), (2_100, 0, 2_250), (60_000, 1, 20_000)] {
        block_on(async {
            let pair = pair().await;
            alert_fanout::active::switch(&pair.peer, "elsewhere", at(-50)).await.unwrap();
            assert_eq!(take(&pair.there, &pair.found, at(1)).await.sent, 1);
            for world in [pair.here.world(), &pair.peer] {
                alert_fanout::active::switch(world, "elsewhere", at(20)).await.unwrap();
                alert_fanout::active::switch(world, "local", at(30)).await.unwrap();
            }
            let arriving = async {
                if arrives_after_ms > 0 {
                    sleep(Duration::from_millis(arrives_after_ms)).await;
                }
                pair.replicate();
            };
            let ((), told) = tokio::join!(arriving, pair.take_late());
            assert_eq!(told, (sent, took_ms), "arrives after {arrives_after_ms} ms");
        });
    }
}

#[test]
fn a_region_that_does_not_answer_holds_up_nothing_for_long_and_is_not_asked_all_the_time() {
    for fault in [Fault::Unavailable, Fault::ParkBefore] {
        block_on(async {
            let pair = pair().await;
            pair.peer.on_every_call(When::matching(|_| true), fault);
            let asked_ms = if fault == Fault::ParkBefore { 2_000 } else { 0 };
            // It is listened, as by a region that nobody can be asked of.
            assert_eq!(pair.take_late().await, (1, asked_ms + 5_000), "{fault:?}");
            let asked = pair.peer.calls().len();
            let more = store(pair.here.world(), &[finding("oven-2", 0, Severity::Warning)], &[]).await;
            assert_eq!(take(&pair.here, &more, at(LATE + 8)).await.sent, 1);
            assert_eq!(pair.peer.calls().len(), asked, "it is left alone for a while");
            pair.peer.clear_faults();
            alert_fanout::active::switch(&pair.peer, "elsewhere", at(10)).await.unwrap();
            let last = store(pair.here.world(), &[finding("oven-3", 0, Severity::Warning)], &[]).await;
            assert_eq!(take(&pair.here, &last, at(LATE + 60)).await.sent, 0, "and asked again");
        });
    }
}

#[test]
fn who_stood_still_before_it_wrote_or_sent_looks_once_more_who_has_the_say() {
    for (verb, fault, is_written) in
        [("list entries", Fault::ParkBefore, false), ("change entries", Fault::ParkAfter, true)]
    {
        block_on(async {
            let pair = pair().await;
            pair.here.world().on_call(When::verb(verb), fault);
            let standing_still = async {
                sleep(Duration::from_secs(10)).await;
                alert_fanout::active::switch(&pair.peer, "elsewhere", at(5)).await.unwrap();
                pair.here.world().release();
            };
            let (outcome, ()) = tokio::join!(pair.here.take(&pair.found, at(1), &in_time), standing_still);
            let outcome = outcome.unwrap();
            assert!(pair.heard[0].got().is_empty(), "stood still in `{verb}`: {outcome:?}");
            assert_eq!((outcome.failed.is_empty(), outcome.done.unsent), (is_written, u64::from(is_written)), "{verb}");
            let is_there = pair.here.world().entries().iter().any(|entry| entry.key.sk.starts_with("I#"));
            assert_eq!(is_there, is_written, "{verb}");
            // What comes again is the other region's.
            assert_eq!(take(&pair.here, &pair.found, at(20)).await.sent, 0);
        });
    }
}
