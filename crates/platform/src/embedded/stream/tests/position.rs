//! Where a mapping begins.

use super::*;

fn starting_at(position: StartingPosition) -> Bench {
    let mut bench = Bench::new(1, settings());
    bench.mapping = Mapping::new(settings()).unwrap().starting_at(position);
    for second in 0..4 {
        bench.now = at(second);
        bench.put(&format!("s{second}"));
    }
    bench
}

#[test]
fn trim_horizon_begins_at_the_oldest_record() {
    assert_eq!(starting_at(StartingPosition::TrimHorizon).deliver_failing_on(""), ["s0 s1 s2 s3"]);
}

#[test]
fn latest_begins_after_what_is_there() {
    let mut bench = starting_at(StartingPosition::Latest);
    assert!(bench.poll().is_none() && bench.mapping.is_drained(&bench.stream));
    bench.put("new");
    assert_eq!(bench.deliver_failing_on(""), ["new"]);
}

#[test]
fn latest_reads_a_child_that_opens_later_from_its_beginning() {
    let mut bench = starting_at(StartingPosition::Latest);
    assert!(bench.poll().is_none());
    bench.stream.split("shardId-000000000000", 1 << 127).unwrap();
    bench.put("child");
    assert_eq!(bench.deliver_failing_on(""), ["child"]);
}

#[test]
fn at_timestamp_begins_at_the_first_record_of_that_instant() {
    let mut bench = starting_at(StartingPosition::AtTimestamp(at(2)));
    assert_eq!(bench.deliver_failing_on(""), ["s2 s3"]);
    assert!(bench.mapping.is_drained(&bench.stream));
    let mut bench = starting_at(StartingPosition::AtTimestamp(at(100)));
    assert!(bench.poll().is_none() && bench.mapping.is_drained(&bench.stream));
}
