//! Bytes to columns to rows, for a replay and for counting.

use std::ops::Range;

use anomaly_core::{Outcome, Quality, Timestamp};
use bytes::Bytes;
use parquet::column::reader::{ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};

use serde::de::DeserializeOwned;
use serde::de::value::{Error as Unknown, StrDeserializer};

use super::{SilverRow, packed, shape};
use crate::bronze::LakeError;
use crate::sequence::SequenceNumber;

/// The rows of one object, checked as a whole: what [`SilverReader::rows`] gives cannot fail.
#[derive(Debug, Default)]
pub struct SilverReader {
    tenant: Vec<ByteArray>,
    device: Vec<ByteArray>,
    metric: Vec<ByteArray>,
    at: Vec<Timestamp>,
    value: Vec<f64>,
    score: Vec<f32>,
    alert: Vec<f32>,
    expected: Vec<f64>,
    outcome: Vec<Outcome>,
    quality: Vec<Quality>,
    seq: Vec<SequenceNumber>,
    sub: Vec<u32>,
    arrived: Vec<Timestamp>,
    opinion: Vec<Option<f32>>,
}

impl SilverReader {
    /// Reads an object that takes at most `bytes_max` bytes, unpacked and as rows.
    ///
    /// # Errors
    /// [`LakeError::Misshapen`] for bytes that are not Parquet, [`LakeError::Parquet`] for pages that are damaged,
    /// [`LakeError::Column`] for another schema, [`LakeError::Cell`] for a cell that the writer never writes,
    /// [`LakeError::TooLarge`].
    pub fn new(object: Vec<u8>, bytes_max: usize) -> Result<Self, LakeError> {
        // The library indexes by what pages claim and panics where they are damaged: an object's fault, not the process's.
        std::panic::catch_unwind(|| Self::read(object, bytes_max)).unwrap_or_else(|_| {
            Err(ParquetError::General("its pages are damaged: they claim what they do not hold".to_owned()).into())
        })
    }

    fn read(object: Vec<u8>, bytes_max: usize) -> Result<Self, LakeError> {
        let object = Bytes::from(object);
        let file = open(object.clone())?;
        let within = |bytes: u64| {
            let fits = usize::try_from(bytes).is_ok_and(|bytes| bytes <= bytes_max);
            if fits { Ok(bytes) } else { Err(LakeError::TooLarge { what: "silver", bytes_max }) }
        };
        let mut bytes = within(rows_of(file.metadata())?.saturating_mul(ROW_BYTES))?;
        for chunk in file.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns) {
            bytes = within(bytes.saturating_add(shape::pages(&object, place(chunk)?)?))?;
        }
        let mut rows = Self::default();
        for index in 0..file.num_row_groups() {
            rows.append(&*file.get_row_group(index)?)?;
        }
        Ok(rows)
    }

    /// How many rows an object has, from its footer alone.
    ///
    /// # Errors
    /// [`LakeError::Misshapen`] and [`LakeError::Parquet`] for bytes that are not Parquet.
    pub fn count(object: Vec<u8>) -> Result<u64, LakeError> {
        rows_of(open(Bytes::from(object))?.metadata())
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    /// The rows in the order in which they were written.
    pub fn rows(&self) -> impl Iterator<Item = SilverRow<'_>> {
        (0..self.len()).map(|row| SilverRow {
            tenant: text(&self.tenant[row]),
            device: text(&self.device[row]),
            metric: text(&self.metric[row]),
            at: self.at[row],
            value: self.value[row],
            score: self.score[row],
            alert: self.alert[row],
            expected: self.expected[row],
            outcome: self.outcome[row],
            quality: self.quality[row],
            seq: self.seq[row],
            sub: self.sub[row],
            arrived: self.arrived[row],
            opinion: self.opinion[row],
        })
    }

    fn append(&mut self, group: &dyn RowGroupReader) -> Result<(), LakeError> {
        let before = self.len();
        let group = Group { group, before };
        self.tenant.extend(group.texts("tenant")?);
        self.device.extend(group.texts("device")?);
        self.metric.extend(group.texts("metric")?);
        self.at.extend(group.times("ts")?);
        self.value.extend(group.column::<DoubleType>("value", "DOUBLE")?);
        self.score.extend(group.column::<FloatType>("score", "FLOAT")?);
        self.alert.extend(group.column::<FloatType>("alert", "FLOAT")?);
        self.expected.extend(group.column::<DoubleType>("expected", "DOUBLE")?);
        self.outcome.extend(group.known::<Outcome>("outcome")?);
        self.quality.extend(group.known::<Quality>("quality")?);
        self.seq.extend(group.sequences()?);
        self.sub.extend(group.column::<Int32Type>("sub", "INT32")?.into_iter().map(|sub| sub as u32));
        self.arrived.extend(group.times("arrived")?);
        self.opinion.extend(group.opinions()?);
        Ok(())
    }
}

/// What a row takes while it is read: its cells in [`SilverReader`], and those of one column once more. A column of equal
/// values has next to no bytes in the file, whatever number of rows it claims.
const ROW_BYTES: u64 = 256;

/// Has the library read a footer that is what the format says.
fn open(object: Bytes) -> Result<SerializedFileReader<Bytes>, LakeError> {
    shape::footer(&object)?;
    Ok(SerializedFileReader::new(object)?)
}

/// The rows of all groups, which is what the footer says of the whole.
fn rows_of(file: &ParquetMetaData) -> Result<u64, LakeError> {
    let groups = file.row_groups().iter().map(RowGroupMetaData::num_rows);
    let rows = groups.map(|rows| u64::try_from(rows).ok()).try_fold(0_u64, |all, rows| all.checked_add(rows?));
    let said = file.file_metadata().num_rows();
    rows.filter(|rows| i64::try_from(*rows) == Ok(said)).ok_or_else(|| {
        ParquetError::General(format!("the footer says {said} rows, and its groups have another number")).into()
    })
}

/// Where the pages of a column are in the file.
fn place(chunk: &ColumnChunkMetaData) -> Result<Range<usize>, LakeError> {
    let start = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
    let end = start.checked_add(chunk.compressed_size());
    let range = usize::try_from(start).ok().zip(end.and_then(|end| usize::try_from(end).ok()));
    range.filter(|(start, end)| start <= end).map(|(start, end)| start..end).ok_or_else(|| {
        let column = chunk.column_path().string();
        ParquetError::General(format!("the column `{column}` has a negative place or size")).into()
    })
}

/// A text that was checked when it was read.
fn text(bytes: &ByteArray) -> &str {
    bytes.as_utf8().unwrap_or_default()
}

/// One row group, and how many rows stand before it.
struct Group<'a> {
    group: &'a dyn RowGroupReader,
    before: usize,
}

impl Group<'_> {
    /// All values of a column that has one in every row.
    fn column<T: DataType>(&self, name: &'static str, expected: &'static str) -> Result<Vec<T::T>, LakeError> {
        let wrong = || LakeError::Column { column: name, expected };
        let columns = self.group.metadata().columns();
        let index = columns.iter().position(|column| column.column_path().string() == name).ok_or_else(wrong)?;
        let about = columns[index].column_descr();
        if about.physical_type() != T::get_physical_type() || about.max_def_level() + about.max_rep_level() > 0 {
            return Err(wrong());
        }
        let rows = self.rows();
        let mut reader: ColumnReaderImpl<T> = get_typed_column_reader(self.group.get_column_reader(index)?);
        let mut values = Vec::new();
        while values.len() < rows {
            if reader.read_records(rows - values.len(), None, None, &mut values)?.0 == 0 {
                return Err(self.cell(values.len(), name, "a value; the column ends early"));
            }
        }
        Ok(values)
    }

    /// The second opinions; none at all where the object was written without that column.
    fn opinions(&self) -> Result<Vec<Option<f32>>, LakeError> {
        let (name, expected) = ("opinion", "FLOAT");
        let rows = self.rows();
        let columns = self.group.metadata().columns();
        let Some(index) = columns.iter().position(|column| column.column_path().string() == name) else {
            return Ok(vec![None; rows]);
        };
        let about = columns[index].column_descr();
        let is_optional = about.max_def_level() == 1 && about.max_rep_level() == 0;
        if about.physical_type() != FloatType::get_physical_type() || !is_optional {
            return Err(LakeError::Column { column: name, expected });
        }
        let mut reader: ColumnReaderImpl<FloatType> = get_typed_column_reader(self.group.get_column_reader(index)?);
        let (mut levels, mut strengths) = (Vec::new(), Vec::new());
        while levels.len() < rows {
            if reader.read_records(rows - levels.len(), Some(&mut levels), None, &mut strengths)?.0 == 0 {
                return Err(self.cell(levels.len(), name, "a value or none; the column ends early"));
            }
        }
        let mut strengths = strengths.into_iter();
        Ok(levels.into_iter().map(|level| if level > 0 { strengths.next() } else { None }).collect())
    }

    fn rows(&self) -> usize {
        usize::try_from(self.group.metadata().num_rows()).unwrap_or_default()
    }

    fn cell(&self, row: usize, column: &'static str, expected: &'static str) -> LakeError {
        LakeError::Cell { row: self.before + row + 1, column, expected }
    }

    /// The cells of a column, each turned into what it stands for.
    fn cells<T: DataType, V>(
        &self,
        name: &'static str,
        physical: &'static str,
        expected: &'static str,
        of: impl Fn(T::T) -> Option<V>,
    ) -> Result<Vec<V>, LakeError> {
        let values = self.column::<T>(name, physical)?.into_iter().enumerate();
        values.map(|(row, value)| of(value).ok_or_else(|| self.cell(row, name, expected))).collect()
    }

    fn texts(&self, name: &'static str) -> Result<Vec<ByteArray>, LakeError> {
        self.cells::<ByteArrayType, _>(name, "BYTE_ARRAY", "UTF-8", |bytes| bytes.as_utf8().is_ok().then_some(bytes))
    }

    fn times(&self, name: &'static str) -> Result<Vec<Timestamp>, LakeError> {
        let expected = "milliseconds between 1980 and 2200";
        self.cells::<Int64Type, _>(name, "INT64", expected, |millis| Timestamp::from_millis(millis).ok())
    }

    fn sequences(&self) -> Result<Vec<SequenceNumber>, LakeError> {
        let expected = "a sequence number in 24 bytes";
        self.cells::<ByteArrayType, _>("seq", "BYTE_ARRAY", expected, |bytes| packed::unpack(bytes.data()))
    }

    /// Texts that each stand for one variant of `V`.
    fn known<V: DeserializeOwned>(&self, name: &'static str) -> Result<Vec<V>, LakeError> {
        self.cells::<ByteArrayType, _>(name, "BYTE_ARRAY", "a name that this version knows", |bytes| {
            V::deserialize(StrDeserializer::<Unknown>::new(bytes.as_utf8().ok()?)).ok()
        })
    }
}
