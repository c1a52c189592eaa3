use std::sync::Arc;

use anomaly_core::Timestamp;
use telemetry::sequence::SequenceNumber;

use super::*;

fn record(data: &str) -> Record {
    Record {
        sequence: SequenceNumber::ZERO,
        partition_key: Arc::from("k"),
        data: data.as_bytes().into(),
        arrived: Timestamp::MIN,
    }
}

/// What a filter on `data` lets through.
#[track_caller]
fn check(data_pattern: &str, passes: &[&str], does_not: &[&str]) {
    let pattern = format!(r#"{{"data":{data_pattern}}}"#);
    let criteria = FilterCriteria::parse([pattern.as_str()]).unwrap();
    for payload in passes {
        assert!(criteria.passes(&record(payload)), "{payload} should pass {pattern}");
    }
    for payload in does_not {
        assert!(!criteria.passes(&record(payload)), "{payload} should not pass {pattern}");
    }
}

#[test]
fn without_a_filter_every_record_passes() {
    assert!(FilterCriteria::default().passes(&record("not json")));
    assert!(FilterCriteria::parse(["{}"]).unwrap().passes(&record("not json")));
}

#[test]
fn a_payload_that_is_not_json_passes_no_filter_on_data() {
    check(r#"{"m":["t"]}"#, &[r#"{"m":"t"}"#], &["", "t", "{", "\u{0}", r#"{"m":"t"} x"#, "[1,2"]);
    let criteria = FilterCriteria::parse([r#"{"data":{"m":[{"exists":false}]}}"#]).unwrap();
    assert!(!criteria.passes(&Record { data: [0xff, 0xfe][..].into(), ..record("") }));
}

#[test]
fn values_are_compared_as_they_are_written() {
    check(
        r#"{"v":[300]}"#,
        &[r#"{"v":300}"#, r#"{ "v" : 300 }"#],
        &[r#"{"v":300.0}"#, r#"{"v":3.0e2}"#, r#"{"v":"300"}"#],
    );
    check(r#"{"m":["t"]}"#, &[r#"{"m":"t"}"#, r#"{"m":"\u0074"}"#], &[r#"{"m":"T"}"#, r#"{"m":null}"#]);
    check(r#"{"m":[null]}"#, &[r#"{"m":null}"#], &[r#"{"m":"null"}"#, "{}"]);
    check(r#"{"m":[""]}"#, &[r#"{"m":""}"#], &[r#"{"m":" "}"#]);
    check(r#"{"m":[true]}"#, &[r#"{"m":true}"#], &[r#"{"m":false}"#]);
}

#[test]
fn every_field_counts_and_any_of_its_values_will_do() {
    check(
        r#"{"order":{"type":["buy","sell"]},"stock":["A"]}"#,
        &[r#"{"order":{"type":"sell","n":1},"stock":"A"}"#],
        &[r#"{"order":{"type":"sell"}}"#, r#"{"order":{"type":"keep"},"stock":"A"}"#, r#"{"order":"buy","stock":"A"}"#],
    );
    check(
        r#"{"m":["t"],"$or":[{"v":[{"numeric":[">",80]}]},{"hot":[true]}]}"#,
        &[r#"{"m":"t","v":81}"#, r#"{"m":"t","hot":true,"v":1}"#],
        &[r#"{"m":"t","v":80}"#, r#"{"m":"x","v":81}"#],
    );
}

#[test]
fn one_of_several_filters_is_enough() {
    let criteria = FilterCriteria::parse([r#"{"data":{"a":[1]}}"#, r#"{"data":{"b":[2]}}"#]).unwrap();
    assert!(criteria.passes(&record(r#"{"a":1}"#)) && criteria.passes(&record(r#"{"b":2}"#)));
    assert!(!criteria.passes(&record(r#"{"a":2,"b":1}"#)));
}

#[test]
fn prefix_suffix_and_case() {
    check(r#"{"d":[{"prefix":"pump-"}]}"#, &[r#"{"d":"pump-7"}"#], &[r#"{"d":"a pump-7"}"#, r#"{"d":7}"#]);
    check(r#"{"f":[{"suffix":".csv"}]}"#, &[r#"{"f":"a.csv"}"#], &[r#"{"f":"a.csv.gz"}"#]);
    check(r#"{"d":[{"equals-ignore-case":"PuMp"}]}"#, &[r#"{"d":"pump"}"#, r#"{"d":"PUMP"}"#], &[r#"{"d":"pumps"}"#]);
}

#[test]
fn anything_but_is_about_a_value_that_is_there() {
    check(r#"{"m":[{"anything-but":["t","p"]}]}"#, &[r#"{"m":"x"}"#, r#"{"m":1}"#], &[r#"{"m":"t"}"#, "{}"]);
    check(r#"{"m":[{"anything-but":5}]}"#, &[r#"{"m":6}"#], &[r#"{"m":5}"#]);
}

#[test]
fn numbers_are_compared_in_ranges() {
    check(r#"{"v":[{"numeric":["=",300]}]}"#, &[r#"{"v":300}"#, r#"{"v":3.0e2}"#], &[r#"{"v":301}"#, r#"{"v":"300"}"#]);
    check(
        r#"{"v":[{"numeric":[">",0,"<=",80]}]}"#,
        &[r#"{"v":0.1}"#, r#"{"v":80}"#],
        &[r#"{"v":0}"#, r#"{"v":80.1}"#, r#"{"v":null}"#, "{}"],
    );
    check(r#"{"v":[{"numeric":["<",0]}]}"#, &[r#"{"v":-1}"#], &[r#"{"v":0}"#]);
    check(r#"{"v":[{"numeric":[">=",5]}]}"#, &[r#"{"v":5}"#], &[r#"{"v":4.9}"#]);
}

#[test]
fn exists_is_about_leaves() {
    check(r#"{"v":[{"exists":true}]}"#, &[r#"{"v":0}"#, r#"{"v":null}"#], &["{}", r#"{"v":{"x":1}}"#]);
    check(r#"{"v":[{"exists":false}]}"#, &["{}", r#"{"w":1}"#], &[r#"{"v":0}"#]);
    check(r#"{"a":{"b":[{"exists":false}]}}"#, &["{}", r#"{"a":{"c":1}}"#], &[r#"{"a":{"b":1}}"#]);
}

#[test]
fn a_list_in_the_payload_is_what_one_of_its_elements_is() {
    check(r#"{"tags":["hot"]}"#, &[r#"{"tags":["new","hot"]}"#], &[r#"{"tags":["new"]}"#, r#"{"tags":[]}"#]);
    check(r#"{"rows":{"m":["t"]}}"#, &[r#"{"rows":[{"m":"p"},{"m":"t"}]}"#], &[r#"{"rows":[{"m":"p"}]}"#]);
}

#[test]
fn a_payload_that_nests_without_end_is_refused_in_peace() {
    let nested = |open: &str| format!(r#"{{"m":{}}}"#, open.repeat(300_000));
    let closed = format!(r#"{{"m":{}{}}}"#, "[".repeat(300_000), "]".repeat(300_000));
    check(r#"{"m":["t"]}"#, &[], &[&nested("["), &nested(r#"{"m":"#), &closed]);
    check(r#"{"m":{"m":["t"]}}"#, &[], &[&closed]);
}

#[test]
fn what_lambda_refuses_is_refused_with_the_place_and_a_remedy() {
    #[track_caller]
    fn refused(pattern: &str, parts: &[&str]) {
        let error = FilterCriteria::parse([pattern]).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "`{part}` is not in `{error}`");
        }
    }
    refused("data", &["not JSON", "expected such as"]);
    refused(r#"{"partitionKey":["1"]}"#, &["partitionKey", "`data` only"]);
    refused(r#"{"data":"plain text"}"#, &["data", "object"]);
    refused(r#"{"data":{"m":"t"}}"#, &["data.m", "list"]);
    refused(r#"{"data":{"m":[]}}"#, &["data.m", "empty"]);
    refused(r#"{"data":{}}"#, &["data", "empty object"]);
    refused(r#"{"data":{"m":[["t"]]}}"#, &["data.m", "list in a list"]);
    refused(r#"{"data":{"m":[{"wildcard":"a*"}]}}"#, &["data.m", "wildcard", "`numeric`"]);
    refused(r#"{"data":{"m":[{"prefix":"a","suffix":"b"}]}}"#, &["data.m", "one field"]);
    refused(r#"{"data":{"v":[{"numeric":[">"]}]}}"#, &["data.v", "numeric"]);
    refused(r#"{"data":{"v":[{"numeric":["~",1]}]}}"#, &["data.v", "numeric"]);
    refused(r#"{"data":{"v":[{"exists":1}]}}"#, &["data.v", "true or false"]);
    refused(&format!(r#"{{"data":{{"m":["{}"]}}}}"#, "x".repeat(5_000)), &["4096", "split"]);
    let five = [r#"{"data":{"a":[1]}}"#; 6];
    assert_eq!(FilterCriteria::parse(five), Err(FilterError::TooMany(6)));
    assert!(FilterCriteria::parse(five[..5].iter().copied()).is_ok());
}
