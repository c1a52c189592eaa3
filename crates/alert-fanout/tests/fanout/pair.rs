//! Two regions that hear each other: who asks, what is waited for, and what the other one makes of what is left to it.

use std::time::Duration;

use alert_fanout::config::Config;
use alert_fanout::fanout::Fanout;
use anomaly_core::Severity;
use platform::model::{Change, Epoch};
use platform::sim::{Fault, SimWorld, When};
use tokio::time::{Instant, sleep};

use super::plant::{SimFanout, at, block_on, fanout, finding, in_time, store, take, world};
use super::receiver::{Mood, Receiver};

/// When what is late is looked at.
const LATE: i64 = 40;

/// This region, which has the say, and the other one. A finding has arrived here.
struct Pair {
    here: SimFanout,
    there: SimFanout,
    peer: SimWorld,
    heard: [Receiver; 2],
    found: Vec<Change>,
}

/// As far as is known here, this region has the say.
async fn pair() -> Pair {
    let (own, peer) = (SimWorld::replicated(), SimWorld::replicated());
    for (key, body) in world().objects() {
        own.place_object(key.clone(), body.clone());
        peer.place_object(key, body);
    }
    let heard = [Receiver::default(), Receiver::default()];
    alert_fanout::active::switch(&own, "local", at(-100)).await.unwrap();
    alert_fanout::active::switch(&peer, "local", at(-100)).await.unwrap();
    let found = store(&own, &[finding("oven-1", 0, Severity::Warning)], &[]).await;
    let there = Config { region: "elsewhere".to_owned(), ..Config::local("unused") };
    let there = Fanout::new(peer.clone(), heard[1].clone(), there).with_peer(Some(own.clone()));
    let here = fanout(&own, &heard[0]).with_peer(Some(peer.clone()));
    Pair { here, there, peer, heard, found }
}

impl Pair {
    /// How many messages this region sends of the finding when that is late, and after how many milliseconds.
    async fn take_late(&self) -> (u64, u128) {
        let began = Instant::now();
        (take(&self.here, &self.found, at(LATE)).await.sent, began.elapsed().as_millis())
    }

    /// What was written in either region arrives in the other.
    fn replicate(&self) {
        let (sent, received) = (self.here.world().written(), self.peer.written());
        for written in sent {
            self.peer.receive(written);
        }
        for written in received {
            self.here.world().receive(written);
        }
    }

    /// The same after so many milliseconds, and at once again and again from then on.
    async fn replicate_from(&self, after_ms: u64) {
        sleep(Duration::from_millis(after_ms)).await;
        loop {
            self.replicate();
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// This region is lost, and the other one gets the say.
    async fn lose(&self, at_seconds: i64) {
        self.here.world().on_every_call(When::matching(|_| true), Fault::Unavailable);
        alert_fanout::active::switch(&self.peer, "elsewhere", at(at_seconds)).await.unwrap();
    }

    /// What each region's people were told: incident, number and channel as one key.
    fn keys(&self) -> [Vec<String>; 2] {
        self.heard.each_ref().map(|heard| heard.got().into_iter().map(|got| got.key).collect())
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
        // But for the time that its claim takes to get there.
        let told = tokio::select! {
            told = pair.take_late() => told,
            () = pair.replicate_from(100) => unreachable!("it goes on for ever"),
        };
        assert_eq!(told, (1, 250));
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
            // What is sent is waited for over there, and nothing is replicated here.
            assert_eq!(began.elapsed().as_secs(), 5 * sent);
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
    // The second entry that is read is who has the say, after the other region was asked.
    let cases = [
        ("load entry", 1, Fault::ParkAfter, false),
        ("list entries", 0, Fault::ParkBefore, false),
        ("change entries", 0, Fault::ParkAfter, true),
    ];
    for (verb, skipped, fault, is_written) in cases {
        block_on(async {
            let pair = pair().await;
            pair.here.world().on_call(When::nth(verb, skipped), fault);
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

/// A machine that is frozen finds, when it goes on, an answer of before or the time for one over. Neither is of now.
#[test]
fn who_stood_still_over_a_question_puts_it_again_and_believes_neither_an_old_answer_nor_that_there_is_none() {
    // Its first question is who has the say, the next ones whether the claim and its incident have arrived.
    for (skipped, is_claimed) in [(0, false), (1, true), (2, true)] {
        for (fault, is_answered) in [(Fault::ParkAfter, true), (Fault::ParkBefore, false)] {
            block_on(async {
                let pair = pair().await;
                pair.peer.on_call(When::nth("load entry", skipped), fault);
                let standing_still = async {
                    sleep(Duration::from_millis(1)).await;
                    alert_fanout::active::switch(&pair.peer, "elsewhere", at(5)).await.unwrap();
                    if is_answered {
                        pair.peer.release();
                    }
                    // All at once it is later.
                    tokio::time::advance(Duration::from_secs(15)).await;
                };
                let (outcome, ()) = tokio::join!(pair.here.take(&pair.found, at(1), &in_time), standing_still);
                let case = format!("question {skipped}, {fault:?}: {outcome:?}");
                assert!(pair.heard[0].got().is_empty(), "{case}");
                let is_there = pair.here.world().entries().iter().any(|entry| entry.key.sk.starts_with("I#"));
                assert_eq!((is_there, outcome.unwrap().done.unsent), (is_claimed, u64::from(is_claimed)), "{case}");
                // Nor does it think that nobody is there.
                let more = store(pair.here.world(), &[finding("oven-2", 16, Severity::Warning)], &[]).await;
                assert_eq!(take(&pair.here, &more, at(17)).await.sent, 0, "{case}");
            });
        }
    }
}

#[test]
fn a_message_is_sent_when_the_other_region_knows_of_it_or_after_a_while() {
    for (arrives_after_ms, took_ms) in [(0, [250, 250]), (600, [750, 250]), (60_000, [5_000, 0])] {
        block_on(async {
            let pair = pair().await;
            let more = store(pair.here.world(), &[finding("oven-2", 0, Severity::Warning)], &[]).await;
            let telling = async {
                let mut took = Vec::new();
                for found in [&pair.found, &more] {
                    let began = Instant::now();
                    assert_eq!(take(&pair.here, found, at(1)).await.sent, 1);
                    took.push(began.elapsed().as_millis());
                }
                took
            };
            let took = tokio::select! {
                took = telling => took,
                () = pair.replicate_from(arrives_after_ms) => unreachable!("it goes on for ever"),
            };
            // Where replication is late it is so for the next message, too: that one is not held up.
            assert_eq!(took, took_ms, "replicated after {arrives_after_ms} ms");
        });
    }
}

/// The message is out, and the note of it is lost with the region. Whoever keeps what he gets by its key is told once.
#[test]
fn what_was_told_right_before_a_region_is_lost_is_told_again_by_the_same_key_and_at_once() {
    block_on(async {
        let pair = pair().await;
        let sending = async {
            while pair.heard[0].got().is_empty() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let telling = async {
            let _lost = pair.here.take(&pair.found, at(1), &in_time).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = sending => {}
            () = telling => unreachable!("it does not end"),
            // Between the message and its loss nothing is carried: it goes every 10 ms, at other times than is looked.
            () = pair.replicate_from(105) => unreachable!("it goes on for ever"),
        }
        pair.lose(5).await;
        // Its finding arrives in the batch of that region's stream; what follows it is found there, and is another one.
        let next = finding("oven-1", 4, Severity::Warning);
        let found = store(&pair.peer, &[next], &[]).await;
        assert_eq!(take(&pair.there, &pair.found, at(6)).await.sent, 0, "it has its witness");
        assert_eq!(take(&pair.there, &found, at(6)).await.sent, 0, "and is of the same incident");
        let done = pair.there.tick(at(30), &in_time).await.unwrap();
        assert_eq!(done.sent, 1, "the claim holds for 120 s, and who made it is gone");
        let [here, there] = pair.keys();
        assert_eq!((here.len(), &here), (1, &there));
        assert_eq!(pair.there.tick(at(90), &in_time).await.unwrap().sent, 0);
    });
}

#[test]
fn a_claim_of_a_region_that_answers_is_left_until_it_runs_out() {
    block_on(async {
        let pair = pair().await;
        // It is ended while it waits for its claim to be known there.
        let ended = tokio::time::timeout(Duration::from_secs(1), pair.here.take(&pair.found, at(1), &in_time)).await;
        assert!(ended.is_err() && pair.heard[0].got().is_empty());
        pair.replicate();
        alert_fanout::active::switch(&pair.peer, "elsewhere", at(5)).await.unwrap();
        for (seconds, sent) in [(30, 0), (118, 0), (122, 1), (180, 0)] {
            assert_eq!(pair.there.tick(at(seconds), &in_time).await.unwrap().sent, sent, "after {seconds} s");
        }
    });
}
