//! Laws that hold whatever the function answers and whatever the settings are.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Answer {
    Works,
    Fails,
    FailsFrom(usize),
    NotReached,
    Unnoted,
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => Just(Answer::Works),
        2 => Just(Answer::Fails),
        3 => (0_usize..10).prop_map(Answer::FailsFrom),
        1 => Just(Answer::NotReached),
        1 => Just(Answer::Unnoted),
    ]
}

fn any_settings() -> impl Strategy<Value = MappingSettings> {
    let retries = prop_oneof![Just(None), (0_u32..4).prop_map(Some)];
    (1_usize..12, 1_usize..5, any::<bool>(), retries).prop_map(
        |(batch_size, parallelization_factor, bisect_on_error, retries_max)| MappingSettings {
            batch_size,
            parallelization_factor,
            bisect_on_error,
            retries_max,
            ..settings()
        },
    )
}

/// What the function made of the answers it gave.
#[derive(Default)]
struct Seen {
    /// Words that were done, by partition key, in the order in which they were done.
    done: BTreeMap<String, Vec<u32>>,
    discarded: Vec<u32>,
}

fn drive(bench: &mut Bench, answers: &[Answer], reshard_at: usize) -> Seen {
    let mut seen = Seen::default();
    let mut answers = answers.iter();
    for put in 0..60_u32 {
        if put as usize == reshard_at {
            bench.stream.split("shardId-000000000000", 1 << 126).unwrap();
        }
        bench.stream.put(&format!("pump-{}", put % 7), &put.to_be_bytes(), bench.now).unwrap();
    }
    while let Some(invocation) = bench.poll() {
        let count = invocation.records.len();
        let (outcome, done) = match answers.next().unwrap_or(&Answer::Works) {
            Answer::Works => (Outcome::Success, count),
            Answer::Fails => (failure(), 0),
            Answer::NotReached => (Outcome::NotInvoked, 0),
            Answer::Unnoted => (Outcome::Unnoted, 0),
            Answer::FailsFrom(index) => {
                let index = index % count;
                (Outcome::FailedFrom(invocation.records[index].sequence), index)
            }
        };
        for record in &invocation.records[..done] {
            seen.done.entry(record.partition_key.to_string()).or_default().push(word(record));
        }
        bench.complete(&invocation, outcome);
        seen.discarded.extend(bench.mapping.take_discarded().iter().flat_map(|one| &one.records).map(word));
    }
    seen
}

fn word(record: &Record) -> u32 {
    u32::from_be_bytes(record.data[..].try_into().unwrap())
}

proptest! {
    #[test]
    fn every_record_is_done_once_in_order_of_its_key_or_discarded(
        settings in any_settings(),
        answers in prop::collection::vec(answer(), 0..80),
        shards in 1_u32..4,
        reshard_at in 0_usize..60,
    ) {
        let keeps_everything = settings.retries_max.is_none();
        let mut bench = Bench::new(shards, settings);
        let seen = drive(&mut bench, &answers, reshard_at);
        prop_assert!(bench.mapping.is_drained(&bench.stream));
        for (key, words) in &seen.done {
            prop_assert!(words.is_sorted(), "{key}: {words:?}");
        }
        let mut all: Vec<u32> = seen.done.into_values().flatten().chain(seen.discarded.iter().copied()).collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..60).collect::<Vec<_>>());
        prop_assert!(!keeps_everything || seen.discarded.is_empty());
        for shard in bench.stream.shards() {
            let last = bench.stream.records_after(&shard.shard, None).last().map(|record| record.sequence);
            prop_assert_eq!(bench.mapping.checkpoint(&shard.shard), last);
        }
    }
}
