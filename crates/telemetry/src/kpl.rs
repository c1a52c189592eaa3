//! Opens aggregates of the Kinesis Producer Library: many user records in one record.
//!
//! Format: the KPL's "Aggregation Format" document (`aggregation-format.md` in awslabs/amazon-kinesis-producer): four bytes
//! of magic, a protobuf `AggregatedRecord`, the MD5 of that protobuf. An aggregate is opened whole or not at all; what the
//! user records say is decoded like any record. MD5 guards against accidents here, not against people.

use md5::{Digest, Md5};

use crate::payload::protobuf::{Fields, Malformed};
use crate::poison::{KPL_RECORDS_MAX, Poison, PoisonReason};

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const CHECKSUM_BYTES: usize = 16;

/// One record as its producer put it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UserRecord<'p> {
    pub(crate) partition_key: &'p str,
    pub(crate) data: &'p [u8],
}

pub(crate) fn is_aggregate(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// The user records, at least one; none if it is no aggregate.
pub(crate) fn open(bytes: &[u8]) -> Option<Result<Vec<UserRecord<'_>>, Poison>> {
    bytes.strip_prefix(&MAGIC).map(verify)
}

fn verify(body: &[u8]) -> Result<Vec<UserRecord<'_>>, Poison> {
    let Some((protobuf, checksum)) = body.split_last_chunk::<CHECKSUM_BYTES>() else {
        return Err(broken("ends before its checksum"));
    };
    if Md5::digest(protobuf).as_slice() != checksum {
        return Err(Poison::new(PoisonReason::BadChecksum, "the MD5 of a KPL aggregate does not fit its bytes"));
    }
    user_records(protobuf)
}

fn user_records(protobuf: &[u8]) -> Result<Vec<UserRecord<'_>>, Poison> {
    let mut keys = Vec::new();
    let mut records = Vec::new();
    for field in Fields::of(protobuf) {
        match field.map_err(malformed)? {
            (1, key) => keys.push(key.text().map_err(malformed)?),
            (3, record) => records.push(record.bytes().and_then(user_record).map_err(malformed)?),
            _ => {}
        }
        if records.len() > KPL_RECORDS_MAX || keys.len() > KPL_RECORDS_MAX {
            return Err(Poison::new(
                PoisonReason::TooManyRecords,
                format_args!(
                    "a KPL aggregate with more than {KPL_RECORDS_MAX} user records; lower AggregationMaxCount"
                ),
            ));
        }
    }
    if records.is_empty() {
        return Err(broken("holds no user record"));
    }
    // The table of keys may stand behind the records that point into it.
    let with_key = |(index, data): (u64, _)| {
        let partition_key = usize::try_from(index).ok().and_then(|index| keys.get(index).copied());
        partition_key.map(|partition_key| UserRecord { partition_key, data })
    };
    let records: Option<Vec<_>> = records.into_iter().map(with_key).collect();
    records.ok_or_else(|| broken("points to a partition key that it does not hold"))
}

/// The index of the partition key, and the data: both are required fields.
fn user_record(record: &[u8]) -> Result<(u64, &[u8]), Malformed> {
    let (mut index, mut data) = (None, None);
    for field in Fields::of(record) {
        match field? {
            (1, value) => index = Some(value.varint()?),
            (3, value) => data = Some(value.bytes()?),
            _ => {}
        }
    }
    index.zip(data).ok_or(Malformed)
}

fn malformed(_: Malformed) -> Poison {
    broken("is not the protobuf that it should be")
}

fn broken(how: &str) -> Poison {
    Poison::new(PoisonReason::WrongEncoding, format_args!("a KPL aggregate {how}"))
}
