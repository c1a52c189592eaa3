//! A snapshot comes back whole or is refused, with an error that says what to do.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use anomaly_core::Timestamp;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use telemetry::snapshot::{self, HEADER_BYTES_MAX, Header, SnapshotError};

const MIB: usize = 1 << 20;
const VERSION: u16 = 7;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State {
    devices: BTreeMap<String, Vec<f64>>,
    count: u64,
    name: Option<String>,
}

fn small() -> (Header, State) {
    let header = Header {
        last_seq: Some("49590338271490256608559692538361571095921575989136588898".parse().unwrap()),
        at: Timestamp::from_millis(1_700_000_000_123).unwrap(),
        profiles: "0123456789abcdef".to_owned(),
    };
    let devices = BTreeMap::from([("pump-7".to_owned(), vec![1.5, -2.25, 0.0])]);
    (header, State { devices, count: 300, name: None })
}

fn stored() -> Vec<u8> {
    let (header, state) = small();
    snapshot::encode(&header, VERSION, &state).unwrap()
}

fn decode(bytes: &[u8]) -> Result<(Header, State), SnapshotError> {
    snapshot::decode(bytes, VERSION, MIB)
}

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/snapshot-envelope-v1.bin")
}

#[test]
fn a_snapshot_of_the_first_release_stays_readable() {
    assert_eq!(decode(&std::fs::read(golden()).unwrap()).unwrap(), small());
}

/// Stores the golden snapshot anew; run by hand for a new envelope version, under its name.
#[test]
#[ignore = "writes the golden file of a new envelope version"]
fn write_the_golden_snapshot() {
    std::fs::write(golden(), stored()).unwrap();
}

#[test]
fn the_header_is_read_without_the_state() {
    assert_eq!(snapshot::header(&stored(), VERSION).unwrap(), small().0);
}

#[test]
fn equal_states_give_equal_bytes() {
    assert_eq!(stored(), stored());
}

#[test]
fn every_flipped_bit_is_noticed() {
    let whole = stored();
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&flipped).is_err(), "bit {bit} of {}", whole.len() * 8);
    }
}

#[test]
fn every_cut_is_named_as_such() {
    let whole = stored();
    for length in 0..whole.len() {
        let error = decode(&whole[..length]).unwrap_err();
        assert!(matches!(error, SnapshotError::Truncated { bytes, .. } if bytes == length), "{length}: {error}");
    }
}

#[test]
fn other_bytes_are_not_a_snapshot() {
    for bytes in [&b"PAR1"[..], b"{\"seq\":", b"MRSNAQ\0\n and more", b"MRSNAP\0\r\n"] {
        assert!(matches!(decode(bytes), Err(SnapshotError::NotASnapshot)), "{bytes:?}");
    }
}

#[test]
fn another_version_is_refused_with_both_numbers_and_the_remedy() {
    let error = snapshot::decode::<State>(&stored(), 8, MIB).unwrap_err().to_string();
    assert!(error.contains("version 7") && error.contains("version 8") && error.contains("bronze"), "{error}");
    let mut envelope = stored();
    envelope[8] = 9;
    let error = decode(&envelope).unwrap_err().to_string();
    assert!(error.contains("envelope version 9") && error.contains("version 1"), "{error}");
}

#[test]
fn bytes_after_the_end_are_refused() {
    let mut joined = stored();
    joined.extend_from_slice(b"xyz");
    assert!(matches!(decode(&joined), Err(SnapshotError::TrailingBytes { bytes: 3 })));
}

#[test]
fn a_state_beyond_the_limit_is_refused_before_it_is_unpacked() {
    let (header, _) = small();
    let bomb = snapshot::encode(&header, VERSION, &vec![0_u8; 20 * MIB]).unwrap();
    assert!(bomb.len() < MIB / 100);
    let error = snapshot::decode::<Vec<u8>>(&bomb, VERSION, MIB).unwrap_err();
    assert!(matches!(error, SnapshotError::TooLarge { bytes_max: MIB, .. }), "{error}");
    assert_eq!(snapshot::decode::<Vec<u8>>(&bomb, VERSION, 21 * MIB).unwrap().1.len(), 20 * MIB);
}

#[test]
fn a_state_of_another_shape_under_the_same_version_is_refused() {
    let (header, _) = small();
    let other = snapshot::encode(&header, VERSION, &"text").unwrap();
    assert!(matches!(decode(&other), Err(SnapshotError::Decode { part: "state", .. })));
    let longer = snapshot::encode(&header, VERSION, &(1_u8, 2_u8)).unwrap();
    assert!(matches!(snapshot::decode::<u8>(&longer, VERSION, MIB), Err(SnapshotError::Decode { part: "state", .. })));
}

#[test]
fn a_header_beyond_its_limit_is_refused_when_written() {
    let (mut header, state) = small();
    header.profiles = "f".repeat(HEADER_BYTES_MAX);
    assert!(matches!(snapshot::encode(&header, VERSION, &state), Err(SnapshotError::HeaderTooLong { .. })));
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(
        seq in proptest::option::of("[0-9]{1,56}"),
        millis in Timestamp::MIN.millis()..=Timestamp::MAX.millis(),
        profiles in "\\PC{0,40}",
        devices: BTreeMap<String, Vec<u32>>,
        count: u64,
        name: Option<String>,
    ) {
        let header = Header {
            last_seq: seq.map(|digits| digits.parse().unwrap()),
            at: Timestamp::from_millis(millis).unwrap(),
            profiles,
        };
        let devices = devices.into_iter().map(|(k, v)| (k, v.into_iter().map(f64::from).collect())).collect();
        let state = State { devices, count, name };
        let bytes = snapshot::encode(&header, VERSION, &state).unwrap();
        prop_assert_eq!(decode(&bytes).unwrap(), (header, state));
    }

    #[test]
    fn bytes_of_any_kind_never_panic(bytes: Vec<u8>, at in 0_usize..200) {
        let mut changed = stored();
        let at = at.min(changed.len());
        changed.splice(at.., bytes);
        prop_assert!(decode(&changed).is_err() || changed == stored());
    }
}
