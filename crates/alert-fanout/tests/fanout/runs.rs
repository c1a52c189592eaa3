//! Runs in which everything goes wrong that can: changes that come twice and in other batches, processes that are lost before or
//! after any call, stores that give no answer, channels that take a message and do not say so.
//!
//! `PROPTEST_CASES=10000 cargo nextest run -p alert-fanout --no-default-features --test fanout runs` is the long run.

use std::collections::BTreeSet;

use alert_fanout::delivery::{Delivery, DeliveryState};
use anomaly_core::incident::Incident;
use anomaly_core::{Severity, Timestamp};
use platform::model::{AnomalyRecord, Change, Key, StateRecord};
use platform::ports::{ListEntries as _, LoadEntry as _, Order};
use platform::sim::{Fault, SimWorld};
use proptest::prelude::*;

use super::plant::{PROFILE, SimFanout, TENANT, at, block_on, changes, fanout, finding, in_time, state, store};
use super::receiver::{Mood, Receiver};

const DEVICES: [&str; 3] = ["oven-1", "pump-2", "mill-3"];
const FAULTS: [Fault; 5] =
    [Fault::Throttle, Fault::Unavailable, Fault::UnavailableButLands, Fault::CrashBefore, Fault::CrashAfter];
/// Nothing is held for a digest here: that has a test of its own.
const BOUNDS: &str = "[alerts]\nstorm_openings = 1000\nmessages_per_hour = 10000\n";

#[derive(Debug, Clone)]
enum Step {
    /// A device is found to be abnormal, and says so.
    Breaks { device: usize, is_critical: bool, says_so: bool },
    /// A device says that it is normal.
    Recovers { device: usize },
    /// The next changes are delivered, with some that were delivered before; something goes wrong at one of the calls.
    Delivers { count: usize, again: usize, trouble: Option<(usize, usize)>, is_new: bool },
    /// The schedule ticks.
    Ticks { trouble: Option<(usize, usize)> },
    /// Time passes.
    Waits { seconds: i64 },
    /// What happens to the next messages.
    Moods(Vec<Mood>),
}

fn step() -> impl Strategy<Value = Step> {
    let device = 0..DEVICES.len();
    let trouble = || proptest::option::weighted(0.6, (0..14_usize, 0..FAULTS.len()));
    let mood = prop_oneof![Just(Mood::Takes), Just(Mood::TakesSilently), Just(Mood::Busy)];
    prop_oneof![
        3 => (device.clone(), any::<bool>(), proptest::bool::weighted(0.8))
            .prop_map(|(device, is_critical, says_so)| Step::Breaks { device, is_critical, says_so }),
        2 => device.prop_map(|device| Step::Recovers { device }),
        5 => (1..6_usize, 0..4_usize, trouble(), any::<bool>())
            .prop_map(|(count, again, trouble, is_new)| Step::Delivers { count, again, trouble, is_new }),
        3 => trouble().prop_map(|trouble| Step::Ticks { trouble }),
        2 => (1..1_500_i64).prop_map(|seconds| Step::Waits { seconds }),
        1 => proptest::collection::vec(mood, 0..4).prop_map(Step::Moods),
    ]
}

/// A run: what is stored, what was delivered, and what time it is.
struct Run {
    world: SimWorld,
    receiver: Receiver,
    fanout: SimFanout,
    seconds: i64,
    delivered: usize,
    found: Vec<AnomalyRecord>,
}

impl Run {
    fn new() -> Self {
        let (world, receiver) = (SimWorld::new(), Receiver::default());
        let profile = format!("{BOUNDS}{PROFILE}");
        world.place_object(Key::new(format!("config/{TENANT}/profile.toml")).unwrap(), profile);
        let fanout = fanout(&world, &receiver);
        Self { world, receiver, fanout, seconds: 0, delivered: 0, found: Vec::new() }
    }

    fn now(&self) -> Timestamp {
        at(self.seconds)
    }

    async fn put(&mut self, anomalies: Vec<AnomalyRecord>, states: &[StateRecord]) {
        self.seconds += 1;
        store(&self.world, &anomalies, states).await;
        self.found.extend(anomalies);
    }

    /// Changes of anomalies and states: what the function's filter lets through.
    async fn stream(&self) -> Vec<Change> {
        let of_scorer = |change: &Change| change.key.sk == "S" || change.key.sk.starts_with("A#");
        changes(&self.world).await.into_iter().filter(of_scorer).collect()
    }

    /// `None`: the process was lost.
    async fn with_trouble<T>(&self, trouble: Option<(usize, usize)>, work: impl Future<Output = T>) -> Option<T> {
        if let Some((call, fault)) = trouble {
            self.world.on_call(self.world.calls().len() + call, FAULTS[fault]);
        }
        let done = tokio::select! {
            biased;
            () = self.world.crashed() => None,
            done = work => Some(done),
        };
        self.world.clear_faults();
        done
    }

    async fn deliver(&mut self, count: usize, again: usize, trouble: Option<(usize, usize)>) {
        let all = self.stream().await;
        let (from, to) = (self.delivered.saturating_sub(again), (self.delivered + count).min(all.len()));
        self.seconds += 1;
        let taking = self.fanout.take(&all[from..to], self.now(), &in_time);
        match self.with_trouble(trouble, taking).await {
            // The mapping goes on from the first that failed, be it one that had been delivered before.
            Some(Ok(outcome)) => {
                let first_failed = outcome.failed.iter().map(|(place, _)| from + place).min();
                self.delivered = first_failed.unwrap_or(to);
            }
            Some(Err(_)) => {}
            None => self.fanout = fanout(&self.world, &self.receiver),
        }
    }

    async fn tick(&mut self, trouble: Option<(usize, usize)>) {
        self.seconds += 1;
        let ticking = self.fanout.tick(self.now(), &in_time);
        if self.with_trouble(trouble, ticking).await.is_none() {
            self.fanout = fanout(&self.world, &self.receiver);
        }
    }

    async fn perform(&mut self, step: Step) {
        match step {
            Step::Breaks { device, is_critical, says_so } => {
                let severity = if is_critical { Severity::Critical } else { Severity::Warning };
                let device = DEVICES[device];
                let states: Vec<StateRecord> =
                    says_so.then(|| state(device, self.seconds + 1, true)).into_iter().collect();
                self.put(vec![finding(device, self.seconds + 1, severity)], &states).await;
            }
            Step::Recovers { device } => {
                let states = [state(DEVICES[device], self.seconds + 1, false)];
                self.put(Vec::new(), &states).await;
            }
            Step::Delivers { count, again, trouble, is_new } => {
                if is_new {
                    self.fanout = fanout(&self.world, &self.receiver);
                }
                self.deliver(count, again, trouble).await;
            }
            Step::Ticks { trouble } => self.tick(trouble).await,
            Step::Waits { seconds } => self.seconds += seconds,
            Step::Moods(moods) => self.receiver.be(moods),
        }
    }

    /// No more trouble: everything is delivered, every device is well, and time passes.
    async fn settle(&mut self) {
        self.receiver.be(Vec::new());
        for device in 0..DEVICES.len() {
            self.perform(Step::Recovers { device }).await;
        }
        while self.delivered < self.stream().await.len() {
            self.deliver(50, 0, None).await;
        }
        for _ in 0..240 {
            self.seconds += 60;
            self.fanout.tick(self.now(), &in_time).await.unwrap();
        }
    }

    async fn check(&self) {
        for record in &self.found {
            let key = alert_fanout::place::witness(TENANT, &record.anomaly.device, &record.anomaly.id);
            assert!(self.world.load_entry(&key).await.unwrap().is_some(), "{key} is in no incident");
        }
        for device in DEVICES {
            let pk = format!("{TENANT}#{device}");
            for entry in self.world.list_entries(&pk, "D#", Order::OldestFirst, 10_000).await.unwrap() {
                let delivery: Delivery = serde_json::from_value(entry.body).unwrap();
                assert!(matches!(delivery.state, DeliveryState::Sent { .. }), "{} {delivery:?}", entry.key);
            }
            for entry in self.world.list_entries(&pk, "I#", Order::OldestFirst, 10_000).await.unwrap() {
                let incident: Incident = serde_json::from_value(entry.body).unwrap();
                assert!(!incident.is_open() && incident.notices.is_empty(), "{incident:?}");
                self.check_told(&incident);
            }
        }
    }

    /// Everybody who is to hear of it has heard each notice, and each once where the far side drops what it has already.
    fn check_told(&self, incident: &Incident) {
        let seen = self.receiver.seen();
        let of_it = |channel: &str| {
            let of_it =
                seen.iter().filter(|got| got.channel == channel && got.message.incident == incident.id.as_str());
            of_it.map(|got| (got.message.notice, got.message.state())).collect::<Vec<_>>()
        };
        let told = of_it("ops");
        let numbers: BTreeSet<u32> = told.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (1..=incident.numbered).collect(), "{told:?}");
        assert_eq!(told.len(), numbers.len(), "a notice was told as two: {told:?}");
        let by_number = |(number, _): &(u32, &str)| *number;
        let mut in_order = told.clone();
        in_order.sort_by_key(by_number);
        assert!(matches!(in_order.first(), Some((_, "opened" | "flapping"))), "{in_order:?}");
        assert_eq!(in_order.last().map(|(_, state)| *state), Some("resolved"), "{in_order:?}");
        let chief = of_it("chief");
        assert!(chief.iter().all(|notice| told.contains(notice)), "{chief:?} beside {told:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_no_incident_goes_untold_and_none_is_told_twice(
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        block_on(async {
            let mut run = Run::new();
            for step in steps {
                run.perform(step).await;
            }
            run.settle().await;
            run.check().await;
        });
    }
}
