//! Shards: numbers, hash ranges, split and merge, limits and trimming.

use super::*;

#[test]
fn the_same_puts_give_the_same_shards_and_numbers() {
    let numbers = || {
        let mut stream = Stream::new("plant", 4, 1 << 20);
        (0..40).map(|index| stream.put(&format!("pump-{index}"), b"x", at(index)).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(numbers(), numbers());
    let first = &numbers()[0].1;
    assert_eq!(first.trimmed().len(), 56);
}

#[test]
fn the_hash_key_is_the_md5_of_the_partition_key() {
    assert_eq!(hash_key("abc"), 0x9001_5098_3cd2_4fb0_d696_3f7d_28e1_7f72);
}

#[test]
fn hash_ranges_cover_everything_once() {
    for count in [1, 2, 3, 7, 1000] {
        let shards = Stream::new("plant", count, 1).shards();
        assert_eq!(shards.len(), count as usize);
        assert_eq!(shards[0].hash_range.0, 0);
        assert_eq!(shards.last().unwrap().hash_range.1, u128::MAX);
        for pair in shards.windows(2) {
            assert_eq!(pair[0].hash_range.1 + 1, pair[1].hash_range.0);
        }
    }
}

#[test]
fn children_are_read_after_their_parent_and_have_higher_numbers() {
    let mut bench = Bench::with_words("a b c d", settings());
    let parent = bench.stream.shards()[0].shard.clone();
    let [low, high] = bench.stream.split(&parent, hash_key("b")).unwrap();
    bench.put("a b c d");
    let (before, words) = bench.next().unwrap();
    assert_eq!((&*before.shard, words.as_str()), (parent.as_str(), "a b c d"));
    assert!(bench.poll().is_none(), "the parent is not finished");
    let numbers = |invocation: &Invocation| invocation.records.iter().map(|record| record.sequence).collect::<Vec<_>>();
    bench.complete(&before, Outcome::Success);
    let (first, _) = bench.next().unwrap();
    let (second, _) = bench.next().unwrap();
    assert_eq!([&*first.shard, &*second.shard], [&*low, &*high]);
    assert!(numbers(&before).iter().max() < numbers(&first).iter().chain(&numbers(&second)).min());
    let kept = |invocation: &Invocation, holds: fn(u128) -> bool| {
        invocation.records.iter().all(|record| holds(hash_key(&record.partition_key)))
    };
    assert!(kept(&first, |hash| hash < hash_key("b")) && kept(&second, |hash| hash >= hash_key("b")));
}

#[test]
fn a_merged_shard_waits_for_both_parents() {
    let mut bench = Bench::new(2, settings());
    bench.put("a b c d e f");
    let [a, b] = [0, 1].map(|index: usize| bench.stream.shards()[index].shard.clone());
    let child = bench.stream.merge(&a, &b).unwrap();
    let info = bench.stream.shards().pop().unwrap();
    assert_eq!((info.parent, info.adjacent_parent), (Some(a), Some(b)));
    assert_eq!(info.hash_range, (0, u128::MAX));
    bench.put("g");
    let (first, _) = bench.next().unwrap();
    let (second, _) = bench.next().unwrap();
    bench.complete(&first, Outcome::Success);
    assert!(bench.poll().is_none());
    bench.complete(&second, Outcome::Success);
    let (last, words) = bench.next().unwrap();
    assert_eq!((last.shard, words.as_str()), (child, "g"));
}

#[test]
fn an_empty_parent_does_not_hold_up_its_children() {
    let mut bench = Bench::new(1, settings());
    bench.stream.split("shardId-000000000000", 1 << 127).unwrap();
    bench.put("a");
    assert_eq!(bench.deliver_failing_on(""), ["a"]);
}

#[test]
fn what_cannot_be_split_or_merged_is_refused() {
    let mut stream = Stream::new("plant", 3, 1);
    let name = |index: usize| format!("shardId-{index:012}");
    assert_eq!(stream.split("x", 1), Err(ReshardError::NotOpen("x".to_owned())));
    assert!(matches!(stream.split(&name(0), 0), Err(ReshardError::NotInside { .. })));
    assert!(matches!(stream.split(&name(0), u128::MAX), Err(ReshardError::NotInside { .. })));
    assert!(matches!(stream.merge(&name(0), &name(2)), Err(ReshardError::NotNeighbours(..))));
    stream.merge(&name(1), &name(0)).unwrap();
    assert!(matches!(stream.split(&name(0), 5), Err(ReshardError::NotOpen(_))), "it is closed");
}

#[test]
fn records_that_kinesis_refuses_are_refused() {
    let mut stream = Stream::new("plant", 1, usize::MAX);
    assert_eq!(stream.put("", b"x", at(0)), Err(PutRecordError::PartitionKey { chars: 0 }));
    assert!(stream.put(&"ü".repeat(256), b"x", at(0)).is_ok());
    assert_eq!(stream.put(&"ü".repeat(257), b"x", at(0)), Err(PutRecordError::PartitionKey { chars: 257 }));
    assert!(stream.put("k", &vec![0; RECORD_BYTES_MAX - 1], at(0)).is_ok());
    let bytes = RECORD_BYTES_MAX + 1;
    assert_eq!(stream.put("k", &vec![0; RECORD_BYTES_MAX], at(0)), Err(PutRecordError::TooLarge { bytes }));
    stream.end();
    assert_eq!(stream.put("k", b"x", at(0)), Err(PutRecordError::Ended));
}

#[test]
fn a_full_stream_refuses_and_takes_again_after_trimming() {
    let mut stream = Stream::new("plant", 1, 20);
    let (shard, first) = stream.put("k", &[0; 9], at(0)).unwrap();
    let (_, second) = stream.put("k", &[0; 9], at(0)).unwrap();
    assert_eq!(stream.put("k", &[0; 9], at(0)), Err(PutRecordError::Full { bytes: 20, bytes_max: 20 }));
    stream.trim(&shard, first);
    assert_eq!(stream.bytes(), 10);
    let (_, third) = stream.put("k", &[0; 9], at(0)).unwrap();
    let kept: Vec<_> = stream.records_after(&shard, None).map(|record| record.sequence).collect();
    assert_eq!(kept, [second, third]);
    assert_eq!(stream.records_after(&shard, Some(second)).count(), 1);
}

#[test]
fn what_is_trimmed_in_advance_is_not_kept_but_numbered() {
    let mut first_run = Stream::new("plant", 1, 20);
    let (shard, committed) = first_run.put("k", b"a", at(0)).unwrap();
    let (_, after) = first_run.put("k", b"b", at(1)).unwrap();

    let mut stream = Stream::new("plant", 1, 20);
    stream.trim(&shard, committed);
    assert_eq!(stream.put("k", b"a", at(0)).unwrap().1, committed);
    assert_eq!(stream.put("k", b"b", at(1)).unwrap().1, after);
    assert_eq!(stream.bytes(), 2);
}

#[test]
fn a_mapping_can_start_after_a_number() {
    let mut bench = Bench::with_words("a b c", settings());
    let second = bench.stream.records_after("shardId-000000000000", None).nth(1).unwrap().sequence;
    bench.mapping = Mapping::new(settings()).unwrap().starting_after("shardId-000000000000", second);
    assert_eq!(bench.mapping.checkpoint("shardId-000000000000"), Some(second));
    assert_eq!(bench.deliver_failing_on(""), ["c"]);
}

#[test]
fn shards_take_turns() {
    let mut bench = Bench::new(3, MappingSettings { batch_size: 1, ..settings() });
    bench.put("a b c d e f g h i j k l m n o p");
    let mut turns = Vec::new();
    for _ in 0..6 {
        let (invocation, _) = bench.next().unwrap();
        turns.push(invocation.shard.to_string());
        bench.complete(&invocation, Outcome::Success);
    }
    let once: std::collections::BTreeSet<_> = turns[..3].iter().collect();
    assert_eq!(once.len(), 3, "{turns:?}");
    assert_eq!(turns[..3], turns[3..]);
}
