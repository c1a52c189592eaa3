//! Batches, answers, retries, bisecting, age and parallel lanes.

use std::time::Duration;

use super::*;

#[test]
fn a_batch_has_the_records_of_a_shard_in_order_up_to_the_batch_size() {
    let mut bench = Bench::with_words("a b c d e", MappingSettings { batch_size: 2, ..settings() });
    assert_eq!(bench.deliver_failing_on(""), ["a b", "c d", "e"]);
    assert!(bench.mapping.is_drained(&bench.stream));
}

#[test]
fn a_shard_waits_for_the_event_that_is_under_way() {
    let mut bench = Bench::with_words("a b c", MappingSettings { batch_size: 2, ..settings() });
    let (first, _) = bench.next().unwrap();
    assert!(bench.poll().is_none());
    bench.complete(&first, Outcome::Success);
    assert_eq!(bench.next().unwrap().1, "c");
}

#[test]
fn a_batch_that_is_not_full_waits_for_its_window() {
    let window = Duration::from_secs(20);
    let mut bench = Bench::with_words("a", MappingSettings { batch_size: 3, batch_window: window, ..settings() });
    assert!(bench.poll().is_none());
    assert_eq!(bench.mapping.wake_at(), Some(at(20)));
    bench.now = at(19);
    bench.put("b");
    assert!(bench.poll().is_none());
    bench.now = at(20);
    assert_eq!(bench.next().unwrap().1, "a b");
}

#[test]
fn a_full_batch_and_the_end_of_the_stream_do_not_wait_for_the_window() {
    let window = Duration::from_mins(5);
    let mut bench = Bench::with_words("a b c", MappingSettings { batch_size: 2, batch_window: window, ..settings() });
    assert_eq!(bench.deliver_failing_on(""), ["a b"]);
    bench.stream.end();
    assert_eq!(bench.deliver_failing_on(""), ["c"]);
}

#[test]
fn an_event_has_at_most_six_megabytes() {
    let mut bench = Bench::new(1, MappingSettings { batch_size: 10_000, ..settings() });
    let data = vec![7; 900_000];
    for key in ["plain", "quo\"te", "tab\t", "ü"].iter().cycle().take(30) {
        bench.stream.put(key, &data, bench.now).unwrap();
    }
    let mut records = 0;
    while let Some(invocation) = bench.poll() {
        let bytes = invocation.event("plant").len();
        assert!(bytes <= EVENT_BYTES_MAX, "{bytes}");
        assert_eq!(invocation.records.len(), if records < 25 { 5 } else { 30 - records });
        records += invocation.records.len();
        bench.complete(&invocation, Outcome::Success);
    }
    assert_eq!(records, 30);
}

#[test]
fn small_records_fill_an_event_almost_to_its_limit() {
    let mut bench = Bench::new(1, MappingSettings { batch_size: 10_000, ..settings() });
    for _ in 0..10_000 {
        bench.stream.put("pump-7", &[7; 172], bench.now).unwrap();
    }
    let bytes = bench.poll().unwrap().event("plant").len();
    assert!((EVENT_BYTES_MAX * 98 / 100..=EVENT_BYTES_MAX).contains(&bytes), "{bytes}");
}

#[test]
fn the_answer_of_the_function_is_read_as_documented() {
    let bench = Bench::with_words("a b c", settings());
    let records: Vec<Record> = bench.stream.records_after("shardId-000000000000", None).cloned().collect();
    let number = |index: usize| records[index].sequence;
    let whole = || Outcome::Failure { error: String::new() };
    let item = |identifier: &str| format!(r#"{{"batchItemFailures":[{{"itemIdentifier":{identifier}}}]}}"#);
    let second = format!("\"{}\"", number(1).trimmed());
    let third = format!("\"{}\"", number(2).trimmed());
    let both = format!(r#"{{"batchItemFailures":[{{"itemIdentifier":{third}}},{{"itemIdentifier":{second}}}]}}"#);
    for (answer, expected) in [
        ("", Outcome::Success),
        ("null", Outcome::Success),
        ("{}", Outcome::Success),
        (r#"{"batchItemFailures":null}"#, Outcome::Success),
        (r#"{"batchItemFailures":[]}"#, Outcome::Success),
        (item(&third).as_str(), Outcome::FailedFrom(number(2))),
        (both.as_str(), Outcome::FailedFrom(number(1))),
        (item("\"\"").as_str(), whole()),
        (item("null").as_str(), whole()),
        (item("17").as_str(), whole()),
        (item("\"17\"").as_str(), whole()),
        (format!(r#"{{"batchItemFailures":[{{"itemIdentifer":{second}}}]}}"#).as_str(), whole()),
        (r#"{"batchItemFailures":"all"}"#, whole()),
        (r#""fine""#, whole()),
        ("fine", whole()),
    ] {
        let mut outcome = Outcome::of_response(&Ok(answer.as_bytes().to_vec()), &records, true);
        if let Outcome::Failure { error } = &mut outcome {
            assert!(!error.is_empty(), "{answer}");
            error.clear();
        }
        assert_eq!(outcome, expected, "{answer}");
        assert_eq!(
            Outcome::of_response(&Ok(answer.as_bytes().to_vec()), &records, false),
            Outcome::Success,
            "{answer}"
        );
    }
    let thrown = Outcome::of_response(&Err("timed out".to_owned()), &records, false);
    assert_eq!(thrown, Outcome::Failure { error: "timed out".to_owned() });
}

#[test]
fn a_failed_event_comes_again_whole_until_it_works() {
    let mut bench = Bench::with_words("a b", settings());
    for attempt in 1..=50 {
        let (invocation, words) = bench.next().unwrap();
        assert_eq!((words.as_str(), invocation.attempt), ("a b", attempt));
        bench.complete(&invocation, failure());
    }
    assert_eq!(bench.discarded(), []);
}

#[test]
fn from_the_lowest_failed_record_on_everything_comes_again() {
    let mut bench = Bench::with_words("a b c d", settings());
    let (invocation, _) = bench.next().unwrap();
    let third = invocation.records[2].sequence;
    let before = invocation.records[1].sequence;
    bench.complete(&invocation, Outcome::FailedFrom(third));
    assert_eq!(bench.mapping.checkpoint(&invocation.shard), Some(before));
    bench.put("e");
    assert_eq!(bench.deliver_failing_on(""), ["c d", "e"]);
}

#[test]
fn retries_are_counted_beside_the_first_attempt_and_then_the_event_is_discarded() {
    let mut bench = Bench::with_words("a bad", MappingSettings { retries_max: Some(2), ..settings() });
    assert_eq!(bench.deliver_failing_on("bad"), ["a bad", "a bad", "a bad"]);
    assert_eq!(bench.discarded(), [("a bad".to_owned(), DiscardReason::RetryAttemptsExhausted, 3)]);
    bench.put("b");
    assert_eq!(bench.deliver_failing_on("bad"), ["b"]);
}

#[test]
fn what_is_discarded_names_shard_range_and_error() {
    let mut bench = Bench::with_words("a b", MappingSettings { retries_max: Some(0), ..settings() });
    let (invocation, _) = bench.next().unwrap();
    bench.complete(&invocation, failure());
    let discarded = bench.mapping.take_discarded();
    let range = (invocation.records[0].sequence, invocation.records[1].sequence);
    assert_eq!(discarded[0].range(), range);
    assert_eq!(&*discarded[0].shard, "shardId-000000000000");
    assert_eq!(discarded[0].error.as_deref(), Some("no"));
    assert_eq!(discarded[0].reason.as_str(), "RetryAttemptsExhausted");
}

#[test]
fn bisecting_costs_no_retry_and_leaves_only_the_bad_record() {
    let settings = MappingSettings { bisect_on_error: true, retries_max: Some(0), ..settings() };
    let mut bench = Bench::with_words("a b c bad e", settings);
    assert_eq!(bench.deliver_failing_on("bad"), ["a b c bad e", "a b c", "bad e", "bad", "e"]);
    assert_eq!(bench.discarded(), [("bad".to_owned(), DiscardReason::RetryAttemptsExhausted, 1)]);
    assert!(bench.mapping.is_drained(&bench.stream));
}

#[test]
fn a_partial_answer_cuts_at_the_named_record_and_a_whole_failure_halves() {
    let mut bench = Bench::with_words("a b c d", MappingSettings { bisect_on_error: true, ..settings() });
    let (invocation, _) = bench.next().unwrap();
    let second = invocation.records[1].sequence;
    bench.complete(&invocation, Outcome::FailedFrom(second));
    let (invocation, words) = bench.next().unwrap();
    assert_eq!(words, "b c d");
    bench.complete(&invocation, Outcome::FailedFrom(second));
    assert_eq!(bench.deliver_failing_on(""), ["b c", "d"]);
}

#[test]
fn a_function_that_was_not_reached_uses_up_no_retry() {
    let mut bench = Bench::with_words("a", MappingSettings { retries_max: Some(0), ..settings() });
    for _ in 0..5 {
        let (invocation, _) = bench.next().unwrap();
        assert_eq!(invocation.attempt, 1);
        bench.complete(&invocation, Outcome::NotInvoked);
    }
    assert_eq!(bench.deliver_failing_on(""), ["a"]);
    assert_eq!(bench.discarded(), []);
}

#[test]
fn records_that_are_too_old_are_discarded_before_and_between_attempts() {
    let mut bench =
        Bench::with_words("a b", MappingSettings { record_age_max: Some(Duration::from_mins(1)), ..settings() });
    bench.now = at(30);
    bench.put("c");
    bench.now = at(60);
    let (invocation, words) = bench.next().unwrap();
    assert_eq!(words, "a b c", "60 s old is not older than 60 s");
    bench.now = at(61);
    bench.complete(&invocation, failure());
    assert_eq!(bench.next().unwrap().1, "c");
    assert_eq!(bench.discarded(), [("a b".to_owned(), DiscardReason::RecordAgeExceeded, 1)]);

    let mut bench =
        Bench::with_words("a", MappingSettings { record_age_max: Some(Duration::from_mins(1)), ..settings() });
    bench.now = at(61);
    assert!(bench.poll().is_none());
    assert_eq!(bench.discarded(), [("a".to_owned(), DiscardReason::RecordAgeExceeded, 0)]);
    assert!(bench.mapping.is_drained(&bench.stream));
}

#[test]
fn a_retry_waits_longer_after_each_failure_and_nothing_overtakes_it() {
    let settings = MappingSettings { batch_size: 1, retry_pause: Duration::from_secs(1), ..settings() };
    let mut bench = Bench::with_words("a b", settings);
    for pause in [1, 2, 4, 8, 16, 32, 64, 64, 64] {
        let (invocation, words) = bench.next().unwrap();
        assert_eq!(words, "a");
        bench.complete(&invocation, failure());
        assert!(bench.poll().is_none());
        let wake_at = bench.mapping.wake_at().unwrap();
        assert_eq!(wake_at.millis() - bench.now.millis(), pause * 1000);
        bench.now = wake_at;
    }
}

#[test]
fn lanes_run_in_parallel_and_a_partition_key_stays_in_order() {
    let mut bench = Bench::new(1, MappingSettings { batch_size: 4, parallelization_factor: 3, ..settings() });
    for round in 0..5 {
        for key in ["k1", "k2", "k3", "k4", "k5", "k6"] {
            bench.stream.put(key, format!("{key}.{round}").as_bytes(), bench.now).unwrap();
        }
    }
    let mut seen: Vec<(String, String)> = Vec::new();
    let mut most = 0;
    loop {
        let mut under_way = Vec::new();
        while let Some(invocation) = bench.poll() {
            under_way.push(invocation);
        }
        most = most.max(under_way.len());
        // The last started ends first.
        let Some(invocation) = under_way.pop() else { break };
        for other in under_way.iter().rev().chain([&invocation]) {
            seen.extend(other.records.iter().map(|record| (record.partition_key.to_string(), text(record))));
            bench.complete(other, Outcome::Success);
        }
    }
    assert_eq!(most, 3);
    assert_eq!(seen.len(), 30);
    for key in ["k1", "k2", "k3", "k4", "k5", "k6"] {
        let of_key: Vec<&str> = seen.iter().filter(|(of, _)| of == key).map(|(_, word)| word.as_str()).collect();
        assert!(of_key.is_sorted(), "{of_key:?}");
    }
}

#[test]
fn a_record_that_the_filter_refuses_counts_as_done() {
    let mut bench = Bench::with_words("a skip b skip", settings());
    bench.mapping = Mapping::new(settings()).unwrap().with_filter(|record| &*record.data != b"skip");
    assert_eq!(bench.deliver_failing_on(""), ["a b"]);
    assert!(bench.mapping.is_drained(&bench.stream));
    let last = bench.stream.records_after("shardId-000000000000", None).last().unwrap().sequence;
    assert_eq!(bench.mapping.checkpoint("shardId-000000000000"), Some(last));
}

#[test]
fn filter_criteria_decide_what_the_function_sees() {
    let criteria = FilterCriteria::parse([r#"{"data":{"v":[{"numeric":[">",1]}]}}"#]).unwrap();
    let mut bench = Bench::with_words(r#"{"v":1} {"v":2} plain {"v":3}"#, settings());
    bench.mapping = Mapping::new(settings()).unwrap().with_filter(move |record| criteria.passes(record));
    assert_eq!(bench.deliver_failing_on(""), [r#"{"v":2} {"v":3}"#]);
    assert!(bench.mapping.is_drained(&bench.stream));
}

#[test]
fn what_is_done_but_not_noted_comes_again_cut_anew_and_uses_up_no_retry() {
    let mut bench = Bench::with_words("a b c", MappingSettings { retries_max: Some(0), ..settings() });
    let (invocation, _) = bench.next().unwrap();
    bench.put("d");
    bench.complete(&invocation, Outcome::Unnoted);
    assert_eq!(bench.mapping.checkpoint(&invocation.shard), None);
    let (invocation, words) = bench.next().unwrap();
    assert_eq!((words.as_str(), invocation.attempt), ("a b c d", 1));
    bench.complete(&invocation, Outcome::Success);
    assert!(bench.mapping.is_drained(&bench.stream));
    assert_eq!(bench.discarded(), []);
}

#[test]
fn what_is_not_noted_stays_before_what_waits_to_come_again() {
    let mut bench = Bench::with_words("a b c d", MappingSettings { bisect_on_error: true, ..settings() });
    let (invocation, _) = bench.next().unwrap();
    bench.complete(&invocation, failure());
    let (half, words) = bench.next().unwrap();
    assert_eq!((words.as_str(), half.comes_again), ("a b", true));
    bench.complete(&half, Outcome::Unnoted);
    assert_eq!(bench.deliver_failing_on(""), ["a b", "c d"]);
}

#[test]
fn an_invocation_ends_once() {
    let mut bench = Bench::with_words("a", settings());
    let (invocation, _) = bench.next().unwrap();
    bench.complete(&invocation, failure());
    assert_eq!(bench.mapping.complete(&invocation, bench.now, Outcome::Success), Err(StaleInvocation));
    assert_eq!(bench.deliver_failing_on(""), ["a"], "the late answer of a zombie changes nothing");
}

#[test]
fn settings_that_lambda_refuses_are_refused() {
    let refused = |settings: MappingSettings| Mapping::new(settings).unwrap_err().to_string();
    let base = MappingSettings::default;
    assert_eq!(refused(MappingSettings { batch_size: 0, ..base() }), "batch_size must be 1 to 10000, got 0");
    for bad in [
        MappingSettings { batch_size: 10_001, ..base() },
        MappingSettings { batch_window: Duration::from_secs(301), ..base() },
        MappingSettings { parallelization_factor: 0, ..base() },
        MappingSettings { parallelization_factor: 11, ..base() },
        MappingSettings { retries_max: Some(10_001), ..base() },
        MappingSettings { record_age_max: Some(Duration::from_secs(59)), ..base() },
    ] {
        refused(bad);
    }
}
