//! A second model that is right, down, slow or wrong: scoring goes on all the same, what it said is kept, and a replay asks
//! nobody.

use std::sync::Arc;
use std::time::Duration;

use anomaly_core::DetectorId;
use kinesis_scorer::opinion::OpinionSettings;
use kinesis_scorer::{Config, Scorer};
use platform::metrics::OpinionMetrics;
use platform::model::Segment;
use platform::ports::{AskError, AskErrorKind};
use platform::sim::{Fault, SimWorld, When};
use proptest::prelude::*;

use super::accounting::Kept;
use super::outcome::{Outcome, assert_unbroken};
use super::workload::{
    Record, SHARD, block_on, config, deliver_all, deliver_within, message, mixed, resume, scorer, shard,
};

pub(crate) type Asking = Scorer<SimWorld, Kept, SimWorld>;

/// The workload is too short for detectors to be half-way sure of anything, so whatever is not abnormal is asked about.
pub(crate) fn asking() -> Config {
    let opinion = OpinionSettings { watch: 0.0, ..OpinionSettings::new("second") };
    Config { opinion: Some(opinion), snapshot_seconds: 86_400, ..config() }
}

pub(crate) fn process(world: &SimWorld, kept: &Kept, config: Config) -> Arc<Asking> {
    Arc::new(Scorer::new(world.clone(), kept.clone(), config).with_second_opinion(Some(world.clone())))
}

/// A model with an opinion on every row that follows from the row alone.
pub(crate) fn settled(world: &SimWorld) {
    world.define_model(|rows| Ok(answer(rows, strength_of)));
}

fn answer(rows: &[u8], strength: impl Fn(&[u8]) -> f64) -> Vec<u8> {
    let rows = rows.split(|byte| *byte == b'\n').filter(|row| !row.is_empty());
    let lines: Vec<String> = rows.map(|row| format!("{{\"score\":{},\"line\":4}}\n", 4.0 * strength(row))).collect();
    lines.concat().into_bytes()
}

/// Between 0 and 2, in steps of a quarter.
fn strength_of(row: &[u8]) -> f64 {
    let hash = row.iter().fold(7_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    (hash >> 40 & 7) as f64 / 4.0
}

/// Delivers everything in batches of these sizes, the last one for all that is left, each to the process that `of` gives.
pub(crate) async fn deliver_cut(records: &[Record], cuts: &[usize], mut of: impl FnMut() -> Arc<Asking>) {
    let (mut next, mut cuts) = (0, cuts.iter());
    while next < records.len() {
        let size = cuts.next().copied().unwrap_or(records.len());
        let batch = &records[next..(next + size).min(records.len())];
        next += resume(batch, &deliver_within(&of(), SHARD, batch, &|| Duration::from_mins(1)).await);
    }
}

fn told(world: &SimWorld) -> usize {
    world.anomalies().iter().filter(|record| record.anomaly.detector == DetectorId::Model).count()
}

fn asked(world: &SimWorld) -> usize {
    world.calls().iter().filter(|call| call.verb == "ask model").count()
}

/// What was counted, summed up.
fn counts(kept: &Kept) -> OpinionMetrics {
    let mut sum = OpinionMetrics::default();
    kept.0.lock().unwrap().iter().filter_map(|metrics| metrics.opinions).for_each(|opinions| sum += opinions);
    sum
}

#[test]
fn what_it_says_is_kept_told_once_and_explained() {
    let records: Vec<Record> = (0..30).map(|index| message(index, "pump-1", index as i64, 50.0, 2.0)).collect();
    let (world, kept) = (SimWorld::new(), Kept::default());
    world.define_model(|rows| Ok(answer(rows, |_| 1.5)));
    block_on(async {
        let process = process(&world, &kept, asking());
        deliver_cut(&records, &[10, 10, 10], || Arc::clone(&process)).await;
    });
    assert_eq!(told(&world), 1);
    let record = world.anomalies().into_iter().find(|record| record.anomaly.detector == DetectorId::Model).unwrap();
    assert_eq!((record.anomaly.score, record.seq, record.anomaly.onset), (1.5, records[0].seq, super::workload::at(0)));
    let summary = &record.anomaly.explanation.summary;
    assert!(
        summary.starts_with("model `second` puts pump-1 at 150 % of its alarm line, the detectors at 0 %"),
        "{summary}"
    );
    assert_eq!(record.anomaly.explanation.contributions.len(), 2);
    let rows = 30;
    assert_eq!(counts(&kept), OpinionMetrics { asked: rows, answered: rows, failed: 0, skipped: 0 });
    assert_eq!(asked(&world), 3);
    assert_eq!(Outcome::of(&world).silver_text().matches("opinion: Some(1.5)").count(), 60);
}

#[test]
fn the_question_is_a_row_of_json_for_each_observation() {
    let (world, kept) = (SimWorld::new(), Kept::default());
    let (send, questions) = std::sync::mpsc::channel();
    world.define_model(move |rows| {
        send.send(String::from_utf8(rows.to_vec()).unwrap()).unwrap();
        Ok(Vec::new())
    });
    let records = [message(0, "pump-1", 0, 50.5, 2.0), message(1, "fan-1", 0, 20.0, 1.0)];
    block_on(deliver_cut(&records, &[2], || process(&world, &kept, asking())));
    let expected = "{\"tenant\":\"acme\",\"device\":\"pump-1\",\"ts\":1790000000000,\"temperature\":50.5,\"vibration\":2.0}\n\
                    {\"tenant\":\"acme\",\"device\":\"fan-1\",\"ts\":1790000000000,\"temperature\":20.0,\"vibration\":1.0}\n";
    assert_eq!(questions.recv().unwrap(), expected);
}

#[test]
fn no_more_is_asked_about_than_the_settings_say() {
    let (world, kept) = (SimWorld::new(), Kept::default());
    settled(&world);
    let mut config = asking();
    config.opinion.as_mut().unwrap().rows = 3;
    let records: Vec<Record> = (0..10).map(|index| message(index, "pump-1", index as i64, 50.0, 2.0)).collect();
    block_on(deliver_cut(&records, &[10], || process(&world, &kept, config.clone())));
    assert_eq!(counts(&kept), OpinionMetrics { asked: 3, answered: 3, failed: 0, skipped: 7 });
}

#[test]
fn whatever_it_does_scoring_goes_on_and_it_is_counted() {
    type Model = Box<dyn FnMut(&[u8]) -> Result<Vec<u8>, AskError> + Send>;
    let records = mixed(60, 5);
    let plain = SimWorld::new();
    block_on(deliver_all(&scorer(&plain), SHARD, &records, 20));
    let fails = |kind| move |_: &[u8]| Err(AskError { kind, target: "m".into(), remedy: "fails".into(), source: None });
    let models: Vec<(&str, Model)> = vec![
        ("unreachable", Box::new(fails(AskErrorKind::Unreachable))),
        ("throttled", Box::new(fails(AskErrorKind::Throttled))),
        ("refused", Box::new(fails(AskErrorKind::Refused))),
        ("failing", Box::new(fails(AskErrorKind::Model))),
        ("no answer", Box::new(|_| Ok(Vec::new()))),
        ("no JSON", Box::new(|rows| Ok(answer(rows, |_| f64::NAN)))),
        ("too few", Box::new(|rows| Ok(answer(&rows[..rows.len() / 2], |_| 2.0)))),
        ("binary", Box::new(|_| Ok(vec![0xff; 1 << 20]))),
    ];
    for (name, model) in models {
        let (world, kept) = (SimWorld::new(), Kept::default());
        world.define_model(model);
        let process = process(&world, &kept, asking());
        block_on(deliver_cut(&records, &[20, 20, 20], || Arc::clone(&process)));
        assert_unbroken(&world, SHARD);
        assert_eq!(Outcome::of(&world), Outcome::of(&plain), "{name}");
        let OpinionMetrics { asked, answered, failed, skipped } = counts(&kept);
        assert!(asked > 40 && skipped == 0, "{name}");
        assert_eq!((answered, failed), (0, asked), "{name}");
    }
}

#[test]
fn one_that_never_answers_costs_a_batch_its_budget_and_no_more() {
    let records = mixed(20, 5);
    let (world, kept) = (SimWorld::new(), Kept::default());
    settled(&world);
    world.on_every_call(When::verb("ask model"), Fault::ParkBefore);
    block_on(async {
        let began = tokio::time::Instant::now();
        let remaining = move || Duration::from_mins(1).saturating_sub(began.elapsed());
        let process = process(&world, &kept, asking());
        let response = deliver_within(&process, SHARD, &records, &remaining).await;
        assert!(response.batch_item_failures.is_empty());
        assert_eq!(began.elapsed(), Duration::from_millis(300));
    });
    let OpinionMetrics { asked, failed, .. } = counts(&kept);
    assert_eq!((asked > 10, failed), (true, asked));
}

#[test]
fn with_no_time_to_spare_nobody_is_asked() {
    let records = mixed(20, 5);
    let (world, kept) = (SimWorld::new(), Kept::default());
    settled(&world);
    block_on(async {
        let process = process(&world, &kept, Config { reserve_ms: 1_000, ..asking() });
        deliver_within(&process, SHARD, &records, &|| Duration::from_millis(510)).await;
    });
    // The reserve is half of what there is: 255 ms are left for the model.
    assert!(counts(&kept).asked > 0);
    let (world, kept) = (SimWorld::new(), Kept::default());
    settled(&world);
    block_on(async {
        let process = process(&world, &kept, asking());
        deliver_within(&process, SHARD, &records, &|| Duration::from_millis(110)).await;
    });
    let OpinionMetrics { asked, skipped, .. } = counts(&kept);
    assert!(asked == 0 && skipped > 10, "{asked} {skipped}");
}

#[test]
fn after_three_failures_nobody_asks_until_a_minute_later_one_batch_tries() {
    let (world, kept) = (SimWorld::new(), Kept::default());
    settled(&world);
    world.on_every_call(When::verb("ask model"), Fault::Unavailable);
    // A message every ten seconds, a batch each.
    let records: Vec<Record> = (0..30)
        .map(|index| {
            let mut record = message(index, "pump-1", index as i64, 50.0, 2.0);
            record.arrived = super::workload::at(index as i64 * 10_000);
            record
        })
        .collect();
    let process = process(&world, &kept, asking());
    block_on(deliver_cut(&records[..20], &[1; 20], || Arc::clone(&process)));
    // At 0, 10 and 20 s; then at 80 s; then not before 200 s.
    assert_eq!(asked(&world), 4);
    assert_eq!(counts(&kept), OpinionMetrics { asked: 4, answered: 0, failed: 4, skipped: 16 });
    world.clear_faults();
    block_on(deliver_cut(&records[20..], &[1; 10], || Arc::clone(&process)));
    assert_eq!(asked(&world), 14);
    assert_eq!(counts(&kept).answered, 10);
}

#[test]
fn without_a_model_there_is_no_metric_and_no_call_more() {
    let records = mixed(40, 5);
    let (world, kept) = (SimWorld::new(), Kept::default());
    let plain: Scorer<SimWorld, Kept, SimWorld> =
        Scorer::new(world.clone(), kept.clone(), config()).with_second_opinion(Some(world.clone()));
    let plain = Arc::new(plain);
    block_on(deliver_cut(&records, &[20, 20], || Arc::clone(&plain)));
    assert!(kept.0.lock().unwrap().iter().all(|metrics| metrics.opinions.is_none()));
    assert_eq!(asked(&world), 0);
    let checkpoint = world.checkpoint(&shard(SHARD)).unwrap();
    assert!(checkpoint.segments.iter().all(|segment| segment.opinions.is_none()));
}

#[test]
fn a_cold_start_reads_the_opinions_and_stops_where_they_are_gone() {
    let records = mixed(60, 5);
    let (world, kept) = (SimWorld::new(), Kept::default());
    settled(&world);
    block_on(deliver_cut(&records[..40], &[20, 20], || process(&world, &kept, asking())));
    let segments = world.checkpoint(&shard(SHARD)).unwrap().segments;
    let Some(Segment { opinions: Some(silver), .. }) = segments.last() else { panic!("no opinions in {segments:?}") };
    let good = world.object(&silver.key).unwrap();
    world.remove_object(&silver.key);
    let batch = &records[40..];
    block_on(async {
        let cold = process(&world, &kept, asking());
        let response = deliver_within(&cold, SHARD, batch, &|| Duration::from_mins(1)).await;
        assert_eq!(resume(batch, &response), 0, "a shard does not go on without what was told");
        world.place_object(silver.key.clone(), good);
        deliver_cut(batch, &[20], || Arc::clone(&cold)).await;
    });
    assert_unbroken(&world, SHARD);
}

#[test]
fn a_batch_that_comes_again_tells_what_is_committed_and_nothing_else() {
    let records = mixed(40, 5);
    for fault in [Fault::Unavailable, Fault::UnavailableButLands, Fault::LandsLater] {
        let (world, kept) = (SimWorld::new(), Kept::default());
        // Another answer each time.
        let mut asked = 0_u64;
        world.define_model(move |rows| {
            asked += 1;
            Ok(answer(rows, |row| strength_of(&[row, &asked.to_le_bytes()].concat())))
        });
        for skipped in 0..4 {
            world.on_call(When::nth("commit", skipped), fault);
            world.on_call(When::nth("put object", 2 * skipped), fault);
        }
        block_on(async {
            deliver_cut(&records, &[7; 40], || process(&world, &kept, asking())).await;
            world.land();
        });
        assert_unbroken(&world, SHARD);
        // Whoever was told of has an opinion at the line in the silver that is committed.
        let outcome = Outcome::of(&world);
        for record in world.anomalies().iter().filter(|record| record.anomaly.detector == DetectorId::Model) {
            let (device, score) = (format!("device: \"{}\"", record.anomaly.device), record.anomaly.score);
            let opinion = format!("opinion: Some({score:?})");
            let seq = format!("{:?}", record.seq);
            let is_recorded = |row: &&str| row.contains(&device) && row.contains(&opinion) && row.contains(&seq);
            assert!(outcome.silver_text().lines().any(|row| is_recorded(&row)), "{fault:?}: {record:?}");
        }
    }
}

/// A batch of more findings than a transaction holds: what the engine found goes ahead of the checkpoint in chunks, for it finds
/// the same again; what the model said does not, for it says something else.
#[test]
fn in_a_storm_too_what_the_model_said_goes_with_the_checkpoint_or_not_at_all() {
    let hot = (0..110).map(|index| message(index, &format!("pump-{index}"), 0, 95.0, 2.0));
    let calm = (110..150).map(|index| message(index, &format!("pump-{index}"), 0, 50.0, 2.0));
    let records: Vec<Record> = hot.chain(calm).collect();
    let (world, kept) = (SimWorld::new(), Kept::default());
    let mut asked = 0;
    world.define_model(move |rows| {
        asked += 1;
        Ok(answer(rows, |_| if asked == 1 { 2.0 } else { 0.25 }))
    });
    // A chunk lands; what comes after it does not, however often it is tried.
    let mut commits = 0;
    let after_the_first = When::matching(move |call| {
        commits += usize::from(call.verb == "commit");
        call.verb == "commit" && commits > 1
    });
    world.on_every_call(after_the_first, Fault::Unavailable);
    block_on(async {
        deliver_within(&process(&world, &kept, asking()), SHARD, &records, &|| Duration::from_mins(1)).await;
        assert!(world.anomalies().len() > 90, "nothing went ahead: this shows nothing");
        assert_eq!(told(&world), 0);
        world.clear_faults();
        deliver_cut(&records, &[], || process(&world, &kept, asking())).await;
    });
    assert_unbroken(&world, SHARD);
    assert_eq!((world.anomalies().len(), told(&world)), (110, 0), "the second answer is the one that counts");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// The model's opinion follows from the row, so that the outcome must not depend on cuts either.
    #[test]
    fn a_cold_start_knows_what_a_warm_process_knows(
        salt in any::<u64>(),
        cuts in proptest::collection::vec(1..60_usize, 1..12),
    ) {
        let records = mixed(160, salt);
        let (warm, cold, whole) = (SimWorld::new(), SimWorld::new(), SimWorld::new());
        [&warm, &cold, &whole].into_iter().for_each(settled);
        let kept = Kept::default();
        block_on(async {
            let process = process(&warm, &kept, asking());
            deliver_cut(&records, &cuts, || Arc::clone(&process)).await;
            deliver_cut(&records, &cuts, || self::process(&cold, &kept, asking())).await;
            deliver_cut(&records, &[], || self::process(&whole, &kept, asking())).await;
        });
        prop_assert!(told(&warm) > 3);
        prop_assert_eq!(Outcome::of(&cold), Outcome::of(&warm));
        prop_assert_eq!(Outcome::of(&whole), Outcome::of(&warm));
    }
}
