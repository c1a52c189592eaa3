//! Rows to columns to bytes.

use bytes::Bytes;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use super::{SilverRow, cut_expected, cut_score, names::Names, packed, quality_name, schema};
use crate::bronze::LakeError;
use crate::sequence::SequenceNumber;

/// Texts and packed numbers are handed over in pieces of this many rows, through one small buffer.
const PIECE: usize = 1024;

/// Collects the rows of a batch column by column. The columns are kept from batch to batch: nothing is allocated for a
/// row, and a name only once a batch.
#[derive(Debug, Default)]
pub struct SilverWriter {
    tenant: Texts,
    device: Texts,
    metric: Texts,
    ts: Vec<i64>,
    value: Vec<f64>,
    score: Vec<f32>,
    alert: Vec<f32>,
    expected: Vec<f64>,
    outcome: Texts,
    quality: Texts,
    /// Packed, one after the other.
    seq: Vec<u8>,
    /// The sequence number of the last row: the readings of a record follow one another.
    last: Option<(SequenceNumber, [u8; packed::BYTES])>,
    sub: Vec<i32>,
    arrived: Vec<i64>,
}

/// One column of texts, by number.
#[derive(Debug, Default)]
struct Texts {
    names: Names,
    numbers: Vec<u32>,
}

impl Texts {
    fn push(&mut self, text: &str) {
        self.numbers.push(self.names.number(text));
    }

    fn clear(&mut self) {
        self.names.clear();
        self.numbers.clear();
    }
}

impl SilverWriter {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a row.
    pub fn push(&mut self, row: &SilverRow<'_>) {
        self.tenant.push(row.tenant);
        self.device.push(row.device);
        self.metric.push(row.metric);
        self.ts.push(row.at.millis());
        self.value.push(row.value);
        self.score.push(cut_score(row.score));
        self.alert.push(cut_score(row.alert));
        self.expected.push(cut_expected(row.expected, row.value));
        self.outcome.push(row.outcome.as_str());
        self.quality.push(quality_name(row.quality));
        let packed = match self.last {
            Some((seq, packed)) if seq == row.seq => packed,
            _ => packed::pack(&row.seq),
        };
        self.last = Some((row.seq, packed));
        self.seq.extend_from_slice(&packed);
        self.sub.push(row.sub as i32);
        self.arrived.push(row.arrived.millis());
    }

    /// How many rows were pushed since the last object.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ts.len()
    }

    /// Whether none was: then no object is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ts.is_empty()
    }

    /// The object of what was pushed; the writer is empty afterwards.
    ///
    /// # Errors
    /// [`LakeError::Parquet`] when the library refuses, which for rows of this schema means that memory ran out.
    pub fn finish(&mut self) -> std::result::Result<Vec<u8>, LakeError> {
        let object = self.encode();
        self.clear();
        Ok(object?)
    }

    fn encode(&self) -> Result<Vec<u8>> {
        // Some 6 bytes a row, and the footer.
        let bytes = Vec::with_capacity(self.len() * 8 + 4096);
        let mut file = SerializedFileWriter::new(bytes, schema::schema()?, schema::properties()?)?;
        let mut group = file.next_row_group()?;
        let mut columns = Columns { group: &mut group, piece: Vec::with_capacity(PIECE) };
        columns.texts(&self.tenant)?;
        columns.texts(&self.device)?;
        columns.texts(&self.metric)?;
        columns.numbers::<Int64Type>(&self.ts)?;
        columns.numbers::<DoubleType>(&self.value)?;
        columns.numbers::<FloatType>(&self.score)?;
        columns.numbers::<FloatType>(&self.alert)?;
        columns.numbers::<DoubleType>(&self.expected)?;
        columns.texts(&self.outcome)?;
        columns.texts(&self.quality)?;
        columns.packed(&self.seq)?;
        columns.numbers::<Int32Type>(&self.sub)?;
        columns.numbers::<Int64Type>(&self.arrived)?;
        group.close()?;
        file.into_inner()
    }

    fn clear(&mut self) {
        for texts in [&mut self.tenant, &mut self.device, &mut self.metric, &mut self.outcome, &mut self.quality] {
            texts.clear();
        }
        self.ts.clear();
        self.value.clear();
        self.score.clear();
        self.alert.clear();
        self.expected.clear();
        self.seq.clear();
        self.sub.clear();
        self.arrived.clear();
    }
}

/// The columns of the row group, written one after the other in the order of the schema.
struct Columns<'g, 'f> {
    group: &'g mut SerializedRowGroupWriter<'f, Vec<u8>>,
    piece: Vec<ByteArray>,
}

impl Columns<'_, '_> {
    fn numbers<T: DataType>(&mut self, values: &[T::T]) -> Result<()> {
        let mut column = self.group.next_column()?.ok_or_else(too_few)?;
        column.typed::<T>().write_batch(values, None, None)?;
        column.close()
    }

    fn texts(&mut self, texts: &Texts) -> Result<()> {
        let values = texts.names.values();
        self.bytes(&texts.numbers, |number| values[*number as usize].clone())
    }

    fn packed(&mut self, all: &[u8]) -> Result<()> {
        // One copy for the column; the values are parts of it.
        let all = Bytes::copy_from_slice(all);
        let starts: Vec<usize> = (0..all.len()).step_by(packed::BYTES).collect();
        self.bytes(&starts, |start| ByteArray::from(all.slice(*start..*start + packed::BYTES)))
    }

    fn bytes<V>(&mut self, values: &[V], of: impl Fn(&V) -> ByteArray) -> Result<()> {
        let mut column = self.group.next_column()?.ok_or_else(too_few)?;
        for some in values.chunks(PIECE) {
            self.piece.clear();
            self.piece.extend(some.iter().map(&of));
            column.typed::<ByteArrayType>().write_batch(&self.piece, None, None)?;
        }
        column.close()
    }
}

fn too_few() -> ParquetError {
    ParquetError::General("the silver schema has fewer columns than its writer".to_owned())
}
