//! Streams that repeat one from elsewhere.

use telemetry::kinesis::KinesisEvent;

use super::*;

fn origin() -> Origin {
    Origin { partition: "aws".to_owned(), region: "eu-west-1".to_owned(), account: "123456789012".to_owned() }
}

fn info(number: u32, parent: Option<u32>) -> ShardInfo {
    let name = |number: u32| format!("shardId-{number:012}");
    ShardInfo { shard: name(number), parent: parent.map(name), adjacent_parent: None, hash_range: (0, u128::MAX) }
}

fn record(number: u32, word: &str) -> Record {
    Record {
        sequence: number.to_string().parse().unwrap(),
        partition_key: word.into(),
        data: word.as_bytes().into(),
        arrived: at(0),
    }
}

fn mirrored(shards: &[ShardInfo]) -> Bench {
    let mut bench = Bench::new(1, settings());
    bench.stream = Stream::mirror("plant", origin(), 20);
    for shard in shards {
        bench.stream.adopt(shard.clone());
    }
    bench
}

#[test]
fn records_keep_their_shard_number_and_origin() {
    let mut bench = mirrored(&[info(6, None)]);
    bench.stream.append("shardId-000000000006", record(4959, "a")).unwrap();
    let invocation = bench.poll().unwrap();
    let event = invocation.event_from(bench.stream.name(), bench.stream.origin());
    let event = KinesisEvent::parse(&event).unwrap();
    let source = event.source().unwrap().unwrap();
    assert_eq!((source.region, source.account), ("eu-west-1", "123456789012"));
    assert_eq!((source.stream, source.shard), ("plant", "shardId-000000000006"));
    assert_eq!(event.records[0].sequence.trimmed(), "4959");
    assert_eq!(origin().stream_arn("plant"), "arn:aws:kinesis:eu-west-1:123456789012:stream/plant");
}

#[test]
fn children_wait_for_their_parents_to_close_and_unknown_parents_have_expired() {
    let mut bench = mirrored(&[info(3, Some(2)), info(5, Some(3))]);
    bench.stream.append("shardId-000000000005", record(50, "child")).unwrap();
    bench.stream.append("shardId-000000000003", record(30, "parent")).unwrap();
    assert_eq!(bench.deliver_failing_on(""), ["parent"]);
    bench.stream.close("shardId-000000000003");
    assert_eq!(bench.deliver_failing_on(""), ["child"]);
}

#[test]
fn each_shard_has_its_own_bound() {
    let mut bench = mirrored(&[info(0, None), info(1, None)]);
    let [first, second] = ["shardId-000000000000", "shardId-000000000001"];
    bench.stream.append(first, record(1, "aaaaaaaa")).unwrap();
    let full = AppendError::Put(PutRecordError::Full { bytes: 16, bytes_max: 20 });
    assert_eq!(bench.stream.append(first, record(2, "bbbb")), Err(full));
    bench.stream.append(second, record(2, "bbbb")).unwrap();
    assert_eq!(bench.deliver_failing_on(""), ["aaaaaaaa", "bbbb"]);
    bench.stream.trim(first, "1".parse().unwrap());
    bench.stream.append(first, record(2, "bbbb")).unwrap();
}

#[test]
fn what_is_out_of_order_or_after_the_end_is_refused() {
    let mut bench = mirrored(&[info(0, None)]);
    let shard = "shardId-000000000000";
    bench.stream.append(shard, record(7, "a")).unwrap();
    for number in [7, 6] {
        let error = bench.stream.append(shard, record(number, "b")).unwrap_err();
        assert!(matches!(error, AppendError::NotAfter { .. }), "{error}");
    }
    assert_eq!(bench.stream.append("x", record(8, "b")), Err(AppendError::NotOpen("x".to_owned())));
    bench.stream.close(shard);
    assert_eq!(bench.stream.append(shard, record(8, "b")), Err(AppendError::NotOpen(shard.to_owned())));
    bench.stream.end();
    assert_eq!(bench.stream.append(shard, record(8, "b")), Err(AppendError::Put(PutRecordError::Ended)));
}
