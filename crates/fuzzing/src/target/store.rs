//! What was stored before: snapshots and the objects of the lake.

use kinesis_scorer::state::{STATE_VERSION, ShardState};
use serde_json::value::RawValue;
use telemetry::bronze::{BronzeReader, BronzeWriter};
use telemetry::quarantine::{QuarantineReader, QuarantineWriter};
use telemetry::silver::{SilverReader, SilverRow, SilverWriter};
use telemetry::snapshot::{self, Header, SnapshotError};

use super::{Outcome, kind, law};

/// Most that is unpacked here, in bytes: a bomb must not pass, and need not be a gigabyte to be one.
const UNPACKED_BYTES_MAX: usize = 4 << 20;

/// What earlier releases have written, without episodes.
const FORMER_VERSION: u16 = 1;

/// A state that comes back is the state that is written again, in this release's version.
pub(super) fn snapshot(input: &[u8]) -> Outcome {
    let decode = |version| snapshot::decode::<ShardState>(input, version, UNPACKED_BYTES_MAX);
    let (version, decoded) = match decode(STATE_VERSION) {
        Err(SnapshotError::StateVersion { found: FORMER_VERSION, .. }) => (FORMER_VERSION, decode(FORMER_VERSION)),
        decoded => (STATE_VERSION, decoded),
    };
    let header = snapshot::header(input, version);
    let (whole, state): (Header, ShardState) = match decoded {
        Ok(decoded) => decoded,
        Err(error) => return Ok(kind(&error)),
    };
    law(header.is_ok_and(|header| header == whole), "the header alone is the header of the whole")?;
    let written = snapshot::encode(&whole, STATE_VERSION, &state).map_err(|error| format!("it is encoded: {error}"))?;
    let read = snapshot::decode::<ShardState>(&written, STATE_VERSION, UNPACKED_BYTES_MAX);
    let (again, state) = read.map_err(|error| format!("an encoded snapshot is decoded: {error}"))?;
    law(again == whole, "an encoded header is decoded as it was")?;
    let rewritten = snapshot::encode(&again, STATE_VERSION, &state).map_err(|error| format!("twice: {error}"))?;
    law(rewritten == written, "an encoded snapshot is decoded as it was")?;
    Ok(format!("whole {} {}", state.engine.len().min(4), state.births.len().min(4)))
}

/// Records of bronze that are written again are read as they were; so are those of quarantine.
pub(super) fn bronze(input: &[u8]) -> Outcome {
    let reader = match BronzeReader::new(input, UNPACKED_BYTES_MAX) {
        Ok(reader) => reader,
        Err(error) => return Ok(kind(&error)),
    };
    law(reader.text().len() <= UNPACKED_BYTES_MAX, "what is unpacked is bounded")?;
    let (mut records, mut answer) = (Vec::new(), String::from("whole"));
    for record in reader.records() {
        match record {
            Ok(record) => records.push(record),
            Err(error) => answer = kind(&error),
        }
    }
    let mut writer = BronzeWriter::new();
    for record in &records {
        writer.push(&record.seq, record.arrived, &record.partition_key, &record.data, is_json(&record.data));
    }
    let written = writer.finish().map_err(|error| format!("records are written: {error}"))?;
    let again = BronzeReader::new(&written, usize::MAX).map_err(|error| format!("what is written is read: {error}"))?;
    let again: Vec<_> = again.records().collect::<Result<_, _>>().map_err(|error| format!("each record: {error}"))?;
    law(again == records, "written records are read as they were")?;
    Ok(format!("{answer} {} {}", records.len().min(4), quarantine(input)?))
}

fn quarantine(input: &[u8]) -> Outcome {
    let reader = QuarantineReader::new(input, UNPACKED_BYTES_MAX).map_err(|error| format!("as bronze: {error}"))?;
    let records: Vec<_> = reader.records().map_while(Result::ok).collect();
    let mut writer = QuarantineWriter::new();
    for record in &records {
        writer.push(record, is_json(&record.data));
    }
    let written = writer.finish().map_err(|error| format!("refusals are written: {error}"))?;
    let again = QuarantineReader::new(&written, usize::MAX).map_err(|error| format!("refusals are read: {error}"))?;
    let again: Vec<_> = again.records().collect::<Result<_, _>>().map_err(|error| format!("each refusal: {error}"))?;
    law(again == records, "written refusals are read as they were")?;
    Ok(records.len().min(4).to_string())
}

/// Whether the decoder would say so of a payload.
fn is_json(data: &[u8]) -> bool {
    let ends = [data.first(), data.last()];
    serde_json::from_slice::<&RawValue>(data).is_ok() && ends.iter().flatten().all(|byte| !byte.is_ascii_whitespace())
}

/// Rows of silver that are written again are read as they are kept.
pub(super) fn silver(input: &[u8]) -> Outcome {
    let count = SilverReader::count(input.to_vec());
    let reader = match SilverReader::new(input.to_vec(), UNPACKED_BYTES_MAX) {
        Ok(reader) => reader,
        Err(error) => return Ok(format!("{} {}", count.is_ok(), kind(&error))),
    };
    let mut writer = SilverWriter::new();
    reader.rows().for_each(|row| writer.push(&row));
    let written = writer.finish().map_err(|error| format!("rows are written: {error}"))?;
    let again = SilverReader::new(written, usize::MAX).map_err(|error| format!("what is written is read: {error}"))?;
    // As text, where NaN is NaN.
    let text = |row: SilverRow<'_>| format!("{:?}", row.kept());
    law(reader.rows().map(text).eq(again.rows().map(text)), "written rows are read as they are kept")?;
    Ok(format!("whole {}", reader.len().min(4)))
}
