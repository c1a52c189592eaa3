//! Silver that was crafted: what its footer and its headers claim is checked before the Parquet library believes it.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod lake_plant;

use std::ops::Range;
use std::sync::Arc;

use anomaly_core::Timestamp;
use bytes::Bytes;
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::column::writer::{ColumnWriter, ColumnWriterImpl};
use parquet::data_type::DataType;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use telemetry::bronze::LakeError;
use telemetry::silver::{Misshapen, SCHEMA, SilverReader, SilverWriter};

const MIB: usize = 1 << 20;

fn object() -> Vec<u8> {
    let mut writer = SilverWriter::new();
    lake_plant::batch(40, |row| writer.push(row), |_, _, _, _| ());
    writer.finish().unwrap()
}

/// Where the footer begins, and where it ends.
fn footer(file: &[u8]) -> Range<usize> {
    let end = file.len() - 8;
    let len = u32::from_le_bytes(*file[end..].first_chunk::<4>().unwrap());
    end - len as usize..end
}

/// The file with `more` in place of a part of its footer.
fn spliced(mut file: Vec<u8>, part: Range<usize>, more: &[u8]) -> Vec<u8> {
    let len = footer(&file).len() + more.len() - part.len();
    file.splice(part, more.iter().copied());
    let end = file.len() - 8;
    file[end..end + 4].copy_from_slice(&(len as u32).to_le_bytes());
    file
}

fn refused(file: Vec<u8>) -> Misshapen {
    match SilverReader::new(file, MIB) {
        Err(LakeError::Misshapen(why)) => why,
        other => panic!("not refused for its form: {other:?}"),
    }
}

#[test]
fn a_list_that_takes_no_bytes_is_not_walked() {
    // Before the stop of the footer: field 9, which silver has not, is a list of 2^31 - 1 booleans, and so are the next.
    // The library would count through each.
    let more: Vec<u8> =
        [0x29, 0x19, 0x19, 0x19].into_iter().flat_map(|step| [step, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07]).collect();
    let stop = footer(&object()).end - 1;
    let crafted = spliced(object(), stop..stop, &more);
    assert_eq!(refused(crafted.clone()), Misshapen::Field { at: stop });
    assert!(matches!(SilverReader::count(crafted), Err(LakeError::Misshapen(Misshapen::Field { .. }))));
}

#[test]
fn a_list_of_more_elements_than_bytes_is_no_reason_to_reserve_memory() {
    // Field 2, the list (`0x19`) of 14 structs (`0xec`), follows the version in two bytes.
    let list = footer(&object()).start + 3;
    assert_eq!(object()[list - 1..=list], [0x19, 0xec]);
    let crafted = spliced(object(), list..list + 1, &[0xfc, 0xff, 0xff, 0xff, 0xff, 0x07]);
    assert_eq!(refused(crafted), Misshapen::Elements { at: list, len: (1 << 31) - 1 });
}

#[test]
fn a_text_longer_than_the_file_is_no_reason_to_reserve_memory() {
    // The name of the first column, 6 bytes.
    let name =
        footer(&object()).start + object()[footer(&object())].windows(7).position(|b| b == b"\x06tenant").unwrap();
    let crafted = spliced(object(), name..name + 1, &[0xff, 0xff, 0xff, 0xff, 0x7f]);
    assert_eq!(refused(crafted), Misshapen::Ends { at: name + 5 });
}

#[test]
fn a_number_without_an_end_is_refused() {
    let version = footer(&object()).start + 1;
    let crafted = spliced(object(), version..version + 1, &[0x80; 11]);
    assert_eq!(refused(crafted), Misshapen::Number { at: version });
}

#[test]
fn a_page_header_is_checked_as_the_footer_is() {
    // The first page's header begins after the magic number with field 1, an i32 (`0x15`); as a list it is refused.
    let mut file = object();
    assert_eq!(file[4], 0x15);
    file[4] = 0x19;
    assert_eq!(refused(file), Misshapen::Field { at: 4 });
}

#[test]
fn every_file_that_ends_early_or_has_other_bytes_around_it_is_refused() {
    let file = object();
    for end in 0..file.len() {
        assert!(SilverReader::new(file[..end].to_vec(), MIB).is_err(), "{end} bytes of {}", file.len());
    }
    assert_eq!(refused(Vec::new()), Misshapen::NoFooter);
    assert_eq!(refused(b"PAR1".to_vec()), Misshapen::NoFooter);
    assert_eq!(refused(b"PAR1\xff\xff\xff\xffPAR1".to_vec()), Misshapen::NoFooter);
}

#[test]
fn rows_that_take_no_bytes_in_the_file_count_with_what_they_take_in_memory() {
    let mut writer = SilverWriter::new();
    let row = lake_plant::row("7".parse().unwrap(), Timestamp::from_millis(1_700_000_000_123).unwrap());
    (0..5000).for_each(|_| writer.push(&row));
    let file = writer.finish().unwrap();
    assert!(file.len() < 20_000, "{} bytes of equal rows", file.len());
    assert!(matches!(SilverReader::new(file, MIB), Err(LakeError::TooLarge { bytes_max: MIB, .. })));
}

#[test]
fn silver_that_another_writer_compacted_is_read() {
    let file = SerializedFileReader::new(Bytes::from(object())).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_key_value_metadata(Some(vec![KeyValue::new("by".to_owned(), "a job".to_owned())]))
        .build();
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let mut compacted = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    for _ in 0..2 {
        let mut group = compacted.next_row_group().unwrap();
        let mut columns = 0..;
        while let Some(mut column) = group.next_column().unwrap() {
            let reader = file.get_row_group(0).unwrap().get_column_reader(columns.next().unwrap()).unwrap();
            copy_column(reader, column.untyped());
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    let compacted = SilverReader::new(compacted.into_inner().unwrap(), MIB).unwrap();
    let reader = SilverReader::new(object(), MIB).unwrap();
    assert!(reader.rows().chain(reader.rows()).eq(compacted.rows()));
}

fn copy_column(from: ColumnReader, to: &mut ColumnWriter<'_>) {
    match (from, to) {
        (ColumnReader::Int32ColumnReader(from), ColumnWriter::Int32ColumnWriter(to)) => copy(from, to),
        (ColumnReader::Int64ColumnReader(from), ColumnWriter::Int64ColumnWriter(to)) => copy(from, to),
        (ColumnReader::FloatColumnReader(from), ColumnWriter::FloatColumnWriter(to)) => copy(from, to),
        (ColumnReader::DoubleColumnReader(from), ColumnWriter::DoubleColumnWriter(to)) => copy(from, to),
        (ColumnReader::ByteArrayColumnReader(from), ColumnWriter::ByteArrayColumnWriter(to)) => copy(from, to),
        _ => panic!("silver has no such column"),
    }
}

fn copy<T: DataType>(mut from: ColumnReaderImpl<T>, to: &mut ColumnWriterImpl<'_, T>) {
    let mut values = Vec::new();
    while from.read_records(usize::MAX, None, None, &mut values).unwrap().0 > 0 {}
    to.write_batch(&values, None, None).unwrap();
}
